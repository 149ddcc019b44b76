#include "base/http/curl_descriptors.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "base/core/unique_fd.h"

namespace coaming::base {
namespace {

// So many bytes tell the pair from a socket that happens to get one just now.
constexpr int kWakeups = 7;

struct Candidate {
  int fd;
  int unread, unsent;
};

// Bytes waiting in a socket and bytes of it that its peer has not read; -1 if it is no socket.
Candidate Look(int fd) {
  Candidate out{fd, -1, -1};
  int type = 0, domain = 0;
  socklen_t size = sizeof type;
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0 || domain != AF_UNIX ||
      getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_STREAM) {
    return out;
  }
  if (ioctl(fd, FIONREAD, &out.unread) != 0) out.unread = -1;
  if (ioctl(fd, SIOCOUTQ, &out.unsent) != 0) out.unsent = -1;
  return out;
}

// This process's inheritable, empty stream sockets of the Unix family.
std::vector<Candidate> Candidates() {
  std::vector<Candidate> out;
  const int raw = static_cast<int>(
      syscall(SYS_openat, AT_FDCWD, "/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0));
  if (raw < 0) return out;
  DIR* dir = fdopendir(raw);
  if (dir == nullptr) {
    close(raw);
    return out;
  }
  while (const dirent* entry = readdir(dir)) {
    int fd = -1;
    if (!absl::SimpleAtoi(entry->d_name, &fd) || fd == raw) continue;
    const int flags = fcntl(fd, F_GETFD);
    if (flags < 0 || (flags & FD_CLOEXEC) != 0) continue;
    const Candidate candidate = Look(fd);
    if (candidate.unread == 0 && candidate.unsent == 0) out.push_back(candidate);
  }
  closedir(dir);
  return out;
}

}  // namespace

curl_socket_t OpenCurlSocket(void*, curlsocktype, struct curl_sockaddr* address) {
  const int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
  if (fd < 0 || fd > 2) return fd < 0 ? CURL_SOCKET_BAD : fd;
  absl::StatusOr<UniqueFd> high = HighFd(fd);
  return high.ok() ? high->Release() : CURL_SOCKET_BAD;
}

void MarkWakeupPair(CURLM* multi) {
  std::vector<Candidate> candidates = Candidates();
  if (candidates.empty()) return;
  for (int i = 0; i < kWakeups; ++i) curl_multi_wakeup(multi);
  std::erase_if(candidates, [](const Candidate& c) {
    const Candidate now = Look(c.fd);
    return !(now.unread == kWakeups && now.unsent == 0) && !(now.unread == 0 && now.unsent > 0);
  });
  int ready = 0;
  curl_multi_poll(multi, nullptr, 0, 0, &ready);  // takes what is there
  for (const Candidate& c : candidates) {
    const Candidate now = Look(c.fd);
    if (now.unread == 0 && now.unsent == 0) fcntl(c.fd, F_SETFD, FD_CLOEXEC);
  }
}

}  // namespace coaming::base
