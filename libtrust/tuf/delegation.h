// Delegation: which delegated role may speak about a target path. TUF 1.0.34 section 4.5, TAP 15.
//
// Threads: functions without state. Limits: matching costs at most the product of the two lengths.
#ifndef COAMING_LIBTRUST_TUF_DELEGATION_H_
#define COAMING_LIBTRUST_TUF_DELEGATION_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "libtrust/tuf/metadata.h"

namespace coaming::trust::tuf {

// MatchPattern compares component by component: the same number of '/', and in each component the
// shell's * ? [seq] [!seq], case-sensitive, without escapes; * also takes nothing and leading dots.
bool MatchPattern(std::string_view pattern, std::string_view path);
// MatchesRole is true if the role's paths or hash prefixes cover the path.
bool MatchesRole(const DelegatedRole& role, std::string_view path);
// BinName is the bin of a path: the prefix, a dash, and the number in hex of the width of the last.
std::string BinName(const SuccinctRoles& roles, std::string_view path);
// BinAt is the name of bin `index`.
std::string BinAt(const SuccinctRoles& roles, uint64_t index);
// IsBin tells whether a role name is one of the bins.
bool IsBin(const SuccinctRoles& roles, std::string_view name);

// RolesFor lists the roles that cover a path, in order, each with whether it is terminating. Bins are
// terminating, as python-tuf and go-tuf have them.
std::vector<std::pair<std::string, bool>> RolesFor(const Delegations& delegations,
                                                   std::string_view path);
// FindRole gives the keys of a delegated role, or nullptr.
const RoleKeys* FindRole(const Delegations& delegations, std::string_view name);

// FileName is a role's name as one component of a URL or file: everything outside [A-Za-z0-9._-] is
// percent-encoded, so that no name leads elsewhere. "." and ".." come out encoded too.
std::string FileName(std::string_view role);

}  // namespace coaming::trust::tuf

#endif  // COAMING_LIBTRUST_TUF_DELEGATION_H_
