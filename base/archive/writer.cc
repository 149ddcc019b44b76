// TarWriter over libarchive: ustar where it suffices, PAX records where it does not.
#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/escaping.h"
#include "base/archive/locale_guard.h"
#include "base/archive/tar.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"

namespace coaming::base {
namespace {

using internal::LocaleGuard;
using internal::Utf8Locale;

constexpr char kZeros[4096] = {};

class LibarchiveWriter final : public TarWriter {
 public:
  LibarchiveWriter(Writer* sink, const TarWriteOptions& options) : sink_(sink), options_(options) {
    buffer_.reserve(3 * kBlockBytes);
  }
  ~LibarchiveWriter() override {
    dropping_ = true;  // freeing may still flush
    if (archive_ != nullptr) archive_write_free(archive_);
    if (entry_ != nullptr) archive_entry_free(entry_);
  }

  absl::Status Start() {
    LocaleGuard guard(locale_.get());
    archive_ = archive_write_new();
    entry_ = archive_entry_new();
    if (archive_ == nullptr || entry_ == nullptr) {
      return Fail("core.no_memory") << "no memory for libarchive";
    }
    // "Restricted" writes no PAX header for what ustar can say; it would drop finer times.
    if (options_.sub_second || options_.access_times) {
      archive_write_set_format_pax(archive_);
    } else {
      archive_write_set_format_pax_restricted(archive_);
    }
    // The form that Go, GNU tar and umoci read.
    archive_write_set_format_option(archive_, "pax", "xattrheader", "SCHILY");
    archive_write_set_bytes_per_block(archive_, 0);
    archive_write_set_bytes_in_last_block(archive_, 1);
    if (archive_write_open(archive_, this, nullptr, &LibarchiveWriter::OnWrite, nullptr) !=
        ARCHIVE_OK) {
      return Failure("open");
    }
    return absl::OkStatus();
  }

  absl::Status Add(const TarEntry& e) override {
    if (!failed_.ok()) return failed_;
    COAM_RETURN_IF_ERROR(Check(e));
    Fill(e);
    int result;
    {
      LocaleGuard guard(locale_.get());
      result = archive_write_header(archive_, entry_);
    }
    // A warning says that a name is no UTF-8: it was written as bytes.
    if (result < ARCHIVE_WARN) return Keep(Failure(e.path));
    left_ = e.type == TarType::kFile ? e.size : 0;
    path_ = e.path;
    if (buffer_.size() >= kBlockBytes) Flush();
    return failed_;
  }

  absl::Status Write(std::string_view bytes) override {
    if (!failed_.ok()) return failed_;
    if (static_cast<int64_t>(bytes.size()) > left_) {
      return Fail("core.invalid_argument")
             << Shown(path_) << " takes " << left_ << " bytes more, not " << bytes.size();
    }
    left_ -= static_cast<int64_t>(bytes.size());
    while (!bytes.empty()) {
      const std::string_view piece = bytes.substr(0, kBlockBytes);
      la_ssize_t n;
      {
        LocaleGuard guard(locale_.get());
        n = archive_write_data(archive_, piece.data(), piece.size());
      }
      if (n <= 0) return Keep(Failure(path_));
      bytes.remove_prefix(static_cast<size_t>(n));
      if (buffer_.size() >= kBlockBytes) Flush();
    }
    return failed_;
  }

  absl::Status Finish() override {
    if (!failed_.ok()) return failed_;
    COAM_RETURN_IF_ERROR(CheckWhole());
    {
      LocaleGuard guard(locale_.get());
      if (archive_write_close(archive_) != ARCHIVE_OK) return Keep(Failure("end"));
    }
    const int64_t block = int64_t{512} * std::max(options_.end_blocks, 2);
    while (options_.end_blocks > 2 && written_ % block != 0) {
      Push(std::string_view(
          kZeros, std::min<size_t>(sizeof kZeros, static_cast<size_t>(block - written_ % block))));
    }
    Flush();
    return failed_;
  }

 private:
  // Called under the guard, so it only gathers; the sink is called outside of it.
  static la_ssize_t OnWrite(struct archive* a, void* self, const void* data, size_t size) {
    auto* writer = static_cast<LibarchiveWriter*>(self);
    if (!writer->dropping_) writer->Push(std::string_view(static_cast<const char*>(data), size));
    return static_cast<la_ssize_t>(size);
  }

  void Push(std::string_view bytes) {
    written_ += static_cast<int64_t>(bytes.size());
    buffer_.append(bytes);
  }
  void Flush() {
    if (failed_.ok() && !buffer_.empty()) failed_ = sink_->Write(buffer_);
    buffer_.clear();
  }

  static std::string Shown(std::string_view path) {
    return "'" + absl::CHexEscape(path.substr(0, 200)) + "'";
  }

  absl::Status Keep(absl::Status status) {
    if (failed_.ok()) failed_ = status;
    return failed_;
  }

  absl::Status Failure(std::string_view what) {
    if (!failed_.ok()) return failed_;
    const char* text = archive_error_string(archive_);
    return Fail("core.internal") << "tar header of " << Shown(what) << ": "
                                 << (text == nullptr ? "no reason given" : text);
  }

  absl::Status CheckWhole() {
    if (left_ == 0) return absl::OkStatus();
    return Fail("core.invalid_argument") << Shown(path_) << " still lacks " << left_ << " bytes";
  }

  absl::Status Check(const TarEntry& e) {
    COAM_RETURN_IF_ERROR(CheckWhole());
    const bool is_link = e.type == TarType::kSymlink || e.type == TarType::kHardlink;
    auto refuse = [&](std::string_view why) -> absl::Status {
      return Fail("core.invalid_argument") << "entry " << Shown(e.path) << ": " << why;
    };
    if (e.path.empty()) return refuse("has no name");
    if (is_link && e.link.empty()) return refuse("a link needs a target");
    if (e.size < 0) return refuse("its size is negative");
    if (e.uid < 0 || e.gid < 0) return refuse("its owner is negative");
    if (e.mtime.nanoseconds < 0 || e.mtime.nanoseconds > 999999999) {
      return refuse("its nanoseconds are out of range");
    }
    for (const std::string* text : {&e.path, &e.link, &e.uname, &e.gname}) {
      if (text->find('\0') != text->npos) return refuse("a name holds a NUL");
    }
    for (const auto& [name, value] : e.xattrs) {
      if (name.empty() || name.find('\0') != name.npos || name.find('=') != name.npos) {
        return refuse("an extended attribute has a name that tar cannot hold");
      }
    }
    return absl::OkStatus();
  }

  static mode_t FileType(TarType type) {
    switch (type) {
      case TarType::kDirectory: return AE_IFDIR;
      case TarType::kSymlink: return AE_IFLNK;
      case TarType::kCharDevice: return AE_IFCHR;
      case TarType::kBlockDevice: return AE_IFBLK;
      case TarType::kFifo: return AE_IFIFO;
      default: return AE_IFREG;
    }
  }

  void Fill(const TarEntry& e) {
    archive_entry_clear(entry_);
    archive_entry_copy_pathname(entry_, e.path.c_str());
    archive_entry_set_filetype(entry_, FileType(e.type));
    archive_entry_set_perm(entry_, e.mode & 07777);
    archive_entry_set_size(entry_, e.type == TarType::kFile ? e.size : 0);
    archive_entry_set_uid(entry_, e.uid);
    archive_entry_set_gid(entry_, e.gid);
    if (!e.uname.empty()) archive_entry_copy_uname(entry_, e.uname.c_str());
    if (!e.gname.empty()) archive_entry_copy_gname(entry_, e.gname.c_str());
    archive_entry_set_mtime(entry_, e.mtime.seconds, options_.sub_second ? e.mtime.nanoseconds : 0);
    if (options_.access_times && e.atime) {
      archive_entry_set_atime(entry_, e.atime->seconds, e.atime->nanoseconds);
    }
    if (options_.access_times && e.ctime) {
      archive_entry_set_ctime(entry_, e.ctime->seconds, e.ctime->nanoseconds);
    }
    if (e.type == TarType::kSymlink) archive_entry_copy_symlink(entry_, e.link.c_str());
    if (e.type == TarType::kHardlink) archive_entry_copy_hardlink(entry_, e.link.c_str());
    if (e.type == TarType::kCharDevice || e.type == TarType::kBlockDevice) {
      archive_entry_set_rdevmajor(entry_, e.dev_major);
      archive_entry_set_rdevminor(entry_, e.dev_minor);
    }
    // libarchive puts each new attribute first; backwards keeps the caller's order.
    for (auto it = e.xattrs.rbegin(); it != e.xattrs.rend(); ++it) {
      archive_entry_xattr_add_entry(entry_, it->first.c_str(), it->second.data(),
                                    it->second.size());
    }
  }

  Writer* sink_;
  const TarWriteOptions options_;
  Utf8Locale locale_;
  struct archive* archive_ = nullptr;
  struct archive_entry* entry_ = nullptr;
  absl::Status failed_;
  std::string buffer_, path_;
  int64_t left_ = 0, written_ = 0;
  bool dropping_ = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<TarWriter>> TarWriter::New(Writer* sink,
                                                          const TarWriteOptions& options) {
  auto writer = std::make_unique<LibarchiveWriter>(sink, options);
  COAM_RETURN_IF_ERROR(writer->Start());
  return writer;
}

}  // namespace coaming::base
