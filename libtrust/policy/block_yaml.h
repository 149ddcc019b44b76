// The part of YAML 1.2 that configuration files of mappings and scalars are written in. Private to
// libtrust/policy.
//
// Block mappings, plain and quoted scalars, comments, one document; `{}` and a mapping in JSON. Lists,
// anchors, tags, folded text and several documents are refused, never guessed at. Threads: a function.
// Limits: manifest_bytes, nesting of 8. Errors: policy.invalid with `file` and the line.
#ifndef COAMING_LIBTRUST_POLICY_BLOCK_YAML_H_
#define COAMING_LIBTRUST_POLICY_BLOCK_YAML_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "base/json/value.h"

namespace coaming::trust {

// ParseBlockYaml gives an object; true, false and null by their meaning, all other scalars as strings.
absl::StatusOr<base::json::Value> ParseBlockYaml(std::string_view file, std::string_view text);

}  // namespace coaming::trust

#endif  // COAMING_LIBTRUST_POLICY_BLOCK_YAML_H_
