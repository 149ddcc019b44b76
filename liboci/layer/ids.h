// How the owners in a layer become owners on disk: as they are, through a mapping of a user namespace,
// or all to the caller.
//
// Follows runtime-spec, config-linux.md, "User namespace mappings". Threads: [immutable]. Ownership:
// values. Hostile input: an id outside every range is layer.owner, never another user's id.
#ifndef COAMING_LIBOCI_LAYER_IDS_H_
#define COAMING_LIBOCI_LAYER_IDS_H_

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace coaming::oci {

struct IdRange {
  int64_t container = 0, host = 0, size = 0;
};

struct IdMapping {
  std::vector<IdRange> uids, gids;  // empty: as they are
  // Everything belongs to the caller (rootless without subordinate ids); owners, set-id bits that
  // would be wrong and devices are dropped with one note each kind.
  bool all_to_caller = false;

  bool identity() const { return uids.empty() && gids.empty() && !all_to_caller; }
  // The host's id, or nullopt if no range has it.
  std::optional<uint32_t> HostUid(int64_t uid) const;
  std::optional<uint32_t> HostGid(int64_t gid) const;
  // The reverse, for making layers.
  std::optional<int64_t> ContainerUid(uint32_t uid) const;
  std::optional<int64_t> ContainerGid(uint32_t gid) const;
};

// ParseIdRange reads "CONTAINER:HOST:SIZE" (size 1 if left out). Errors: core.invalid_argument.
absl::StatusOr<IdRange> ParseIdRange(std::string_view text);

}  // namespace coaming::oci

#endif  // COAMING_LIBOCI_LAYER_IDS_H_
