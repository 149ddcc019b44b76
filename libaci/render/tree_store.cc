#include "libaci/render/tree_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/digest/hasher.h"
#include "base/fs/tree.h"
#include "base/stream/stream.h"
#include "libaci/render/render.h"
#include "libaci/render/render_tree.h"
#include "libaci/schema/types.h"

namespace coaming::aci {
namespace {

constexpr int64_t kMaxSmall = 64 << 10;
constexpr std::string_view kPrefix = "deps-sha512-";

bool IsTreeId(std::string_view id) {
  return id.size() == kPrefix.size() + 64 && absl::StartsWith(id, kPrefix) &&
         base::IsLowerHex(id.substr(kPrefix.size()));
}

absl::Status CheckTreeId(std::string_view id) {
  if (IsTreeId(id)) return absl::OkStatus();
  return base::Fail("core.invalid_argument") << "\"" << id.substr(0, 100) << "\" is no tree ID";
}

// Hashes a tree: each entry's path, kind, mode, owner, time, device, attributes and contents, in
// WalkTree's order, each part with its length before it.
class TreeHasher {
 public:
  explicit TreeHasher(const base::Op& op)
      : op_(op), hasher_(base::DigestAlgorithm::kSha512), block_(base::kBlockBytes) {}

  absl::StatusOr<std::string> Hash(const base::Dir& root) {
    COAM_RETURN_IF_ERROR(
        base::WalkTree(op_, root, [this](const base::TreeEntry& e, bool*) { return Visit(e); }));
    return base::HexEncode(hasher_.FinishBytes());
  }
  uint64_t bytes() const { return bytes_; }

 private:
  void Part(std::string_view text) {
    hasher_.Update(absl::StrCat(text.size(), ":"));
    hasher_.Update(text);
  }
  absl::Status Visit(const base::TreeEntry& e) {
    COAM_RETURN_IF_ERROR(op_.Check());
    const struct stat& st = e.stat;
    Part(e.path);
    Part(absl::StrCat(st.st_mode, " ", st.st_uid, " ", st.st_gid, " ", st.st_mtim.tv_sec, " ",
                      S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode) ? st.st_rdev : 0));
    COAM_ASSIGN_OR_RETURN(auto xattrs, e.dir->ListXattrs(e.leaf));
    for (const auto& [name, value] : xattrs) {
      Part(name);
      Part(value);
    }
    if (S_ISLNK(st.st_mode)) {
      COAM_ASSIGN_OR_RETURN(std::string target, e.dir->ReadLink(e.leaf));
      Part(target);
    }
    if (!S_ISREG(st.st_mode)) return absl::OkStatus();
    bytes_ += static_cast<uint64_t>(st.st_size);
    hasher_.Update(absl::StrCat(st.st_size, ":"));
    COAM_ASSIGN_OR_RETURN(base::UniqueFd fd, e.dir->OpenFile(e.leaf, O_RDONLY | O_NOFOLLOW));
    base::FdReader in(op_, std::move(fd), e.path);
    for (;;) {
      COAM_ASSIGN_OR_RETURN(size_t n, in.Read(block_));
      if (n == 0) return absl::OkStatus();
      hasher_.Update(block_.data(), n);
    }
  }

  const base::Op& op_;
  base::Hasher hasher_;
  std::vector<char> block_;
  uint64_t bytes_ = 0;
};

}  // namespace

struct TreeStore::Rep {
  std::string root_path;
  base::Dir root;
  const ImageStore* images = nullptr;

  bool Complete(const std::string& id) const {
    absl::StatusOr<bool> there = root.Exists(absl::StrCat(id, "/rendered"));
    return there.ok() && *there;
  }
  std::string LockPath(std::string_view id) const { return absl::StrCat(".lock-", id); }
};

TreeStore::TreeStore(std::unique_ptr<Rep> rep) : rep_(std::move(rep)) {}
TreeStore::~TreeStore() = default;

absl::StatusOr<std::unique_ptr<TreeStore>> TreeStore::Open(const std::string& root,
                                                           const ImageStore& store) {
  auto rep = std::make_unique<Rep>();
  rep->root_path = root;
  rep->images = &store;
  COAM_ASSIGN_OR_RETURN(rep->root, base::Dir::OpenOrMake(root, 0750, base::Containment::kNoLinks));
  return std::unique_ptr<TreeStore>(new TreeStore(std::move(rep)));
}

namespace {

std::string IdOfSteps(const std::vector<RenderStep>& steps) {
  // The lists belong to the images, so the sequence says it all.
  std::string keys;
  for (const RenderStep& step : steps) absl::StrAppend(&keys, keys.empty() ? "" : ",", step.id);
  const base::Digest digest = base::HashBytes(base::DigestAlgorithm::kSha512, keys);
  return absl::StrCat(kPrefix, digest.encoded().substr(0, 64));
}

}  // namespace

absl::StatusOr<std::string> TreeStore::TreeId(std::string_view image_id, const base::Op& op) const {
  COAM_ASSIGN_OR_RETURN(std::vector<RenderStep> steps,
                        PlanRender(image_id, StoreSource(*rep_->images), op));
  return IdOfSteps(steps);
}

absl::StatusOr<TreeStore::Tree> TreeStore::Get(std::string_view image_id, const base::Op& op) {
  COAM_ASSIGN_OR_RETURN(std::vector<RenderStep> steps,
                        PlanRender(image_id, StoreSource(*rep_->images), op));
  const std::string id = IdOfSteps(steps);
  const base::Dir& root = rep_->root;
  Tree out;
  out.id = id;
  out.rootfs = absl::StrCat(rep_->root_path, "/", id, "/rootfs");
  for (;;) {
    COAM_ASSIGN_OR_RETURN(
        out.lock, base::FileLock::Acquire(op, root, rep_->LockPath(id), base::LockMode::kShared));
    if (rep_->Complete(id)) return out;
    out.lock.Release();
    COAM_ASSIGN_OR_RETURN(
        base::FileLock making,
        base::FileLock::Acquire(op, root, rep_->LockPath(id), base::LockMode::kExclusive));
    if (rep_->Complete(id)) continue;  // somebody else made it while we waited
    COAM_RETURN_IF_ERROR(root.RemoveAll(op, id));
    COAM_RETURN_IF_ERROR(root.MakeDir(id, 0755));
    const auto make = [&]() -> absl::Status {
      COAM_ASSIGN_OR_RETURN(base::Dir dir, root.OpenDir(id));
      COAM_RETURN_IF_ERROR(dir.MakeDir("rootfs", 0755));
      COAM_ASSIGN_OR_RETURN(base::Dir rootfs, dir.OpenDir("rootfs"));
      COAM_RETURN_IF_ERROR(RenderSteps(*rep_->images, steps, rootfs, /*keep_owner=*/true, op));
      COAM_ASSIGN_OR_RETURN(std::string manifest, rep_->images->ManifestJson(image_id));
      COAM_RETURN_IF_ERROR(dir.WriteFile(op, "manifest", manifest));
      COAM_RETURN_IF_ERROR(dir.WriteFile(op, "image", image_id));
      TreeHasher hasher(op);
      COAM_ASSIGN_OR_RETURN(std::string hash, hasher.Hash(rootfs));
      COAM_RETURN_IF_ERROR(
          dir.WriteFile(op, "hash", absl::StrCat(hash, " ", hasher.bytes(), "\n")));
      base::WriteFileOptions sync;
      sync.sync = true;
      return dir.WriteFile(op, "rendered", "", sync);
    };
    if (absl::Status status = make(); !status.ok()) {
      // A cancelled operation must still clean up.
      root.RemoveAll(base::Op(), id).IgnoreError();
      root.Unlink(rep_->LockPath(id)).IgnoreError();
      return status;
    }
    making.Release();
  }
}

absl::Status TreeStore::Verify(std::string_view tree_id, const base::Op& op) const {
  COAM_RETURN_IF_ERROR(CheckTreeId(tree_id));
  const std::string id(tree_id);
  COAM_ASSIGN_OR_RETURN(
      base::FileLock lock,
      base::FileLock::Acquire(op, rep_->root, rep_->LockPath(id), base::LockMode::kShared));
  if (!rep_->Complete(id)) {
    return base::Fail("aci.not_found") << "there is no rendered tree " << id;
  }
  COAM_ASSIGN_OR_RETURN(std::string want,
                        rep_->root.ReadFile(absl::StrCat(id, "/hash"), kMaxSmall, "record_bytes"));
  COAM_ASSIGN_OR_RETURN(base::Dir rootfs, rep_->root.OpenDir(absl::StrCat(id, "/rootfs")));
  TreeHasher hasher(op);
  COAM_ASSIGN_OR_RETURN(std::string hash, hasher.Hash(rootfs));
  if (absl::StrCat(hash, " ", hasher.bytes(), "\n") != want) {
    return base::Fail("aci.tree_damaged") << "tree " << id << " was changed after it was rendered";
  }
  return absl::OkStatus();
}

absl::Status TreeStore::Remove(std::string_view tree_id) {
  COAM_RETURN_IF_ERROR(CheckTreeId(tree_id));
  const std::string id(tree_id);
  COAM_ASSIGN_OR_RETURN(bool there, rep_->root.Exists(id));
  if (!there) return base::Fail("aci.not_found") << "there is no rendered tree " << id;
  COAM_ASSIGN_OR_RETURN(
      std::optional<base::FileLock> lock,
      base::FileLock::TryAcquire(rep_->root, rep_->LockPath(id), base::LockMode::kExclusive));
  if (!lock) return base::Fail("aci.in_use") << "tree " << id << " is in use";
  // Without its mark the tree counts as half made, should the rest be interrupted.
  const absl::Status mark = rep_->root.Unlink(absl::StrCat(id, "/rendered"));
  if (!mark.ok() && !base::HasReason(mark, "core.not_found")) return mark;
  COAM_RETURN_IF_ERROR(rep_->root.RemoveAll(base::Op(), id));
  return rep_->root.Unlink(rep_->LockPath(id));
}

absl::StatusOr<std::vector<TreeStore::Record>> TreeStore::List() const {
  COAM_ASSIGN_OR_RETURN(std::vector<base::DirEntry> entries, rep_->root.List(""));
  std::vector<Record> out;
  for (const base::DirEntry& entry : entries) {
    if (!IsTreeId(entry.name)) continue;
    Record record;
    record.id = entry.name;
    record.complete = rep_->Complete(entry.name);
    absl::StatusOr<std::string> image =
        rep_->root.ReadFile(absl::StrCat(entry.name, "/image"), kMaxSmall, "record_bytes");
    if (image.ok() && IsImageId(*image)) record.image_id = *std::move(image);
    absl::StatusOr<std::string> hash =
        rep_->root.ReadFile(absl::StrCat(entry.name, "/hash"), kMaxSmall, "record_bytes");
    if (hash.ok()) {
      const size_t blank = hash->find(' ');
      for (size_t i = blank + 1; blank != std::string::npos && i < hash->size(); ++i) {
        const char c = (*hash)[i];
        if (c < '0' || c > '9') break;
        record.bytes = record.bytes * 10 + static_cast<uint64_t>(c - '0');
      }
    }
    out.push_back(std::move(record));
  }
  return out;
}

absl::StatusOr<std::vector<std::string>> TreeStore::RemoveUnused(
    const std::vector<std::string>& used, bool dry_run, const base::Op& op) {
  COAM_ASSIGN_OR_RETURN(std::vector<Record> records, List());
  std::vector<std::string> out;
  for (const Record& record : records) {
    COAM_RETURN_IF_ERROR(op.Check());
    if (std::find(used.begin(), used.end(), record.id) != used.end()) continue;
    if (!dry_run) {
      const absl::Status status = Remove(record.id);
      if (base::HasReason(status, "aci.in_use") || base::HasReason(status, "aci.not_found")) {
        continue;
      }
      COAM_RETURN_IF_ERROR(status);
    }
    out.push_back(record.id);
  }
  return out;
}

}  // namespace coaming::aci
