// PodManifest: which apps run together, on which volumes, with which ports and bounds.
//
// Spec: appc/spec 0.8.11, "Pod Manifest Schema". Plain values; unknown members are kept (see
// manifest.h). Limits: manifest_bytes, json_depth, json_values. Threads: values, share const.
#ifndef COAMING_LIBACI_SCHEMA_POD_MANIFEST_H_
#define COAMING_LIBACI_SCHEMA_POD_MANIFEST_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libaci/schema/manifest.h"

namespace coaming::aci {

struct Volume {
  enum class Kind { kHost, kEmpty };
  std::string name;
  Kind kind = Kind::kEmpty;
  std::string source;  // kHost: absolute path
  std::optional<bool> read_only, recursive;
  std::string mode = "0755";  // kEmpty only, octal text
  uint32_t uid = 0, gid = 0;  // kEmpty only
  ExtraMembers extra;

  // "NAME,kind=host,source=/p[,readOnly=b][,recursive=b]" or
  // "NAME,kind=empty[,readOnly=b][,mode=0755][,uid=n][,gid=n]".
  static absl::StatusOr<Volume> FromString(std::string_view text);
  // The same form; defaults are not printed.
  std::string ToString() const;
};

struct Mount {
  std::string volume, path;
  std::optional<Volume> app_volume;  // wins over a volume of the pod with that name
  ExtraMembers extra;

  // "volume=V,target=P". Errors: core.invalid_argument, aci.name_invalid.
  static absl::StatusOr<Mount> FromString(std::string_view text);
};

struct RuntimeImage {
  std::string name;  // "" if not given
  std::string id;    // full image ID; "" in a template
  Labels labels;
  ExtraMembers extra;
};

struct RuntimeApp {
  std::string name;
  RuntimeImage image;
  std::optional<App> app;  // replaces the image's app as a whole
  bool read_only_root_fs = false;
  std::vector<Mount> mounts;
  Annotations annotations;
  ExtraMembers extra;
};

struct ExposedPort {
  std::string name;
  uint32_t host_port = 0;
  std::string host_ip;  // "" = all addresses
  std::optional<Port> pod_port;
  ExtraMembers extra;
};

struct PodManifest {
  std::string ac_version{"0.8.11"};
  std::vector<RuntimeApp> apps;
  std::vector<Volume> volumes;
  std::vector<Isolator> isolators;
  Annotations annotations;
  std::vector<ExposedPort> ports;
  StringMap user_annotations, user_labels;
  ExtraMembers extra;

  const RuntimeApp* FindApp(std::string_view name) const;
  const Volume* FindVolume(std::string_view name) const;
  // Lists that are empty are written as null where the reference does so (the metadata service's
  // callers compare them).
  std::string ToJson(bool pretty = false) const;
};

// ParsePodManifest reads and validates. Errors as ParseImageManifest.
absl::StatusOr<PodManifest> ParsePodManifest(std::string_view json,
                                             const ParseOptions& options = {});
absl::Status Validate(const PodManifest& manifest, const ParseOptions& options = {});

}  // namespace coaming::aci

#endif  // COAMING_LIBACI_SCHEMA_POD_MANIFEST_H_
