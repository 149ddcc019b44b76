// PEM text and PBES2 (RFC 8018), read by hand: BoringSSL's readers refuse the headers that Notary puts
// into PEM blocks and the version that it puts into PKCS#8.
#include <algorithm>
#include <cstring>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/core/error.h"
#include "base/digest/digest.h"
#include "libtrust/keys/internal.h"
#include "openssl/cipher.h"
#include "openssl/err.h"

namespace coaming::trust {

using base::Fail;

namespace internal {

bool FindPem(std::string_view pem, std::string_view labels, std::string* label, std::string* der) {
  constexpr std::string_view kBegin = "-----BEGIN ", kDashes = "-----";
  std::vector<std::string_view> wanted = absl::StrSplit(labels, '|');
  size_t at = 0;
  while ((at = pem.find(kBegin, at)) != std::string_view::npos) {
    size_t name = at + kBegin.size();
    size_t end = pem.find(kDashes, name);
    if (end == std::string_view::npos) return false;
    std::string_view found = pem.substr(name, end - name);
    at = end + kDashes.size();
    if (std::find(wanted.begin(), wanted.end(), found) == wanted.end()) continue;
    size_t stop = pem.find(absl::StrCat("-----END ", found, kDashes), at);
    if (stop == std::string_view::npos) return false;
    std::string base64;
    for (std::string_view line : absl::StrSplit(pem.substr(at, stop - at), '\n'))
      if (line.find(':') == std::string_view::npos) absl::StrAppend(&base64, line);
    base64.erase(std::remove_if(base64.begin(), base64.end(),
                                [](char c) { return c == ' ' || c == '\r' || c == '\t'; }),
                 base64.end());
    *label = found;
    bool ok = absl::Base64Unescape(base64, der);
    WipeString(&base64);
    return ok && !der->empty();
  }
  return false;
}

std::string WritePem(std::string_view label, std::string_view der) {
  std::string base64 = absl::Base64Escape(der);
  std::string out = absl::StrCat("-----BEGIN ", label, "-----\n");
  for (size_t i = 0; i < base64.size(); i += 64)
    absl::StrAppend(&out, std::string_view(base64).substr(i, 64), "\n");
  WipeString(&base64);
  absl::StrAppend(&out, "-----END ", label, "-----\n");
  return out;
}

namespace {
constexpr uint8_t kPbes2[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d};
constexpr uint8_t kPbkdf2[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0c};
constexpr uint8_t kHmacSha1[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x07};
constexpr uint8_t kHmacSha256[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x09};
constexpr uint8_t kHmacSha512[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x0b};
constexpr uint8_t kAes128[] = {0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x02};
constexpr uint8_t kAes192[] = {0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x16};
constexpr uint8_t kAes256[] = {0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2a};
constexpr uint8_t kDes3[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x03, 0x07};
constexpr uint64_t kMaxRounds = 10000000;

template <size_t N>
bool Is(const CBS& oid, const uint8_t (&want)[N]) {
  return CBS_mem_equal(&oid, want, N);
}
}  // namespace

absl::StatusOr<SecretBytes> OpenPkcs8(std::string_view der, std::string_view passphrase) {
  auto unknown = [](std::string_view what) {
    return Fail("sig.unsupported") << "encrypted private key: unknown " << what;
  };
  CBS cbs, info, scheme, oid, params, kdf, kdf_oid, kdf_params, salt, cipher, cipher_oid, iv, data;
  uint64_t rounds = 0;
  CBS_init(&cbs, U8(der), der.size());
  if (!CBS_get_asn1(&cbs, &info, CBS_ASN1_SEQUENCE) || CBS_len(&cbs) != 0 ||
      !CBS_get_asn1(&info, &scheme, CBS_ASN1_SEQUENCE) ||
      !CBS_get_asn1(&scheme, &oid, CBS_ASN1_OBJECT) ||
      !CBS_get_asn1(&info, &data, CBS_ASN1_OCTETSTRING))
    return Fail("sig.key_invalid") << "encrypted private key: damaged";
  if (!Is(oid, kPbes2)) return unknown("scheme");
  if (!CBS_get_asn1(&scheme, &params, CBS_ASN1_SEQUENCE) ||
      !CBS_get_asn1(&params, &kdf, CBS_ASN1_SEQUENCE) ||
      !CBS_get_asn1(&params, &cipher, CBS_ASN1_SEQUENCE) ||
      !CBS_get_asn1(&kdf, &kdf_oid, CBS_ASN1_OBJECT) ||
      !CBS_get_asn1(&cipher, &cipher_oid, CBS_ASN1_OBJECT) ||
      !CBS_get_asn1(&cipher, &iv, CBS_ASN1_OCTETSTRING))
    return Fail("sig.key_invalid") << "encrypted private key: damaged";
  if (!Is(kdf_oid, kPbkdf2)) return unknown("key derivation");
  if (!CBS_get_asn1(&kdf, &kdf_params, CBS_ASN1_SEQUENCE) ||
      !CBS_get_asn1(&kdf_params, &salt, CBS_ASN1_OCTETSTRING) ||
      !CBS_get_asn1_uint64(&kdf_params, &rounds))
    return Fail("sig.key_invalid") << "encrypted private key: damaged";
  if (rounds == 0 || rounds > kMaxRounds)
    return Fail("core.limit") << "encrypted private key: " << rounds << " rounds, at most "
                              << kMaxRounds;
  uint64_t length;
  if (CBS_peek_asn1_tag(&kdf_params, CBS_ASN1_INTEGER) &&
      !CBS_get_asn1_uint64(&kdf_params, &length))
    return Fail("sig.key_invalid") << "encrypted private key: damaged";
  const EVP_MD* md = EVP_sha1();
  if (CBS_len(&kdf_params) != 0) {
    CBS prf, prf_oid;
    if (!CBS_get_asn1(&kdf_params, &prf, CBS_ASN1_SEQUENCE) ||
        !CBS_get_asn1(&prf, &prf_oid, CBS_ASN1_OBJECT))
      return Fail("sig.key_invalid") << "encrypted private key: damaged";
    if (Is(prf_oid, kHmacSha256)) {
      md = EVP_sha256();
    } else if (Is(prf_oid, kHmacSha512)) {
      md = EVP_sha512();
    } else if (!Is(prf_oid, kHmacSha1)) {
      return unknown("pseudo-random function");
    }
  }
  const EVP_CIPHER* algorithm = Is(cipher_oid, kAes256)   ? EVP_aes_256_cbc()
                                : Is(cipher_oid, kAes128) ? EVP_aes_128_cbc()
                                : Is(cipher_oid, kAes192) ? EVP_aes_192_cbc()
                                : Is(cipher_oid, kDes3)   ? EVP_des_ede3_cbc()
                                                          : nullptr;
  if (algorithm == nullptr) return unknown("cipher");
  if (CBS_len(&iv) != EVP_CIPHER_iv_length(algorithm))
    return Fail("sig.key_invalid") << "encrypted private key: damaged";
  SecretBytes key(EVP_CIPHER_key_length(algorithm));
  SecretBytes out(CBS_len(&data) + 32);
  if (key.empty() || out.empty()) return Fail("core.no_memory") << "open a private key";
  bssl::ScopedEVP_CIPHER_CTX ctx;
  int n1 = 0, n2 = 0;
  bool ok = PKCS5_PBKDF2_HMAC(passphrase.data(), passphrase.size(), CBS_data(&salt), CBS_len(&salt),
                              rounds, md, key.size(), key.bytes()) &&
            EVP_DecryptInit_ex(ctx.get(), algorithm, nullptr, key.bytes(), CBS_data(&iv)) &&
            EVP_DecryptUpdate(ctx.get(), out.bytes(), &n1, CBS_data(&data), CBS_len(&data)) &&
            EVP_DecryptFinal_ex(ctx.get(), out.bytes() + n1, &n2);
  ERR_clear_error();
  if (!ok) return Fail("sig.passphrase") << "open the private key: wrong passphrase";
  out.Truncate(n1 + n2);
  return out;
}

absl::StatusOr<SecretBytes> OpenDekInfo(std::string_view dek_info, std::string_view der,
                                        std::string_view passphrase) {
  const size_t comma = dek_info.find(',');
  const std::string_view name = dek_info.substr(0, comma);
  const EVP_CIPHER* algorithm = name == "AES-256-CBC"    ? EVP_aes_256_cbc()
                                : name == "AES-128-CBC"  ? EVP_aes_128_cbc()
                                : name == "AES-192-CBC"  ? EVP_aes_192_cbc()
                                : name == "DES-EDE3-CBC" ? EVP_des_ede3_cbc()
                                                         : nullptr;
  if (algorithm == nullptr || comma == std::string_view::npos)
    return Fail("sig.unsupported") << "encrypted private key: unknown cipher";
  const auto iv = base::HexDecode(dek_info.substr(comma + 1));
  if (!iv || iv->size() != EVP_CIPHER_iv_length(algorithm))
    return Fail("sig.key_invalid") << "encrypted private key: damaged";
  SecretBytes key(EVP_CIPHER_key_length(algorithm));
  SecretBytes out(der.size() + 32);
  if (key.empty() || out.empty()) return Fail("core.no_memory") << "open a private key";
  bssl::ScopedEVP_CIPHER_CTX ctx;
  int n1 = 0, n2 = 0;
  const bool ok = EVP_BytesToKey(algorithm, EVP_md5(), U8(*iv), U8(passphrase), passphrase.size(),
                                 1, key.bytes(), nullptr) > 0 &&
                  EVP_DecryptInit_ex(ctx.get(), algorithm, nullptr, key.bytes(), U8(*iv)) &&
                  EVP_DecryptUpdate(ctx.get(), out.bytes(), &n1, U8(der), der.size()) &&
                  EVP_DecryptFinal_ex(ctx.get(), out.bytes() + n1, &n2);
  ERR_clear_error();
  if (!ok) return Fail("sig.passphrase") << "open the private key: wrong passphrase";
  out.Truncate(n1 + n2);
  return out;
}

}  // namespace internal

std::string PemOf(std::string_view label, std::string_view der) {
  return internal::WritePem(label, der);
}

absl::StatusOr<std::string> EncryptPkcs8Pem(const PrivateKey& key, std::string_view passphrase,
                                            Pbkdf2Hmac hmac) {
  using internal::kAes256, internal::kHmacSha256, internal::kPbes2, internal::kPbkdf2;
  constexpr uint32_t kRounds = 100000;
  uint8_t salt[16], iv[16];
  RandomFill(salt, sizeof(salt));
  RandomFill(iv, sizeof(iv));
  SecretBytes plain = key.Pkcs8Der(), secret(32);
  std::string data(plain.size() + 32, '\0');
  bssl::ScopedEVP_CIPHER_CTX ctx;
  int n1 = 0, n2 = 0;
  uint8_t* out = reinterpret_cast<uint8_t*>(data.data());
  if (plain.empty() || secret.empty() ||
      !PKCS5_PBKDF2_HMAC(passphrase.data(), passphrase.size(), salt, sizeof(salt), kRounds,
                         hmac == Pbkdf2Hmac::kSha1 ? EVP_sha1() : EVP_sha256(), secret.size(),
                         secret.bytes()) ||
      !EVP_EncryptInit_ex(ctx.get(), EVP_aes_256_cbc(), nullptr, secret.bytes(), iv) ||
      !EVP_EncryptUpdate(ctx.get(), out, &n1, plain.bytes(), plain.size()) ||
      !EVP_EncryptFinal_ex(ctx.get(), out + n1, &n2))
    return Fail("core.no_memory") << "encrypt a private key";
  data.resize(n1 + n2);
  bssl::ScopedCBB cbb;
  CBB info, scheme, oid, params, kdf, kdf_oid, kdf_params, octets, prf, prf_oid, null, cipher;
  uint8_t* der = nullptr;
  size_t size = 0;
  bool ok =
      CBB_init(cbb.get(), 512) && CBB_add_asn1(cbb.get(), &info, CBS_ASN1_SEQUENCE) &&
      CBB_add_asn1(&info, &scheme, CBS_ASN1_SEQUENCE) &&
      CBB_add_asn1(&scheme, &oid, CBS_ASN1_OBJECT) && CBB_add_bytes(&oid, kPbes2, sizeof(kPbes2)) &&
      CBB_add_asn1(&scheme, &params, CBS_ASN1_SEQUENCE) &&
      CBB_add_asn1(&params, &kdf, CBS_ASN1_SEQUENCE) &&
      CBB_add_asn1(&kdf, &kdf_oid, CBS_ASN1_OBJECT) &&
      CBB_add_bytes(&kdf_oid, kPbkdf2, sizeof(kPbkdf2)) &&
      CBB_add_asn1(&kdf, &kdf_params, CBS_ASN1_SEQUENCE) &&
      CBB_add_asn1(&kdf_params, &octets, CBS_ASN1_OCTETSTRING) &&
      CBB_add_bytes(&octets, salt, sizeof(salt)) && CBB_add_asn1_uint64(&kdf_params, kRounds) &&
      (hmac == Pbkdf2Hmac::kSha1 || (CBB_add_asn1(&kdf_params, &prf, CBS_ASN1_SEQUENCE) &&
                                     CBB_add_asn1(&prf, &prf_oid, CBS_ASN1_OBJECT) &&
                                     CBB_add_bytes(&prf_oid, kHmacSha256, sizeof(kHmacSha256)) &&
                                     CBB_add_asn1(&prf, &null, CBS_ASN1_NULL))) &&
      CBB_add_asn1(&params, &cipher, CBS_ASN1_SEQUENCE) &&
      CBB_add_asn1(&cipher, &oid, CBS_ASN1_OBJECT) &&
      CBB_add_bytes(&oid, kAes256, sizeof(kAes256)) &&
      CBB_add_asn1(&cipher, &octets, CBS_ASN1_OCTETSTRING) &&
      CBB_add_bytes(&octets, iv, sizeof(iv)) &&
      CBB_add_asn1(&info, &octets, CBS_ASN1_OCTETSTRING) &&
      CBB_add_bytes(&octets, reinterpret_cast<uint8_t*>(data.data()), data.size()) &&
      CBB_finish(cbb.get(), &der, &size);
  if (!ok) return Fail("core.no_memory") << "encrypt a private key";
  return internal::WritePem("ENCRYPTED PRIVATE KEY", internal::TakeBytes(der, size));
}

}  // namespace coaming::trust
