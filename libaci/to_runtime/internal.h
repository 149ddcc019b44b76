// The parts of to_runtime; private to the package.
#ifndef COAMING_LIBACI_TO_RUNTIME_INTERNAL_H_
#define COAMING_LIBACI_TO_RUNTIME_INTERNAL_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/op.h"
#include "libaci/schema/isolator.h"
#include "libaci/to_runtime/to_runtime.h"
#include "liboci/spec/runtime/types.h"

namespace coaming::aci {

// ApplyResource puts a resource/* or cpu-shares isolator into `out`; false if it cannot be enforced
// by a runtime specification alone.
bool ApplyResource(const IsolatorValue& value, run::Resources* out);

// MakeCapabilities gives the set an app keeps. `retain` and `remove` may be null; names the kernel does
// not have are left out with a note.
run::Capabilities MakeCapabilities(const IsolatorValue* retain, const IsolatorValue* remove, bool all,
                                   const base::Op& op);

// MakeSeccomp gives the filter; nullopt for none. Both null: the default filter. `capabilities` is
// what the app keeps: calls that one of them is meant for stay open in the default filter.
absl::StatusOr<std::optional<run::Seccomp>> MakeSeccomp(const IsolatorValue* retain,
                                                        const IsolatorValue* remove,
                                                        const run::Capabilities& capabilities);

// CleanTarget makes "/a/b" of "/a//b/./" for comparison of mount targets.
std::string CleanTarget(std::string_view path);

}  // namespace coaming::aci

#endif  // COAMING_LIBACI_TO_RUNTIME_INTERNAL_H_
