// Private to libtrust/openpgp: judging document signatures, shared by detached, inline and cleartext.
#ifndef COAMING_LIBTRUST_OPENPGP_JUDGE_H_
#define COAMING_LIBTRUST_OPENPGP_JUDGE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest/hasher.h"
#include "libtrust/openpgp/certificate_data.h"
#include "libtrust/openpgp/verify.h"

namespace coaming::trust::openpgp::internal {

inline constexpr size_t kMaxDocumentSignatures = 64;

// DocumentJudge takes signature packets first, then the data, then answers.
class DocumentJudge {
 public:
  DocumentJudge(const Keyring& keys, const Policy& policy, int64_t now_s)
      : keys_(keys), policy_(policy), now_(now_s) {}

  // AddSignature takes the body of a signature packet. `only_text` refuses binary signatures
  // (cleartext). Errors: core.limit.
  absl::Status AddSignature(std::string_view body, bool only_text = false);
  void Update(std::string_view data);
  Verdict Finish();

  bool MaybeKnown() const;
  std::vector<std::string> Issuers() const;
  size_t size() const { return entries_.size(); }

 private:
  struct Candidate {
    const Certificate* certificate;
    int key;  // -1 primary
  };
  struct Entry {
    SignaturePacket signature;
    SignatureResult result;
    bool settled = false;  // the data cannot change the result
    std::vector<Candidate> candidates;
    int hash = -1;  // index into hashes_
  };
  struct Hash {
    base::Hasher hasher;
    base::DigestAlgorithm algorithm;
    bool text;
    std::string salt;
    bool after_cr = false;
  };

  void Settle(Entry* entry, SignatureStatus status, std::string_view message);
  void FindCandidates(Entry* entry) const;
  void UpdateText(Hash* hash, std::string_view data);
  void JudgeEntry(Entry* entry);

  Keyring keys_;
  Policy policy_;
  int64_t now_;
  std::vector<Entry> entries_;
  std::vector<Hash> hashes_;
};

}  // namespace coaming::trust::openpgp::internal

#endif  // COAMING_LIBTRUST_OPENPGP_JUDGE_H_
