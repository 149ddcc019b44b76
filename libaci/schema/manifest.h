// ImageManifest: what an App Container Image says of itself.
//
// Spec: appc/spec 0.8.11, "Image Manifest Schema". Plain values. Members that the specification
// does not name are kept as raw JSON at every level and are written again, so that a
// read-change-write loses nothing. Parse refuses what the specification forbids; what is merely odd
// (an isolator nobody knows, a newer minor version) goes into notes.
// Limits: manifest_bytes, json_depth, json_values. Threads: values, share const.
#ifndef COAMING_LIBACI_SCHEMA_MANIFEST_H_
#define COAMING_LIBACI_SCHEMA_MANIFEST_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/limits.h"
#include "base/core/op.h"

namespace coaming::aci {

// Members nobody knows: name and JSON text, in their order.
using ExtraMembers = std::vector<std::pair<std::string, std::string>>;
using StringMap = std::vector<std::pair<std::string, std::string>>;  // in the document's order

struct NameValue {  // label, annotation or environment variable
  std::string name, value;
  ExtraMembers extra;
};
using Labels = std::vector<NameValue>;
using Annotations = std::vector<NameValue>;
using Environment = std::vector<NameValue>;

// Find returns the value of `name`, or nullptr. Set changes it or appends it. Erase is true if it
// was there.
const std::string* Find(const std::vector<NameValue>& list, std::string_view name);
void Set(std::vector<NameValue>& list, std::string_view name, std::string_view value);
bool Erase(std::vector<NameValue>& list, std::string_view name);
// LabelsMatch is true if each label of `wanted` is in `have` with the same value.
bool LabelsMatch(const Labels& wanted, const Labels& have);

struct EventHandler {
  std::string name;  // "pre-start" or "post-stop"
  std::vector<std::string> exec;
  ExtraMembers extra;
};

struct MountPoint {
  std::string name, path;
  bool read_only = false;
  ExtraMembers extra;

  // "work,path=/opt[,readOnly=true]". Errors: core.invalid_argument, aci.name_invalid.
  static absl::StatusOr<MountPoint> FromString(std::string_view text);
};

struct Port {
  std::string name, protocol;
  uint32_t port = 0, count = 1;
  bool socket_activated = false;
  ExtraMembers extra;

  // "http,protocol=tcp,port=80[,count=1][,socketActivated=true]".
  static absl::StatusOr<Port> FromString(std::string_view text);
};

struct Isolator {
  std::string name;
  std::string value_json;  // exactly as it was written; see isolator.h for typed reading
  ExtraMembers extra;
};

struct App {
  std::vector<std::string> exec;
  std::string user, group;
  std::vector<uint32_t> supplementary_gids;
  std::vector<EventHandler> event_handlers;
  std::string working_directory;  // "" means "/"
  Environment environment;
  std::vector<MountPoint> mount_points;
  std::vector<Port> ports;
  std::vector<Isolator> isolators;
  StringMap user_annotations, user_labels;
  ExtraMembers extra;
};

struct Dependency {
  std::string image_name;
  std::string image_id;  // "" if not given
  Labels labels;
  uint64_t size = 0;  // 0 if not given
  ExtraMembers extra;
};

struct ImageManifest {
  std::string ac_version{"0.8.11"};
  std::string name;
  Labels labels;
  std::optional<App> app;
  std::vector<Dependency> dependencies;
  std::vector<std::string> path_whitelist;
  Annotations annotations;
  ExtraMembers extra;

  const std::string* Label(std::string_view name) const { return Find(labels, name); }
  // Writes the manifest; members the specification names come first, in its order.
  std::string ToJson(bool pretty = false) const;
};

struct ParseOptions {
  bool strict = false;  // an isolator nobody knows is an error (actool's way), not a note
  const base::Limits* limits = nullptr;  // null: the defaults
  const base::Op* op = nullptr;          // takes the notes; may be null
};

// ParseImageManifest reads and validates. Errors: json.*, aci.manifest_invalid, aci.name_invalid,
// aci.quantity, core.limit; the message names the member ("app.ports[2].name").
absl::StatusOr<ImageManifest> ParseImageManifest(std::string_view json,
                                                 const ParseOptions& options = {});
// Validate checks a manifest made by hand by the same rules.
absl::Status Validate(const ImageManifest& manifest, const ParseOptions& options = {});
absl::Status Validate(const App& app, const ParseOptions& options = {});

// ManifestKind looks only at acKind: "ImageManifest", "PodManifest" or "" (not one of ours).
std::string ManifestKind(std::string_view json);

// DescribeBroken says what can still be read of a manifest that does not validate, for messages:
// "example.com/app,version=1.0" or "".
std::string DescribeBroken(std::string_view json);

}  // namespace coaming::aci

#endif  // COAMING_LIBACI_SCHEMA_MANIFEST_H_
