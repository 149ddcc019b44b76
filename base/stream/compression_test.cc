#include "base/stream/compression.h"

#include <string>
#include <vector>

#include "base/core/error.h"
#include "base/stream/test_util.h"
#include "catch2/catch_test_macros.hpp"

namespace coaming::base {
namespace {

using testing::Sample;
using testing::Through;

constexpr Compression kAll[] = {Compression::kGzip, Compression::kZstd, Compression::kXz,
                                Compression::kBzip2};

absl::StatusOr<std::string> Unpack(std::string_view packed, size_t block = SIZE_MAX,
                                   size_t out_block = 65536, const Limits* limits = nullptr,
                                   Compression* found = nullptr) {
  absl::StatusOr<std::unique_ptr<Reader>> r =
      NewAutoDecompressor(std::make_unique<MemoryReader>(packed, block), {.limits = limits}, found);
  if (!r.ok()) return r.status();
  std::string out, piece(out_block, '\0');
  for (;;) {
    absl::StatusOr<size_t> n = (*r)->Read(std::span<char>(piece));
    if (!n.ok()) return n.status();
    if (*n == 0) return out;
    out.append(piece.data(), *n);
  }
}

std::string Pack(Compression id, std::string_view plain, int level = -1, size_t step = 10007) {
  std::string out;
  StringWriter sink(&out);
  absl::StatusOr<std::unique_ptr<Writer>> w = NewCompressor(id, &sink, {.level = level});
  REQUIRE(w.ok());
  for (size_t at = 0; at < plain.size(); at += step) {
    REQUIRE((*w)->Write(plain.substr(at, step)).ok());
  }
  REQUIRE((*w)->Close().ok());
  return out;
}

TEST_CASE("compression: each tool's output is read, whatever the blocks", "[base][stream]") {
  const std::string plain = Sample(300000);
  for (const char* tool : {"gzip -6", "gzip -1", "zstd -3", "zstd -19 --no-check", "xz -6",
                           "xz -1 --check=sha256", "bzip2 -9"}) {
    INFO(tool);
    const std::string packed = Through(tool, plain);
    if (packed == "?failed") SKIP(std::string(tool) + " is not here");
    Compression found = Compression::kNone;
    CHECK(*Unpack(packed, SIZE_MAX, 65536, nullptr, &found) == plain);
    CHECK(std::string_view(tool).substr(0, 2) == CompressionName(found).substr(0, 2));
    CHECK(*Unpack(packed, 1, 1000) == plain);
    CHECK(*Unpack(packed, 777, 1) == plain);
    CHECK(*Unpack(packed + packed) == plain + plain);          // members
    CHECK(*Unpack(packed + packed, 1) == plain + plain);       // at any boundary
    CHECK(*Unpack(packed + std::string(512, '\0')) == plain);  // padding
    CHECK(ReasonOf(Unpack(packed + "x").status()) == "stream.corrupt");
    CHECK(ReasonOf(Unpack(packed + "trailing garbage").status()) == "stream.corrupt");
    CHECK(ReasonOf(Unpack(packed + std::string(8, '\0') + "x").status()) == "stream.corrupt");
  }
}

TEST_CASE("compression: each tool reads what is written here, at each level", "[base][stream]") {
  struct Row {
    Compression id;
    int level;
    const char* tool;
  };
  for (const std::string& plain : {std::string(), std::string("x"), Sample(500000)}) {
    for (const Row& row :
         {Row{Compression::kGzip, -1, "gzip -dc"}, Row{Compression::kGzip, 0, "gzip -dc"},
          Row{Compression::kGzip, 1, "gzip -dc"}, Row{Compression::kGzip, 2, "gzip -dc"},
          Row{Compression::kGzip, 3, "gzip -dc"}, Row{Compression::kGzip, 9, "gzip -dc"},
          Row{Compression::kZstd, -1, "zstd -dc"}, Row{Compression::kZstd, 9, "zstd -dc"},
          Row{Compression::kXz, 1, "xz -dc"}, Row{Compression::kBzip2, -1, "bzip2 -dc"}}) {
      INFO(row.tool << " level " << row.level << " size " << plain.size());
      const std::string packed = Pack(row.id, plain, row.level);
      CHECK(packed == Pack(row.id, plain, row.level));
      CHECK(DetectCompression(packed) == row.id);
      CHECK(Through(row.tool, packed) == plain);
      CHECK(*Unpack(packed) == plain);
    }
  }
}

TEST_CASE("compression: gzip's header holds no time, name or host", "[base][stream]") {
  for (int level : {1, 6}) {
    const std::string head = Pack(Compression::kGzip, "x", level).substr(0, 10);
    CHECK(head.substr(0, 8) == std::string("\x1f\x8b\x08\0\0\0\0\0", 8));
    CHECK(head[9] == '\xff');
  }
  const std::string named =
      Through("d=$(mktemp -d); cat >$d/name; gzip -Nc $d/name; rm -r $d", "hello");
  REQUIRE(named != "?failed");
  for (size_t block : {1, 2, 3, 5, 1000}) CHECK(*Unpack(named, block) == "hello");
}

TEST_CASE("compression: gzip headers with every field, and wrong ones", "[base][stream]") {
  const std::string body = Pack(Compression::kGzip, "hello").substr(10);
  const std::string fixed("\x1f\x8b\x08\x00\x01\x02\x03\x04\x00\x03", 10);
  auto with = [&](char flags, const std::string& rest) {
    std::string head = fixed;
    head[3] = flags;
    return head + rest;
  };
  const std::string extra("\x03\x00xyz", 5), name("n\0", 2), comment("what it is\0", 11);
  // The last two bytes are the low half of the CRC-32 of all before, by Python's zlib.
  const std::string all = with(0x1e, extra + name + comment);
  const std::string crc = Through(
      "python3 -c 'import "
      "sys,zlib;sys.stdout.buffer.write((zlib.crc32(sys.stdin.buffer.read())&65535)"
      ".to_bytes(2,\"little\"))'",
      all);
  REQUIRE(crc.size() == 2);
  for (size_t block : {size_t{1}, size_t{7}, SIZE_MAX}) {
    CHECK(*Unpack(all + crc + body, block) == "hello");
    CHECK(*Unpack(all + crc + body + all + crc + body, block) == "hellohello");
    CHECK(*Unpack(with(0x10, comment) + body, block) == "hello");
    CHECK(*Unpack(with(0x04, std::string("\0\0", 2)) + body, block) == "hello");
    CHECK(ReasonOf(Unpack(all + "xx" + body, block).status()) == "stream.corrupt");
    CHECK(ReasonOf(Unpack(with(0x20, body), block).status()) == "stream.corrupt");
    std::string method = fixed + body;
    method[2] = 7;
    CHECK(ReasonOf(Unpack(method, block).status()) == "stream.corrupt");
    for (size_t cut = 8; cut < all.size() + 2; ++cut) {
      CHECK(ReasonOf(Unpack((all + crc).substr(0, cut), block).status()) == "stream.corrupt");
    }
  }
}

TEST_CASE("compression: a cut or damaged stream is refused at every place", "[base][stream]") {
  const std::string plain = Sample(3000);
  for (Compression id : kAll) {
    const std::string packed = Pack(id, plain);
    for (size_t cut = 8; cut < packed.size(); ++cut) {
      absl::StatusOr<std::string> got = Unpack(packed.substr(0, cut));
      INFO(CompressionName(id) << " cut at " << cut << " of " << packed.size());
      REQUIRE(ReasonOf(got.status()) == "stream.corrupt");
    }
    int refused = 0, tried = 0;
    for (size_t at = 10; at < packed.size(); at += 7) {
      std::string bad = packed;
      bad[at] = static_cast<char>(bad[at] ^ 0x55);
      absl::StatusOr<std::string> got = Unpack(bad);
      ++tried;
      if (!got.ok()) ++refused;
      if (got.ok()) CHECK(*got == plain);  // only bytes that say nothing may differ
    }
    CHECK(refused > tried * 9 / 10);
  }
  absl::StatusOr<std::unique_ptr<Reader>> r =
      NewDecompressor(Compression::kGzip, std::make_unique<MemoryReader>("not gzip at all"));
  REQUIRE(r.ok());
  char c;
  CHECK(ReasonOf((*r)->Read(std::span<char>(&c, 1)).status()) == "stream.corrupt");
  CHECK(ReasonOf((*r)->Read(std::span<char>(&c, 1)).status()) == "stream.corrupt");
  r = NewDecompressor(Compression::kXz, std::make_unique<MemoryReader>(""));
  CHECK(ReasonOf((*r)->Read(std::span<char>(&c, 1)).status()) == "stream.corrupt");
}

TEST_CASE("compression: a bomb stops at the ratio, a hungry window at the window",
          "[base][stream]") {
  const std::string zeros(64 << 20, '\0');
  Limits limits;
  limits.compression_ratio = 500;
  for (Compression id : {Compression::kGzip, Compression::kZstd}) {
    const std::string packed = Pack(id, zeros, 1, 1 << 20);
    absl::Status status = Unpack(packed, SIZE_MAX, 1 << 20, &limits).status();
    CHECK(GetError(status).Detail("limit.name") == "compression_ratio");
  }
  const std::string small = Pack(Compression::kGzip, zeros.substr(0, 8 << 20), 9);
  CHECK(Unpack(small, SIZE_MAX, 1 << 20, &limits).ok());  // a few megabytes of zeros are fine
  limits = Limits();
  limits.window_bytes = 1 << 20;
  const std::string wide = Through("zstd -q --long=25", Sample(5 << 20));
  if (wide != "?failed") {
    CHECK(GetError(Unpack(wide, SIZE_MAX, 65536, &limits).status()).Detail("limit.name") ==
          "window_bytes");
    CHECK(Unpack(wide).ok());
  }
  const std::string xz = Pack(Compression::kXz, Sample(1000), 6);
  CHECK(GetError(Unpack(xz, SIZE_MAX, 65536, &limits).status()).Detail("limit.name") ==
        "window_bytes");
}

TEST_CASE("compression: skippable zstd frames are skipped wherever they stand", "[base][stream]") {
  const std::string skip("\x5a\x2a\x4d\x18\x05\0\0\0hello", 13);
  const std::string frame = Pack(Compression::kZstd, "body");
  for (size_t block : {size_t{1}, SIZE_MAX}) {
    CHECK(*Unpack(skip + frame + skip, block) == "body");
    CHECK(*Unpack(frame + skip + skip + frame, block) == "bodybody");
  }
  CHECK(ReasonOf(Unpack(frame + skip.substr(0, 10)).status()) == "stream.corrupt");
}

TEST_CASE("compression: media types, names and magic bytes find their row", "[base][stream]") {
  CHECK(CompressionOfMediaType("application/vnd.oci.image.layer.v1.tar+gzip") ==
        Compression::kGzip);
  CHECK(CompressionOfMediaType("application/vnd.oci.image.layer.v1.tar+zstd") ==
        Compression::kZstd);
  CHECK(CompressionOfMediaType("application/vnd.docker.image.rootfs.diff.tar.gzip") ==
        Compression::kGzip);
  CHECK(CompressionOfMediaType("application/vnd.oci.image.layer.v1.tar") == Compression::kNone);
  CHECK_FALSE(CompressionOfMediaType("application/vnd.oci.image.layer.v1.tar+lz4"));
  CHECK_FALSE(CompressionOfMediaType("application/vnd.oci.image.config.v1+json"));
  CHECK_FALSE(CompressionOfMediaType("application/x-avatar"));
  CHECK(FindCompression("bzip2") == Compression::kBzip2);
  CHECK(FindCompression("none") == Compression::kNone);
  CHECK_FALSE(FindCompression("lz4"));
  CHECK(DetectCompression("ustar") == Compression::kNone);
  CHECK(DetectCompression("") == Compression::kNone);
  CHECK(Compressions().size() == 4);
  CHECK(*Unpack("plain text") == "plain text");
  CHECK(*Unpack("") == "");
  for (Compression id : kAll) {
    CHECK(ReasonOf(NewCompressor(id, nullptr, {.level = 99}).status()) == "core.invalid_argument");
  }
}

}  // namespace
}  // namespace coaming::base
