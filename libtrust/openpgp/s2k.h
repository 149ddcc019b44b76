// Private to libtrust/openpgp: protected secret key material (RFC 9580 sections 3.7 and 5.5.3).
#ifndef COAMING_LIBTRUST_OPENPGP_S2K_H_
#define COAMING_LIBTRUST_OPENPGP_S2K_H_

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libtrust/keys/secret.h"

namespace coaming::trust::openpgp::internal {

// OpenSecretPart decrypts what follows the public part of a version 4 secret key packet and gives the
// plain numbers. nullopt: the packet holds no secret (GnuPG's stubs). Errors: sig.passphrase,
// sig.unsupported, sig.key_invalid.
absl::StatusOr<std::optional<SecretBytes>> OpenSecretPart(std::string_view part,
                                                          std::string_view passphrase);
// AppendSecretPart writes it: plain with an empty passphrase, else AES-256 and iterated SHA-256.
absl::Status AppendSecretPart(std::string_view numbers, std::string_view passphrase,
                              std::string* out);

}  // namespace coaming::trust::openpgp::internal

#endif  // COAMING_LIBTRUST_OPENPGP_S2K_H_
