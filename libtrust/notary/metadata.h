// Metadata of Notary v1 (Docker Content Trust): reading it strictly, writing it, checking who signed it.
//
// This is not TUF with other flags: types are capitalised, meta entries have no version and no ".json",
// hashes, keys and signatures are base64, each signature names its method, delegations go by prefix of a
// path and by the name of the role. Only JSON and keys are shared with libtrust/tuf.
//
//   COAM_ASSIGN_OR_RETURN(notary::Metadata root, notary::ParseMetadata(bytes, "root", limits));
//   COAM_RETURN_IF_ERROR(notary::CheckSignatures(root.keys, root.roles["timestamp"], timestamp));
//
// Signatures are over the canonical form of `signed`; hashes in other metadata are over the bytes as
// served. Stricter than the Go client: names of members match exactly and come once, numbers are
// integers, a key's id is that of its content, thresholds count different keys and not ids.
// Ownership: values. Threads: [immutable] while const. Limits: tuf_metadata_bytes, json_*; 1,024 keys and
// signatures. Hostile bytes give tuf.invalid.
#ifndef COAMING_LIBTRUST_NOTARY_METADATA_H_
#define COAMING_LIBTRUST_NOTARY_METADATA_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/limits.h"
#include "base/json/value.h"
#include "libtrust/keys/keys.h"

namespace coaming::trust::notary {

// The four roles that root names. Every other role is a delegation: "targets/releases".
inline constexpr std::string_view kRoot = "root", kTargets = "targets", kSnapshot = "snapshot",
                                  kTimestamp = "timestamp";
bool IsBaseRole(std::string_view role);
// IsDelegation is true for "targets/" and a clean path of [-a-z0-9_/], under 256 bytes in all.
bool IsDelegation(std::string_view role);
// ParentRole of "targets/a/b" is "targets/a".
std::string_view ParentRole(std::string_view role);

struct Key {
  std::string id;        // hex SHA-256 of the canonical key object
  std::string type;      // "ecdsa", "rsa", "ed25519", "ecdsa-x509", "rsa-x509"
  std::string material;  // the public bytes: DER, raw, or PEM of a certificate and its chain
  PublicKey key;         // type kNone: verifies nothing
};
// MakeKey computes the id; a key that is not understood verifies nothing.
Key MakeKey(std::string_view type, std::string_view material);
// KeyOf is the bare public key of a private one's public half: ecdsa, rsa or ed25519.
Key KeyOf(const PublicKey& key);
// KeyOfPem reads a public key or a certificate (with its chain). Errors: sig.key_invalid.
absl::StatusOr<Key> KeyOfPem(std::string_view pem);
// CanonicalId names the bare key also for a certificate: the name of its file and what people see.
std::string CanonicalId(const Key& key);
base::json::Value KeyToJson(const Key& key);
// ReadKey reads a key object and computes its id. Errors: tuf.invalid.
absl::StatusOr<Key> ReadKey(const base::json::Value& value, std::string_view where);

struct RoleKeys {
  std::vector<std::string> keyids;
  int64_t threshold = 1;
  friend bool operator==(const RoleKeys&, const RoleKeys&) = default;
};

// Raw hashes by algorithm name.
using Hashes = std::map<std::string, std::string>;

struct FileMeta {
  int64_t length = 0;
  Hashes hashes;
  std::optional<base::json::Value> custom;  // of targets
};

struct Delegation {
  std::string name;  // "targets/releases"
  RoleKeys keys;
  std::vector<std::string> paths;  // prefixes; "" is everything, none is nothing
};

struct Signature {
  std::string keyid, method, value;  // value: raw bytes
};

struct Metadata {
  std::string role;
  int64_t version = 0;
  int64_t expires_ns = 0;  // since 1970
  std::vector<Signature> signatures;
  std::map<std::string, Key> keys;          // of root, or of the delegations
  std::map<std::string, RoleKeys> roles;    // of root
  std::map<std::string, FileMeta> meta;     // of snapshot and timestamp, by role
  std::map<std::string, FileMeta> targets;  // by name
  std::vector<Delegation> delegations;
  base::json::Value body;  // the `signed` object, with members not known here
  std::string canonical;   // of the body
  std::string bytes;       // the whole file as it was served

  bool Expired(int64_t now_ns) const { return now_ns >= expires_ns; }
};

// ParseMetadata checks the structure for the role; it does not check who signed it. Errors: tuf.invalid.
absl::StatusOr<Metadata> ParseMetadata(std::string_view bytes, std::string_view role,
                                       const base::Limits* limits = nullptr);
// NewMetadata is empty: version 0, never signed.
Metadata NewMetadata(std::string_view role);
// Render brings `body` and `canonical` in line with the fields and drops the signatures. Errors:
// tuf.invalid if `custom` of a target holds a number that is not an integer.
absl::Status Render(Metadata* metadata);
// Serialize puts the envelope round it and keeps the result in `bytes`.
void Serialize(Metadata* metadata);

// VerifySignature checks one signature of any method by one key.
bool VerifySignature(const Key& key, std::string_view method, std::string_view signature,
                     std::string_view message);
// Sign makes a signature by the method that fits the key. Errors: sig.key_invalid.
absl::StatusOr<Signature> Sign(const PrivateKey& key, const Key& as, std::string_view message);
// CheckSignatures wants `threshold` good signatures by different keys of the role. Errors: tuf.threshold.
absl::Status CheckSignatures(const std::map<std::string, Key>& keys, const RoleKeys& role,
                             const Metadata& metadata);
// CheckHashes compares all hashes that are known; at least sha256 or sha512 must be there, and the file
// may not be longer than said. Errors: tuf.mismatch.
absl::Status CheckHashes(std::string_view bytes, const FileMeta& meta, std::string_view name);
FileMeta MetaOf(std::string_view bytes);
base::json::Value FileMetaToJson(const FileMeta& meta);
absl::StatusOr<FileMeta> ReadFileMeta(const base::json::Value& value, std::string_view where);

}  // namespace coaming::trust::notary

#endif  // COAMING_LIBTRUST_NOTARY_METADATA_H_
