#include "libtrust/keys/secret.h"

#include <sys/mman.h>

#include <cstring>

#include "openssl/mem.h"

namespace coaming::trust {

SecretBytes::SecretBytes(size_t size) {
  if (size == 0) return;
  constexpr size_t kPage = 4096;
  size_t mapped = (size + kPage - 1) / kPage * kPage;
  if (mapped < size) return;
  void* p = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) return;
  (void)madvise(p, mapped, MADV_DONTDUMP);
  data_ = static_cast<char*>(p);
  size_ = size;
  mapped_ = mapped;
}

SecretBytes SecretBytes::Copy(std::string_view bytes) {
  SecretBytes out(bytes.size());
  if (!out.empty()) memcpy(out.data_, bytes.data(), bytes.size());
  return out;
}

SecretBytes& SecretBytes::operator=(SecretBytes&& other) noexcept {
  if (this != &other) {
    Clear();
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
    mapped_ = std::exchange(other.mapped_, 0);
  }
  return *this;
}

void SecretBytes::Clear() noexcept {
  if (data_ != nullptr) {
    Wipe(data_, mapped_);
    munmap(data_, mapped_);
  }
  data_ = nullptr;
  size_ = mapped_ = 0;
}

void SecretBytes::Truncate(size_t size) noexcept {
  if (size >= size_) return;
  Wipe(data_ + size, size_ - size);
  size_ = size;
}

void Wipe(void* data, size_t size) noexcept { OPENSSL_cleanse(data, size); }

// The frame of the function itself is what gets wiped: it lies where the callees' frames lay. Then
// zeros are copied as secrets were: memcpy leaves what it moved in vector registers, which a core file
// and the next lazily bound call write out.
[[gnu::noinline]] static void WipeFramesBeneath() noexcept {
  constexpr size_t kSize = 32 << 10;
  char frame[kSize];
  Wipe(frame, kSize);
  for (size_t size : {16, 32, 64, 128, 192, 256, 512}) {
    memmove(frame, frame + kSize / 2, size);
    asm volatile("" : : "r"(frame) : "memory");
  }
}

StackWipe::~StackWipe() { WipeFramesBeneath(); }

void WipeString(std::string* text) noexcept {
  text->resize(text->capacity());
  Wipe(text->data(), text->size());
  text->clear();
}

}  // namespace coaming::trust
