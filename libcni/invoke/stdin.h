// The JSON object a plugin gets on its standard input, made from its configuration. Not for users
// of the library. Follows https://www.cni.dev/docs/spec/, section 3. Pure functions.
#ifndef COAMING_LIBCNI_INVOKE_STDIN_H_
#define COAMING_LIBCNI_INVOKE_STDIN_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/core/limits.h"
#include "libcni/conf/conf.h"
#include "libcni/conf/runtime.h"
#include "libcni/invoke/client.h"

namespace coaming::cni {

struct StdinParts {
  const NetworkList* list = nullptr;
  const PluginConf* plugin = nullptr;
  const Runtime* runtime = nullptr;  // of ADD, DEL, CHECK; null for the others
  const Result* previous = nullptr;
  const std::vector<AttachmentId>* valid = nullptr;  // of GC
  // The reference client leaves `capabilities` and a `prevResult` of the configuration's own in;
  // the specification forbids both for operations on an attachment.
  bool exact = false;
};

// BuildStdin writes it, keys sorted; members nobody knows keep their own bytes.
// Errors: cni.conf.invalid.
absl::StatusOr<std::string> BuildStdin(const StdinParts& parts, const base::Limits& limits);

}  // namespace coaming::cni

#endif  // COAMING_LIBCNI_INVOKE_STDIN_H_
