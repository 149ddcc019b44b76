#include "libcni/invoke/exec.h"

#include <errno.h>
#include <poll.h>
#include <sys/stat.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/fs/file.h"
#include "base/process/process.h"
#include "libcni/conf/names.h"
#include "libcni/invoke/failure.h"

namespace coaming::cni {
namespace {

constexpr int kBusyTries = 6;

// Waits a while for a plugin that is being written, unless the operation must stop.
absl::Status Pause(const base::Op& op, int ms) {
  COAM_RETURN_IF_ERROR(op.Check());
  pollfd wait = {
      .fd = op.cancel() != nullptr ? op.cancel()->fd() : -1, .events = POLLIN, .revents = 0};
  (void)poll(&wait, 1, op.deadline().PollMs(ms, op.clock()));
  return op.Check();
}

base::ProgramSpec MakeSpec(const ClientOptions& options, const PluginCall& call) {
  base::ProgramSpec spec;
  spec.program = call.path;
  spec.argv = {call.path};
  for (const auto& [name, value] : options.env) {
    // Ours win, as in the reference client.
    if (!name.starts_with("CNI_")) spec.env.push_back(absl::StrCat(name, "=", value));
  }
  auto set = [&](std::string_view name, std::string_view value) {
    spec.env.push_back(absl::StrCat(name, "=", value));
  };
  set("CNI_COMMAND", call.verb);
  set("CNI_CONTAINERID", call.container_id);
  set("CNI_NETNS", call.netns);
  set("CNI_ARGS", call.args);
  set("CNI_IFNAME", call.ifname);
  set("CNI_PATH", call.cni_path);
  spec.stdin_bytes = call.input;
  spec.cwd = "/";
  return spec;
}

}  // namespace

absl::StatusOr<std::string> FindPlugin(std::span<const std::string> dirs, std::string_view type) {
  COAM_RETURN_IF_ERROR(CheckPluginType(type));
  for (const std::string& dir : dirs) {
    std::string path = base::JoinPath(dir, type);
    auto st = base::StatHost(path);
    if (st.ok() && S_ISREG(st->st_mode)) return path;
  }
  return base::Fail("cni.plugin.not_found").Detail("cni.plugin", type)
         << "plugin " << type << " is not in "
         << (dirs.empty() ? std::string("any directory, for none is given")
                          : absl::StrJoin(dirs, ", "));
}

absl::StatusOr<std::string> RunPlugin(const base::Op& op, const ClientOptions& options,
                                      const PluginCall& call) {
  const base::ProgramSpec spec = MakeSpec(options, call);
  absl::StatusOr<base::ProgramResult> ran = absl::UnknownError("not run");
  for (int i = 0; i < kBusyTries; ++i) {
    ran = base::RunProgram(op, spec);
    if (ran.ok() || base::GetError(ran.status()).sys_errno != ETXTBSY) break;
    COAM_RETURN_IF_ERROR(Pause(op, 50 << i));
  }
  if (!ran.ok()) {
    base::Error error = base::GetError(ran.status());
    error.message = absl::StrCat(call.type, " (", call.verb, "): ", error.message);
    return base::ToStatus(error);
  }
  if (!ran->status.ok()) {
    return DecodeFailure({.plugin = call.type,
                          .verb = call.verb,
                          .out = ran->out,
                          .err = ran->err,
                          .exit_status = ran->status.code,
                          .exit_signal = ran->status.signal},
                         op.limits());
  }
  if (!ran->err.empty()) {
    base::Log(op.log(), base::LogLevel::kDebug, "cni", TailOf(ran->err),
              {{"plugin", call.type}, {"verb", call.verb}});
  }
  return std::move(ran->out);
}

}  // namespace coaming::cni
