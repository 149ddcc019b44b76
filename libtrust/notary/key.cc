// Keys and signatures of Notary's metadata.
#include <algorithm>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/digest/hasher.h"
#include "base/json/json.h"
#include "libtrust/keys/x509.h"
#include "libtrust/notary/metadata.h"

namespace coaming::trust::notary {

using base::DigestAlgorithm;
using base::Fail;
namespace json = base::json;

namespace {

constexpr int kMinRsaBits = 2048;

bool IsCurve(KeyType type) {
  return type == KeyType::kEcdsaP256 || type == KeyType::kEcdsaP384 || type == KeyType::kEcdsaP521;
}

PublicKey Understand(std::string_view type, std::string_view material) {
  absl::StatusOr<PublicKey> key = PublicKey();
  if (type == "ed25519") {
    key = PublicKey::Ed25519(material);
  } else if (type == "ecdsa" || type == "rsa") {
    key = PublicKey::FromSpki(material);
  } else if (type == "ecdsa-x509" || type == "rsa-x509") {
    auto chain = ParseCertificates(material);
    if (chain.ok()) key = chain->front().key;
  }
  if (!key.ok()) return PublicKey();
  const bool fits = absl::StartsWith(type, "ecdsa") ? IsCurve(key->type())
                    : absl::StartsWith(type, "rsa") ? key->type() == KeyType::kRsa
                                                    : key->type() == KeyType::kEd25519;
  return fits ? *std::move(key) : PublicKey();
}

}  // namespace

base::json::Value KeyToJson(const Key& key) {
  json::Value keyval = json::Value::MakeObject();
  keyval.Set("private", json::Value());
  keyval.Set("public", absl::Base64Escape(key.material));
  json::Value out = json::Value::MakeObject();
  out.Set("keytype", key.type);
  out.Set("keyval", std::move(keyval));
  return out;
}

Key MakeKey(std::string_view type, std::string_view material) {
  Key out{"", std::string(type), std::string(material), Understand(type, material)};
  // The object holds strings and null only, so it has a canonical form.
  out.id = base::Sha256(*json::WriteCanonical(KeyToJson(out))).encoded();
  return out;
}

Key KeyOf(const PublicKey& key) {
  if (key.type() == KeyType::kEd25519) return MakeKey("ed25519", key.Raw());
  return MakeKey(key.type() == KeyType::kRsa ? "rsa" : "ecdsa", key.SpkiDer());
}

absl::StatusOr<Key> KeyOfPem(std::string_view pem) {
  if (!absl::StrContains(pem, "BEGIN CERTIFICATE")) {
    COAM_ASSIGN_OR_RETURN(PublicKey key, PublicKey::FromPem(pem));
    if (key.type() == KeyType::kRsa && key.bits() < kMinRsaBits)
      return Fail("sig.key_invalid")
             << "an RSA key of " << key.bits() << " bits: want " << kMinRsaBits;
    return KeyOf(key);
  }
  COAM_ASSIGN_OR_RETURN(std::vector<X509Certificate> chain, ParseCertificates(pem));
  const PublicKey& leaf = chain.front().key;
  if (leaf.type() != KeyType::kRsa && !IsCurve(leaf.type()))
    return Fail("sig.key_invalid") << "the certificate's key is neither RSA nor ECDSA";
  // What is signed is the text; write it as every other client does.
  std::string text;
  for (const X509Certificate& c : chain) absl::StrAppend(&text, PemOf("CERTIFICATE", c.der));
  return MakeKey(leaf.type() == KeyType::kRsa ? "rsa-x509" : "ecdsa-x509", text);
}

std::string CanonicalId(const Key& key) {
  if (!absl::EndsWith(key.type, "-x509") || key.key.type() == KeyType::kNone) return key.id;
  return KeyOf(key.key).id;
}

absl::StatusOr<Key> ReadKey(const json::Value& value, std::string_view where) {
  const json::Value* type = value.Find("keytype");
  const json::Value* text = value.FindIn("keyval", "public");
  std::string material;
  if (type == nullptr || !type->is_string() || text == nullptr || !text->is_string() ||
      !absl::Base64Unescape(text->as_string(), &material))
    return Fail("tuf.invalid") << where << ": a key is not {keytype, keyval: {public}}";
  return MakeKey(type->as_string(), material);
}

bool VerifySignature(const Key& key, std::string_view method, std::string_view signature,
                     std::string_view message) {
  const std::string name = absl::AsciiStrToLower(method);
  const PublicKey& k = key.key;
  if (name == "eddsa") return k.type() == KeyType::kEd25519 && k.VerifyEd25519(message, signature);
  const std::string digest = base::Sha256(message).Bytes();
  if (name == "ecdsa") {
    const size_t half = OrderSize(k.type());
    return IsCurve(k.type()) && signature.size() == 2 * half &&
           k.VerifyEcdsa(digest, signature.substr(0, half), signature.substr(half));
  }
  if (k.type() != KeyType::kRsa || k.bits() < kMinRsaBits) return false;
  if (name == "rsapss")
    return k.VerifyRsaPss(DigestAlgorithm::kSha256, digest, signature, PublicKey::kSaltDigest);
  return name == "rsapkcs1v15" && k.VerifyRsaPkcs1(DigestAlgorithm::kSha256, digest, signature);
}

absl::StatusOr<Signature> Sign(const PrivateKey& key, const Key& as, std::string_view message) {
  Signature out;
  out.keyid = as.id;
  const std::string digest = base::Sha256(message).Bytes();
  absl::StatusOr<std::string> made;
  switch (key.type()) {
    case KeyType::kEd25519:
      out.method = "eddsa";
      made = key.SignEd25519(message);
      break;
    case KeyType::kRsa:
      out.method = "rsapss";
      made = key.SignRsaPss(DigestAlgorithm::kSha256, digest);
      break;
    default: out.method = "ecdsa"; made = key.SignEcdsaRaw(digest);
  }
  COAM_RETURN_IF_ERROR(made.status());
  out.value = *std::move(made);
  if (!VerifySignature(as, out.method, out.value, message))
    return Fail("sig.key_invalid") << "the private key is not that of " << as.id;
  return out;
}

absl::Status CheckSignatures(const std::map<std::string, Key>& keys, const RoleKeys& role,
                             const Metadata& metadata) {
  std::set<std::string> good;  // public keys, whatever they are called
  for (const Signature& s : metadata.signatures) {
    if (std::find(role.keyids.begin(), role.keyids.end(), s.keyid) == role.keyids.end()) continue;
    auto key = keys.find(s.keyid);
    if (key == keys.end() || key->second.id != s.keyid) continue;
    if (VerifySignature(key->second, s.method, s.value, metadata.canonical))
      good.insert(key->second.key.SpkiDer());
  }
  if (role.threshold >= 1 && static_cast<int64_t>(good.size()) >= role.threshold)
    return absl::OkStatus();
  return Fail("tuf.threshold") << metadata.role << ": valid signatures did not meet threshold, "
                               << good.size() << " of " << role.threshold;
}

absl::Status CheckHashes(std::string_view bytes, const FileMeta& meta, std::string_view name) {
  if (static_cast<int64_t>(bytes.size()) > meta.length)
    return Fail("tuf.mismatch") << name << ": " << bytes.size() << " bytes, " << meta.length
                                << " are signed";
  int known = 0;
  for (const auto& [algorithm, hash] : meta.hashes) {
    const DigestAlgorithm id = base::FindDigestAlgorithm(algorithm);
    if (id != DigestAlgorithm::kSha256 && id != DigestAlgorithm::kSha512) continue;
    ++known;
    if (base::HashBytes(id, bytes).Bytes() != hash)
      return Fail("tuf.mismatch") << name << ": its " << algorithm << " is not the one signed";
  }
  if (known == 0) return Fail("tuf.mismatch") << name << ": no hash of a known algorithm is signed";
  return absl::OkStatus();
}

FileMeta MetaOf(std::string_view bytes) {
  FileMeta out;
  out.length = static_cast<int64_t>(bytes.size());
  for (DigestAlgorithm a : {DigestAlgorithm::kSha256, DigestAlgorithm::kSha512})
    out.hashes[std::string(base::DigestAlgorithmName(a))] = base::HashBytes(a, bytes).Bytes();
  return out;
}

}  // namespace coaming::trust::notary
