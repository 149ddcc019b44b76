// Failure turns what a failed plugin printed into an error with a reason. Not for users of the
// library. Follows https://www.cni.dev/docs/spec/, "Error". Pure functions; the output is hostile.
#ifndef COAMING_LIBCNI_INVOKE_FAILURE_H_
#define COAMING_LIBCNI_INVOKE_FAILURE_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "base/core/limits.h"
#include "base/json/value.h"

namespace coaming::cni {

struct PluginOutput {
  std::string_view plugin;  // its type
  std::string_view verb;
  std::string_view out;
  std::string_view err;
  int exit_status = 0;  // when exit_signal is 0
  int exit_signal = 0;
};

// DecodeFailure finds the last error object in the output (old plugins print a result before it) and
// gives it as cni.plugin.*; without one, cni.plugin.output or cni.plugin.exit.
absl::Status DecodeFailure(const PluginOutput& output, const base::Limits& limits);

// FailureReason is the reason of an error code of the specification.
std::string_view FailureReason(uint64_t code);

// TailOf is the end of a plugin's output in one printable line, for messages and details.
std::string TailOf(std::string_view text, size_t max_bytes = 1024);

}  // namespace coaming::cni

#endif  // COAMING_LIBCNI_INVOKE_FAILURE_H_
