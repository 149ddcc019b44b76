// Any bytes as a tar: no crash, no read past the ends, the same entries by one block size as by another,
// regions inside their files; what was read can be written and read again.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/archive/tar.h"

namespace base = coaming::base;

namespace {

struct Item {
  base::TarEntry entry;
  std::string bytes;
};

bool ReadItems(std::string_view bytes, size_t block, std::vector<Item>* out) {
  base::Limits limits;
  limits.unpacked_bytes = 1 << 20;
  limits.unpacked_files = 1000;
  base::Op op;
  op.set_limits(&limits);
  auto tar = base::TarReader::Open(op, std::make_unique<base::MemoryReader>(bytes, block));
  if (!tar.ok()) return false;
  for (;;) {
    auto e = (*tar)->Next();
    if (!e.ok()) return false;
    if (*e == nullptr) return (*tar)->Drain().ok();
    Item item{**e, std::string(static_cast<size_t>((*e)->size), '\0')};
    for (;;) {
      auto b = (*tar)->ReadRegion();
      if (!b.ok()) return false;
      if (b->bytes.empty()) break;
      if (b->offset < 0 || b->offset + static_cast<int64_t>(b->bytes.size()) > item.entry.size) {
        std::abort();
      }
      item.bytes.replace(static_cast<size_t>(b->offset), b->bytes.size(), b->bytes);
    }
    out->push_back(std::move(item));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  std::vector<Item> whole, pieces;
  const bool a = ReadItems(bytes, SIZE_MAX, &whole), b = ReadItems(bytes, 509, &pieces);
  if (a != b || whole.size() != pieces.size()) std::abort();
  for (size_t i = 0; i < whole.size(); ++i) {
    if (!(whole[i].entry == pieces[i].entry) || whole[i].bytes != pieces[i].bytes) std::abort();
  }
  std::string out;
  base::StringWriter sink(&out);
  auto tar = base::TarWriter::New(&sink);
  if (!tar.ok()) return 0;
  for (const Item& i : whole) {
    if (!(*tar)->AddFile(i.entry, i.bytes).ok()) return 0;
  }
  return 0;
}
