// Report: verdicts and keys as JSON text, for the C ABI, the tool and logs.
#ifndef COAMING_LIBTRUST_OPENPGP_REPORT_H_
#define COAMING_LIBTRUST_OPENPGP_REPORT_H_

#include <string>

#include "libtrust/openpgp/certificate.h"
#include "libtrust/openpgp/verify.h"

namespace coaming::trust::openpgp {

// VerdictToJson: {"schema":"coam.sig.verdict.v1","good":1,"required":1,"signatures":[{...}]}.
std::string VerdictToJson(const Verdict& verdict);
// KeyringToJson: {"schema":"coam.sig.keyring.v1","keys":[{"fingerprint":...}]}. User ids are made
// printable and are not verified.
std::string KeyringToJson(const Keyring& keys);

}  // namespace coaming::trust::openpgp

#endif  // COAMING_LIBTRUST_OPENPGP_REPORT_H_
