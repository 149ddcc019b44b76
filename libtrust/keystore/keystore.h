// KeyStore is rkt's trusted key store: which OpenPGP keys count for which image names.
//
//   prefix.d/example.com/hello/<fingerprint>   counts for example.com/hello and all beneath it
//   root.d/<fingerprint>                       counts for every name
//
// Two places are read, the system's (/usr/lib/rkt/trustedkeys) and the local one
// (/etc/rkt/trustedkeys); changes go to the local one. An empty local file masks the system's key of
// the same fingerprint in the same or an outer place. Prefixes are compared by component:
// example.com/he does not count for example.com/hello. rkt's file format is kept: one armored public
// key in a file named by the primary's fingerprint; a file whose name differs is refused.
// No I/O of its own: KeyFiles is the seam (libtrust/client has the directory behind it).
// Ownership: the store borrows its KeyFiles. Threads: [single]. Limits: keyring_bytes for each file,
// 1,000 keys for one name.
#ifndef COAMING_LIBTRUST_KEYSTORE_KEYSTORE_H_
#define COAMING_LIBTRUST_KEYSTORE_KEYSTORE_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/op.h"
#include "libtrust/openpgp/certificate.h"
#include "libtrust/openpgp/verify.h"

namespace coaming::trust {

// KeyFiles is one trustedkeys directory. Paths are relative with '/', made of checked components.
class KeyFiles {
 public:
  virtual ~KeyFiles() = default;
  struct Entry {
    std::string name;
    bool directory = false;
  };
  // List gives the entries of a directory, none if it does not exist.
  virtual absl::StatusOr<std::vector<Entry>> List(const std::string& directory) = 0;
  virtual absl::StatusOr<std::string> Read(const std::string& path, int64_t max_bytes) = 0;
  // Write makes directories as needed and replaces the file atomically (mode 0644).
  virtual absl::Status Write(const std::string& path, std::string_view bytes) = 0;
  virtual absl::Status Remove(const std::string& path) = 0;
};

// MemoryKeyFiles is a KeyFiles in memory, for hosts that bring keys from elsewhere and for tests.
class MemoryKeyFiles final : public KeyFiles {
 public:
  absl::StatusOr<std::vector<Entry>> List(const std::string& directory) override;
  absl::StatusOr<std::string> Read(const std::string& path, int64_t max_bytes) override;
  absl::Status Write(const std::string& path, std::string_view bytes) override;
  absl::Status Remove(const std::string& path) override;
  const std::vector<std::pair<std::string, std::string>>& files() const { return files_; }

 private:
  std::vector<std::pair<std::string, std::string>> files_;
};

class KeyStore {
 public:
  // Either may be null: no such place.
  KeyStore(KeyFiles* local, KeyFiles* system) : local_(local), system_(system) {}

  struct Key {
    std::string prefix;       // "" for a root key
    std::string fingerprint;  // 40 digits
    bool local = false;
    bool masked = false;                // the file is empty: it hides this fingerprint
    std::vector<std::string> user_ids;  // printable, unverified
  };

  // KeyringFor gives the keys that count for an image name: root keys and those of the name and all
  // its parents. Errors: sig.key_invalid (a damaged file, a wrong file name), core.*.
  absl::StatusOr<openpgp::Keyring> KeyringFor(std::string_view image_name, const base::Op& op);
  // HasKeyFor is false also if nothing could be read.
  bool HasKeyFor(std::string_view image_name, const base::Op& op);

  // Verify judges a detached signature over `data` with the keys that count for the name. Errors:
  // sig.no_keys (no key counts for the name), those of VerifyDetached; refusals are in the verdict:
  // use verdict.ToStatus(subject).
  absl::StatusOr<openpgp::Verdict> Verify(std::string_view image_name, std::string_view signature,
                                          base::Reader& data, const openpgp::Policy& policy,
                                          const base::Op& op);
  // CheckIssuer looks at the signature alone, before the image is downloaded: OK if it claims a key
  // that counts for the name. Errors: sig.no_keys, sig.untrusted, sig.malformed.
  absl::Status CheckIssuer(std::string_view image_name, std::string_view signature,
                           const base::Op& op);

  // Add trusts every certificate of `keys` (armored or binary) for `prefix`, or for all names if
  // `prefix` is empty and `root` is set. Returns the fingerprints. Ask the user with
  // openpgp::ReviewText before. Errors: sig.trust_scope (neither or both), sig.key_invalid, core.*.
  absl::StatusOr<std::vector<std::string>> Add(std::string_view prefix, bool root,
                                               std::string_view keys, const base::Op& op);
  // Mask writes the empty file that hides a system key. Errors: as Add.
  absl::Status Mask(std::string_view prefix, bool root, std::string_view fingerprint);
  // Remove takes a local key (or mask) away. Errors: sig.key_not_found.
  absl::Status Remove(std::string_view prefix, bool root, std::string_view fingerprint);
  // List gives all keys of both places, root keys first, then by prefix.
  absl::StatusOr<std::vector<Key>> List(const base::Op& op);

 private:
  KeyFiles* local_;
  KeyFiles* system_;
};

// KeysToJson writes a list as JSON text, schema coam.sig.keystore.v1.
std::string KeysToJson(const std::vector<KeyStore::Key>& keys);

// CheckPrefix refuses what is no AC identifier: a scheme, "..", empty components. sig.trust_scope.
absl::Status CheckPrefix(std::string_view prefix);

}  // namespace coaming::trust

#endif  // COAMING_LIBTRUST_KEYSTORE_KEYSTORE_H_
