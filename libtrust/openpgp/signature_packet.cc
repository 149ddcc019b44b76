#include <algorithm>

#include "base/core/error.h"
#include "base/digest/hasher.h"
#include "libtrust/openpgp/packet.h"

namespace coaming::trust::openpgp::internal {

using base::Fail;

namespace {

// Subpacket types of RFC 9580 section 5.2.3.7.
enum Subpacket : uint8_t {
  kCreation = 2,
  kExpiration = 3,
  kExportable = 4,
  kTrust = 5,
  kRegularExpression = 6,
  kRevocable = 7,
  kKeyExpiration = 9,
  kPreferredSymmetric = 11,
  kRevocationKey = 12,
  kIssuer = 16,
  kNotation = 20,
  kPreferredHash = 21,
  kPreferredCompression = 22,
  kKeyServerPreferences = 23,
  kPreferredKeyServer = 24,
  kPrimaryUserId = 25,
  kPolicyUri = 26,
  kKeyFlags = 27,
  kSignersUserId = 28,
  kRevocationReason = 29,
  kFeatures = 30,
  kSignatureTarget = 31,
  kEmbedded = 32,
  kIssuerFingerprint = 33,
  kPreferredAead = 34,
  kIntendedRecipient = 35,
  kPreferredCipherSuites = 39,
};

// Those whose presence, even if critical, changes nothing in what is judged here.
bool Harmless(uint8_t type) {
  switch (type) {
    case kExportable:
    case kTrust:
    case kRevocable:
    case kPreferredSymmetric:
    case kPreferredHash:
    case kPreferredCompression:
    case kKeyServerPreferences:
    case kPreferredKeyServer:
    case kPolicyUri:
    case kSignersUserId:
    case kFeatures:
    case kPreferredAead:
    case kPreferredCipherSuites: return true;
    default: return false;
  }
}

absl::Status Malformed(std::string_view why) {
  return Fail("sig.malformed") << "OpenPGP signature: " << why;
}

absl::Status ReadArea(std::string_view area, bool hashed, SignaturePacket* out) {
  Bytes in(area);
  while (!in.empty()) {
    size_t size = in.U8();
    if (size == 255) {
      size = in.U32();
    } else if (size >= 192) {
      size = ((size - 192) << 8) + in.U8() + 192;
    }
    if (size == 0) return Malformed("an empty subpacket");
    std::string_view body = in.Take(size);
    if (!in.ok()) return Malformed("a subpacket is cut short");
    uint8_t type = static_cast<uint8_t>(body[0]) & 0x7f;
    bool critical = (static_cast<uint8_t>(body[0]) & 0x80) != 0;
    body.remove_prefix(1);
    Bytes value(body);
    if (type == kIssuer) {
      if (body.size() != 8) return Malformed("an issuer of a wrong length");
      out->issuer_ids.emplace_back(body);
      continue;
    }
    if (type == kIssuerFingerprint) {
      uint8_t version = value.U8();
      if (!value.ok()) return Malformed("an issuer fingerprint without a version");
      if ((version == 4 && body.size() != 21) || (version == 6 && body.size() != 33))
        return Malformed("an issuer fingerprint of a wrong length");
      if (version != 4 && version != 6) continue;  // of a key that can't be among ours
      out->issuer_fingerprints.emplace_back(body.substr(1));
      out->issuer_fingerprint_hashed |= hashed;
      continue;
    }
    if (type == kEmbedded) {
      if (out->embedded.size() < 8) out->embedded.emplace_back(body);
      continue;
    }
    if (!hashed) continue;
    switch (type) {
      case kCreation:
        if (body.size() != 4) return Malformed("a creation time of a wrong length");
        out->created = value.U32();
        break;
      case kExpiration:
        if (body.size() != 4) return Malformed("an expiration time of a wrong length");
        out->expires_s = value.U32();
        break;
      case kKeyExpiration:
        if (body.size() != 4) return Malformed("a key expiration time of a wrong length");
        out->key_expires_s = value.U32();
        break;
      case kKeyFlags: out->key_flags = body.empty() ? 0 : static_cast<uint8_t>(body[0]); break;
      case kPrimaryUserId: out->primary_user_id = !body.empty() && body[0] != 0; break;
      case kRevocationReason:
        if (body.empty()) return Malformed("a revocation reason of a wrong length");
        out->revocation_reason = static_cast<uint8_t>(body[0]);
        break;
      case kRevocationKey:
        if (body.size() != 22 && body.size() != 34)
          return Malformed("a revocation key of a wrong length");
        if ((static_cast<uint8_t>(body[0]) & 0x80) != 0 && out->revocation_keys.size() < 16)
          out->revocation_keys.push_back(
              {static_cast<uint8_t>(body[1]), std::string(body.substr(2))});
        break;
      case kNotation:
        if (critical) out->critical_unknown = "a critical notation";
        break;
      default:
        if (critical && !Harmless(type))
          out->critical_unknown = absl::StrCat("the critical subpacket ", int{type});
    }
  }
  return absl::OkStatus();
}

size_t SaltSize(uint8_t hash) {
  switch (hash) {
    case kSha256:
    case kSha224:
    case 12: return 16;
    case kSha384: return 24;
    case kSha512:
    case 14: return 32;
    default: return 0;
  }
}

}  // namespace

absl::StatusOr<SignaturePacket> ParseSignature(std::string_view body) {
  SignaturePacket out;
  Bytes in(body);
  out.version = in.U8();
  if (out.version == 3) {
    if (in.U8() != 5) return Malformed("version 3 with a wrong length");
    out.hashed = std::string(in.rest().substr(0, 5));
    out.type = in.U8();
    out.created = in.U32();
    out.issuer_ids.emplace_back(in.Take(8));
    out.algorithm = in.U8();
    out.hash = in.U8();
    in.Take(2);
  } else if (out.version == 4 || out.version == 6) {
    out.type = in.U8();
    out.algorithm = in.U8();
    out.hash = in.U8();
    size_t size = out.version == 6 ? in.U32() : in.U16();
    std::string_view hashed_area = in.Take(size);
    if (!in.ok()) return Malformed("cut short");
    out.hashed = std::string(body.substr(0, body.size() - in.rest().size()));
    size = out.version == 6 ? in.U32() : in.U16();
    std::string_view unhashed_area = in.Take(size);
    in.Take(2);
    if (!in.ok()) return Malformed("cut short");
    absl::Status status = ReadArea(hashed_area, true, &out);
    if (status.ok()) status = ReadArea(unhashed_area, false, &out);
    if (!status.ok()) return status;
    if (out.version == 6) {
      size_t salt = in.U8();
      size_t want = SaltSize(out.hash);
      if (want != 0 && salt != want) return Malformed("a salt of a wrong length");
      out.salt = std::string(in.Take(salt));
    }
  } else {
    return Fail("sig.unsupported") << "OpenPGP signature of version " << int{out.version};
  }
  if (!in.ok()) return Malformed("cut short");
  out.material = std::string(in.rest());
  return out;
}

bool SignaturePacket::ClaimsIssuer(const KeyPacket& key) const {
  if (!issuer_fingerprints.empty()) {
    return std::find(issuer_fingerprints.begin(), issuer_fingerprints.end(), key.fingerprint) !=
           issuer_fingerprints.end();
  }
  return std::find(issuer_ids.begin(), issuer_ids.end(), key.key_id) != issuer_ids.end();
}

void SignaturePacket::HashTrailer(base::Hasher* hasher) const {
  hasher->Update(hashed);
  if (version == 3) return;
  std::string end;
  end.push_back(static_cast<char>(version));
  end.push_back('\xff');
  AppendU32(static_cast<uint32_t>(hashed.size()), &end);
  hasher->Update(end);
}

bool VerifyDigest(const KeyPacket& key, const SignaturePacket& signature, std::string_view digest) {
  uint8_t a = signature.algorithm == kRsaSignOnly ? uint8_t{kRsa} : signature.algorithm;
  uint8_t b = key.algorithm == kRsaSignOnly ? uint8_t{kRsa} : key.algorithm;
  if (a != b || digest.empty()) return false;
  if ((signature.version == 6) != (key.version == 6)) return false;
  Bytes in(signature.material);
  switch (a) {
    case kRsa: {
      std::string_view value = in.Mpi();
      return in.ok() && in.empty() &&
             key.key.VerifyRsaPkcs1(HashAlgorithm(signature.hash), digest, value);
    }
    case kDsaAlgorithm: {
      std::string_view r = in.Mpi(), s = in.Mpi();
      return in.ok() && in.empty() && key.key.VerifyDsa(digest, r, s);
    }
    case kEcdsa: {
      std::string_view r = in.Mpi(), s = in.Mpi();
      return in.ok() && in.empty() && key.key.VerifyEcdsa(digest, r, s);
    }
    case kEddsaLegacy: {
      std::string_view r = in.Mpi(), s = in.Mpi();
      if (!in.ok() || !in.empty() || r.size() > 32 || s.size() > 32) return false;
      std::string raw(64, '\0');
      raw.replace(32 - r.size(), r.size(), r);
      raw.replace(64 - s.size(), s.size(), s);
      return key.key.VerifyEd25519(digest, raw);
    }
    case kEd25519Algorithm: return key.key.VerifyEd25519(digest, signature.material);
    default: return false;
  }
}

bool VerifyOver(const KeyPacket& key, const SignaturePacket& signature, std::string_view data) {
  base::DigestAlgorithm algorithm = HashAlgorithm(signature.hash);
  if (algorithm == base::DigestAlgorithm::kUnknown) return false;
  base::Hasher hasher(algorithm);
  hasher.Update(signature.salt);
  hasher.Update(data);
  signature.HashTrailer(&hasher);
  return VerifyDigest(key, signature, hasher.FinishBytes());
}

}  // namespace coaming::trust::openpgp::internal
