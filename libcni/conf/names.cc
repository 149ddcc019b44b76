#include "libcni/conf/names.h"

#include <cstdint>
#include <string>

#include "absl/strings/escaping.h"
#include "base/core/error.h"

namespace coaming::cni {
namespace {

constexpr size_t kMaxShown = 128;

std::string Shown(std::string_view text) { return absl::CHexEscape(text.substr(0, kMaxShown)); }

bool IsPlainName(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!alnum && (i == 0 || (c != '_' && c != '.' && c != '-'))) return false;
  }
  return !text.empty();
}

// Unicode's White_Space property.
bool IsSpace(uint32_t rune) {
  return (rune >= 0x09 && rune <= 0x0d) || rune == 0x20 || rune == 0x85 || rune == 0xa0 ||
         rune == 0x1680 || (rune >= 0x2000 && rune <= 0x200a) || rune == 0x2028 || rune == 0x2029 ||
         rune == 0x202f || rune == 0x205f || rune == 0x3000;
}

// Takes one character off the front; bytes that are no UTF-8 count as U+FFFD each.
uint32_t NextRune(std::string_view* text) {
  auto byte = [&](size_t i) { return static_cast<uint8_t>((*text)[i]); };
  uint32_t first = byte(0);
  size_t more = first < 0x80                    ? 0
                : first >= 0xc2 && first < 0xe0 ? 1
                : first >= 0xe0 && first < 0xf0 ? 2
                : first >= 0xf0 && first < 0xf5 ? 3
                                                : 9;
  uint32_t rune = more == 0   ? first
                  : more == 1 ? first & 0x1f
                  : more == 2 ? first & 0x0f
                              : first & 0x07;
  bool good = more < text->size() && more != 9;
  for (size_t i = 1; good && i <= more; ++i) {
    good = (byte(i) & 0xc0) == 0x80;
    rune = rune << 6 | (byte(i) & 0x3f);
  }
  if (!good) {
    more = 0;
    rune = 0xfffd;
  }
  text->remove_prefix(more + 1);
  return rune;
}

}  // namespace

absl::Status CheckContainerId(std::string_view id) {
  if (id.empty()) {
    return base::Fail("cni.name").Detail("cni.code", 3) << "the container id is empty";
  }
  if (!IsPlainName(id)) {
    return base::Fail("cni.name").Detail("cni.code", 4)
           << "container id \"" << Shown(id)
           << "\" must be a letter or digit, then letters, digits, '_', '.' or '-'";
  }
  return absl::OkStatus();
}

absl::Status CheckNetworkName(std::string_view name) {
  if (name.empty()) {
    return base::Fail("cni.name").Detail("cni.code", 7) << "the network's name is empty";
  }
  if (!IsPlainName(name)) {
    return base::Fail("cni.name").Detail("cni.code", 7)
           << "network name \"" << Shown(name)
           << "\" must be a letter or digit, then letters, digits, '_', '.' or '-'";
  }
  return absl::OkStatus();
}

absl::Status CheckInterfaceName(std::string_view name) {
  auto refuse = [&](std::string_view why) -> absl::Status {
    return base::Fail("cni.name").Detail("cni.code", 4)
           << "interface name \"" << Shown(name) << "\" " << why;
  };
  if (name.empty()) return refuse("is empty");
  if (name.size() > 15) return refuse("has more than 15 bytes");
  if (name == "." || name == "..") return refuse("is a directory name");
  if (name.find('\0') != name.npos) return refuse("holds a NUL");
  std::string_view rest = name;
  while (!rest.empty()) {
    uint32_t rune = NextRune(&rest);
    if (rune == '/' || rune == ':' || IsSpace(rune)) {
      return refuse("holds '/', ':' or white space");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckPluginType(std::string_view type) {
  if (type.empty()) return base::Fail("cni.conf.invalid") << "a plugin has an empty type";
  if (type == "." || type == ".." || type.find('/') != type.npos || type.find('\0') != type.npos ||
      type.size() > 255) {
    return base::Fail("cni.conf.invalid")
           << "plugin type \"" << Shown(type) << "\" is not the name of a file";
  }
  return absl::OkStatus();
}

}  // namespace coaming::cni
