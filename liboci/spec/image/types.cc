#include "liboci/spec/image/types.h"

#include <algorithm>

namespace coaming::oci {
namespace {

struct MediaRow {
  std::string_view type;
  MediaKind kind;
  std::string_view oci_twin;  // "" if it is an OCI type itself
};

constexpr std::string_view kForeignTar = "application/vnd.oci.image.layer.nondistributable.v1.tar";

constexpr MediaRow kMediaTypes[] = {
    {media::kManifest, MediaKind::kManifest, ""},
    {media::kIndex, MediaKind::kIndex, ""},
    {media::kConfig, MediaKind::kConfig, ""},
    {media::kLayerTar, MediaKind::kLayer, ""},
    {media::kLayerGzip, MediaKind::kLayer, ""},
    {media::kLayerZstd, MediaKind::kLayer, ""},
    {kForeignTar, MediaKind::kForeignLayer, ""},
    {"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", MediaKind::kForeignLayer, ""},
    {"application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", MediaKind::kForeignLayer, ""},
    {media::kEmpty, MediaKind::kEmpty, ""},
    {media::kDockerManifest, MediaKind::kManifest, media::kManifest},
    {media::kDockerIndex, MediaKind::kIndex, media::kIndex},
    {media::kDockerConfig, MediaKind::kConfig, media::kConfig},
    {media::kDockerLayerGzip, MediaKind::kLayer, media::kLayerGzip},
    {"application/vnd.docker.image.rootfs.diff.tar", MediaKind::kLayer, media::kLayerTar},
    {"application/vnd.docker.image.rootfs.diff.tar.zstd", MediaKind::kLayer, media::kLayerZstd},
    {"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", MediaKind::kForeignLayer,
     "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"},
    {media::kDockerSchema1, MediaKind::kSchema1, ""},
    {media::kDockerSchema1Signed, MediaKind::kSchema1, ""},
};

const MediaRow* FindRow(std::string_view media_type) {
  for (const MediaRow& row : kMediaTypes) {
    if (row.type == media_type) return &row;
  }
  return nullptr;
}

bool IsAlnum(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool IsMediaPart(std::string_view part) {
  if (part.empty() || part.size() > 127 || !IsAlnum(part[0])) return false;
  return std::all_of(part.begin(), part.end(), [](char c) {
    return IsAlnum(c) || std::string_view("!#$&^_.+-").find(c) != std::string_view::npos;
  });
}

}  // namespace

const std::string* FindPair(const StringPairs& pairs, std::string_view key) {
  for (const auto& [name, value] : pairs) {
    if (name == key) return &value;
  }
  return nullptr;
}

void SetPair(StringPairs* pairs, std::string_view key, std::string_view value) {
  for (auto& [name, old] : *pairs) {
    if (name != key) continue;
    old = value;
    return;
  }
  pairs->emplace_back(key, value);
}

std::string_view Descriptor::RefName() const {
  const std::string* name = FindPair(annotations, kRefNameAnnotation);
  return name == nullptr ? std::string_view() : std::string_view(*name);
}

const std::string& Manifest::ArtifactType() const {
  return artifact_type.empty() ? config.media_type : artifact_type;
}

bool Manifest::IsImage() const { return KindOfMediaType(config.media_type) == MediaKind::kConfig; }

MediaKind KindOfMediaType(std::string_view media_type) {
  const MediaRow* row = FindRow(media_type);
  return row == nullptr ? MediaKind::kUnknown : row->kind;
}

std::string_view OciMediaType(std::string_view media_type) {
  const MediaRow* row = FindRow(media_type);
  return row == nullptr || row->oci_twin.empty() ? media_type : row->oci_twin;
}

bool IsMediaType(std::string_view text) {
  size_t slash = text.find('/');
  return slash != std::string_view::npos && IsMediaPart(text.substr(0, slash)) &&
         IsMediaPart(text.substr(slash + 1));
}

}  // namespace coaming::oci
