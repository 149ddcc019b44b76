#include "libtrust/tuf/updater.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/digest/hasher.h"
#include "base/stream/stream.h"
#include "libtrust/tuf/delegation.h"

namespace coaming::trust::tuf {

using base::Fail;

namespace {

// HashingWriter passes bytes on and hashes them; never more than `max`.
class CheckingWriter final : public base::Writer {
 public:
  CheckingWriter(base::Writer& sink, const TargetFile& target) : sink_(sink), target_(target) {
    for (const auto& [algorithm, hash] : target.hashes)
      hashers_.emplace_back(base::FindDigestAlgorithm(algorithm));
  }
  absl::Status Write(std::string_view bytes) override {
    size_ += static_cast<int64_t>(bytes.size());
    if (size_ > target_.length)
      return Fail("tuf.mismatch") << target_.path << " has more than its " << target_.length
                                  << " bytes";
    for (base::Hasher& h : hashers_) h.Update(bytes);
    return sink_.Write(bytes);
  }
  absl::Status Check() {
    if (size_ != target_.length)
      return Fail("tuf.mismatch") << target_.path << " has " << size_ << " bytes instead of "
                                  << target_.length;
    for (size_t i = 0; i < hashers_.size(); ++i) {
      const auto& [algorithm, want] = target_.hashes[i];
      base::DigestAlgorithm id = base::FindDigestAlgorithm(algorithm);
      if (id == base::DigestAlgorithm::kUnknown || id == base::DigestAlgorithm::kSha1)
        return Fail("tuf.mismatch")
               << target_.path << ": the hash algorithm " << algorithm << " cannot be checked";
      if (base::HexEncode(hashers_[i].FinishBytes()) != want)
        return Fail("tuf.mismatch")
               << target_.path << " does not have the " << algorithm << " that is signed";
    }
    return absl::OkStatus();
  }

 private:
  base::Writer& sink_;
  const TargetFile& target_;
  std::vector<base::Hasher> hashers_;
  int64_t size_ = 0;
};

std::string WithSlash(std::string_view url) {
  return absl::StrCat(url, !url.empty() && url.back() == '/' ? "" : "/");
}

// Percent-encodes what may not stand in a path; slashes stay.
std::string EncodePath(std::string_view path) {
  std::string out;
  for (char c : path) {
    bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                 std::string_view("/-._~!$&'()*+,;=:@").find(c) != std::string_view::npos;
    if (plain) {
      out += c;
      continue;
    }
    unsigned char byte = static_cast<unsigned char>(c);
    out += '%';
    out += "0123456789ABCDEF"[byte >> 4];
    out += "0123456789ABCDEF"[byte & 15];
  }
  return out;
}

bool NotThere(const absl::Status& status) {
  return base::HasReason(status, "http.not_found") || base::HasReason(status, "http.forbidden");
}

std::string StoreName(std::string_view role) { return absl::StrCat(FileName(role), ".json"); }

}  // namespace

std::string TargetUrl(std::string_view base, const TargetFile& target, bool prefixed) {
  std::string path = target.path;
  if (prefixed && !target.hashes.empty()) {
    size_t slash = path.rfind('/');
    path.insert(slash == std::string::npos ? 0 : slash + 1,
                absl::StrCat(target.hashes.front().second, "."));
  }
  return WithSlash(base) + EncodePath(path);
}

Updater::Updater(Fetcher& fetcher, Store& store, UpdaterOptions options, std::string bootstrap_root)
    : fetcher_(fetcher),
      store_(store),
      options_(std::move(options)),
      bootstrap_(std::move(bootstrap_root)) {}

Updater::~Updater() = default;

std::string Updater::MetadataUrl(std::string_view role, int64_t version) const {
  std::string name = StoreName(role);
  return absl::StrCat(WithSlash(options_.metadata_url),
                      version > 0 ? absl::StrCat(version, ".") : "", name);
}

absl::Status Updater::Refresh(const base::Op& op) {
  refreshed_ = false;
  set_.reset();
  COAM_RETURN_IF_ERROR(op.Check());
  COAM_ASSIGN_OR_RETURN(
      TrustedSet set,
      TrustedSet::New(bootstrap_, op.clock().RealtimeNs() / 1000000000, &op.limits()));
  set_ = std::move(set);
  COAM_RETURN_IF_ERROR(LoadRoot(op));
  COAM_RETURN_IF_ERROR(LoadTimestamp(op));
  COAM_RETURN_IF_ERROR(LoadSnapshot(op));
  COAM_RETURN_IF_ERROR(LoadTargets(op));
  refreshed_ = true;
  return absl::OkStatus();
}

absl::Status Updater::LoadRoot(const base::Op& op) {
  for (int i = 0; i < options_.max_root_updates; ++i) {
    COAM_RETURN_IF_ERROR(op.Check());
    int64_t next = set_->root().version + 1;
    std::string kept = absl::StrCat("root_history/", next, ".root.json");
    auto old = store_.Load(kept, options_.root_bytes);
    if (old.ok() && *old && set_->UpdateRoot(**old).ok()) continue;
    auto bytes = fetcher_.Fetch(MetadataUrl("root", next), options_.root_bytes, op);
    if (!bytes.ok()) {
      if (!NotThere(bytes.status())) return bytes.status();
      break;
    }
    COAM_RETURN_IF_ERROR(set_->UpdateRoot(*bytes));
    COAM_RETURN_IF_ERROR(store_.Save(kept, *bytes));
    COAM_RETURN_IF_ERROR(store_.Save("root.json", *bytes));
  }
  return set_->FinishRoot();
}

absl::Status Updater::LoadTimestamp(const base::Op& op) {
  // The copy kept is judged by the root of now; if it does not hold any more it counts for nothing.
  auto old = store_.Load("timestamp.json", options_.timestamp_bytes);
  if (old.ok() && *old) (void)set_->UpdateTimestamp(**old);
  COAM_ASSIGN_OR_RETURN(std::string bytes,
                        fetcher_.Fetch(MetadataUrl("timestamp", 0), options_.timestamp_bytes, op));
  bool same = false;
  COAM_RETURN_IF_ERROR(set_->UpdateTimestamp(bytes, &same));
  return same ? absl::OkStatus() : store_.Save("timestamp.json", bytes);
}

absl::Status Updater::LoadSnapshot(const base::Op& op) {
  auto old = store_.Load("snapshot.json", options_.snapshot_bytes);
  if (old.ok() && *old && set_->UpdateSnapshot(**old, /*trusted=*/true).ok())
    return absl::OkStatus();
  const MetaFile& meta = set_->timestamp()->meta.begin()->second;
  int64_t max = meta.length >= 0 ? meta.length : options_.snapshot_bytes;
  int64_t version = set_->root().consistent_snapshot ? meta.version : 0;
  COAM_ASSIGN_OR_RETURN(std::string bytes,
                        fetcher_.Fetch(MetadataUrl("snapshot", version), max, op));
  COAM_RETURN_IF_ERROR(set_->UpdateSnapshot(bytes, /*trusted=*/false));
  return store_.Save("snapshot.json", bytes);
}

absl::Status Updater::LoadTargets(const base::Op& op) {
  const MetaFile* meta = set_->MetaOf("targets");
  int64_t max = meta->length >= 0 ? meta->length : options_.targets_bytes;
  auto old = store_.Load("targets.json", max);
  if (old.ok() && *old && set_->UpdateTargets(**old).ok()) return absl::OkStatus();
  int64_t version = set_->root().consistent_snapshot ? meta->version : 0;
  COAM_ASSIGN_OR_RETURN(std::string bytes,
                        fetcher_.Fetch(MetadataUrl("targets", version), max, op));
  COAM_RETURN_IF_ERROR(set_->UpdateTargets(bytes));
  return store_.Save("targets.json", bytes);
}

absl::StatusOr<std::shared_ptr<const Metadata>> Updater::LoadDelegated(
    std::string_view name, const Metadata& delegator, std::string_view delegator_name,
    const base::Op& op) {
  const MetaFile* meta = set_->MetaOf(name);
  if (meta == nullptr)
    return Fail("tuf.not_found") << "the snapshot does not list the role " << name;
  int64_t max = meta->length >= 0 ? meta->length : options_.targets_bytes;
  auto old = store_.Load(StoreName(name), max);
  if (old.ok() && *old) {
    auto kept = set_->ReadDelegated(**old, name, delegator, delegator_name);
    if (kept.ok()) return std::make_shared<const Metadata>(*std::move(kept));
  }
  int64_t version = set_->root().consistent_snapshot ? meta->version : 0;
  COAM_ASSIGN_OR_RETURN(std::string bytes, fetcher_.Fetch(MetadataUrl(name, version), max, op));
  COAM_ASSIGN_OR_RETURN(Metadata read, set_->ReadDelegated(bytes, name, delegator, delegator_name));
  COAM_RETURN_IF_ERROR(store_.Save(StoreName(name), bytes));
  return std::make_shared<const Metadata>(std::move(read));
}

absl::StatusOr<std::optional<TargetFile>> Updater::FindTarget(std::string_view path,
                                                              const base::Op& op) {
  if (!refreshed_) COAM_RETURN_IF_ERROR(Refresh(op));
  struct Step {
    std::string role, delegator_name;
    std::shared_ptr<const Metadata> delegator;  // null: the top-level targets
  };
  std::vector<Step> stack = {{"targets", "root", nullptr}};
  std::set<std::string> visited;
  while (!stack.empty() && static_cast<int>(visited.size()) <= options_.max_delegations) {
    COAM_RETURN_IF_ERROR(op.Check());
    Step step = std::move(stack.back());
    stack.pop_back();
    if (visited.count(step.role) != 0) continue;
    std::shared_ptr<const Metadata> metadata;
    if (step.role == "targets") {
      // Borrowed: the set outlives this search.
      metadata = std::shared_ptr<const Metadata>(std::shared_ptr<void>(), set_->targets());
    } else {
      COAM_ASSIGN_OR_RETURN(metadata,
                            LoadDelegated(step.role, *step.delegator, step.delegator_name, op));
    }
    auto found = metadata->targets.find(std::string(path));
    if (found != metadata->targets.end()) return found->second;
    visited.insert(step.role);
    if (!metadata->delegations) continue;
    std::vector<Step> children;
    for (auto& [child, terminating] : RolesFor(*metadata->delegations, path)) {
      children.push_back({child, step.role, metadata});
      if (terminating) {
        stack.clear();
        break;
      }
    }
    stack.insert(stack.end(), std::make_move_iterator(children.rbegin()),
                 std::make_move_iterator(children.rend()));
  }
  return std::optional<TargetFile>();
}

absl::Status Updater::Download(const TargetFile& target, base::Writer& sink, const base::Op& op) {
  if (!refreshed_) return Fail("core.state") << "download before refresh";
  bool prefixed = options_.prefix_targets_with_hash && set_->root().consistent_snapshot;
  CheckingWriter checker(sink, target);
  COAM_RETURN_IF_ERROR(fetcher_.FetchTo(TargetUrl(options_.targets_url, target, prefixed),
                                        target.length, checker, op));
  return checker.Check();
}

}  // namespace coaming::trust::tuf
