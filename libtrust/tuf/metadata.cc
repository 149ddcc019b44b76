#include "libtrust/tuf/metadata.h"

#include <algorithm>
#include <set>

#include "base/core/clock.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/digest/digest.h"
#include "base/digest/hasher.h"
#include "base/json/json.h"
#include "base/json/reader.h"

namespace coaming::trust::tuf {

using base::Fail;
using base::json::Member;
using base::json::Value;

namespace {

constexpr size_t kMaxKeys = 1024;
constexpr std::string_view kTopLevel[] = {"root", "timestamp", "snapshot", "targets"};

absl::Status Invalid(std::string_view what, std::string_view why) {
  return Fail("tuf.invalid") << what << ": " << why;
}

// Fields of one object, with the path for messages; the first failure sticks.
class Fields {
 public:
  Fields(const Value* value, std::string path) : value_(value), path_(std::move(path)) {
    if (value_ == nullptr || !value_->is_object()) Bad("", "want an object");
  }

  bool ok() const { return status_.ok(); }
  const absl::Status& status() const { return status_; }
  std::string At(std::string_view key) const {
    return key.empty() ? path_ : absl::StrCat(path_, ".", key);
  }
  void Bad(std::string_view key, std::string_view why) {
    if (status_.ok()) status_ = Invalid(At(key), why);
  }
  void Take(const absl::Status& status) {
    if (status_.ok()) status_ = status;
  }

  const Value* Find(std::string_view key) const {
    return status_.ok() ? value_->Find(key) : nullptr;
  }
  std::string String(std::string_view key) {
    const Value* v = Find(key);
    if (v == nullptr || !v->is_string()) {
      Bad(key, "want a string");
      return "";
    }
    return v->as_string();
  }
  int64_t Int(std::string_view key, int64_t least) {
    const Value* v = Find(key);
    std::optional<int64_t> n = v != nullptr ? v->as_int64() : std::nullopt;
    if (!n || *n < least) {
      Bad(key, absl::StrCat("want an integer of at least ", least));
      return least;
    }
    return *n;
  }
  bool Bool(std::string_view key) {
    const Value* v = Find(key);
    if (v == nullptr || !v->is_bool()) Bad(key, "want true or false");
    return v != nullptr && v->as_bool();
  }
  std::vector<std::string> Strings(std::string_view key) {
    std::vector<std::string> out;
    const Value* v = Find(key);
    if (v == nullptr || !v->is_array()) {
      Bad(key, "want a list of strings");
      return out;
    }
    for (const Value& item : v->items()) {
      if (!item.is_string()) Bad(key, "want a list of strings");
      out.push_back(item.as_string());
    }
    return out;
  }
  const std::vector<Member>& Members(std::string_view key) {
    const Value* v = Find(key);
    if (v == nullptr || !v->is_object()) {
      Bad(key, "want an object");
      return Value().members();  // the empty list of what is no object
    }
    return v->members();
  }

 private:
  const Value* value_;
  std::string path_;
  absl::Status status_;
};

RoleKeys ReadRoleKeys(Fields& f) {
  RoleKeys out;
  out.keyids = f.Strings("keyids");
  out.threshold = f.Int("threshold", 1);
  if (std::set<std::string>(out.keyids.begin(), out.keyids.end()).size() != out.keyids.size())
    f.Bad("keyids", "a key id is there twice");
  if (out.keyids.size() > kMaxKeys) f.Bad("keyids", "too many");
  return out;
}

std::map<std::string, Key> ReadKeys(Fields& f) {
  std::map<std::string, Key> out;
  const std::vector<Member>& members = f.Members("keys");
  if (members.size() > kMaxKeys) f.Bad("keys", "too many");
  if (!f.ok()) return out;
  for (const Member& m : members) {
    auto key = ReadKey(m.key, m.value);
    if (!key.ok()) {
      f.Take(key.status());
      return out;
    }
    out.emplace(m.key, *std::move(key));
  }
  return out;
}

Hashes ReadHashes(Fields& f) {
  Hashes out;
  for (const Member& m : f.Members("hashes")) {
    if (!m.value.is_string()) f.Bad("hashes", "want strings");
    out.emplace_back(m.key, m.value.as_string());
  }
  if (out.empty()) f.Bad("hashes", "is empty");
  return out;
}

absl::Status ReadRoot(Fields& f, Metadata* out) {
  if (f.Find("consistent_snapshot") != nullptr)
    out->consistent_snapshot = f.Bool("consistent_snapshot");
  out->keys = ReadKeys(f);
  for (const Member& m : f.Members("roles")) {
    Fields role(&m.value, absl::StrCat(f.At("roles"), ".", m.key));
    out->roles.emplace(m.key, ReadRoleKeys(role));
    f.Take(role.status());
  }
  for (std::string_view name : kTopLevel)
    if (out->roles.count(std::string(name)) == 0)
      f.Bad("roles", absl::StrCat("the role ", name, " is missing"));
  return f.status();
}

absl::Status ReadMeta(Fields& f, Metadata* out) {
  for (const Member& m : f.Members("meta")) {
    Fields entry(&m.value, absl::StrCat(f.At("meta"), ".", m.key));
    MetaFile file;
    file.version = entry.Int("version", 1);
    if (entry.Find("length") != nullptr) file.length = entry.Int("length", 0);
    if (entry.Find("hashes") != nullptr) file.hashes = ReadHashes(entry);
    f.Take(entry.status());
    out->meta.emplace(m.key, std::move(file));
  }
  if (out->role == Role::kTimestamp &&
      (out->meta.size() != 1 || out->meta.count("snapshot.json") == 0))
    f.Bad("meta", "want snapshot.json and nothing else");
  if (out->role == Role::kSnapshot && out->meta.count("targets.json") == 0)
    f.Bad("meta", "targets.json is missing");
  return f.status();
}

DelegatedRole ReadDelegatedRole(Fields& f) {
  DelegatedRole out;
  out.name = f.String("name");
  out.keys = ReadRoleKeys(f);
  out.terminating = f.Bool("terminating");
  if (f.Find("paths") != nullptr) out.paths = f.Strings("paths");
  if (f.Find("path_hash_prefixes") != nullptr)
    out.path_hash_prefixes = f.Strings("path_hash_prefixes");
  if (out.paths.has_value() == out.path_hash_prefixes.has_value())
    f.Bad("", "want one of paths and path_hash_prefixes");
  if (out.name.empty() || IsTopLevel(out.name)) f.Bad("name", "is not a name for a delegated role");
  return out;
}

absl::Status ReadDelegations(Fields& f, Delegations* out) {
  out->keys = ReadKeys(f);
  const Value* roles = f.Find("roles");
  const Value* succinct = f.Find("succinct_roles");
  if ((roles != nullptr) == (succinct != nullptr)) {
    f.Bad("", "want one of roles and succinct_roles");
    return f.status();
  }
  if (succinct != nullptr) {
    Fields s(succinct, f.At("succinct_roles"));
    SuccinctRoles bins;
    bins.keys = ReadRoleKeys(s);
    int64_t bits = s.Int("bit_length", 1);
    if (bits > 32) s.Bad("bit_length", "want 1 to 32");
    bins.bit_length = static_cast<int>(bits);
    bins.name_prefix = s.String("name_prefix");
    out->succinct = std::move(bins);
    return s.status();
  }
  if (!roles->is_array()) {
    f.Bad("roles", "want a list");
    return f.status();
  }
  std::set<std::string> names;
  int index = 0;
  for (const Value& item : roles->items()) {
    Fields role(&item, absl::StrCat(f.At("roles"), "[", index++, "]"));
    DelegatedRole one = ReadDelegatedRole(role);
    COAM_RETURN_IF_ERROR(role.status());
    if (!names.insert(one.name).second) {
      f.Bad("roles", absl::StrCat("the role ", one.name, " is there twice"));
      return f.status();
    }
    out->roles.push_back(std::move(one));
  }
  return f.status();
}

absl::Status ReadTargets(Fields& f, Metadata* out) {
  for (const Member& m : f.Members("targets")) {
    Fields entry(&m.value, absl::StrCat(f.At("targets"), ".", m.key));
    TargetFile file;
    file.path = m.key;
    file.length = entry.Int("length", 0);
    file.hashes = ReadHashes(entry);
    if (const Value* custom = entry.Find("custom")) file.custom = *custom;
    COAM_RETURN_IF_ERROR(entry.status());
    out->targets.emplace(m.key, std::move(file));
  }
  if (const Value* delegations = f.Find("delegations")) {
    Fields d(delegations, f.At("delegations"));
    out->delegations.emplace();
    COAM_RETURN_IF_ERROR(d.status());
    COAM_RETURN_IF_ERROR(ReadDelegations(d, &*out->delegations));
  }
  return f.status();
}

bool IsSpecVersion(std::string_view text) {
  // 1.Y or 1.Y.Z, of digits.
  if (text.substr(0, 2) != "1.") return false;
  text.remove_prefix(2);
  int dots = 0;
  bool digit = false;
  for (char c : text) {
    if (c == '.') {
      if (!digit || ++dots > 1) return false;
      digit = false;
    } else if (c >= '0' && c <= '9') {
      digit = true;
    } else {
      return false;
    }
  }
  return digit;
}

base::DigestAlgorithm SchemeHash(std::string_view scheme) {
  for (auto algorithm : {base::DigestAlgorithm::kSha224, base::DigestAlgorithm::kSha256,
                         base::DigestAlgorithm::kSha384, base::DigestAlgorithm::kSha512})
    if (scheme.size() > 6 &&
        scheme.substr(scheme.size() - 6) == base::DigestAlgorithmName(algorithm))
      return algorithm;
  return base::DigestAlgorithm::kUnknown;
}

std::string Hash(base::DigestAlgorithm algorithm, std::string_view bytes) {
  base::Hasher hasher(algorithm);
  hasher.Update(bytes);
  return hasher.FinishBytes();
}

struct EcdsaScheme {
  std::string_view name;
  KeyType type;
  base::DigestAlgorithm hash;
};
constexpr EcdsaScheme kEcdsa[] = {
    {"ecdsa-sha2-nistp256", KeyType::kEcdsaP256, base::DigestAlgorithm::kSha256},
    {"ecdsa-sha2-nistp384", KeyType::kEcdsaP384, base::DigestAlgorithm::kSha384},
    {"ecdsa-sha2-nistp521", KeyType::kEcdsaP521, base::DigestAlgorithm::kSha512},
};

const EcdsaScheme* FindEcdsa(std::string_view scheme) {
  for (const EcdsaScheme& s : kEcdsa)
    if (s.name == scheme) return &s;
  return nullptr;
}

absl::StatusOr<PublicKey> OpenKey(const Key& key) {
  if (key.type == "ed25519" && key.scheme == "ed25519") {
    std::optional<std::string> raw = base::HexDecode(key.text);
    return PublicKey::Ed25519(raw.value_or(""));
  }
  if (key.type == "rsa" && (key.scheme.substr(0, 14) == "rsassa-pss-sha" ||
                            key.scheme.substr(0, 15) == "rsa-pkcs1v15-sh")) {
    auto opened = PublicKey::FromPem(key.text);
    if (opened.ok() && (opened->type() != KeyType::kRsa || opened->bits() < 2048))
      return Fail("sig.key_invalid") << "want an RSA key of at least 2048 bits";
    return opened;
  }
  const EcdsaScheme* ecdsa = FindEcdsa(key.scheme);
  if (ecdsa != nullptr && (key.type == "ecdsa" || key.type == key.scheme)) {
    std::optional<std::string> point = base::HexDecode(key.text);
    auto opened = point && !point->empty() ? PublicKey::Ecdsa(ecdsa->type, *point)
                                           : PublicKey::FromPem(key.text);
    if (opened.ok() && opened->type() != ecdsa->type)
      return Fail("sig.key_invalid") << "the key does not fit the scheme " << key.scheme;
    return opened;
  }
  return Fail("sig.unsupported") << "key type " << key.type << " with scheme " << key.scheme;
}

}  // namespace

std::string_view RoleName(Role role) { return kTopLevel[static_cast<size_t>(role)]; }

bool IsTopLevel(std::string_view name) {
  return std::find(std::begin(kTopLevel), std::end(kTopLevel), name) != std::end(kTopLevel);
}

absl::StatusOr<Key> ReadKey(std::string_view id, const Value& value) {
  Fields f(&value, absl::StrCat("key ", id.substr(0, 12)));
  Key out;
  out.id = std::string(id);
  out.type = f.String("keytype");
  out.scheme = f.String("scheme");
  Fields inner(f.Find("keyval"), f.At("keyval"));
  f.Take(inner.status());
  // Key types not known here may hold their key elsewhere; they verify nothing.
  const Value* text = inner.Find("public");
  if (text != nullptr && text->is_string()) out.text = text->as_string();
  COAM_RETURN_IF_ERROR(f.status());
  out.json = value;
  auto opened = OpenKey(out);
  if (opened.ok()) {
    out.key = *std::move(opened);
  } else {
    out.problem = base::GetError(opened.status()).message;
  }
  return out;
}

absl::StatusOr<std::string> KeyId(const Value& key) {
  COAM_ASSIGN_OR_RETURN(std::string canonical, base::json::WriteCanonical(key));
  return std::string(base::Sha256(canonical).encoded());
}

bool VerifySignature(const Key& key, std::string_view signature, std::string_view message) {
  if (signature.empty()) return false;
  switch (key.key.type()) {
    case KeyType::kEd25519: return key.key.VerifyEd25519(message, signature);
    case KeyType::kRsa: {
      base::DigestAlgorithm hash = SchemeHash(key.scheme);
      if (hash == base::DigestAlgorithm::kUnknown) return false;
      std::string digest = Hash(hash, message);
      return key.scheme.substr(0, 10) == "rsassa-pss"
                 ? key.key.VerifyRsaPss(hash, digest, signature)
                 : key.key.VerifyRsaPkcs1(hash, digest, signature);
    }
    case KeyType::kEcdsaP256:
    case KeyType::kEcdsaP384:
    case KeyType::kEcdsaP521: {
      const EcdsaScheme* scheme = FindEcdsa(key.scheme);
      return scheme != nullptr && key.key.VerifyEcdsaDer(Hash(scheme->hash, message), signature);
    }
    default: return false;
  }
}

std::optional<int64_t> ParseExpiry(std::string_view text) {
  constexpr std::string_view kForm = "dddd-dd-ddTdd:dd:ddZ";
  if (text.size() != kForm.size()) return std::nullopt;
  for (size_t i = 0; i < kForm.size(); ++i) {
    bool digit = text[i] >= '0' && text[i] <= '9';
    if (kForm[i] == 'd' ? !digit : text[i] != kForm[i]) return std::nullopt;
  }
  if (text.substr(17, 2) == "60" || text.substr(11, 2) == "24") return std::nullopt;
  // Years that do not fit nanoseconds: the far future is as good as its end.
  if (text.substr(0, 4) > "2261") text = "2261-12-31T23:59:59Z";
  std::optional<int64_t> ns = base::ParseRfc3339(text);
  if (!ns) return std::nullopt;
  return *ns / 1000000000;
}

std::string FormatExpiry(int64_t seconds) { return base::FormatRfc3339(seconds * 1000000000); }

absl::StatusOr<Metadata> ParseMetadata(std::string_view bytes, Role role,
                                       const base::Limits* limits) {
  Metadata out;
  out.role = role;
  std::string name(RoleName(role));
  auto parsed = base::json::ParseObject(
      bytes, {.limits = limits, .max_bytes = &base::Limits::tuf_metadata_bytes});
  if (!parsed.ok()) {
    if (base::HasReason(parsed.status(), "core.limit")) return parsed.status();
    return Invalid(name, base::GetError(parsed.status()).message);
  }
  Fields envelope(&*parsed, name);
  const Value* signatures = envelope.Find("signatures");
  if (signatures == nullptr || !signatures->is_array())
    return Invalid(name + ".signatures", "want a list");
  if (signatures->items().size() > kMaxKeys) return Invalid(name + ".signatures", "too many");
  std::set<std::string> seen;
  for (const Value& item : signatures->items()) {
    Fields f(&item, name + ".signatures");
    Signature s;
    s.keyid = f.String("keyid");
    s.bytes = base::HexDecode(f.String("sig")).value_or("");
    COAM_RETURN_IF_ERROR(f.status());
    if (!seen.insert(s.keyid).second)
      return Invalid(name + ".signatures", absl::StrCat("key ", s.keyid, " is there twice"));
    out.signatures.push_back(std::move(s));
  }
  const Value* body = envelope.Find("signed");
  Fields f(body, name + ".signed");
  std::string type = f.String("_type");
  if (f.ok() && type != name) f.Bad("_type", absl::StrCat("want ", name, ", found ", type));
  out.spec_version = f.String("spec_version");
  if (f.ok() && !IsSpecVersion(out.spec_version))
    f.Bad("spec_version", absl::StrCat("version ", out.spec_version, " is not 1.x"));
  out.version = f.Int("version", 1);
  std::optional<int64_t> expires = ParseExpiry(f.String("expires"));
  if (!expires) f.Bad("expires", "want YYYY-MM-DDTHH:MM:SSZ");
  out.expires = expires.value_or(0);
  COAM_RETURN_IF_ERROR(f.status());
  switch (role) {
    case Role::kRoot: COAM_RETURN_IF_ERROR(ReadRoot(f, &out)); break;
    case Role::kTimestamp:
    case Role::kSnapshot: COAM_RETURN_IF_ERROR(ReadMeta(f, &out)); break;
    case Role::kTargets: COAM_RETURN_IF_ERROR(ReadTargets(f, &out)); break;
  }
  auto canonical = base::json::WriteCanonical(*body);
  if (!canonical.ok()) return Invalid(name, base::GetError(canonical.status()).message);
  out.canonical = *std::move(canonical);
  return out;
}

SignatureState CheckSignatures(const std::map<std::string, Key>& keys, const RoleKeys& role,
                               const Metadata& metadata) {
  SignatureState out;
  out.threshold = role.threshold;
  // Different keys count, not different ids: one key under two ids is one signer.
  std::set<std::string> signers, ids;
  for (const std::string& id : role.keyids) {
    if (!ids.insert(id).second) continue;
    auto key = keys.find(id);
    bool good = false;
    if (key != keys.end()) {
      for (const Signature& s : metadata.signatures)
        if (s.keyid == id) good = VerifySignature(key->second, s.bytes, metadata.canonical);
    }
    if (good && signers.insert(key->second.key.SpkiDer()).second) {
      out.signed_by.push_back(id);
    } else if (!good) {
      out.missing.push_back(id);
    }
  }
  return out;
}

absl::Status VerifyRole(const std::map<std::string, Key>& keys, const RoleKeys& role,
                        const Metadata& metadata, std::string_view delegator,
                        std::string_view name) {
  SignatureState state = CheckSignatures(keys, role, metadata);
  if (role.threshold >= 1 && state.ok()) return absl::OkStatus();
  return (Fail("tuf.threshold") << name << " version " << metadata.version << " is signed by "
                                << state.signed_by.size() << " of the " << role.threshold
                                << " keys that " << delegator << " asks for")
      .Detail("tuf.role", name);
}

absl::Status CheckFile(std::string_view bytes, int64_t length, const Hashes& hashes,
                       std::string_view name) {
  if (length >= 0 && static_cast<int64_t>(bytes.size()) != length)
    return Fail("tuf.mismatch") << name << " has " << bytes.size() << " bytes instead of "
                                << length;
  for (const auto& [algorithm, want] : hashes) {
    base::DigestAlgorithm id = base::FindDigestAlgorithm(algorithm);
    if (id == base::DigestAlgorithm::kUnknown || id == base::DigestAlgorithm::kSha1)
      return Fail("tuf.mismatch") << name << ": the hash algorithm " << algorithm
                                  << " cannot be checked";
    if (base::HexEncode(Hash(id, bytes)) != want)
      return Fail("tuf.mismatch") << name << " does not have the " << algorithm
                                  << " that is signed";
  }
  return absl::OkStatus();
}

}  // namespace coaming::trust::tuf
