// NotaryKeys is the directory of private keys that notary and docker share: TRUST_DIR/private/ID.key.
//
// Passphrases come from a callback, several times if they are wrong; opened keys are kept for the life of
// the object. Files are 0600 and appear whole. Ownership: keeps what it is given. Threads: [single].
// Errors: notary.no_key, sig.passphrase, sig.key_invalid, core.*.
#ifndef COAMING_LIBTRUST_CLIENT_NOTARY_KEYS_H_
#define COAMING_LIBTRUST_CLIENT_NOTARY_KEYS_H_

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/op.h"
#include "base/fs/dir.h"
#include "libtrust/keys/secret.h"
#include "libtrust/notary/editor.h"
#include "libtrust/notary/key_file.h"

namespace coaming::trust {

// What a passphrase is asked for.
struct PassphraseRequest {
  std::string key_id, role;  // role: "root", "targets", "snapshot", "delegation" or a signer's name
  bool create = false;       // to protect a key from now on
  int attempt = 0;           // those before were wrong
};
// An empty passphrase leaves a new key without protection.
using Passphrases = std::function<absl::StatusOr<SecretBytes>(const PassphraseRequest&)>;

class NotaryKeys final : public notary::Keys {
 public:
  struct Info {
    std::string id, role, gun;
  };

  // Open makes TRUST_DIR/private when it first writes.
  static absl::StatusOr<NotaryKeys> Open(const base::Dir& trust_dir);
  void set_passphrases(Passphrases passphrases) { passphrases_ = std::move(passphrases); }

  // List is sorted by role and id. Files that are no keys are passed over.
  absl::StatusOr<std::vector<Info>> List() const;
  absl::StatusOr<Info> Find(const std::string& id) const;
  bool Has(const std::string& id) override;
  absl::StatusOr<PrivateKey> Get(const std::string& id) override;
  // Create makes an ECDSA P-256 key for a role, as all of Notary's clients do.
  absl::StatusOr<notary::Key> Create(std::string_view role, std::string_view gun);
  absl::Status Save(const PrivateKey& key, std::string_view role, std::string_view gun);
  // Import takes every private key of a PEM text; `role` and `gun`, unless "", override its headers.
  absl::StatusOr<std::vector<std::string>> Import(std::string_view pem, std::string_view role,
                                                  std::string_view gun);
  // Export gives the files as they are, with headers that name them. None named: all, or those of `gun`.
  absl::StatusOr<std::string> Export(const std::vector<std::string>& ids,
                                     std::string_view gun) const;
  absl::Status ChangePassphrase(const std::string& id);
  absl::Status Remove(const std::string& id);

 private:
  explicit NotaryKeys(base::Dir dir) : dir_(std::move(dir)) {}
  absl::StatusOr<std::string> Load(const std::string& id) const;
  absl::StatusOr<PrivateKey> Unlock(const notary::KeyFile& file, const std::string& id);
  absl::StatusOr<SecretBytes> Ask(PassphraseRequest request) const;
  absl::Status Write(const std::string& id, std::string pem);

  base::Dir dir_;  // TRUST_DIR
  Passphrases passphrases_;
  std::map<std::string, PrivateKey> open_;
};

// KeysToJson: {"schema":"coam.notary.keys.v1","keys":[{"id","role","gun"}]}
std::string NotaryKeysToJson(const std::vector<NotaryKeys::Info>& keys);
// {"schema":"coam.notary.key.v1","id","role","gun","public": PEM}
std::string NotaryKeyToJson(const notary::Key& key, std::string_view role, std::string_view gun);
// {"schema":"coam.notary.imported.v1","ids":[...]}
std::string NotaryImportedToJson(const std::vector<std::string>& ids);

}  // namespace coaming::trust

#endif  // COAMING_LIBTRUST_CLIENT_NOTARY_KEYS_H_
