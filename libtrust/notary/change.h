// Change: one entry of the list of what is to be published next, in the form of Notary's changelist files.
//
// Threads: values. Limits: manifest_bytes for one change.
#ifndef COAMING_LIBTRUST_NOTARY_CHANGE_H_
#define COAMING_LIBTRUST_NOTARY_CHANGE_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "libtrust/notary/metadata.h"

namespace coaming::trust::notary {

struct Change {
  std::string action;  // "create", "update", "delete"
  std::string role;    // "targets", "targets/releases", "targets/*" for a purge, "root"
  std::string type;    // "target", "delegation", "witness", "role" (keys of a base role)
  std::string path;    // the target's name
  std::string data;    // JSON; "" for none
};

std::string WriteChange(const Change& change);
// ReadChange reads a changelist file. Errors: notary.change.
absl::StatusOr<Change> ReadChange(std::string_view text);
// ChangesToJson: {"schema":"coam.notary.changes.v1","gun","changes":[{"action","role","type","path"}]}
std::string ChangesToJson(std::string_view gun, const std::vector<Change>& changes);

// AddTarget is the change that adds or replaces a target.
Change AddTarget(std::string_view role, std::string_view name, const FileMeta& meta);
// ParseCustom reads JSON to sign beside a target. Errors: json.*.
absl::StatusOr<base::json::Value> ParseCustom(std::string_view text);

// What a change of a delegation says.
struct DelegationChange {
  int64_t threshold = 0;                 // of a new role; 0: none is made
  std::vector<Key> add_keys;             // public keys or certificates
  std::vector<std::string> remove_keys;  // canonical ids
  std::vector<std::string> add_paths, remove_paths;
  bool clear_paths = false;
};
std::string WriteDelegationChange(const DelegationChange& change);
absl::StatusOr<DelegationChange> ReadDelegationChange(std::string_view text);

// The keys that replace those of a base role.
std::string WriteRoleChange(std::string_view role, const std::vector<Key>& keys);
absl::StatusOr<std::vector<Key>> ReadRoleChange(std::string_view text);

}  // namespace coaming::trust::notary

#endif  // COAMING_LIBTRUST_NOTARY_CHANGE_H_
