// Private to libtrust/openpgp: the parsed inside of a certificate, and the judging of its keys.
#ifndef COAMING_LIBTRUST_OPENPGP_CERTIFICATE_DATA_H_
#define COAMING_LIBTRUST_OPENPGP_CERTIFICATE_DATA_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "libtrust/openpgp/certificate.h"
#include "libtrust/openpgp/packet.h"
#include "libtrust/openpgp/verify.h"

namespace coaming::trust::openpgp::internal {

struct UserId {
  std::string bytes;
  bool attribute = false;
  std::vector<SignaturePacket> signatures;
};

struct Subkey {
  KeyPacket key;
  std::vector<SignaturePacket> signatures;
};

struct CertificateData {
  std::string bytes;        // public packets
  std::string fingerprint;  // hex
  std::string key_id;       // hex
  KeyPacket primary;
  std::vector<SignaturePacket> direct;
  std::vector<UserId> user_ids;
  std::vector<Subkey> subkeys;

  // Key -1 is the primary, others are subkeys.
  const KeyPacket& KeyAt(int index) const { return index < 0 ? primary : subkeys[index].key; }
};

// A secret key packet met while reading, for sign.cc.
struct SecretPacket {
  int index;  // of the certificate it belongs to
  int key;    // -1 primary, or the subkey
  std::string secret_part;
};

// ReadCertificates parses a binary keyring. `secrets` null: secret keys are refused. Certificates of
// unsupported versions are skipped; if nothing is left the error says so.
absl::StatusOr<std::vector<Certificate>> ReadCertificates(std::string_view bytes,
                                                          std::vector<SecretPacket>* secrets);

// KeyJudgement says whether a key may sign, apart from when: what holds now of its bindings.
struct KeyJudgement {
  SignatureStatus status = SignatureStatus::kKeyUnusable;  // kGood: see the times
  std::string message;
  int64_t key_created = 0;
  int64_t primary_expires = 0;  // 0: never
  int64_t key_expires = 0;
  bool revoked = false;
  bool revoked_hard = false;
  int64_t revoked_at = 0;  // earliest soft revocation
  std::string revoked_what;
};
// JudgeKey evaluates key `index` of a certificate as of `now_s` (trust.md section 3.4).
KeyJudgement JudgeKey(const CertificateData& certificate, int index, const Keyring& keys,
                      const Policy& policy, int64_t now_s);
// JudgeTime applies the times to a good judgement: a signature made at `at`.
void JudgeTime(const KeyJudgement& key, int64_t at, const Policy& policy, int64_t now_s,
               SignatureStatus* status, std::string* message);
// BoundUserIds gives the user ids with a valid, unrevoked self-signature, printable.
std::vector<std::string> BoundUserIds(const CertificateData& certificate, const Policy& policy,
                                      int64_t now_s);

}  // namespace coaming::trust::openpgp::internal

#endif  // COAMING_LIBTRUST_OPENPGP_CERTIFICATE_DATA_H_
