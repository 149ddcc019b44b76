// Isolators as parts of a runtime specification.
#ifndef COAMING_LIBACI_TO_RUNTIME_ISOLATORS_H_
#define COAMING_LIBACI_TO_RUNTIME_ISOLATORS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/core/op.h"
#include "libaci/schema/isolator.h"
#include "libaci/to_runtime/to_runtime.h"

namespace coaming::aci::internal {

// ApplyResources adds what memory, cpu and cpu-shares isolators ask for.
void ApplyResources(const IsolatorValue& value, run::Resources* resources);

// ApplyIsolators puts an app's isolators into `spec`; what cannot be enforced goes into `ignored`.
// Errors: those of ReadIsolator; aci.isolator_unsupported (a group of system calls nobody knows).
absl::Status ApplyIsolators(const std::vector<Isolator>& isolators, const RuntimeInput& input,
                            run::Spec* spec, std::vector<std::string>* ignored);

// DefaultSeccomp is the filter of an app that asks for none: everything but the calls that reach
// beyond a container.
run::Seccomp DefaultSeccomp();

}  // namespace coaming::aci::internal

#endif  // COAMING_LIBACI_TO_RUNTIME_ISOLATORS_H_
