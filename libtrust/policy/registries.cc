#include "libtrust/policy/registries.h"

#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "libtrust/policy/block_yaml.h"
#include "libtrust/policy/reference.h"

namespace coaming::trust {
namespace {

using base::json::Member;
using base::json::Value;

absl::Status Bad(std::string_view file, std::string_view why) {
  return base::Fail("policy.invalid") << file << ": " << why;
}

// Reads a URL; the first of the two keys that says something counts.
absl::Status ReadUrl(std::string_view where, const Value& entry, std::string_view key,
                     std::string_view old_key, std::string* out) {
  for (std::string_view name : {key, old_key}) {
    const Value* v = entry.Find(name);
    if (v == nullptr || v->is_null()) continue;
    if (!v->is_string()) return Bad(where, absl::StrCat(name, " must be a URL"));
    if (v->as_string().empty()) continue;
    const std::string& url = v->as_string();
    if (!absl::StartsWith(url, "file:///") && !absl::StartsWith(url, "http://") &&
        !absl::StartsWith(url, "https://")) {
      return Bad(where, absl::StrCat(name, " must begin with file:///, http:// or https://"));
    }
    *out = url;
    while (absl::EndsWith(*out, "/")) out->pop_back();
    return absl::OkStatus();
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status SignatureStores::Add(std::string_view file, std::string_view text) {
  const auto read = [](std::string_view where, const Value& v) -> absl::StatusOr<Entry> {
    Entry out;
    if (v.is_null()) return out;
    if (!v.is_object()) return Bad(where, "want a mapping");
    COAM_RETURN_IF_ERROR(ReadUrl(where, v, "lookaside", "sigstore", &out.lookaside));
    COAM_RETURN_IF_ERROR(ReadUrl(where, v, "lookaside-staging", "sigstore-staging", &out.staging));
    if (const Value* use = v.Find("use-sigstore-attachments"); use != nullptr && !use->is_null()) {
      if (!use->is_bool()) return Bad(where, "use-sigstore-attachments must be true or false");
      out.attachments = use->as_bool();
    }
    return out;
  };
  COAM_ASSIGN_OR_RETURN(const Value document, ParseBlockYaml(file, text));
  if (const Value* v = document.Find("default-docker"); v != nullptr && !v->is_null()) {
    if (default_.has_value()) return Bad(file, "default-docker is set in an earlier file already");
    COAM_ASSIGN_OR_RETURN(default_, read(absl::StrCat(file, ": default-docker"), *v));
  }
  const Value* docker = document.Find("docker");
  if (docker == nullptr || docker->is_null()) return absl::OkStatus();
  if (!docker->is_object()) return Bad(file, "docker must be a mapping of scopes");
  for (const Member& scope : docker->members()) {
    std::string where = absl::StrCat(file, ": docker ", scope.key);
    COAM_ASSIGN_OR_RETURN(Entry entry, read(where, scope.value));
    if (!scopes_.emplace(scope.key, std::move(entry)).second) {
      return Bad(where, "it is set in an earlier file already");
    }
  }
  return absl::OkStatus();
}

SignatureStore SignatureStores::For(std::string_view docker_name) const {
  std::vector<const Entry*> entries;  // the narrowest first
  for (const std::string& scope : PolicyScopes("docker", docker_name)) {
    auto it = scopes_.find(scope);
    if (it != scopes_.end()) entries.push_back(&it->second);
  }
  if (default_.has_value()) entries.push_back(&*default_);
  SignatureStore out;
  bool said = false;
  for (const Entry* entry : entries) {
    // A scope's own lookaside is narrower than a staging place of a wider one.
    if (out.staging.empty()) {
      out.staging = entry->staging.empty() ? entry->lookaside : entry->staging;
    }
    if (out.lookaside.empty()) out.lookaside = entry->lookaside;
    if (!said && entry->attachments.has_value()) {
      said = true;
      out.sigstore_attachments = *entry->attachments;
    }
  }
  return out;
}

}  // namespace coaming::trust
