// The rules for container ids, network names and interface names, which become parts of file names,
// environment variables and kernel names.
//
// Follows https://www.cni.dev/docs/spec/ (parameters) and the kernel's own rule for links. Pure
// functions.
#ifndef COAMING_LIBCNI_CONF_NAMES_H_
#define COAMING_LIBCNI_CONF_NAMES_H_

#include <string_view>

#include "absl/status/status.h"

namespace coaming::cni {

// A letter or digit, then letters, digits, '_', '.', '-'. Errors: cni.name; the detail cni.code is
// 3 for an empty id, 4 otherwise.
absl::Status CheckContainerId(std::string_view id);
// The same characters; cni.code is 7.
absl::Status CheckNetworkName(std::string_view name);
// 1 to 15 bytes, not "." or "..", no '/', ':' or Unicode white space; cni.code is 4.
absl::Status CheckInterfaceName(std::string_view name);
// A file name without '/', not empty, not "." or "..". Errors: cni.conf.invalid.
absl::Status CheckPluginType(std::string_view type);

}  // namespace coaming::cni

#endif  // COAMING_LIBCNI_CONF_NAMES_H_
