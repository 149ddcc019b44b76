#include <cstring>

#include "base/core/error.h"
#include "libtrust/keys/internal.h"
#include "openssl/ecdsa.h"
#include "openssl/err.h"
#include "openssl/mem.h"
#include "openssl/rand.h"

namespace coaming::trust {

using base::DigestAlgorithm;
using base::Fail;
using internal::Number;
using internal::U8;

std::string_view KeyTypeName(KeyType type) {
  switch (type) {
    case KeyType::kNone: return "none";
    case KeyType::kRsa: return "rsa";
    case KeyType::kEcdsaP256: return "ecdsa-p256";
    case KeyType::kEcdsaP384: return "ecdsa-p384";
    case KeyType::kEcdsaP521: return "ecdsa-p521";
    case KeyType::kEd25519: return "ed25519";
    case KeyType::kDsa: return "dsa";
  }
  return "none";
}

size_t OrderSize(KeyType type) {
  switch (type) {
    case KeyType::kEcdsaP256: return 32;
    case KeyType::kEcdsaP384: return 48;
    case KeyType::kEcdsaP521: return 66;
    default: return 0;
  }
}

namespace internal {

int CurveNid(KeyType type) {
  switch (type) {
    case KeyType::kEcdsaP256: return NID_X9_62_prime256v1;
    case KeyType::kEcdsaP384: return NID_secp384r1;
    case KeyType::kEcdsaP521: return NID_secp521r1;
    default: return NID_undef;
  }
}

KeyType CurveType(int nid) {
  switch (nid) {
    case NID_X9_62_prime256v1: return KeyType::kEcdsaP256;
    case NID_secp384r1: return KeyType::kEcdsaP384;
    case NID_secp521r1: return KeyType::kEcdsaP521;
    default: return KeyType::kNone;
  }
}

int HashNid(DigestAlgorithm hash) {
  switch (hash) {
    case DigestAlgorithm::kSha1: return NID_sha1;
    case DigestAlgorithm::kSha224: return NID_sha224;
    case DigestAlgorithm::kSha256: return NID_sha256;
    case DigestAlgorithm::kSha384: return NID_sha384;
    case DigestAlgorithm::kSha512: return NID_sha512;
    default: return NID_undef;
  }
}

const EVP_MD* HashMd(DigestAlgorithm hash) {
  switch (hash) {
    case DigestAlgorithm::kSha1: return EVP_sha1();
    case DigestAlgorithm::kSha224: return EVP_sha224();
    case DigestAlgorithm::kSha256: return EVP_sha256();
    case DigestAlgorithm::kSha384: return EVP_sha384();
    case DigestAlgorithm::kSha512: return EVP_sha512();
    default: return nullptr;
  }
}

std::string StripZeros(std::string_view number) {
  size_t zeros = number.find_first_not_of('\0');
  return zeros == std::string_view::npos ? std::string() : std::string(number.substr(zeros));
}

std::shared_ptr<const PublicKey::Impl> Describe(bssl::UniquePtr<EVP_PKEY> pkey) {
  ERR_clear_error();
  if (!pkey) return nullptr;
  auto impl = std::make_shared<PublicKey::Impl>();
  impl->bits = EVP_PKEY_bits(pkey.get());
  switch (EVP_PKEY_id(pkey.get())) {
    case EVP_PKEY_RSA:
      if (impl->bits < 1024 || impl->bits > 16384) return nullptr;
      impl->type = KeyType::kRsa;
      break;
    case EVP_PKEY_EC:
      impl->type =
          CurveType(EC_GROUP_get_curve_name(EC_KEY_get0_group(EVP_PKEY_get0_EC_KEY(pkey.get()))));
      if (impl->type == KeyType::kNone) return nullptr;
      break;
    case EVP_PKEY_ED25519:
      impl->type = KeyType::kEd25519;
      impl->bits = 256;
      break;
    case EVP_PKEY_DSA:
      if (impl->bits < 1024 || impl->bits > 3072) return nullptr;
      impl->type = KeyType::kDsa;
      break;
    default: return nullptr;
  }
  impl->pkey = std::move(pkey);
  return impl;
}

}  // namespace internal

KeyType PublicKey::type() const { return impl_ ? impl_->type : KeyType::kNone; }
int PublicKey::bits() const { return impl_ ? impl_->bits : 0; }

absl::StatusOr<PublicKey> PublicKey::Rsa(std::string_view n, std::string_view e) {
  auto bad = [](std::string_view why) { return Fail("sig.key_invalid") << "RSA key: " << why; };
  if (n.size() > 16384 / 8 + 8 || e.size() > 16) return bad("a number is too long");
  bssl::UniquePtr<RSA> rsa(RSA_new());
  bssl::UniquePtr<BIGNUM> bn = Number(n), be = Number(e);
  if (!rsa || !bn || !be) return Fail("core.no_memory") << "RSA key";
  if (!BN_is_odd(bn.get()) || !BN_is_odd(be.get()) || BN_is_one(be.get()))
    return bad("modulus or exponent is even or one");
  if (!RSA_set0_key(rsa.get(), bn.get(), be.get(), nullptr)) return bad("not a key");
  (void)bn.release();
  (void)be.release();
  bssl::UniquePtr<EVP_PKEY> pkey(EVP_PKEY_new());
  if (!pkey || !EVP_PKEY_set1_RSA(pkey.get(), rsa.get())) return bad("not a key");
  auto impl = internal::Describe(std::move(pkey));
  if (!impl) return bad("the modulus must have 1024 to 16384 bits");
  return PublicKey(std::move(impl));
}

absl::StatusOr<PublicKey> PublicKey::Ecdsa(KeyType curve, std::string_view point) {
  int nid = internal::CurveNid(curve);
  if (nid == NID_undef) return Fail("sig.key_invalid") << "ECDSA key: unknown curve";
  bssl::UniquePtr<EC_KEY> ec(EC_KEY_new_by_curve_name(nid));
  bssl::UniquePtr<EVP_PKEY> pkey(EVP_PKEY_new());
  if (!ec || !pkey) return Fail("core.no_memory") << "ECDSA key";
  bssl::UniquePtr<EC_POINT> at(EC_POINT_new(EC_KEY_get0_group(ec.get())));
  bool ok =
      at && !point.empty() && point[0] == 4 &&
      EC_POINT_oct2point(EC_KEY_get0_group(ec.get()), at.get(), U8(point), point.size(), nullptr) &&
      EC_KEY_set_public_key(ec.get(), at.get()) && EVP_PKEY_set1_EC_KEY(pkey.get(), ec.get());
  ERR_clear_error();
  if (!ok)
    return Fail("sig.key_invalid") << "ECDSA key: the point is not on " << KeyTypeName(curve);
  return PublicKey(internal::Describe(std::move(pkey)));
}

absl::StatusOr<PublicKey> PublicKey::Ed25519(std::string_view raw) {
  if (raw.size() != 32)
    return Fail("sig.key_invalid") << "Ed25519 key: " << raw.size() << " bytes instead of 32";
  bssl::UniquePtr<EVP_PKEY> pkey(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, U8(raw), raw.size()));
  if (!pkey) return Fail("core.no_memory") << "Ed25519 key";
  return PublicKey(internal::Describe(std::move(pkey)));
}

absl::StatusOr<PublicKey> PublicKey::Dsa(std::string_view p, std::string_view q, std::string_view g,
                                         std::string_view y) {
  auto bad = [](std::string_view why) { return Fail("sig.key_invalid") << "DSA key: " << why; };
  for (std::string_view number : {p, q, g, y})
    if (number.empty() || number.size() > 512) return bad("a number is empty or too long");
  bssl::UniquePtr<DSA> dsa(DSA_new());
  bssl::UniquePtr<BIGNUM> bp = Number(p), bq = Number(q), bg = Number(g), by = Number(y);
  bssl::UniquePtr<EVP_PKEY> pkey(EVP_PKEY_new());
  if (!dsa || !bp || !bq || !bg || !by || !pkey) return Fail("core.no_memory") << "DSA key";
  unsigned qbits = BN_num_bits(bq.get());
  if (qbits != 160 && qbits != 224 && qbits != 256) return bad("q must have 160, 224 or 256 bits");
  if (!BN_is_odd(bp.get()) || !BN_is_odd(bq.get())) return bad("p or q is even");
  if (BN_cmp(bg.get(), bp.get()) >= 0 || BN_cmp(by.get(), bp.get()) >= 0 ||
      BN_num_bits(bg.get()) < 2 || BN_num_bits(by.get()) < 2)
    return bad("g or y is out of range");
  if (!DSA_set0_pqg(dsa.get(), bp.get(), bq.get(), bg.get())) return bad("not a key");
  (void)bp.release();
  (void)bq.release();
  (void)bg.release();
  if (!DSA_set0_key(dsa.get(), by.get(), nullptr)) return bad("not a key");
  (void)by.release();
  if (!EVP_PKEY_set1_DSA(pkey.get(), dsa.get())) return bad("not a key");
  auto impl = internal::Describe(std::move(pkey));
  if (!impl) return bad("p must have 1024 to 3072 bits");
  return PublicKey(std::move(impl));
}

absl::StatusOr<PublicKey> PublicKey::FromSpki(std::string_view der) {
  CBS cbs;
  CBS_init(&cbs, U8(der), der.size());
  bssl::UniquePtr<EVP_PKEY> pkey(EVP_parse_public_key(&cbs));
  bool whole = CBS_len(&cbs) == 0;
  auto impl = internal::Describe(std::move(pkey));
  if (!impl || !whole)
    return Fail("sig.key_invalid") << "not a SubjectPublicKeyInfo of a supported key";
  return PublicKey(std::move(impl));
}

absl::StatusOr<PublicKey> PublicKey::FromPem(std::string_view pem) {
  std::string label, der;
  if (!internal::FindPem(pem, "PUBLIC KEY|RSA PUBLIC KEY", &label, &der))
    return Fail("sig.key_invalid") << "no PEM block PUBLIC KEY";
  if (label == "PUBLIC KEY") return FromSpki(der);
  bssl::UniquePtr<RSA> rsa(RSA_public_key_from_bytes(U8(der), der.size()));
  bssl::UniquePtr<EVP_PKEY> pkey(EVP_PKEY_new());
  if (rsa && pkey && EVP_PKEY_set1_RSA(pkey.get(), rsa.get()))
    if (auto impl = internal::Describe(std::move(pkey))) return PublicKey(std::move(impl));
  ERR_clear_error();
  return Fail("sig.key_invalid") << "PEM block RSA PUBLIC KEY: not a key";
}

std::string PublicKey::SpkiDer() const {
  if (!impl_) return "";
  bssl::ScopedCBB cbb;
  uint8_t* out = nullptr;
  size_t size = 0;
  if (!CBB_init(cbb.get(), 512) || !EVP_marshal_public_key(cbb.get(), impl_->pkey.get()) ||
      !CBB_finish(cbb.get(), &out, &size))
    return "";
  return internal::TakeBytes(out, size);
}

std::string PublicKey::SpkiPem() const {
  return impl_ ? internal::WritePem("PUBLIC KEY", SpkiDer()) : "";
}

std::string PublicKey::Raw() const {
  if (!impl_) return "";
  uint8_t out[133];
  size_t size = sizeof(out);
  if (impl_->type == KeyType::kEd25519) {
    if (!EVP_PKEY_get_raw_public_key(impl_->pkey.get(), out, &size)) return "";
  } else if (OrderSize(impl_->type) != 0) {
    const EC_KEY* ec = EVP_PKEY_get0_EC_KEY(impl_->pkey.get());
    size = EC_POINT_point2oct(EC_KEY_get0_group(ec), EC_KEY_get0_public_key(ec),
                              POINT_CONVERSION_UNCOMPRESSED, out, sizeof(out), nullptr);
  } else {
    return "";
  }
  return std::string(reinterpret_cast<char*>(out), size);
}

namespace {
std::string NumberBytes(const BIGNUM* n) {
  std::string out(BN_num_bytes(n), '\0');
  BN_bn2bin(n, reinterpret_cast<uint8_t*>(out.data()));
  return out;
}

// Pads on the left to `size`; false if the number is longer than that.
bool Pad(std::string_view number, size_t size, std::string* out) {
  std::string stripped = internal::StripZeros(number);
  if (stripped.size() > size) return false;
  out->assign(size - stripped.size(), '\0');
  out->append(stripped);
  return true;
}
}  // namespace

std::string PublicKey::RsaModulus() const {
  return type() == KeyType::kRsa ? NumberBytes(RSA_get0_n(EVP_PKEY_get0_RSA(impl_->pkey.get())))
                                 : "";
}

std::string PublicKey::RsaExponent() const {
  return type() == KeyType::kRsa ? NumberBytes(RSA_get0_e(EVP_PKEY_get0_RSA(impl_->pkey.get())))
                                 : "";
}

bool PublicKey::VerifyRsaPkcs1(DigestAlgorithm hash, std::string_view digest,
                               std::string_view signature) const {
  int nid = internal::HashNid(hash);
  if (type() != KeyType::kRsa || nid == NID_undef || digest.size() != base::DigestSize(hash))
    return false;
  RSA* rsa = EVP_PKEY_get0_RSA(impl_->pkey.get());
  std::string padded;
  if (!Pad(signature, RSA_size(rsa), &padded)) return false;
  bool ok = RSA_verify(nid, U8(digest), digest.size(), U8(padded), padded.size(), rsa) == 1;
  ERR_clear_error();
  return ok;
}

bool PublicKey::VerifyRsaPss(DigestAlgorithm hash, std::string_view digest,
                             std::string_view signature, int salt) const {
  const EVP_MD* md = internal::HashMd(hash);
  if (type() != KeyType::kRsa || md == nullptr || digest.size() != base::DigestSize(hash))
    return false;
  RSA* rsa = EVP_PKEY_get0_RSA(impl_->pkey.get());
  if (signature.size() != RSA_size(rsa)) return false;
  bool ok = RSA_verify_pss_mgf1(rsa, U8(digest), digest.size(), md, nullptr, salt, U8(signature),
                                signature.size()) == 1;
  ERR_clear_error();
  return ok;
}

bool PublicKey::VerifyEcdsaDer(std::string_view digest, std::string_view der) const {
  if (OrderSize(type()) == 0) return false;
  bool ok = ECDSA_verify(0, U8(digest), digest.size(), U8(der), der.size(),
                         EVP_PKEY_get0_EC_KEY(impl_->pkey.get())) == 1;
  ERR_clear_error();
  return ok;
}

bool PublicKey::VerifyEcdsa(std::string_view digest, std::string_view r, std::string_view s) const {
  size_t order = OrderSize(type());
  if (order == 0) return false;
  std::string pr, ps;
  if (!Pad(r, order, &pr) || !Pad(s, order, &ps)) return false;
  bssl::UniquePtr<ECDSA_SIG> sig(ECDSA_SIG_new());
  bssl::UniquePtr<BIGNUM> br = Number(pr), bs = Number(ps);
  if (!sig || !br || !bs || !ECDSA_SIG_set0(sig.get(), br.get(), bs.get())) return false;
  (void)br.release();
  (void)bs.release();
  bool ok = ECDSA_do_verify(U8(digest), digest.size(), sig.get(),
                            EVP_PKEY_get0_EC_KEY(impl_->pkey.get())) == 1;
  ERR_clear_error();
  return ok;
}

bool PublicKey::VerifyEd25519(std::string_view message, std::string_view signature) const {
  if (type() != KeyType::kEd25519 || signature.size() != 64) return false;
  bssl::ScopedEVP_MD_CTX ctx;
  bool ok = EVP_DigestVerifyInit(ctx.get(), nullptr, nullptr, nullptr, impl_->pkey.get()) &&
            EVP_DigestVerify(ctx.get(), U8(signature), signature.size(), U8(message),
                             message.size()) == 1;
  ERR_clear_error();
  return ok;
}

bool PublicKey::VerifyDsa(std::string_view digest, std::string_view r, std::string_view s) const {
  if (type() != KeyType::kDsa || r.size() > 64 || s.size() > 64) return false;
  bssl::UniquePtr<DSA_SIG> sig(DSA_SIG_new());
  bssl::UniquePtr<BIGNUM> br = Number(r), bs = Number(s);
  if (!sig || !br || !bs || !DSA_SIG_set0(sig.get(), br.get(), bs.get())) return false;
  (void)br.release();
  (void)bs.release();
  bool ok = DSA_do_verify(U8(digest), digest.size(), sig.get(),
                          EVP_PKEY_get0_DSA(impl_->pkey.get())) == 1;
  ERR_clear_error();
  return ok;
}

std::string EcdsaDerToRaw(std::string_view der, size_t size) {
  bssl::UniquePtr<ECDSA_SIG> sig(ECDSA_SIG_from_bytes(U8(der), der.size()));
  ERR_clear_error();
  std::string out(2 * size, '\0');
  uint8_t* bytes = reinterpret_cast<uint8_t*>(out.data());
  if (!sig || !BN_bn2bin_padded(bytes, size, ECDSA_SIG_get0_r(sig.get())) ||
      !BN_bn2bin_padded(bytes + size, size, ECDSA_SIG_get0_s(sig.get())))
    return "";
  return out;
}

std::string EcdsaRawToDer(std::string_view raw) {
  if (raw.empty() || raw.size() % 2 != 0 || raw.size() > 256) return "";
  bssl::UniquePtr<ECDSA_SIG> sig(ECDSA_SIG_new());
  bssl::UniquePtr<BIGNUM> r = Number(raw.substr(0, raw.size() / 2)),
                          s = Number(raw.substr(raw.size() / 2));
  if (!sig || !r || !s || !ECDSA_SIG_set0(sig.get(), r.get(), s.get())) return "";
  (void)r.release();
  (void)s.release();
  uint8_t* out = nullptr;
  size_t size = 0;
  if (!ECDSA_SIG_to_bytes(&out, &size, sig.get())) return "";
  return internal::TakeBytes(out, size);
}

void RandomFill(void* out, size_t size) { RAND_bytes(static_cast<uint8_t*>(out), size); }

std::string RandomBytes(size_t size) {
  std::string out(size, '\0');
  RandomFill(out.data(), size);
  return out;
}

bool EqualConstantTime(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace coaming::trust
