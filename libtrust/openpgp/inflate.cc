#include "libtrust/openpgp/inflate.h"

#include <memory>

#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/stream/compression.h"
#include "base/stream/stream.h"

namespace coaming::trust::openpgp::internal {

using base::Fail;

namespace {

constexpr int kMaxBits = 15;

// Huffman is a canonical code: how many codes of each length, and the symbols in order.
struct Huffman {
  uint16_t count[kMaxBits + 1] = {};
  uint16_t symbol[288] = {};

  // Build answers how many codes are left over; negative if there are too many.
  int Build(const uint8_t* length, int n) {
    for (uint16_t& c : count) c = 0;
    for (int i = 0; i < n; ++i) ++count[length[i]];
    if (count[0] == n) return 0;
    int left = 1;
    for (int i = 1; i <= kMaxBits; ++i) {
      left = left * 2 - count[i];
      if (left < 0) return left;
    }
    uint16_t offset[kMaxBits + 1];
    offset[1] = 0;
    for (int i = 1; i < kMaxBits; ++i) offset[i + 1] = offset[i] + count[i];
    for (int i = 0; i < n; ++i)
      if (length[i] != 0) symbol[offset[length[i]]++] = static_cast<uint16_t>(i);
    return left;
  }
};

class Inflater {
 public:
  Inflater(std::string_view in, size_t max, std::string* out) : in_(in), max_(max), out_(*out) {}

  bool Run() {
    int last;
    do {
      last = Bits(1);
      int type = Bits(2);
      bool ok = type == 0 ? Stored() : type == 1 ? Fixed() : type == 2 ? Dynamic() : false;
      if (!ok || bad_) return false;
    } while (last == 0);
    return true;
  }
  size_t used() const { return at_; }
  bool over() const { return over_; }

 private:
  int Bits(int need) {
    while (have_ < need) {
      if (at_ >= in_.size()) {
        bad_ = true;
        return 0;
      }
      buffer_ |= static_cast<uint32_t>(static_cast<uint8_t>(in_[at_++])) << have_;
      have_ += 8;
    }
    int value = static_cast<int>(buffer_ & ((1u << need) - 1));
    buffer_ >>= need;
    have_ -= need;
    return value;
  }

  int Decode(const Huffman& h) {
    int code = 0, first = 0, index = 0;
    for (int length = 1; length <= kMaxBits; ++length) {
      code |= Bits(1);
      if (bad_) return -1;
      int count = h.count[length];
      if (code - count < first) return h.symbol[index + (code - first)];
      index += count;
      first = (first + count) << 1;
      code <<= 1;
    }
    return -1;
  }

  bool Room(size_t n) {
    if (out_.size() + n > max_) over_ = true;
    return !over_;
  }

  bool Stored() {
    buffer_ = 0;
    have_ = 0;
    if (in_.size() - at_ < 4) return false;
    auto byte = [this](size_t i) { return static_cast<uint8_t>(in_[at_ + i]); };
    size_t size = byte(0) | byte(1) << 8;
    size_t inverse = byte(2) | byte(3) << 8;
    at_ += 4;
    if (size != (~inverse & 0xffff) || in_.size() - at_ < size || !Room(size)) return false;
    out_.append(in_.substr(at_, size));
    at_ += size;
    return true;
  }

  bool Codes(const Huffman& lengths, const Huffman& distances) {
    static constexpr uint16_t kBase[29] = {3,  4,  5,  6,   7,   8,   9,   10,  11, 13,
                                           15, 17, 19, 23,  27,  31,  35,  43,  51, 59,
                                           67, 83, 99, 115, 131, 163, 195, 227, 258};
    static constexpr uint8_t kExtra[29] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,
                                           2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
    static constexpr uint16_t kDistance[30] = {
        1,   2,   3,   4,   5,   7,    9,    13,   17,   25,   33,   49,   65,    97,    129,
        193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577};
    static constexpr uint8_t kDistanceExtra[30] = {0, 0, 0,  0,  1,  1,  2,  2,  3,  3,
                                                   4, 4, 5,  5,  6,  6,  7,  7,  8,  8,
                                                   9, 9, 10, 10, 11, 11, 12, 12, 13, 13};
    for (;;) {
      int symbol = Decode(lengths);
      if (symbol < 0) return false;
      if (symbol == 256) return true;
      if (symbol < 256) {
        if (!Room(1)) return false;
        out_.push_back(static_cast<char>(symbol));
        continue;
      }
      symbol -= 257;
      if (symbol >= 29) return false;
      size_t length = kBase[symbol] + Bits(kExtra[symbol]);
      int which = Decode(distances);
      if (which < 0 || which >= 30) return false;
      size_t distance = kDistance[which] + Bits(kDistanceExtra[which]);
      if (bad_ || distance > out_.size() || !Room(length)) return false;
      for (size_t from = out_.size() - distance; length > 0; --length) out_.push_back(out_[from++]);
    }
  }

  bool Fixed() {
    uint8_t length[288];
    for (int i = 0; i < 288; ++i) length[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
    Huffman lengths, distances;
    lengths.Build(length, 288);
    for (int i = 0; i < 30; ++i) length[i] = 5;
    distances.Build(length, 30);
    return Codes(lengths, distances);
  }

  bool Dynamic() {
    static constexpr uint8_t kOrder[19] = {16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                           11, 4,  12, 3, 13, 2, 14, 1, 15};
    int nlen = Bits(5) + 257, ndist = Bits(5) + 1, ncode = Bits(4) + 4;
    if (bad_ || nlen > 286 || ndist > 30) return false;
    uint8_t length[320] = {};
    for (int i = 0; i < ncode; ++i) length[kOrder[i]] = static_cast<uint8_t>(Bits(3));
    Huffman code;
    if (bad_ || code.Build(length, 19) != 0) return false;
    uint8_t all[320] = {};
    for (int i = 0; i < nlen + ndist;) {
      int symbol = Decode(code);
      if (symbol < 0) return false;
      if (symbol < 16) {
        all[i++] = static_cast<uint8_t>(symbol);
        continue;
      }
      uint8_t value = 0;
      int repeat;
      if (symbol == 16) {
        if (i == 0) return false;
        value = all[i - 1];
        repeat = 3 + Bits(2);
      } else {
        repeat = symbol == 17 ? 3 + Bits(3) : 11 + Bits(7);
      }
      if (bad_ || i + repeat > nlen + ndist) return false;
      while (repeat-- > 0) all[i++] = value;
    }
    if (all[256] == 0) return false;
    Huffman lengths, distances;
    int left = lengths.Build(all, nlen);
    if (left < 0 || (left > 0 && nlen - lengths.count[0] != 1)) return false;
    left = distances.Build(all + nlen, ndist);
    if (left < 0 || (left > 0 && ndist - distances.count[0] != 1)) return false;
    return Codes(lengths, distances);
  }

  std::string_view in_;
  size_t max_;
  std::string& out_;
  size_t at_ = 0;
  uint32_t buffer_ = 0;
  int have_ = 0;
  bool bad_ = false;
  bool over_ = false;
};

uint32_t Adler32(std::string_view bytes) {
  uint32_t a = 1, b = 0;
  for (char c : bytes) {
    a = (a + static_cast<uint8_t>(c)) % 65521;
    b = (b + a) % 65521;
  }
  return b << 16 | a;
}

absl::Status Damaged() {
  return Fail("sig.malformed") << "OpenPGP message: damaged compressed data";
}

}  // namespace

bool InflateRaw(std::string_view data, size_t max, std::string* out, size_t* used, bool* over) {
  Inflater inflater(data, max, out);
  bool ok = inflater.Run();
  *used = inflater.used();
  *over = inflater.over();
  return ok;
}

absl::StatusOr<std::string> Inflate(std::string_view body, int64_t max, const base::Op& op) {
  if (body.empty()) return Damaged();
  uint8_t algorithm = static_cast<uint8_t>(body[0]);
  body.remove_prefix(1);
  // Signatures and framing lie beside the content.
  int64_t bound = max + (1 << 20);
  std::string out;
  switch (algorithm) {
    case 0: return std::string(body);
    case 1:
    case 2: {
      if (algorithm == 2) {
        if (body.size() < 6 || (static_cast<uint8_t>(body[0]) & 0x0f) != 8 ||
            (static_cast<uint8_t>(body[0]) * 256 + static_cast<uint8_t>(body[1])) % 31 != 0 ||
            (static_cast<uint8_t>(body[1]) & 0x20) != 0)
          return Damaged();
        body.remove_prefix(2);
      }
      size_t used = 0;
      bool over = false;
      if (!InflateRaw(body, static_cast<size_t>(bound), &out, &used, &over)) {
        if (over) return base::FailLimit("message_bytes", max) << "OpenPGP message";
        return Damaged();
      }
      if (algorithm == 2) {
        body.remove_prefix(used);
        uint32_t sum = 0;
        if (body.size() < 4) return Damaged();
        for (int i = 0; i < 4; ++i) sum = sum << 8 | static_cast<uint8_t>(body[i]);
        if (sum != Adler32(out)) return Damaged();
      }
      return out;
    }
    case 3: {
      COAM_ASSIGN_OR_RETURN(auto reader,
                            base::NewDecompressor(base::Compression::kBzip2,
                                                  std::make_unique<base::MemoryReader>(body),
                                                  {.limits = &op.limits()}));
      auto bytes = base::ReadAll(*reader, bound, "message_bytes");
      if (!bytes.ok() && !base::HasReason(bytes.status(), "core.limit")) return Damaged();
      return bytes;
    }
    default: return Fail("sig.unsupported") << "OpenPGP message: compression " << int{algorithm};
  }
}

}  // namespace coaming::trust::openpgp::internal
