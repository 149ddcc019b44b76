#include "libtrust/policy/policy.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/digest/digest.h"
#include "base/json/json.h"
#include "libtrust/keys/keys.h"
#include "libtrust/policy/simple_signing.h"
#include "libtrust/policy/table.h"

namespace coaming::trust {

using base::Fail;
using base::json::Member;
using base::json::Value;

namespace {

absl::Status Invalid(std::string_view where, std::string_view why) {
  return Fail("policy.invalid") << "policy: " << where << ": " << why;
}

// Names the first member that is not among those known, or "".
std::string Unknown(const Value& object, std::initializer_list<std::string_view> known) {
  for (const Member& m : object.members())
    if (std::find(known.begin(), known.end(), m.key) == known.end()) return m.key;
  return "";
}

absl::Status ReadString(const Value& object, std::string_view key, std::string_view where,
                        std::string* out) {
  const Value* v = object.Find(key);
  if (v == nullptr || !v->is_string() || v->as_string().empty())
    return Invalid(where, absl::StrCat(key, " must be a text"));
  *out = v->as_string();
  return absl::OkStatus();
}

absl::Status ReadIdentity(const Value& v, std::string_view where, Requirement* out) {
  static constexpr std::pair<std::string_view, IdentityMatch> kPlain[] = {
      {"matchExact", IdentityMatch::kExact},
      {"matchRepoDigestOrExact", IdentityMatch::kRepoDigestOrExact},
      {"matchRepository", IdentityMatch::kRepository}};
  std::string type;
  if (!v.is_object()) return Invalid(where, "signedIdentity must be an object");
  COAM_RETURN_IF_ERROR(ReadString(v, "type", where, &type));
  for (const auto& [name, match] : kPlain) {
    if (type != name) continue;
    if (std::string extra = Unknown(v, {"type"}); !extra.empty())
      return Invalid(where, absl::StrCat("unknown member ", extra, " in signedIdentity"));
    out->match = match;
    return absl::OkStatus();
  }
  if (type == "exactReference" || type == "exactRepository") {
    bool reference = type == "exactReference";
    std::string_view key = reference ? "dockerReference" : "dockerRepository";
    if (std::string extra = Unknown(v, {"type", key}); !extra.empty())
      return Invalid(where, absl::StrCat("unknown member ", extra, " in signedIdentity"));
    COAM_RETURN_IF_ERROR(ReadString(v, key, where, &out->reference));
    std::optional<DockerName> name = ParseDockerName(out->reference);
    if (!name || (reference ? name->IsNameOnly() : !name->IsNameOnly()))
      return Invalid(where, absl::StrCat(key, " is not of the form that ", type, " needs"));
    out->match = reference ? IdentityMatch::kExactReference : IdentityMatch::kExactRepository;
    return absl::OkStatus();
  }
  if (type == "remapIdentity") {
    if (std::string extra = Unknown(v, {"type", "prefix", "signedPrefix"}); !extra.empty())
      return Invalid(where, absl::StrCat("unknown member ", extra, " in signedIdentity"));
    COAM_RETURN_IF_ERROR(ReadString(v, "prefix", where, &out->prefix));
    COAM_RETURN_IF_ERROR(ReadString(v, "signedPrefix", where, &out->signed_prefix));
    if (!IsRemapPrefix(out->prefix) || !IsRemapPrefix(out->signed_prefix))
      return Invalid(where, "prefix and signedPrefix must be HOST[:PORT] or names beneath one");
    out->match = IdentityMatch::kRemap;
    return absl::OkStatus();
  }
  return Invalid(where, absl::StrCat("unknown signedIdentity ", type));
}

absl::Status Decode(const std::string& text, std::string_view where, Requirement* out) {
  std::string bytes;
  if (!absl::Base64Unescape(text, &bytes) || bytes.empty())
    return Invalid(where, "keyData is not base64");
  out->key_datas.push_back(std::move(bytes));
  return absl::OkStatus();
}

// Reads the one of keyPath, keyPaths, keyData, keyDatas that is there; says in `found` how many are.
absl::Status ReadKeySources(const Value& v, std::string_view where, Requirement* out, int* found) {
  *found = 0;
  for (std::string_view key : {"keyPath", "keyData"}) {
    if (v.Find(key) == nullptr) continue;
    ++*found;
    std::string text;
    COAM_RETURN_IF_ERROR(ReadString(v, key, where, &text));
    if (key == "keyPath") {
      out->key_paths.push_back(text);
    } else {
      COAM_RETURN_IF_ERROR(Decode(text, where, out));
    }
  }
  for (std::string_view key : {"keyPaths", "keyDatas"}) {
    const Value* list = v.Find(key);
    if (list == nullptr) continue;
    ++*found;
    if (!list->is_array() || list->empty()) return Invalid(where, absl::StrCat(key, " is empty"));
    for (const Value& item : list->items()) {
      if (!item.is_string() || item.as_string().empty())
        return Invalid(where, absl::StrCat(key, " must hold texts"));
      if (key == "keyPaths") {
        out->key_paths.push_back(item.as_string());
      } else {
        COAM_RETURN_IF_ERROR(Decode(item.as_string(), where, out));
      }
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Requirement> ReadRequirement(const Value& v, std::string_view where) {
  Requirement out;
  if (!v.is_object()) return Invalid(where, "a requirement must be an object");
  std::string type, extra;
  COAM_RETURN_IF_ERROR(ReadString(v, "type", where, &type));
  int sources = 0;
  if (type == "insecureAcceptAnything" || type == "reject") {
    extra = Unknown(v, {"type"});
    out.kind = type == "reject" ? Requirement::Kind::kReject : Requirement::Kind::kAccept;
  } else if (type == "signedBy") {
    extra = Unknown(v, {"type", "keyType", "keyPath", "keyPaths", "keyData", "signedIdentity"});
    out.kind = Requirement::Kind::kSignedBy;
    COAM_RETURN_IF_ERROR(ReadString(v, "keyType", where, &out.key_type));
    static constexpr std::string_view kTypes[] = {"GPGKeys", "signedByGPGKeys", "X509Certificates",
                                                  "signedByX509CAs"};
    if (std::find(std::begin(kTypes), std::end(kTypes), out.key_type) == std::end(kTypes))
      return Invalid(where, absl::StrCat("unknown keyType ", out.key_type));
    if (out.key_type != "GPGKeys") out.unsupported = absl::StrCat("keyType ", out.key_type);
    COAM_RETURN_IF_ERROR(ReadKeySources(v, where, &out, &sources));
    if (sources != 1) return Invalid(where, "want one of keyPath, keyPaths and keyData");
  } else if (type == "sigstoreSigned") {
    extra = Unknown(v, {"type", "keyPath", "keyPaths", "keyData", "keyDatas", "fulcio", "pki",
                        "rekorPublicKeyPath", "rekorPublicKeyPaths", "rekorPublicKeyData",
                        "rekorPublicKeyDatas", "signedIdentity"});
    out.kind = Requirement::Kind::kSigstoreSigned;
    COAM_RETURN_IF_ERROR(ReadKeySources(v, where, &out, &sources));
    for (std::string_view key : {"fulcio", "pki"}) {
      if (v.Find(key) == nullptr) continue;
      ++sources;
      out.unsupported = std::string(key);
    }
    for (std::string_view key :
         {"rekorPublicKeyPath", "rekorPublicKeyPaths", "rekorPublicKeyData", "rekorPublicKeyDatas"})
      if (v.Find(key) != nullptr) out.unsupported = "rekor";
    if (sources != 1)
      return Invalid(where, "want one of keyPath, keyPaths, keyData, keyDatas, fulcio and pki");
  } else {
    return Invalid(where, absl::StrCat("unknown requirement type ", type));
  }
  if (!extra.empty()) return Invalid(where, absl::StrCat("unknown member ", extra));
  if (const Value* identity = v.Find("signedIdentity"))
    COAM_RETURN_IF_ERROR(ReadIdentity(*identity, where, &out));
  return out;
}

absl::StatusOr<std::vector<Requirement>> ReadRequirements(const Value& v, std::string_view where) {
  std::vector<Requirement> out;
  if (!v.is_array() || v.empty())
    return Invalid(where, "want a list with at least one requirement");
  for (const Value& item : v.items()) {
    COAM_ASSIGN_OR_RETURN(Requirement r, ReadRequirement(item, where));
    out.push_back(std::move(r));
  }
  return out;
}

// A scope that could never be met is a mistake where images are paths. Docker's are taken as they are: a
// wildcard that is no *.DOMAIN stands for itself.
absl::Status CheckScope(std::string_view transport, std::string_view scope,
                        std::string_view where) {
  if (scope.empty()) return absl::OkStatus();
  if (transport == "docker-archive") return Invalid(where, "the only scope there is \"\"");
  if (transport != "dir" && transport != "oci" && transport != "oci-archive")
    return absl::OkStatus();
  if (scope[0] != '/' || scope == "/") return Invalid(where, "want an absolute path, or \"\"");
  for (std::string_view part : absl::StrSplit(scope.substr(1), '/')) {
    if (part.empty() || part == "." || part == "..")
      return Invalid(where, "the path is not in its shortest form");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<TrustPolicy> TrustPolicy::Parse(std::string_view json) {
  TrustPolicy out;
  auto parsed = base::json::ParseObject(json);
  if (!parsed.ok()) return Invalid("the file", base::GetError(parsed.status()).message);
  if (std::string extra = Unknown(*parsed, {"default", "transports"}); !extra.empty())
    return Invalid("the file", absl::StrCat("unknown member ", extra));
  const Value* fallback = parsed->Find("default");
  if (fallback == nullptr) return Invalid("the file", "the member default is missing");
  COAM_ASSIGN_OR_RETURN(out.default_, ReadRequirements(*fallback, "default"));
  const Value* transports = parsed->Find("transports");
  if (transports == nullptr) return out;
  if (!transports->is_object()) return Invalid("transports", "want an object");
  for (const Member& transport : transports->members()) {
    if (!transport.value.is_object()) return Invalid(transport.key, "want an object");
    auto& scopes = out.transports_[transport.key];
    for (const Member& scope : transport.value.members()) {
      std::string where = absl::StrCat(transport.key, " '", scope.key, "'");
      COAM_RETURN_IF_ERROR(CheckScope(transport.key, scope.key, where));
      COAM_ASSIGN_OR_RETURN(scopes[scope.key], ReadRequirements(scope.value, where));
    }
  }
  return out;
}

TrustPolicy::Found TrustPolicy::Find(const PolicyImage& image) const {
  auto transport = transports_.find(image.transport);
  if (transport != transports_.end()) {
    std::vector<std::string> scopes = PolicyScopes(image.transport, image.name);
    scopes.emplace_back();
    for (const std::string& scope : scopes) {
      auto found = transport->second.find(scope);
      if (found != transport->second.end())
        return {&found->second, absl::StrCat(image.transport, ":", scope)};
    }
  }
  return {&default_, "default"};
}

const std::vector<Requirement>& TrustPolicy::RequirementsFor(const PolicyImage& image) const {
  return *Find(image).requirements;
}

bool TrustPolicy::NeedsSignatures(const PolicyImage& image) const {
  const std::vector<Requirement>& all = RequirementsFor(image);
  return std::any_of(all.begin(), all.end(), [](const Requirement& r) {
    return r.kind == Requirement::Kind::kSignedBy || r.kind == Requirement::Kind::kSigstoreSigned;
  });
}

bool MatchesIdentity(const Requirement& requirement, std::string_view signed_name,
                     const PolicyImage& image) {
  std::optional<DockerName> theirs = ParseDockerName(signed_name);
  if (!theirs) return false;
  if (requirement.match == IdentityMatch::kExactReference ||
      requirement.match == IdentityMatch::kExactRepository) {
    std::optional<DockerName> want = ParseDockerName(requirement.reference);
    if (!want || want->repository != theirs->repository) return false;
    if (requirement.match == IdentityMatch::kExactRepository) return true;
    return want->ToString() == theirs->ToString();
  }
  std::optional<DockerName> ours;
  if (image.transport == "docker" || image.transport == "atomic")
    ours = ParseDockerName(image.name);
  if (!ours) return false;  // an image without a name of its own needs an exact requirement
  if (ours->IsNameOnly()) ours->tag = "latest";
  if (requirement.match == IdentityMatch::kRemap) {
    const std::string& name = ours->repository;
    // The prefix must end where a component ends.
    if (absl::StartsWith(name, requirement.prefix) &&
        (name.size() == requirement.prefix.size() || name[requirement.prefix.size()] == '/')) {
      ours = ParseDockerName(absl::StrCat(requirement.signed_prefix,
                                          ours->ToString().substr(requirement.prefix.size())));
      if (!ours) return false;
    }
  }
  if (ours->repository != theirs->repository) return false;
  if (requirement.match == IdentityMatch::kRepository) return true;
  // A digest says by itself which image it is; then the repository suffices.
  if (requirement.match != IdentityMatch::kExact && !ours->digest.empty()) return true;
  if (theirs->IsNameOnly()) return false;
  return ours->ToString() == theirs->ToString();
}

PolicyDecision TrustPolicy::Decide(const PolicyImage& image,
                                   const std::vector<PolicySignature>& signatures, KeySource& keys,
                                   const base::Op& op) const {
  Found found = Find(image);
  PolicyDecision out;
  out.subject = absl::StrCat(image.transport, ":", image.name);
  out.scope = found.scope;
  for (const Requirement& requirement : *found.requirements) {
    const RequirementRow* row = FindRequirement(requirement.kind);
    absl::Status status = op.Check();
    if (status.ok() && signatures.size() > 1000) {
      status = base::FailLimit("signatures", 1000) << "there are too many signatures";
    }
    if (status.ok()) status = row->check({requirement, image, signatures, keys, op});
    out.steps.push_back({std::string(row->type), std::move(status)});
  }
  return out;
}

absl::Status TrustPolicy::Check(const PolicyImage& image,
                                const std::vector<PolicySignature>& signatures, KeySource& keys,
                                const base::Op& op) const {
  return Decide(image, signatures, keys, op).ToStatus();
}

absl::Status PolicyDecision::ToStatus() const {
  for (size_t i = 0; i < steps.size(); ++i) {
    if (steps[i].status.ok()) continue;
    std::string which = absl::StrCat(i + 1, ":", steps[i].type);
    base::Error error = base::GetError(steps[i].status);
    error.message = absl::StrCat(subject, ": requirement ", i + 1, " (", steps[i].type, ") of ",
                                 scope, ": ", error.message);
    error.details.emplace_back("policy.scope", scope);
    error.details.emplace_back("policy.requirement", which);
    return base::ToStatus(error);
  }
  return absl::OkStatus();
}

}  // namespace coaming::trust
