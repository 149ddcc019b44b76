// zstd (RFC 8878): several frames and skippable frames one after another, window bounded.
#include <zstd.h>
#include <zstd_errors.h>

#include "base/core/error.h"
#include "base/stream/formats.h"

namespace coaming::base::internal {
namespace {

class ZstdDecoder final : public Decoder {
 public:
  explicit ZstdDecoder(int64_t window) : context_(ZSTD_createDCtx()), window_(window) {
    int log = 10;
    while (log < 31 && (int64_t{2} << log) <= window) ++log;
    if (context_ != nullptr) ZSTD_DCtx_setParameter(context_, ZSTD_d_windowLogMax, log);
  }
  ~ZstdDecoder() override { ZSTD_freeDCtx(context_); }
  bool ok() const { return context_ != nullptr; }

  absl::StatusOr<Result> Decode(std::span<const char>* in, std::span<char>* out) override {
    ZSTD_inBuffer input = {in->data(), in->size(), 0};
    ZSTD_outBuffer output = {out->data(), out->size(), 0};
    const size_t result = ZSTD_decompressStream(context_, &output, &input);
    *in = in->subspan(input.pos);
    *out = out->subspan(output.pos);
    if (ZSTD_isError(result)) {
      switch (ZSTD_getErrorCode(result)) {
        case ZSTD_error_frameParameter_windowTooLarge:
          return FailLimit("window_bytes", window_)
                 << "zstd stream needs a window of more than " << window_ << " bytes";
        case ZSTD_error_memory_allocation:
          return Fail("core.no_memory") << "no memory for the zstd decoder";
        case ZSTD_error_dictionary_wrong:
          return Fail("stream.unsupported") << "zstd stream needs a dictionary";
        default:
          return Fail("stream.corrupt") << "zstd stream is damaged: " << ZSTD_getErrorName(result);
      }
    }
    return result == 0 ? Result::kMemberEnd : Result::kMore;
  }

  absl::Status Restart() override {
    ZSTD_DCtx_reset(context_, ZSTD_reset_session_only);
    return absl::OkStatus();
  }

  // zstd 1.5.4 takes the rest of a frame for a frame of its own if the header comes in pieces and the
  // rest fits the output. This is its longest header.
  size_t LookAhead() const override { return 18; }
  bool StartsMember(std::string_view bytes) const override {
    return DetectCompression(bytes) == Compression::kZstd;
  }

 private:
  ZSTD_DCtx* context_;
  int64_t window_;
};

class ZstdWriter final : public Writer {
 public:
  ZstdWriter(Writer* sink, int level)
      : sink_(sink), context_(ZSTD_createCCtx()), block_(new char[kBlockBytes]) {
    if (context_ == nullptr) return;
    ZSTD_CCtx_setParameter(context_, ZSTD_c_compressionLevel, level);
    ZSTD_CCtx_setParameter(context_, ZSTD_c_checksumFlag, 1);
  }
  ~ZstdWriter() override { ZSTD_freeCCtx(context_); }
  bool ok() const { return context_ != nullptr; }

  absl::Status Write(std::string_view bytes) override { return Run(bytes, ZSTD_e_continue); }
  absl::Status Close() override { return Run({}, ZSTD_e_end); }

 private:
  absl::Status Run(std::string_view bytes, ZSTD_EndDirective end) {
    ZSTD_inBuffer input = {bytes.data(), bytes.size(), 0};
    for (;;) {
      ZSTD_outBuffer output = {block_.get(), kBlockBytes, 0};
      const size_t left = ZSTD_compressStream2(context_, &output, &input, end);
      if (ZSTD_isError(left)) {
        return Fail("core.internal") << "the zstd encoder failed: " << ZSTD_getErrorName(left);
      }
      if (output.pos != 0) {
        absl::Status status = sink_->Write(std::string_view(block_.get(), output.pos));
        if (!status.ok()) return status;
      }
      if (end == ZSTD_e_end ? left == 0 : input.pos == input.size) return absl::OkStatus();
    }
  }

  Writer* sink_;
  ZSTD_CCtx* context_;
  std::unique_ptr<char[]> block_;
};

}  // namespace

NewReader NewZstdReader(std::unique_ptr<Reader> source, const DecompressOptions& options) {
  auto decoder = std::make_unique<ZstdDecoder>(WindowLimit(options));
  if (!decoder->ok()) return Fail("core.no_memory") << "no memory for the zstd decoder";
  return NewFramedReader(std::move(source), std::move(decoder), "zstd", options);
}

NewWriter NewZstdWriter(Writer* sink, const CompressOptions& options) {
  const int level = options.level < 0 ? 3 : options.level;
  if (level > ZSTD_maxCLevel()) {
    return Fail("core.invalid_argument")
           << "zstd level " << level << " is not 0 to " << ZSTD_maxCLevel();
  }
  auto writer = std::make_unique<ZstdWriter>(sink, level);
  if (!writer->ok()) return Fail("core.no_memory") << "no memory for the zstd encoder";
  return writer;
}

}  // namespace coaming::base::internal
