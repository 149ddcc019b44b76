// CleanPath is an archive's name without empty, "." and ".." parts and without slashes at its ends.
// Private to liboci/layer.
#ifndef COAMING_LIBOCI_LAYER_CLEAN_PATH_H_
#define COAMING_LIBOCI_LAYER_CLEAN_PATH_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace coaming::oci {

struct CleanPath {
  std::string path;  // "" is the root
  std::string_view parent() const {
    size_t slash = path.rfind('/');
    return slash == std::string::npos ? std::string_view()
                                      : std::string_view(path).substr(0, slash);
  }
  std::string_view leaf() const {
    size_t slash = path.rfind('/');
    return slash == std::string::npos ? std::string_view(path)
                                      : std::string_view(path).substr(slash + 1);
  }
};

// Clean reads a name as rooted ("/a" is "a"); ".." takes the part before it away. A name that climbs
// above the root is oci.layer.
absl::Status Clean(std::string_view name, CleanPath* out);

}  // namespace coaming::oci

#endif  // COAMING_LIBOCI_LAYER_CLEAN_PATH_H_
