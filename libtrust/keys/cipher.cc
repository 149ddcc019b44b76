#include "libtrust/keys/cipher.h"

#include <cstring>

#include "libtrust/keys/internal.h"
#include "openssl/aes.h"
#include "openssl/des.h"
#include "openssl/mem.h"

namespace coaming::trust {

using internal::U8;

size_t CipherKeySize(uint8_t id) {
  switch (static_cast<CipherId>(id)) {
    case CipherId::kTripleDes: return 24;
    case CipherId::kAes128: return 16;
    case CipherId::kAes192: return 24;
    case CipherId::kAes256: return 32;
  }
  return 0;
}

size_t CipherBlockSize(uint8_t id) {
  return CipherKeySize(id) == 0 ? 0 : id == static_cast<uint8_t>(CipherId::kTripleDes) ? 8 : 16;
}

bool CfbCrypt(uint8_t id, std::string_view key, std::string_view iv, bool encrypt, uint8_t* data,
              size_t size) {
  size_t block = CipherBlockSize(id);
  if (block == 0 || key.size() != CipherKeySize(id) || iv.size() != block) return false;
  uint8_t feedback[16];
  memcpy(feedback, iv.data(), block);
  if (block == 16) {
    AES_KEY schedule;
    if (AES_set_encrypt_key(U8(key), key.size() * 8, &schedule) != 0) return false;
    int used = 0;
    AES_cfb128_encrypt(data, data, size, &schedule, feedback, &used,
                       encrypt ? AES_ENCRYPT : AES_DECRYPT);
    OPENSSL_cleanse(&schedule, sizeof(schedule));
  } else {
    DES_key_schedule k[3];
    for (int i = 0; i < 3; ++i) {
      DES_cblock part;
      memcpy(part.bytes, key.data() + 8 * i, 8);
      DES_set_key(&part, &k[i]);
      OPENSSL_cleanse(&part, sizeof(part));
    }
    for (size_t i = 0; i < size; ++i) {
      if (i % 8 == 0) {
        DES_cblock in, out;
        memcpy(in.bytes, feedback, 8);
        DES_ecb3_encrypt(&in, &out, &k[0], &k[1], &k[2], DES_ENCRYPT);
        memcpy(feedback, out.bytes, 8);
      }
      uint8_t before = data[i];
      data[i] ^= feedback[i % 8];
      feedback[i % 8] = encrypt ? data[i] : before;
    }
    OPENSSL_cleanse(k, sizeof(k));
  }
  OPENSSL_cleanse(feedback, sizeof(feedback));
  return true;
}

}  // namespace coaming::trust
