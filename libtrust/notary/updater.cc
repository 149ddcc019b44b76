#include "libtrust/notary/updater.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/digest/digest.h"

namespace coaming::trust::notary {

using base::Fail;

namespace {

constexpr int64_t kMaxTimestamp = 1 << 20;
constexpr int64_t kMaxRootSteps = 256;
constexpr int64_t kNs = 1000000000;

int64_t NowNs(const base::Op& op) { return op.clock().RealtimeNs(); }

// True for what another root cannot mend.
bool IsFinal(const absl::Status& s) {
  return base::HasReason(s, "core.cancelled") || base::HasReason(s, "core.deadline_exceeded");
}

// A server that is away, or has nothing: what was kept may still do.
bool IsAway(const absl::Status& s) {
  for (std::string_view r :
       {"http.connect", "http.not_found", "http.status", "http.truncated", "http.rate_limited"})
    if (base::HasReason(s, r)) return true;
  return false;
}

}  // namespace

Updater::Updater(Remote& remote, Cache& cache, UpdaterOptions options)
    : remote_(remote), cache_(cache), options_(std::move(options)) {}

absl::Status Updater::NoTrustData() const {
  return (Fail("notary.unsigned") << "remote trust data does not exist for " << options_.gun << ": "
                                  << options_.server << " does not have trust data for "
                                  << options_.gun)
      .Detail("notary.gun", options_.gun);
}

absl::Status Updater::LoadRoot(const base::Op& op) {
  const int64_t now_s = NowNs(op) / kNs;
  COAM_ASSIGN_OR_RETURN(std::optional<std::string> kept, cache_.Load(std::string(kRoot)));
  if (kept) {
    COAM_ASSIGN_OR_RETURN(Metadata root, ParseMetadata(*kept, kRoot, &op.limits()));
    COAM_RETURN_IF_ERROR(
        base::Wrap(CheckKept(root, options_.gun), "the root kept for this repository"));
    pinned_ = std::move(root);
    if (RootIsCurrent(*pinned_, options_.gun, now_s)) root_ = pinned_;
  }
  if (root_ && !options_.probe) return absl::OkStatus();
  auto bytes = remote_.Get(std::string(kRoot), op.limits().tuf_metadata_bytes, op);
  if (!bytes.ok()) {
    if (base::HasReason(bytes.status(), "http.not_found")) return NoTrustData();
    return bytes.status();
  }
  if (root_) return absl::OkStatus();
  COAM_ASSIGN_OR_RETURN(Metadata latest, ParseMetadata(*bytes, kRoot, &op.limits()));
  return StepTo(std::move(latest), op);
}

absl::Status Updater::StepTo(Metadata latest, const base::Op& op) {
  const int64_t now_s = NowNs(op) / kNs;
  const Metadata* old = pinned_ ? &*pinned_ : nullptr;
  if (old != nullptr && latest.version < old->version)
    return Fail("tuf.rollback") << options_.gun << ": root version " << latest.version
                                << " is lower than current version " << old->version;
  absl::Status s = CheckRoot(old, latest, options_.gun, options_.pins, now_s);
  if (!s.ok() && old != nullptr && latest.version > old->version + 1) {
    // The way from the pinned root to the latest, one version after the other.
    if (latest.version - old->version > kMaxRootSteps)
      return base::FailLimit("tuf_root_updates", kMaxRootSteps)
             << options_.gun << ": " << latest.version - old->version << " new roots at once";
    Metadata step = *old;
    for (int64_t v = old->version + 1; v < latest.version; ++v) {
      COAM_ASSIGN_OR_RETURN(std::string bytes, remote_.Get(absl::StrCat(v, ".root"),
                                                           op.limits().tuf_metadata_bytes, op));
      COAM_ASSIGN_OR_RETURN(Metadata next, ParseMetadata(bytes, kRoot, &op.limits()));
      if (next.version != v)
        return Fail("tuf.version")
               << options_.gun << ": root " << v << " says it is version " << next.version;
      COAM_RETURN_IF_ERROR(CheckStep(step, next, options_.gun));
      step = std::move(next);
    }
    s = CheckRoot(&step, latest, options_.gun, options_.pins, now_s);
  }
  COAM_RETURN_IF_ERROR(s);
  if (latest.Expired(NowNs(op)))
    return Fail("tuf.expired") << options_.gun << ": root expired at "
                               << base::FormatRfc3339(latest.expires_ns);
  COAM_RETURN_IF_ERROR(cache_.Save(std::string(kRoot), latest.bytes));
  root_ = std::move(latest);
  return absl::OkStatus();
}

absl::Status Updater::RenewRoot(const base::Op& op) {
  if (!pinned_) pinned_ = root_;
  COAM_ASSIGN_OR_RETURN(std::string bytes,
                        remote_.Get(std::string(kRoot), op.limits().tuf_metadata_bytes, op));
  COAM_ASSIGN_OR_RETURN(Metadata latest, ParseMetadata(bytes, kRoot, &op.limits()));
  return StepTo(std::move(latest), op);
}

int64_t Updater::CachedVersion(const std::string& role, const Metadata& root, const base::Op& op) {
  auto kept = cache_.Load(role);
  if (!kept.ok() || !*kept) return 0;
  auto m = ParseMetadata(**kept, role, &op.limits());
  if (!m.ok() || !CheckSignatures(root.keys, root.roles.at(role), *m).ok()) return 0;
  return m->version;
}

absl::StatusOr<Metadata> Updater::Check(std::string bytes, const std::string& role,
                                        const Collection& in, const base::Op& op) {
  COAM_ASSIGN_OR_RETURN(Metadata m, ParseMetadata(bytes, role, &op.limits()));
  COAM_RETURN_IF_ERROR(
      base::Wrap(CheckSignatures(in.root.keys, in.root.roles.at(role), m), options_.gun));
  if (const int64_t had = CachedVersion(role, in.root, op); m.version < had)
    return Fail("tuf.rollback") << options_.gun << ": " << role << " version " << m.version
                                << " is lower than current version " << had;
  if (m.Expired(NowNs(op)))
    return Fail("tuf.expired") << options_.gun << ": " << role << " expired at "
                               << base::FormatRfc3339(m.expires_ns);
  return m;
}

absl::StatusOr<std::string> Updater::Fetch(const std::string& role, const FileMeta& meta,
                                           const base::Op& op) {
  COAM_ASSIGN_OR_RETURN(std::optional<std::string> kept, cache_.Load(role));
  if (kept && CheckHashes(*kept, meta, role).ok()) return *std::move(kept);
  auto sha256 = meta.hashes.find("sha256");
  if (sha256 == meta.hashes.end())
    return Fail("tuf.invalid") << options_.gun << ": there is no sha256 of " << role;
  const int64_t max = std::min(meta.length, op.limits().tuf_metadata_bytes);
  auto bytes = remote_.Get(absl::StrCat(role, ".", base::HexEncode(sha256->second)), max, op);
  if (!bytes.ok() && base::HasReason(bytes.status(), "core.limit") &&
      meta.length <= op.limits().tuf_metadata_bytes)
    return (Fail("tuf.mismatch") << options_.gun << ": " << role << " is longer than the "
                                 << meta.length << " bytes that are signed")
        .Cause(bytes.status());
  COAM_RETURN_IF_ERROR(bytes.status());
  COAM_RETURN_IF_ERROR(base::Wrap(CheckHashes(*bytes, meta, role), options_.gun));
  return *std::move(bytes);
}

absl::Status Updater::LoadTimestamp(Collection* out, const base::Op& op) {
  const std::string role(kTimestamp);
  auto bytes = remote_.Get(role, kMaxTimestamp, op);
  if (bytes.ok()) {
    COAM_ASSIGN_OR_RETURN(out->timestamp, Check(*bytes, role, *out, op));
    return cache_.Save(role, *bytes);
  }
  if (!IsAway(bytes.status())) return bytes.status();
  COAM_ASSIGN_OR_RETURN(std::optional<std::string> kept, cache_.Load(role));
  if (!kept) return bytes.status();
  auto m = Check(*std::move(kept), role, *out, op);
  if (!m.ok()) return bytes.status();
  op.AddNote("notary.offline", options_.gun,
             "the server gave no timestamp; the one kept here is still valid");
  out->timestamp = *std::move(m);
  return absl::OkStatus();
}

absl::Status Updater::LoadSnapshot(Collection* out, const base::Op& op) {
  const std::string role(kSnapshot);
  COAM_ASSIGN_OR_RETURN(std::string bytes, Fetch(role, out->timestamp->meta.at(role), op));
  COAM_ASSIGN_OR_RETURN(out->snapshot, Check(bytes, role, *out, op));
  // The snapshot says which root goes with it: another one means that ours is out of date.
  COAM_RETURN_IF_ERROR(
      base::Wrap(CheckHashes(out->root.bytes, out->snapshot->meta.at(std::string(kRoot)), kRoot),
                 options_.gun));
  return cache_.Save(role, bytes);
}

absl::Status Updater::LoadTargets(Collection* out, const base::Op& op) {
  const std::string role(kTargets);
  COAM_ASSIGN_OR_RETURN(std::string bytes, Fetch(role, out->snapshot->meta.at(role), op));
  COAM_ASSIGN_OR_RETURN(Metadata m, Check(bytes, role, *out, op));
  out->targets.insert_or_assign(role, std::move(m));
  return cache_.Save(role, bytes);
}

absl::Status Updater::LoadDelegations(Collection* out, const base::Op& op) {
  std::deque<std::pair<std::string, std::vector<std::string>>> queue{{std::string(kTargets), {""}}};
  int64_t seen = 0;
  while (!queue.empty()) {
    const auto [parent, paths] = std::move(queue.front());
    queue.pop_front();
    for (const Delegation& d : out->Children(parent, paths)) {
      auto entry = out->snapshot->meta.find(d.name);
      if (entry == out->snapshot->meta.end()) continue;  // delegated to, nothing signed yet
      if (++seen > op.limits().tuf_delegations)
        return base::FailLimit("tuf_delegations", op.limits().tuf_delegations)
               << options_.gun << ": more delegated roles";
      COAM_RETURN_IF_ERROR(op.Check());
      COAM_ASSIGN_OR_RETURN(std::string bytes, Fetch(d.name, entry->second, op));
      COAM_ASSIGN_OR_RETURN(Metadata m, ParseMetadata(bytes, d.name, &op.limits()));
      absl::Status trusted = CheckSignatures(out->targets.at(parent).keys, d.keys, m);
      if (trusted.ok() && m.Expired(NowNs(op)))
        trusted = Fail("tuf.expired")
                  << d.name << ": expired at " << base::FormatRfc3339(m.expires_ns);
      if (!trusted.ok()) {
        op.AddNote("notary.delegation", d.name, base::GetError(trusted).message);
        out->invalid.insert_or_assign(d.name, std::move(m));
        continue;
      }
      // Delegated roles have no version to be found elsewhere than in the cache.
      auto kept = cache_.Load(d.name);
      if (kept.ok() && *kept) {
        auto old = ParseMetadata(**kept, d.name, &op.limits());
        if (old.ok() && m.version < old->version &&
            CheckSignatures(out->targets.at(parent).keys, d.keys, *old).ok())
          return Fail("tuf.rollback") << options_.gun << ": " << d.name << " version " << m.version
                                      << " is lower than current version " << old->version;
      }
      COAM_RETURN_IF_ERROR(cache_.Save(d.name, bytes));
      out->targets.insert_or_assign(d.name, std::move(m));
      queue.emplace_back(d.name, d.paths);
    }
  }
  return absl::OkStatus();
}

absl::Status Updater::LoadRest(Collection* out, const base::Op& op) {
  *out = Collection{};
  out->gun = options_.gun;
  out->root = *root_;
  COAM_RETURN_IF_ERROR(LoadTimestamp(out, op));
  COAM_RETURN_IF_ERROR(LoadSnapshot(out, op));
  COAM_RETURN_IF_ERROR(LoadTargets(out, op));
  return LoadDelegations(out, op);
}

absl::StatusOr<Collection> Updater::Update(const base::Op& op) {
  pinned_.reset();
  root_.reset();
  COAM_RETURN_IF_ERROR(LoadRoot(op));
  Collection out;
  absl::Status s = LoadRest(&out, op);
  if (s.ok()) return out;
  if (IsFinal(s)) return s;
  // Perhaps our root is the old one.
  const absl::Status renewed = RenewRoot(op);
  if (!renewed.ok()) {
    if (IsFinal(renewed) || base::HasReason(renewed, "notary.root") ||
        base::HasReason(renewed, "tuf.rollback"))
      return renewed;
    return s;
  }
  COAM_RETURN_IF_ERROR(LoadRest(&out, op));
  return out;
}

}  // namespace coaming::trust::notary
