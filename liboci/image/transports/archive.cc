// oci-archive:FILE[:NAME]: an image layout in one uncompressed tar. It is read in place, without
// unpacking: the headers are read once, the blobs from where they stand.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/archive/tar.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/digest/hasher.h"
#include "base/fs/atomic_file.h"
#include "base/fs/file.h"
#include "base/stream/compression.h"
#include "base/stream/filter.h"
#include "base/stream/stream.h"
#include "liboci/image/transports.h"
#include "liboci/spec/image/image_spec.h"

namespace coaming::oci {
namespace {

constexpr std::string_view kLayoutFile = R"({"imageLayoutVersion":"1.0.0"})";

std::string BlobName(const base::Digest& digest) {
  return absl::StrCat("blobs/", digest.algorithm(), "/", digest.encoded());
}

// Reads a stretch of a shared file.
class StretchReader final : public base::Reader {
 public:
  StretchReader(std::shared_ptr<base::UniqueFd> fd, int64_t offset, int64_t size, std::string name)
      : fd_(std::move(fd)), at_(offset), end_(offset + size), name_(std::move(name)) {}
  absl::StatusOr<size_t> Read(std::span<char> out) override {
    size_t want =
        static_cast<size_t>(std::min<int64_t>(static_cast<int64_t>(out.size()), end_ - at_));
    if (want == 0) return size_t{0};
    while (true) {
      ssize_t n = pread(fd_->get(), out.data(), want, at_);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return base::FailErrno("core.io", errno) << "read " << name_;
      at_ += n;
      return static_cast<size_t>(n);
    }
  }

 private:
  std::shared_ptr<base::UniqueFd> fd_;
  int64_t at_, end_;
  std::string name_;
};

// The table of contents of one archive.
struct Contents {
  struct Stretch {
    int64_t offset = 0, size = 0;
  };
  std::string path;
  std::shared_ptr<base::UniqueFd> fd;
  std::map<std::string, Stretch, std::less<>> files;

  absl::StatusOr<std::unique_ptr<base::Reader>> Open(std::string_view name) const {
    auto it = files.find(name);
    if (it == files.end()) {
      return base::Fail("oci.not_found") << "no " << name << " in " << path;
    }
    return std::make_unique<StretchReader>(fd, it->second.offset, it->second.size,
                                           absl::StrCat(path, ": ", name));
  }
};

absl::StatusOr<Contents> ReadContents(const base::Op& op, const std::string& path) {
  Contents out;
  out.path = path;
  absl::StatusOr<base::UniqueFd> opened = base::OpenHostFile(path, O_RDONLY);
  if (base::HasReason(opened.status(), "core.not_found")) {
    return base::Fail("oci.not_found") << "there is no image archive " << path;
  }
  COAM_RETURN_IF_ERROR(opened.status());
  out.fd = std::make_shared<base::UniqueFd>(*std::move(opened));
  struct stat st;
  if (fstat(out.fd->get(), &st) != 0)
    return base::FailErrno("core.io", errno) << "look at " << path;
  if (!S_ISREG(st.st_mode)) {
    return base::Fail("oci.layout") << path << " is no regular file; an archive is read in place";
  }
  char magic[8] = {};
  ssize_t n = pread(out.fd->get(), magic, sizeof magic, 0);
  if (n > 0 && base::DetectCompression(std::string_view(magic, static_cast<size_t>(n))) !=
                   base::Compression::kNone) {
    return base::Fail("oci.unsupported")
               .Hint(
                   "unpack the compression first; the layers inside are "
                   "compressed already")
           << path << " is compressed as a whole";
  }
  COAM_ASSIGN_OR_RETURN(
      std::unique_ptr<base::TarReader> tar,
      base::TarReader::Open(op, std::make_unique<StretchReader>(out.fd, 0, st.st_size, path)));
  while (true) {
    absl::StatusOr<const base::TarEntry*> next = tar->Next();
    if (!next.ok()) return base::Wrap(next.status(), path);
    const base::TarEntry* entry = *next;
    if (entry == nullptr) break;
    if (entry->type != base::TarType::kFile || entry->sparse) continue;
    std::string_view name = entry->path;
    while (name.starts_with("./")) name.remove_prefix(2);
    if (entry->size != entry->stored_size) continue;
    out.files[std::string(name)] = {entry->data_offset, entry->size};
  }
  return out;
}

absl::StatusOr<std::string> ReadWhole(const base::Op& op, const Contents& contents,
                                      std::string_view name) {
  COAM_ASSIGN_OR_RETURN(std::unique_ptr<base::Reader> reader, contents.Open(name));
  return base::ReadAll(*reader, op.limits(), &base::Limits::manifest_bytes);
}

absl::StatusOr<Index> ReadNames(const base::Op& op, const Contents& contents) {
  absl::StatusOr<std::string> text = ReadWhole(op, contents, "index.json");
  if (!text.ok()) {
    return base::Fail("oci.layout").Cause(text.status())
           << contents.path << " holds no image layout: it has no index.json";
  }
  absl::StatusOr<Index> index = ParseIndex(*text, "", op.limits());
  if (!index.ok()) return base::Wrap(index.status(), absl::StrCat(contents.path, ": index.json"));
  return index;
}

class ArchiveSourceImpl final : public ImageSource {
 public:
  ArchiveSourceImpl(Contents contents, std::string name)
      : contents_(std::move(contents)), name_(std::move(name)) {}

  absl::StatusOr<ManifestAnswer> Root(const base::Op& op) override {
    COAM_ASSIGN_OR_RETURN(Index index, ReadNames(op, contents_));
    ManifestAnswer answer;
    const Descriptor* found = nullptr;
    if (name_.empty()) {
      if (index.manifests.size() > 1) {
        return base::Fail("oci.ambiguous") << contents_.path << " holds " << index.manifests.size()
                                           << " images, and no name was given";
      }
      if (!index.manifests.empty()) found = &index.manifests[0];
    }
    for (const Descriptor& d : index.manifests) {
      if (found == nullptr && !name_.empty() && d.RefName() == name_) found = &d;
    }
    if (found == nullptr) {
      return base::Fail("oci.not_found")
             << "no image called \"" << name_ << "\" in " << contents_.path;
    }
    answer.descriptor = *found;
    COAM_ASSIGN_OR_RETURN(answer.bytes, ReadDocument(op, answer.descriptor));
    return answer;
  }
  absl::StatusOr<std::string> ReadDocument(const base::Op& op, const Descriptor& d) override {
    COAM_ASSIGN_OR_RETURN(std::unique_ptr<base::Reader> reader, OpenBlob(op, d));
    return base::ReadAll(*reader, op.limits(), &base::Limits::manifest_bytes);
  }
  absl::StatusOr<std::unique_ptr<base::Reader>> OpenBlob(const base::Op& op,
                                                         const Descriptor& d) override {
    std::string name = BlobName(d.digest);
    COAM_ASSIGN_OR_RETURN(std::unique_ptr<base::Reader> reader, contents_.Open(name));
    return std::make_unique<base::VerifyingReader>(std::move(reader), d.digest, d.size,
                                                   absl::StrCat(contents_.path, ": ", name));
  }

 private:
  Contents contents_;
  std::string name_;
};

class ArchiveSinkImpl final : public ImageSink {
 public:
  ArchiveSinkImpl(std::string path, std::string name)
      : path_(std::move(path)), name_(std::move(name)) {}

  absl::Status PutBlobs(const base::Op& op, ImageSource& source,
                        const std::vector<Descriptor>& blobs, Copied* copied) override {
    COAM_RETURN_IF_ERROR(Open(op));
    std::string block(base::kBlockBytes, '\0');
    for (const Descriptor& d : blobs) {
      COAM_ASSIGN_OR_RETURN(std::unique_ptr<base::Reader> reader, source.OpenBlob(op, d));
      COAM_RETURN_IF_ERROR(Directories(d.digest));
      COAM_RETURN_IF_ERROR(tar_->Add(Entry(BlobName(d.digest), d.size)));
      base::ProgressReader progress(op, std::move(reader), "copy", d.digest.str(), d.size);
      while (true) {
        COAM_RETURN_IF_ERROR(op.Check());
        COAM_ASSIGN_OR_RETURN(size_t n, progress.Read(std::span<char>(block)));
        if (n == 0) break;
        COAM_RETURN_IF_ERROR(tar_->Write(std::string_view(block.data(), n)));
      }
      ++copied->blobs_copied;
      copied->bytes_copied += d.size;
    }
    return absl::OkStatus();
  }
  absl::Status PutManifest(const base::Op& op, const Descriptor& d,
                           std::string_view bytes) override {
    COAM_RETURN_IF_ERROR(Open(op));
    COAM_RETURN_IF_ERROR(Directories(d.digest));
    return Put(BlobName(d.digest), bytes);
  }
  absl::Status Commit(const base::Op& op, const Descriptor& d, std::string_view bytes,
                      const std::vector<std::string>& extra_tags) override {
    COAM_RETURN_IF_ERROR(PutManifest(op, d, bytes));
    Index index;
    index.media_type = media::kIndex;
    std::vector<std::string> names = extra_tags;
    names.insert(names.begin(), name_);
    for (const std::string& name : names) {
      Descriptor named = d;
      if (!name.empty()) SetPair(&named.annotations, kRefNameAnnotation, name);
      index.manifests.push_back(std::move(named));
    }
    COAM_RETURN_IF_ERROR(Put("index.json", WriteIndex(index)));
    COAM_RETURN_IF_ERROR(Put("oci-layout", kLayoutFile));
    COAM_RETURN_IF_ERROR(tar_->Finish());
    return file_->Commit();
  }

 private:
  static base::TarEntry Entry(std::string name, int64_t size) {
    base::TarEntry e;
    e.path = std::move(name);
    e.mode = 0644;
    e.size = size;
    return e;
  }
  absl::Status Put(std::string name, std::string_view bytes) {
    return tar_->AddFile(Entry(std::move(name), static_cast<int64_t>(bytes.size())), bytes);
  }
  absl::Status Directories(const base::Digest& digest) {
    for (const std::string& name :
         {std::string("blobs/"), absl::StrCat("blobs/", digest.algorithm(), "/")}) {
      if (!made_.insert({name, true}).second) continue;
      base::TarEntry e;
      e.path = name;
      e.type = base::TarType::kDirectory;
      e.mode = 0755;
      COAM_RETURN_IF_ERROR(tar_->Add(e));
    }
    return absl::OkStatus();
  }
  absl::Status Open(const base::Op& op) {
    if (tar_ != nullptr) return absl::OkStatus();
    COAM_ASSIGN_OR_RETURN(parent_, base::OpenHostParent(path_));
    COAM_ASSIGN_OR_RETURN(base::AtomicFile file,
                          base::AtomicFile::New(parent_->dir, parent_->name, {.sync = true}));
    file_.emplace(std::move(file));
    out_ = std::make_unique<base::FdWriter>(op, file_->fd(), file_->name());
    COAM_ASSIGN_OR_RETURN(tar_, base::TarWriter::New(out_.get()));
    return absl::OkStatus();
  }

  std::string path_, name_;
  std::optional<base::Dir::Leaf> parent_;
  std::optional<base::AtomicFile> file_;
  std::unique_ptr<base::FdWriter> out_;
  std::unique_ptr<base::TarWriter> tar_;
  std::map<std::string, bool> made_;
};

}  // namespace

absl::Status ArchiveParse(std::string_view rest, bool tagless, ImageName* out) {
  return LayoutParse(rest, tagless, out);
}

absl::StatusOr<std::unique_ptr<ImageSource>> ArchiveSource(const base::Op& op, const Env& env,
                                                           const ImageName& name) {
  COAM_ASSIGN_OR_RETURN(Contents contents, ReadContents(op, name.path));
  return std::make_unique<ArchiveSourceImpl>(std::move(contents), name.name);
}

absl::StatusOr<std::unique_ptr<ImageSink>> ArchiveSink(const base::Op& op, const Env& env,
                                                       const ImageName& name) {
  return std::make_unique<ArchiveSinkImpl>(name.path, name.name);
}

absl::StatusOr<std::vector<std::string>> ArchiveList(const base::Op& op, const Env& env,
                                                     const ImageName& name) {
  COAM_ASSIGN_OR_RETURN(Contents contents, ReadContents(op, name.path));
  COAM_ASSIGN_OR_RETURN(Index index, ReadNames(op, contents));
  std::vector<std::string> names;
  for (const Descriptor& d : index.manifests) {
    if (!d.RefName().empty()) names.emplace_back(d.RefName());
  }
  return names;
}

absl::Status ArchiveRemove(const base::Op& op, const Env& env, const ImageName& name) {
  return base::Fail("core.unsupported") << "remove the file " << name.path << " yourself";
}

}  // namespace coaming::oci
