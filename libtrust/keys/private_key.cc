#include <algorithm>
#include <cstring>

#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "libtrust/keys/internal.h"
#include "openssl/ecdsa.h"
#include "openssl/err.h"
#include "openssl/mem.h"

namespace coaming::trust {

using base::DigestAlgorithm;
using base::Fail;
using internal::Number;
using internal::U8;

namespace {

bssl::UniquePtr<EVP_PKEY> Open(const SecretBytes& pkcs8) {
  CBS cbs;
  CBS_init(&cbs, pkcs8.bytes(), pkcs8.size());
  bssl::UniquePtr<EVP_PKEY> pkey(EVP_parse_private_key(&cbs));
  ERR_clear_error();
  return pkey;
}

absl::Status WrongType(std::string_view want, KeyType have) {
  return Fail("sig.key_invalid") << "sign with " << want << ": the key is " << KeyTypeName(have);
}

SecretBytes NumberBytes(const BIGNUM* n) {
  SecretBytes out(BN_num_bytes(n));
  if (!out.empty()) BN_bn2bin(n, out.bytes());
  return out;
}

// Marshal writes PrivateKeyInfo into pages that stay out of core dumps.
SecretBytes Marshal(const EVP_PKEY* pkey) {
  SecretBytes out(size_t{16} << 10);
  bssl::ScopedCBB cbb;
  size_t size = 0;
  if (out.empty() || !CBB_init_fixed(cbb.get(), out.bytes(), out.size()) ||
      !EVP_marshal_private_key(cbb.get(), pkey) || !CBB_finish(cbb.get(), nullptr, &size)) {
    ERR_clear_error();
    return SecretBytes();
  }
  out.Truncate(size);
  return out;
}

// Normalise takes what PKCS#8 writers disagree about: version 1 becomes 0 without the public key at
// the end, and Notary's Ed25519 (96 bytes under GnuPG's identifier) becomes a seed.
bool Normalise(std::string_view der, SecretBytes* out, std::string* seed) {
  static constexpr uint8_t kGnuEd25519[] = {0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x0f, 0x01};
  CBS cbs, info, algorithm, oid, key;
  uint64_t version;
  CBS_init(&cbs, U8(der), der.size());
  if (!CBS_get_asn1(&cbs, &info, CBS_ASN1_SEQUENCE) || CBS_len(&cbs) != 0 ||
      !CBS_get_asn1_uint64(&info, &version) || version > 1 ||
      !CBS_get_asn1_element(&info, &algorithm, CBS_ASN1_SEQUENCE) ||
      !CBS_get_asn1(&info, &key, CBS_ASN1_OCTETSTRING))
    return false;
  CBS copy = algorithm, body;
  if (!CBS_get_asn1(&copy, &body, CBS_ASN1_SEQUENCE) || !CBS_get_asn1(&body, &oid, CBS_ASN1_OBJECT))
    return false;
  if (CBS_mem_equal(&oid, kGnuEd25519, sizeof(kGnuEd25519)) && CBS_len(&key) == 96) {
    *seed = std::string(internal::View(key).substr(32, 32));
    return true;
  }
  *out = SecretBytes(der.size() + 16);
  bssl::ScopedCBB cbb;
  CBB seq, octets;
  size_t size = 0;
  if (out->empty() || !CBB_init_fixed(cbb.get(), out->bytes(), out->size()) ||
      !CBB_add_asn1(cbb.get(), &seq, CBS_ASN1_SEQUENCE) || !CBB_add_asn1_uint64(&seq, 0) ||
      !CBB_add_bytes(&seq, CBS_data(&algorithm), CBS_len(&algorithm)) ||
      !CBB_add_asn1(&seq, &octets, CBS_ASN1_OCTETSTRING) ||
      !CBB_add_bytes(&octets, CBS_data(&key), CBS_len(&key)) ||
      !CBB_finish(cbb.get(), nullptr, &size))
    return false;
  out->Truncate(size);
  return true;
}

absl::StatusOr<PrivateKey> Take(const EVP_PKEY* pkey, std::string_view what) {
  SecretBytes der = Marshal(pkey);
  if (der.empty()) return Fail("sig.key_invalid") << what << ": not a key";
  return PrivateKey::FromPkcs8(der.view());
}

}  // namespace

absl::StatusOr<PrivateKey> PrivateKey::Generate(KeyType type, int bits) {
  const StackWipe wipe;
  bssl::UniquePtr<EVP_PKEY> pkey(EVP_PKEY_new());
  if (!pkey) return Fail("core.no_memory") << "make a key";
  if (type == KeyType::kEd25519) {
    SecretBytes seed(32);
    if (seed.empty()) return Fail("core.no_memory") << "make a key";
    RandomFill(seed.data(), seed.size());
    return Ed25519(seed.view());
  }
  if (type == KeyType::kRsa) {
    if (bits < 2048 || bits > 8192)
      return Fail("sig.key_invalid") << "make an RSA key of " << bits << " bits: want 2048 to 8192";
    bssl::UniquePtr<RSA> rsa(RSA_new());
    bssl::UniquePtr<BIGNUM> e(BN_new());
    if (!rsa || !e || !BN_set_word(e.get(), RSA_F4) ||
        !RSA_generate_key_ex(rsa.get(), bits, e.get(), nullptr) ||
        !EVP_PKEY_set1_RSA(pkey.get(), rsa.get()))
      return Fail("core.no_memory") << "make an RSA key";
    return Take(pkey.get(), "new RSA key");
  }
  int nid = internal::CurveNid(type);
  if (nid == NID_undef)
    return Fail("sig.key_invalid") << "make a key of type " << KeyTypeName(type) << ": not offered";
  bssl::UniquePtr<EC_KEY> ec(EC_KEY_new_by_curve_name(nid));
  if (!ec || !EC_KEY_generate_key(ec.get()) || !EVP_PKEY_set1_EC_KEY(pkey.get(), ec.get()))
    return Fail("core.no_memory") << "make an ECDSA key";
  return Take(pkey.get(), "new ECDSA key");
}

absl::StatusOr<PrivateKey> PrivateKey::Rsa(std::string_view n, std::string_view e,
                                           std::string_view d, std::string_view p,
                                           std::string_view q) {
  const StackWipe wipe;
  for (std::string_view number : {n, e, d, p, q})
    if (number.empty() || number.size() > 2048)
      return Fail("sig.key_invalid") << "RSA secret key: a number is empty or too long";
  bssl::UniquePtr<BIGNUM> bn = Number(n), be = Number(e), bd = Number(d), bp = Number(p),
                          bq = Number(q), p1(BN_new()), q1(BN_new()), dp(BN_new()), dq(BN_new()),
                          qinv(BN_new());
  bssl::UniquePtr<BN_CTX> ctx(BN_CTX_new());
  bssl::UniquePtr<RSA> rsa(RSA_new());
  bssl::UniquePtr<EVP_PKEY> pkey(EVP_PKEY_new());
  bool ok = bn && be && bd && bp && bq && p1 && q1 && dp && dq && qinv && ctx && rsa && pkey &&
            BN_num_bits(bp.get()) > 1 && BN_num_bits(bq.get()) > 1 && BN_is_odd(bp.get()) &&
            BN_is_odd(bq.get()) && BN_is_odd(bn.get()) &&
            BN_sub(p1.get(), bp.get(), BN_value_one()) &&
            BN_sub(q1.get(), bq.get(), BN_value_one()) &&
            BN_mod(dp.get(), bd.get(), p1.get(), ctx.get()) &&
            BN_mod(dq.get(), bd.get(), q1.get(), ctx.get()) &&
            BN_mod_inverse(qinv.get(), bq.get(), bp.get(), ctx.get()) != nullptr;
  if (ok && RSA_set0_key(rsa.get(), bn.get(), be.get(), bd.get())) {
    (void)bn.release();
    (void)be.release();
    (void)bd.release();
    if (RSA_set0_factors(rsa.get(), bp.get(), bq.get())) {
      (void)bp.release();
      (void)bq.release();
      if (RSA_set0_crt_params(rsa.get(), dp.get(), dq.get(), qinv.get())) {
        (void)dp.release();
        (void)dq.release();
        (void)qinv.release();
        if (RSA_check_key(rsa.get()) && EVP_PKEY_set1_RSA(pkey.get(), rsa.get())) {
          ERR_clear_error();
          return Take(pkey.get(), "RSA secret key");
        }
      }
    }
  }
  ERR_clear_error();
  return Fail("sig.key_invalid") << "RSA secret key: the numbers do not belong together";
}

absl::StatusOr<PrivateKey> PrivateKey::Ecdsa(KeyType curve, std::string_view scalar) {
  const StackWipe wipe;
  int nid = internal::CurveNid(curve);
  if (nid == NID_undef || scalar.size() > OrderSize(curve) + 8)
    return Fail("sig.key_invalid") << "ECDSA secret key: unknown curve or wrong size";
  bssl::UniquePtr<EC_KEY> ec(EC_KEY_new_by_curve_name(nid));
  bssl::UniquePtr<BIGNUM> s = Number(scalar);
  bssl::UniquePtr<EVP_PKEY> pkey(EVP_PKEY_new());
  bool ok = ec && s && pkey && EC_KEY_set_private_key(ec.get(), s.get());
  if (ok) {
    bssl::UniquePtr<EC_POINT> point(EC_POINT_new(EC_KEY_get0_group(ec.get())));
    ok = point &&
         EC_POINT_mul(EC_KEY_get0_group(ec.get()), point.get(), s.get(), nullptr, nullptr,
                      nullptr) &&
         EC_KEY_set_public_key(ec.get(), point.get()) && EVP_PKEY_set1_EC_KEY(pkey.get(), ec.get());
  }
  ERR_clear_error();
  if (!ok) return Fail("sig.key_invalid") << "ECDSA secret key: the number is out of range";
  return Take(pkey.get(), "ECDSA secret key");
}

absl::StatusOr<PrivateKey> PrivateKey::Ed25519(std::string_view seed) {
  const StackWipe wipe;
  if (seed.size() != 32)
    return Fail("sig.key_invalid")
           << "Ed25519 secret key: " << seed.size() << " bytes instead of 32";
  bssl::UniquePtr<EVP_PKEY> pkey(
      EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, U8(seed), seed.size()));
  if (!pkey) return Fail("core.no_memory") << "Ed25519 key";
  return Take(pkey.get(), "Ed25519 secret key");
}

absl::StatusOr<PrivateKey> PrivateKey::FromPkcs8(std::string_view der) {
  const StackWipe wipe;
  SecretBytes plain;
  std::string seed;
  if (!Normalise(der, &plain, &seed)) return Fail("sig.key_invalid") << "not a PKCS#8 private key";
  if (!seed.empty()) {
    auto key = Ed25519(seed);
    WipeString(&seed);
    return key;
  }
  bssl::UniquePtr<EVP_PKEY> pkey = Open(plain);
  PrivateKey out;
  // The public half is built anew, so that it holds no secret.
  bssl::ScopedCBB cbb;
  uint8_t* spki = nullptr;
  size_t size = 0;
  if (!pkey || EVP_PKEY_id(pkey.get()) == EVP_PKEY_DSA || !CBB_init(cbb.get(), 512) ||
      !EVP_marshal_public_key(cbb.get(), pkey.get()) || !CBB_finish(cbb.get(), &spki, &size))
    return Fail("sig.key_invalid") << "not a PKCS#8 private key of a supported type";
  auto public_key = PublicKey::FromSpki(internal::TakeBytes(spki, size));
  if (!public_key.ok()) return public_key.status();
  out.public_key_ = *std::move(public_key);
  out.pkcs8_ = std::move(plain);
  return out;
}

absl::StatusOr<PrivateKey> PrivateKey::FromPem(std::string_view pem, std::string_view passphrase) {
  const StackWipe wipe;
  std::string label, der;
  if (!internal::FindPem(pem, "PRIVATE KEY|ENCRYPTED PRIVATE KEY|EC PRIVATE KEY|RSA PRIVATE KEY",
                         &label, &der))
    return Fail("sig.key_invalid") << "no PEM block PRIVATE KEY";
  absl::StatusOr<PrivateKey> key;
  constexpr std::string_view kDekInfo = "DEK-Info: ";
  const size_t dek = pem.find(kDekInfo);
  if (dek != std::string_view::npos && label != "ENCRYPTED PRIVATE KEY") {
    const size_t from = dek + kDekInfo.size();
    const size_t size = std::min(pem.find_first_of("\r\n", from), pem.size()) - from;
    auto plain = internal::OpenDekInfo(pem.substr(from, size), der, passphrase);
    WipeString(&der);
    COAM_RETURN_IF_ERROR(plain.status());
    der = std::string(plain->view());
  }
  const bool was_protected = dek != std::string_view::npos;
  if (label == "ENCRYPTED PRIVATE KEY") {
    auto plain = internal::OpenPkcs8(der, passphrase);
    key = plain.ok() ? FromPkcs8(plain->view()) : absl::StatusOr<PrivateKey>(plain.status());
    if (plain.ok() && !key.ok())
      key = Fail("sig.passphrase") << "open the private key: wrong passphrase";
  } else if (label == "PRIVATE KEY") {
    key = FromPkcs8(der);
  } else {
    CBS cbs;
    CBS_init(&cbs, U8(der), der.size());
    bssl::UniquePtr<EVP_PKEY> pkey(EVP_PKEY_new());
    bool ok = false;
    if (label == "EC PRIVATE KEY") {
      bssl::UniquePtr<EC_KEY> ec(EC_KEY_parse_private_key(&cbs, nullptr));
      ok = ec && pkey && EVP_PKEY_set1_EC_KEY(pkey.get(), ec.get());
    } else {
      bssl::UniquePtr<RSA> rsa(RSA_parse_private_key(&cbs));
      ok = rsa && pkey && EVP_PKEY_set1_RSA(pkey.get(), rsa.get());
    }
    ERR_clear_error();
    key = ok ? Take(pkey.get(), label)
             : absl::StatusOr<PrivateKey>(Fail(was_protected ? "sig.passphrase" : "sig.key_invalid")
                                          << "PEM block " << label << ": not a key"
                                          << (was_protected ? ", or the wrong passphrase" : ""));
  }
  WipeString(&der);
  return key;
}

SecretBytes PrivateKey::Pkcs8Der() const { return pkcs8_.Clone(); }

PrivateKey PrivateKey::Clone() const {
  PrivateKey out;
  out.public_key_ = public_key_;
  out.pkcs8_ = pkcs8_.Clone();
  return out;
}

absl::StatusOr<PrivateKey::RsaParts> PrivateKey::RsaSecret() const {
  const StackWipe wipe;
  if (type() != KeyType::kRsa) return WrongType("RSA", type());
  bssl::UniquePtr<EVP_PKEY> pkey = Open(pkcs8_);
  bssl::UniquePtr<BN_CTX> ctx(BN_CTX_new());
  bssl::UniquePtr<BIGNUM> u(BN_new());
  if (!pkey || !ctx || !u) return Fail("core.no_memory") << "RSA secret key";
  RSA* rsa = EVP_PKEY_get0_RSA(pkey.get());
  const BIGNUM *p = nullptr, *q = nullptr;
  RSA_get0_factors(rsa, &p, &q);
  if (p == nullptr || q == nullptr || !BN_mod_inverse(u.get(), p, q, ctx.get()))
    return Fail("sig.key_invalid") << "RSA secret key without its primes";
  RsaParts out;
  out.d = NumberBytes(RSA_get0_d(rsa));
  out.p = NumberBytes(p);
  out.q = NumberBytes(q);
  out.u = NumberBytes(u.get());
  return out;
}

SecretBytes PrivateKey::Scalar() const {
  const StackWipe wipe;
  bssl::UniquePtr<EVP_PKEY> pkey = Open(pkcs8_);
  if (!pkey) return SecretBytes();
  if (type() == KeyType::kEd25519) {
    SecretBytes out(32);
    size_t size = 32;
    if (out.empty() || !EVP_PKEY_get_raw_private_key(pkey.get(), out.bytes(), &size)) out.Clear();
    return out;
  }
  size_t order = OrderSize(type());
  SecretBytes out(order);
  if (order == 0 || out.empty() ||
      !BN_bn2bin_padded(out.bytes(), order,
                        EC_KEY_get0_private_key(EVP_PKEY_get0_EC_KEY(pkey.get()))))
    out.Clear();
  return out;
}

absl::StatusOr<std::string> PrivateKey::SignRsaPkcs1(DigestAlgorithm hash,
                                                     std::string_view digest) const {
  const StackWipe wipe;
  if (type() != KeyType::kRsa) return WrongType("RSA", type());
  bssl::UniquePtr<EVP_PKEY> pkey = Open(pkcs8_);
  if (!pkey) return Fail("core.no_memory") << "sign";
  RSA* rsa = EVP_PKEY_get0_RSA(pkey.get());
  std::string out(RSA_size(rsa), '\0');
  unsigned size = 0;
  int nid = internal::HashNid(hash);
  bool ok =
      nid != NID_undef && digest.size() == base::DigestSize(hash) &&
      RSA_sign(nid, U8(digest), digest.size(), reinterpret_cast<uint8_t*>(out.data()), &size, rsa);
  ERR_clear_error();
  if (!ok) return Fail("sig.key_invalid") << "sign with RSA: the key is too small for the hash";
  out.resize(size);
  return out;
}

absl::StatusOr<std::string> PrivateKey::SignRsaPss(DigestAlgorithm hash,
                                                   std::string_view digest) const {
  const StackWipe wipe;
  if (type() != KeyType::kRsa) return WrongType("RSA", type());
  bssl::UniquePtr<EVP_PKEY> pkey = Open(pkcs8_);
  if (!pkey) return Fail("core.no_memory") << "sign";
  RSA* rsa = EVP_PKEY_get0_RSA(pkey.get());
  const EVP_MD* md = internal::HashMd(hash);
  std::string out(RSA_size(rsa), '\0');
  size_t size = 0;
  bool ok = md != nullptr && digest.size() == base::DigestSize(hash) &&
            RSA_sign_pss_mgf1(rsa, &size, reinterpret_cast<uint8_t*>(out.data()), out.size(),
                              U8(digest), digest.size(), md, nullptr, -1);
  ERR_clear_error();
  if (!ok) return Fail("sig.key_invalid") << "sign with RSA-PSS: the key is too small for the hash";
  out.resize(size);
  return out;
}

absl::StatusOr<std::string> PrivateKey::SignEcdsaDer(std::string_view digest) const {
  const StackWipe wipe;
  if (OrderSize(type()) == 0) return WrongType("ECDSA", type());
  bssl::UniquePtr<EVP_PKEY> pkey = Open(pkcs8_);
  if (!pkey) return Fail("core.no_memory") << "sign";
  EC_KEY* ec = EVP_PKEY_get0_EC_KEY(pkey.get());
  std::string out(ECDSA_size(ec), '\0');
  unsigned size = 0;
  bool ok =
      ECDSA_sign(0, U8(digest), digest.size(), reinterpret_cast<uint8_t*>(out.data()), &size, ec);
  ERR_clear_error();
  if (!ok) return Fail("core.internal") << "sign with ECDSA";
  out.resize(size);
  return out;
}

absl::StatusOr<std::string> PrivateKey::SignEcdsaRaw(std::string_view digest) const {
  absl::StatusOr<std::string> der = SignEcdsaDer(digest);
  if (!der.ok()) return der;
  return EcdsaDerToRaw(*der, OrderSize(type()));
}

absl::StatusOr<std::string> PrivateKey::SignEd25519(std::string_view message) const {
  const StackWipe wipe;
  if (type() != KeyType::kEd25519) return WrongType("Ed25519", type());
  bssl::UniquePtr<EVP_PKEY> pkey = Open(pkcs8_);
  bssl::ScopedEVP_MD_CTX ctx;
  std::string out(64, '\0');
  size_t size = 64;
  bool ok = pkey && EVP_DigestSignInit(ctx.get(), nullptr, nullptr, nullptr, pkey.get()) &&
            EVP_DigestSign(ctx.get(), reinterpret_cast<uint8_t*>(out.data()), &size, U8(message),
                           message.size());
  ERR_clear_error();
  if (!ok) return Fail("core.internal") << "sign with Ed25519";
  return out;
}

}  // namespace coaming::trust
