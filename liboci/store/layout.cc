#include "liboci/store/layout.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/digest/hasher.h"
#include "base/fs/atomic_file.h"
#include "base/fs/file.h"
#include "base/stream/filter.h"
#include "base/stream/stream.h"
#include "liboci/spec/image/image_spec.h"
#include "liboci/store/blob_writer.h"
#include "liboci/store/layout_rep.h"

namespace coaming::oci {
namespace {

// BlobReader owns its file; FdReader borrows the op.
std::string Subject(const base::Digest& digest) { return absl::StrCat("blob ", digest.str()); }

absl::Status NotFound(const base::Digest& digest, std::string_view path) {
  return base::Fail("oci.not_found") << "no blob " << digest.str() << " in " << path;
}

}  // namespace

std::string BlobPath(const base::Digest& digest) {
  return absl::StrCat("blobs/", digest.algorithm(), "/", digest.encoded());
}

std::string PartialName(const base::Digest& digest) {
  return absl::StrCat(digest.algorithm(), "-", digest.encoded());
}

absl::StatusOr<const base::Dir*> Layout::Rep::Directory() const {
  absl::MutexLock lock(&mutex);
  if (dir.ok()) return &dir;
  return base::Fail("oci.layout") << path << " is not there";
}

absl::StatusOr<const base::Dir*> Layout::Rep::Writable(const base::Op& op) {
  absl::MutexLock lock(&mutex);
  if (!dir.ok()) {
    COAM_ASSIGN_OR_RETURN(dir, base::Dir::OpenOrMake(path, 0755));
  }
  if (use.held()) return &dir;
  COAM_RETURN_IF_ERROR(dir.MakeDirs(kPartialDir, 0755).status());
  COAM_RETURN_IF_ERROR(dir.MakeDirs("blobs/sha256", 0755).status());
  COAM_ASSIGN_OR_RETURN(use, base::FileLock::Acquire(op, dir, kUseLock, base::LockMode::kShared));
  return &dir;
}

Layout::Layout(std::unique_ptr<Rep> rep) : rep_(std::move(rep)) {}
Layout::~Layout() = default;
const std::string& Layout::path() const { return rep_->path; }

absl::StatusOr<std::shared_ptr<Layout>> Layout::Open(const base::Op& op, std::string_view path,
                                                     const LayoutOptions& options) {
  COAM_RETURN_IF_ERROR(op.Check());
  auto rep = std::make_unique<Rep>();
  rep->path = path;
  rep->create = options.create;
  absl::StatusOr<base::Dir> dir = base::Dir::Open(path);
  if (!dir.ok()) {
    bool missing = base::HasReason(dir.status(), "core.not_found");
    if (!missing) return dir.status();
    if (!options.create) {
      return base::Fail("oci.not_found") << "there is no image layout at " << path;
    }
    return std::shared_ptr<Layout>(new Layout(std::move(rep)));
  }
  {
    absl::MutexLock lock(&rep->mutex);
    rep->dir = *std::move(dir);
  }
  COAM_ASSIGN_OR_RETURN(const base::Dir* open, rep->Directory());
  absl::StatusOr<std::string> header =
      open->ReadFile("oci-layout", op.limits().manifest_bytes, "manifest_bytes");
  if (header.ok()) {
    // Read as loosely as possible: the version is all that counts.
    if (header->find("\"imageLayoutVersion\"") == std::string::npos ||
        header->find("\"1.0.0\"") == std::string::npos) {
      return base::Fail("oci.layout")
             << path << "/oci-layout is not of version 1.0.0 of the image layout";
    }
  } else if (!base::HasReason(header.status(), "core.not_found")) {
    return header.status();
  } else if (!options.create) {
    return base::Fail("oci.layout") << path << " is not an image layout: it has no file oci-layout";
  }
  return std::shared_ptr<Layout>(new Layout(std::move(rep)));
}

bool Layout::Has(const base::Digest& digest) const { return BlobSize(digest).ok(); }

absl::StatusOr<int64_t> Layout::BlobSize(const base::Digest& digest) const {
  absl::StatusOr<const base::Dir*> dir = rep_->Directory();
  if (!dir.ok() || digest.empty()) return NotFound(digest, rep_->path);
  absl::StatusOr<struct stat> st = (*dir)->Stat(BlobPath(digest), /*follow_last=*/true);
  if (!st.ok()) {
    if (base::HasReason(st.status(), "core.not_found")) return NotFound(digest, rep_->path);
    return st.status();
  }
  if (!S_ISREG(st->st_mode)) {
    return base::Fail("oci.layout") << rep_->path << "/" << BlobPath(digest) << " is no file";
  }
  return int64_t{st->st_size};
}

absl::StatusOr<base::UniqueFd> Layout::OpenBlobFd(const base::Digest& digest) const {
  COAM_RETURN_IF_ERROR(BlobSize(digest).status());
  COAM_ASSIGN_OR_RETURN(const base::Dir* dir, rep_->Directory());
  return dir->OpenFile(BlobPath(digest), O_RDONLY | O_NONBLOCK);
}

absl::StatusOr<std::unique_ptr<base::Reader>> Layout::OpenBlob(const base::Op& op,
                                                               const Descriptor& descriptor) const {
  COAM_ASSIGN_OR_RETURN(int64_t size, BlobSize(descriptor.digest));
  if (size != descriptor.size) {
    return base::Fail("digest.size_mismatch")
           << Subject(descriptor.digest) << " in " << rep_->path << " has " << size
           << " bytes, not " << descriptor.size;
  }
  COAM_ASSIGN_OR_RETURN(base::UniqueFd fd, OpenBlobFd(descriptor.digest));
  (void)posix_fadvise(fd.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
  auto file = std::make_unique<base::FdReader>(op, std::move(fd), Subject(descriptor.digest));
  return std::make_unique<base::VerifyingReader>(std::move(file), descriptor.digest,
                                                 descriptor.size, Subject(descriptor.digest));
}

absl::StatusOr<std::string> Layout::ReadBlob(const base::Op& op,
                                             const Descriptor& descriptor) const {
  if (descriptor.size > op.limits().manifest_bytes) {
    return base::FailLimit("manifest_bytes", op.limits().manifest_bytes)
           << Subject(descriptor.digest) << " has " << descriptor.size << " bytes";
  }
  COAM_ASSIGN_OR_RETURN(std::unique_ptr<base::Reader> reader, OpenBlob(op, descriptor));
  return base::ReadAll(*reader, op.limits(), &base::Limits::manifest_bytes);
}

absl::StatusOr<base::Digest> Layout::PutBlob(const base::Op& op, std::string_view bytes) {
  base::Digest digest = base::Sha256(bytes);
  absl::StatusOr<int64_t> have = BlobSize(digest);
  if (have.ok() && *have == static_cast<int64_t>(bytes.size())) return digest;
  COAM_ASSIGN_OR_RETURN(const base::Dir* dir, rep_->Writable(op));
  COAM_RETURN_IF_ERROR(dir->WriteFile(op, BlobPath(digest), bytes, {.mode = 0644, .sync = true}));
  return digest;
}

absl::StatusOr<std::unique_ptr<BlobWriter>> Layout::NewBlob(const base::Op& op,
                                                            const Descriptor& descriptor) {
  if (!descriptor.digest.verifiable()) {
    return base::Fail("digest.unsupported")
           << "blob " << descriptor.digest.str() << " cannot be checked by this build";
  }
  if (descriptor.size > op.limits().blob_bytes) {
    return base::FailLimit("blob_bytes", op.limits().blob_bytes)
           << Subject(descriptor.digest) << " has " << descriptor.size << " bytes";
  }
  COAM_ASSIGN_OR_RETURN(const base::Dir* dir, rep_->Writable(op));
  return NewBlobWriter(op, *dir, descriptor);
}

absl::StatusOr<std::unique_ptr<BlobWriter>> Layout::NewUnknownBlob(const base::Op& op) {
  COAM_ASSIGN_OR_RETURN(const base::Dir* dir, rep_->Writable(op));
  return NewTemporaryBlobWriter(op, *dir, nullptr);
}

absl::Status Layout::LinkBlob(const base::Op& op, const Layout& from, const Descriptor& descriptor,
                              bool hardlink) {
  COAM_ASSIGN_OR_RETURN(const base::Dir* dir, rep_->Writable(op));
  COAM_ASSIGN_OR_RETURN(const base::Dir* from_dir, from.rep_->Directory());
  // Checked first: a hard link shares what it is a link of, so nothing is linked unseen.
  COAM_ASSIGN_OR_RETURN(std::unique_ptr<base::Reader> check, from.OpenBlob(op, descriptor));
  if (hardlink) {
    COAM_RETURN_IF_ERROR(base::Drain(op, *check).status());
    COAM_RETURN_IF_ERROR(
        dir->MakeDirs(absl::StrCat("blobs/", descriptor.digest.algorithm()), 0755).status());
    absl::Status linked =
        dir->Link(*from_dir, BlobPath(descriptor.digest), BlobPath(descriptor.digest));
    if (linked.ok() || base::HasReason(linked, "core.exists")) return absl::OkStatus();
  }
  COAM_ASSIGN_OR_RETURN(std::unique_ptr<BlobWriter> writer, NewBlob(op, descriptor));
  COAM_RETURN_IF_ERROR(writer->Restart());
  COAM_ASSIGN_OR_RETURN(check, from.OpenBlob(op, descriptor));
  std::string block(base::kBlockBytes, '\0');
  while (true) {
    COAM_RETURN_IF_ERROR(op.Check());
    COAM_ASSIGN_OR_RETURN(size_t n, check->Read(std::span<char>(block.data(), block.size())));
    if (n == 0) break;
    COAM_RETURN_IF_ERROR(writer->Write(std::string_view(block.data(), n)));
  }
  return writer->Commit().status();
}

absl::Status Layout::RemoveBlob(const base::Digest& digest) {
  COAM_ASSIGN_OR_RETURN(const base::Dir* dir, rep_->Directory());
  absl::Status status = dir->Unlink(BlobPath(digest));
  return base::HasReason(status, "core.not_found") ? NotFound(digest, rep_->path) : status;
}

}  // namespace coaming::oci
