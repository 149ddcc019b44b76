#include <sys/stat.h>

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "liboci/spec/image/image_spec.h"
#include "liboci/store/layout_rep.h"

namespace coaming::oci {
namespace {

// Adds what a manifest or index names to `next`.
absl::Status AddNamed(const base::Op& op, const Descriptor& d, const std::string& bytes,
                      std::vector<Descriptor>* next) {
  if (KindOfMediaType(d.media_type) == MediaKind::kIndex) {
    COAM_ASSIGN_OR_RETURN(Index index, ParseIndex(bytes, d.media_type, op.limits()));
    for (Descriptor& child : index.manifests) next->push_back(std::move(child));
    if (index.subject.has_value()) next->push_back(*std::move(index.subject));
    return absl::OkStatus();
  }
  COAM_ASSIGN_OR_RETURN(Manifest manifest, ParseManifest(bytes, d.media_type, op.limits()));
  next->push_back(std::move(manifest.config));
  for (Descriptor& layer : manifest.layers) next->push_back(std::move(layer));
  if (manifest.subject.has_value()) next->push_back(*std::move(manifest.subject));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Layout::GcResult> Layout::Gc(const base::Op& op, bool dry_run,
                                            int64_t partial_age_s) {
  COAM_RETURN_IF_ERROR(rep_->Directory().status());
  COAM_ASSIGN_OR_RETURN(const base::Dir* dir, rep_->Writable(op));
  // Nobody may be writing blobs that have no name yet. Our own shared lock is given up for it.
  {
    absl::MutexLock lock(&rep_->mutex);
    rep_->use.Release();
  }
  COAM_ASSIGN_OR_RETURN(base::FileLock alone,
                        base::FileLock::Acquire(op, *dir, kUseLock, base::LockMode::kExclusive));
  COAM_ASSIGN_OR_RETURN(base::FileLock names,
                        base::FileLock::Acquire(op, *dir, kNameLock, base::LockMode::kExclusive));
  std::set<base::Digest> keep;
  COAM_ASSIGN_OR_RETURN(std::vector<Descriptor> next, List(op));
  while (!next.empty()) {
    COAM_RETURN_IF_ERROR(op.Check());
    Descriptor d = std::move(next.back());
    next.pop_back();
    if (!keep.insert(d.digest).second) continue;
    MediaKind kind = KindOfMediaType(d.media_type);
    if (kind != MediaKind::kIndex && kind != MediaKind::kManifest) continue;
    absl::StatusOr<std::string> bytes = ReadBlob(op, d);
    if (base::HasReason(bytes.status(), "oci.not_found")) continue;  // sparse layouts are allowed
    COAM_RETURN_IF_ERROR(bytes.status());
    COAM_RETURN_IF_ERROR(
        base::Wrap(AddNamed(op, d, *bytes, &next), absl::StrCat("blob ", d.digest.str())));
  }

  GcResult result;
  COAM_ASSIGN_OR_RETURN(std::vector<base::DirEntry> algorithms, dir->List("blobs"));
  for (const base::DirEntry& algorithm : algorithms) {
    std::string folder = absl::StrCat("blobs/", algorithm.name);
    absl::StatusOr<std::vector<base::DirEntry>> blobs = dir->List(folder);
    if (!blobs.ok()) continue;  // not ours
    for (const base::DirEntry& blob : *blobs) {
      COAM_RETURN_IF_ERROR(op.Check());
      absl::StatusOr<base::Digest> digest =
          base::Digest::Parse(absl::StrCat(algorithm.name, ":", blob.name));
      if (!digest.ok()) continue;  // unknown files are left alone
      if (keep.contains(*digest)) {
        ++result.kept;
        continue;
      }
      std::string path = absl::StrCat(folder, "/", blob.name);
      COAM_ASSIGN_OR_RETURN(struct stat st, dir->Stat(path));
      if (!S_ISREG(st.st_mode)) continue;
      if (!dry_run) COAM_RETURN_IF_ERROR(dir->Unlink(path));
      ++result.blobs;
      result.bytes += st.st_size;
      result.removed.push_back(*std::move(digest));
    }
  }
  COAM_ASSIGN_OR_RETURN(std::vector<base::DirEntry> partials, dir->List(kPartialDir));
  int64_t now = op.clock().RealtimeNs() / 1000000000;
  for (const base::DirEntry& partial : partials) {
    std::string path = absl::StrCat(kPartialDir, "/", partial.name);
    absl::StatusOr<struct stat> st = dir->Stat(path);
    if (!st.ok() || !S_ISREG(st->st_mode)) continue;
    // With nobody writing, a temporary file is what a crash left.
    bool crashed = partial.name.starts_with("tmp-");
    if (!crashed && now - st->st_mtim.tv_sec < partial_age_s) continue;
    if (!dry_run) COAM_RETURN_IF_ERROR(dir->Unlink(path));
    result.bytes += st->st_size;
  }
  return result;
}

}  // namespace coaming::oci
