#include "libtrust/openpgp/certificate.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/digest/digest.h"
#include "libtrust/openpgp/armor.h"
#include "libtrust/openpgp/certificate_data.h"

namespace coaming::trust::openpgp {

using base::Fail;
using internal::CertificateData;

namespace {
constexpr size_t kMaxCertificates = 4096;
constexpr size_t kMaxParts = 1024;
constexpr size_t kMaxSignatures = 2000;
}  // namespace

namespace internal {

namespace {

// Builder collects the packets of one certificate.
struct Builder {
  std::shared_ptr<CertificateData> data;
  bool skipping = false;       // the primary was of an unsupported version
  bool skipping_part = false;  // a subkey was
  std::vector<SignaturePacket>* signatures = nullptr;
};

absl::Status TooMany(std::string_view name, size_t limit) {
  return base::FailLimit(name, static_cast<int64_t>(limit)) << "OpenPGP keys";
}

}  // namespace

absl::StatusOr<std::vector<Certificate>> ReadCertificates(std::string_view bytes,
                                                          std::vector<SecretPacket>* secrets) {
  std::vector<Certificate> out;
  std::string skipped;
  Builder b;
  auto finish = [&] {
    if (b.data != nullptr) out.emplace_back(std::move(b.data));
    b = Builder();
  };
  PacketReader reader(bytes);
  Packet packet;
  if (reader.done()) return Fail("sig.key_invalid") << "the key file is empty";
  while (!reader.done()) {
    absl::Status framing = reader.Next(&packet);
    if (!framing.ok()) return Fail("sig.key_invalid") << base::GetError(framing).message;
    std::string_view body = packet.body();
    bool secret = packet.tag == kTagSecretKey || packet.tag == kTagSecretSubkey;
    if (secret && secrets == nullptr)
      return (Fail("sig.key_invalid") << "the file holds a secret key")
          .Hint("export the public key, and keep the secret one to yourself");
    std::string_view secret_part;
    switch (packet.tag) {
      case kTagPublicKey:
      case kTagSecretKey: {
        finish();
        if (out.size() >= kMaxCertificates) return TooMany("certificates", kMaxCertificates);
        auto key = ParseKeyPacket(body, secret ? &secret_part : nullptr);
        if (!key.ok()) {
          if (!base::HasReason(key.status(), "sig.unsupported")) return key.status();
          skipped = base::GetError(key.status()).message;
          b.skipping = true;
          break;
        }
        b.data = std::make_shared<CertificateData>();
        b.data->primary = *std::move(key);
        b.data->fingerprint = base::HexEncode(b.data->primary.fingerprint);
        b.data->key_id = base::HexEncode(b.data->primary.key_id);
        b.signatures = &b.data->direct;
        AppendPacket(kTagPublicKey, b.data->primary.body, &b.data->bytes);
        if (secret)
          secrets->push_back({static_cast<int>(out.size()), -1, std::string(secret_part)});
        break;
      }
      case kTagPublicSubkey:
      case kTagSecretSubkey: {
        if (b.skipping) break;
        if (b.data == nullptr) return Fail("sig.key_invalid") << "a subkey without a primary key";
        b.signatures = nullptr;
        if (b.data->subkeys.size() >= kMaxParts) return TooMany("subkeys", kMaxParts);
        auto key = ParseKeyPacket(body, secret ? &secret_part : nullptr);
        b.skipping_part = !key.ok();
        if (!key.ok()) break;  // one bad subkey does not spoil the others
        b.data->subkeys.emplace_back();
        b.data->subkeys.back().key = *std::move(key);
        b.signatures = &b.data->subkeys.back().signatures;
        AppendPacket(kTagPublicSubkey, b.data->subkeys.back().key.body, &b.data->bytes);
        if (secret)
          secrets->push_back({static_cast<int>(out.size()),
                              static_cast<int>(b.data->subkeys.size()) - 1,
                              std::string(secret_part)});
        break;
      }
      case kTagUserId:
      case kTagUserAttribute: {
        if (b.skipping) break;
        if (b.data == nullptr) return Fail("sig.key_invalid") << "a user id without a primary key";
        if (b.data->user_ids.size() >= kMaxParts) return TooMany("user_ids", kMaxParts);
        b.skipping_part = false;
        b.data->user_ids.emplace_back();
        b.data->user_ids.back().bytes = std::string(body);
        b.data->user_ids.back().attribute = packet.tag == kTagUserAttribute;
        b.signatures = &b.data->user_ids.back().signatures;
        AppendPacket(packet.tag, body, &b.data->bytes);
        break;
      }
      case kTagSignature: {
        if (b.skipping || b.skipping_part) break;
        if (b.data == nullptr)
          return (Fail("sig.key_invalid") << "the file starts with a signature, not a key")
              .Hint("name the public key file, not the signature");
        auto signature = ParseSignature(body);
        AppendPacket(kTagSignature, body, &b.data->bytes);
        if (!signature.ok()) break;  // it counts for nothing
        if (b.signatures->size() >= kMaxSignatures)
          return TooMany("key_signatures", kMaxSignatures);
        b.signatures->push_back(*std::move(signature));
        break;
      }
      case kTagMarker:
      case kTagTrust:
      case kTagPadding: break;
      default:
        if (packet.tag < 40)
          return Fail("sig.key_invalid")
                 << "the key file holds a packet of type " << int{packet.tag};
    }
  }
  finish();
  if (out.empty()) {
    if (!skipped.empty()) return Fail("sig.unsupported") << skipped;
    return Fail("sig.key_invalid") << "the file holds no key";
  }
  return out;
}

}  // namespace internal

Certificate::Certificate(std::shared_ptr<const CertificateData> data) : data_(std::move(data)) {}
const std::string& Certificate::fingerprint() const { return data_->fingerprint; }
const std::string& Certificate::key_id() const { return data_->key_id; }
int64_t Certificate::created() const { return data_->primary.created; }
const std::string& Certificate::bytes() const { return data_->bytes; }
std::string Certificate::algorithm() const { return data_->primary.description; }
std::string Certificate::Armored() const {
  return ArmorEncode(ArmorKind::kPublicKey, data_->bytes);
}

std::vector<std::string> Certificate::subkey_fingerprints() const {
  std::vector<std::string> out;
  for (const internal::Subkey& s : data_->subkeys)
    out.push_back(base::HexEncode(s.key.fingerprint));
  return out;
}

std::vector<std::string> Certificate::user_ids() const {
  std::vector<std::string> out;
  for (const internal::UserId& u : data_->user_ids)
    if (!u.attribute) out.push_back(u.bytes);
  return out;
}

absl::StatusOr<Keyring> Keyring::FromBytes(std::string_view bytes, const base::Limits* limits) {
  const base::Limits defaults;
  int64_t max = (limits != nullptr ? *limits : defaults).keyring_bytes;
  if (static_cast<int64_t>(bytes.size()) > max)
    return base::FailLimit("keyring_bytes", max) << "key file of " << bytes.size() << " bytes";
  Keyring out;
  auto add = [&out](std::string_view binary) -> absl::Status {
    COAM_ASSIGN_OR_RETURN(std::vector<Certificate> found,
                          internal::ReadCertificates(binary, nullptr));
    if (out.size() + found.size() > kMaxCertificates)
      return base::FailLimit("certificates", kMaxCertificates) << "OpenPGP keys";
    for (const Certificate& c : found) out.Add(c);
    return absl::OkStatus();
  };
  if (!LooksArmored(bytes)) {
    COAM_RETURN_IF_ERROR(add(bytes));
    return out;
  }
  auto blocks = ArmorDecode(bytes);
  if (!blocks.ok()) return Fail("sig.key_invalid") << base::GetError(blocks.status()).message;
  for (const ArmorBlock& block : *blocks) {
    if (block.kind == ArmorKind::kPrivateKey)
      return (Fail("sig.key_invalid") << "the file holds a secret key")
          .Hint("export the public key, and keep the secret one to yourself");
    if (block.kind != ArmorKind::kPublicKey)
      return Fail("sig.key_invalid")
             << "found " << ArmorLabel(block.kind) << " where a public key was expected";
    COAM_RETURN_IF_ERROR(add(block.bytes));
  }
  return out;
}

void Keyring::Add(const Certificate& certificate) {
  for (Certificate& c : certificates_) {
    if (c.fingerprint() == certificate.fingerprint()) {
      c = certificate;
      return;
    }
  }
  certificates_.push_back(certificate);
}

void Keyring::Add(const Keyring& other) {
  for (const Certificate& c : other.certificates_) Add(c);
}

bool Keyring::Remove(std::string_view fingerprint) {
  std::string want = NormalizeFingerprint(fingerprint);
  auto it = std::find_if(certificates_.begin(), certificates_.end(),
                         [&](const Certificate& c) { return c.fingerprint() == want; });
  if (it == certificates_.end()) return false;
  certificates_.erase(it);
  return true;
}

const Certificate* Keyring::Find(std::string_view text) const {
  std::string want = NormalizeFingerprint(text);
  if (want.empty()) return nullptr;
  auto fits = [&want](const internal::KeyPacket& key) {
    return base::HexEncode(want.size() == 16 ? key.key_id : key.fingerprint) == want;
  };
  const Certificate* found = nullptr;
  for (const Certificate& c : certificates_) {
    bool hit = fits(c.data().primary);
    for (const internal::Subkey& s : c.data().subkeys) hit = hit || fits(s.key);
    if (!hit) continue;
    if (found != nullptr) return nullptr;
    found = &c;
  }
  return found;
}

std::string Keyring::Bytes() const {
  std::string out;
  for (const Certificate& c : certificates_) out += c.bytes();
  return out;
}

std::string Keyring::Armored() const { return ArmorEncode(ArmorKind::kPublicKey, Bytes()); }

std::string FormatFingerprint(std::string_view fingerprint) {
  std::string out;
  for (size_t i = 0; i < fingerprint.size(); ++i) {
    if (i != 0 && i % 4 == 0) out += i * 2 == fingerprint.size() ? "  " : " ";
    out += absl::ascii_toupper(fingerprint[i]);
  }
  return out;
}

std::string NormalizeFingerprint(std::string_view text) {
  std::string out;
  if (absl::StartsWithIgnoreCase(text, "0x")) text.remove_prefix(2);
  for (char c : text) {
    if (c == ' ' || c == ':') continue;
    if (!absl::ascii_isxdigit(c)) return "";
    out += absl::ascii_tolower(c);
  }
  return out.size() == 16 || out.size() == 40 || out.size() == 64 ? out : "";
}

std::string ReviewText(const Keyring& keys) {
  std::string out;
  for (const Certificate& c : keys.certificates()) {
    absl::StrAppend(&out, "gpg key fingerprint is: ", FormatFingerprint(c.fingerprint()), "\n");
    for (const std::string& s : c.subkey_fingerprints())
      absl::StrAppend(&out, "    Subkey fingerprint: ", FormatFingerprint(s), "\n");
    for (const std::string& u : c.user_ids()) absl::StrAppend(&out, "\t", Printable(u), "\n");
  }
  return out;
}

namespace {
// Length of the UTF-8 sequence at the start of `text`, or 0; the code point goes to `*cp`.
size_t Utf8At(std::string_view text, uint32_t* cp) {
  uint8_t c = static_cast<uint8_t>(text[0]);
  size_t size = c < 0x80                ? 1
                : c >= 0xc2 && c < 0xe0 ? 2
                : c >= 0xe0 && c < 0xf0 ? 3
                : c >= 0xf0 && c < 0xf5 ? 4
                                        : 0;
  if (size == 0 || text.size() < size) return 0;
  *cp = size == 1 ? c : c & (0xff >> (size + 1));
  for (size_t i = 1; i < size; ++i) {
    uint8_t next = static_cast<uint8_t>(text[i]);
    if ((next & 0xc0) != 0x80) return 0;
    *cp = *cp << 6 | (next & 0x3f);
  }
  if ((size == 3 && *cp < 0x800) || (size == 4 && (*cp < 0x10000 || *cp > 0x10ffff)) ||
      (*cp >= 0xd800 && *cp < 0xe000))
    return 0;
  return size;
}
}  // namespace

std::string Printable(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    uint32_t cp = 0;
    size_t size = Utf8At(text, &cp);
    bool steers = cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || (cp >= 0x200b && cp <= 0x200f) ||
                  (cp >= 0x2028 && cp <= 0x202e) || (cp >= 0x2066 && cp <= 0x2069) || cp == 0xfeff;
    if (size == 0 || steers) {
      out += '?';
      size = size == 0 ? 1 : size;
    } else {
      out += text.substr(0, size);
    }
    text.remove_prefix(size);
  }
  return out;
}

}  // namespace coaming::trust::openpgp
