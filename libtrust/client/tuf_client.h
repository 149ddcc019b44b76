// TufClient is the ready-made TUF client: metadata and targets over HTTP, state in a directory.
//
//   COAM_ASSIGN_OR_RETURN(auto client, TufClient::Open(transport, {.metadata_dir = dir,
//       .updater = {.metadata_url = url, .targets_url = targets}}, bootstrap_root));
//   COAM_RETURN_IF_ERROR(client->Refresh(op));
//   COAM_ASSIGN_OR_RETURN(auto got, client->Download("app.tar", "/var/lib/app", op));
//
// Metadata files appear whole and are the bytes received. Targets lie under one encoded name in the
// target directory and appear there only once they are verified; a file there with the right hashes is
// not fetched again. One process at a time works on a metadata directory: it is locked.
// Ownership: borrows a transport that is given. Threads: [single].
#ifndef COAMING_LIBTRUST_CLIENT_TUF_CLIENT_H_
#define COAMING_LIBTRUST_CLIENT_TUF_CLIENT_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/op.h"
#include "libtrust/client/web.h"
#include "libtrust/tuf/updater.h"

namespace coaming::base {
class Transport;
}  // namespace coaming::base

namespace coaming::trust {

struct TufClientOptions {
  std::string metadata_dir;  // made if missing
  tuf::UpdaterOptions updater;
  bool allow_http = false;  // TUF protects the content; https hides what is asked for
};

class TufClient {
 public:
  static absl::StatusOr<std::unique_ptr<TufClient>> Open(base::Transport& transport,
                                                         const TufClientOptions& options,
                                                         std::string bootstrap_root);
  // Open over a curl transport made here.
  static absl::StatusOr<std::unique_ptr<TufClient>> Open(const WebOptions& web,
                                                         const TufClientOptions& options,
                                                         std::string bootstrap_root);
  ~TufClient();

  absl::Status Refresh(const base::Op& op);
  // Find tells what is signed about a target. Errors: tuf.not_found.
  absl::StatusOr<tuf::TargetFile> Find(std::string_view path, const base::Op& op);
  struct Downloaded {
    std::string path;     // of the file
    bool cached = false;  // it was there already
  };
  // Download puts a target into `directory`, as `as` or under its encoded name. Errors: tuf.not_found,
  // tuf.mismatch, http.*, core.*.
  absl::StatusOr<Downloaded> Download(std::string_view path, std::string_view directory,
                                      const base::Op& op, std::string_view as = "");
  const tuf::TrustedSet* trusted() const;

 private:
  struct Impl;
  explicit TufClient(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// ReadTufRoot reads a bootstrap root from a file of the host.
absl::StatusOr<std::string> ReadTufRoot(std::string_view path, const base::Op& op);

}  // namespace coaming::trust

#endif  // COAMING_LIBTRUST_CLIENT_TUF_CLIENT_H_
