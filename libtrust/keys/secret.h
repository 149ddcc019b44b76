// SecretBytes is memory for keys and passphrases: its own pages, left out of core dumps
// (MADV_DONTDUMP) and wiped before they go back to the kernel.
//
//   SecretBytes passphrase = SecretBytes::Copy(text);
//
// Ownership: one owner, movable, never copied by accident (use Clone). Threads: [single]. Limits:
// what fits in memory; if pages run out the value is empty (ok() tells).
#ifndef COAMING_LIBTRUST_KEYS_SECRET_H_
#define COAMING_LIBTRUST_KEYS_SECRET_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace coaming::trust {

class SecretBytes {
 public:
  SecretBytes() = default;
  // `size` zero bytes.
  explicit SecretBytes(size_t size);
  static SecretBytes Copy(std::string_view bytes);

  SecretBytes(SecretBytes&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        mapped_(std::exchange(other.mapped_, 0)) {}
  SecretBytes& operator=(SecretBytes&& other) noexcept;
  SecretBytes(const SecretBytes&) = delete;
  SecretBytes& operator=(const SecretBytes&) = delete;
  ~SecretBytes() { Clear(); }

  SecretBytes Clone() const { return Copy(view()); }
  // Clear wipes and frees; the value is empty afterwards.
  void Clear() noexcept;
  // Truncate keeps the first `size` bytes and wipes the rest.
  void Truncate(size_t size) noexcept;

  char* data() { return data_; }
  const char* data() const { return data_; }
  uint8_t* bytes() { return reinterpret_cast<uint8_t*>(data_); }
  const uint8_t* bytes() const { return reinterpret_cast<const uint8_t*>(data_); }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  // False if memory for a size that is not 0 could not be had.
  bool ok(size_t wanted) const { return size_ == wanted; }
  std::string_view view() const { return {data_, size_}; }

 private:
  char* data_ = nullptr;
  size_t size_ = 0;
  size_t mapped_ = 0;
};

// Wipe overwrites memory in a way that no compiler drops.
void Wipe(void* data, size_t size) noexcept;
// StackWipe, declared first in a function that works on a secret, wipes what its calls left on the
// stack beneath and in vector registers: BoringSSL cleans its heap, not its frames.
class StackWipe {
 public:
  StackWipe() = default;
  ~StackWipe();
  StackWipe(const StackWipe&) = delete;
  StackWipe& operator=(const StackWipe&) = delete;
};
// WipeString wipes and empties a string that held a secret for a moment.
void WipeString(std::string* text) noexcept;

}  // namespace coaming::trust

#endif  // COAMING_LIBTRUST_KEYS_SECRET_H_
