// Ip and IpNet: addresses as CNI documents spell them, read strictly and written canonically.
//
// An IPv4-mapped IPv6 address counts as IPv4, as everywhere in CNI. Plain values; pure functions.
#ifndef COAMING_LIBCNI_RESULT_IP_H_
#define COAMING_LIBCNI_RESULT_IP_H_

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace coaming::cni {

struct Ip {
  int family = 0;                   // 0 = none, 4 or 6
  std::array<uint8_t, 16> bytes{};  // the first 4 count when family is 4

  bool ok() const { return family != 0; }
  int size() const { return family == 4 ? 4 : 16; }
  int bits() const { return size() * 8; }
  auto operator<=>(const Ip&) const = default;
  std::string ToString() const;  // "" if none; RFC 5952
  Ip Masked(int prefix) const;   // host bits cleared
  Ip LastOf(int prefix) const;   // host bits set
  Ip Next() const;               // wraps at the end
  Ip Previous() const;
};

struct IpNet {
  Ip ip;  // host bits kept
  int prefix = 0;

  bool ok() const { return ip.ok(); }
  auto operator<=>(const IpNet&) const = default;
  std::string ToString() const;  // "10.1.2.3/24"; "" if none
  bool Contains(const Ip& other) const;
};

std::optional<Ip> ParseIp(std::string_view text);
// ParseIpNet reads "address/prefix"; both parts are needed.
std::optional<IpNet> ParseIpNet(std::string_view text);

}  // namespace coaming::cni

#endif  // COAMING_LIBCNI_RESULT_IP_H_
