// Certificates for curl, which wants them in files: PEM texts as anonymous files with a path each.
// Private to base/http.
#ifndef COAMING_BASE_HTTP_PEM_FILES_H_
#define COAMING_BASE_HTTP_PEM_FILES_H_

#include <map>
#include <mutex>
#include <string>

#include "absl/status/statusor.h"
#include "base/core/unique_fd.h"

namespace coaming::base::internal {

// ReadPem reads a file of certificates, as curl itself would; base/http may not use base/fs.
// Errors: http.tls.
absl::StatusOr<std::string> ReadPem(const std::string& path);

// Each text has one descriptor for the life of the object, so that a path stands for one content only:
// curl takes up connections again by comparing paths. Threads: [shared].
class PemFiles {
 public:
  absl::StatusOr<std::string> PathOf(const std::string& pem);
  // PathWithSystem is PathOf for `pem` and the system's roots; "" if those are in no single file.
  absl::StatusOr<std::string> PathWithSystem(const std::string& pem);

 private:
  absl::StatusOr<std::string> PathLocked(const std::string& pem);

  std::mutex mu_;  // guards what follows
  std::map<std::string, UniqueFd> files_;
  std::string system_;
  bool looked_ = false;
};

}  // namespace coaming::base::internal

#endif  // COAMING_BASE_HTTP_PEM_FILES_H_
