// What the run commands share: opening the runtime, reporting failures in runc's forms too.
#ifndef COAMING_EXAMPLES_COAM_RUN_SHARED_H_
#define COAMING_EXAMPLES_COAM_RUN_SHARED_H_

#include <string>

#include "examples/coam/cli.h"

namespace coam {

using Runtime = Handle<coam_run_runtime, coam_run_runtime_free>;
using Container = Handle<coam_run_container, coam_run_container_free>;
using Process = Handle<coam_run_process, coam_run_process_free>;
using Json = Handle<coam_json, coam_json_free>;

// OpenRuntime reads --root and its like; on failure it has reported and *code is the exit code.
Runtime OpenRuntime(Invocation& in, int* code);
// OpenContainer finds the container named by the first argument.
Container OpenContainer(Invocation& in, const Runtime& runtime, int* code);
// FailRun reports an error: as `coam` does, or in runc's words to stderr and --log.
int FailRun(Invocation& in, const Error& error);
int FailText(Invocation& in, const std::string& message);
// IsRunc is true under the name runc.
bool IsRunc(const Invocation& in);
// RuncLog writes an entry of runc's log (level "error", "warning", "debug"): to --log, else stderr.
void RuncLog(const Invocation& in, std::string_view level, const std::string& message);
// RuncLogIsUsable checks --log and --log-format; false: reported, and *code is the exit code.
bool RuncLogIsUsable(Invocation& in, int* code);

// The commands of run_launch_commands.cc.
int RunCommand(Invocation& in);
int CreateCommand(Invocation& in);
int ExecCommand(Invocation& in);
// The commands of run_attach_commands.cc.
// RunAttached attaches to a created container, starts it and relays until its end: its status, or a
// failure's exit code; -1 if the user has detached.
int RunAttached(Invocation& in, const Container& container);
int AttachCommand(Invocation& in);
int EventsCommand(Invocation& in);
int LogsCommand(Invocation& in);
int WaitCommand(Invocation& in);
// The commands of run_watch_commands.cc.
int StartCommand(Invocation& in);
int StateCommand(Invocation& in);
int KillCommand(Invocation& in);
int DeleteCommand(Invocation& in);
int ListCommand(Invocation& in);
int PsCommand(Invocation& in);
int PauseCommand(Invocation& in);
int ResumeCommand(Invocation& in);
int UpdateCommand(Invocation& in);
int SpecCommand(Invocation& in);
int RuntimeFeaturesCommand(Invocation& in);
int ProbeCommand(Invocation& in);

}  // namespace coam

#endif  // COAMING_EXAMPLES_COAM_RUN_SHARED_H_
