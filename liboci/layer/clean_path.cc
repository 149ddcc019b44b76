#include "liboci/layer/clean_path.h"

#include "base/core/error.h"

namespace coaming::oci {

absl::Status Clean(std::string_view name, CleanPath* out) {
  std::string& path = out->path;
  path.clear();
  path.reserve(name.size());
  while (!name.empty()) {
    size_t slash = name.find('/');
    std::string_view part = name.substr(0, slash);
    name = slash == std::string_view::npos ? std::string_view() : name.substr(slash + 1);
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      if (path.empty()) {
        return base::Fail("oci.layer") << "the name leads out of the root";
      }
      size_t last = path.rfind('/');
      path.resize(last == std::string::npos ? 0 : last);
      continue;
    }
    if (!path.empty()) path.push_back('/');
    path.append(part);
  }
  return absl::OkStatus();
}

}  // namespace coaming::oci
