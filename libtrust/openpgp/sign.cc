#include "libtrust/openpgp/sign.h"

#include <span>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/stream/stream.h"
#include "libtrust/openpgp/armor.h"
#include "libtrust/openpgp/secret_key.h"

namespace coaming::trust::openpgp {

using base::DigestAlgorithm;
using base::Fail;

namespace {

// TextHasher feeds text with CR LF line ends.
class TextHasher {
 public:
  TextHasher(base::Hasher* hasher, bool text) : hasher_(hasher), text_(text) {}
  void Update(std::string_view data) {
    if (!text_) return hasher_->Update(data);
    for (char c : data) {
      if (c == '\n' && !cr_) hasher_->Update("\r", 1);
      hasher_->Update(&c, 1);
      cr_ = c == '\r';
    }
  }

 private:
  base::Hasher* hasher_;
  bool text_;
  bool cr_ = false;
};

absl::StatusOr<DigestAlgorithm> ChooseHash(const PrivateKey& key, const SignOptions& options) {
  DigestAlgorithm hash = options.hash;
  if (hash == DigestAlgorithm::kUnknown) hash = internal::DefaultHash(key.type());
  if (hash != DigestAlgorithm::kSha256 && hash != DigestAlgorithm::kSha384 &&
      hash != DigestAlgorithm::kSha512)
    return Fail("sig.weak") << "sign with " << base::DigestAlgorithmName(hash)
                            << ": only SHA-256, SHA-384 and SHA-512 are offered";
  return hash;
}

absl::Status CheckTimes(const SignOptions& options) {
  if (options.time <= 0 || options.time > UINT32_MAX || options.valid_s < 0 ||
      options.valid_s > UINT32_MAX)
    return Fail("core.invalid_argument") << "sign: a time is out of range";
  return absl::OkStatus();
}

internal::SignatureParts PartsOf(const SignOptions& options, DigestAlgorithm hash, bool text) {
  internal::SignatureParts parts;
  parts.type = text ? 0x01 : 0x00;
  parts.hash = hash;
  parts.created = options.time;
  if (options.valid_s != 0) {
    std::string life;
    internal::AppendU32(static_cast<uint32_t>(options.valid_s), &life);
    internal::AppendSubpacket(3, life, &parts.hashed);
  }
  return parts;
}

std::string Pack(std::string_view body, bool armor) {
  std::string packet;
  internal::AppendPacket(internal::kTagSignature, body, &packet);
  return armor ? ArmorEncode(ArmorKind::kSignature, packet) : packet;
}

}  // namespace

absl::StatusOr<std::string> SecretKey::SignDetached(base::Reader& data, const SignOptions& options,
                                                    const base::Op& op) const {
  COAM_RETURN_IF_ERROR(CheckTimes(options));
  COAM_ASSIGN_OR_RETURN(const Impl::Held* signer, impl_->Signer(options.time));
  COAM_ASSIGN_OR_RETURN(DigestAlgorithm hash, ChooseHash(signer->secret, options));
  base::Hasher hasher(hash);
  TextHasher feed(&hasher, options.text);
  std::string block(base::kBlockBytes, '\0');
  for (;;) {
    COAM_RETURN_IF_ERROR(op.Check());
    COAM_ASSIGN_OR_RETURN(size_t got, data.Read(std::span<char>(block.data(), block.size())));
    if (got == 0) break;
    feed.Update(std::string_view(block.data(), got));
  }
  COAM_ASSIGN_OR_RETURN(
      std::string body,
      internal::MakeSignature(impl_->certificate.data().KeyAt(signer->key), signer->secret,
                              PartsOf(options, hash, options.text), hasher));
  return Pack(body, options.armor);
}

absl::StatusOr<std::string> SecretKey::SignDetached(std::string_view data,
                                                    const SignOptions& options) const {
  base::MemoryReader reader(data);
  return SignDetached(reader, options, base::Op());
}

absl::StatusOr<std::string> SecretKey::SignInline(std::string_view content,
                                                  const SignOptions& options) const {
  COAM_RETURN_IF_ERROR(CheckTimes(options));
  COAM_ASSIGN_OR_RETURN(const Impl::Held* signer, impl_->Signer(options.time));
  COAM_ASSIGN_OR_RETURN(DigestAlgorithm hash, ChooseHash(signer->secret, options));
  const internal::KeyPacket& key = impl_->certificate.data().KeyAt(signer->key);
  base::Hasher hasher(hash);
  hasher.Update(content);
  COAM_ASSIGN_OR_RETURN(
      std::string body,
      internal::MakeSignature(key, signer->secret, PartsOf(options, hash, false), hasher));
  std::string one_pass = {'\x03', '\x00', static_cast<char>(internal::HashIdOf(hash)),
                          static_cast<char>(key.algorithm)};
  one_pass += key.key_id;
  one_pass += '\x01';
  std::string literal("b\0\0\0\0\0", 6);
  literal += content;
  std::string out;
  internal::AppendPacket(internal::kTagOnePass, one_pass, &out);
  internal::AppendPacket(internal::kTagLiteral, literal, &out);
  internal::AppendPacket(internal::kTagSignature, body, &out);
  return options.armor ? ArmorEncode(ArmorKind::kMessage, out) : out;
}

absl::StatusOr<std::string> SecretKey::SignCleartext(std::string_view text,
                                                     const SignOptions& options) const {
  COAM_RETURN_IF_ERROR(CheckTimes(options));
  COAM_ASSIGN_OR_RETURN(const Impl::Held* signer, impl_->Signer(options.time));
  COAM_ASSIGN_OR_RETURN(DigestAlgorithm hash, ChooseHash(signer->secret, options));
  if (absl::EndsWith(text, "\n")) text.remove_suffix(1);
  base::Hasher hasher(hash);
  std::string out =
      absl::StrCat("-----BEGIN PGP SIGNED MESSAGE-----\nHash: ",
                   absl::AsciiStrToUpper(internal::HashName(internal::HashIdOf(hash))), "\n\n");
  bool first = true;
  for (std::string_view line : absl::StrSplit(text, '\n')) {
    while (!line.empty() && (line.back() == ' ' || line.back() == '\t' || line.back() == '\r'))
      line.remove_suffix(1);
    for (char c : line)
      if (c == '\r' || c == '\f' || c == '\v' || c == '\0')
        return Fail("core.invalid_argument") << "sign text: it holds a control character";
    if (!first) hasher.Update("\r\n", 2);
    first = false;
    hasher.Update(line);
    absl::StrAppend(&out, absl::StartsWith(line, "-") ? "- " : "", line, "\n");
  }
  COAM_ASSIGN_OR_RETURN(
      std::string body,
      internal::MakeSignature(impl_->certificate.data().KeyAt(signer->key), signer->secret,
                              PartsOf(options, hash, true), hasher));
  return out + Pack(body, /*armor=*/true);
}

absl::StatusOr<std::string> SecretKey::RevocationCertificate(int reason, std::string_view text,
                                                             int64_t time) const {
  if (reason < 0 || reason > 3 || text.size() > 1024 || time <= 0 || time > UINT32_MAX)
    return Fail("core.invalid_argument") << "revocation: reason, text or time is out of range";
  const PrivateKey* primary = impl_->Find(-1);
  if (primary == nullptr)
    return Fail("sig.key_unusable")
           << "revoke key " << fingerprint() << ": its primary secret key is not here";
  const internal::KeyPacket& key = impl_->certificate.data().primary;
  internal::SignatureParts parts;
  parts.type = 0x20;
  parts.hash = internal::DefaultHash(primary->type());
  parts.created = time;
  internal::AppendSubpacket(29, absl::StrCat(std::string(1, static_cast<char>(reason)), text),
                            &parts.hashed);
  std::string data;
  key.AppendHashed(&data);
  base::Hasher hasher(parts.hash);
  hasher.Update(data);
  COAM_ASSIGN_OR_RETURN(std::string body, internal::MakeSignature(key, *primary, parts, hasher));
  std::string packet;
  internal::AppendPacket(internal::kTagSignature, body, &packet);
  return ArmorEncode(ArmorKind::kPublicKey, packet);
}

}  // namespace coaming::trust::openpgp
