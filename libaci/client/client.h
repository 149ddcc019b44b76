// Client is the ready-made wiring of discovery and fetching: the curl transport, rkt's key store as
// Trust, and the results as JSON for callers that want documents.
//
// Ownership: a Client owns its transport; a KeyStoreTrust borrows the key store. Threads: Client is
// [shared], KeyStoreTrust [single]; the key store is only touched under the mutex it is given.
// Limits: keyring_bytes and those of fetch. Keys are looked at before they are offered: bytes that are
// no OpenPGP keys never reach the reviewer.
#ifndef COAMING_LIBACI_CLIENT_CLIENT_H_
#define COAMING_LIBACI_CLIENT_CLIENT_H_

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/op.h"
#include "base/http/transport.h"
#include "libaci/fetch/fetch.h"
#include "libtrust/keystore/keystore.h"

namespace coaming::aci {

struct ClientOptions {
  std::string user_agent = "coaming/1.0";
  std::string ca_file, ca_dir, ca_pem;  // roots beside the system's
  bool only_these_cas = false;
  bool insecure_tls = false;
  std::vector<std::string> resolve;  // "host:port:address[:port]"
  std::string https_proxy, http_proxy, no_proxy;
};

class Client {
 public:
  // Errors: core.invalid_argument, core.io.
  static absl::StatusOr<std::unique_ptr<Client>> New(const ClientOptions& options);

  base::Transport& transport() { return *transport_; }
  // DownloadKeys fetches public keys. Errors: http.*, core.limit.
  absl::StatusOr<std::string> DownloadKeys(const std::string& url, const DiscoveryOptions& options,
                                           const base::Op& op);

 private:
  explicit Client(std::unique_ptr<base::Transport> transport);
  std::unique_ptr<base::Transport> transport_;
};

// A key that discovery found for a name, before anybody trusts it.
struct KeyOffer {
  std::string prefix;  // the name it would be trusted for
  std::string url;     // without query
  const trust::openpgp::Keyring* keys = nullptr;
};

// KeyStoreTrust is rkt's key store as the Trust of fetching.
class KeyStoreTrust final : public Trust {
 public:
  // `review` decides about discovered keys: OK trusts them, an error is the reason of the refusal;
  // without it none is taken. `options` say whether keys may come over plain http.
  using Review = std::function<absl::Status(const KeyOffer& offer)>;
  KeyStoreTrust(trust::KeyStore& keys, std::mutex& mutex, Client* client,
                const DiscoveryOptions& options, Review review);

  absl::StatusOr<Verdict> Verify(std::string_view image_name, std::string_view signature,
                                 base::Reader& image, const base::Op& op) override;
  absl::Status CheckIssuer(std::string_view image_name, std::string_view signature,
                           const base::Op& op) override;
  absl::StatusOr<bool> HasKeyFor(std::string_view image_name, const base::Op& op) override;
  absl::Status AddDiscovered(std::string_view image_name, const std::vector<std::string>& key_urls,
                             const base::Op& op) override;

 private:
  trust::KeyStore& keys_;
  std::mutex& mutex_;
  Client* client_;
  const DiscoveryOptions options_;
  Review review_;
};

// Documents: coam.aci.image.v1 (a record of the store), coam.aci.images.v1, coam.aci.file.v1 (what
// an image file holds), coam.aci.fetch.v1, coam.aci.discovery.v1.
std::string RecordJson(const ImageRecord& record);
std::string RecordsJson(const std::vector<ImageRecord>& records);
std::string InfoJson(const ImageInfo& info);
std::string FetchedJson(const Fetched& fetched);
std::string DiscoveryJson(const AppName& app, const std::vector<Endpoint>& endpoints,
                          const std::vector<std::string>& keys, const std::vector<Step>& steps);
std::string StringsJson(const std::vector<std::string>& list);
// Pretty re-indents a manifest, keeping every member; what is no JSON comes back as it is.
std::string PrettyJson(std::string_view json);

}  // namespace coaming::aci

#endif  // COAMING_LIBACI_CLIENT_CLIENT_H_
