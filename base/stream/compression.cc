#include "base/stream/compression.h"

#include <algorithm>
#include <cstring>

#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/stream/formats.h"

namespace coaming::base {
namespace {

constexpr CompressionInfo kTable[] = {
    {Compression::kGzip, "gzip", "gzip", ".gz", "\x1f\x8b", "stream.gzip", internal::NewGzipReader,
     internal::NewGzipWriter},
    {Compression::kZstd, "zstd", "zstd", ".zst", "\x28\xb5\x2f\xfd", "stream.zstd",
     internal::NewZstdReader, internal::NewZstdWriter},
    {Compression::kXz, "xz", "xz", ".xz",
     std::string_view("\xfd"
                      "7zXZ\0",
                      6),
     "stream.xz", internal::NewXzReader, internal::NewXzWriter},
    {Compression::kBzip2, "bzip2", "bzip2", ".bz2", "BZh", "stream.bzip2", internal::NewBzip2Reader,
     internal::NewBzip2Writer},
};

const CompressionInfo* Row(Compression id) {
  for (const CompressionInfo& row : kTable) {
    if (row.id == id) return &row;
  }
  return nullptr;
}

// PrefixedReader gives some bytes that were read before, then its source.
class PrefixedReader final : public Reader {
 public:
  PrefixedReader(std::string prefix, std::unique_ptr<Reader> source)
      : prefix_(std::move(prefix)), source_(std::move(source)) {}
  absl::StatusOr<size_t> Read(std::span<char> out) override {
    if (taken_ == prefix_.size()) return source_->Read(out);
    const size_t n = std::min(out.size(), prefix_.size() - taken_);
    std::memcpy(out.data(), prefix_.data() + taken_, n);
    taken_ += n;
    return n;
  }
  absl::StatusOr<std::string_view> NextBlock(std::span<char> scratch) override {
    if (taken_ == prefix_.size()) return source_->NextBlock(scratch);
    std::string_view rest = std::string_view(prefix_).substr(taken_);
    taken_ = prefix_.size();
    return rest;
  }

 private:
  std::string prefix_;
  size_t taken_ = 0;
  std::unique_ptr<Reader> source_;
};

// A skippable zstd frame may come first (zstd:chunked and others put tables there).
bool IsSkippable(std::string_view bytes) {
  return bytes.size() >= 4 && (static_cast<unsigned char>(bytes[0]) & 0xf0) == 0x50 &&
         bytes.substr(1, 3) == "\x2a\x4d\x18";
}

}  // namespace

std::span<const CompressionInfo> Compressions() { return kTable; }

std::string_view CompressionName(Compression id) {
  const CompressionInfo* row = Row(id);
  return row == nullptr ? "none" : row->name;
}

std::optional<Compression> FindCompression(std::string_view name) {
  if (name == "none") return Compression::kNone;
  for (const CompressionInfo& row : kTable) {
    if (row.name == name) return row.id;
  }
  return std::nullopt;
}

Compression DetectCompression(std::string_view first_bytes) {
  for (const CompressionInfo& row : kTable) {
    if (first_bytes.substr(0, row.magic.size()) == row.magic) return row.id;
  }
  return IsSkippable(first_bytes) ? Compression::kZstd : Compression::kNone;
}

std::optional<Compression> CompressionOfMediaType(std::string_view media_type) {
  constexpr std::string_view kTar = "tar";
  if (media_type.ends_with(kTar) &&
      (media_type.size() == kTar.size() ||
       std::string_view("./").find(media_type[media_type.size() - kTar.size() - 1]) !=
           std::string_view::npos)) {
    return Compression::kNone;
  }
  for (const CompressionInfo& row : kTable) {
    if (!media_type.ends_with(row.media_suffix)) continue;
    std::string_view front = media_type.substr(0, media_type.size() - row.media_suffix.size());
    if (front.ends_with("tar+") || front.ends_with("tar.")) return row.id;
  }
  return std::nullopt;
}

absl::StatusOr<std::unique_ptr<Reader>> NewDecompressor(Compression id,
                                                        std::unique_ptr<Reader> source,
                                                        const DecompressOptions& options) {
  const CompressionInfo* row = Row(id);
  if (row == nullptr) return source;
  return row->new_reader(std::move(source), options);
}

absl::StatusOr<std::unique_ptr<Reader>> NewAutoDecompressor(std::unique_ptr<Reader> source,
                                                            const DecompressOptions& options,
                                                            Compression* found) {
  std::string first(8, '\0');
  COAM_ASSIGN_OR_RETURN(size_t n, ReadFull(*source, std::span<char>(first)));
  first.resize(n);
  const Compression id = DetectCompression(first);
  if (found != nullptr) *found = id;
  return NewDecompressor(id, std::make_unique<PrefixedReader>(std::move(first), std::move(source)),
                         options);
}

absl::StatusOr<std::unique_ptr<Writer>> NewCompressor(Compression id, Writer* sink,
                                                      const CompressOptions& options) {
  const CompressionInfo* row = Row(id);
  if (row == nullptr) {
    // Passes bytes on; its Close must leave the sink open, as that of the others does.
    class Through final : public Writer {
     public:
      explicit Through(Writer* sink) : sink_(sink) {}
      absl::Status Write(std::string_view bytes) override { return sink_->Write(bytes); }

     private:
      Writer* sink_;
    };
    return std::make_unique<Through>(sink);
  }
  return row->new_writer(sink, options);
}

namespace internal {
namespace {

class FramedReader final : public Reader {
 public:
  FramedReader(std::unique_ptr<Reader> source, std::unique_ptr<Decoder> decoder,
               std::string_view format, const DecompressOptions& options)
      : source_(std::move(source)),
        decoder_(std::move(decoder)),
        format_(format),
        max_ratio_(std::max<int64_t>(1, options.limits != nullptr
                                            ? options.limits->compression_ratio
                                            : Limits().compression_ratio)),
        scratch_(new char[kBlockBytes]) {}

  absl::StatusOr<size_t> Read(std::span<char> out) override {
    if (!failed_.ok()) return failed_;
    absl::StatusOr<size_t> n = ReadSome(out);
    if (!n.ok()) failed_ = n.status();
    return n;
  }

 private:
  // Small output is free of the ratio's rule: a megabyte of zeros is no bomb.
  static constexpr int64_t kFreeBytes = 16 << 20;

  absl::Status Fill() {
    absl::StatusOr<std::string_view> block =
        source_->NextBlock(std::span<char>(scratch_.get(), kBlockBytes));
    if (!block.ok()) return block.status();
    in_ = std::span<const char>(block->data(), block->size());
    taken_ += static_cast<int64_t>(block->size());
    if (block->empty()) source_ended_ = true;
    return absl::OkStatus();
  }

  ErrorMaker Corrupt() { return Fail("stream.corrupt"); }

  // Peek gives at least `size` bytes that lie together, unless the source ends sooner.
  absl::StatusOr<std::string_view> Peek(size_t size) {
    while (!source_ended_ && (lead_.empty() ? in_.size() : lead_.size()) < size) {
      if (in_.empty()) {
        COAM_RETURN_IF_ERROR(Fill());
        continue;
      }
      const size_t n = std::min(in_.size(), size - lead_.size());
      if (lead_.empty() && n == size) break;
      lead_.append(in_.data(), n);
      in_ = in_.subspan(n);
    }
    return lead_.empty() ? std::string_view(in_.data(), in_.size()) : std::string_view(lead_);
  }

  void Drop(size_t size) {
    if (lead_.empty()) {
      in_ = in_.subspan(size);
    } else {
      lead_.erase(0, size);
    }
  }

  // Between members: the end, padding, or another one.
  absl::Status BetweenMembers() {
    COAM_ASSIGN_OR_RETURN(std::string_view look, Peek(decoder_->LookAhead()));
    if (look.empty()) {
      if (members_ == 0) return Corrupt() << format_ << " stream is empty";
      ended_ = true;
      return absl::OkStatus();
    }
    if (look.front() == '\0' && members_ > 0) {
      padded_ = true;
      Drop(std::min(look.find_first_not_of('\0'), look.size()));
      return absl::OkStatus();
    }
    if (members_ == 0) {
      if (!decoder_->StartsMember(look)) return Corrupt() << "not a " << format_ << " stream";
    } else if (!decoder_->StartsMember(look) || (padded_ && !decoder_->PaddingBetween())) {
      return Corrupt() << "something that is no " << format_ << " follows the " << format_
                       << " stream";
    } else {
      COAM_RETURN_IF_ERROR(decoder_->Restart());
    }
    padded_ = false;
    in_member_ = true;
    return absl::OkStatus();
  }

  absl::StatusOr<size_t> ReadSome(std::span<char> out) {
    for (;;) {
      if (ended_) return 0;
      if (!in_member_) {
        COAM_RETURN_IF_ERROR(BetweenMembers());
        continue;
      }
      if (lead_.empty() && in_.empty() && !source_ended_ && !output_waits_) {
        COAM_RETURN_IF_ERROR(Fill());
      }
      std::span<const char> input = lead_.empty() ? in_ : std::span<const char>(lead_);
      const size_t before = input.size();
      std::span<char> room = out;
      absl::StatusOr<Decoder::Result> result = decoder_->Decode(&input, &room);
      if (!result.ok()) return result.status();
      const size_t used = before - input.size(), made = out.size() - room.size();
      Drop(used);
      output_waits_ = room.empty();
      if (*result == Decoder::Result::kMemberEnd) {
        ++members_;
        in_member_ = false;
        output_waits_ = false;
      } else if (used == 0 && made == 0 && source_ended_ && before == 0) {
        return Corrupt() << format_ << " stream is cut short";
      } else if (used == 0 && made == 0 && before != 0) {
        return Corrupt() << format_ << " stream is damaged: the decoder stands still";
      }
      if (made != 0) {
        made_ += static_cast<int64_t>(made);
        if (made_ > kFreeBytes && made_ / max_ratio_ > taken_) {
          return FailLimit("compression_ratio", max_ratio_)
                 << format_ << " stream unpacks to more than " << max_ratio_ << " times its size";
        }
        return made;
      }
    }
  }

  std::unique_ptr<Reader> source_;
  std::unique_ptr<Decoder> decoder_;
  const std::string format_;
  const int64_t max_ratio_;
  std::unique_ptr<char[]> scratch_;
  std::span<const char> in_;
  std::string lead_;  // bytes that come before in_, where a look needed them in one piece
  bool source_ended_ = false, in_member_ = false, ended_ = false, padded_ = false;
  bool output_waits_ = false;  // the decoder filled the output: it may hold more
  int64_t members_ = 0, taken_ = 0, made_ = 0;
  absl::Status failed_;
};

}  // namespace

std::unique_ptr<Reader> NewFramedReader(std::unique_ptr<Reader> source,
                                        std::unique_ptr<Decoder> decoder, std::string_view format,
                                        const DecompressOptions& options) {
  return std::make_unique<FramedReader>(std::move(source), std::move(decoder), format, options);
}

int64_t WindowLimit(const DecompressOptions& options) {
  return options.limits != nullptr ? options.limits->window_bytes : Limits().window_bytes;
}

}  // namespace internal
}  // namespace coaming::base
