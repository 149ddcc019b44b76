// NotaryClient is Notary v1 ready-made: a server, a trust directory shared with `notary` (~/.notary) and
// docker (~/.docker/trust), and the steps of publishing.
//
//   COAM_ASSIGN_OR_RETURN(auto client, NotaryClient::Open({.trust_dir = dir, .access = {.url = server}}));
//   COAM_ASSIGN_OR_RETURN(auto now, client->Update("registry.example/app", op));
//   if (auto tag = now.Find("1.4", notary::kReleaseRoles, true)) ...
//
// Files: private/ID.key; tuf/GUN/metadata/ROLE.json; tuf/GUN/changelist/*.change. Directories are 0700 and
// files 0600. A GUN is taken as a path beneath tuf/, so one that could reach into another's files is
// refused. Calls on one GUN take turns, in other processes of ours too, by a lock file.
// Ownership: borrows a transport that is given. Threads: [single].
// Errors: notary.*, tuf.*, sig.*, http.*, core.*.
#ifndef COAMING_LIBTRUST_CLIENT_NOTARY_CLIENT_H_
#define COAMING_LIBTRUST_CLIENT_NOTARY_CLIENT_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/op.h"
#include "libtrust/client/notary_keys.h"
#include "libtrust/client/notary_server.h"
#include "libtrust/client/web.h"
#include "libtrust/notary/change.h"
#include "libtrust/notary/collection.h"
#include "libtrust/notary/root.h"

namespace coaming::trust {

struct NotaryOptions {
  std::string trust_dir;  // made if missing
  NotaryAccess access;
  int credentials_fd = -1;  // to read USER:PASSWORD for the server from
  WebOptions web;           // for a transport of the client's own
  notary::Pins pins;
  std::map<std::string, std::string> authority_files;  // prefix to a file for pins.authorities
};

struct NotaryInit {
  std::vector<std::string>
      root_keys;  // ids of private keys; none: the first root key, or a new one
  std::vector<std::string> root_certificates;  // PEM, one for each root key; none: they are made
  bool server_snapshot = false;                // the server holds the snapshot key
};

class NotaryClient {
 public:
  static absl::StatusOr<std::unique_ptr<NotaryClient>> Open(NotaryOptions options,
                                                            base::Transport* transport = nullptr);
  ~NotaryClient();

  NotaryKeys& keys();

  // Update gives what is trusted of a repository now. Errors: notary.unsigned, notary.root, tuf.*.
  absl::StatusOr<notary::Collection> Update(std::string_view gun, const base::Op& op);

  // Init makes the first metadata of a repository here; Publish brings them to the server.
  absl::Status Init(std::string_view gun, const NotaryInit& init, const base::Op& op);
  // Stage, Staged and Unstage are the list of changes for the next Publish; Unstage takes places in it,
  // none for all.
  absl::Status Stage(std::string_view gun, const std::vector<notary::Change>& changes,
                     const base::Op& op);
  absl::StatusOr<std::vector<notary::Change>> Staged(std::string_view gun);
  absl::Status Unstage(std::string_view gun, const std::vector<int64_t>& indices);
  // Publish applies the staged changes to what the server has now, signs and uploads, and empties the
  // list. A repository that the server lacks is begun, with Init's metadata if there are any.
  absl::Status Publish(std::string_view gun, const base::Op& op);
  // Sign publishes one target at once, as docker does after a push: in each direct delegation that may
  // name it and whose key is here, or in targets if there are no delegations. Gives the roles.
  absl::StatusOr<std::vector<std::string>> Sign(std::string_view gun, std::string_view name,
                                                const notary::FileMeta& meta, const base::Op& op);
  // Revoke publishes the removal of a name ("": all) from every role whose key is here that names it;
  // gives the roles.
  absl::StatusOr<std::vector<std::string>> Revoke(std::string_view gun, std::string_view name,
                                                  const base::Op& op);
  // Rotate replaces the keys of "root", "targets", "snapshot" or "timestamp" at once. `server`: by one of
  // the server's; else by the keys with these ids, or a new one.
  absl::Status Rotate(std::string_view gun, std::string_view role, bool server,
                      const std::vector<std::string>& key_ids, const base::Op& op);
  // Delete removes metadata and changes kept here, and with `remote` those on the server first. Private
  // keys stay.
  absl::Status Delete(std::string_view gun, bool remote, const base::Op& op);

  // VerifyFile hashes a file of the host and compares it with what is signed.
  static absl::Status VerifyFile(const notary::Named& target, std::string_view path,
                                 const base::Op& op);
  static absl::StatusOr<notary::FileMeta> HashFile(std::string_view path, const base::Op& op);

 private:
  struct Impl;
  explicit NotaryClient(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// CheckGun fails with core.invalid_argument for what is no repository name, or no safe path.
absl::Status CheckGun(std::string_view gun);

}  // namespace coaming::trust

#endif  // COAMING_LIBTRUST_CLIENT_NOTARY_CLIENT_H_
