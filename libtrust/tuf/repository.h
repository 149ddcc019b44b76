// Repository is the other side of TUF: making, signing and publishing metadata.
//
//   tuf::Repository repo(store);
//   repo.Init({.now_s = now, .expires_s = 365 * 86400}, keys);            // root, targets, snapshot, timestamp
//   repo.AddTarget("app.tar", length, {{"sha256", hex}});                 // into the edit of targets
//   repo.Sign("targets", signer);  repo.Snapshot(signer, now);  repo.Timestamp(signer, now);
//   repo.Publish();                                                       // in a safe order
//
// TUF 1.0.34 sections 4 and 6 as a repository sees them. Edits are staged: a role that is changed gets
// the next version and no signatures; ToBeSigned gives the bytes for an offline ceremony, AddSignature
// attaches what came back, State tells who is missing, and Publish refuses until every staged role
// meets its threshold (a new root: of the old root too). Unknown members survive.
// No I/O of its own: RepositoryStore keeps the files. Ownership: borrows the store. Threads: [single].
#ifndef COAMING_LIBTRUST_TUF_REPOSITORY_H_
#define COAMING_LIBTRUST_TUF_REPOSITORY_H_

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/json/value.h"
#include "libtrust/keys/keys.h"
#include "libtrust/tuf/metadata.h"

namespace coaming::trust::tuf {

// RepositoryStore keeps metadata files. Names: "1.root.json", "timestamp.json", "3.targets.json", and
// "staged/targets.json" for edits.
class RepositoryStore {
 public:
  virtual ~RepositoryStore() = default;
  virtual absl::StatusOr<std::optional<std::string>> Load(const std::string& name) = 0;
  virtual absl::Status Save(const std::string& name, std::string_view bytes) = 0;
  virtual absl::Status Remove(const std::string& name) = 0;
};

// A key that signs: held here, or a callback to an HSM or another process.
struct Signer {
  base::json::Value key;  // the public key object of TUF
  std::string keyid;
  std::function<absl::StatusOr<std::string>(std::string_view to_be_signed)> sign;
};
// MakeSigner wraps a private key: ed25519, ecdsa-sha2-nistp256/384/521 or rsassa-pss-sha256.
absl::StatusOr<Signer> MakeSigner(PrivateKey key);
// PublicKeyObject is the TUF key object of a public key.
absl::StatusOr<base::json::Value> PublicKeyObject(const PublicKey& key);

struct InitOptions {
  int64_t now_s = 0;
  int64_t root_days = 365, targets_days = 90, snapshot_days = 7, timestamp_days = 1;
  bool consistent_snapshot = true;
  std::map<std::string, int64_t> thresholds;  // by role; 1 if not given
};

class Repository {
 public:
  explicit Repository(RepositoryStore& store) : store_(store) {}

  // Init stages version 1 of the four roles. `keys` are the public key objects of each role. Errors:
  // tuf.repository (there is a root already, a role without enough keys).
  absl::Status Init(const InitOptions& options,
                    const std::map<std::string, std::vector<base::json::Value>>& keys);

  // Each stages an edit of root. A key may belong to several roles.
  absl::Status AddKey(std::string_view role, const base::json::Value& key);
  absl::Status RemoveKey(std::string_view role, std::string_view keyid);
  absl::Status SetThreshold(std::string_view role, int64_t threshold);
  // SetExpiry stages a role with a new expiry. Any role, delegated ones too.
  absl::Status SetExpiry(std::string_view role, int64_t expires_s);

  // Targets: `role` is "targets" or a delegated role.
  absl::Status AddTarget(std::string_view role, std::string_view path, int64_t length,
                         const Hashes& hashes, const base::json::Value* custom = nullptr);
  absl::Status RemoveTarget(std::string_view role, std::string_view path);
  // Delegate makes or replaces a delegation in `role`, and stages the new role if it has no file yet.
  absl::Status Delegate(std::string_view role, const DelegatedRole& delegated,
                        const std::vector<base::json::Value>& keys, int64_t expires_s);
  // DelegateBins makes 2^bits hashed bins; `role` may have no other delegations.
  absl::Status DelegateBins(std::string_view role, const SuccinctRoles& bins,
                            const std::vector<base::json::Value>& keys, int64_t expires_s);
  absl::Status RemoveDelegation(std::string_view role, std::string_view name);

  // Snapshot stages a new snapshot if a targets role has another version than the present one says;
  // names never leave it. Timestamp likewise. *changed tells.
  absl::Status Snapshot(int64_t expires_s, bool* changed);
  absl::Status Timestamp(int64_t expires_s, bool* changed);

  // The ceremony.
  absl::StatusOr<std::string> ToBeSigned(std::string_view role);
  absl::Status AddSignature(std::string_view role, std::string_view keyid,
                            std::string_view signature);
  absl::Status Sign(std::string_view role, const Signer& signer);
  // State of the staged file, or of the published one if nothing is staged; of a root the state by the
  // root before it is in `by_old`.
  struct SigningState {
    int64_t version = 0;
    bool staged = false;
    SignatureState state;
    std::optional<SignatureState> by_old;
    bool ok() const { return state.ok() && (!by_old || by_old->ok()); }
  };
  absl::StatusOr<SigningState> State(std::string_view role);
  absl::StatusOr<std::vector<std::string>> Staged();

  // Publish writes every staged role under its public name: delegated roles, targets, root, snapshot,
  // and the timestamp last, so that no reader sees a reference to what is not there. Errors:
  // tuf.threshold, and then nothing was written.
  absl::Status Publish();
  // Verify walks the published repository as a client would, from 1.root.json on, all delegations, at
  // a time. Errors: tuf.*.
  absl::Status Verify(int64_t now_s);

 private:
  struct Doc;
  struct Found;
  struct Signing;
  static Role KindOf(std::string_view role);
  static int PublishRank(std::string_view role);
  static Doc NewDoc(std::string_view role, int64_t expires_s);
  absl::StatusOr<Doc> LoadDoc(std::string_view role, bool staged_too);
  absl::StatusOr<Doc> Edit(std::string_view role);
  absl::Status Stage(const Doc& doc);
  absl::StatusOr<Doc> NewTargets(std::string_view role, int64_t expires_s);
  absl::StatusOr<std::vector<Found>> Walk();
  absl::StatusOr<std::vector<Signing>> SignersOf(const Doc& doc);
  absl::Status Note(std::string_view role, bool staged);

  RepositoryStore& store_;
};

}  // namespace coaming::trust::tuf

#endif  // COAMING_LIBTRUST_TUF_REPOSITORY_H_
