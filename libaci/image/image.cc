#include "libaci/image/image.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "libaci/image/image_io.h"
#include "libaci/image/layout.h"

namespace coaming::aci {
namespace {

// Gives back bytes that were read ahead, then the rest.
class PrefixReader final : public base::Reader {
 public:
  PrefixReader(std::string prefix, std::unique_ptr<base::Reader> rest)
      : prefix_(std::move(prefix)), rest_(std::move(rest)) {}
  absl::StatusOr<size_t> Read(std::span<char> out) override {
    if (taken_ == prefix_.size()) return rest_->Read(out);
    const size_t n = std::min(out.size(), prefix_.size() - taken_);
    std::memcpy(out.data(), prefix_.data() + taken_, n);
    taken_ += n;
    return n;
  }

 private:
  std::string prefix_;
  size_t taken_ = 0;
  std::unique_ptr<base::Reader> rest_;
};

std::string IdOf(base::Hasher& hasher) {
  return absl::StrCat("sha512-", base::HexEncode(hasher.FinishBytes()));
}

}  // namespace

absl::StatusOr<std::unique_ptr<ImageStream>> ImageStream::Open(base::Reader& in, base::Writer* tee,
                                                               const base::Op& op) {
  std::unique_ptr<ImageStream> out(new ImageStream);
  base::DecompressOptions decompress;
  decompress.limits = &op.limits();
  COAM_ASSIGN_OR_RETURN(
      std::unique_ptr<base::Reader> plain,
      base::NewAutoDecompressor(base::Borrow(in), decompress, &out->compression_));
  if (out->compression_ == base::Compression::kZstd) {
    return base::Fail("aci.not_image") << "the image is packed with zstd";
  }
  // Only POSIX and GNU tar carry the magic; without it this is some other file.
  std::string first(512, '\0');
  COAM_ASSIGN_OR_RETURN(size_t got, base::ReadFull(*plain, first));
  first.resize(got);
  if (got < 512 || std::string_view(first).substr(257, 5) != "ustar") {
    return base::Fail("aci.not_image")
           << (got == 0 ? "the file is empty" : "this is no tar archive");
  }
  std::unique_ptr<base::Reader> stream =
      std::make_unique<PrefixReader>(std::move(first), std::move(plain));
  if (tee != nullptr) stream = std::make_unique<base::TeeReader>(std::move(stream), tee);
  auto hashing = std::make_unique<base::HashingReader>(std::move(stream), &out->hasher_);
  out->hashing_ = hashing.get();
  COAM_ASSIGN_OR_RETURN(out->tar_, base::TarReader::Open(op, std::move(hashing)));
  return out;
}

absl::Status ImageStream::Finish() {
  COAM_RETURN_IF_ERROR(tar_->Drain());
  id_ = IdOf(hasher_);
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<ImageWriter>> ImageWriter::New(base::Writer* out,
                                                              base::Compression compression) {
  std::unique_ptr<ImageWriter> w(new ImageWriter);
  base::Writer* sink = out;
  if (compression != base::Compression::kNone) {
    COAM_ASSIGN_OR_RETURN(w->compressor_, base::NewCompressor(compression, out));
    sink = w->compressor_.get();
  }
  w->hashing_ = std::make_unique<base::HashingWriter>(sink, &w->hasher_);
  base::TarWriteOptions options;
  options.sub_second = true;
  COAM_ASSIGN_OR_RETURN(w->tar_, base::TarWriter::New(w->hashing_.get(), options));
  return w;
}

absl::Status ImageWriter::Finish() {
  COAM_RETURN_IF_ERROR(tar_->Finish());
  if (compressor_ != nullptr) COAM_RETURN_IF_ERROR(compressor_->Close());
  id_ = IdOf(hasher_);
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadEntry(base::TarReader& tar, const base::Op& op) {
  std::string out;
  std::vector<char> block(64 << 10);
  for (;;) {
    COAM_ASSIGN_OR_RETURN(size_t n, tar.Read(block));
    if (n == 0) return out;
    if (static_cast<int64_t>(out.size() + n) > op.limits().manifest_bytes) {
      return base::FailLimit("manifest_bytes", op.limits().manifest_bytes) << ": image manifest";
    }
    out.append(block.data(), n);
  }
}

absl::StatusOr<ImageInfo> ReadImage(base::Reader& in, const ReadOptions& options,
                                    const base::Op& op) {
  COAM_ASSIGN_OR_RETURN(std::unique_ptr<ImageStream> stream,
                        ImageStream::Open(in, options.tar_out, op));
  LayoutChecker checker(op.limits());
  ImageInfo info;
  info.compression = stream->compression();
  for (;;) {
    COAM_RETURN_IF_ERROR(op.Check());
    COAM_ASSIGN_OR_RETURN(const base::TarEntry* entry, stream->tar().Next());
    if (entry == nullptr) break;
    const uint64_t size = entry->type == base::TarType::kFile ? entry->size : 0;
    COAM_ASSIGN_OR_RETURN(LayoutChecker::Entry place,
                          checker.Add(entry->type, entry->path, entry->link, size));
    if (place.where == LayoutChecker::Where::kManifest) {
      COAM_ASSIGN_OR_RETURN(info.manifest_json, ReadEntry(stream->tar(), op));
    } else if (place.where == LayoutChecker::Where::kRootfs) {
      ++info.rootfs_entries;
      info.rootfs_bytes += size;
    }
  }
  COAM_RETURN_IF_ERROR(stream->Finish());
  COAM_RETURN_IF_ERROR(checker.Finish());
  if (stream->tar().TrailingData()) {
    op.AddNote("aci.trailing_data", "image", "there are bytes after the end of the archive");
  }
  ParseOptions parse;
  parse.strict = options.strict;
  parse.limits = &op.limits();
  parse.op = &op;
  COAM_ASSIGN_OR_RETURN(info.manifest, ParseImageManifest(info.manifest_json, parse));
  info.image_id = stream->id();
  info.tar_bytes = stream->bytes();
  return info;
}

absl::StatusOr<std::string> ReadManifestOnly(base::Reader& in, const base::Op& op) {
  COAM_ASSIGN_OR_RETURN(std::unique_ptr<ImageStream> stream, ImageStream::Open(in, nullptr, op));
  LayoutChecker checker(op.limits());
  for (;;) {
    COAM_RETURN_IF_ERROR(op.Check());
    COAM_ASSIGN_OR_RETURN(const base::TarEntry* entry, stream->tar().Next());
    if (entry == nullptr) break;
    COAM_ASSIGN_OR_RETURN(LayoutChecker::Entry place,
                          checker.Add(entry->type, entry->path, entry->link,
                                      entry->type == base::TarType::kFile ? entry->size : 0));
    if (place.where == LayoutChecker::Where::kManifest) return ReadEntry(stream->tar(), op);
  }
  return base::Fail("aci.layout_invalid") << "there is no manifest";
}

absl::StatusOr<ImageInfo> PatchImage(
    base::Reader& in, base::Writer& out, Compression compression,
    const std::function<absl::StatusOr<std::string>(std::string_view manifest_json)>& patch,
    const base::Op& op) {
  COAM_ASSIGN_OR_RETURN(std::unique_ptr<ImageStream> stream, ImageStream::Open(in, nullptr, op));
  COAM_ASSIGN_OR_RETURN(std::unique_ptr<ImageWriter> writer, ImageWriter::New(&out, compression));
  LayoutChecker checker(op.limits());
  ImageInfo info;
  info.compression = compression;
  std::vector<char> block(base::kBlockBytes);
  for (;;) {
    COAM_RETURN_IF_ERROR(op.Check());
    COAM_ASSIGN_OR_RETURN(const base::TarEntry* entry, stream->tar().Next());
    if (entry == nullptr) break;
    base::TarEntry copy = *entry;
    // A hard link that carries the data again needs it only once.
    if (copy.type != base::TarType::kFile) copy.size = 0;
    copy.sparse = false;
    copy.regions.clear();
    COAM_ASSIGN_OR_RETURN(LayoutChecker::Entry place,
                          checker.Add(copy.type, copy.path, copy.link, copy.size));
    if (place.where == LayoutChecker::Where::kManifest) {
      COAM_ASSIGN_OR_RETURN(std::string old, ReadEntry(stream->tar(), op));
      COAM_ASSIGN_OR_RETURN(info.manifest_json, patch(old));
      copy.size = static_cast<int64_t>(info.manifest_json.size());
      COAM_RETURN_IF_ERROR(writer->tar().AddFile(copy, info.manifest_json));
      continue;
    }
    if (place.where == LayoutChecker::Where::kRootfs) {
      ++info.rootfs_entries;
      info.rootfs_bytes += copy.size;
    }
    COAM_RETURN_IF_ERROR(writer->tar().Add(copy));
    if (copy.type != base::TarType::kFile) continue;
    for (;;) {
      COAM_ASSIGN_OR_RETURN(size_t n, stream->tar().Read(block));
      if (n == 0) break;
      COAM_RETURN_IF_ERROR(writer->tar().Write(std::string_view(block.data(), n)));
    }
  }
  COAM_RETURN_IF_ERROR(stream->Finish());
  COAM_RETURN_IF_ERROR(checker.Finish());
  ParseOptions parse;
  parse.limits = &op.limits();
  parse.op = &op;
  COAM_ASSIGN_OR_RETURN(info.manifest, ParseImageManifest(info.manifest_json, parse));
  COAM_RETURN_IF_ERROR(writer->Finish());
  info.image_id = writer->id();
  info.tar_bytes = writer->bytes();
  return info;
}

std::string_view FileKindName(FileKind kind) {
  switch (kind) {
    case FileKind::kImage: return "app container image";
    case FileKind::kLayout: return "image layout";
    case FileKind::kImageManifest: return "image manifest";
    case FileKind::kPodManifest: return "pod manifest";
  }
  return "";
}

}  // namespace coaming::aci
