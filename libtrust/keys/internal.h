// Private to libtrust/keys: the BoringSSL side of the public types.
#ifndef COAMING_LIBTRUST_KEYS_INTERNAL_H_
#define COAMING_LIBTRUST_KEYS_INTERNAL_H_

#include <string>
#include <string_view>

#include "libtrust/keys/keys.h"
#include "openssl/base.h"
#include "openssl/bn.h"
#include "openssl/bytestring.h"
#include "openssl/digest.h"
#include "openssl/dsa.h"
#include "openssl/ec_key.h"
#include "openssl/evp.h"
#include "openssl/mem.h"
#include "openssl/rsa.h"

namespace coaming::trust {

struct PublicKey::Impl {
  KeyType type = KeyType::kNone;
  int bits = 0;
  bssl::UniquePtr<EVP_PKEY> pkey;
};

namespace internal {

inline const uint8_t* U8(std::string_view s) { return reinterpret_cast<const uint8_t*>(s.data()); }
inline std::string_view View(const CBS& cbs) {
  return {reinterpret_cast<const char*>(CBS_data(&cbs)), CBS_len(&cbs)};
}
inline bssl::UniquePtr<BIGNUM> Number(std::string_view bytes) {
  return bssl::UniquePtr<BIGNUM>(BN_bin2bn(U8(bytes), bytes.size(), nullptr));
}
// TakeBytes copies what BoringSSL allocated and frees it.
inline std::string TakeBytes(uint8_t* bytes, size_t size) {
  std::string out(reinterpret_cast<char*>(bytes), size);
  OPENSSL_free(bytes);
  return out;
}
int CurveNid(KeyType type);
KeyType CurveType(int nid);
int HashNid(base::DigestAlgorithm hash);
const EVP_MD* HashMd(base::DigestAlgorithm hash);
// Describe fills type and bits from the key; kNone if it is of no supported kind.
std::shared_ptr<const PublicKey::Impl> Describe(bssl::UniquePtr<EVP_PKEY> pkey);
std::string StripZeros(std::string_view number);

// FindPem gives the decoded body of the first block with one of `labels` ('|' between them), and which
// label it was. False if there is none or it is malformed.
bool FindPem(std::string_view pem, std::string_view labels, std::string* label, std::string* der);
std::string WritePem(std::string_view label, std::string_view der);
// OpenDekInfo decrypts the body of a block with the headers of RFC 1421 (Proc-Type, DEK-Info), whose key
// OpenSSL derives by MD5: what Notary's first clients wrote.
absl::StatusOr<SecretBytes> OpenDekInfo(std::string_view dek_info, std::string_view der,
                                        std::string_view passphrase);
// OpenPkcs8 decrypts an EncryptedPrivateKeyInfo (PBES2).
absl::StatusOr<SecretBytes> OpenPkcs8(std::string_view der, std::string_view passphrase);

}  // namespace internal
}  // namespace coaming::trust

#endif  // COAMING_LIBTRUST_KEYS_INTERNAL_H_
