// Collection: what is trusted of one repository, all roles together, and who may say what in it.
//
//   for (const Named& t : collection.List({}))  ...                       // all targets
//   const auto tag = collection.Find("3.20", {"targets/releases", "targets"});
//
// A target counts only in roles on whose whole chain its name has an allowed prefix. Roles are walked
// breadth first in the order of the files, as the Go client does; the first that names a target wins.
// Ownership: a value. Threads: [immutable] while const. Limits: tuf_delegations roles in all.
#ifndef COAMING_LIBTRUST_NOTARY_COLLECTION_H_
#define COAMING_LIBTRUST_NOTARY_COLLECTION_H_

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libtrust/notary/metadata.h"

namespace coaming::trust::notary {

struct Named {
  std::string name, role;
  FileMeta meta;
};

// How docker's tools look at a repository: released tags first, then what targets itself names.
inline const std::vector<std::string> kReleaseRoles = {"targets/releases", "targets"};

struct Collection {
  std::string gun;
  Metadata root;
  std::optional<Metadata> timestamp, snapshot;
  std::map<std::string, Metadata> targets;  // "targets" and the delegations that are valid
  // Delegations that cannot be trusted now: too few signatures, or expired. Only Witness reads them.
  std::map<std::string, Metadata> invalid;

  // Children gives the delegations of a loaded role with their paths cut to what `allowed` covers.
  std::vector<Delegation> Children(std::string_view role,
                                   const std::vector<std::string>& allowed) const;
  // The delegation as its parent has it, loaded or not; nullptr if no loaded role names it.
  const Delegation* FindDelegation(std::string_view role) const;
  // Keys and threshold of a base role or delegation, and the map the keys are in; false if unknown.
  bool KeysOf(std::string_view role, RoleKeys* role_keys, std::vector<Key>* keys) const;

  // Walk visits the loaded roles at and beneath `start` ("": all) that may name `target` ("": any), but
  // not those in `skip`; `visit` returns false to stop.
  void Walk(std::string_view target, std::string_view start, const std::vector<std::string>& skip,
            const std::function<bool(const Metadata&, const Delegation&)>& visit) const;

  // List gives each name once, by the first role that has it; `roles` in order of priority, none:
  // "targets" and all beneath. With `only_named` a name that is found in another role than those, though
  // beneath them, does not count: docker's rule.
  std::vector<Named> List(const std::vector<std::string>& roles, bool only_named = false) const;
  std::optional<Named> Find(std::string_view name, const std::vector<std::string>& roles,
                            bool only_named = false) const;
  // FindAll gives the entry of every role that names the target ("": all targets).
  std::vector<Named> FindAll(std::string_view name) const;
};

// StartsWithAny is how Notary's paths match.
bool StartsWithAny(std::string_view name, const std::vector<std::string>& prefixes);

// Reports as JSON text, for the C ABI and the tool.
// {"schema":"coam.notary.target.v1","name","role","length","digest":"sha256:...","hashes":{...},"custom"}
std::string TargetToJson(const Named& target);
// {"schema":"coam.notary.targets.v1","gun","targets":[...]}
std::string TargetsToJson(const Collection& collection, const std::vector<Named>& targets);
// {"schema":"coam.notary.state.v1","gun","roles":[{"role","version","expires","threshold","keys":
// [{"id","keyId","type"}],"signedBy":[...],"paths","valid"}]}: id is the canonical one, keyId that in the
// file.
std::string StateToJson(const Collection& collection);
// {"schema":"coam.notary.roles.v1","gun","name","roles":[...]}
std::string SignedRolesToJson(std::string_view gun, std::string_view name,
                              const std::vector<std::string>& roles);

}  // namespace coaming::trust::notary

#endif  // COAMING_LIBTRUST_NOTARY_COLLECTION_H_
