#include "libcni/result/ip.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace coaming::cni {
namespace {

std::optional<Ip> ParseIp4(std::string_view text) {
  Ip ip;
  ip.family = 4;
  size_t at = 0;
  for (int i = 0; i < 4; ++i) {
    int value = 0;
    size_t start = at;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') {
      value = value * 10 + (text[at++] - '0');
      if (value > 255) return std::nullopt;
    }
    if (at == start || (at - start > 1 && text[start] == '0')) return std::nullopt;
    ip.bytes[i] = static_cast<uint8_t>(value);
    if (i < 3) {
      if (at >= text.size() || text[at] != '.') return std::nullopt;
      ++at;
    }
  }
  if (at != text.size()) return std::nullopt;
  return ip;
}

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::optional<Ip> ParseIp6(std::string_view text) {
  uint16_t groups[8] = {};
  int count = 0;
  int gap = -1;
  size_t at = 0;
  if (text.starts_with("::")) {
    gap = 0;
    at = 2;
  }
  while (at < text.size()) {
    if (count == 8) return std::nullopt;
    size_t start = at;
    int value = 0;
    while (at < text.size() && HexValue(text[at]) >= 0) {
      value = value * 16 + HexValue(text[at++]);
      if (at - start > 4) return std::nullopt;
    }
    if (at < text.size() && text[at] == '.') {  // the last 32 bits in dotted form
      auto tail = ParseIp4(text.substr(start));
      if (!tail.has_value() || count > 6) return std::nullopt;
      groups[count++] = static_cast<uint16_t>(tail->bytes[0] << 8 | tail->bytes[1]);
      groups[count++] = static_cast<uint16_t>(tail->bytes[2] << 8 | tail->bytes[3]);
      at = text.size();
      break;
    }
    if (at == start) return std::nullopt;
    groups[count++] = static_cast<uint16_t>(value);
    if (at == text.size()) break;
    if (text[at] != ':') return std::nullopt;
    ++at;
    if (at == text.size()) return std::nullopt;
    if (text[at] == ':') {
      if (gap >= 0) return std::nullopt;
      gap = count;
      ++at;
    }
  }
  if (gap < 0 ? count != 8 : count > 7) return std::nullopt;
  Ip ip;
  ip.family = 6;
  int moved = gap < 0 ? 0 : count - gap;
  for (int i = 0; i < 8; ++i) {
    uint16_t group = 0;
    if (gap < 0 || i < gap) {
      group = groups[i];
    } else if (i >= 8 - moved) {
      group = groups[gap + (i - (8 - moved))];
    }
    ip.bytes[2 * i] = static_cast<uint8_t>(group >> 8);
    ip.bytes[2 * i + 1] = static_cast<uint8_t>(group);
  }
  return ip;
}

// An IPv4-mapped address becomes an IPv4 address.
Ip Unmapped(const Ip& ip) {
  if (ip.family != 6) return ip;
  for (int i = 0; i < 10; ++i) {
    if (ip.bytes[i] != 0) return ip;
  }
  if (ip.bytes[10] != 0xff || ip.bytes[11] != 0xff) return ip;
  Ip out;
  out.family = 4;
  std::copy(ip.bytes.begin() + 12, ip.bytes.end(), out.bytes.begin());
  return out;
}

std::optional<Ip> ParseAny(std::string_view text) {
  return text.find(':') == text.npos ? ParseIp4(text) : ParseIp6(text);
}

}  // namespace

std::string Ip::ToString() const {
  if (family == 0) return "";
  if (family == 4) {
    return absl::StrCat(int{bytes[0]}, ".", int{bytes[1]}, ".", int{bytes[2]}, ".", int{bytes[3]});
  }
  uint16_t groups[8];
  for (int i = 0; i < 8; ++i)
    groups[i] = static_cast<uint16_t>(bytes[2 * i] << 8 | bytes[2 * i + 1]);
  int best = -1, best_size = 1;  // the longest run of two or more zero groups, the first of equals
  for (int i = 0; i < 8;) {
    int end = i;
    while (end < 8 && groups[end] == 0) ++end;
    if (end - i > best_size) {
      best = i;
      best_size = end - i;
    }
    i = end == i ? i + 1 : end;
  }
  std::string out;
  for (int i = 0; i < 8; ++i) {
    if (i == best) {
      out += "::";
      i += best_size - 1;
      continue;
    }
    if (!out.empty() && out.back() != ':') out += ':';
    absl::StrAppend(&out, absl::Hex(groups[i]));
  }
  return out;
}

Ip Ip::Masked(int prefix) const {
  Ip out = *this;
  for (int i = 0; i < size(); ++i) {
    int keep = std::clamp(prefix - 8 * i, 0, 8);
    out.bytes[i] = static_cast<uint8_t>(out.bytes[i] & (0xff00 >> keep));
  }
  return out;
}

Ip Ip::LastOf(int prefix) const {
  Ip out = *this;
  for (int i = 0; i < size(); ++i) {
    int keep = std::clamp(prefix - 8 * i, 0, 8);
    out.bytes[i] = static_cast<uint8_t>(out.bytes[i] | (0xff >> keep));
  }
  return out;
}

Ip Ip::Next() const {
  Ip out = *this;
  for (int i = size() - 1; i >= 0; --i) {
    if (++out.bytes[i] != 0) break;
  }
  return out;
}

Ip Ip::Previous() const {
  Ip out = *this;
  for (int i = size() - 1; i >= 0; --i) {
    if (out.bytes[i]-- != 0) break;
  }
  return out;
}

std::string IpNet::ToString() const {
  return ok() ? absl::StrCat(ip.ToString(), "/", prefix) : std::string();
}

bool IpNet::Contains(const Ip& other) const {
  return ok() && other.family == ip.family && ip.Masked(prefix) == other.Masked(prefix);
}

std::optional<Ip> ParseIp(std::string_view text) {
  auto ip = ParseAny(text);
  if (ip.has_value()) ip = Unmapped(*ip);
  return ip;
}

std::optional<IpNet> ParseIpNet(std::string_view text) {
  size_t slash = text.find('/');
  if (slash == text.npos) return std::nullopt;
  auto ip = ParseAny(text.substr(0, slash));
  if (!ip.has_value()) return std::nullopt;
  std::string_view digits = text.substr(slash + 1);
  if (digits.empty() || digits.size() > 3 || (digits.size() > 1 && digits[0] == '0')) {
    return std::nullopt;
  }
  int prefix = 0;
  for (char c : digits) {
    if (c < '0' || c > '9') return std::nullopt;
    prefix = prefix * 10 + (c - '0');
  }
  if (prefix > ip->bits()) return std::nullopt;
  Ip plain = Unmapped(*ip);
  if (plain.family != ip->family) {
    if (prefix < 96) return IpNet{*ip, prefix};
    prefix -= 96;
  }
  return IpNet{plain, prefix};
}

}  // namespace coaming::cni
