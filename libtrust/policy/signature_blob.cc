#include "libtrust/policy/signature_blob.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/json/json.h"

namespace coaming::trust {
namespace {

using base::json::Value;

constexpr std::string_view kSigstoreJson = "sigstore-json";

absl::Status Bad(std::string_view why) {
  return base::Fail("policy.signature") << "signature file: " << why;
}

absl::StatusOr<PolicySignature> ReadSigstore(std::string_view text) {
  auto parsed = base::json::ParseObject(text);
  if (!parsed.ok()) return Bad(base::GetError(parsed.status()).message);
  const Value* type = parsed->Find("mimeType");
  const Value* payload = parsed->Find("payload");
  const Value* signature = parsed->FindIn("annotations", kCosignAnnotation);
  if (type == nullptr || payload == nullptr || signature == nullptr || !payload->is_string() ||
      !signature->is_string()) {
    return Bad("mimeType, payload or the annotation of the signature is missing");
  }
  if (type->as_string() != kCosignPayloadType) return Bad("its payload is of another type");
  PolicySignature out;
  out.kind = PolicySignature::Kind::kSigstore;
  if (!absl::Base64Unescape(payload->as_string(), &out.bytes)) return Bad("no base64");
  out.signature = signature->as_string();
  return out;
}

}  // namespace

absl::StatusOr<PolicySignature> ReadSignatureBlob(std::string_view bytes) {
  if (bytes.starts_with('\0')) {
    bytes.remove_prefix(1);
    size_t end = bytes.substr(0, 100).find('\n');
    if (end == std::string_view::npos) return Bad("its format is not named");
    std::string_view format = bytes.substr(0, end);
    bytes.remove_prefix(end + 1);
    if (format == kSigstoreJson) return ReadSigstore(bytes);
    if (format != "simple-signing") return Bad("its format is not known");
  }
  // An OpenPGP message begins with a packet, whose first bit is set.
  if (bytes.empty() || (static_cast<unsigned char>(bytes[0]) & 0x80) == 0)
    return Bad("it holds no OpenPGP message");
  PolicySignature out;
  out.bytes = bytes;
  return out;
}

std::string WriteSignatureBlob(const PolicySignature& signature) {
  if (signature.kind == PolicySignature::Kind::kSimpleSigning) return signature.bytes;
  Value out = Value::MakeObject();
  out.Set("mimeType", kCosignPayloadType);
  out.Set("payload", absl::Base64Escape(signature.bytes));
  Value& annotations = out.Set("annotations", Value::MakeObject());
  annotations.Set(kCosignAnnotation, signature.signature);
  return absl::StrCat(std::string_view("\0", 1), kSigstoreJson, "\n", base::json::Write(out));
}

}  // namespace coaming::trust
