#include "libtrust/openpgp/packet.h"

#include "base/core/error.h"

namespace coaming::trust::openpgp::internal {

using base::Fail;

uint8_t Bytes::U8() {
  std::string_view b = Take(1);
  return b.empty() ? 0 : static_cast<uint8_t>(b[0]);
}

uint32_t Bytes::U16() {
  uint32_t high = U8();
  return high << 8 | U8();
}

uint32_t Bytes::U32() {
  uint32_t high = U16();
  return high << 16 | U16();
}

std::string_view Bytes::Take(size_t size) {
  if (!ok_ || size > rest_.size()) {
    ok_ = false;
    rest_ = {};
    return {};
  }
  std::string_view out = rest_.substr(0, size);
  rest_.remove_prefix(size);
  return out;
}

std::string_view Bytes::Mpi() {
  size_t bits = U16();
  return Take((bits + 7) / 8);
}

namespace {
bool IsData(uint8_t tag) {
  return tag == kTagLiteral || tag == kTagCompressed || tag == 9 || tag == 18 || tag == 20;
}
absl::Status Truncated() { return Fail("sig.malformed") << "OpenPGP data is cut short"; }
}  // namespace

absl::Status PacketReader::Next(Packet* out) {
  *out = Packet();
  std::string_view start = rest_;
  Bytes in(rest_);
  uint8_t head = in.U8();
  if (!in.ok() || (head & 0x80) == 0)
    return Fail("sig.malformed") << "OpenPGP data: a packet does not start where one must";
  uint64_t size = 0;
  if ((head & 0x40) == 0) {
    out->tag = head >> 2 & 15;
    switch (head & 3) {
      case 0: size = in.U8(); break;
      case 1: size = in.U16(); break;
      case 2: size = in.U32(); break;
      default:
        if (!IsData(out->tag))
          return Fail("sig.malformed")
                 << "OpenPGP packet " << int{out->tag} << " has no definite length";
        size = in.rest().size();
    }
  } else {
    out->tag = head & 63;
    bool first = true;
    for (;;) {
      uint8_t o = in.U8();
      bool partial = false;
      if (o < 192) {
        size = o;
      } else if (o < 224) {
        size = ((o - 192u) << 8) + in.U8() + 192;
      } else if (o == 255) {
        size = in.U32();
      } else {
        partial = true;
        size = uint64_t{1} << (o & 31);
      }
      if (!in.ok()) return Truncated();
      if (!partial && !out->joined_used) break;
      if (!IsData(out->tag))
        return Fail("sig.malformed") << "OpenPGP packet " << int{out->tag} << " comes in parts";
      if (first && size < 512)
        return Fail("sig.malformed") << "OpenPGP data: the first part is shorter than 512 bytes";
      first = false;
      out->joined_used = true;
      out->joined.append(in.Take(size));
      if (!in.ok()) return Truncated();
      if (!partial) {
        rest_ = in.rest();
        out->whole = start.substr(0, start.size() - rest_.size());
        return absl::OkStatus();
      }
    }
  }
  if (out->tag == 0) return Fail("sig.malformed") << "OpenPGP data: packet type 0";
  out->contiguous = in.Take(size);
  if (!in.ok()) return Truncated();
  rest_ = in.rest();
  out->whole = start.substr(0, start.size() - rest_.size());
  return absl::OkStatus();
}

void AppendU16(uint32_t value, std::string* out) {
  out->push_back(static_cast<char>(value >> 8));
  out->push_back(static_cast<char>(value));
}

void AppendU32(uint32_t value, std::string* out) {
  AppendU16(value >> 16, out);
  AppendU16(value & 0xffff, out);
}

void AppendPacket(uint8_t tag, std::string_view body, std::string* out) {
  out->push_back(static_cast<char>(0xc0 | tag));
  if (body.size() < 192) {
    out->push_back(static_cast<char>(body.size()));
  } else if (body.size() < 8384) {
    AppendU16(static_cast<uint32_t>(body.size() - 192) + (192u << 8), out);
  } else {
    out->push_back(static_cast<char>(255));
    AppendU32(static_cast<uint32_t>(body.size()), out);
  }
  out->append(body);
}

void AppendMpi(std::string_view number, std::string* out) {
  while (!number.empty() && number[0] == 0) number.remove_prefix(1);
  uint32_t bits = 0;
  if (!number.empty()) {
    bits = static_cast<uint32_t>(number.size() - 1) * 8;
    for (uint8_t top = static_cast<uint8_t>(number[0]); top != 0; top >>= 1) ++bits;
  }
  AppendU16(bits, out);
  out->append(number);
}

std::string AlgorithmName(uint8_t algorithm) {
  switch (algorithm) {
    case kRsa:
    case kRsaEncryptOnly:
    case kRsaSignOnly: return "rsa";
    case kElgamal: return "elgamal";
    case kDsaAlgorithm: return "dsa";
    case kEcdh: return "ecdh";
    case kEcdsa: return "ecdsa";
    case kEddsaLegacy:
    case kEd25519Algorithm: return "ed25519";
    case kX25519: return "x25519";
    case kX448: return "x448";
    case kEd448: return "ed448";
    default: return absl::StrCat("algorithm ", int{algorithm});
  }
}

std::string HashName(uint8_t id) {
  switch (id) {
    case kMd5: return "md5";
    case kSha1: return "sha1";
    case kRipemd160: return "ripemd160";
    case kSha256: return "sha256";
    case kSha384: return "sha384";
    case kSha512: return "sha512";
    case kSha224: return "sha224";
    case 12: return "sha3-256";
    case 14: return "sha3-512";
    default: return absl::StrCat("hash ", int{id});
  }
}

base::DigestAlgorithm HashAlgorithm(uint8_t id) {
  switch (id) {
    case kSha1: return base::DigestAlgorithm::kSha1;
    case kSha256: return base::DigestAlgorithm::kSha256;
    case kSha384: return base::DigestAlgorithm::kSha384;
    case kSha512: return base::DigestAlgorithm::kSha512;
    case kSha224: return base::DigestAlgorithm::kSha224;
    default: return base::DigestAlgorithm::kUnknown;
  }
}

uint8_t HashIdOf(base::DigestAlgorithm algorithm) {
  switch (algorithm) {
    case base::DigestAlgorithm::kSha1: return kSha1;
    case base::DigestAlgorithm::kSha224: return kSha224;
    case base::DigestAlgorithm::kSha256: return kSha256;
    case base::DigestAlgorithm::kSha384: return kSha384;
    case base::DigestAlgorithm::kSha512: return kSha512;
    default: return 0;
  }
}

bool HashIsBroken(uint8_t id) { return id == kMd5 || id == kSha1 || id == kRipemd160; }

}  // namespace coaming::trust::openpgp::internal
