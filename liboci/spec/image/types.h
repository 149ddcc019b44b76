// The values of the OCI image specification, as plain copyable data: descriptor, manifest, index,
// config. Docker's schema 2 documents are read into the same types; their media types stay.
//
// Follows image-spec 1.1.1 (descriptor.md, manifest.md, image-index.md, config.md). Members that no
// field holds are kept as JSON text in `extra`. The bytes that a digest covers are never made again
// from these values: whoever copies a document copies its bytes (image_spec.h).
// Ownership: values. Threads: [immutable] once filled.
#ifndef COAMING_LIBOCI_SPEC_IMAGE_TYPES_H_
#define COAMING_LIBOCI_SPEC_IMAGE_TYPES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/digest/digest.h"
#include "liboci/reference/platform.h"

namespace coaming::oci {

// Strings by name in document order; unknown members as name and JSON text.
using StringPairs = std::vector<std::pair<std::string, std::string>>;
using Extra = std::vector<std::pair<std::string, std::string>>;

// FindPair gives the value of `key`, or nullptr. SetPair replaces or appends.
const std::string* FindPair(const StringPairs& pairs, std::string_view key);
void SetPair(StringPairs* pairs, std::string_view key, std::string_view value);

struct Descriptor {
  std::string media_type;
  base::Digest digest;
  int64_t size = 0;
  std::vector<std::string> urls;
  StringPairs annotations;
  std::string data;  // decoded; "" if absent
  std::string artifact_type;
  std::optional<Platform> platform;
  Extra extra;

  // RefName is the annotation org.opencontainers.image.ref.name, or "".
  std::string_view RefName() const;
  bool operator==(const Descriptor&) const = default;
};

struct Manifest {
  std::string media_type;  // as read: of the document, else what the reader was told
  std::string artifact_type;
  Descriptor config;
  std::vector<Descriptor> layers;
  std::optional<Descriptor> subject;
  StringPairs annotations;
  Extra extra;

  // ArtifactType is artifact_type, else the config's media type.
  const std::string& ArtifactType() const;
  // IsImage is true if the config is one that this library knows to read.
  bool IsImage() const;
};

struct Index {
  std::string media_type;
  std::string artifact_type;
  std::vector<Descriptor> manifests;
  std::optional<Descriptor> subject;
  StringPairs annotations;
  Extra extra;
};

// The `config` member of an image's config: what a container of it runs.
struct ContainerConfig {
  std::string user;
  std::vector<std::string> exposed_ports;  // "80/tcp"
  std::vector<std::string> env;            // "NAME=value"
  std::vector<std::string> entrypoint, cmd;
  std::vector<std::string> volumes;
  std::string working_dir;
  StringPairs labels;
  std::string stop_signal;
  Extra extra;  // Healthcheck, Memory, OnBuild, ...
};

struct History {
  std::string created, author, created_by, comment;
  bool empty_layer = false;
};

struct ImageConfig {
  std::string created;  // RFC 3339, as written
  std::string author;
  Platform platform;
  ContainerConfig config;
  std::vector<base::Digest> diff_ids;
  std::vector<History> history;
  Extra extra;
};

namespace media {
inline constexpr std::string_view kManifest = "application/vnd.oci.image.manifest.v1+json";
inline constexpr std::string_view kIndex = "application/vnd.oci.image.index.v1+json";
inline constexpr std::string_view kConfig = "application/vnd.oci.image.config.v1+json";
inline constexpr std::string_view kLayerTar = "application/vnd.oci.image.layer.v1.tar";
inline constexpr std::string_view kLayerGzip = "application/vnd.oci.image.layer.v1.tar+gzip";
inline constexpr std::string_view kLayerZstd = "application/vnd.oci.image.layer.v1.tar+zstd";
inline constexpr std::string_view kEmpty = "application/vnd.oci.empty.v1+json";
inline constexpr std::string_view kDockerManifest =
    "application/vnd.docker.distribution.manifest.v2+json";
inline constexpr std::string_view kDockerIndex =
    "application/vnd.docker.distribution.manifest.list.v2+json";
inline constexpr std::string_view kDockerConfig = "application/vnd.docker.container.image.v1+json";
inline constexpr std::string_view kDockerLayerGzip =
    "application/vnd.docker.image.rootfs.diff.tar.gzip";
inline constexpr std::string_view kDockerSchema1 =
    "application/vnd.docker.distribution.manifest.v1+json";
inline constexpr std::string_view kDockerSchema1Signed =
    "application/vnd.docker.distribution.manifest.v1+prettyjws";
}  // namespace media

inline constexpr std::string_view kRefNameAnnotation = "org.opencontainers.image.ref.name";

// What a media type stands for.
enum class MediaKind {
  kUnknown,
  kManifest,
  kIndex,
  kConfig,
  kLayer,
  kForeignLayer,
  kSchema1,
  kEmpty
};
MediaKind KindOfMediaType(std::string_view media_type);
// IsMediaType checks the grammar of RFC 6838.
bool IsMediaType(std::string_view text);
// OciMediaType gives the OCI twin of a Docker type, and any other type unchanged.
std::string_view OciMediaType(std::string_view media_type);

}  // namespace coaming::oci

#endif  // COAMING_LIBOCI_SPEC_IMAGE_TYPES_H_
