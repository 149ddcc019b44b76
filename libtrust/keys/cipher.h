// Cfb is the cipher feedback mode that OpenPGP protects secret keys with (RFC 9580 section 5.5.3).
//
// Threads: functions without state.
#ifndef COAMING_LIBTRUST_KEYS_CIPHER_H_
#define COAMING_LIBTRUST_KEYS_CIPHER_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace coaming::trust {

enum class CipherId : uint8_t { kTripleDes = 2, kAes128 = 7, kAes192 = 8, kAes256 = 9 };

// CipherKeySize and CipherBlockSize are 0 for an identifier that is not supported.
size_t CipherKeySize(uint8_t id);
size_t CipherBlockSize(uint8_t id);

// CfbCrypt works in place. `key` and `iv` must have the cipher's sizes; false if not.
bool CfbCrypt(uint8_t id, std::string_view key, std::string_view iv, bool encrypt, uint8_t* data,
              size_t size);

}  // namespace coaming::trust

#endif  // COAMING_LIBTRUST_KEYS_CIPHER_H_
