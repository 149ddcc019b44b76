// ManifestEdit is a set of changes to an image manifest, as acbuild's and actool's words make them.
//
// A plain value; Apply makes all changes or none. What is put where something of the same name
// stands replaces it. Threads: values.
#ifndef COAMING_LIBACI_SCHEMA_EDIT_H_
#define COAMING_LIBACI_SCHEMA_EDIT_H_

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libaci/schema/manifest.h"

namespace coaming::aci {

struct ManifestEdit {
  using Texts = std::vector<std::string>;
  std::string replace;  // a whole manifest to begin with; "" for the one at hand

  std::optional<std::string> name, user, group, working_directory;
  std::optional<Texts> exec, supplementary_gids, pre_start, post_stop, path_whitelist;
  StringMap labels, annotations, environment;  // added or changed
  Texts mounts;                                // "NAME,path=/p[,readOnly=true]"
  Texts ports;                                 // "NAME,protocol=tcp,port=80[,...]"
  StringMap isolators;                         // name -> value as JSON; replaces all of its name
  Texts isolator_words;                        // "resource/cpu,request=50m,limit=100m"; added
  Texts dependencies;                          // "NAME[,imageid=ID][,size=N][,LABEL=VALUE...]"
  Texts capabilities_retain, capabilities_remove;
  std::string seccomp_mode;  // "retain" or "remove", and ",errno=EPERM"
  Texts seccomp_set;

  // By name; a mount also by path, a port also by number. Errors: aci.build_missing.
  Texts remove_labels, remove_annotations, remove_environment, remove_mounts, remove_ports,
      remove_isolators, remove_dependencies;

  bool empty() const;
};

// Apply changes `manifest` and validates it. An app section is made, with user and group "0", when a
// change needs one. Errors: aci.build_missing, aci.manifest_invalid, aci.name_invalid, aci.quantity,
// core.invalid_argument, json.*.
absl::Status Apply(const ManifestEdit& edit, ImageManifest& manifest);

}  // namespace coaming::aci

#endif  // COAMING_LIBACI_SCHEMA_EDIT_H_
