#include "libtrust/openpgp/s2k.h"

#include <algorithm>
#include <cstring>

#include "base/core/error.h"
#include "base/digest/hasher.h"
#include "libtrust/keys/cipher.h"
#include "libtrust/keys/keys.h"
#include "libtrust/openpgp/packet.h"

namespace coaming::trust::openpgp::internal {

using base::DigestAlgorithm;
using base::Fail;

namespace {

constexpr uint8_t kWriteCipher = 9;   // AES-256
constexpr uint8_t kWriteCount = 255;  // 65,011,712 bytes, as gpg
constexpr uint8_t kCheckedBySha1 = 254;

uint64_t DecodeCount(uint8_t c) { return uint64_t{16u + (c & 15u)} << ((c >> 4) + 6); }

// Derive is S2K: `count` bytes of salt and passphrase, hashed once for each digest's worth of key, each
// time behind one more zero byte.
SecretBytes Derive(DigestAlgorithm hash, std::string_view salt, std::string_view passphrase,
                   uint64_t count, size_t size) {
  SecretBytes once(salt.size() + passphrase.size());
  SecretBytes out(size);
  if (out.empty() || !once.ok(salt.size() + passphrase.size())) return SecretBytes();
  if (!salt.empty()) memcpy(once.data(), salt.data(), salt.size());
  if (!passphrase.empty()) memcpy(once.data() + salt.size(), passphrase.data(), passphrase.size());
  // A longer stretch of repeats keeps the hash's loop busy.
  size_t repeats = once.empty() ? 0 : std::max<size_t>(1, 65536 / once.size());
  SecretBytes many(once.size() * repeats);
  if (!many.ok(once.size() * repeats)) return SecretBytes();
  for (size_t i = 0; i < repeats; ++i)
    memcpy(many.data() + i * once.size(), once.data(), once.size());
  count = std::max<uint64_t>(count, once.size());
  size_t done = 0;
  for (size_t round = 0; done < size; ++round) {
    base::Hasher hasher(hash);
    hasher.Update(std::string(round, '\0'));
    for (uint64_t left = once.empty() ? 0 : count; left > 0;) {
      size_t n = static_cast<size_t>(std::min<uint64_t>(left, many.size()));
      hasher.Update(many.data(), n);
      left -= n;
    }
    std::string digest = hasher.FinishBytes();
    size_t n = std::min(digest.size(), size - done);
    memcpy(out.data() + done, digest.data(), n);
    done += n;
    WipeString(&digest);
  }
  return out;
}

uint16_t Sum(std::string_view bytes) {
  uint16_t sum = 0;
  for (char c : bytes) sum = static_cast<uint16_t>(sum + static_cast<uint8_t>(c));
  return sum;
}

std::string Sha1(std::string_view bytes) {
  base::Hasher hasher(DigestAlgorithm::kSha1);
  hasher.Update(bytes);
  return hasher.FinishBytes();
}

absl::Status Damaged() { return Fail("sig.key_invalid") << "OpenPGP secret key is damaged"; }

}  // namespace

absl::StatusOr<std::optional<SecretBytes>> OpenSecretPart(std::string_view part,
                                                          std::string_view passphrase) {
  Bytes in(part);
  uint8_t usage = in.U8();
  if (!in.ok()) return Damaged();
  if (usage == 0) {
    if (in.rest().size() < 2) return Damaged();
    std::string_view numbers = in.rest().substr(0, in.rest().size() - 2);
    Bytes tail(in.rest().substr(numbers.size()));
    if (tail.U16() != Sum(numbers)) return Damaged();
    return std::optional<SecretBytes>(SecretBytes::Copy(numbers));
  }
  if (usage != 254 && usage != 255)
    return Fail("sig.unsupported") << "OpenPGP secret key: protection " << int{usage};
  uint8_t cipher = in.U8(), mode = in.U8(), hash = in.U8();
  if (mode == 101) {
    // GnuPG's extension: "GNU" and 1 for no secret here, 2 for a card.
    std::string_view gnu = in.Take(3);
    if (gnu == "GNU") return std::optional<SecretBytes>();
    return Fail("sig.unsupported") << "OpenPGP secret key: protection by S2K 101";
  }
  std::string_view salt;
  uint64_t count = 0;
  if (mode == 1 || mode == 3) salt = in.Take(8);
  if (mode == 3) count = DecodeCount(in.U8());
  if (mode != 0 && mode != 1 && mode != 3)
    return Fail("sig.unsupported") << "OpenPGP secret key: protection by S2K " << int{mode};
  DigestAlgorithm algorithm = HashAlgorithm(hash);
  if (algorithm == DigestAlgorithm::kUnknown)
    return Fail("sig.unsupported") << "OpenPGP secret key: protection with " << HashName(hash);
  if (CipherKeySize(cipher) == 0)
    return Fail("sig.unsupported") << "OpenPGP secret key: protection by cipher " << int{cipher};
  std::string_view iv = in.Take(CipherBlockSize(cipher));
  size_t check = usage == kCheckedBySha1 ? 20 : 2;
  if (!in.ok() || in.rest().size() < check) return Damaged();
  if (passphrase.empty())
    return Fail("sig.passphrase") << "the secret key is protected and no passphrase was given";
  SecretBytes key = Derive(algorithm, salt, passphrase, count, CipherKeySize(cipher));
  SecretBytes plain = SecretBytes::Copy(in.rest());
  if (key.empty() || plain.empty()) return Fail("core.no_memory") << "open a secret key";
  if (!CfbCrypt(cipher, key.view(), iv, false, plain.bytes(), plain.size())) return Damaged();
  std::string_view numbers = plain.view().substr(0, plain.size() - check);
  std::string_view sum = plain.view().substr(numbers.size());
  bool good = usage == kCheckedBySha1 ? EqualConstantTime(sum, Sha1(numbers))
                                      : Bytes(sum).U16() == Sum(numbers);
  if (!good) return Fail("sig.passphrase") << "open the secret key: wrong passphrase";
  plain.Truncate(numbers.size());
  return std::optional<SecretBytes>(std::move(plain));
}

absl::Status AppendSecretPart(std::string_view numbers, std::string_view passphrase,
                              std::string* out) {
  if (passphrase.empty()) {
    out->push_back(0);
    out->append(numbers);
    AppendU16(Sum(numbers), out);
    return absl::OkStatus();
  }
  std::string salt = RandomBytes(8), iv = RandomBytes(16);
  SecretBytes key = Derive(DigestAlgorithm::kSha256, salt, passphrase, DecodeCount(kWriteCount),
                           CipherKeySize(kWriteCipher));
  SecretBytes plain(numbers.size() + 20);
  if (key.empty() || plain.empty()) return Fail("core.no_memory") << "protect a secret key";
  memcpy(plain.data(), numbers.data(), numbers.size());
  std::string check = Sha1(numbers);
  memcpy(plain.data() + numbers.size(), check.data(), check.size());
  CfbCrypt(kWriteCipher, key.view(), iv, true, plain.bytes(), plain.size());
  out->push_back(static_cast<char>(kCheckedBySha1));
  out->push_back(kWriteCipher);
  out->push_back(3);
  out->push_back(kSha256);
  out->append(salt);
  out->push_back(static_cast<char>(kWriteCount));
  out->append(iv);
  out->append(plain.view());
  return absl::OkStatus();
}

}  // namespace coaming::trust::openpgp::internal
