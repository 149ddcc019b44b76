#include "liboci/layer/ids.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "base/core/error.h"

namespace coaming::oci {
namespace {

constexpr int64_t kMaxId = 0xfffffffe;  // the last 32-bit value means "no change" to the kernel

std::optional<uint32_t> ToHost(const std::vector<IdRange>& ranges, int64_t id) {
  if (id < 0 || id > kMaxId) return std::nullopt;
  if (ranges.empty()) return static_cast<uint32_t>(id);
  for (const IdRange& r : ranges) {
    if (id < r.container || id - r.container >= r.size) continue;
    int64_t host = r.host + (id - r.container);
    if (host < 0 || host > kMaxId) return std::nullopt;
    return static_cast<uint32_t>(host);
  }
  return std::nullopt;
}

std::optional<int64_t> ToContainer(const std::vector<IdRange>& ranges, uint32_t id) {
  if (ranges.empty()) return int64_t{id};
  for (const IdRange& r : ranges) {
    if (id >= r.host && id - r.host < r.size) return r.container + (id - r.host);
  }
  return std::nullopt;
}

}  // namespace

std::optional<uint32_t> IdMapping::HostUid(int64_t uid) const { return ToHost(uids, uid); }
std::optional<uint32_t> IdMapping::HostGid(int64_t gid) const { return ToHost(gids, gid); }
std::optional<int64_t> IdMapping::ContainerUid(uint32_t uid) const {
  return ToContainer(uids, uid);
}
std::optional<int64_t> IdMapping::ContainerGid(uint32_t gid) const {
  return ToContainer(gids, gid);
}

absl::StatusOr<IdRange> ParseIdRange(std::string_view text) {
  std::vector<std::string_view> parts = absl::StrSplit(text, ':');
  IdRange r;
  r.size = 1;
  bool good = (parts.size() == 2 || parts.size() == 3) &&
              absl::SimpleAtoi(parts[0], &r.container) && absl::SimpleAtoi(parts[1], &r.host) &&
              (parts.size() == 2 || absl::SimpleAtoi(parts[2], &r.size));
  if (!good || r.container < 0 || r.host < 0 || r.size < 1 || r.container > kMaxId ||
      r.host > kMaxId || r.size > kMaxId + 1) {
    return base::Fail("core.invalid_argument")
           << "\"" << text.substr(0, 80) << "\" is not CONTAINER-ID:HOST-ID[:SIZE]";
  }
  return r;
}

}  // namespace coaming::oci
