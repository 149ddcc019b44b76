#include "libtrust/client/image_signer.h"

#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/core/clock.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/fs/file.h"
#include "libtrust/client/files.h"
#include "libtrust/keys/keys.h"
#include "libtrust/keys/secret.h"
#include "libtrust/policy/simple_signing.h"

namespace coaming::trust {
namespace {

struct SigningKeys {
  std::optional<openpgp::SecretKey> openpgp;
  std::optional<PrivateKey> sigstore;
};

absl::StatusOr<std::vector<PolicySignature>> Sign(const SigningKeys& keys, std::string_view digest,
                                                  std::string_view reference) {
  std::vector<PolicySignature> out;
  if (keys.openpgp.has_value()) {
    PolicySignature one;
    COAM_ASSIGN_OR_RETURN(one.bytes, SignClaim(*keys.openpgp, digest, reference,
                                               base::SystemClock().RealtimeNs() / 1'000'000'000));
    out.push_back(std::move(one));
  }
  if (keys.sigstore.has_value()) {
    COAM_ASSIGN_OR_RETURN(CosignClaim made, SignCosignClaim(*keys.sigstore, digest, reference));
    out.push_back(
        {PolicySignature::Kind::kSigstore, std::move(made.payload), std::move(made.signature)});
  }
  return out;
}

}  // namespace

absl::StatusOr<ImageSigner> LoadImageSigner(const ImageSignerOptions& options, const base::Op& op) {
  if (options.openpgp_key.empty() && options.sigstore_key.empty()) return ImageSigner();
  auto keys = std::make_shared<SigningKeys>();
  SecretBytes passphrase;
  if (!options.passphrase_file.empty()) {
    COAM_ASSIGN_OR_RETURN(std::string text, base::ReadHostFile(op, options.passphrase_file,
                                                               64 << 10, "passphrase_bytes"));
    passphrase = SecretBytes::Copy(std::string_view(text).substr(0, text.find('\n')));
    WipeString(&text);
  }
  if (!options.openpgp_key.empty()) {
    COAM_ASSIGN_OR_RETURN(keys->openpgp, ReadSecretKey(options.openpgp_key, passphrase.view(), op));
  }
  if (!options.sigstore_key.empty()) {
    COAM_ASSIGN_OR_RETURN(
        std::string pem,
        base::ReadHostFile(op, options.sigstore_key, op.limits().keyring_bytes, "keyring_bytes"));
    absl::StatusOr<PrivateKey> key = PrivateKey::FromPem(pem, passphrase.view());
    WipeString(&pem);
    if (!key.ok()) return base::Wrap(key.status(), options.sigstore_key);
    keys->sigstore = *std::move(key);
  }
  return ImageSigner([keys](std::string_view digest, std::string_view reference) {
    return Sign(*keys, digest, reference);
  });
}

}  // namespace coaming::trust
