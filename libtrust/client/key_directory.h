// KeyDirectory is a trustedkeys directory of the host behind the key store's KeyFiles.
//
//   COAM_ASSIGN_OR_RETURN(auto local, KeyDirectory::Open("/etc/rkt/trustedkeys"));
//   COAM_ASSIGN_OR_RETURN(auto system, KeyDirectory::Open("/usr/lib/rkt/trustedkeys"));
//   KeyStore store(local.get(), system.get());
//
// A directory that does not exist reads as empty and is made by the first write. Files appear whole
// (mode 0644), directories are 0755. Symbolic links beneath are not followed. Threads: [single].
#ifndef COAMING_LIBTRUST_CLIENT_KEY_DIRECTORY_H_
#define COAMING_LIBTRUST_CLIENT_KEY_DIRECTORY_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libtrust/keystore/keystore.h"

namespace coaming::base {
class Dir;
}  // namespace coaming::base

namespace coaming::trust {

// The places rkt reads.
inline constexpr std::string_view kLocalKeyDirectory = "/etc/rkt/trustedkeys";
inline constexpr std::string_view kSystemKeyDirectory = "/usr/lib/rkt/trustedkeys";

class KeyDirectory final : public KeyFiles {
 public:
  // Errors: core.permission and others of opening; a missing directory is none.
  static absl::StatusOr<std::unique_ptr<KeyDirectory>> Open(std::string_view host_path);
  ~KeyDirectory() override;

  absl::StatusOr<std::vector<Entry>> List(const std::string& directory) override;
  absl::StatusOr<std::string> Read(const std::string& path, int64_t max_bytes) override;
  absl::Status Write(const std::string& path, std::string_view bytes) override;
  absl::Status Remove(const std::string& path) override;
  const std::string& path() const { return path_; }

 private:
  explicit KeyDirectory(std::string path);
  std::string path_;
  std::unique_ptr<base::Dir> dir_;  // null while the directory does not exist
};

}  // namespace coaming::trust

#endif  // COAMING_LIBTRUST_CLIENT_KEY_DIRECTORY_H_
