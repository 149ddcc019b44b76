// bzip2: streams one after another. Its memory is at most 4 MiB, whatever the input.
#include <bzlib.h>

#include <algorithm>

#include "base/core/error.h"
#include "base/stream/formats.h"

namespace coaming::base::internal {
namespace {

class Bzip2Decoder final : public Decoder {
 public:
  ~Bzip2Decoder() override { End(); }

  absl::Status Restart() override {
    End();
    stream_ = {};
    ready_ = BZ2_bzDecompressInit(&stream_, 0, 0) == BZ_OK;
    if (ready_) return absl::OkStatus();
    return Fail("core.no_memory") << "no memory for the bzip2 decoder";
  }

  absl::StatusOr<Result> Decode(std::span<const char>* in, std::span<char>* out) override {
    const size_t in_size = std::min<size_t>(in->size(), 1 << 30);
    const size_t out_size = std::min<size_t>(out->size(), 1 << 30);
    stream_.next_in = const_cast<char*>(in->data());
    stream_.avail_in = static_cast<unsigned>(in_size);
    stream_.next_out = out->data();
    stream_.avail_out = static_cast<unsigned>(out_size);
    const int result = BZ2_bzDecompress(&stream_);
    *in = in->subspan(in_size - stream_.avail_in);
    *out = out->subspan(out_size - stream_.avail_out);
    switch (result) {
      case BZ_OK: return Result::kMore;
      case BZ_STREAM_END: return Result::kMemberEnd;
      case BZ_MEM_ERROR: return Fail("core.no_memory") << "no memory for the bzip2 decoder";
      default: return Fail("stream.corrupt") << "bzip2 stream is damaged";
    }
  }

  bool StartsMember(std::string_view bytes) const override {
    return bytes.size() >= 4 && bytes.substr(0, 3) == "BZh" && bytes[3] >= '1' && bytes[3] <= '9';
  }

 private:
  void End() {
    if (ready_) BZ2_bzDecompressEnd(&stream_);
    ready_ = false;
  }
  bz_stream stream_ = {};
  bool ready_ = false;
};

class Bzip2Writer final : public Writer {
 public:
  explicit Bzip2Writer(Writer* sink) : sink_(sink), block_(new char[kBlockBytes]) {}
  ~Bzip2Writer() override {
    if (ready_) BZ2_bzCompressEnd(&stream_);
  }
  bool Start(int level) {
    ready_ = BZ2_bzCompressInit(&stream_, level, 0, 0) == BZ_OK;
    return ready_;
  }

  absl::Status Write(std::string_view bytes) override {
    while (!bytes.empty()) {
      const size_t n = std::min<size_t>(bytes.size(), 1 << 30);
      stream_.next_in = const_cast<char*>(bytes.data());
      stream_.avail_in = static_cast<unsigned>(n);
      while (stream_.avail_in != 0) {
        if (absl::Status status = Step(BZ_RUN, nullptr); !status.ok()) return status;
      }
      bytes.remove_prefix(n);
    }
    return absl::OkStatus();
  }

  absl::Status Close() override {
    bool ended = false;
    while (!ended) {
      if (absl::Status status = Step(BZ_FINISH, &ended); !status.ok()) return status;
    }
    return absl::OkStatus();
  }

 private:
  absl::Status Step(int action, bool* ended) {
    stream_.next_out = block_.get();
    stream_.avail_out = kBlockBytes;
    const int result = BZ2_bzCompress(&stream_, action);
    if (result < 0) return Fail("core.internal") << "the bzip2 encoder failed with " << result;
    if (ended != nullptr) *ended = result == BZ_STREAM_END;
    const size_t made = kBlockBytes - stream_.avail_out;
    return made == 0 ? absl::OkStatus() : sink_->Write(std::string_view(block_.get(), made));
  }

  Writer* sink_;
  std::unique_ptr<char[]> block_;
  bz_stream stream_ = {};
  bool ready_ = false;
};

}  // namespace

NewReader NewBzip2Reader(std::unique_ptr<Reader> source, const DecompressOptions& options) {
  auto decoder = std::make_unique<Bzip2Decoder>();
  if (absl::Status status = decoder->Restart(); !status.ok()) return status;
  return NewFramedReader(std::move(source), std::move(decoder), "bzip2", options);
}

NewWriter NewBzip2Writer(Writer* sink, const CompressOptions& options) {
  const int level = options.level < 0 ? 9 : options.level;
  if (level < 1 || level > 9) {
    return Fail("core.invalid_argument") << "bzip2 level " << level << " is not 1 to 9";
  }
  auto writer = std::make_unique<Bzip2Writer>(sink);
  if (!writer->Start(level)) return Fail("core.no_memory") << "no memory for the bzip2 encoder";
  return writer;
}

}  // namespace coaming::base::internal
