// Runtime is what the caller of a network operation knows: which container, which namespace, which
// interface, and the arguments for plugins.
//
// Follows https://www.cni.dev/docs/spec/, section 2, and CONVENTIONS.md of the reference project for
// the well-known capability arguments. Plain values.
#ifndef COAMING_LIBCNI_CONF_RUNTIME_H_
#define COAMING_LIBCNI_CONF_RUNTIME_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"

namespace coaming::cni {

struct PortMapping {
  int host_port = 0;
  int container_port = 0;
  std::string protocol = "tcp";  // "tcp", "udp", "sctp"
  std::string host_ip;           // empty = every address
};

struct Bandwidth {  // bits per second, and bits
  uint64_t ingress_rate = 0;
  uint64_t ingress_burst = 0;
  uint64_t egress_rate = 0;
  uint64_t egress_burst = 0;
};

// CapabilityArgs are values for capabilities by name, each one JSON value. A plugin gets those that
// its configuration declares in `capabilities`; the others are dropped for it.
class CapabilityArgs {
 public:
  // Set replaces the value of `name`. Errors: cni.conf.invalid if `json` is not one JSON value.
  absl::Status Set(std::string_view name, std::string_view json);
  void SetPortMappings(const std::vector<PortMapping>& mappings);
  void SetBandwidth(const Bandwidth& bandwidth);
  void SetIps(const std::vector<std::string>& ips);
  void SetMac(std::string_view mac);
  void SetAliases(const std::vector<std::string>& aliases);
  void SetCgroupPath(std::string_view path);
  void SetDns(const std::vector<std::string>& servers, const std::vector<std::string>& searches,
              const std::vector<std::string>& options);
  // Merge sets every member of a JSON object. Errors: cni.conf.invalid.
  absl::Status Merge(std::string_view object_json);

  bool empty() const { return values_.empty(); }
  // Name and JSON value, sorted by name.
  const std::vector<std::pair<std::string, std::string>>& values() const { return values_; }
  const std::string* Find(std::string_view name) const;
  std::string ToJson() const;

 private:
  void SetRaw(std::string_view name, std::string json);
  std::vector<std::pair<std::string, std::string>> values_;
};

struct Runtime {
  std::string container_id;
  std::string netns;  // path; may be empty on DEL when the namespace is gone
  std::string ifname = "eth0";
  std::vector<std::pair<std::string, std::string>> args;  // CNI_ARGS, in order
  CapabilityArgs capabilities;
};

// ParseCniArgs reads "K=V;K2=V2". Errors: core.invalid_argument.
absl::Status ParseCniArgs(std::string_view text,
                          std::vector<std::pair<std::string, std::string>>* args);

}  // namespace coaming::cni

#endif  // COAMING_LIBCNI_CONF_RUNTIME_H_
