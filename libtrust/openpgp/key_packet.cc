#include "base/core/error.h"
#include "base/digest/hasher.h"
#include "libtrust/openpgp/packet.h"

namespace coaming::trust::openpgp::internal {

using base::DigestAlgorithm;
using base::Fail;
using namespace std::string_view_literals;

namespace {
struct Curve {
  std::string_view oid;
  std::string_view name;
  KeyType type;
};
constexpr Curve kCurves[] = {
    {"\x2a\x86\x48\xce\x3d\x03\x01\x07"sv, "nistp256", KeyType::kEcdsaP256},
    {"\x2b\x81\x04\x00\x22"sv, "nistp384", KeyType::kEcdsaP384},
    {"\x2b\x81\x04\x00\x23"sv, "nistp521", KeyType::kEcdsaP521},
    {"\x2b\x06\x01\x04\x01\xda\x47\x0f\x01"sv, "ed25519", KeyType::kEd25519},
    {"\x2b\x06\x01\x04\x01\x97\x55\x01\x05\x01"sv, "cv25519", KeyType::kNone},
    {"\x2b\x24\x03\x03\x02\x08\x01\x01\x07"sv, "brainpoolP256r1", KeyType::kNone},
    {"\x2b\x24\x03\x03\x02\x08\x01\x01\x0b"sv, "brainpoolP384r1", KeyType::kNone},
    {"\x2b\x24\x03\x03\x02\x08\x01\x01\x0d"sv, "brainpoolP512r1", KeyType::kNone},
    {"\x2b\x81\x04\x00\x0a"sv, "secp256k1", KeyType::kNone},
};

const Curve* FindCurve(std::string_view oid) {
  for (const Curve& c : kCurves)
    if (c.oid == oid) return &c;
  return nullptr;
}

void Take(KeyPacket* out, absl::StatusOr<PublicKey> key) {
  if (key.ok()) {
    out->key = *std::move(key);
  } else {
    out->problem = base::GetError(key.status()).message;
  }
}
}  // namespace

std::string_view CurveOid(KeyType type) {
  for (const Curve& c : kCurves)
    if (c.type == type) return c.oid;
  return {};
}

KeyType CurveOfOid(std::string_view oid) {
  const Curve* c = FindCurve(oid);
  return c == nullptr ? KeyType::kNone : c->type;
}

bool KeyPacket::can_sign_by_algorithm() const {
  return algorithm == kRsa || algorithm == kRsaSignOnly || algorithm == kDsaAlgorithm ||
         algorithm == kEcdsa || algorithm == kEddsaLegacy || algorithm == kEd25519Algorithm ||
         algorithm == kEd448;
}

void KeyPacket::AppendHashed(std::string* out) const {
  if (version == 6) {
    out->push_back('\x9b');
    AppendU32(static_cast<uint32_t>(body.size()), out);
  } else {
    out->push_back('\x99');
    AppendU16(static_cast<uint32_t>(body.size()), out);
  }
  out->append(body);
}

absl::StatusOr<KeyPacket> ParseKeyPacket(std::string_view body, std::string_view* secret_part) {
  KeyPacket out;
  Bytes in(body);
  out.version = in.U8();
  if (out.version != 4 && out.version != 6)
    return Fail("sig.unsupported") << "OpenPGP key of version " << int{out.version};
  out.created = in.U32();
  out.algorithm = in.U8();
  size_t claimed = 0;
  if (out.version == 6) claimed = in.U32();
  size_t material_start = body.size() - in.rest().size();
  out.description = AlgorithmName(out.algorithm);
  bool known = true;
  switch (out.algorithm) {
    case kRsa:
    case kRsaEncryptOnly:
    case kRsaSignOnly: {
      std::string_view n = in.Mpi(), e = in.Mpi();
      if (in.ok() && out.algorithm != kRsaEncryptOnly) Take(&out, PublicKey::Rsa(n, e));
      absl::StrAppend(&out.description, out.key.bits() != 0 ? out.key.bits() : int(n.size() * 8));
      break;
    }
    case kDsaAlgorithm: {
      std::string_view p = in.Mpi(), q = in.Mpi(), g = in.Mpi(), y = in.Mpi();
      if (in.ok()) Take(&out, PublicKey::Dsa(p, q, g, y));
      absl::StrAppend(&out.description, int(p.size() * 8));
      break;
    }
    case kElgamal: in.Mpi(), in.Mpi(), in.Mpi(); break;
    case kEcdsa:
    case kEcdh:
    case kEddsaLegacy: {
      uint8_t size = in.U8();
      if (size == 0 || size == 255)
        return Fail("sig.key_invalid") << "OpenPGP key: a curve without a name";
      const Curve* curve = FindCurve(in.Take(size));
      std::string_view point = in.Mpi();
      if (out.algorithm == kEcdh) in.Take(in.U8());
      if (curve != nullptr) out.description = std::string(curve->name);
      if (!in.ok() || out.algorithm == kEcdh) break;
      if (out.algorithm == kEddsaLegacy && curve != nullptr && curve->type == KeyType::kEd25519) {
        if (point.size() == 33 && point[0] == 0x40) {
          Take(&out, PublicKey::Ed25519(point.substr(1)));
        } else {
          out.problem = "the Ed25519 point has a wrong form";
        }
      } else if (out.algorithm == kEcdsa && curve != nullptr && OrderSize(curve->type) != 0) {
        Take(&out, PublicKey::Ecdsa(curve->type, point));
      } else {
        out.problem =
            absl::StrCat("curve ", curve != nullptr ? curve->name : "unknown", " is not supported");
      }
      break;
    }
    case kEd25519Algorithm: Take(&out, PublicKey::Ed25519(in.Take(32))); break;
    case kX25519: in.Take(32); break;
    case kX448: in.Take(56); break;
    case kEd448:
      in.Take(57);
      out.problem = "Ed448 is not supported";
      break;
    default:
      known = false;
      out.problem = absl::StrCat(out.description, " is not supported");
      // Version 6 says how long the material is; else only a public packet can be cut.
      if (out.version == 6) {
        in.Take(claimed);
      } else if (secret_part != nullptr) {
        return Fail("sig.unsupported") << "OpenPGP secret key with " << out.description;
      } else {
        in.Take(in.rest().size());
      }
  }
  if (!in.ok()) return Fail("sig.key_invalid") << "OpenPGP key packet is cut short";
  size_t used = body.size() - in.rest().size();
  if (out.version == 6 && used - material_start != claimed)
    return Fail("sig.key_invalid") << "OpenPGP key packet: the material has another length";
  if (secret_part != nullptr) {
    *secret_part = in.rest();
  } else if (!in.empty()) {
    return Fail("sig.key_invalid") << "OpenPGP key packet has bytes left over";
  }
  if (used > 65535) return Fail("sig.key_invalid") << "OpenPGP key packet is too long";
  out.body = std::string(body.substr(0, used));
  std::string hashed;
  out.AppendHashed(&hashed);
  base::Hasher hasher(out.version == 6 ? DigestAlgorithm::kSha256 : DigestAlgorithm::kSha1);
  hasher.Update(hashed);
  out.fingerprint = hasher.FinishBytes();
  out.key_id = out.version == 6 ? out.fingerprint.substr(0, 8)
                                : out.fingerprint.substr(out.fingerprint.size() - 8);
  if (out.key.type() == KeyType::kNone && out.problem.empty() && known)
    out.problem = absl::StrCat(out.description, " is not for signatures");
  return out;
}

}  // namespace coaming::trust::openpgp::internal
