// Running one plugin once: find it, start it with its parameters, feed it, read it within limits.
// Not for users of the library: client.h is. Follows https://www.cni.dev/docs/spec/, section 2.
//
// Threads: functions without state. Limits: plugin_output_bytes for stdout and for stderr. Hostile
// input: a plugin that never ends, prints for ever or leaves children behind is ended with its whole
// process group at the deadline or at the cancel.
#ifndef COAMING_LIBCNI_INVOKE_EXEC_H_
#define COAMING_LIBCNI_INVOKE_EXEC_H_

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/op.h"
#include "libcni/invoke/client.h"

namespace coaming::cni {

struct PluginCall {
  std::string_view verb;  // "ADD"
  std::string type;
  std::string path;  // of the program
  std::string input;
  std::string container_id;
  std::string netns;
  std::string ifname;
  std::string args;      // CNI_ARGS
  std::string cni_path;  // CNI_PATH
};

// FindPlugin gives the first regular file of that name in the directories.
// Errors: cni.plugin.not_found, cni.conf.invalid.
absl::StatusOr<std::string> FindPlugin(std::span<const std::string> dirs, std::string_view type);

// RunPlugin gives what the plugin printed when it ended well, else its failure.
// Errors: cni.plugin.*, process.spawn, core.limit, core.cancelled, core.deadline_exceeded, core.io.
absl::StatusOr<std::string> RunPlugin(const base::Op& op, const ClientOptions& options,
                                      const PluginCall& call);

}  // namespace coaming::cni

#endif  // COAMING_LIBCNI_INVOKE_EXEC_H_
