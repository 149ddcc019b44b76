// TufDirectory is a TUF repository in a directory of the host: metadata/ is what is published, beside it
// lie the edits and the present state, and targets/ holds the target files by their hashes.
//
//   COAM_ASSIGN_OR_RETURN(auto repo, TufDirectory::Open("/srv/tuf"));
//   COAM_RETURN_IF_ERROR(repo->AddTarget("targets", "app.tar", "/build/app.tar", op));
//
// Serve metadata/ and targets/ by any web server. Files appear whole. Keys are PEM texts: "PUBLIC KEY"
// for who may sign, "PRIVATE KEY" or "ENCRYPTED PRIVATE KEY" for signing.
// Threads: [single]; one process at a time, held by a lock from Open on.
#ifndef COAMING_LIBTRUST_CLIENT_TUF_DIRECTORY_H_
#define COAMING_LIBTRUST_CLIENT_TUF_DIRECTORY_H_

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/op.h"
#include "libtrust/tuf/repository.h"

namespace coaming::trust {

class TufDirectory {
 public:
  static absl::StatusOr<std::unique_ptr<TufDirectory>> Open(std::string_view host_path,
                                                            const base::Op& op);
  ~TufDirectory();

  tuf::Repository& repository();
  // Init with public keys as PEM, by role.
  absl::Status Init(const tuf::InitOptions& options,
                    const std::map<std::string, std::vector<std::string>>& keys);
  // AddTarget hashes a file (SHA-256 and SHA-512), copies it into targets/ under each hash, and stages
  // the role. `custom` is JSON or "".
  absl::Status AddTarget(std::string_view role, std::string_view path, std::string_view host_file,
                         std::string_view custom, const base::Op& op);
  absl::Status SignPem(std::string_view role, std::string_view private_pem,
                       std::string_view passphrase);
  // StateJson: schema coam.tuf.repository.v1: the staged roles, their versions, who signed, who is missing.
  absl::StatusOr<std::string> StateJson();

 private:
  struct Impl;
  explicit TufDirectory(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// KeyObjectOfPem makes TUF's key object of a public key in PEM.
absl::StatusOr<base::json::Value> KeyObjectOfPem(std::string_view public_pem);
// TufKeyId is the key id of a public key in PEM.
absl::StatusOr<std::string> TufKeyId(std::string_view public_pem);
struct PemPair {
  std::string private_pem, public_pem;  // wipe the first after use
};
// GenerateTufKey makes "ed25519", "ecdsa" (P-256) or "rsa" (3072 bits).
absl::StatusOr<PemPair> GenerateTufKey(std::string_view type, std::string_view passphrase);

}  // namespace coaming::trust

#endif  // COAMING_LIBTRUST_CLIENT_TUF_DIRECTORY_H_
