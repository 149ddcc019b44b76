// KeyFile: the private key files of Notary and docker: PEM with the headers "role" and "gun".
//
//   -----BEGIN ENCRYPTED PRIVATE KEY-----
//   gun: registry.example/app
//   role: targets
//   ...
//
// Written as PKCS#8 with PBES2 by PBKDF2-HMAC-SHA1 and AES-256-CBC, the only form that all of Notary's
// clients read; read in the older forms too. Threads: functions without state. Errors: sig.key_invalid,
// sig.passphrase, sig.unsupported.
#ifndef COAMING_LIBTRUST_NOTARY_KEY_FILE_H_
#define COAMING_LIBTRUST_NOTARY_KEY_FILE_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "libtrust/keys/keys.h"

namespace coaming::trust::notary {

struct KeyFile {
  std::string role, gun, path;  // headers; path is in exported keys: the id
  bool encrypted = false;
  bool old = false;  // by headers of the block: to be written anew
  std::string pem;   // this block alone
};

// SplitKeyFiles finds the private keys in a text. Errors: sig.key_invalid if there is none.
absl::StatusOr<std::vector<KeyFile>> SplitKeyFiles(std::string_view text);
// WriteKeyFile protects the key unless the passphrase is empty. Wipe the result after use.
absl::StatusOr<std::string> WriteKeyFile(const PrivateKey& key, std::string_view role,
                                         std::string_view gun, std::string_view passphrase);
// WithHeaders puts headers into a block, replacing those it has; empty values are left out.
std::string WithHeaders(std::string_view pem, std::string_view role, std::string_view gun,
                        std::string_view path);
// HasGun is true if keys of this role belong to one repository: targets and snapshot.
bool HasGun(std::string_view role);
// IsKeyId is true for 64 hex digits, the name of a key file.
bool IsKeyId(std::string_view id);

}  // namespace coaming::trust::notary

#endif  // COAMING_LIBTRUST_NOTARY_KEY_FILE_H_
