#include "base/http/pem_files.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"

namespace coaming::base::internal {
namespace {

// Where systems keep their roots in one file. GnuTLS takes a quarter of a second to load the same
// roots from a directory of single files, for each connection; so curl's directory is the last resort.
constexpr const char* kSystemBundles[] = {"/etc/ssl/certs/ca-certificates.crt",
                                          "/etc/pki/tls/certs/ca-bundle.crt",
                                          "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"};
constexpr size_t kMaxPem = 16 << 20;

}  // namespace

absl::StatusOr<std::string> ReadPem(const std::string& path) {
  const int raw =
      static_cast<int>(syscall(SYS_openat, AT_FDCWD, path.c_str(), O_RDONLY | O_CLOEXEC, 0));
  if (raw < 0) return FailErrno("http.tls", errno) << "read the certificates in " << path;
  COAM_ASSIGN_OR_RETURN(UniqueFd fd, HighFd(raw));
  std::string text;
  char block[32 << 10];
  for (;;) {
    const ssize_t n = read(fd.get(), block, sizeof block);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FailErrno("http.tls", errno) << "read the certificates in " << path;
    if (n == 0) return text;
    text.append(block, static_cast<size_t>(n));
    if (text.size() > kMaxPem) return Fail("http.tls") << path << " is too large for certificates";
  }
}

absl::StatusOr<std::string> PemFiles::PathOf(const std::string& pem) {
  std::lock_guard<std::mutex> lock(mu_);
  return PathLocked(pem);
}

absl::StatusOr<std::string> PemFiles::PathWithSystem(const std::string& pem) {
  std::lock_guard<std::mutex> lock(mu_);
  if (!looked_) {
    looked_ = true;
    for (const char* path : kSystemBundles) {
      absl::StatusOr<std::string> text = ReadPem(path);
      if (!text.ok() || text->empty()) continue;
      system_ = *std::move(text);
      break;
    }
  }
  if (system_.empty()) return std::string();
  return PathLocked(pem.empty() ? system_ : absl::StrCat(pem, "\n", system_));
}

absl::StatusOr<std::string> PemFiles::PathLocked(const std::string& pem) {
  auto it = files_.find(pem);
  if (it == files_.end()) {
    const int raw = memfd_create("pem", MFD_CLOEXEC);
    if (raw < 0) return FailErrno("core.io", errno) << "make a file for certificates";
    COAM_ASSIGN_OR_RETURN(UniqueFd fd, HighFd(raw));
    std::string_view rest = pem;
    while (!rest.empty()) {
      const ssize_t n = write(fd.get(), rest.data(), rest.size());
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return FailErrno("core.no_memory", errno) << "fill a file with certificates";
      rest.remove_prefix(static_cast<size_t>(n));
    }
    it = files_.emplace(pem, std::move(fd)).first;
  }
  return absl::StrCat("/proc/self/fd/", it->second.get());
}

}  // namespace coaming::base::internal
