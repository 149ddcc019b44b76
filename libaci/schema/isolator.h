// Typed reading of isolator values, and makers that write them.
//
// Spec: appc/spec 0.8.11, "Isolators", "Linux Isolators", "Resource Isolators". An isolator's value
// stays raw JSON in the manifest; this file gives it a type when somebody asks. An isolator that is
// known but lacks its value is an error, never a crash. Threads: values.
#ifndef COAMING_LIBACI_SCHEMA_ISOLATOR_H_
#define COAMING_LIBACI_SCHEMA_ISOLATOR_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libaci/schema/manifest.h"
#include "libaci/schema/quantity.h"

namespace coaming::aci {

enum class IsolatorKind {
  kUnknown,
  kBlockBandwidth,
  kBlockIops,
  kCpu,
  kMemory,
  kNetworkBandwidth,
  kCapabilitiesRetain,
  kCapabilitiesRemove,
  kSeccompRetain,
  kSeccompRemove,
  kNoNewPrivileges,
  kOomScoreAdj,
  kCpuShares,
  kSelinuxContext,
  kApparmorProfile,
  kSysctl,
};

// IsolatorKindOf maps "resource/memory" to kMemory; kUnknown for a name the spec does not have.
IsolatorKind IsolatorKindOf(std::string_view name);
std::string_view IsolatorNameOf(IsolatorKind kind);  // "" for kUnknown

// What one isolator says; only the members of its kind are set.
struct IsolatorValue {
  IsolatorKind kind = IsolatorKind::kUnknown;
  // resource/*
  bool is_default = false;
  std::optional<Quantity> request, limit;
  // capabilities ("CAP_NET_BIND_SERVICE"), seccomp (call names and "@appc.io/all" wildcards)
  std::vector<std::string> set;
  std::string seccomp_errno;  // "EPERM" or ""
  bool no_new_privileges = false;
  int64_t number = 0;  // oom-score-adj, cpu-shares
  std::string selinux_user, selinux_role, selinux_type, selinux_level;
  std::string apparmor_profile;
  StringMap sysctl;
};

// ReadIsolator reads and validates one value. Errors: aci.manifest_invalid, aci.quantity, json.*;
// kUnknown names give a value of that kind and no error.
absl::StatusOr<IsolatorValue> ReadIsolator(const Isolator& isolator);

enum class IsolatorScope { kApp, kPod };
// CheckIsolators validates a list: each value, doubles of those that may stand once, conflicts
// (retain and remove of one family). Unknown names: a note aci.isolator_unknown, or an error when
// `options.strict` and the scope is an app.
absl::Status CheckIsolators(const std::vector<Isolator>& list, IsolatorScope scope,
                            const ParseOptions& options, std::string_view where);

// FindIsolator returns the last isolator of `kind` (later ones win), or nullptr.
const Isolator* FindIsolator(const std::vector<Isolator>& list, IsolatorKind kind);
// SetIsolator removes all isolators of `isolator`'s kind (for capabilities and seccomp: of its
// family) and appends it.
void SetIsolator(std::vector<Isolator>& list, Isolator isolator);

// Makers. Errors: core.invalid_argument, aci.quantity.
absl::StatusOr<Isolator> MakeResource(IsolatorKind kind, std::string_view request,
                                      std::string_view limit);
absl::StatusOr<Isolator> MakeSet(IsolatorKind kind, const std::vector<std::string>& set,
                                 std::string_view seccomp_errno = "");
absl::StatusOr<Isolator> MakeNumber(IsolatorKind kind, int64_t value);
Isolator MakeNoNewPrivileges(bool value);
// "resource/cpu,request=50m,limit=100m", "os/linux/no-new-privileges,true",
// "os/linux/oom-score-adj,5": actool's --isolators element.
absl::StatusOr<Isolator> IsolatorFromString(std::string_view text);

// The capabilities an app has when no isolator speaks of them, by full name.
std::span<const std::string_view> DefaultCapabilities();

}  // namespace coaming::aci

#endif  // COAMING_LIBACI_SCHEMA_ISOLATOR_H_
