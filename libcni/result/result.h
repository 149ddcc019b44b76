// Result is what a CNI plugin answers to ADD: interfaces, addresses, routes and name service.
//
// One C++ type serves the specification's versions 0.1.0 to 1.1.0 (https://www.cni.dev/docs/spec/,
// section 5); `cni_version` says in which of their three JSON shapes it was read and is written.
// Ownership: plain values. Threads: pure functions. Limits: manifest_bytes, json_depth, json_values.
// Hostile input: a plugin's output may be anything; what does not parse is refused as
// cni.result.invalid, members that no version knows are dropped.
#ifndef COAMING_LIBCNI_RESULT_RESULT_H_
#define COAMING_LIBCNI_RESULT_RESULT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "base/core/limits.h"
#include "libcni/result/ip.h"

namespace coaming::cni {

struct Interface {
  std::string name;
  std::string mac;
  std::string sandbox;  // path of the namespace; empty on the host
  int64_t mtu = 0;      // 0 = not said (1.1.0)
  std::string socket_path;
  std::string pci_id;
  bool operator==(const Interface&) const = default;
};

struct IpConfig {
  std::optional<int64_t> interface;  // index into Result::interfaces
  IpNet address;
  Ip gateway;  // may be none
  bool operator==(const IpConfig&) const = default;
};

struct Route {
  IpNet dst;
  Ip gw;  // may be none
  int64_t mtu = 0;
  int64_t advmss = 0;
  int64_t priority = 0;
  std::optional<int64_t> table;
  std::optional<int64_t> scope;
  bool operator==(const Route&) const = default;
};

struct Dns {
  std::vector<std::string> nameservers;
  std::string domain;
  std::vector<std::string> search;
  std::vector<std::string> options;
  bool empty() const {
    return nameservers.empty() && domain.empty() && search.empty() && options.empty();
  }
  bool operator==(const Dns&) const = default;
};

struct Result {
  std::string cni_version;  // one of SupportedVersions()
  std::vector<Interface> interfaces;
  std::vector<IpConfig> ips;
  std::vector<Route> routes;
  Dns dns;
  bool operator==(const Result&) const = default;
};

// ParseResult reads a result of any supported version; one without `cniVersion` (or with an empty
// one) is read as `fallback_version`. `null` is an empty result.
// Errors: cni.result.invalid, cni.version.
absl::StatusOr<Result> ParseResult(std::string_view json, std::string_view fallback_version,
                                   const base::Limits& limits = base::Limits());

// ConvertResult gives the same result in another version; what the older shape cannot say is lost.
// Errors: cni.result.convert (0.1.0 and 0.2.0 need at least one address), cni.version.
absl::StatusOr<Result> ConvertResult(const Result& result, std::string_view version);

// WriteResult writes the shape of `result.cni_version`, members in the order of the specification;
// `pretty` indents by four spaces as plugins print. No newline at the end.
std::string WriteResult(const Result& result, bool pretty = false);

// AddressesOf lists the addresses that belong to the sandbox interface `ifname`, or every address if
// the result names no interfaces (0.1.0, 0.2.0, IPAM).
std::vector<IpConfig> AddressesOf(const Result& result, std::string_view ifname);

}  // namespace coaming::cni

#endif  // COAMING_LIBCNI_RESULT_RESULT_H_
