// Mounts with mapped ids: which map a mount gets.
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/core/status_macros.h"
#include "liboci/runtime/isolators/isolator.h"
#include "liboci/runtime/mount_options.h"

namespace coaming::run {

namespace {

std::string Text(const std::vector<IdMap>& maps) {
  std::string text;
  for (const IdMap& m : maps)
    absl::StrAppend(&text, m.container_id, " ", m.host_id, " ", m.size, "\n");
  return text;
}

// crun's form: "0-1-10#10-11-10", with a "@" in front of numbers that are the container's.
absl::StatusOr<std::vector<IdMap>> ReadMaps(std::string_view at, std::string_view text,
                                            const std::vector<IdMap>& container) {
  const bool relative = absl::StartsWith(text, "@");
  if (relative) text.remove_prefix(1);
  std::vector<IdMap> maps;
  for (std::string_view range : absl::StrSplit(text, '#')) {
    std::vector<std::string_view> parts = absl::StrSplit(range, '-');
    IdMap m;
    if (parts.size() != 3 || !absl::SimpleAtoi(parts[0], &m.container_id) ||
        !absl::SimpleAtoi(parts[1], &m.host_id) || !absl::SimpleAtoi(parts[2], &m.size) ||
        m.size == 0)
      return FailSpec(at, absl::StrCat("idmap: \"", range, "\" is not FROM-TO-LENGTH"));
    if (relative) {
      bool found = false;
      for (const IdMap& c : container)
        if (m.host_id >= c.container_id && m.host_id - c.container_id < c.size) {
          m.host_id = c.host_id + (m.host_id - c.container_id);
          found = true;
          break;
        }
      if (!found)
        return FailSpec(at, absl::StrCat("idmap: ", m.host_id, " is not mapped in the container"));
    }
    maps.push_back(m);
  }
  return maps;
}

}  // namespace

absl::Status AddIdMap(const PlanInput& in, const Mount& m, const MountOptions& o,
                      std::string_view at, Plan::Slot* slot) {
  const Linux& lin = in.spec->linux_;
  std::vector<IdMap> uids = m.uid_mappings, gids = m.gid_mappings;
  const Namespace* user = in.spec->FindNamespace("user");
  if (!o.idmap_ranges.empty()) {
    for (std::string_view part : absl::StrSplit(o.idmap_ranges, ';')) {
      const bool is_uids = absl::ConsumePrefix(&part, "uids=");
      if (!is_uids && !absl::ConsumePrefix(&part, "gids="))
        return FailSpec(at, "idmap takes uids= and gids=");
      COAM_ASSIGN_OR_RETURN((is_uids ? uids : gids),
                            ReadMaps(at, part, is_uids ? lin.uid_mappings : lin.gid_mappings));
    }
    if (uids.empty() || gids.empty()) return FailSpec(at, "idmap needs both uids= and gids=");
  } else if (uids.empty()) {
    if (user == nullptr)
      return FailSpec(at, "idmap needs mappings of the mount or a user namespace");
    uids = lin.uid_mappings;
    gids = lin.gid_mappings;
    if (!user->path.empty()) slot->user_namespace = user->path;
  }
  slot->uid_map = Text(uids);
  slot->gid_map = Text(gids);
  if (o.idmap_recursive) slot->arg |= Plan::Slot::kMapRecursive;
  return absl::OkStatus();
}

}  // namespace coaming::run
