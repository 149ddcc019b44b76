// The suite's own tar reader: one pass, no seeking, no copy of file data, names as bytes. It follows
// GNU tar and Go where the formats leave a choice, since layers are made by those.
#include <algorithm>
#include <cstring>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/archive/block_source.h"
#include "base/archive/header.h"
#include "base/archive/readers.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"

namespace coaming::base::internal {
namespace {

constexpr int64_t kMetaBytes = 1 << 20;         // PAX records beside attributes
constexpr size_t kMaxRegions = 1 << 20;         // of one sparse file
constexpr int64_t kMaxSize = INT64_MAX - 4096;  // so that sums with padding stay in range
constexpr char kZeros[4096] = {};

int64_t Padding(int64_t size) { return (512 - size % 512) % 512; }

class LeanReader final : public TarReader {
 public:
  LeanReader(const Op& op, std::unique_ptr<Reader> source) : op_(op), in_(op, std::move(source)) {}

  absl::StatusOr<const TarEntry*> Next() override {
    if (!failed_.ok()) return failed_;
    absl::StatusOr<bool> more = ReadEntry();
    if (!more.ok()) return failed_ = more.status();
    if (!*more) return nullptr;
    return &entry_;
  }

  absl::StatusOr<Block> ReadRegion() override {
    if (!failed_.ok()) return failed_;
    absl::StatusOr<Block> block = NextData(SIZE_MAX);
    if (!block.ok()) failed_ = block.status();
    return block;
  }

  absl::StatusOr<size_t> Read(std::span<char> out) override {
    if (!failed_.ok()) return failed_;
    if (file_pos_ >= entry_.size || out.empty()) return 0;
    const size_t left = static_cast<size_t>(
        std::min<int64_t>(static_cast<int64_t>(out.size()), entry_.size - file_pos_));
    const int64_t hole_end = region_ < Regions() ? RegionAt(region_).offset : entry_.size;
    if (region_pos_ == 0 && file_pos_ < hole_end) {
      const size_t n =
          static_cast<size_t>(std::min<int64_t>(static_cast<int64_t>(left), hole_end - file_pos_));
      std::memset(out.data(), 0, n);
      file_pos_ += static_cast<int64_t>(n);
      return n;
    }
    absl::StatusOr<Block> block = NextData(left);
    if (!block.ok()) return failed_ = block.status();
    std::memcpy(out.data(), block->bytes.data(), block->bytes.size());
    return block->bytes.size();
  }

  absl::Status Drain() override {
    if (!failed_.ok()) return failed_;
    for (;;) {
      if (ended_ && !trailing_) CheckZeros();
      in_.Drop(in_.ready().size());
      COAM_RETURN_IF_ERROR(in_.Fill());
      if (in_.ended()) return absl::OkStatus();
    }
  }
  bool TrailingData() const override { return trailing_; }

 private:
  struct Extra {  // what extension headers said about the next entry
    PaxRecords pax;
    std::optional<std::string> long_name, long_link;
  };

  void CheckZeros() {
    std::string_view rest = in_.ready();
    while (!rest.empty()) {
      const size_t n = std::min(rest.size(), sizeof kZeros);
      if (std::memcmp(rest.data(), kZeros, n) != 0) trailing_ = true;
      rest.remove_prefix(n);
    }
  }

  absl::Status Skip(int64_t data, int64_t padding) {
    COAM_ASSIGN_OR_RETURN(const bool whole, in_.Skip(data, padding));
    return whole ? absl::OkStatus() : CutInData();
  }

  absl::Status CutInData() {
    return Corrupt(in_.pos()) << "archive is cut short inside " << Shown(entry_.path) << " at byte "
                              << in_.pos();
  }

  static std::string Shown(std::string_view path) {
    return absl::StrCat("'", absl::CHexEscape(path.substr(0, 200)), "'");
  }

  // ----- headers

  // ReadEntry fills entry_; false at the end of the archive.
  absl::StatusOr<bool> ReadEntry() {
    COAM_RETURN_IF_ERROR(op_.Check());
    if (ended_) return false;
    COAM_RETURN_IF_ERROR(Skip(data_left_, padding_));
    data_left_ = padding_ = 0;
    const int64_t start = in_.pos();
    Extra extra;
    bool extended = false;
    for (;;) {
      const int64_t at = in_.pos();
      COAM_ASSIGN_OR_RETURN(std::string_view block, in_.TakeBlock());
      if (block.empty() || TarHeader(block).IsZero()) {
        if (extended) {
          return Corrupt(at) << "archive ends after an extension header at byte " << at;
        }
        ended_ = true;
        return block.empty() ? false : CheckEndMark(at);
      }
      const TarHeader header(block);
      if (!header.ChecksumFits()) {
        return Corrupt(at) << "no tar header at byte " << at << ": the checksum is wrong";
      }
      const std::optional<int64_t> size = header.Size();
      if (!size || *size < 0 || *size > kMaxSize) {
        return Corrupt(at) << "the size in the tar header at byte " << at << " is no number";
      }
      switch (header.typeflag()) {
        case 'x':
        case 'X':
        case 'g': {
          const bool local = header.typeflag() != 'g';
          std::string body;
          COAM_RETURN_IF_ERROR(
              TakeMeta(*size, op_.limits().xattr_bytes + kMetaBytes, "xattr_bytes", &body));
          std::optional<PaxRecords> records = ParsePax(body);
          if (!records) return Corrupt(at) << "the PAX header at byte " << at << " is malformed";
          if (local) {
            extra.pax.insert(extra.pax.end(), records->begin(), records->end());
            extended = true;
            if (++extensions_ > 64) {
              return Corrupt(at) << "too many extension headers before one entry at byte " << at;
            }
          }
          continue;
        }
        case 'L':
        case 'K': {
          std::string body;
          COAM_RETURN_IF_ERROR(TakeMeta(*size, op_.limits().path_bytes + 1, "path_bytes", &body));
          body.resize(std::min(body.find('\0'), body.size()));
          (header.typeflag() == 'L' ? extra.long_name : extra.long_link) = std::move(body);
          extended = true;
          if (++extensions_ > 64) {
            return Corrupt(at) << "too many extension headers before one entry at byte " << at;
          }
          continue;
        }
        case 'V':  // a volume's label
          COAM_RETURN_IF_ERROR(Skip(*size, Padding(*size)));
          continue;
        default: break;
      }
      extensions_ = 0;
      // The block may lie in the source's memory, which moves on when a sparse map is read.
      const std::string kept(block);
      COAM_RETURN_IF_ERROR(Decode(TarHeader(kept), start, at, *size, extra));
      return true;
    }
  }

  // The second block of zeros; a stream may also just end there.
  absl::StatusOr<bool> CheckEndMark(int64_t at) {
    COAM_ASSIGN_OR_RETURN(std::string_view second, in_.TakeBlock());
    if (!second.empty() && !TarHeader(second).IsZero()) {
      return Corrupt(at) << "a single block of zeros at byte " << at << " is no end of an archive";
    }
    return false;
  }

  absl::Status TakeMeta(int64_t size, int64_t max, std::string_view limit, std::string* out) {
    if (size > max) {
      return FailLimit(limit, max) << "extension header of " << size << " bytes at byte "
                                   << in_.pos() << " of an archive";
    }
    COAM_RETURN_IF_ERROR(in_.Take(static_cast<size_t>(size), out));
    if (static_cast<int64_t>(out->size()) < size) {
      return Corrupt(in_.pos()) << "archive is cut short in an extension header at byte "
                                << in_.pos();
    }
    return Skip(0, Padding(size));
  }

  static std::optional<TarType> TypeOf(char flag, std::string_view path) {
    switch (flag) {
      case '\0':
      case '0':
      case '7':  // contiguous
        return path.ends_with('/') ? TarType::kDirectory : TarType::kFile;
      case 'S':  // sparse, old GNU
        return TarType::kFile;
      case '1': return TarType::kHardlink;
      case '2': return TarType::kSymlink;
      case '3': return TarType::kCharDevice;
      case '4': return TarType::kBlockDevice;
      case '5':
      case 'D':  // directory with a list of names, GNU
        return TarType::kDirectory;
      case '6': return TarType::kFifo;
      default: return std::nullopt;
    }
  }

  struct Sparse {  // what GNU.sparse.* records said
    std::vector<TarRegion> regions;
    std::optional<int64_t> size;  // real size
    std::optional<int64_t> offset;
    std::string name;
    bool map_in_data = false, any = false, bad = false;
  };

  absl::Status Decode(const TarHeader& header, int64_t start, int64_t at, int64_t stored,
                      const Extra& extra) {
    entry_ = TarEntry();
    file_pos_ = region_pos_ = 0;
    region_ = 0;
    entry_.header_offset = start;
    entry_.path = header.Name();
    entry_.link = header.Link();
    const std::optional<int64_t> mode = header.Mode(), uid = header.Uid(), gid = header.Gid(),
                                 mtime = header.Mtime();
    if (!mode || !uid || !gid || !mtime || *uid < 0 || *gid < 0) {
      return Corrupt(at) << "a field of the tar header of " << Shown(entry_.path) << " at byte "
                         << at << " is no number";
    }
    entry_.mode = static_cast<uint32_t>(*mode) & 07777;
    entry_.uid = *uid;
    entry_.gid = *gid;
    entry_.mtime.seconds = *mtime;
    const TarFormat format = header.Format();
    if (format != TarFormat::kV7) {
      entry_.uname = header.Uname();
      entry_.gname = header.Gname();
      if (header.typeflag() == '3' || header.typeflag() == '4') {
        const std::optional<int64_t> major = header.DevMajor(), minor = header.DevMinor();
        if (!major || !minor || *major < 0 || *minor < 0 || *major > UINT32_MAX ||
            *minor > UINT32_MAX) {
          return Corrupt(at) << "the device number of " << Shown(entry_.path) << " is no number";
        }
        entry_.dev_major = static_cast<uint32_t>(*major);
        entry_.dev_minor = static_cast<uint32_t>(*minor);
      }
    }
    if (format == TarFormat::kGnu && header.typeflag() != 'S') {
      if (!header.Blank(345, 12)) TimeFrom(header.Number(345, 12), &entry_.atime);
      if (!header.Blank(357, 12)) TimeFrom(header.Number(357, 12), &entry_.ctime);
    }
    Sparse sparse;
    for (const auto& [key, value] : extra.pax) {
      COAM_RETURN_IF_ERROR(Apply(key, value, at, &stored, &sparse));
    }
    if (stored > kMaxSize) return BadRecord("size", at);
    if (extra.long_name) entry_.path = *extra.long_name;
    if (extra.long_link) entry_.link = *extra.long_link;
    if (sparse.any && !sparse.name.empty()) entry_.path = sparse.name;
    const std::optional<TarType> type = TypeOf(header.typeflag(), entry_.path);
    if (!type) {
      return Fail("archive.entry") << Shown(entry_.path) << " is of a kind that is not known ('"
                                   << absl::CHexEscape(std::string(1, header.typeflag())) << "')";
    }
    entry_.type = *type;
    COAM_RETURN_IF_ERROR(CheckNames(at));
    const bool has_data = *type == TarType::kFile || header.typeflag() == 'D';
    data_left_ = has_data ? stored : 0;
    padding_ = Padding(data_left_);
    if (*type != TarType::kHardlink && *type != TarType::kSymlink) entry_.link.clear();
    if (*type == TarType::kFile) {
      entry_.size = stored;
      if (header.typeflag() == 'S') COAM_RETURN_IF_ERROR(OldSparse(header, at, &sparse));
      if (sparse.any) COAM_RETURN_IF_ERROR(FinishSparse(at, std::move(sparse)));
    }
    entry_.data_offset = in_.pos();
    entry_.stored_size = data_left_;
    return CheckTotals();
  }

  static void TimeFrom(std::optional<int64_t> seconds, std::optional<TarTime>* out) {
    if (seconds) *out = TarTime{*seconds, 0};
  }

  absl::Status CheckNames(int64_t at) {
    const int64_t max = op_.limits().path_bytes;
    if (entry_.path.empty()) {
      return Corrupt(at) << "the entry at byte " << at << " has no name";
    }
    if (static_cast<int64_t>(std::max(entry_.path.size(), entry_.link.size())) > max) {
      return FailLimit("path_bytes", max) << "the name or target of " << Shown(entry_.path)
                                          << " is longer than " << max << " bytes";
    }
    if (entry_.path.find('\0') != entry_.path.npos || entry_.link.find('\0') != entry_.link.npos ||
        entry_.uname.find('\0') != entry_.uname.npos ||
        entry_.gname.find('\0') != entry_.gname.npos) {
      return Corrupt(at) << "a name of " << Shown(entry_.path) << " holds a NUL";
    }
    int64_t sum = 0;
    for (const auto& [name, value] : entry_.xattrs) {
      if (name.empty() || name.find('\0') != name.npos) {
        return Corrupt(at) << Shown(entry_.path) << " has an extended attribute without a name";
      }
      sum += static_cast<int64_t>(name.size() + value.size());
    }
    if (sum > op_.limits().xattr_bytes) {
      return FailLimit("xattr_bytes", op_.limits().xattr_bytes)
             << "the extended attributes of " << Shown(entry_.path) << " have " << sum << " bytes";
    }
    return absl::OkStatus();
  }

  absl::Status CheckTotals() {
    const Limits& limits = op_.limits();
    if (++files_ > limits.unpacked_files) {
      return FailLimit("unpacked_files", limits.unpacked_files)
             << "archive holds more than " << limits.unpacked_files << " entries";
    }
    if (entry_.size > limits.unpacked_bytes - bytes_) {
      return FailLimit("unpacked_bytes", limits.unpacked_bytes)
             << "archive unpacks to more than " << limits.unpacked_bytes << " bytes at "
             << Shown(entry_.path);
    }
    bytes_ += entry_.size;
    return absl::OkStatus();
  }

  // ----- PAX records

  void SetXattr(std::string name, std::string value) {
    for (auto& [have, old] : entry_.xattrs) {
      if (have == name) {
        old = std::move(value);
        return;
      }
    }
    entry_.xattrs.emplace_back(std::move(name), std::move(value));
  }

  absl::Status Apply(std::string_view key, const std::string& value, int64_t at, int64_t* stored,
                     Sparse* sparse) {
    constexpr std::string_view kSchily = "SCHILY.xattr.", kLibarchive = "LIBARCHIVE.xattr.";
    if (key.starts_with(kSchily)) {
      SetXattr(std::string(key.substr(kSchily.size())), value);
      return absl::OkStatus();
    }
    if (key.starts_with(kLibarchive)) {
      std::string decoded;
      // libarchive leaves the padding of base64 out.
      if (!absl::Base64Unescape(value, &decoded)) {
        return Corrupt(at) << "an extended attribute of " << Shown(entry_.path) << " is not base64";
      }
      SetXattr(UrlDecode(key.substr(kLibarchive.size())), std::move(decoded));
      return absl::OkStatus();
    }
    if (key.starts_with("GNU.sparse.")) return ApplySparse(key.substr(11), value, at, sparse);
    if (value.empty()) return absl::OkStatus();  // the header's own value stays
    auto number = [&](int64_t* out) -> absl::Status {
      const std::optional<int64_t> n = ParseDecimal(value);
      if (!n) return BadRecord(key, at);
      *out = *n;
      return absl::OkStatus();
    };
    auto time = [&](auto* out) -> absl::Status {
      const std::optional<TarTime> t = ParsePaxTime(value);
      if (!t) return BadRecord(key, at);
      *out = *t;
      return absl::OkStatus();
    };
    auto device = [&](uint32_t* out) -> absl::Status {
      const std::optional<int64_t> n = ParseDecimal(value);
      if (!n || *n > UINT32_MAX) return BadRecord(key, at);
      *out = static_cast<uint32_t>(*n);
      return absl::OkStatus();
    };
    if (key == "path") {
      entry_.path = value;
    } else if (key == "linkpath") {
      entry_.link = value;
    } else if (key == "uname") {
      entry_.uname = value;
    } else if (key == "gname") {
      entry_.gname = value;
    } else if (key == "size") {
      return number(stored);
    } else if (key == "uid") {
      return number(&entry_.uid);
    } else if (key == "gid") {
      return number(&entry_.gid);
    } else if (key == "mtime") {
      return time(&entry_.mtime);
    } else if (key == "atime") {
      return time(&entry_.atime);
    } else if (key == "ctime") {
      return time(&entry_.ctime);
    } else if (key == "SCHILY.devmajor") {
      return device(&entry_.dev_major);
    } else if (key == "SCHILY.devminor") {
      return device(&entry_.dev_minor);
    } else if (key != "hdrcharset" && key != "comment") {
      for (auto& [have, old] : entry_.pax) {
        if (have == key) {
          old = value;
          return absl::OkStatus();
        }
      }
      entry_.pax.emplace_back(key, value);
    }
    return absl::OkStatus();
  }

  absl::Status BadRecord(std::string_view key, int64_t at) {
    return Corrupt(at) << "the PAX record '" << absl::CHexEscape(key.substr(0, 100)) << "' of "
                       << Shown(entry_.path) << " cannot be read";
  }

  // ----- sparse files

  absl::Status ApplySparse(std::string_view key, const std::string& value, int64_t at,
                           Sparse* sparse) {
    sparse->any = true;
    if (key == "name") {
      sparse->name = value;
    } else if (key == "size" || key == "realsize") {
      sparse->size = ParseDecimal(value);
      if (!sparse->size) sparse->bad = true;
    } else if (key == "major") {
      sparse->map_in_data = value == "1";
      if (value != "1" && value != "0") sparse->bad = true;
    } else if (key == "offset") {  // 0.0: pairs of records
      sparse->offset = ParseDecimal(value);
      if (!sparse->offset) sparse->bad = true;
    } else if (key == "numbytes") {
      const std::optional<int64_t> n = ParseDecimal(value);
      if (!n || !sparse->offset) return BadRecord(absl::StrCat("GNU.sparse.", key), at);
      sparse->regions.push_back({*sparse->offset, *n});
      sparse->offset.reset();
    } else if (key == "map") {  // 0.1: one list
      sparse->regions.clear();
      std::string_view rest = value;
      std::vector<int64_t> numbers;
      while (!rest.empty()) {
        const size_t comma = rest.find(',');
        const std::optional<int64_t> n = ParseDecimal(rest.substr(0, comma));
        if (!n) return BadRecord(absl::StrCat("GNU.sparse.", key), at);
        numbers.push_back(*n);
        rest = comma == rest.npos ? std::string_view() : rest.substr(comma + 1);
      }
      if (numbers.size() % 2 != 0) return BadRecord(absl::StrCat("GNU.sparse.", key), at);
      for (size_t i = 0; i < numbers.size(); i += 2) {
        sparse->regions.push_back({numbers[i], numbers[i + 1]});
      }
    }
    if (sparse->regions.size() > kMaxRegions) sparse->bad = true;
    if (sparse->bad) return BadRecord(absl::StrCat("GNU.sparse.", key), at);
    return absl::OkStatus();
  }

  // Old GNU: four regions in the header, more in blocks that follow it.
  absl::Status OldSparse(const TarHeader& header, int64_t at, Sparse* sparse) {
    sparse->any = true;
    sparse->size = header.Number(483, 12);
    auto add = [&](const TarHeader& block, size_t first, size_t count) -> bool {
      for (size_t i = 0; i < count; ++i) {
        const size_t field = first + i * 24;
        if (block.Blank(field, 24)) break;
        const std::optional<int64_t> offset = block.Number(field, 12),
                                     size = block.Number(field + 12, 12);
        if (!offset || !size) return false;
        sparse->regions.push_back({*offset, *size});
      }
      return sparse->regions.size() <= kMaxRegions;
    };
    bool good = add(header, 386, 4);
    bool more = header.bytes()[482] != '\0';
    while (good && more) {
      COAM_ASSIGN_OR_RETURN(std::string_view block, in_.TakeBlock());
      if (block.empty()) return CutInData();
      good = add(TarHeader(block), 0, 21);
      more = block[504] != '\0';
    }
    if (!good) return BadMap(at);
    return absl::OkStatus();
  }

  absl::Status BadMap(int64_t at) {
    return Corrupt(at) << "the sparse map of " << Shown(entry_.path) << " is malformed";
  }

  // 1.0: the map stands before the data, in decimal lines, filled up to a whole block.
  absl::Status MapInData(int64_t at, Sparse* sparse) {
    std::string_view block;
    auto number = [&]() -> absl::StatusOr<int64_t> {
      std::string digits;
      for (;;) {
        if (block.empty()) {
          if (data_left_ < static_cast<int64_t>(kTarBlock)) return BadMap(at);
          COAM_ASSIGN_OR_RETURN(block, in_.TakeBlock());
          if (block.empty()) return CutInData();
          data_left_ -= kTarBlock;
        }
        const char c = block.front();
        block.remove_prefix(1);
        if (c == '\n') break;
        digits += c;
        if (digits.size() > 20) return BadMap(at);
      }
      const std::optional<int64_t> n = ParseDecimal(digits);
      if (!n) return BadMap(at);
      return *n;
    };
    COAM_ASSIGN_OR_RETURN(const int64_t count, number());
    if (count > static_cast<int64_t>(kMaxRegions)) return BadMap(at);
    sparse->regions.clear();
    for (int64_t i = 0; i < count; ++i) {
      COAM_ASSIGN_OR_RETURN(const int64_t offset, number());
      COAM_ASSIGN_OR_RETURN(const int64_t size, number());
      sparse->regions.push_back({offset, size});
    }
    return absl::OkStatus();
  }

  absl::Status FinishSparse(int64_t at, Sparse sparse) {
    if (sparse.map_in_data) COAM_RETURN_IF_ERROR(MapInData(at, &sparse));
    if (!sparse.size || *sparse.size < 0) return BadMap(at);
    entry_.size = *sparse.size;
    entry_.sparse = true;
    entry_.regions = std::move(sparse.regions);
    if (!CheckRegions(&entry_.regions, entry_.size, data_left_)) return BadMap(at);
    return absl::OkStatus();
  }

  // ----- data

  size_t Regions() const { return entry_.sparse ? entry_.regions.size() : 1; }
  TarRegion RegionAt(size_t i) const {
    return entry_.sparse ? entry_.regions[i] : TarRegion{0, entry_.size};
  }

  absl::StatusOr<Block> NextData(size_t max) {
    if (entry_.type != TarType::kFile) return Block();
    while (region_ < Regions() && region_pos_ == RegionAt(region_).size) {
      ++region_;
      region_pos_ = 0;
    }
    if (region_ >= Regions() || data_left_ == 0) return Block();
    COAM_RETURN_IF_ERROR(in_.Fill());
    if (in_.ended()) return CutInData();
    const TarRegion region = RegionAt(region_);
    const std::string_view ready = in_.ready();
    const int64_t n = std::min(
        {static_cast<int64_t>(std::min(max, ready.size())), region.size - region_pos_, data_left_});
    Block block{ready.substr(0, static_cast<size_t>(n)), region.offset + region_pos_};
    in_.Drop(static_cast<size_t>(n));
    data_left_ -= n;
    region_pos_ += n;
    file_pos_ = block.offset + n;
    if (region_pos_ == region.size) {
      ++region_;
      region_pos_ = 0;
    }
    return block;
  }

  const Op& op_;
  BlockSource in_;
  absl::Status failed_;

  TarEntry entry_;
  int64_t data_left_ = 0, padding_ = 0;  // of the entry, in the archive
  int64_t file_pos_ = 0;                 // in the file, holes included
  size_t region_ = 0;                    // the region that comes next
  int64_t region_pos_ = 0;               // in it
  int64_t files_ = 0, bytes_ = 0;
  int extensions_ = 0;
  bool ended_ = false, trailing_ = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<TarReader>> NewLeanTarReader(const Op& op,
                                                            std::unique_ptr<Reader> source) {
  return std::make_unique<LeanReader>(op, std::move(source));
}

}  // namespace coaming::base::internal
