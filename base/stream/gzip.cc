// gzip (RFC 1952): ISA-L inflates, about twice as fast as zlib; zlib and ISA-L deflate.
#include <zlib.h>

#include <isa-l/igzip_lib.h>
#include <algorithm>
#include <cstring>
#include <limits>

#include "base/core/error.h"
#include "base/stream/formats.h"

namespace coaming::base::internal {
namespace {

// HeaderParser takes a member's header byte by byte. ISA-L's own forgets what it saw when the header
// comes in pieces.
class HeaderParser {
 public:
  enum class Result { kMore, kDone, kBad };

  Result Take(unsigned char c) {
    if (part_ != Part::kCrc) crc_ = crc32(crc_, &c, 1);
    switch (part_) {
      case Part::kFixed: {
        static constexpr unsigned char kStart[] = {0x1f, 0x8b, 8};
        if (at_ < 3 && c != kStart[at_]) return Result::kBad;
        if (at_ == 3) flags_ = c;
        if (++at_ < 10) return Result::kMore;
        if ((flags_ & 0xe0) != 0) return Result::kBad;  // reserved: the rest cannot be known
        return After(Part::kFixed);
      }
      case Part::kExtraSize:
        size_ |= static_cast<unsigned>(c) << (8 * at_++);
        if (at_ < 2) return Result::kMore;
        return size_ == 0 ? After(Part::kExtra) : Enter(Part::kExtra);
      case Part::kExtra: return --size_ == 0 ? After(Part::kExtra) : Result::kMore;
      case Part::kName:
      case Part::kComment: return c == 0 ? After(part_) : Result::kMore;
      case Part::kCrc:
        if (c != ((crc_ >> (8 * at_++)) & 0xff)) return Result::kBad;
        return at_ < 2 ? Result::kMore : Result::kDone;
    }
    return Result::kBad;
  }

 private:
  enum class Part { kFixed, kExtraSize, kExtra, kName, kComment, kCrc };

  Result Enter(Part part) {
    part_ = part;
    at_ = 0;
    return Result::kMore;
  }
  Result After(Part part) {
    if (part < Part::kExtraSize && (flags_ & 4) != 0) return Enter(Part::kExtraSize);
    if (part < Part::kName && (flags_ & 8) != 0) return Enter(Part::kName);
    if (part < Part::kComment && (flags_ & 16) != 0) return Enter(Part::kComment);
    if ((flags_ & 2) != 0) return Enter(Part::kCrc);
    return Result::kDone;
  }

  Part part_ = Part::kFixed;
  unsigned at_ = 0, size_ = 0, flags_ = 0;
  uLong crc_ = 0;
};

class GzipDecoder final : public Decoder {
 public:
  GzipDecoder() : state_(new inflate_state) {
    isal_inflate_init(state_.get());
    state_->crc_flag = ISAL_GZIP_NO_HDR_VER;
  }

  absl::StatusOr<Result> Decode(std::span<const char>* in, std::span<char>* out) override {
    while (in_header_ && !in->empty()) {
      const HeaderParser::Result result = header_.Take(static_cast<unsigned char>(in->front()));
      if (result == HeaderParser::Result::kBad) {
        return Fail("stream.corrupt") << "gzip stream is damaged: its header is wrong";
      }
      *in = in->subspan(1);
      in_header_ = result == HeaderParser::Result::kMore;
    }
    if (in_header_) return Result::kMore;
    // ISA-L counts in 32 bits.
    const size_t in_size = std::min<size_t>(in->size(), 1 << 30);
    const size_t out_size = std::min<size_t>(out->size(), 1 << 30);
    state_->next_in = reinterpret_cast<uint8_t*>(const_cast<char*>(in->data()));
    state_->avail_in = static_cast<uint32_t>(in_size);
    state_->next_out = reinterpret_cast<uint8_t*>(out->data());
    state_->avail_out = static_cast<uint32_t>(out_size);
    const int result = isal_inflate(state_.get());
    if (result == ISAL_INCORRECT_CHECKSUM) {
      return Fail("stream.corrupt") << "gzip stream is damaged: its checksum or length is wrong";
    }
    // After an error ISA-L may give back bytes of an earlier call, more than there are in this one.
    if (result < 0 || state_->avail_in > in_size) {
      return Fail("stream.corrupt") << "gzip stream is damaged";
    }
    *in = in->subspan(in_size - state_->avail_in);
    *out = out->subspan(out_size - state_->avail_out);
    return state_->block_state == ISAL_BLOCK_FINISH ? Result::kMemberEnd : Result::kMore;
  }

  absl::Status Restart() override {
    isal_inflate_reset(state_.get());
    state_->crc_flag = ISAL_GZIP_NO_HDR_VER;
    header_ = HeaderParser();
    in_header_ = true;
    return absl::OkStatus();
  }

  bool StartsMember(std::string_view bytes) const override {
    return bytes.substr(0, 2) == "\x1f\x8b";
  }

 private:
  HeaderParser header_;
  bool in_header_ = true;
  std::unique_ptr<inflate_state> state_;
};

absl::Status NoMemory() { return Fail("core.no_memory") << "no memory for the gzip encoder"; }

class ZlibWriter final : public Writer {
 public:
  explicit ZlibWriter(Writer* sink) : sink_(sink), block_(new char[kBlockBytes]) {}
  ~ZlibWriter() override {
    if (ready_) deflateEnd(&z_);
  }

  bool Start(int level) {
    ready_ = deflateInit2(&z_, level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK;
    head_.os = 255;  // unknown: the header names neither host nor time
    return ready_ && deflateSetHeader(&z_, &head_) == Z_OK;
  }

  absl::Status Write(std::string_view bytes) override {
    while (!bytes.empty()) {
      const size_t n = std::min<size_t>(bytes.size(), 1 << 30);
      z_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
      z_.avail_in = static_cast<uInt>(n);
      if (absl::Status status = Run(Z_NO_FLUSH); !status.ok()) return status;
      bytes.remove_prefix(n);
    }
    return absl::OkStatus();
  }

  absl::Status Close() override {
    z_.next_in = nullptr;
    z_.avail_in = 0;
    return Run(Z_FINISH);
  }

 private:
  absl::Status Run(int flush) {
    for (;;) {
      z_.next_out = reinterpret_cast<Bytef*>(block_.get());
      z_.avail_out = kBlockBytes;
      const int result = deflate(&z_, flush);
      const size_t made = kBlockBytes - z_.avail_out;
      if (made != 0) {
        absl::Status status = sink_->Write(std::string_view(block_.get(), made));
        if (!status.ok()) return status;
      }
      if (result == Z_STREAM_END) return absl::OkStatus();
      if (result != Z_OK && result != Z_BUF_ERROR) {
        return Fail("core.internal") << "the gzip encoder failed with " << result;
      }
      if (flush == Z_NO_FLUSH && z_.avail_in == 0 && z_.avail_out != 0) return absl::OkStatus();
    }
  }

  Writer* sink_;
  std::unique_ptr<char[]> block_;
  z_stream z_ = {};
  gz_header head_ = {};
  bool ready_ = false;
};

class IsalWriter final : public Writer {
 public:
  IsalWriter(Writer* sink, int level)
      : sink_(sink), block_(new char[kBlockBytes]), z_(new isal_zstream) {
    isal_deflate_init(z_.get());
    const uint32_t sizes[] = {ISAL_DEF_LVL0_DEFAULT, ISAL_DEF_LVL1_DEFAULT, ISAL_DEF_LVL2_DEFAULT,
                              ISAL_DEF_LVL3_DEFAULT};
    level_buffer_.reset(new uint8_t[sizes[level]]);
    z_->level = static_cast<uint32_t>(level);
    z_->level_buf = level_buffer_.get();
    z_->level_buf_size = sizes[level];
    z_->gzip_flag = IGZIP_GZIP;
  }

  absl::Status Write(std::string_view bytes) override {
    while (!bytes.empty()) {
      const size_t n = std::min<size_t>(bytes.size(), 1 << 30);
      z_->next_in = reinterpret_cast<uint8_t*>(const_cast<char*>(bytes.data()));
      z_->avail_in = static_cast<uint32_t>(n);
      if (absl::Status status = Run(); !status.ok()) return status;
      bytes.remove_prefix(n);
    }
    return absl::OkStatus();
  }

  absl::Status Close() override {
    z_->next_in = nullptr;
    z_->avail_in = 0;
    z_->end_of_stream = 1;
    return Run();
  }

 private:
  absl::Status Run() {
    do {
      z_->next_out = reinterpret_cast<uint8_t*>(block_.get());
      z_->avail_out = kBlockBytes;
      if (const int result = isal_deflate(z_.get()); result != COMP_OK) {
        return Fail("core.internal") << "the gzip encoder failed with " << result;
      }
      const size_t made = kBlockBytes - z_->avail_out;
      if (made != 0) {
        absl::Status status = sink_->Write(std::string_view(block_.get(), made));
        if (!status.ok()) return status;
      }
    } while (z_->avail_out == 0 || z_->avail_in != 0);
    return absl::OkStatus();
  }

  Writer* sink_;
  std::unique_ptr<char[]> block_;
  std::unique_ptr<isal_zstream> z_;
  std::unique_ptr<uint8_t[]> level_buffer_;
};

}  // namespace

NewReader NewGzipReader(std::unique_ptr<Reader> source, const DecompressOptions& options) {
  return NewFramedReader(std::move(source), std::make_unique<GzipDecoder>(), "gzip", options);
}

NewWriter NewGzipWriter(Writer* sink, const CompressOptions& options) {
  const int level = options.level < 0 ? 6 : options.level;
  if (level > 9) return Fail("core.invalid_argument") << "gzip level " << level << " is not 0 to 9";
  if (level >= 1 && level <= 3) return std::make_unique<IsalWriter>(sink, level);
  auto writer = std::make_unique<ZlibWriter>(sink);
  if (!writer->Start(level)) return NoMemory();
  return writer;
}

}  // namespace coaming::base::internal
