// NotaryServer speaks to a notary-server about one repository: https://SERVER/v2/GUN/_trust/tuf/...
//
// A 401 is answered as a registry's would be: a token for "repository:GUN:pull" (and push, or * where keys
// rotate) by the credentials given, or basic authentication over TLS. Credentials go to the server and the
// token server it names by https only. Ownership: borrows the transport. Threads: [single].
// Errors: http.*, notary.refused (what the server says of a publication), notary.auth.
#ifndef COAMING_LIBTRUST_CLIENT_NOTARY_SERVER_H_
#define COAMING_LIBTRUST_CLIENT_NOTARY_SERVER_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/op.h"
#include "libtrust/keys/secret.h"
#include "libtrust/notary/metadata.h"
#include "libtrust/notary/updater.h"

namespace coaming::base {
struct HttpRequest;
struct HttpResponse;
class Transport;
}  // namespace coaming::base

namespace coaming::trust {

struct NotaryAccess {
  std::string url;       // "https://notary.example"
  std::string username;  // "": anonymous
  SecretBytes password;
  bool allow_http = false;
};

class NotaryServer final : public notary::Remote {
 public:
  // Borrows `access` too.
  NotaryServer(base::Transport& transport, const NotaryAccess& access, std::string_view gun);

  absl::StatusOr<std::string> Get(const std::string& name, int64_t max,
                                  const base::Op& op) override;
  // Publish uploads files by role, all or none. Errors: notary.refused with what the server says.
  absl::Status Publish(const std::map<std::string, std::string>& files, const base::Op& op);
  // PublicKey gives the key that the server holds for "snapshot" or "timestamp"; `rotate` makes a new one.
  absl::StatusOr<notary::Key> PublicKey(std::string_view role, bool rotate, const base::Op& op);
  // Delete drops the whole repository on the server.
  absl::Status Delete(const base::Op& op);

 private:
  absl::StatusOr<std::string> Call(base::HttpRequest request, int64_t max, std::string_view actions,
                                   const base::Op& op);
  absl::StatusOr<std::string> Authorize(const base::HttpResponse& refused, std::string_view actions,
                                        const base::Op& op);
  std::string Url(std::string_view rest) const;

  base::Transport& transport_;
  const NotaryAccess& access_;
  std::string gun_;
  std::map<std::string, std::string> authorization_;  // by actions
};

}  // namespace coaming::trust

#endif  // COAMING_LIBTRUST_CLIENT_NOTARY_SERVER_H_
