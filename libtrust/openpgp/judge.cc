#include "libtrust/openpgp/judge.h"

#include <algorithm>

#include "base/core/clock.h"
#include "base/core/error.h"
#include "base/digest/digest.h"

namespace coaming::trust::openpgp::internal {

using base::DigestAlgorithm;

namespace {

std::string Date(int64_t seconds) { return base::FormatRfc3339(seconds * 1000000000); }

// How telling a result is when the candidates of one signature differ.
int Rank(SignatureStatus status) {
  switch (status) {
    case SignatureStatus::kGood: return 3;
    case SignatureStatus::kBad: return 1;
    default: return 2;
  }
}

}  // namespace

void DocumentJudge::Settle(Entry* entry, SignatureStatus status, std::string_view message) {
  entry->settled = true;
  entry->result.status = status;
  entry->result.message = std::string(message);
}

void DocumentJudge::FindCandidates(Entry* entry) const {
  const SignaturePacket& s = entry->signature;
  for (const Certificate& c : keys_.certificates()) {
    const CertificateData& data = c.data();
    for (int i = -1; i < static_cast<int>(data.subkeys.size()); ++i)
      if (s.ClaimsIssuer(data.KeyAt(i)) && entry->candidates.size() < 16)
        entry->candidates.push_back({&c, i});
  }
}

absl::Status DocumentJudge::AddSignature(std::string_view body, bool only_text) {
  if (entries_.size() >= kMaxDocumentSignatures)
    return base::FailLimit("signatures", kMaxDocumentSignatures) << "OpenPGP signature file";
  entries_.emplace_back();
  Entry& e = entries_.back();
  absl::StatusOr<SignaturePacket> parsed = ParseSignature(body);
  if (!parsed.ok()) {
    Settle(&e,
           base::HasReason(parsed.status(), "sig.unsupported") ? SignatureStatus::kUnsupported
                                                               : SignatureStatus::kMalformed,
           base::GetError(parsed.status()).message);
    return absl::OkStatus();
  }
  e.signature = *std::move(parsed);
  const SignaturePacket& s = e.signature;
  e.result.created = s.created.value_or(0);
  e.result.expires = s.created && s.expires_s != 0 ? *s.created + s.expires_s : 0;
  e.result.hash = HashName(s.hash);
  e.result.algorithm = AlgorithmName(s.algorithm);
  e.result.text = s.type == 0x01;
  if (!s.issuer_ids.empty()) {
    e.result.key_id = base::HexEncode(s.issuer_ids[0]);
  } else if (!s.issuer_fingerprints.empty()) {
    const std::string& f = s.issuer_fingerprints[0];
    e.result.key_id = base::HexEncode(f.size() == 32 ? f.substr(0, 8) : f.substr(f.size() - 8));
  }
  FindCandidates(&e);
  if (s.type != 0x00 && s.type != 0x01) {
    Settle(&e, SignatureStatus::kWrongType,
           absl::StrCat("a signature of type 0x", absl::Hex(s.type, absl::kZeroPad2),
                        " is not over a document"));
  } else if (only_text && s.type != 0x01) {
    Settle(&e, SignatureStatus::kWrongType, "a cleartext message needs a text signature");
  } else if (!s.created) {
    Settle(&e, SignatureStatus::kMalformed, "the signature does not say when it was made");
  } else if (!s.critical_unknown.empty()) {
    Settle(&e, SignatureStatus::kUnsupported,
           absl::StrCat("the signature has ", s.critical_unknown, ", which is not known here"));
  } else if (e.candidates.empty()) {
    Settle(&e, SignatureStatus::kNoKey,
           e.result.key_id.empty()
               ? "the signature does not say which key made it"
               : absl::StrCat("made by key ", e.result.key_id, ", which is not among the keys"));
  } else if (HashIsBroken(s.hash)) {
    Settle(&e, SignatureStatus::kWeak,
           absl::StrCat("the signature is over a ", HashName(s.hash), " hash, which is broken"));
  } else if (HashAlgorithm(s.hash) == DigestAlgorithm::kUnknown) {
    Settle(&e, SignatureStatus::kUnsupported, absl::StrCat(HashName(s.hash), " is not supported"));
  }
  if (e.settled) return absl::OkStatus();
  DigestAlgorithm algorithm = HashAlgorithm(s.hash);
  for (size_t i = 0; i < hashes_.size(); ++i)
    if (hashes_[i].algorithm == algorithm && hashes_[i].text == e.result.text &&
        hashes_[i].salt == s.salt)
      e.hash = static_cast<int>(i);
  if (e.hash < 0) {
    e.hash = static_cast<int>(hashes_.size());
    hashes_.push_back({base::Hasher(algorithm), algorithm, e.result.text, s.salt});
    hashes_.back().hasher.Update(s.salt);
  }
  return absl::OkStatus();
}

// Text signatures are over CR LF line ends; a lone CR is left as it is, as gpg and sqv do.
void DocumentJudge::UpdateText(Hash* hash, std::string_view data) {
  size_t from = 0;
  for (size_t i = data.find('\n'); i != std::string_view::npos; i = data.find('\n', i + 1)) {
    bool cr = i == 0 ? hash->after_cr : data[i - 1] == '\r';
    if (!cr) {
      hash->hasher.Update(data.substr(from, i - from));
      hash->hasher.Update("\r", 1);
      from = i;
    }
  }
  hash->hasher.Update(data.substr(from));
  if (!data.empty()) hash->after_cr = data.back() == '\r';
}

void DocumentJudge::Update(std::string_view data) {
  for (Hash& h : hashes_) {
    if (h.text) {
      UpdateText(&h, data);
    } else {
      h.hasher.Update(data);
    }
  }
}

void DocumentJudge::JudgeEntry(Entry* e) {
  base::Hasher hasher = hashes_[e->hash].hasher;
  e->signature.HashTrailer(&hasher);
  std::string digest = hasher.FinishBytes();
  int best = 0;
  for (const Candidate& candidate : e->candidates) {
    const CertificateData& c = candidate.certificate->data();
    const KeyPacket& key = c.KeyAt(candidate.key);
    SignatureStatus status;
    std::string message;
    if (key.key.type() == KeyType::kNone) {
      status = SignatureStatus::kUnsupported;
      message = key.problem;
    } else if (!VerifyDigest(key, e->signature, digest)) {
      status = SignatureStatus::kBad;
      message = "the signature does not fit the data";
    } else {
      KeyJudgement judged = JudgeKey(c, candidate.key, keys_, policy_, now_);
      JudgeTime(judged, e->result.created, policy_, now_, &status, &message);
      if (status == SignatureStatus::kGood && e->result.created > now_ + policy_.clock_skew_s) {
        status = SignatureStatus::kNotYet;
        message =
            absl::StrCat("the signature was made in the future, on ", Date(e->result.created));
      } else if (status == SignatureStatus::kGood && e->result.expires != 0 &&
                 e->result.expires <= now_) {
        status = SignatureStatus::kExpired;
        message = absl::StrCat("the signature expired on ", Date(e->result.expires));
      }
    }
    if (Rank(status) <= best) continue;
    best = Rank(status);
    e->result.status = status;
    e->result.message = message;
    e->result.fingerprint = c.fingerprint;
    e->result.signer_fingerprint = base::HexEncode(key.fingerprint);
    e->result.user_ids = BoundUserIds(c, policy_, now_);
  }
}

Verdict DocumentJudge::Finish() {
  Verdict out;
  out.required = policy_.required;
  std::vector<std::string> signers;
  for (Entry& e : entries_) {
    if (!e.settled) JudgeEntry(&e);
    if (e.result.status == SignatureStatus::kGood &&
        std::find(signers.begin(), signers.end(), e.result.fingerprint) == signers.end())
      signers.push_back(e.result.fingerprint);
    out.signatures.push_back(std::move(e.result));
  }
  out.good = static_cast<int>(signers.size());
  return out;
}

bool DocumentJudge::MaybeKnown() const {
  return std::any_of(entries_.begin(), entries_.end(),
                     [](const Entry& e) { return !e.candidates.empty(); });
}

std::vector<std::string> DocumentJudge::Issuers() const {
  std::vector<std::string> out;
  for (const Entry& e : entries_)
    if (!e.result.key_id.empty()) out.push_back(e.result.key_id);
  return out;
}

}  // namespace coaming::trust::openpgp::internal
