// libarchive's tar reader behind the same interface: the second opinion that tests hold the suite's own
// reader against. It differs where libarchive does: names in PAX records must be UTF-8.
#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/archive/locale_guard.h"
#include "base/archive/readers.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"

namespace coaming::base::internal {
namespace {

class LibarchiveReader final : public TarReader {
 public:
  LibarchiveReader(const Op& op, std::unique_ptr<Reader> source)
      : op_(op), source_(std::move(source)), scratch_(new char[kBlockBytes]) {}
  ~LibarchiveReader() override {
    if (archive_ != nullptr) archive_read_free(archive_);
  }

  absl::Status Start() {
    LocaleGuard guard(locale_.get());
    callers_ = guard.old();
    archive_ = archive_read_new();
    if (archive_ == nullptr) return Fail("core.no_memory") << "no memory for libarchive";
    archive_read_support_format_tar(archive_);
    archive_read_support_format_empty(archive_);
    archive_read_set_read_callback(archive_, &LibarchiveReader::OnRead);
    archive_read_set_callback_data(archive_, this);
    const int result = archive_read_open1(archive_);
    return result >= ARCHIVE_WARN ? absl::OkStatus() : Failure();
  }

  absl::StatusOr<const TarEntry*> Next() override {
    COAM_RETURN_IF_ERROR(op_.Check());
    LocaleGuard guard(locale_.get());
    callers_ = guard.old();
    struct archive_entry* e = nullptr;
    const int result = archive_read_next_header(archive_, &e);
    block_ = {};
    if (result == ARCHIVE_EOF) {
      ended_ = true;
      return nullptr;
    }
    if (result < ARCHIVE_WARN) return Failure();
    COAM_RETURN_IF_ERROR(Convert(e));
    return &entry_;
  }

  absl::StatusOr<Block> ReadRegion() override {
    if (block_.bytes.empty()) COAM_RETURN_IF_ERROR(NextBlock());
    return std::exchange(block_, {});
  }

  absl::StatusOr<size_t> Read(std::span<char> out) override {
    if (block_.bytes.empty() && file_pos_ < entry_.size) COAM_RETURN_IF_ERROR(NextBlock());
    const int64_t data_at = block_.bytes.empty() ? entry_.size : block_.offset;
    if (file_pos_ < data_at) {
      const size_t n = static_cast<size_t>(
          std::min<int64_t>(static_cast<int64_t>(out.size()), data_at - file_pos_));
      std::memset(out.data(), 0, n);
      file_pos_ += static_cast<int64_t>(n);
      return n;
    }
    const size_t n = std::min(out.size(), block_.bytes.size());
    if (n != 0) std::memcpy(out.data(), block_.bytes.data(), n);
    block_.bytes.remove_prefix(n);
    block_.offset += static_cast<int64_t>(n);
    file_pos_ += static_cast<int64_t>(n);
    return n;
  }

  absl::Status Drain() override {
    // libarchive has taken whole blocks; what it did not look at in the last one goes unseen.
    for (;;) {
      COAM_ASSIGN_OR_RETURN(std::string_view block,
                            source_->NextBlock(std::span<char>(scratch_.get(), kBlockBytes)));
      if (block.empty()) return absl::OkStatus();
      if (ended_ && block.find_first_not_of('\0') != block.npos) trailing_ = true;
    }
  }
  bool TrailingData() const override { return trailing_; }

 private:
  static la_ssize_t OnRead(struct archive* a, void* self, const void** buffer) {
    auto* reader = static_cast<LibarchiveReader*>(self);
    LocaleGuard outside(reader->callers_);  // the source may be the host's
    absl::StatusOr<std::string_view> block =
        reader->source_->NextBlock(std::span<char>(reader->scratch_.get(), kBlockBytes));
    if (!block.ok()) {
      reader->source_failed_ = block.status();
      archive_set_error(a, EIO, "the source failed");
      return -1;
    }
    *buffer = block->data();
    return static_cast<la_ssize_t>(block->size());
  }

  absl::Status Failure() {
    if (!source_failed_.ok()) return source_failed_;
    const char* text = archive_error_string(archive_);
    return Fail("archive.corrupt")
           << "archive cannot be read: " << (text == nullptr ? "no reason given" : text);
  }

  absl::Status NextBlock() {
    COAM_RETURN_IF_ERROR(op_.Check());
    LocaleGuard guard(locale_.get());
    callers_ = guard.old();
    const void* data = nullptr;
    size_t size = 0;
    la_int64_t offset = 0;
    do {
      const int result = archive_read_data_block(archive_, &data, &size, &offset);
      if (result == ARCHIVE_EOF) {
        block_ = {};
        return absl::OkStatus();
      }
      if (result < ARCHIVE_WARN) return Failure();
    } while (size == 0);
    block_ = {std::string_view(static_cast<const char*>(data), size), offset};
    return absl::OkStatus();
  }

  static std::string Text(const char* text) { return text == nullptr ? "" : text; }

  absl::Status Convert(struct archive_entry* e) {
    entry_ = TarEntry();
    file_pos_ = 0;
    entry_.path = Text(archive_entry_pathname(e));
    entry_.header_offset = archive_read_header_position(archive_);
    if (archive_entry_hardlink(e) != nullptr) {
      entry_.type = TarType::kHardlink;
      entry_.link = Text(archive_entry_hardlink(e));
    } else {
      switch (archive_entry_filetype(e)) {
        case AE_IFREG: entry_.type = TarType::kFile; break;
        case AE_IFDIR: entry_.type = TarType::kDirectory; break;
        case AE_IFLNK:
          entry_.type = TarType::kSymlink;
          entry_.link = Text(archive_entry_symlink(e));
          break;
        case AE_IFCHR: entry_.type = TarType::kCharDevice; break;
        case AE_IFBLK: entry_.type = TarType::kBlockDevice; break;
        case AE_IFIFO: entry_.type = TarType::kFifo; break;
        default:
          return Fail("archive.entry") << "'" << entry_.path << "' is of a kind that is not known";
      }
    }
    if (entry_.path.empty()) return Fail("archive.corrupt") << "an entry has no name";
    entry_.size = entry_.type == TarType::kFile ? archive_entry_size(e) : 0;
    entry_.mode = archive_entry_perm(e) & 07777;
    entry_.uid = archive_entry_uid(e);
    entry_.gid = archive_entry_gid(e);
    entry_.uname = Text(archive_entry_uname(e));
    entry_.gname = Text(archive_entry_gname(e));
    entry_.mtime = {archive_entry_mtime(e), static_cast<int32_t>(archive_entry_mtime_nsec(e))};
    if (archive_entry_atime_is_set(e)) {
      entry_.atime = {archive_entry_atime(e), static_cast<int32_t>(archive_entry_atime_nsec(e))};
    }
    if (archive_entry_ctime_is_set(e)) {
      entry_.ctime = {archive_entry_ctime(e), static_cast<int32_t>(archive_entry_ctime_nsec(e))};
    }
    if (entry_.type == TarType::kCharDevice || entry_.type == TarType::kBlockDevice) {
      entry_.dev_major = static_cast<uint32_t>(archive_entry_rdevmajor(e));
      entry_.dev_minor = static_cast<uint32_t>(archive_entry_rdevminor(e));
    }
    archive_entry_xattr_reset(e);
    const char* name = nullptr;
    const void* value = nullptr;
    size_t size = 0;
    while (archive_entry_xattr_next(e, &name, &value, &size) == ARCHIVE_OK) {
      entry_.xattrs.emplace_back(name, std::string(static_cast<const char*>(value), size));
    }
    if (archive_entry_sparse_reset(e) > 0) {
      entry_.sparse = true;
      la_int64_t offset = 0, length = 0;
      while (archive_entry_sparse_next(e, &offset, &length) == ARCHIVE_OK) {
        entry_.regions.push_back({offset, length});
      }
    }
    return CheckLimits();
  }

  absl::Status CheckLimits() {
    const Limits& limits = op_.limits();
    if (static_cast<int64_t>(std::max(entry_.path.size(), entry_.link.size())) >
        limits.path_bytes) {
      return FailLimit("path_bytes", limits.path_bytes)
             << "a name in the archive is longer than " << limits.path_bytes << " bytes";
    }
    int64_t sum = 0;
    for (const auto& [name, value] : entry_.xattrs) {
      sum += static_cast<int64_t>(name.size() + value.size());
    }
    if (sum > limits.xattr_bytes) {
      return FailLimit("xattr_bytes", limits.xattr_bytes)
             << "the extended attributes of '" << entry_.path << "' have " << sum << " bytes";
    }
    if (++files_ > limits.unpacked_files) {
      return FailLimit("unpacked_files", limits.unpacked_files)
             << "archive holds more than " << limits.unpacked_files << " entries";
    }
    if (entry_.size < 0 || entry_.size > limits.unpacked_bytes - bytes_) {
      return FailLimit("unpacked_bytes", limits.unpacked_bytes)
             << "archive unpacks to more than " << limits.unpacked_bytes << " bytes";
    }
    bytes_ += entry_.size;
    return absl::OkStatus();
  }

  const Op& op_;
  std::unique_ptr<Reader> source_;
  std::unique_ptr<char[]> scratch_;
  Utf8Locale locale_;
  locale_t callers_ = nullptr;
  struct archive* archive_ = nullptr;
  absl::Status source_failed_;
  TarEntry entry_;
  Block block_;
  int64_t file_pos_ = 0, files_ = 0, bytes_ = 0;
  bool ended_ = false, trailing_ = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<TarReader>> NewLibarchiveTarReader(const Op& op,
                                                                  std::unique_ptr<Reader> source) {
  auto reader = std::make_unique<LibarchiveReader>(op, std::move(source));
  COAM_RETURN_IF_ERROR(reader->Start());
  return reader;
}

}  // namespace coaming::base::internal
