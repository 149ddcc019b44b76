#include "base/testing/environment.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

namespace coaming::base::testing {
namespace {

// True if a child that calls unshare(flags) gets it.
bool CanUnshare(int flags) {
  const pid_t pid = fork();
  if (pid == 0) _exit(unshare(flags) == 0 ? 0 : 1);
  int status = 1;
  return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

std::string Slurp(const std::string& path, bool* ok) {
  std::ifstream in(path, std::ios::binary);
  *ok = static_cast<bool>(in);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

}  // namespace

bool IsRoot() { return geteuid() == 0; }

std::string ProgramPath(std::string_view name) {
  for (const char* dir :
       {"/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin", "/sbin"}) {
    std::string path = std::string(dir) + "/" + std::string(name);
    if (access(path.c_str(), X_OK) == 0) return path;
  }
  return "";
}

bool KernelHasOpenat2() {
  open_how how;
  memset(&how, 0, sizeof how);
  how.flags = O_PATH | O_CLOEXEC;
  const long fd = syscall(SYS_openat2, AT_FDCWD, "/", &how, sizeof how);
  if (fd >= 0) close(static_cast<int>(fd));
  return fd >= 0;
}

int KernelVersion() {
  utsname u;
  int major = 0, minor = 0;
  if (uname(&u) != 0 || sscanf(u.release, "%d.%d", &major, &minor) != 2) return 0;
  return major * 1000 + minor;
}

bool KernelHasPidfdInfo() { return KernelVersion() >= 6015; }
bool CanUnshareUser() { return CanUnshare(CLONE_NEWUSER); }
bool CanUnshareNet() { return CanUnshare(CLONE_NEWNET); }

bool HasCgroup2() {
  return IsRoot() && access("/sys/fs/cgroup/cgroup.procs", W_OK) == 0 &&
         access("/sys/fs/cgroup/cgroup.controllers", R_OK) == 0;
}

int Shell(std::string_view command, std::string* output) {
  const std::string whole = "{ " + std::string(command) + "\n} 2>&1";
  FILE* pipe = popen(whole.c_str(), "re");
  if (pipe == nullptr) return -1;
  char block[4096];
  size_t n;
  while ((n = fread(block, 1, sizeof block, pipe)) > 0) {
    if (output != nullptr) output->append(block, n);
  }
  const int status = pclose(pipe);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

std::vector<int> OpenFds() {
  std::vector<int> fds;
  DIR* dir = opendir("/proc/self/fd");
  if (dir == nullptr) return fds;
  const int own = dirfd(dir);
  while (const dirent* e = readdir(dir)) {
    if (e->d_name[0] == '.') continue;
    const int fd = atoi(e->d_name);
    if (fd != own) fds.push_back(fd);
  }
  closedir(dir);
  std::sort(fds.begin(), fds.end());
  return fds;
}

std::string CheckGolden(std::string_view workspace_path, std::string_view actual) {
  const std::string path(workspace_path);
  const char* workspace = getenv("BUILD_WORKSPACE_DIRECTORY");
  if (getenv("COAM_UPDATE_GOLDEN") != nullptr && workspace != nullptr) {
    std::ofstream(std::string(workspace) + "/" + path, std::ios::binary | std::ios::trunc)
        .write(actual.data(), static_cast<std::streamsize>(actual.size()));
    return "";
  }
  bool ok = false;
  const std::string want = Slurp(path, &ok);
  if (!ok) return "no golden file " + path + " (is it in the test's data?)";
  if (want == actual) return "";
  size_t i = 0, line = 1;
  while (i < want.size() && i < actual.size() && want[i] == actual[i]) {
    if (want[i] == '\n') ++line;
    ++i;
  }
  const auto around = [&](std::string_view text) {
    const size_t from = text.rfind('\n', i == 0 ? 0 : i - 1);
    const size_t begin = from == std::string_view::npos ? 0 : from + 1;
    return std::string(text.substr(std::min(begin, text.size()), 200));
  };
  return path + ":" + std::to_string(line) + ": want\n" + around(want) + "\ngot\n" + around(actual);
}

}  // namespace coaming::base::testing
