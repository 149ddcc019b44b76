#include "libcni/testing/netns.h"

#include <dirent.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "absl/strings/str_cat.h"

namespace coaming::cni::testing {
namespace {

void RaiseLoopback() {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq request = {};
  memcpy(request.ifr_name, "lo", 3);
  request.ifr_flags = IFF_UP;
  (void)ioctl(fd, SIOCSIFFLAGS, &request);
  close(fd);
}

std::string RunShell(const std::string& command, int* status) {
  std::string out;
  std::string line =
      absl::StrCat("PATH=/usr/sbin:/usr/bin:/sbin:/bin; export PATH; exec 2>&1; ", command);
  FILE* pipe = popen(line.c_str(), "re");
  if (pipe == nullptr) return "popen failed";
  char buffer[4096];
  size_t n;
  while ((n = fread(buffer, 1, sizeof buffer, pipe)) > 0) out.append(buffer, n);
  int code = pclose(pipe);
  if (status != nullptr) *status = WIFEXITED(code) ? WEXITSTATUS(code) : 128 + WTERMSIG(code);
  return out;
}

}  // namespace

TempDir::TempDir() {
  char name[] = "/tmp/coam-cni-test-XXXXXX";
  if (mkdtemp(name) != nullptr) path_ = name;
}

TempDir::~TempDir() {
  if (!path_.empty()) RunShell(absl::StrCat("rm -rf ", path_), nullptr);
}

std::string ReadFile(const std::string& path) {
  std::string out;
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return out;
  char buffer[65536];
  ssize_t n;
  while ((n = read(fd, buffer, sizeof buffer)) > 0) out.append(buffer, static_cast<size_t>(n));
  close(fd);
  return out;
}

void WriteFile(const std::string& path, std::string_view text, int mode) {
  int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
  if (fd < 0) return;
  while (!text.empty()) {
    ssize_t n = write(fd, text.data(), text.size());
    if (n <= 0) break;
    text.remove_prefix(static_cast<size_t>(n));
  }
  (void)fchmod(fd, static_cast<mode_t>(mode));
  close(fd);
}

bool Exists(const std::string& path) {
  struct stat st;
  return lstat(path.c_str(), &st) == 0;
}

std::vector<std::string> ListDir(const std::string& path) {
  std::vector<std::string> names;
  DIR* dir = opendir(path.c_str());
  if (dir == nullptr) return names;
  while (dirent* entry = readdir(dir)) {
    std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(std::move(name));
  }
  closedir(dir);
  std::sort(names.begin(), names.end());
  return names;
}

void WriteScript(const std::string& path, std::string_view body) {
  WriteFile(path, absl::StrCat("#!/bin/sh\n", body, "\n"), 0755);
}

HostNamespace::HostNamespace() {
  old_ = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  if (old_ < 0 || unshare(CLONE_NEWNET) != 0) {
    why_ = absl::StrCat("a network namespace cannot be made here: ", strerrordesc_np(errno));
    return;
  }
  RaiseLoopback();
}

HostNamespace::~HostNamespace() {
  if (ok()) (void)setns(old_, CLONE_NEWNET);
  if (old_ >= 0) close(old_);
}

ContainerNamespace::ContainerNamespace() {
  std::thread maker([this] {
    if (unshare(CLONE_NEWNET) == 0) fd_ = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  });
  maker.join();
  path_ = absl::StrCat("/proc/", getpid(), "/fd/", fd_);
}

ContainerNamespace::~ContainerNamespace() { Destroy(); }

void ContainerNamespace::Destroy() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

std::string ContainerNamespace::Shell(const std::string& command) const {
  std::string out;
  std::thread inside([&] {
    if (setns(fd_, CLONE_NEWNET) == 0) out = RunShell(command, nullptr);
  });
  inside.join();
  return out;
}

std::string Shell(const std::string& command, int* status) { return RunShell(command, status); }

bool HavePlugins(std::initializer_list<std::string_view> names) {
  for (std::string_view name : names) {
    if (access(absl::StrCat("/usr/lib/cni/", name).c_str(), X_OK) != 0) return false;
  }
  return true;
}

}  // namespace coaming::cni::testing
