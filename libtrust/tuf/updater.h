// Updater is the TUF client's workflow over two interfaces: a Fetcher and a Store.
//
//   tuf::Updater updater(fetcher, store, {.metadata_url = "https://r.example/metadata",
//                                         .targets_url = "https://r.example/targets"}, bootstrap_root);
//   COAM_RETURN_IF_ERROR(updater.Refresh(op));
//   COAM_ASSIGN_OR_RETURN(auto target, updater.FindTarget("app.tar", op));
//   COAM_RETURN_IF_ERROR(updater.Download(*target, sink, op));
//
// TUF 1.0.34 section 5. The bootstrap root comes from the application with each start, never from the
// store; roots after it are kept in the store's root_history/ and judged anew. Bytes are stored as they
// were received, each file as soon as it is trusted: a failed update leaves the last good state and can
// be tried again. Only 404 and 403 end the search for newer roots.
// Ownership: borrows fetcher and store. Threads: [single]. Limits: UpdaterOptions.
#ifndef COAMING_LIBTRUST_TUF_UPDATER_H_
#define COAMING_LIBTRUST_TUF_UPDATER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/op.h"
#include "libtrust/tuf/metadata.h"
#include "libtrust/tuf/trusted_set.h"

namespace coaming::base {
class Writer;
}  // namespace coaming::base

namespace coaming::trust::tuf {

class Fetcher {
 public:
  virtual ~Fetcher() = default;
  // Fetch gets a whole file of at most `max` bytes (more: core.limit). A file that is not there is
  // http.not_found or http.forbidden.
  virtual absl::StatusOr<std::string> Fetch(const std::string& url, int64_t max,
                                            const base::Op& op) = 0;
  // FetchTo pushes at most `max` bytes into `sink`.
  virtual absl::Status FetchTo(const std::string& url, int64_t max, base::Writer& sink,
                               const base::Op& op) = 0;
};

// Store keeps metadata between runs. Names are plain: "root.json", "root_history/2.root.json", and
// encoded role names.
class Store {
 public:
  virtual ~Store() = default;
  // nullopt if there is none.
  virtual absl::StatusOr<std::optional<std::string>> Load(const std::string& name, int64_t max) = 0;
  // Save replaces the file in one step.
  virtual absl::Status Save(const std::string& name, std::string_view bytes) = 0;
};

struct UpdaterOptions {
  std::string metadata_url, targets_url;  // with or without a slash at the end
  bool prefix_targets_with_hash = true;   // in repositories with consistent snapshots
  int max_root_updates = 256;
  int max_delegations = 32;
  int64_t root_bytes = 512000;
  int64_t timestamp_bytes = 16384;
  int64_t snapshot_bytes = 2000000;
  int64_t targets_bytes = 5000000;
};

class Updater {
 public:
  Updater(Fetcher& fetcher, Store& store, UpdaterOptions options, std::string bootstrap_root);
  ~Updater();

  // Refresh brings the top-level metadata up to date. Errors: tuf.*, http.*, core.*.
  absl::Status Refresh(const base::Op& op);
  // FindTarget searches targets and delegations, refreshing first if that was not done. nullopt: no
  // trusted role names the target.
  absl::StatusOr<std::optional<TargetFile>> FindTarget(std::string_view path, const base::Op& op);
  // Download pushes the file into `sink`, checking length and all hashes. Until it returns OK what is
  // in the sink must not be used. Errors: tuf.mismatch, http.*, core.*.
  absl::Status Download(const TargetFile& target, base::Writer& sink, const base::Op& op);

  const TrustedSet* trusted() const { return set_ ? &*set_ : nullptr; }

 private:
  absl::Status LoadRoot(const base::Op& op);
  absl::Status LoadTimestamp(const base::Op& op);
  absl::Status LoadSnapshot(const base::Op& op);
  absl::Status LoadTargets(const base::Op& op);
  absl::StatusOr<std::shared_ptr<const Metadata>> LoadDelegated(std::string_view name,
                                                                const Metadata& delegator,
                                                                std::string_view delegator_name,
                                                                const base::Op& op);
  std::string MetadataUrl(std::string_view role, int64_t version) const;  // 0: without

  Fetcher& fetcher_;
  Store& store_;
  UpdaterOptions options_;
  std::string bootstrap_;
  std::optional<TrustedSet> set_;
  bool refreshed_ = false;
};

// TargetUrl is where a target lies: base, path with the hash before its last component if `prefixed`.
std::string TargetUrl(std::string_view base, const TargetFile& target, bool prefixed);

}  // namespace coaming::trust::tuf

#endif  // COAMING_LIBTRUST_TUF_UPDATER_H_
