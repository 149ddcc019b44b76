#include "liboci/image/transports.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/stream/filter.h"
#include "base/stream/stream.h"

namespace coaming::oci {
namespace {

constexpr ImageTransport kTransports[] = {
    {"docker", "docker://HOST/REPOSITORY[:TAG|@DIGEST]", DockerParse, DockerSource, DockerSink,
     DockerList, DockerRemove},
    {"oci", "oci:DIRECTORY[:NAME]", LayoutParse, LayoutSource, LayoutSink, LayoutList,
     LayoutRemove},
    {"oci-archive", "oci-archive:FILE[:NAME]", ArchiveParse, ArchiveSource, ArchiveSink,
     ArchiveList, ArchiveRemove},
    {"dir", "dir:DIRECTORY", DirParse, DirSource, DirSink, DirList, DirRemove},
};

absl::StatusOr<ImageName> ParseName(std::string_view text, bool tagless) {
  size_t colon = text.find(':');
  std::string_view word = text.substr(0, colon);
  const ImageTransport* transport = colon == std::string_view::npos ? nullptr : FindTransport(word);
  if (transport == nullptr) {
    std::string known;
    for (const ImageTransport& t : kTransports) {
      absl::StrAppend(&known, known.empty() ? "" : ", ", t.usage);
    }
    return base::Fail("oci.transport").Hint(absl::StrCat("write one of ", known))
           << "\"" << text.substr(0, 200) << "\" does not say where the image is";
  }
  ImageName out;
  out.transport = word;
  COAM_RETURN_IF_ERROR(transport->parse(text.substr(colon + 1), tagless, &out));
  return out;
}

}  // namespace

std::span<const ImageTransport> ImageTransports() { return kTransports; }

const ImageTransport* FindTransport(std::string_view name) {
  for (const ImageTransport& t : kTransports) {
    if (t.name == name) return &t;
  }
  return nullptr;
}

absl::StatusOr<ImageName> ImageName::Parse(std::string_view text) { return ParseName(text, false); }

absl::StatusOr<ImageName> ImageName::ParseRepository(std::string_view text) {
  return ParseName(text, true);
}

std::string ImageName::ToString() const {
  if (transport == "docker") {
    return absl::StrCat("docker://", reference.tag.empty() && reference.digest.empty()
                                         ? reference.Name()
                                         : reference.ToString());
  }
  return absl::StrCat(transport, ":", path, name.empty() ? "" : ":", name);
}

absl::Status CopyBlob(const base::Op& op, ImageSource& source, const Descriptor& d,
                      BlobWriter& writer) {
  COAM_ASSIGN_OR_RETURN(std::unique_ptr<base::Reader> reader, source.OpenBlob(op, d));
  COAM_RETURN_IF_ERROR(writer.Restart());
  base::ProgressMeter meter(op, "copy", d.digest.str(), d.size, "bytes");
  COAM_RETURN_IF_ERROR(meter.Start());
  std::string block(base::kBlockBytes, '\0');
  while (true) {
    COAM_RETURN_IF_ERROR(op.Check());
    COAM_ASSIGN_OR_RETURN(size_t n, reader->Read(std::span<char>(block.data(), block.size())));
    if (n == 0) break;
    COAM_RETURN_IF_ERROR(writer.Write(std::string_view(block.data(), n)));
    COAM_RETURN_IF_ERROR(meter.Advance(writer.size()));
  }
  COAM_RETURN_IF_ERROR(writer.Commit().status());
  return meter.Finish();
}

absl::Status ImageSource::FetchBlobs(const base::Op& op, std::span<const Registry::BlobJob> jobs) {
  for (const Registry::BlobJob& job : jobs) {
    COAM_RETURN_IF_ERROR(CopyBlob(op, *this, job.descriptor, *job.writer));
  }
  return absl::OkStatus();
}

absl::Status ImageSink::PutSignatures(const base::Op& op, const Descriptor& d, bool root,
                                      const std::vector<trust::PolicySignature>& signatures,
                                      const trust::SignatureStores& stores) {
  return base::Fail("policy.store") << "an image layout or archive has no place for signatures";
}

absl::StatusOr<std::vector<trust::PolicySignature>> ImageSource::Signatures(
    const base::Op& op, const Descriptor& d, const trust::SignatureStores& stores) {
  return std::vector<trust::PolicySignature>();
}

absl::StatusOr<std::vector<Descriptor>> ImageSource::Referrers(const base::Op& op,
                                                               const Descriptor& d,
                                                               std::string_view artifact_type) {
  return std::vector<Descriptor>();
}

}  // namespace coaming::oci
