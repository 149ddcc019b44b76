// Files: OpenPGP over the host's files, for callers that have paths and not bytes.
//
// Threads: free functions. Limits: keyring_bytes, signature_bytes. Data files of any size are read
// once, in blocks. "-" is no special name.
#ifndef COAMING_LIBTRUST_CLIENT_FILES_H_
#define COAMING_LIBTRUST_CLIENT_FILES_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "base/core/op.h"
#include "libtrust/keystore/keystore.h"
#include "libtrust/openpgp/certificate.h"
#include "libtrust/openpgp/sign.h"
#include "libtrust/openpgp/verify.h"

namespace coaming::trust {

absl::StatusOr<openpgp::Keyring> ReadKeyring(std::string_view path, const base::Op& op);
// Errors: also those of SecretKey::FromBytes.
absl::StatusOr<openpgp::SecretKey> ReadSecretKey(std::string_view path, std::string_view passphrase,
                                                 const base::Op& op);
// VerifyFile judges the detached signature in one file over another. Emits "verify" progress.
absl::StatusOr<openpgp::Verdict> VerifyFile(std::string_view signature_path,
                                            std::string_view data_path,
                                            const openpgp::Keyring& keys,
                                            const openpgp::Policy& policy, const base::Op& op);
// VerifyFileFor is the same with the keys of a store that count for `image_name`.
absl::StatusOr<openpgp::Verdict> VerifyFileFor(std::string_view image_name,
                                               std::string_view signature_path,
                                               std::string_view data_path, KeyStore& store,
                                               const openpgp::Policy& policy, const base::Op& op);
absl::StatusOr<std::string> SignFile(const openpgp::SecretKey& key, std::string_view data_path,
                                     const openpgp::SignOptions& options, const base::Op& op);

}  // namespace coaming::trust

#endif  // COAMING_LIBTRUST_CLIENT_FILES_H_
