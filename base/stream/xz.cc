// xz: streams one after another, with padding of zeros between them; memory bounded by the window.
#include <lzma.h>

#include "base/core/error.h"
#include "base/stream/formats.h"

namespace coaming::base::internal {
namespace {

class XzDecoder final : public Decoder {
 public:
  explicit XzDecoder(int64_t window) : window_(window) {}
  ~XzDecoder() override { lzma_end(&stream_); }

  absl::Status Restart() override {
    // The decoder's own tables and buffers stand beside the window.
    const uint64_t memory = static_cast<uint64_t>(window_) + (1 << 20);
    const lzma_ret result = lzma_stream_decoder(&stream_, memory, LZMA_TELL_UNSUPPORTED_CHECK);
    if (result == LZMA_OK) return absl::OkStatus();
    return Fail("core.no_memory") << "no memory for the xz decoder";
  }

  absl::StatusOr<Result> Decode(std::span<const char>* in, std::span<char>* out) override {
    stream_.next_in = reinterpret_cast<const uint8_t*>(in->data());
    stream_.avail_in = in->size();
    stream_.next_out = reinterpret_cast<uint8_t*>(out->data());
    stream_.avail_out = out->size();
    const lzma_ret result = lzma_code(&stream_, LZMA_RUN);
    *in = in->subspan(in->size() - stream_.avail_in);
    *out = out->subspan(out->size() - stream_.avail_out);
    switch (result) {
      case LZMA_OK:
      case LZMA_BUF_ERROR:  // no progress: the frame decides what that means
        return Result::kMore;
      case LZMA_STREAM_END: return Result::kMemberEnd;
      case LZMA_MEMLIMIT_ERROR:
        return FailLimit("window_bytes", window_) << "xz stream needs " << lzma_memusage(&stream_)
                                                  << " bytes of memory, more than " << window_;
      case LZMA_MEM_ERROR: return Fail("core.no_memory") << "no memory for the xz decoder";
      case LZMA_UNSUPPORTED_CHECK:
      case LZMA_OPTIONS_ERROR:
        return Fail("stream.unsupported") << "xz stream uses a check or filter that is not known";
      default: return Fail("stream.corrupt") << "xz stream is damaged";
    }
  }

  bool StartsMember(std::string_view bytes) const override {
    return bytes.starts_with(
        "\xfd"
        "7zX");
  }
  bool PaddingBetween() const override { return true; }

 private:
  const int64_t window_;
  lzma_stream stream_ = LZMA_STREAM_INIT;
};

class XzWriter final : public Writer {
 public:
  explicit XzWriter(Writer* sink) : sink_(sink), block_(new char[kBlockBytes]) {}
  ~XzWriter() override { lzma_end(&stream_); }
  bool Start(uint32_t level) {
    return lzma_easy_encoder(&stream_, level, LZMA_CHECK_CRC64) == LZMA_OK;
  }

  absl::Status Write(std::string_view bytes) override { return Run(bytes, LZMA_RUN); }
  absl::Status Close() override { return Run({}, LZMA_FINISH); }

 private:
  absl::Status Run(std::string_view bytes, lzma_action action) {
    stream_.next_in = reinterpret_cast<const uint8_t*>(bytes.data());
    stream_.avail_in = bytes.size();
    for (;;) {
      stream_.next_out = reinterpret_cast<uint8_t*>(block_.get());
      stream_.avail_out = kBlockBytes;
      if (action == LZMA_RUN && stream_.avail_in == 0) return absl::OkStatus();
      const lzma_ret result = lzma_code(&stream_, action);
      if (result != LZMA_OK && result != LZMA_STREAM_END) {
        if (result == LZMA_MEM_ERROR) {
          return Fail("core.no_memory") << "no memory for the xz encoder";
        }
        return Fail("core.internal") << "the xz encoder failed with " << static_cast<int>(result);
      }
      const size_t made = kBlockBytes - stream_.avail_out;
      if (made != 0) {
        absl::Status status = sink_->Write(std::string_view(block_.get(), made));
        if (!status.ok()) return status;
      }
      if (result == LZMA_STREAM_END) return absl::OkStatus();
    }
  }

  Writer* sink_;
  std::unique_ptr<char[]> block_;
  lzma_stream stream_ = LZMA_STREAM_INIT;
};

}  // namespace

NewReader NewXzReader(std::unique_ptr<Reader> source, const DecompressOptions& options) {
  auto decoder = std::make_unique<XzDecoder>(WindowLimit(options));
  if (absl::Status status = decoder->Restart(); !status.ok()) return status;
  return NewFramedReader(std::move(source), std::move(decoder), "xz", options);
}

NewWriter NewXzWriter(Writer* sink, const CompressOptions& options) {
  const int level = options.level < 0 ? 6 : options.level;
  if (level > 9) return Fail("core.invalid_argument") << "xz level " << level << " is not 0 to 9";
  auto writer = std::make_unique<XzWriter>(sink);
  if (!writer->Start(static_cast<uint32_t>(level))) {
    return Fail("core.no_memory") << "no memory for the xz encoder";
  }
  return writer;
}

}  // namespace coaming::base::internal
