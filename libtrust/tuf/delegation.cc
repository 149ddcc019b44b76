#include "libtrust/tuf/delegation.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/digest/hasher.h"

namespace coaming::trust::tuf {

namespace {

// One bracket expression at the start of `pattern` ("[...]"): whether it takes `c`, and its length; 0
// if the bracket is not closed and so stands for itself.
size_t MatchSet(std::string_view pattern, unsigned char c, bool* hit) {
  size_t i = 1;
  bool negate = i < pattern.size() && pattern[i] == '!';
  if (negate) ++i;
  size_t close = pattern.find(']', i < pattern.size() && pattern[i] == ']' ? i + 1 : i);
  if (close == std::string_view::npos) return 0;
  bool in = false;
  while (i < close) {
    unsigned char low = static_cast<unsigned char>(pattern[i]);
    if (i + 2 < close && pattern[i + 1] == '-') {
      unsigned char high = static_cast<unsigned char>(pattern[i + 2]);
      in |= low <= c && c <= high;
      i += 3;
    } else {
      in |= low == c;
      ++i;
    }
  }
  *hit = in != negate;
  return close + 1;
}

// One character of UTF-8, since ? takes a character and not a byte.
size_t CharSize(std::string_view text) {
  size_t n = 1;
  while (n < text.size() && (static_cast<unsigned char>(text[n]) & 0xc0) == 0x80) ++n;
  return n;
}

bool MatchComponent(std::string_view pattern, std::string_view text) {
  size_t p = 0, t = 0, star = std::string_view::npos, mark = 0;
  while (t < text.size()) {
    bool hit = false;
    size_t used = 0, eaten = 1;
    if (p < pattern.size()) {
      if (pattern[p] == '*') {
        star = p++;
        mark = t;
        continue;
      }
      if (pattern[p] == '?') {
        hit = true;
        used = 1;
        eaten = CharSize(text.substr(t));
      } else if (pattern[p] == '[') {
        used = MatchSet(pattern.substr(p), static_cast<unsigned char>(text[t]), &hit);
        if (used == 0) {
          hit = text[t] == '[';
          used = 1;
        }
      } else {
        hit = pattern[p] == text[t];
        used = 1;
      }
    }
    if (hit) {
      p += used;
      t += eaten;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++mark;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

int HexWidth(int bits) {
  uint64_t last = (uint64_t{1} << bits) - 1;
  int width = 1;
  while (last >>= 4) ++width;
  return width;
}

}  // namespace

bool MatchPattern(std::string_view pattern, std::string_view path) {
  std::vector<std::string_view> a = absl::StrSplit(pattern, '/'), b = absl::StrSplit(path, '/');
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i)
    if (!MatchComponent(a[i], b[i])) return false;
  return true;
}

bool MatchesRole(const DelegatedRole& role, std::string_view path) {
  if (role.paths) {
    for (const std::string& pattern : *role.paths)
      if (MatchPattern(pattern, path)) return true;
    return false;
  }
  base::Digest digest = base::Sha256(path);
  for (const std::string& prefix : *role.path_hash_prefixes)
    if (absl::StartsWith(digest.encoded(), prefix)) return true;
  return false;
}

std::string BinAt(const SuccinctRoles& roles, uint64_t index) {
  std::string hex(static_cast<size_t>(HexWidth(roles.bit_length)), '0');
  for (size_t i = hex.size(); i-- > 0; index >>= 4) hex[i] = "0123456789abcdef"[index & 15];
  return absl::StrCat(roles.name_prefix, "-", hex);
}

std::string BinName(const SuccinctRoles& roles, std::string_view path) {
  std::string digest = base::Sha256(path).Bytes();
  uint64_t top = 0;
  for (int i = 0; i < 4; ++i) top = top << 8 | static_cast<unsigned char>(digest[i]);
  return BinAt(roles, top >> (32 - roles.bit_length));
}

bool IsBin(const SuccinctRoles& roles, std::string_view name) {
  std::string start = roles.name_prefix + "-";
  if (!absl::StartsWith(name, start)) return false;
  std::string_view hex = name.substr(start.size());
  if (hex.size() != static_cast<size_t>(HexWidth(roles.bit_length))) return false;
  uint64_t value = 0;
  for (char c : hex) {
    if ((c < '0' || c > '9') && (c < 'a' || c > 'f')) return false;
    value = value << 4 | static_cast<uint64_t>(c <= '9' ? c - '0' : c - 'a' + 10);
  }
  return value < uint64_t{1} << roles.bit_length;
}

std::vector<std::pair<std::string, bool>> RolesFor(const Delegations& delegations,
                                                   std::string_view path) {
  std::vector<std::pair<std::string, bool>> out;
  if (delegations.succinct) {
    out.emplace_back(BinName(*delegations.succinct, path), true);
    return out;
  }
  for (const DelegatedRole& role : delegations.roles)
    if (MatchesRole(role, path)) out.emplace_back(role.name, role.terminating);
  return out;
}

const RoleKeys* FindRole(const Delegations& delegations, std::string_view name) {
  if (delegations.succinct)
    return IsBin(*delegations.succinct, name) ? &delegations.succinct->keys : nullptr;
  for (const DelegatedRole& role : delegations.roles)
    if (role.name == name) return &role.keys;
  return nullptr;
}

std::string FileName(std::string_view role) {
  bool dots = role == "." || role == "..";
  std::string out;
  for (char c : role) {
    bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                 c == '_' || c == '-' || (c == '.' && !dots);
    if (plain) {
      out += c;
    } else {
      unsigned char byte = static_cast<unsigned char>(c);
      out += '%';
      out += "0123456789ABCDEF"[byte >> 4];
      out += "0123456789ABCDEF"[byte & 15];
    }
  }
  return out;
}

}  // namespace coaming::trust::tuf
