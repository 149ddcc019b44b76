// Which keys of a certificate may sign: bindings, flags, expiry, revocation (trust.md section 3.4).
#include <algorithm>

#include "base/core/clock.h"
#include "base/core/error.h"
#include "base/digest/digest.h"
#include "libtrust/openpgp/certificate_data.h"

namespace coaming::trust::openpgp::internal {

namespace {

constexpr uint8_t kFlagSign = 0x02;
constexpr int kMaxChecks = 1000;  // public-key operations for one judgement

std::string Date(int64_t seconds) { return base::FormatRfc3339(seconds * 1000000000); }

// Judge holds one judgement's inputs, its budget, and what was met on the way.
class Judge {
 public:
  Judge(const CertificateData& certificate, const Keyring& keys, const Policy& policy, int64_t now)
      : c_(certificate), keys_(keys), policy_(policy), now_(now) {}

  // Valid checks one signature over key material by `signer`, with all that does not depend on what
  // it binds. Revocations are held to no hash policy: refusing one would make a key look better.
  bool Valid(const KeyPacket& signer, const SignaturePacket& s, std::string_view data,
             bool revocation = false) {
    if (!s.created) return false;
    if (!revocation) {
      if (*s.created > now_ + policy_.clock_skew_s) return false;
      if (!s.critical_unknown.empty()) return false;
      if (s.expires_s != 0 && *s.created + s.expires_s <= now_) return false;
      if (*s.created < signer.created) return false;
      bool broken = HashIsBroken(s.hash) &&
                    !(s.hash == kSha1 && *s.created < policy_.sha1_self_signatures_before);
      if (broken) {
        weak_ = true;
        return false;
      }
    }
    if (checks_ >= kMaxChecks) return false;
    ++checks_;
    return VerifyOver(signer, s, data);
  }

  std::string PrimaryData() const {
    std::string out;
    c_.primary.AppendHashed(&out);
    return out;
  }

  // Newest of `list` that has one of the types and is valid; null if none.
  const SignaturePacket* Newest(const std::vector<SignaturePacket>& list, uint8_t low, uint8_t high,
                                std::string_view data) {
    std::vector<const SignaturePacket*> order;
    for (const SignaturePacket& s : list)
      if (s.type >= low && s.type <= high && s.created && s.ClaimsIssuer(c_.primary))
        order.push_back(&s);
    std::stable_sort(order.begin(), order.end(),
                     [](const auto* a, const auto* b) { return *a->created > *b->created; });
    for (const SignaturePacket* s : order)
      if (Valid(c_.primary, *s, data)) return s;
    return nullptr;
  }

  // UserBinding is the self-signature that binds a user id, or null.
  const SignaturePacket* UserBinding(const UserId& user) {
    std::string data = PrimaryData();
    data.push_back(user.attribute ? '\xd1' : '\xb4');
    AppendU32(static_cast<uint32_t>(user.bytes.size()), &data);
    data += user.bytes;
    const SignaturePacket* binding = Newest(user.signatures, 0x10, 0x13, data);
    if (binding == nullptr) return nullptr;
    for (const SignaturePacket& s : user.signatures)
      if (s.type == 0x30 && s.created && *s.created >= *binding->created &&
          s.ClaimsIssuer(c_.primary) && Valid(c_.primary, s, data, true))
        return nullptr;
    return binding;
  }

  void Revocations(const std::vector<SignaturePacket>& list, uint8_t type, std::string_view data,
                   std::string_view what, KeyJudgement* out) {
    for (const SignaturePacket& s : list) {
      if (s.type != type || !s.created) continue;
      bool good = s.ClaimsIssuer(c_.primary) && Valid(c_.primary, s, data, true);
      if (!good && type == 0x20) good = ByDesignatedRevoker(s, data);
      if (!good) continue;
      uint8_t reason = s.revocation_reason.value_or(0);
      bool soft = s.revocation_reason && (reason == 1 || reason == 3 || reason == 32);
      if (!out->revoked || *s.created < out->revoked_at) out->revoked_at = *s.created;
      out->revoked = true;
      out->revoked_hard |= !soft;
      out->revoked_what = what;
    }
  }

  void JudgePrimary(KeyJudgement* out) {
    const KeyPacket& primary = c_.primary;
    std::string data = PrimaryData();
    if (primary.key.type() == KeyType::kNone) {
      out->status = SignatureStatus::kUnsupported;
      out->message = primary.problem;
      return;
    }
    if (!StrongEnough(primary, out)) return;
    direct_ = Newest(c_.direct, 0x1f, 0x1f, data);
    for (const UserId& user : c_.user_ids) {
      const SignaturePacket* s = UserBinding(user);
      if (s != nullptr && (user_ == nullptr || *s->created > *user_->created)) user_ = s;
    }
    Revocations(c_.direct, 0x20, data, "key", out);
    bool direct_counts = primary.version == 6 || policy_.allow_direct_key_v4;
    if (user_ == nullptr && !(direct_ != nullptr && direct_counts)) {
      out->status = weak_ ? SignatureStatus::kWeak : SignatureStatus::kKeyUnusable;
      out->message = weak_ ? "the key is bound only by self-signatures with a broken hash"
                           : "the key has no valid self-signature";
      return;
    }
    // The user id's binding decides; a newer direct-key signature overrides what it states.
    const SignaturePacket* from = user_ != nullptr ? user_ : direct_;
    std::optional<int64_t> life = from->key_expires_s;
    flags_ = from->key_flags;
    if (user_ != nullptr && direct_ != nullptr && *direct_->created >= *user_->created) {
      if (direct_->key_expires_s) life = direct_->key_expires_s;
      if (direct_->key_flags) flags_ = direct_->key_flags;
    }
    out->primary_expires = life.value_or(0) != 0 ? primary.created + *life : 0;
    out->key_created = primary.created;
    out->status = SignatureStatus::kGood;
  }

  void JudgeAsSigner(KeyJudgement* out) {
    const KeyPacket& primary = c_.primary;
    bool may = flags_ ? (*flags_ & kFlagSign) != 0
                      : primary.version == 4 && primary.can_sign_by_algorithm();
    if (!may) {
      out->status = SignatureStatus::kKeyUnusable;
      out->message = "the key is not for signing";
    }
  }

  void JudgeSubkey(const Subkey& sub, KeyJudgement* out) {
    if (sub.key.key.type() == KeyType::kNone) {
      out->status = SignatureStatus::kUnsupported;
      out->message = sub.key.problem;
      return;
    }
    if (!StrongEnough(sub.key, out)) return;
    std::string data = PrimaryData();
    sub.key.AppendHashed(&data);
    weak_ = false;
    const SignaturePacket* binding = Newest(sub.signatures, 0x18, 0x18, data);
    out->status = SignatureStatus::kKeyUnusable;
    if (binding == nullptr) {
      if (weak_) out->status = SignatureStatus::kWeak;
      out->message = weak_ ? "the subkey is bound only with a broken hash"
                           : "the subkey is not bound by its primary key";
      return;
    }
    if (!binding->key_flags || (*binding->key_flags & kFlagSign) == 0) {
      out->message = "the subkey is not for signing";
      return;
    }
    bool back = false;
    for (const std::string& body : binding->embedded) {
      auto s = ParseSignature(body);
      if (s.ok() && s->type == 0x19 && Valid(sub.key, *s, data)) back = true;
    }
    if (!back) {
      out->message =
          "the subkey has no valid back-signature: it did not agree to be part of the key";
      return;
    }
    Revocations(sub.signatures, 0x28, data, "subkey", out);
    out->key_created = std::max(out->key_created, sub.key.created);
    int64_t life = binding->key_expires_s.value_or(0);
    out->key_expires = life != 0 ? sub.key.created + life : 0;
    out->status = SignatureStatus::kGood;
  }

 private:
  bool StrongEnough(const KeyPacket& key, KeyJudgement* out) {
    if (key.key.type() == KeyType::kRsa && key.key.bits() < policy_.min_rsa_bits) {
      out->status = SignatureStatus::kKeyUnusable;
      out->message = absl::StrCat("the RSA key has ", key.key.bits(), " bits, fewer than ",
                                  policy_.min_rsa_bits);
      return false;
    }
    if (key.key.type() == KeyType::kDsa && !policy_.allow_dsa) {
      out->status = SignatureStatus::kWeak;
      out->message = "the key is DSA, which only a legacy policy takes";
      return false;
    }
    return true;
  }

  bool ByDesignatedRevoker(const SignaturePacket& s, std::string_view data) {
    if (direct_ == nullptr) return false;
    for (const SignaturePacket& self : c_.direct) {
      if (self.type != 0x1f || self.revocation_keys.empty() || !Valid(c_.primary, self, data))
        continue;
      for (const RevocationKey& revoker : self.revocation_keys) {
        const Certificate* by = keys_.Find(base::HexEncode(revoker.fingerprint));
        if (by != nullptr && by->data().primary.fingerprint == revoker.fingerprint &&
            s.ClaimsIssuer(by->data().primary) && Valid(by->data().primary, s, data, true))
          return true;
      }
    }
    return false;
  }

  const CertificateData& c_;
  const Keyring& keys_;
  const Policy& policy_;
  int64_t now_;
  int checks_ = 0;
  bool weak_ = false;
  const SignaturePacket* direct_ = nullptr;
  const SignaturePacket* user_ = nullptr;
  std::optional<uint8_t> flags_;
};

}  // namespace

KeyJudgement JudgeKey(const CertificateData& certificate, int index, const Keyring& keys,
                      const Policy& policy, int64_t now_s) {
  Judge judge(certificate, keys, policy, now_s);
  KeyJudgement out;
  judge.JudgePrimary(&out);
  if (out.status != SignatureStatus::kGood) return out;
  if (index < 0) {
    judge.JudgeAsSigner(&out);
  } else {
    judge.JudgeSubkey(certificate.subkeys[index], &out);
  }
  return out;
}

void JudgeTime(const KeyJudgement& key, int64_t at, const Policy& policy, int64_t now_s,
               SignatureStatus* status, std::string* message) {
  *status = key.status;
  *message = key.message;
  if (key.status != SignatureStatus::kGood) return;
  int64_t until = policy.require_alive_now ? std::max(at, now_s) : at;
  if (key.revoked && (key.revoked_hard || key.revoked_at <= until)) {
    *status = SignatureStatus::kKeyRevoked;
    *message = absl::StrCat("the ", key.revoked_what, " was revoked on ", Date(key.revoked_at));
    return;
  }
  if (at < key.key_created) {
    *status = SignatureStatus::kNotYet;
    *message = absl::StrCat("the signature of ", Date(at), " is older than its key of ",
                            Date(key.key_created));
    return;
  }
  for (int64_t expires : {key.primary_expires, key.key_expires}) {
    if (expires != 0 && expires <= until) {
      *status = SignatureStatus::kKeyExpired;
      *message = absl::StrCat("the key expired on ", Date(expires));
      return;
    }
  }
}

std::vector<std::string> BoundUserIds(const CertificateData& certificate, const Policy& policy,
                                      int64_t now_s) {
  Keyring none;
  Judge judge(certificate, none, policy, now_s);
  std::vector<std::string> first, rest;
  for (const UserId& user : certificate.user_ids) {
    if (user.attribute) continue;
    const SignaturePacket* binding = judge.UserBinding(user);
    if (binding != nullptr)
      (binding->primary_user_id ? first : rest).push_back(Printable(user.bytes));
  }
  first.insert(first.end(), rest.begin(), rest.end());
  return first;
}

}  // namespace coaming::trust::openpgp::internal
