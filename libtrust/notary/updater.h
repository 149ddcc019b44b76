// Updater brings a Collection up to date from a server and a cache: the workflow of Notary's client.
//
//   notary::Updater updater(remote, cache, {.gun = "registry.example/app", .pins = pins});
//   COAM_ASSIGN_OR_RETURN(notary::Collection now, updater.Update(op));
//
// A root that is in the cache is the pin: a new one must be signed by it, through every version between if
// need be. The timestamp always comes from the server; if that cannot be reached, the cached one is used
// while it is valid (note notary.offline). Everything else comes from the cache where its hash fits. A
// failure fetches the root anew and tries once more. No version goes back below the one in the cache.
// Delegations that are expired or signed by too few are left out (note notary.delegation); everything
// else that is wrong fails the whole. Bytes are cached as received, each file once it is trusted.
//
// Better than the Go client: a pinned root whose certificates have expired can still be succeeded by one
// that it signed. Ownership: borrows remote and cache. Threads: [single].
// Errors: notary.unsigned (the server has nothing), notary.root, tuf.*, http.*, core.*.
#ifndef COAMING_LIBTRUST_NOTARY_UPDATER_H_
#define COAMING_LIBTRUST_NOTARY_UPDATER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/op.h"
#include "libtrust/notary/collection.h"
#include "libtrust/notary/metadata.h"
#include "libtrust/notary/root.h"

namespace coaming::trust::notary {

// Remote fetches from a server's ".../_trust/tuf/".
class Remote {
 public:
  virtual ~Remote() = default;
  // Get fetches NAME.json: "root", "root.<sha256 in hex>", "3.root". What is not there is
  // http.not_found; more than `max` bytes: core.limit.
  virtual absl::StatusOr<std::string> Get(const std::string& name, int64_t max,
                                          const base::Op& op) = 0;
};

// Cache keeps metadata by role between runs.
class Cache {
 public:
  virtual ~Cache() = default;
  virtual absl::StatusOr<std::optional<std::string>> Load(const std::string& role) = 0;
  virtual absl::Status Save(const std::string& role, std::string_view bytes) = 0;
};

struct UpdaterOptions {
  std::string gun;
  Pins pins;
  std::string server;  // as messages name it
  bool probe = false;  // ask for the root in any case: is there a repository at all? For publishing
};

class Updater {
 public:
  Updater(Remote& remote, Cache& cache, UpdaterOptions options);
  absl::StatusOr<Collection> Update(const base::Op& op);

 private:
  absl::Status LoadRoot(const base::Op& op);
  absl::Status RenewRoot(const base::Op& op);
  absl::Status StepTo(Metadata latest, const base::Op& op);
  absl::Status LoadRest(Collection* out, const base::Op& op);
  absl::Status LoadTimestamp(Collection* out, const base::Op& op);
  absl::Status LoadSnapshot(Collection* out, const base::Op& op);
  absl::Status LoadTargets(Collection* out, const base::Op& op);
  absl::Status LoadDelegations(Collection* out, const base::Op& op);
  // Fetch gives a role's file by the hash that is signed for it, from the cache or the server.
  absl::StatusOr<std::string> Fetch(const std::string& role, const FileMeta& meta,
                                    const base::Op& op);
  absl::StatusOr<Metadata> Check(std::string bytes, const std::string& role, const Collection& in,
                                 const base::Op& op);
  // The version of a role in the cache, if it verifies under the root in use; else 0. So a change of
  // keys by the root also undoes a version that was driven too far ahead.
  int64_t CachedVersion(const std::string& role, const Metadata& root, const base::Op& op);
  absl::Status NoTrustData() const;

  Remote& remote_;
  Cache& cache_;
  UpdaterOptions options_;
  std::optional<Metadata> pinned_;  // from the cache, as old as it may be
  std::optional<Metadata> root_;    // to work with
};

}  // namespace coaming::trust::notary

#endif  // COAMING_LIBTRUST_NOTARY_UPDATER_H_
