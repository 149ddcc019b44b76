#include "libtrust/openpgp/verify.h"

#include <span>

#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/stream/stream.h"
#include "libtrust/openpgp/armor.h"
#include "libtrust/openpgp/certificate_data.h"
#include "libtrust/openpgp/judge.h"

namespace coaming::trust::openpgp {

using base::Fail;

std::string_view StatusReason(SignatureStatus status) {
  switch (status) {
    case SignatureStatus::kGood: return "";
    case SignatureStatus::kBad: return "sig.bad";
    case SignatureStatus::kNoKey: return "sig.untrusted";
    case SignatureStatus::kExpired: return "sig.expired";
    case SignatureStatus::kKeyExpired: return "sig.key_expired";
    case SignatureStatus::kKeyRevoked: return "sig.key_revoked";
    case SignatureStatus::kKeyUnusable: return "sig.key_unusable";
    case SignatureStatus::kNotYet: return "sig.not_yet_valid";
    case SignatureStatus::kWeak: return "sig.weak";
    case SignatureStatus::kWrongType: return "sig.wrong_type";
    case SignatureStatus::kUnsupported: return "sig.unsupported";
    case SignatureStatus::kMalformed: return "sig.malformed";
  }
  return "sig.malformed";
}

std::string_view StatusName(SignatureStatus status) {
  switch (status) {
    case SignatureStatus::kGood: return "good";
    case SignatureStatus::kBad: return "bad";
    case SignatureStatus::kNoKey: return "no key";
    case SignatureStatus::kExpired: return "expired";
    case SignatureStatus::kKeyExpired: return "key expired";
    case SignatureStatus::kKeyRevoked: return "key revoked";
    case SignatureStatus::kKeyUnusable: return "key unusable";
    case SignatureStatus::kNotYet: return "not yet valid";
    case SignatureStatus::kWeak: return "weak";
    case SignatureStatus::kWrongType: return "wrong type";
    case SignatureStatus::kUnsupported: return "unsupported";
    case SignatureStatus::kMalformed: return "malformed";
  }
  return "malformed";
}

const SignatureResult* Verdict::Signer() const {
  for (const SignatureResult& s : signatures)
    if (s.status == SignatureStatus::kGood) return &s;
  return nullptr;
}

absl::Status Verdict::ToStatus(std::string_view subject) const {
  if (ok()) return absl::OkStatus();
  if (signatures.empty()) return Fail("sig.unsigned") << subject << " has no signature";
  if (good > 0)
    return Fail("sig.threshold") << subject << " has " << good << " good signatures of " << required
                                 << " required";
  static constexpr SignatureStatus kOrder[] = {
      SignatureStatus::kBad,         SignatureStatus::kKeyRevoked, SignatureStatus::kExpired,
      SignatureStatus::kKeyExpired,  SignatureStatus::kNotYet,     SignatureStatus::kWeak,
      SignatureStatus::kKeyUnusable, SignatureStatus::kWrongType,  SignatureStatus::kMalformed,
      SignatureStatus::kUnsupported, SignatureStatus::kNoKey};
  for (SignatureStatus status : kOrder) {
    for (const SignatureResult& s : signatures) {
      if (s.status != status) continue;
      std::string who = !s.fingerprint.empty() ? s.fingerprint : s.key_id;
      const std::string owner = s.user_ids.empty() ? "" : absl::StrCat(", ", s.user_ids[0]);
      return Fail(StatusReason(status)).Detail("sig.key", who)
             << subject << ": " << s.message
             << (s.fingerprint.empty() ? "" : absl::StrCat(" (key ", s.fingerprint, owner, ")"));
    }
  }
  return Fail("sig.malformed") << subject << ": no signature could be judged";
}

struct DetachedVerifier::Impl {
  internal::DocumentJudge judge;
};

DetachedVerifier::DetachedVerifier(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
DetachedVerifier::~DetachedVerifier() = default;

absl::StatusOr<std::unique_ptr<DetachedVerifier>> DetachedVerifier::New(
    std::string_view signature, const Keyring& keys, const Policy& policy, int64_t now_s,
    const base::Limits* limits) {
  const base::Limits defaults;
  int64_t max = (limits != nullptr ? *limits : defaults).signature_bytes;
  if (static_cast<int64_t>(signature.size()) > max)
    return base::FailLimit("signature_bytes", max)
           << "signature of " << signature.size() << " bytes";
  if (signature.empty()) return Fail("sig.unsigned") << "the signature file is empty";
  COAM_ASSIGN_OR_RETURN(std::string bytes, Dearmor(signature, ArmorKind::kSignature));
  std::unique_ptr<Impl> impl(new Impl{internal::DocumentJudge(keys, policy, now_s)});
  internal::PacketReader reader(bytes);
  internal::Packet packet;
  while (!reader.done()) {
    COAM_RETURN_IF_ERROR(reader.Next(&packet));
    switch (packet.tag) {
      case internal::kTagSignature:
        COAM_RETURN_IF_ERROR(impl->judge.AddSignature(packet.body()));
        break;
      case internal::kTagMarker:
      case internal::kTagPadding: break;
      case internal::kTagOnePass:
      case internal::kTagLiteral:
      case internal::kTagCompressed:
        return (Fail("sig.malformed")
                << "the file is a signed message with content of its own, not a detached signature")
            .Hint("make the signature with gpg --detach-sign");
      default:
        if (packet.tag < 40)
          return Fail("sig.malformed") << "the file holds a packet of type " << int{packet.tag}
                                       << ", not only signatures";
    }
  }
  if (impl->judge.size() == 0) return Fail("sig.unsigned") << "the file holds no signature";
  return std::unique_ptr<DetachedVerifier>(new DetachedVerifier(std::move(impl)));
}

void DetachedVerifier::Update(std::string_view data) { impl_->judge.Update(data); }
Verdict DetachedVerifier::Finish() { return impl_->judge.Finish(); }
bool DetachedVerifier::MaybeKnown() const { return impl_->judge.MaybeKnown(); }
std::vector<std::string> DetachedVerifier::Issuers() const { return impl_->judge.Issuers(); }

absl::StatusOr<Verdict> VerifyDetached(std::string_view signature, base::Reader& data,
                                       const Keyring& keys, const Policy& policy,
                                       const base::Op& op) {
  COAM_ASSIGN_OR_RETURN(auto verifier,
                        DetachedVerifier::New(signature, keys, policy,
                                              op.clock().RealtimeNs() / 1000000000, &op.limits()));
  std::string block(base::kBlockBytes, '\0');
  for (;;) {
    COAM_RETURN_IF_ERROR(op.Check());
    COAM_ASSIGN_OR_RETURN(size_t got, data.Read(std::span<char>(block.data(), block.size())));
    if (got == 0) break;
    verifier->Update(std::string_view(block.data(), got));
  }
  return verifier->Finish();
}

absl::StatusOr<Verdict> VerifyDetached(std::string_view signature, std::string_view data,
                                       const Keyring& keys, const Policy& policy,
                                       const base::Op& op) {
  base::MemoryReader reader(data);
  return VerifyDetached(signature, reader, keys, policy, op);
}

absl::Status Usability(const Certificate& certificate, const Keyring& keys, const Policy& policy,
                       int64_t now_s) {
  const internal::CertificateData& data = certificate.data();
  SignatureStatus status = SignatureStatus::kKeyUnusable, first = status;
  std::string message, why;
  for (int i = -1; i < static_cast<int>(data.subkeys.size()); ++i) {
    if (!data.KeyAt(i).can_sign_by_algorithm() && i >= 0) continue;
    internal::JudgeTime(internal::JudgeKey(data, i, keys, policy, now_s), now_s, policy, now_s,
                        &status, &message);
    if (status == SignatureStatus::kGood) return absl::OkStatus();
    if (why.empty() || first == SignatureStatus::kKeyUnusable) {
      first = status;
      why = message;
    }
  }
  return Fail(StatusReason(first)) << "key " << certificate.fingerprint() << ": " << why;
}

}  // namespace coaming::trust::openpgp
