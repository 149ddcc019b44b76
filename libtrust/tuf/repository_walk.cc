// Walking a repository: who delegates to whom, who signs what, and whether clients will follow.
#include <set>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/digest/hasher.h"
#include "base/json/json.h"
#include "libtrust/tuf/delegation.h"
#include "libtrust/tuf/repository_doc.h"
#include "libtrust/tuf/trusted_set.h"

namespace coaming::trust::tuf {

using base::Fail;
using base::json::Value;

namespace {
constexpr size_t kMaxRoles = 20000;

std::string Hash(base::DigestAlgorithm algorithm, std::string_view bytes) {
  base::Hasher hasher(algorithm);
  hasher.Update(bytes);
  return hasher.FinishBytes();
}

std::vector<std::string> ChildrenOf(const Metadata& metadata) {
  std::vector<std::string> out;
  if (!metadata.delegations) return out;
  for (const DelegatedRole& role : metadata.delegations->roles) out.push_back(role.name);
  if (const auto& bins = metadata.delegations->succinct; bins && bins->bit_length <= 14)
    for (uint64_t i = 0; i < uint64_t{1} << bins->bit_length; ++i) out.push_back(BinAt(*bins, i));
  return out;
}
}  // namespace

Value* Repository::Doc::Delegations() {
  if (Signed().Find("delegations") == nullptr) {
    Value made = Value::MakeObject();
    made.Set("keys", Value::MakeObject());
    Signed().Set("delegations", std::move(made));
  }
  return Signed().FindMutable("delegations");
}

Role Repository::KindOf(std::string_view role) {
  if (role == "root") return Role::kRoot;
  if (role == "timestamp") return Role::kTimestamp;
  if (role == "snapshot") return Role::kSnapshot;
  return Role::kTargets;
}

int Repository::PublishRank(std::string_view role) {
  if (role == "targets") return 1;
  if (role == "root") return 2;
  if (role == "snapshot") return 3;
  if (role == "timestamp") return 4;
  return 0;
}

Repository::Doc Repository::NewDoc(std::string_view role, int64_t expires_s) {
  Doc out;
  out.role = std::string(role);
  out.kind = KindOf(role);
  out.staged = true;
  Value body = Value::MakeObject();
  body.Set("_type", RoleName(out.kind));
  body.Set("spec_version", "1.0.34");
  body.Set("version", 1);
  body.Set("expires", FormatExpiry(expires_s));
  out.json = Value::MakeObject();
  out.json.Set("signatures", Value::MakeArray());
  out.json.Set("signed", std::move(body));
  return out;
}

absl::StatusOr<std::vector<Repository::Found>> Repository::Walk() {
  std::vector<Found> out;
  std::vector<std::pair<std::string, std::string>> todo = {{"targets", "root"}};
  std::set<std::string> seen;
  while (!todo.empty()) {
    auto [role, delegator] = todo.back();
    todo.pop_back();
    if (!seen.insert(role).second) continue;
    if (seen.size() > kMaxRoles)
      return base::FailLimit("tuf_roles", static_cast<int64_t>(kMaxRoles)) << "TUF repository";
    COAM_ASSIGN_OR_RETURN(Doc doc, LoadDoc(role, true));
    for (std::string& child : ChildrenOf(doc.metadata)) todo.emplace_back(std::move(child), role);
    out.push_back({std::move(doc), delegator});
  }
  return out;
}

absl::StatusOr<std::vector<Repository::Signing>> Repository::SignersOf(const Doc& doc) {
  std::vector<Signing> out;
  auto role_of = [](const Metadata& root, const std::string& name) {
    auto it = root.roles.find(name);
    return it != root.roles.end() ? it->second : RoleKeys();
  };
  if (IsTopLevel(doc.role)) {
    COAM_ASSIGN_OR_RETURN(Doc root, LoadDoc("root", true));
    const Metadata& by = doc.role == "root" ? doc.metadata : root.metadata;
    out.push_back({by.keys, role_of(by, doc.role)});
    // A new root is signed by the one before it too.
    auto old =
        doc.role == "root" ? LoadDoc("root", false) : absl::StatusOr<Doc>(absl::NotFoundError(""));
    if (old.ok() && doc.staged) out.push_back({old->metadata.keys, role_of(old->metadata, "root")});
    return out;
  }
  COAM_ASSIGN_OR_RETURN(std::vector<Found> roles, Walk());
  for (const Found& found : roles) {
    if (!found.doc.metadata.delegations) continue;
    const Delegations& delegations = *found.doc.metadata.delegations;
    if (const RoleKeys* keys = FindRole(delegations, doc.role)) {
      out.push_back({delegations.keys, *keys});
      return out;
    }
  }
  return Fail("tuf.repository") << "no role delegates to " << doc.role;
}

absl::Status Repository::Verify(int64_t now_s) {
  auto load = [this](const std::string& name) -> absl::StatusOr<std::string> {
    COAM_ASSIGN_OR_RETURN(std::optional<std::string> text, store_.Load(name));
    if (!text) return Fail("tuf.repository") << name << " is missing";
    return *std::move(text);
  };
  COAM_ASSIGN_OR_RETURN(std::string first, load("1.root.json"));
  COAM_ASSIGN_OR_RETURN(TrustedSet set, TrustedSet::New(first, now_s));
  for (;;) {
    COAM_ASSIGN_OR_RETURN(std::optional<std::string> next,
                          store_.Load(absl::StrCat(set.root().version + 1, ".root.json")));
    if (!next) break;
    COAM_RETURN_IF_ERROR(set.UpdateRoot(*next));
  }
  COAM_RETURN_IF_ERROR(set.FinishRoot());
  bool consistent = set.root().consistent_snapshot;
  auto name_of = [&](std::string_view role, int64_t version) {
    return absl::StrCat(consistent ? absl::StrCat(version, ".") : "", FileName(role), ".json");
  };
  COAM_ASSIGN_OR_RETURN(std::string text, load("timestamp.json"));
  COAM_RETURN_IF_ERROR(set.UpdateTimestamp(text));
  COAM_ASSIGN_OR_RETURN(text,
                        load(name_of("snapshot", set.timestamp()->meta.begin()->second.version)));
  COAM_RETURN_IF_ERROR(set.UpdateSnapshot(text, false));
  COAM_ASSIGN_OR_RETURN(text, load(name_of("targets", set.MetaOf("targets")->version)));
  COAM_RETURN_IF_ERROR(set.UpdateTargets(text));
  struct Step {
    std::string role, delegator_name;
    std::shared_ptr<const Metadata> delegator;
  };
  std::vector<Step> todo;
  auto top = std::make_shared<const Metadata>(*set.targets());
  for (const std::string& child : ChildrenOf(*top)) todo.push_back({child, "targets", top});
  std::set<std::pair<std::string, std::string>> seen;
  while (!todo.empty()) {
    Step step = std::move(todo.back());
    todo.pop_back();
    if (!seen.insert({step.role, step.delegator_name}).second) continue;
    if (seen.size() > kMaxRoles)
      return base::FailLimit("tuf_roles", static_cast<int64_t>(kMaxRoles)) << "TUF repository";
    const MetaFile* meta = set.MetaOf(step.role);
    if (meta == nullptr)
      return Fail("tuf.not_found") << "the snapshot does not list the role " << step.role;
    COAM_ASSIGN_OR_RETURN(text, load(name_of(step.role, meta->version)));
    COAM_ASSIGN_OR_RETURN(Metadata read,
                          set.ReadDelegated(text, step.role, *step.delegator, step.delegator_name));
    auto kept = std::make_shared<const Metadata>(std::move(read));
    for (const std::string& child : ChildrenOf(*kept)) todo.push_back({child, step.role, kept});
  }
  return absl::OkStatus();
}

absl::StatusOr<Value> PublicKeyObject(const PublicKey& key) {
  Value out = Value::MakeObject(), keyval = Value::MakeObject();
  std::string_view type, scheme;
  switch (key.type()) {
    case KeyType::kEd25519:
      type = scheme = "ed25519";
      keyval.Set("public", base::HexEncode(key.Raw()));
      break;
    case KeyType::kRsa: type = "rsa", scheme = "rsassa-pss-sha256"; break;
    case KeyType::kEcdsaP256: type = "ecdsa", scheme = "ecdsa-sha2-nistp256"; break;
    case KeyType::kEcdsaP384: type = "ecdsa", scheme = "ecdsa-sha2-nistp384"; break;
    case KeyType::kEcdsaP521: type = "ecdsa", scheme = "ecdsa-sha2-nistp521"; break;
    default:
      return Fail("sig.key_invalid")
             << "a key of type " << KeyTypeName(key.type()) << " has no place in TUF";
  }
  if (keyval.Find("public") == nullptr) keyval.Set("public", key.SpkiPem());
  out.Set("keytype", type);
  out.Set("keyval", std::move(keyval));
  out.Set("scheme", scheme);
  return out;
}

absl::StatusOr<Signer> MakeSigner(PrivateKey key) {
  Signer out;
  COAM_ASSIGN_OR_RETURN(out.key, PublicKeyObject(key.public_key()));
  COAM_ASSIGN_OR_RETURN(out.keyid, KeyId(out.key));
  auto held = std::make_shared<PrivateKey>(std::move(key));
  out.sign = [held](std::string_view bytes) -> absl::StatusOr<std::string> {
    using base::DigestAlgorithm;
    switch (held->type()) {
      case KeyType::kEd25519: return held->SignEd25519(bytes);
      case KeyType::kRsa:
        return held->SignRsaPss(DigestAlgorithm::kSha256, Hash(DigestAlgorithm::kSha256, bytes));
      case KeyType::kEcdsaP384: return held->SignEcdsaDer(Hash(DigestAlgorithm::kSha384, bytes));
      case KeyType::kEcdsaP521: return held->SignEcdsaDer(Hash(DigestAlgorithm::kSha512, bytes));
      default: return held->SignEcdsaDer(Hash(DigestAlgorithm::kSha256, bytes));
    }
  };
  return out;
}

}  // namespace coaming::trust::tuf
