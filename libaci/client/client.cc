#include "libaci/client/client.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/http/curl_transport.h"
#include "base/http/url.h"
#include "libtrust/openpgp/verify.h"

namespace coaming::aci {

Client::Client(std::unique_ptr<base::Transport> transport) : transport_(std::move(transport)) {}

absl::StatusOr<std::unique_ptr<Client>> Client::New(const ClientOptions& options) {
  base::CurlTransportOptions curl;
  curl.user_agent = options.user_agent;
  curl.tls.ca_file = options.ca_file;
  curl.tls.ca_dir = options.ca_dir;
  curl.tls.ca_pem = options.ca_pem;
  curl.tls.only_these = options.only_these_cas;
  curl.tls.insecure_skip_verify = options.insecure_tls;
  for (const std::string& text : options.resolve) {
    COAM_ASSIGN_OR_RETURN(base::ResolveRule rule, base::ParseResolveRule(text));
    curl.resolve.push_back(std::move(rule));
  }
  COAM_ASSIGN_OR_RETURN(curl.proxy, base::ParseProxySettings(
                                        options.http_proxy, options.https_proxy, options.no_proxy));
  COAM_ASSIGN_OR_RETURN(std::unique_ptr<base::Transport> transport,
                        base::NewCurlTransport(std::move(curl)));
  return std::unique_ptr<Client>(new Client(std::move(transport)));
}

absl::StatusOr<std::string> Client::DownloadKeys(const std::string& url,
                                                 const DiscoveryOptions& options,
                                                 const base::Op& op) {
  return transport_->FetchBytes(op, PrepareRequest(url, options), op.limits().keyring_bytes,
                                "keyring_bytes");
}

KeyStoreTrust::KeyStoreTrust(trust::KeyStore& keys, std::mutex& mutex, Client* client,
                             const DiscoveryOptions& options, Review review)
    : keys_(keys), mutex_(mutex), client_(client), options_(options), review_(std::move(review)) {}

absl::StatusOr<Trust::Verdict> KeyStoreTrust::Verify(std::string_view image_name,
                                                     std::string_view signature,
                                                     base::Reader& image, const base::Op& op) {
  trust::openpgp::Keyring ring;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    COAM_ASSIGN_OR_RETURN(ring, keys_.KeyringFor(image_name, op));
  }
  if (ring.empty()) {
    return base::Fail("sig.no_keys") << "no trusted key counts for " << image_name;
  }
  COAM_ASSIGN_OR_RETURN(trust::openpgp::Verdict verdict,
                        trust::openpgp::VerifyDetached(signature, image, ring, {}, op));
  COAM_RETURN_IF_ERROR(verdict.ToStatus(image_name));
  Verdict out;
  const trust::openpgp::SignatureResult* signer = verdict.Signer();
  out.signer =
      signer->signer_fingerprint.empty() ? signer->fingerprint : signer->signer_fingerprint;
  if (!signer->user_ids.empty()) out.who = signer->user_ids[0];
  return out;
}

absl::Status KeyStoreTrust::CheckIssuer(std::string_view image_name, std::string_view signature,
                                        const base::Op& op) {
  const std::lock_guard<std::mutex> lock(mutex_);
  return keys_.CheckIssuer(image_name, signature, op);
}

absl::StatusOr<bool> KeyStoreTrust::HasKeyFor(std::string_view image_name, const base::Op& op) {
  const std::lock_guard<std::mutex> lock(mutex_);
  COAM_ASSIGN_OR_RETURN(trust::openpgp::Keyring ring, keys_.KeyringFor(image_name, op));
  return !ring.empty();
}

absl::Status KeyStoreTrust::AddDiscovered(std::string_view image_name,
                                          const std::vector<std::string>& key_urls,
                                          const base::Op& op) {
  if (!review_ || client_ == nullptr) {
    return Trust::AddDiscovered(image_name, key_urls, op);
  }
  for (const std::string& url : key_urls) {
    COAM_ASSIGN_OR_RETURN(std::string bytes, client_->DownloadKeys(url, options_, op));
    COAM_ASSIGN_OR_RETURN(trust::openpgp::Keyring ring,
                          trust::openpgp::Keyring::FromBytes(bytes, &op.limits()));
    KeyOffer offer;
    offer.prefix = std::string(image_name);
    offer.url = base::UrlForMessage(url);
    offer.keys = &ring;
    COAM_RETURN_IF_ERROR(review_(offer));
    const std::lock_guard<std::mutex> lock(mutex_);
    COAM_RETURN_IF_ERROR(keys_.Add(image_name, /*root=*/false, bytes, op).status());
  }
  return absl::OkStatus();
}

}  // namespace coaming::aci
