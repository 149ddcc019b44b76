// dir:DIRECTORY: one image as loose files, the way `skopeo copy ... dir:` writes them: version,
// manifest.json, HEX for each blob, HEX.manifest.json for the manifests that an index names.
#include <fcntl.h>
#include <sys/stat.h>

#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/digest/hasher.h"
#include "base/fs/atomic_file.h"
#include "base/fs/dir.h"
#include "base/stream/filter.h"
#include "base/stream/stream.h"
#include "liboci/image/transports.h"
#include "liboci/spec/image/image_spec.h"
#include "libtrust/policy/signature_blob.h"

namespace coaming::oci {
namespace {

constexpr std::string_view kVersion = "Directory Transport Version: 1.1\n";

absl::Status CheckAlgorithm(const Descriptor& d) {
  if (d.digest.algorithm() == "sha256") return absl::OkStatus();
  return base::Fail("oci.unsupported")
         << "dir: names blobs by sha256 only, and one is " << d.digest.str();
}

class DirectorySource final : public ImageSource {
 public:
  explicit DirectorySource(base::Dir dir) : dir_(std::move(dir)) {}

  absl::StatusOr<ManifestAnswer> Root(const base::Op& op) override {
    ManifestAnswer answer;
    absl::StatusOr<std::string> bytes =
        dir_.ReadFile("manifest.json", op.limits().manifest_bytes, "manifest_bytes");
    if (base::HasReason(bytes.status(), "core.not_found")) {
      return base::Fail("oci.layout") << dir_.name() << " holds no image: it has no manifest.json";
    }
    COAM_RETURN_IF_ERROR(bytes.status());
    answer.bytes = *std::move(bytes);
    answer.descriptor.digest = base::Sha256(answer.bytes);
    answer.descriptor.size = static_cast<int64_t>(answer.bytes.size());
    COAM_ASSIGN_OR_RETURN(answer.descriptor.media_type, DetectMediaType(answer.bytes, op.limits()));
    return answer;
  }
  absl::StatusOr<std::string> ReadDocument(const base::Op& op, const Descriptor& d) override {
    COAM_RETURN_IF_ERROR(CheckAlgorithm(d));
    std::string name(d.digest.encoded());
    MediaKind kind = KindOfMediaType(d.media_type);
    if (kind == MediaKind::kManifest || kind == MediaKind::kIndex) name += ".manifest.json";
    absl::StatusOr<std::string> bytes =
        dir_.ReadFile(name, op.limits().manifest_bytes, "manifest_bytes");
    if (base::HasReason(bytes.status(), "core.not_found")) return Missing(d);
    COAM_RETURN_IF_ERROR(bytes.status());
    COAM_RETURN_IF_ERROR(base::CheckDigest(d.digest, *bytes, dir_.PathOf(name)));
    return bytes;
  }
  absl::StatusOr<std::unique_ptr<base::Reader>> OpenBlob(const base::Op& op,
                                                         const Descriptor& d) override {
    COAM_RETURN_IF_ERROR(CheckAlgorithm(d));
    std::string name(d.digest.encoded());
    absl::StatusOr<struct stat> st = dir_.Stat(name);
    if (base::HasReason(st.status(), "core.not_found")) return Missing(d);
    COAM_RETURN_IF_ERROR(st.status());
    if (!S_ISREG(st->st_mode)) {
      return base::Fail("oci.layout") << dir_.PathOf(name) << " is no file";
    }
    COAM_ASSIGN_OR_RETURN(base::UniqueFd fd, dir_.OpenFile(name, O_RDONLY | O_NOFOLLOW));
    auto file = std::make_unique<base::FdReader>(op, std::move(fd), dir_.PathOf(name));
    return std::make_unique<base::VerifyingReader>(std::move(file), d.digest, d.size,
                                                   dir_.PathOf(name));
  }

  absl::StatusOr<std::vector<trust::PolicySignature>> Signatures(
      const base::Op& op, const Descriptor& d, const trust::SignatureStores& stores) override {
    COAM_RETURN_IF_ERROR(CheckAlgorithm(d));
    COAM_ASSIGN_OR_RETURN(const ManifestAnswer root, Root(op));
    // The image's own are signature-N; those of a manifest within an index have its digest before it.
    const std::string start =
        root.descriptor.digest == d.digest ? "" : absl::StrCat(d.digest.encoded(), "-");
    std::vector<trust::PolicySignature> out;
    while (true) {
      const std::string name = absl::StrCat(start, "signature-", out.size() + 1);
      absl::StatusOr<std::string> bytes =
          dir_.ReadFile(name, op.limits().signature_bytes, "signature_bytes");
      if (base::HasReason(bytes.status(), "core.not_found")) return out;
      COAM_RETURN_IF_ERROR(bytes.status());
      if (out.size() >= kMaxSignatures) {
        return base::FailLimit("signatures", kMaxSignatures) << "signatures in " << dir_.name();
      }
      absl::StatusOr<trust::PolicySignature> one = trust::ReadSignatureBlob(*bytes);
      if (!one.ok()) return base::Wrap(one.status(), dir_.PathOf(name));
      out.push_back(*std::move(one));
    }
  }

 private:
  absl::Status Missing(const Descriptor& d) {
    return base::Fail("oci.not_found") << "no blob " << d.digest.str() << " in " << dir_.name();
  }
  base::Dir dir_;
};

class DirectorySink final : public ImageSink {
 public:
  explicit DirectorySink(std::string path) : path_(std::move(path)) {}

  absl::Status PutBlobs(const base::Op& op, ImageSource& source,
                        const std::vector<Descriptor>& blobs, Copied* copied) override {
    COAM_RETURN_IF_ERROR(Open(op));
    for (const Descriptor& d : blobs) {
      COAM_RETURN_IF_ERROR(CheckAlgorithm(d));
      std::string name(d.digest.encoded());
      COAM_ASSIGN_OR_RETURN(std::unique_ptr<base::Reader> reader, source.OpenBlob(op, d));
      COAM_ASSIGN_OR_RETURN(base::AtomicFile file, base::AtomicFile::New(*dir_, name));
      base::FdWriter out(op, file.fd(), file.name());
      base::ProgressReader progress(op, std::move(reader), "copy", d.digest.str(), d.size);
      COAM_RETURN_IF_ERROR(base::Copy(op, progress, out).status());
      COAM_RETURN_IF_ERROR(file.Commit());
      ++copied->blobs_copied;
      copied->bytes_copied += d.size;
    }
    return absl::OkStatus();
  }
  absl::Status PutManifest(const base::Op& op, const Descriptor& d,
                           std::string_view bytes) override {
    COAM_RETURN_IF_ERROR(Open(op));
    COAM_RETURN_IF_ERROR(CheckAlgorithm(d));
    return dir_->WriteFile(op, absl::StrCat(d.digest.encoded(), ".manifest.json"), bytes);
  }
  absl::Status PutSignatures(const base::Op& op, const Descriptor& d, bool root,
                             const std::vector<trust::PolicySignature>& signatures,
                             const trust::SignatureStores& stores) override {
    COAM_RETURN_IF_ERROR(Open(op));
    COAM_RETURN_IF_ERROR(CheckAlgorithm(d));
    const std::string start = root ? "" : absl::StrCat(d.digest.encoded(), "-");
    for (size_t i = 0; i < signatures.size(); ++i) {
      COAM_RETURN_IF_ERROR(dir_->WriteFile(op, absl::StrCat(start, "signature-", i + 1),
                                           trust::WriteSignatureBlob(signatures[i])));
    }
    return absl::OkStatus();
  }
  absl::Status Commit(const base::Op& op, const Descriptor& d, std::string_view bytes,
                      const std::vector<std::string>& extra_tags) override {
    COAM_RETURN_IF_ERROR(Open(op));
    if (!extra_tags.empty()) {
      return base::Fail("core.invalid_argument") << "dir: holds one image and has no names";
    }
    COAM_RETURN_IF_ERROR(dir_->WriteFile(op, "version", kVersion));
    return dir_->WriteFile(op, "manifest.json", bytes, {.sync = true});
  }

 private:
  // What is there must be an image of this kind, or nothing; the old one goes.
  absl::Status Open(const base::Op& op) {
    if (dir_.has_value()) return absl::OkStatus();
    COAM_ASSIGN_OR_RETURN(base::Dir dir, base::Dir::OpenOrMake(path_, 0755));
    COAM_ASSIGN_OR_RETURN(std::vector<base::DirEntry> entries, dir.List());
    if (!entries.empty()) {
      absl::StatusOr<std::string> version = dir.ReadFile("version", 1024, "manifest_bytes");
      if (!version.ok() || !version->starts_with("Directory Transport Version:")) {
        return base::Fail("core.exists")
               << path_ << " is not empty and holds no image; nothing was changed";
      }
      COAM_RETURN_IF_ERROR(dir.RemoveAll(op, ""));
    }
    dir_ = std::move(dir);
    return absl::OkStatus();
  }

  std::string path_;
  std::optional<base::Dir> dir_;
};

}  // namespace

absl::Status DirParse(std::string_view rest, bool tagless, ImageName* out) {
  out->path = rest;
  if (rest.empty()) return base::Fail("oci.transport") << "\"dir:\" needs a path";
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<ImageSource>> DirSource(const base::Op& op, const Env& env,
                                                       const ImageName& name) {
  absl::StatusOr<base::Dir> dir = base::Dir::Open(name.path);
  if (base::HasReason(dir.status(), "core.not_found")) {
    return base::Fail("oci.not_found") << "there is no image at " << name.path;
  }
  COAM_RETURN_IF_ERROR(dir.status());
  return std::make_unique<DirectorySource>(*std::move(dir));
}

absl::StatusOr<std::unique_ptr<ImageSink>> DirSink(const base::Op& op, const Env& env,
                                                   const ImageName& name) {
  return std::make_unique<DirectorySink>(name.path);
}

absl::StatusOr<std::vector<std::string>> DirList(const base::Op& op, const Env& env,
                                                 const ImageName& name) {
  return std::vector<std::string>();  // one image, without a name
}

absl::Status DirRemove(const base::Op& op, const Env& env, const ImageName& name) {
  return base::Fail("core.unsupported") << "remove the directory " << name.path << " yourself";
}

}  // namespace coaming::oci
