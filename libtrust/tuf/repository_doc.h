// Private to libtrust/tuf: a role's document while the repository side works on it.
#ifndef COAMING_LIBTRUST_TUF_REPOSITORY_DOC_H_
#define COAMING_LIBTRUST_TUF_REPOSITORY_DOC_H_

#include <map>
#include <string>
#include <string_view>

#include "base/json/value.h"
#include "libtrust/tuf/repository.h"

namespace coaming::trust::tuf {

struct Repository::Doc {
  std::string role;
  Role kind = Role::kTargets;
  base::json::Value json;  // the envelope
  Metadata metadata;       // as it was read
  bool staged = false;

  base::json::Value& Signed() { return *json.FindMutable("signed"); }
  int64_t Version() const { return json.FindIn("signed", "version")->as_int64().value_or(0); }
  // The delegations object, made if missing.
  base::json::Value* Delegations();
};

// A targets role that the walk from the top found, with its delegator.
struct Repository::Found {
  Doc doc;
  std::string delegator;  // "root" for targets
};

// Whose signatures a document needs.
struct Repository::Signing {
  std::map<std::string, Key> keys;
  RoleKeys role;
};

}  // namespace coaming::trust::tuf

#endif  // COAMING_LIBTRUST_TUF_REPOSITORY_DOC_H_
