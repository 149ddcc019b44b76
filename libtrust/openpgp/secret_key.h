// Private to libtrust/openpgp: the inside of a SecretKey, and the making of signature packets.
#ifndef COAMING_LIBTRUST_OPENPGP_SECRET_KEY_H_
#define COAMING_LIBTRUST_OPENPGP_SECRET_KEY_H_

#include <string>
#include <string_view>
#include <vector>

#include "base/digest/hasher.h"
#include "libtrust/openpgp/certificate_data.h"
#include "libtrust/openpgp/sign.h"

namespace coaming::trust::openpgp {

struct SecretKey::Impl {
  explicit Impl(Certificate c) : certificate(std::move(c)) {}

  struct Held {
    int key;  // -1 primary
    PrivateKey secret;
  };
  struct Kept {  // a secret part that could not be opened here: a stub, or no signing key
    int key;
    SecretBytes part;
  };
  Certificate certificate;
  std::vector<Held> held;
  std::vector<Kept> kept;

  const PrivateKey* Find(int key) const;
  // Chooses the key to sign with at `time`; errors say why none may.
  absl::StatusOr<const Held*> Signer(int64_t time) const;
};

namespace internal {

void AppendSubpacket(uint8_t type, std::string_view body, std::string* out);

struct SignatureParts {
  uint8_t type = 0;
  base::DigestAlgorithm hash = base::DigestAlgorithm::kSha256;
  int64_t created = 0;
  std::string hashed;    // subpackets beside issuer fingerprint and creation time
  std::string unhashed;  // beside the issuer
};
// MakeSignature gives the body of a version 4 signature packet. `hasher` has been fed the data.
absl::StatusOr<std::string> MakeSignature(const KeyPacket& signer, const PrivateKey& secret,
                                          const SignatureParts& parts, base::Hasher hasher);
// DefaultHash is the hash that fits a key.
base::DigestAlgorithm DefaultHash(KeyType type);
// PublicBody writes the body of a version 4 public key packet.
absl::StatusOr<std::string> PublicBody(const PublicKey& key, int64_t created);
// SecretNumbers writes the secret numbers of a key as its packet has them.
absl::StatusOr<SecretBytes> SecretNumbers(const PrivateKey& key);
// ReadSecretNumbers is the reverse, for a key packet already parsed.
absl::StatusOr<PrivateKey> ReadSecretNumbers(const KeyPacket& key, std::string_view numbers);

}  // namespace internal
}  // namespace coaming::trust::openpgp

#endif  // COAMING_LIBTRUST_OPENPGP_SECRET_KEY_H_
