// Editor applies changes to a collection and signs what changed: the publisher's side, without I/O.
//
//   notary::Editor editor(std::move(collection), keys);
//   COAM_RETURN_IF_ERROR(editor.Apply(changes));
//   COAM_ASSIGN_OR_RETURN(auto files, editor.Sign(now_ns, /*first=*/false));   // role to bytes
//
// A changed role gets the next version and a new life (root 10 years, the others 3). Root is signed by
// its old keys too when they change. The snapshot is among the files only if its key is at hand; else the
// server makes it. Ownership: borrows keys. Threads: [single]. Nothing is half done: after a failure the
// editor is of no more use.
// Errors: notary.role (no such role, or it may not have that path), notary.no_key, notary.change, sig.*.
#ifndef COAMING_LIBTRUST_NOTARY_EDITOR_H_
#define COAMING_LIBTRUST_NOTARY_EDITOR_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libtrust/notary/change.h"
#include "libtrust/notary/collection.h"

namespace coaming::trust::notary {

// Keys are the private keys at hand, by canonical id.
class Keys {
 public:
  virtual ~Keys() = default;
  virtual bool Has(const std::string& id) = 0;
  // Get may ask for a passphrase. Errors: notary.no_key, sig.passphrase, sig.key_invalid.
  virtual absl::StatusOr<PrivateKey> Get(const std::string& id) = 0;
};

// The keys of a new repository; root's are certificates for the GUN.
struct NewKeys {
  std::vector<Key> root;
  Key targets, snapshot, timestamp;
};
// NewCollection has version 0 of root, targets and snapshot.
Collection NewCollection(std::string_view gun, const NewKeys& keys);
// MakeRootKey makes the certificate for a GUN of a root key, for ten years from `now_s`.
absl::StatusOr<Key> MakeRootKey(const PrivateKey& key, std::string_view gun, int64_t now_s);

class Editor {
 public:
  Editor(Collection collection, Keys& keys);

  absl::Status Apply(const std::vector<Change>& changes);
  // Sign gives the files to publish. `first`: all of them, for a repository that the server lacks.
  absl::StatusOr<std::map<std::string, std::string>> Sign(int64_t now_ns, bool first);
  const Collection& collection() const { return collection_; }

 private:
  absl::Status ApplyOne(const Change& change);
  absl::Status ChangeTarget(const Change& change);
  absl::Status ChangeDelegation(const Change& change);
  absl::Status Purge(const Change& change, const std::vector<std::string>& ids);
  absl::Status Witness(const std::string& role);
  absl::Status ReplaceKeys(const std::string& role, const std::vector<Key>& keys);
  // The file of a role to change: loaded, or made if it is delegated to but was never signed.
  absl::StatusOr<Metadata*> Open(const std::string& role);
  // The prefixes that a role may speak of, through all its parents. Errors: notary.role.
  absl::StatusOr<std::vector<std::string>> PathsOf(const std::string& role) const;
  bool CanSign(const std::string& role);
  absl::Status SignBy(Metadata* metadata, const std::vector<Key>& keys, const RoleKeys& role);
  absl::Status SignRole(Metadata* metadata, int64_t now_ns, int64_t life_s);
  absl::Status SignRoot(int64_t now_ns);

  Collection collection_;
  Keys& keys_;
  std::set<std::string> changed_;  // roles to sign anew
  std::set<std::string> removed_;  // roles to drop from the snapshot
  RoleKeys old_root_;              // as it was loaded
  std::map<std::string, Key> old_root_keys_;
};

}  // namespace coaming::trust::notary

#endif  // COAMING_LIBTRUST_NOTARY_EDITOR_H_
