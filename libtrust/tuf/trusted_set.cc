#include "libtrust/tuf/trusted_set.h"

#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "libtrust/tuf/delegation.h"

namespace coaming::trust::tuf {

using base::Fail;

namespace {
const RoleKeys& RoleOf(const Metadata& root, Role role) {
  return root.roles.find(std::string(RoleName(role)))->second;
}
}  // namespace

absl::StatusOr<TrustedSet> TrustedSet::New(std::string_view root, int64_t now_s,
                                           const base::Limits* limits) {
  TrustedSet out;
  if (limits != nullptr) out.limits_ = *limits;
  out.now_ = now_s;
  COAM_ASSIGN_OR_RETURN(out.root_, ParseMetadata(root, Role::kRoot, &out.limits_));
  COAM_RETURN_IF_ERROR(
      VerifyRole(out.root_.keys, RoleOf(out.root_, Role::kRoot), out.root_, "root", "root"));
  return out;
}

absl::Status TrustedSet::CheckExpired(const Metadata& metadata, std::string_view name) const {
  if (!metadata.ExpiredAt(now_)) return absl::OkStatus();
  return (Fail("tuf.expired") << name << " version " << metadata.version << " expired on "
                              << FormatExpiry(metadata.expires))
      .Detail("tuf.role", name);
}

absl::Status TrustedSet::UpdateRoot(std::string_view bytes) {
  if (timestamp_) return Fail("core.state") << "root after timestamp";
  COAM_ASSIGN_OR_RETURN(Metadata next, ParseMetadata(bytes, Role::kRoot, &limits_));
  COAM_RETURN_IF_ERROR(
      VerifyRole(root_.keys, RoleOf(root_, Role::kRoot), next, "the root before it", "root"));
  COAM_RETURN_IF_ERROR(
      VerifyRole(next.keys, RoleOf(next, Role::kRoot), next, "root itself", "root"));
  if (next.version != root_.version + 1)
    return Fail("tuf.version") << "root version " << next.version << " where version "
                               << root_.version + 1 << " is due";
  root_ = std::move(next);
  return absl::OkStatus();
}

absl::Status TrustedSet::FinishRoot() const { return CheckExpired(root_, "root"); }

absl::Status TrustedSet::UpdateTimestamp(std::string_view bytes, bool* same) {
  if (same != nullptr) *same = false;
  if (snapshot_) return Fail("core.state") << "timestamp after snapshot";
  COAM_RETURN_IF_ERROR(FinishRoot());
  COAM_ASSIGN_OR_RETURN(Metadata next, ParseMetadata(bytes, Role::kTimestamp, &limits_));
  COAM_RETURN_IF_ERROR(
      VerifyRole(root_.keys, RoleOf(root_, Role::kTimestamp), next, "root", "timestamp"));
  if (timestamp_) {
    if (next.version < timestamp_->version)
      return Fail("tuf.rollback") << "timestamp version " << next.version << " is older than "
                                  << timestamp_->version;
    if (next.version == timestamp_->version) {
      if (same != nullptr) *same = true;
      return CheckExpired(*timestamp_, "timestamp");
    }
    int64_t was = timestamp_->meta.begin()->second.version, is = next.meta.begin()->second.version;
    if (is < was)
      return Fail("tuf.rollback") << "timestamp names snapshot version " << is << ", older than "
                                  << was;
  }
  timestamp_ = std::move(next);
  return CheckExpired(*timestamp_, "timestamp");
}

absl::Status TrustedSet::UpdateSnapshot(std::string_view bytes, bool trusted) {
  if (!timestamp_) return Fail("core.state") << "snapshot before timestamp";
  if (targets_) return Fail("core.state") << "snapshot after targets";
  COAM_RETURN_IF_ERROR(CheckExpired(*timestamp_, "timestamp"));
  const MetaFile& meta = timestamp_->meta.begin()->second;
  if (!trusted) COAM_RETURN_IF_ERROR(CheckFile(bytes, meta.length, meta.hashes, "snapshot"));
  COAM_ASSIGN_OR_RETURN(Metadata next, ParseMetadata(bytes, Role::kSnapshot, &limits_));
  COAM_RETURN_IF_ERROR(
      VerifyRole(root_.keys, RoleOf(root_, Role::kSnapshot), next, "root", "snapshot"));
  // A local copy may be older than what the timestamp names: FinishSnapshot tells.
  if (snapshot_) {
    for (const auto& [name, old] : snapshot_->meta) {
      auto now = next.meta.find(name);
      if (now == next.meta.end())
        return Fail("tuf.rollback") << "snapshot version " << next.version << " lost " << name;
      if (now->second.version < old.version)
        return Fail("tuf.rollback")
               << "snapshot version " << next.version << " names " << name << " version "
               << now->second.version << ", older than " << old.version;
    }
  }
  snapshot_ = std::move(next);
  return FinishSnapshot();
}

absl::Status TrustedSet::FinishSnapshot() const {
  if (!snapshot_) return Fail("core.state") << "no snapshot";
  COAM_RETURN_IF_ERROR(CheckExpired(*snapshot_, "snapshot"));
  int64_t want = timestamp_->meta.begin()->second.version;
  if (snapshot_->version != want)
    return Fail("tuf.version") << "snapshot version " << snapshot_->version << " where version "
                               << want << " is due";
  return absl::OkStatus();
}

const MetaFile* TrustedSet::MetaOf(std::string_view role) const {
  if (!snapshot_) return nullptr;
  auto it = snapshot_->meta.find(absl::StrCat(role, ".json"));
  return it == snapshot_->meta.end() ? nullptr : &it->second;
}

absl::Status TrustedSet::UpdateTargets(std::string_view bytes) {
  COAM_RETURN_IF_ERROR(FinishSnapshot());
  const MetaFile* meta = MetaOf("targets");
  COAM_RETURN_IF_ERROR(CheckFile(bytes, meta->length, meta->hashes, "targets"));
  COAM_ASSIGN_OR_RETURN(Metadata next, ParseMetadata(bytes, Role::kTargets, &limits_));
  COAM_RETURN_IF_ERROR(
      VerifyRole(root_.keys, RoleOf(root_, Role::kTargets), next, "root", "targets"));
  if (next.version != meta->version)
    return Fail("tuf.version") << "targets version " << next.version << " where version "
                               << meta->version << " is due";
  COAM_RETURN_IF_ERROR(CheckExpired(next, "targets"));
  targets_ = std::move(next);
  return absl::OkStatus();
}

absl::StatusOr<Metadata> TrustedSet::ReadDelegated(std::string_view bytes, std::string_view name,
                                                   const Metadata& delegator,
                                                   std::string_view delegator_name) const {
  const MetaFile* meta = MetaOf(name);
  if (meta == nullptr)
    return Fail("tuf.not_found") << "the snapshot does not list the role " << name;
  const RoleKeys* keys = delegator.delegations ? FindRole(*delegator.delegations, name) : nullptr;
  if (keys == nullptr)
    return Fail("tuf.not_found") << delegator_name << " does not delegate to " << name;
  COAM_RETURN_IF_ERROR(CheckFile(bytes, meta->length, meta->hashes, name));
  COAM_ASSIGN_OR_RETURN(Metadata out, ParseMetadata(bytes, Role::kTargets, &limits_));
  COAM_RETURN_IF_ERROR(VerifyRole(delegator.delegations->keys, *keys, out, delegator_name, name));
  if (out.version != meta->version)
    return Fail("tuf.version") << name << " version " << out.version << " where version "
                               << meta->version << " is due";
  COAM_RETURN_IF_ERROR(CheckExpired(out, name));
  return out;
}

}  // namespace coaming::trust::tuf
