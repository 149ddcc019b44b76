// The table of requirement types: where a new signature scheme is put in (docs/NEW-SIGNATURE.md).
#ifndef COAMING_LIBTRUST_POLICY_TABLE_H_
#define COAMING_LIBTRUST_POLICY_TABLE_H_

#include <string_view>
#include <vector>

#include "libtrust/policy/policy.h"

namespace coaming::trust {

struct RequirementInput {
  const Requirement& requirement;
  const PolicyImage& image;
  const std::vector<PolicySignature>& signatures;
  KeySource& keys;
  const base::Op& op;
};

struct RequirementRow {
  Requirement::Kind kind;
  std::string_view type;  // as policy.json writes it
  // OK if the requirement holds for the image.
  absl::Status (*check)(const RequirementInput& in);
};

// FindRequirement gives the row of a kind; there is one for each.
const RequirementRow* FindRequirement(Requirement::Kind kind);

}  // namespace coaming::trust

#endif  // COAMING_LIBTRUST_POLICY_TABLE_H_
