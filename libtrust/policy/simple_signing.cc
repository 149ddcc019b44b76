#include "libtrust/policy/simple_signing.h"

#include "absl/strings/escaping.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/digest/digest.h"
#include "base/digest/hasher.h"
#include "base/json/json.h"
#include "libtrust/policy/reference.h"

namespace coaming::trust {

using base::Fail;
using base::json::Value;

namespace {

absl::Status Bad(std::string_view why) {
  return Fail("policy.signature") << "signature claim: " << why;
}

// OnlyMembers is true if the object has exactly these members.
bool OnlyMembers(const Value* object, std::initializer_list<std::string_view> names) {
  if (object == nullptr || !object->is_object() || object->size() != names.size()) return false;
  for (std::string_view name : names)
    if (object->Find(name) == nullptr) return false;
  return true;
}

std::string Hash(base::DigestAlgorithm algorithm, std::string_view bytes) {
  base::Hasher hasher(algorithm);
  hasher.Update(bytes);
  return hasher.FinishBytes();
}

bool VerifyRaw(const PublicKey& key, std::string_view payload, std::string_view signature) {
  switch (key.type()) {
    case KeyType::kEcdsaP256:
      return key.VerifyEcdsaDer(Hash(base::DigestAlgorithm::kSha256, payload), signature);
    case KeyType::kEcdsaP384:
      return key.VerifyEcdsaDer(Hash(base::DigestAlgorithm::kSha384, payload), signature) ||
             key.VerifyEcdsaDer(Hash(base::DigestAlgorithm::kSha256, payload), signature);
    case KeyType::kEcdsaP521:
      return key.VerifyEcdsaDer(Hash(base::DigestAlgorithm::kSha512, payload), signature) ||
             key.VerifyEcdsaDer(Hash(base::DigestAlgorithm::kSha256, payload), signature);
    case KeyType::kEd25519: return key.VerifyEd25519(payload, signature);
    case KeyType::kRsa:
      return key.bits() >= 2048 &&
             key.VerifyRsaPkcs1(base::DigestAlgorithm::kSha256,
                                Hash(base::DigestAlgorithm::kSha256, payload), signature);
    default: return false;
  }
}

}  // namespace

absl::StatusOr<SignedClaim> ParseClaim(std::string_view json, std::string_view type) {
  auto parsed = base::json::ParseObject(json);
  if (!parsed.ok()) return Bad(base::GetError(parsed.status()).message);
  const Value* critical = parsed->Find("critical");
  const Value* optional = parsed->Find("optional");
  bool cosign = type == kCosignSignature;
  if (parsed->size() != (optional != nullptr ? 2u : 1u) || (optional == nullptr && !cosign))
    return Bad("want the members critical and optional");
  if (!OnlyMembers(critical, {"type", "image", "identity"}))
    return Bad("critical must hold type, image and identity and nothing else");
  const Value* image = critical->Find("image");
  const Value* identity = critical->Find("identity");
  if (!OnlyMembers(image, {"docker-manifest-digest"}) ||
      !OnlyMembers(identity, {"docker-reference"}))
    return Bad("critical.image or critical.identity is not as it must be");
  if (critical->Find("type")->as_string() != type)
    return Bad(absl::StrCat("its type is not ", type));
  SignedClaim out;
  out.manifest_digest = image->Find("docker-manifest-digest")->as_string();
  out.docker_reference = identity->Find("docker-reference")->as_string();
  auto digest = base::Digest::Parse(out.manifest_digest);
  if (!digest.ok() || !digest->verifiable()) return Bad("the manifest digest is no digest");
  if (!identity->Find("docker-reference")->is_string()) return Bad("the reference is no text");
  if (optional != nullptr && !optional->is_null()) {
    if (!optional->is_object()) return Bad("optional is no object");
    if (const Value* creator = optional->Find("creator")) {
      if (!creator->is_string() && !cosign) return Bad("optional.creator is no text");
      out.creator = creator->as_string();
    }
    if (const Value* time = optional->Find("timestamp")) {
      if (!time->as_int64() && !cosign) return Bad("optional.timestamp is no whole number");
      out.timestamp = time->as_int64().value_or(0);
    }
  }
  return out;
}

std::string WriteClaim(const SignedClaim& claim, std::string_view type) {
  Value out = Value::MakeObject();
  Value critical = Value::MakeObject();
  Value& identity = critical.Set("identity", Value::MakeObject());
  identity.Set("docker-reference", claim.docker_reference);
  Value& image = critical.Set("image", Value::MakeObject());
  image.Set("docker-manifest-digest", claim.manifest_digest);
  critical.Set("type", type);
  out.Set("critical", std::move(critical));
  Value optional = Value::MakeObject();
  if (!claim.creator.empty()) optional.Set("creator", claim.creator);
  if (claim.timestamp != 0) optional.Set("timestamp", claim.timestamp);
  out.Set("optional", std::move(optional));
  return base::json::Write(out);
}

absl::StatusOr<SignedClaim> VerifyCosign(std::string_view payload,
                                         std::string_view signature_base64,
                                         const std::vector<PublicKey>& keys) {
  std::string signature;
  if (!absl::Base64Unescape(signature_base64, &signature) || signature.empty())
    return Bad("the signature is not base64");
  for (const PublicKey& key : keys)
    if (VerifyRaw(key, payload, signature)) return ParseClaim(payload, kCosignSignature);
  return Fail("sig.bad") << "the signature was made by none of the " << keys.size()
                         << " keys, or not over this payload";
}

absl::StatusOr<std::string> SignCosign(std::string_view payload, const PrivateKey& key) {
  absl::StatusOr<std::string> made;
  switch (key.type()) {
    case KeyType::kEd25519: made = key.SignEd25519(payload); break;
    case KeyType::kRsa:
      made = key.SignRsaPkcs1(base::DigestAlgorithm::kSha256,
                              Hash(base::DigestAlgorithm::kSha256, payload));
      break;
    case KeyType::kEcdsaP384:
      made = key.SignEcdsaDer(Hash(base::DigestAlgorithm::kSha384, payload));
      break;
    case KeyType::kEcdsaP521:
      made = key.SignEcdsaDer(Hash(base::DigestAlgorithm::kSha512, payload));
      break;
    default: made = key.SignEcdsaDer(Hash(base::DigestAlgorithm::kSha256, payload));
  }
  COAM_RETURN_IF_ERROR(made.status());
  return absl::Base64Escape(*made);
}

namespace {

// The claim, if it would be read back.
absl::StatusOr<SignedClaim> MakeClaim(std::string_view digest, std::string_view reference) {
  auto parsed = base::Digest::Parse(digest);
  if (!parsed.ok() || !parsed->verifiable()) return Bad("the manifest digest is no digest");
  std::optional<DockerName> name = ParseDockerName(reference);
  if (!name) return Bad(absl::StrCat("\"", reference.substr(0, 200), "\" is no image name"));
  SignedClaim out;
  out.manifest_digest = digest;
  out.docker_reference = name->ToString();
  return out;
}

}  // namespace

absl::StatusOr<std::string> SignClaim(const openpgp::SecretKey& key, std::string_view digest,
                                      std::string_view reference, int64_t time) {
  COAM_ASSIGN_OR_RETURN(SignedClaim claim, MakeClaim(digest, reference));
  claim.creator = "coaming";
  claim.timestamp = time;
  openpgp::SignOptions options;
  options.time = time;
  options.armor = false;
  return key.SignInline(WriteClaim(claim, kAtomicSignature), options);
}

absl::StatusOr<CosignClaim> SignCosignClaim(const PrivateKey& key, std::string_view digest,
                                            std::string_view reference) {
  COAM_ASSIGN_OR_RETURN(SignedClaim claim, MakeClaim(digest, reference));
  claim.creator = "coaming";
  CosignClaim out;
  out.payload = WriteClaim(claim, kCosignSignature);
  COAM_ASSIGN_OR_RETURN(out.signature, SignCosign(out.payload, key));
  return out;
}

std::string ClaimToJson(const SignedClaim& claim, std::string_view fingerprint) {
  Value out = Value::MakeObject();
  out.Set("schema", "coam.sig.claim.v1");
  out.Set("digest", claim.manifest_digest);
  out.Set("reference", claim.docker_reference);
  out.Set("creator", claim.creator);
  out.Set("timestamp", claim.timestamp);
  out.Set("fingerprint", fingerprint);
  return base::json::Write(out);
}

}  // namespace coaming::trust
