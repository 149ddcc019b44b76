// Armor: OpenPGP bytes as text, between -----BEGIN PGP x----- and -----END PGP x-----.
//
// RFC 9580 section 6.2 (RFC 4880 section 6.2). Text before and after a block is ignored. The CRC-24
// is not judged (RFC 9580 6.1): the signature protects. Labels are strict: a signature is only taken
// from a SIGNATURE block. Threads: functions without state. Limits: the output is smaller than the
// input. Hostile text gives sig.malformed.
#ifndef COAMING_LIBTRUST_OPENPGP_ARMOR_H_
#define COAMING_LIBTRUST_OPENPGP_ARMOR_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace coaming::trust::openpgp {

enum class ArmorKind : unsigned char { kSignature, kPublicKey, kPrivateKey, kMessage };
// ArmorLabel is "PGP SIGNATURE", "PGP PUBLIC KEY BLOCK", ...
std::string_view ArmorLabel(ArmorKind kind);

// LooksArmored is true if the bytes are text with an armor header line (and not a packet stream).
bool LooksArmored(std::string_view bytes);

// ArmorEncode writes one block with a CRC-24 and lines of 64 characters, ending in a newline.
std::string ArmorEncode(ArmorKind kind, std::string_view bytes);

struct ArmorBlock {
  ArmorKind kind;
  std::string bytes;
};
// ArmorDecode gives every block in order. Errors: sig.malformed (no block, an unknown label, a bad
// character, no end line).
absl::StatusOr<std::vector<ArmorBlock>> ArmorDecode(std::string_view text);
// Dearmor gives the bytes of the one block of `kind`; bytes that are not armored come back as they
// are. Errors: sig.malformed (also for two blocks of a signature).
absl::StatusOr<std::string> Dearmor(std::string_view bytes, ArmorKind kind);

}  // namespace coaming::trust::openpgp

#endif  // COAMING_LIBTRUST_OPENPGP_ARMOR_H_
