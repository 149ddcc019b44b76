// Metadata of The Update Framework: reading it strictly, and checking who signed it.
//
// TUF 1.0.34, section 4. Signatures are over the canonical form of the `signed` object; hashes and
// lengths in other metadata are over the bytes as served, which the caller keeps.
//
//   COAM_ASSIGN_OR_RETURN(tuf::Metadata root, tuf::ParseMetadata(bytes, tuf::Role::kRoot, limits));
//   COAM_RETURN_IF_ERROR(tuf::VerifyRole(root.keys, root.roles["root"], root, "root", "root"));
//
// Stricter than python-tuf: numbers are integers, JSON names no key twice, expiry has one form.
// Ownership: values. Threads: [immutable] while const. Limits: tuf_metadata_bytes, json_*; 1,024 keys
// and signatures for one role. Hostile bytes give tuf.invalid.
#ifndef COAMING_LIBTRUST_TUF_METADATA_H_
#define COAMING_LIBTRUST_TUF_METADATA_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/limits.h"
#include "base/json/value.h"
#include "libtrust/keys/keys.h"

namespace coaming::trust::tuf {

enum class Role : uint8_t { kRoot, kTimestamp, kSnapshot, kTargets };
// RoleName is "root", ...
std::string_view RoleName(Role role);
// IsTopLevel is true for the four names.
bool IsTopLevel(std::string_view name);

struct Key {
  std::string id;
  std::string type, scheme, text;  // text: keyval.public
  base::json::Value json;          // the whole object, with members not known here
  PublicKey key;                   // type kNone: verifies nothing; `problem` says why
  std::string problem;
};
// ReadKey never fails for a key that is merely not understood: it verifies nothing then. Errors:
// tuf.invalid (not a key object).
absl::StatusOr<Key> ReadKey(std::string_view id, const base::json::Value& value);
// KeyId is the hex SHA-256 of the canonical form of a key object.
absl::StatusOr<std::string> KeyId(const base::json::Value& key);
// VerifySignature checks `signature` (raw bytes) by `key` over `message`.
bool VerifySignature(const Key& key, std::string_view signature, std::string_view message);

struct RoleKeys {
  std::vector<std::string> keyids;
  int64_t threshold = 0;
};

// Hashes by algorithm name, hex, in the order of the file.
using Hashes = std::vector<std::pair<std::string, std::string>>;

struct MetaFile {
  int64_t version = 0;
  int64_t length = -1;  // -1: not given
  Hashes hashes;
};

struct TargetFile {
  std::string path;
  int64_t length = 0;
  Hashes hashes;
  std::optional<base::json::Value> custom;
};

struct DelegatedRole {
  std::string name;
  RoleKeys keys;
  bool terminating = false;
  std::optional<std::vector<std::string>> paths;
  std::optional<std::vector<std::string>> path_hash_prefixes;
};

struct SuccinctRoles {
  RoleKeys keys;
  int bit_length = 0;
  std::string name_prefix;
};

struct Delegations {
  std::map<std::string, Key> keys;
  std::vector<DelegatedRole> roles;
  std::optional<SuccinctRoles> succinct;
};

struct Signature {
  std::string keyid;
  std::string bytes;  // raw; "" if it was empty or no hex
};

struct Metadata {
  Role role = Role::kRoot;
  std::string spec_version;
  int64_t version = 0;
  int64_t expires = 0;  // seconds since 1970
  // root
  bool consistent_snapshot = false;
  std::map<std::string, Key> keys;
  std::map<std::string, RoleKeys> roles;
  // timestamp ("snapshot.json") and snapshot
  std::map<std::string, MetaFile> meta;
  // targets
  std::map<std::string, TargetFile> targets;
  std::optional<Delegations> delegations;

  std::vector<Signature> signatures;
  std::string canonical;  // what is signed

  bool ExpiredAt(int64_t now_s) const { return now_s >= expires; }
};

// ParseMetadata reads one file of `role`. Errors: tuf.invalid, json.*, core.limit.
absl::StatusOr<Metadata> ParseMetadata(std::string_view bytes, Role role,
                                       const base::Limits* limits = nullptr);
// ParseExpiry reads YYYY-MM-DDTHH:MM:SSZ and nothing else.
std::optional<int64_t> ParseExpiry(std::string_view text);
std::string FormatExpiry(int64_t seconds);

// Who signed: for tools that gather signatures.
struct SignatureState {
  int64_t threshold = 0;
  std::vector<std::string> signed_by;  // key ids with a good signature, each key once
  std::vector<std::string> missing;    // key ids of the role without one
  bool ok() const { return static_cast<int64_t>(signed_by.size()) >= threshold; }
};
SignatureState CheckSignatures(const std::map<std::string, Key>& keys, const RoleKeys& role,
                               const Metadata& metadata);
// VerifyRole is OK if `threshold` different keys of the role signed. `delegator` and `name` go into the
// error. Errors: tuf.threshold.
absl::Status VerifyRole(const std::map<std::string, Key>& keys, const RoleKeys& role,
                        const Metadata& metadata, std::string_view delegator,
                        std::string_view name);

// CheckFile compares bytes with a length (-1: none) and hashes: all of them, and an algorithm that is
// not known counts as a mismatch. Errors: tuf.mismatch.
absl::Status CheckFile(std::string_view bytes, int64_t length, const Hashes& hashes,
                       std::string_view name);

}  // namespace coaming::trust::tuf

#endif  // COAMING_LIBTRUST_TUF_METADATA_H_
