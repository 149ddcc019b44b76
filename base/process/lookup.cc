// Finding a program in a list of directories.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/core/error.h"
#include "base/process/process.h"

namespace coaming::base {

absl::StatusOr<std::string> FindProgram(std::string_view name, std::span<const std::string> dirs) {
  if (name.empty() || name == "." || name == ".." || name.find('/') != std::string_view::npos ||
      name.find('\0') != std::string_view::npos) {
    return Fail("core.invalid_argument") << "find a program: \"" << name << "\" is not a file name";
  }
  int denied = 0;
  for (const std::string& dir : dirs) {
    if (dir.empty() || dir.find('\0') != std::string::npos) continue;
    std::string path = absl::StrCat(dir, dir.back() == '/' ? "" : "/", name);
    struct stat st;
    if (stat(path.c_str(), &st) != 0 || !S_ISREG(st.st_mode)) continue;
    if (faccessat(AT_FDCWD, path.c_str(), X_OK, AT_EACCESS) == 0) return path;
    denied = errno;
  }
  const std::string where = absl::StrJoin(dirs, ":");
  if (denied == EACCES || denied == EPERM) {
    return FailErrno("core.permission", denied)
           << "program " << name << " in " << where << " may not be executed";
  }
  return Fail("core.not_found") << "no program " << name << " in "
                                << (where.empty() ? "an empty list of directories" : where);
}

std::vector<std::string> SplitSearchPath(std::string_view path) {
  std::vector<std::string> dirs;
  while (!path.empty()) {
    const size_t colon = path.find(':');
    const std::string_view dir = path.substr(0, colon);
    if (!dir.empty()) dirs.emplace_back(dir);
    if (colon == std::string_view::npos) break;
    path.remove_prefix(colon + 1);
  }
  return dirs;
}

}  // namespace coaming::base
