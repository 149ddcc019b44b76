// Hooks that run on the host, id maps, and the seccomp agent.
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/json/json.h"
#include "base/process/process.h"
#include "liboci/runtime/internal.h"
#include "liboci/runtime/kernel_file.h"

namespace coaming::run::internal {

absl::Status RunHooks(const base::Op& op, const RuntimeRep& host, const std::vector<Hook>& hooks,
                      std::string_view kind, const std::string& state, const std::string& bundle,
                      bool go_on) {
  for (const Hook& h : hooks) {
    base::ProgramSpec program;
    program.program = h.path;
    program.argv = h.args;
    if (program.argv.empty()) program.argv.push_back(h.path);
    program.env = h.env.empty() ? host.options.hook_env : h.env;
    program.stdin_bytes = state;
    program.cwd = bundle;
    base::Op limited = op;
    if (h.timeout)
      limited.set_deadline(base::Deadline::Earlier(
          op.deadline(), base::Deadline::AfterMs(*h.timeout * 1000, op.clock())));
    absl::StatusOr<base::ProgramResult> result = base::RunProgram(limited, program);
    absl::Status failure;
    if (!result.ok()) {
      // Out of the hook's own time, not the operation's.
      if (base::HasReason(result.status(), "core.deadline_exceeded") && op.Check().ok())
        failure = base::Fail("run.hook").Cause(result.status())
                  << "running the " << kind << " hook " << h.path << ": it ran past its timeout";
      else if (base::HasReason(result.status(), "core.cancelled") ||
               base::HasReason(result.status(), "core.deadline_exceeded"))
        return result.status();
      else
        failure = base::Fail("run.hook").Cause(result.status())
                  << "running the " << kind << " hook " << h.path << ": "
                  << base::GetError(result.status()).message;
    } else if (!result->status.ok()) {
      failure = base::Fail("run.hook")
                    .Detail("hook.status", result->status.ShellCode())
                    .Detail("hook.stderr", result->err)
                << "running the " << kind << " hook " << h.path << ": "
                << result->status.ToString();
    }
    if (failure.ok()) continue;
    if (!go_on) return failure;
    op.AddNote("run.hook", h.path, base::GetError(failure).message);
  }
  return absl::OkStatus();
}

namespace {

std::string MapText(const std::vector<IdMap>& maps) {
  std::string text;
  for (const IdMap& m : maps)
    absl::StrAppend(&text, m.container_id, " ", m.host_id, " ", m.size, "\n");
  return text;
}

absl::Status RunMapper(const base::Op& op, const std::string& tool, pid_t pid,
                       const std::vector<IdMap>& maps) {
  constexpr std::string_view kDirs[] = {"/usr/bin", "/usr/local/bin", "/usr/sbin", "/bin"};
  std::vector<std::string> dirs(std::begin(kDirs), std::end(kDirs));
  COAM_ASSIGN_OR_RETURN(std::string path, base::FindProgram(tool, dirs));
  base::ProgramSpec program;
  program.program = path;
  program.argv = {tool, absl::StrCat(pid)};
  for (const IdMap& m : maps)
    for (uint32_t n : {m.container_id, m.host_id, m.size}) program.argv.push_back(absl::StrCat(n));
  COAM_ASSIGN_OR_RETURN(base::ProgramResult result, base::RunProgram(op, program));
  if (result.status.ok()) return absl::OkStatus();
  return base::Fail("run.idmap").Detail("stderr", result.err)
         << "mapping ids with " << path << ": " << result.status.ToString();
}

bool OwnIdOnly(const std::vector<IdMap>& maps, uint32_t own) {
  return maps.size() == 1 && maps[0].size == 1 && maps[0].host_id == own;
}

}  // namespace

absl::Status WriteIdMaps(const base::Op& op, const RuntimeRep& host, const Spec& spec, pid_t pid) {
  const Linux& l = spec.linux_;
  int proc = OpenAt(AT_FDCWD, absl::StrCat("/proc/", pid).c_str(), O_PATH | O_DIRECTORY);
  if (proc < 0) return base::FailErrno("run.idmap", -proc) << "opening /proc/" << pid;
  base::UniqueFd owner(proc);
  auto write = [&](const char* file, const std::vector<IdMap>& maps) -> absl::Status {
    int error = WriteAt(proc, file, MapText(maps));
    if (error == 0) return absl::OkStatus();
    return base::FailErrno("run.idmap", error)
           << "writing \"" << MapText(maps).substr(0, MapText(maps).size() - 1) << "\" to " << file;
  };
  if (host.facts.euid == 0) {
    COAM_RETURN_IF_ERROR(write("gid_map", l.gid_mappings));
    return write("uid_map", l.uid_mappings);
  }
  if (OwnIdOnly(l.gid_mappings, host.facts.egid)) {
    WriteAt(proc, "setgroups", "deny");
    COAM_RETURN_IF_ERROR(write("gid_map", l.gid_mappings));
  } else {
    COAM_RETURN_IF_ERROR(RunMapper(op, "newgidmap", pid, l.gid_mappings));
  }
  if (OwnIdOnly(l.uid_mappings, host.facts.euid)) return write("uid_map", l.uid_mappings);
  return RunMapper(op, "newuidmap", pid, l.uid_mappings);
}

absl::Status SendSeccomp(const Spec& spec, const std::string& state, pid_t pid, int listener) {
  const Seccomp& s = *spec.linux_.seccomp;
  struct sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (s.listener_path.size() >= sizeof address.sun_path)
    return base::Fail("run.seccomp") << "linux.seccomp.listenerPath is too long";
  memcpy(address.sun_path, s.listener_path.data(), s.listener_path.size());
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return base::FailErrno("core.io", errno) << "making a socket";
  COAM_ASSIGN_OR_RETURN(base::UniqueFd owner, base::HighFd(fd));
  if (connect(owner.get(), reinterpret_cast<struct sockaddr*>(&address), sizeof address) != 0)
    return base::FailErrno("run.seccomp", errno)
           << "connecting to the seccomp agent at " << s.listener_path;
  base::json::Value v = base::json::Value::MakeObject();
  v.Set("ociVersion", "1.3.0");
  v.Set("fds", std::vector<std::string>{"seccompFd"});
  v.Set("pid", static_cast<int64_t>(pid));
  if (!s.listener_metadata.empty()) v.Set("metadata", s.listener_metadata);
  absl::StatusOr<base::json::Value> st = base::json::Parse(state);
  if (st.ok()) v.Set("state", *st);
  std::string text = base::json::Write(v);
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  struct iovec iov = {text.data(), text.size()};
  struct msghdr message = {};
  message.msg_iov = &iov;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* c = CMSG_FIRSTHDR(&message);
  c->cmsg_level = SOL_SOCKET;
  c->cmsg_type = SCM_RIGHTS;
  c->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(c), &listener, sizeof listener);
  if (sendmsg(owner.get(), &message, MSG_NOSIGNAL) != static_cast<ssize_t>(text.size()))
    return base::FailErrno("run.seccomp", errno) << "sending the seccomp listener to its agent";
  return absl::OkStatus();
}

}  // namespace coaming::run::internal
