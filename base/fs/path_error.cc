#include "base/fs/path_error.h"

#include <cerrno>

#include "absl/strings/str_cat.h"

namespace coaming::base {

std::string_view ReasonOfErrno(int sys_errno) {
  switch (sys_errno) {
    case ENOENT: return "core.not_found";
    case EEXIST: return "core.exists";
    case EACCES:
    case EPERM:
    case EROFS: return "core.permission";
    case ENOSPC:
    case EDQUOT:
    case EFBIG: return "core.no_space";
    case ELOOP: return "fs.loop";
    case EXDEV: return "fs.escape";
    case ENOTDIR: return "fs.not_directory";
    case ENOTEMPTY:
    case EBUSY:
    case ETXTBSY:
    case EISDIR: return "core.state";
    case ENAMETOOLONG:
    case EINVAL: return "core.invalid_argument";
    case ENOMEM: return "core.no_memory";
    default: return "core.io";
  }
}

ErrorMaker FailPath(std::string_view action, std::string_view path, int sys_errno) {
  return FailErrno(ReasonOfErrno(sys_errno), sys_errno) << action << " " << ShowPath(path);
}

std::string ShowPath(std::string_view path) {
  constexpr size_t kLongest = 512;
  constexpr char kHex[] = "0123456789abcdef";
  std::string cut;
  if (path.size() > kLongest) {
    cut =
        absl::StrCat(path.substr(0, kLongest / 2), "...", path.substr(path.size() - kLongest / 2));
    path = cut;
  }
  std::string out;
  out.reserve(path.size());
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n') {
      out += "\\n";
    } else if (byte < 0x20 || byte == 0x7f) {
      out += "\\x";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      out += c;
    }
  }
  return out.empty() ? "\"\"" : out;
}

}  // namespace coaming::base
