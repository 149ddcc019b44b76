#include "libtrust/keys/x509.h"

#include <ctime>

#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "libtrust/keys/internal.h"
#include "openssl/err.h"
#include "openssl/nid.h"
#include "openssl/x509.h"
#include "openssl/x509v3.h"

namespace coaming::trust {

using base::Fail;
using internal::U8;

namespace {

constexpr size_t kMaxCertificates = 32;
constexpr int kMaxDepth = 8;

bssl::UniquePtr<X509> Open(std::string_view der) {
  const uint8_t* at = U8(der);
  bssl::UniquePtr<X509> x(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  ERR_clear_error();
  if (x && at != U8(der) + der.size()) return nullptr;
  return x;
}

std::string CommonName(const X509_NAME* name) {
  std::string out;
  int at = -1;
  while ((at = X509_NAME_get_index_by_NID(name, NID_commonName, at)) >= 0) {
    const ASN1_STRING* data = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
    uint8_t* text = nullptr;
    const int size = ASN1_STRING_to_UTF8(&text, data);
    ERR_clear_error();
    if (size < 0) return "";
    out.assign(reinterpret_cast<char*>(text), static_cast<size_t>(size));
    OPENSSL_free(text);
  }
  return out;
}

bool Seconds(const ASN1_TIME* time, int64_t* out) {
  bssl::UniquePtr<ASN1_TIME> epoch(ASN1_TIME_set(nullptr, 0));
  int days = 0, seconds = 0;
  if (time == nullptr || !epoch || !ASN1_TIME_diff(&days, &seconds, epoch.get(), time))
    return false;
  *out = int64_t{days} * 86400 + seconds;
  return true;
}

bool IsCa(const X509* x) {
  bssl::UniquePtr<BASIC_CONSTRAINTS> basic(static_cast<BASIC_CONSTRAINTS*>(
      X509_get_ext_d2i(x, NID_basic_constraints, nullptr, nullptr)));
  return basic && basic->ca;
}

bool Weak(int signature_nid) {
  int hash = NID_undef, key = NID_undef;
  if (!OBJ_find_sigid_algs(signature_nid, &hash, &key)) return false;
  return hash == NID_sha1 || hash == NID_md5 || hash == NID_md4;
}

bool AddExtension(X509* x, int nid, const char* value) {
  X509V3_CTX ctx;
  X509V3_set_ctx(&ctx, x, x, nullptr, nullptr, 0);
  bssl::UniquePtr<X509_EXTENSION> ext(X509V3_EXT_nconf_nid(nullptr, &ctx, nid, value));
  return ext && X509_add_ext(x, ext.get(), -1);
}

}  // namespace

absl::StatusOr<X509Certificate> ParseCertificate(std::string_view der) {
  bssl::UniquePtr<X509> x = Open(der);
  X509Certificate out;
  if (!x || !Seconds(X509_get0_notBefore(x.get()), &out.not_before) ||
      !Seconds(X509_get0_notAfter(x.get()), &out.not_after))
    return Fail("sig.key_invalid") << "certificate: damaged";
  out.der = der;
  out.common_name = CommonName(X509_get_subject_name(x.get()));
  out.ca = IsCa(x.get());
  out.weak_signature = Weak(X509_get_signature_nid(x.get()));
  uint8_t* spki = nullptr;
  bssl::UniquePtr<EVP_PKEY> pkey(X509_get_pubkey(x.get()));
  const int size = pkey ? i2d_PUBKEY(pkey.get(), &spki) : 0;
  if (size > 0) {
    auto key = PublicKey::FromSpki(internal::TakeBytes(spki, static_cast<size_t>(size)));
    if (key.ok()) out.key = *std::move(key);
  }
  ERR_clear_error();
  return out;
}

absl::StatusOr<std::vector<X509Certificate>> ParseCertificates(std::string_view pem) {
  constexpr std::string_view kEnd = "-----END CERTIFICATE-----";
  std::vector<X509Certificate> out;
  for (size_t at = 0;;) {
    std::string label, der;
    const size_t end = pem.find(kEnd, at);
    if (end == std::string_view::npos) break;
    if (out.size() == kMaxCertificates)
      return Fail("sig.key_invalid") << "more than " << kMaxCertificates << " certificates";
    if (!internal::FindPem(pem.substr(at, end + kEnd.size() - at), "CERTIFICATE", &label, &der))
      return Fail("sig.key_invalid") << "certificate: damaged PEM";
    COAM_ASSIGN_OR_RETURN(out.emplace_back(), ParseCertificate(der));
    at = end + kEnd.size();
  }
  if (out.empty()) return Fail("sig.key_invalid") << "no certificate in the PEM text";
  return out;
}

absl::StatusOr<std::string> MakeSigningCertificate(const PrivateKey& key,
                                                   std::string_view common_name, int64_t not_before,
                                                   int64_t not_after) {
  SecretBytes pkcs8 = key.Pkcs8Der();
  CBS cbs;
  CBS_init(&cbs, pkcs8.bytes(), pkcs8.size());
  bssl::UniquePtr<EVP_PKEY> pkey(EVP_parse_private_key(&cbs));
  bssl::UniquePtr<X509> x(X509_new());
  uint8_t serial[16];
  RandomFill(serial, sizeof(serial));
  serial[0] &= 0x7f;
  bssl::UniquePtr<BIGNUM> number(BN_bin2bn(serial, sizeof(serial), nullptr));
  bssl::UniquePtr<X509_NAME> name(X509_NAME_new());
  const EVP_MD* md = key.type() == KeyType::kEd25519 ? nullptr : EVP_sha256();
  bool ok = pkey && x && number && name && X509_set_version(x.get(), X509_VERSION_3) &&
            BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(x.get())) != nullptr &&
            ASN1_TIME_set(X509_getm_notBefore(x.get()), not_before) != nullptr &&
            ASN1_TIME_set(X509_getm_notAfter(x.get()), not_after) != nullptr &&
            X509_NAME_add_entry_by_NID(name.get(), NID_commonName, MBSTRING_UTF8, U8(common_name),
                                       static_cast<int>(common_name.size()), -1, 0) &&
            X509_set_subject_name(x.get(), name.get()) &&
            X509_set_issuer_name(x.get(), name.get()) && X509_set_pubkey(x.get(), pkey.get()) &&
            AddExtension(x.get(), NID_key_usage, "critical,digitalSignature,keyEncipherment") &&
            AddExtension(x.get(), NID_ext_key_usage, "codeSigning") &&
            AddExtension(x.get(), NID_basic_constraints, "critical,CA:FALSE") &&
            X509_sign(x.get(), pkey.get(), md) > 0;
  uint8_t* der = nullptr;
  const int size = ok ? i2d_X509(x.get(), &der) : -1;
  ERR_clear_error();
  if (size <= 0)
    return Fail("sig.key_invalid") << "make a certificate for " << common_name << ": not possible";
  return internal::WritePem("CERTIFICATE", internal::TakeBytes(der, static_cast<size_t>(size)));
}

bool ChainsTo(const X509Certificate& leaf, std::span<const X509Certificate> between,
              std::span<const X509Certificate> roots, int64_t now_s) {
  bssl::UniquePtr<X509_STORE> store(X509_STORE_new());
  bssl::UniquePtr<STACK_OF(X509)> middle(sk_X509_new_null());
  bssl::UniquePtr<X509_STORE_CTX> ctx(X509_STORE_CTX_new());
  bssl::UniquePtr<X509> first = Open(leaf.der);
  if (!store || !middle || !ctx || !first) return false;
  for (const X509Certificate& root : roots) {
    bssl::UniquePtr<X509> x = Open(root.der);
    if (!x || !X509_STORE_add_cert(store.get(), x.get())) return false;
  }
  for (const X509Certificate& c : between) {
    bssl::UniquePtr<X509> x = Open(c.der);
    if (!x || !bssl::PushToStack(middle.get(), std::move(x))) return false;
  }
  if (!X509_STORE_CTX_init(ctx.get(), store.get(), first.get(), middle.get())) return false;
  X509_VERIFY_PARAM* param = X509_STORE_CTX_get0_param(ctx.get());
  X509_VERIFY_PARAM_set_time(param, static_cast<time_t>(now_s));
  X509_VERIFY_PARAM_set_depth(param, kMaxDepth);
  X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
  const bool ok = X509_verify_cert(ctx.get()) == 1;
  ERR_clear_error();
  return ok;
}

}  // namespace coaming::trust
