// The fields of tar's 512-byte header and of PAX records, decoded with every bound checked. Pure
// functions over bytes; private to the package.
#ifndef COAMING_BASE_ARCHIVE_HEADER_H_
#define COAMING_BASE_ARCHIVE_HEADER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/archive/tar.h"

namespace coaming::base::internal {

inline constexpr size_t kTarBlock = 512;

enum class TarFormat { kV7, kUstar, kStar, kGnu };

// TarHeader looks into one block; it must stay alive.
class TarHeader {
 public:
  explicit TarHeader(std::string_view block) : b_(block) {}  // exactly kTarBlock bytes
  bool IsZero() const;
  bool ChecksumFits() const;
  TarFormat Format() const;
  char typeflag() const { return b_[156]; }
  // Name is the name field, with the prefix of ustar and star before it.
  std::string Name() const;
  std::string Link() const { return Text(157, 100); }
  std::string Uname() const { return Text(265, 32); }
  std::string Gname() const { return Text(297, 32); }
  // Numbers are octal or base-256; nullopt if neither. Blank is zero.
  std::optional<int64_t> Mode() const { return Number(100, 8); }
  std::optional<int64_t> Uid() const { return Number(108, 8); }
  std::optional<int64_t> Gid() const { return Number(116, 8); }
  std::optional<int64_t> Size() const { return Number(124, 12); }
  std::optional<int64_t> Mtime() const { return Number(136, 12); }
  std::optional<int64_t> DevMajor() const { return Number(329, 8); }
  std::optional<int64_t> DevMinor() const { return Number(337, 8); }
  std::optional<int64_t> Number(size_t at, size_t size) const;
  std::string Text(size_t at, size_t size) const;  // up to the first NUL
  bool Blank(size_t at, size_t size) const;        // only NULs and spaces
  std::string_view bytes() const { return b_; }

 private:
  std::string_view b_;
};

using PaxRecords = std::vector<std::pair<std::string, std::string>>;

// ParsePax reads "LEN KEY=VALUE\n" records; nullopt if they are malformed.
std::optional<PaxRecords> ParsePax(std::string_view bytes);
// ParsePaxTime reads "-12.345"; digits past nanoseconds are cut off.
std::optional<TarTime> ParsePaxTime(std::string_view text);
// ParseDecimal reads digits only, at most INT64_MAX.
std::optional<int64_t> ParseDecimal(std::string_view text);
// UrlDecode undoes %XX; bytes that are no escape stay.
std::string UrlDecode(std::string_view text);

// CheckRegions sorts nothing: it demands order, no overlap, nothing past `size`, and that the regions
// hold `stored` bytes in all. Empty regions are dropped.
bool CheckRegions(std::vector<TarRegion>* regions, int64_t size, int64_t stored);

}  // namespace coaming::base::internal

#endif  // COAMING_BASE_ARCHIVE_HEADER_H_
