#include "libtrust/keystore/keystore.h"

#include <algorithm>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/core/clock.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/json/json.h"
#include "base/stream/stream.h"

namespace coaming::trust {

using base::Fail;
using openpgp::Keyring;

namespace {

constexpr std::string_view kRoot = "root.d";
constexpr std::string_view kPrefix = "prefix.d";
constexpr size_t kMaxKeys = 1000;
constexpr int kMaxDepth = 64;

bool IsFingerprint(std::string_view name) {
  if (name.size() != 40 && name.size() != 64) return false;
  return std::all_of(name.begin(), name.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

// IsIdentifier is the AC Identifier grammar: [a-z0-9]+([-._~/][a-z0-9]+)*
bool IsIdentifier(std::string_view text) {
  bool after_word = false;
  for (char c : text) {
    bool word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (!word && (!after_word || !absl::StrContains("-._~/", std::string_view(&c, 1))))
      return false;
    after_word = word;
  }
  return after_word;
}

absl::Status CheckScope(std::string_view prefix, bool root) {
  if (prefix.empty() && !root)
    return Fail("sig.trust_scope")
           << "neither a prefix nor root was named: trusting a key for every "
              "name must be said";
  if (!prefix.empty() && root)
    return Fail("sig.trust_scope") << "a prefix and root exclude each other";
  return root ? absl::OkStatus() : CheckPrefix(prefix);
}

std::string DirectoryOf(std::string_view prefix) {
  return prefix.empty() ? std::string(kRoot) : absl::StrCat(kPrefix, "/", prefix);
}

// ReadKey reads one key file; an empty keyring is a mask.
absl::StatusOr<Keyring> ReadKey(KeyFiles& files, const std::string& path, std::string_view name,
                                const base::Op& op) {
  COAM_ASSIGN_OR_RETURN(std::string bytes, files.Read(path, op.limits().keyring_bytes));
  if (bytes.empty()) return Keyring();
  auto keys = Keyring::FromBytes(bytes, &op.limits());
  if (!keys.ok()) return base::Wrap(keys.status(), path);
  const openpgp::Certificate& first = keys->certificates().front();
  if (first.fingerprint() != name)
    return (Fail("sig.key_invalid") << path << " holds the key " << first.fingerprint())
        .Hint("a key file must be named by its key's fingerprint: add the key again");
  Keyring out;  // the first only, as rkt reads it
  out.Add(first);
  return out;
}

// LoadDirectory adds the keys of one directory to `found`; masks take away.
absl::Status LoadDirectory(KeyFiles& files, const std::string& directory, const base::Op& op,
                           Keyring* found) {
  COAM_ASSIGN_OR_RETURN(std::vector<KeyFiles::Entry> entries, files.List(directory));
  for (const KeyFiles::Entry& entry : entries) {
    COAM_RETURN_IF_ERROR(op.Check());
    if (entry.directory || absl::StartsWith(entry.name, ".")) continue;
    std::string path = absl::StrCat(directory, "/", entry.name);
    if (!IsFingerprint(entry.name))
      return (Fail("sig.key_invalid") << path << " is not named by a fingerprint")
          .Hint("remove the file, or add the key with its tool");
    COAM_ASSIGN_OR_RETURN(Keyring keys, ReadKey(files, path, entry.name, op));
    if (keys.empty()) {
      found->Remove(entry.name);
      continue;
    }
    if (found->size() >= kMaxKeys)
      return base::FailLimit("keystore_keys", kMaxKeys) << "keys in " << directory;
    found->Add(keys);
  }
  return absl::OkStatus();
}

absl::Status ListDirectory(KeyFiles& files, const std::string& directory, std::string_view prefix,
                           bool root, bool local, int depth, const base::Op& op,
                           std::vector<KeyStore::Key>* out) {
  if (depth > kMaxDepth)
    return base::FailLimit("keystore_depth", kMaxDepth) << "directories under " << directory;
  COAM_ASSIGN_OR_RETURN(std::vector<KeyFiles::Entry> entries, files.List(directory));
  std::sort(entries.begin(), entries.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  for (const KeyFiles::Entry& entry : entries) {
    COAM_RETURN_IF_ERROR(op.Check());
    std::string path = absl::StrCat(directory, "/", entry.name);
    if (absl::StartsWith(entry.name, ".")) continue;
    if (entry.directory) {
      if (root) continue;
      std::string inner = prefix.empty() ? entry.name : absl::StrCat(prefix, "/", entry.name);
      COAM_RETURN_IF_ERROR(ListDirectory(files, path, inner, root, local, depth + 1, op, out));
      continue;
    }
    if (!IsFingerprint(entry.name)) continue;
    KeyStore::Key key;
    key.prefix = std::string(prefix);
    key.fingerprint = entry.name;
    key.local = local;
    COAM_ASSIGN_OR_RETURN(Keyring keys, ReadKey(files, path, entry.name, op));
    key.masked = keys.empty();
    if (!keys.empty())
      for (const std::string& user : keys.certificates().front().user_ids())
        key.user_ids.push_back(openpgp::Printable(user));
    out->push_back(std::move(key));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckPrefix(std::string_view prefix) {
  if (absl::StrContains(prefix, "://"))
    return Fail("sig.trust_scope")
           << "prefix " << openpgp::Printable(prefix) << " has a scheme; a name has none";
  if (prefix.size() > 1024 || !IsIdentifier(prefix))
    return Fail("sig.trust_scope") << "prefix '" << openpgp::Printable(prefix.substr(0, 200))
                                   << "' is not an App Container identifier";
  return absl::OkStatus();
}

absl::StatusOr<Keyring> KeyStore::KeyringFor(std::string_view image_name, const base::Op& op) {
  COAM_RETURN_IF_ERROR(CheckPrefix(image_name));
  std::vector<std::string> directories = {std::string(kRoot)};
  std::string path(kPrefix);
  for (std::string_view component : absl::StrSplit(image_name, '/')) {
    absl::StrAppend(&path, "/", component);
    directories.push_back(path);
  }
  Keyring found;
  for (const std::string& directory : directories) {
    for (KeyFiles* files : {system_, local_})
      if (files != nullptr) COAM_RETURN_IF_ERROR(LoadDirectory(*files, directory, op, &found));
  }
  return found;
}

bool KeyStore::HasKeyFor(std::string_view image_name, const base::Op& op) {
  auto keys = KeyringFor(image_name, op);
  return keys.ok() && !keys->empty();
}

absl::StatusOr<openpgp::Verdict> KeyStore::Verify(std::string_view image_name,
                                                  std::string_view signature, base::Reader& data,
                                                  const openpgp::Policy& policy,
                                                  const base::Op& op) {
  COAM_ASSIGN_OR_RETURN(Keyring keys, KeyringFor(image_name, op));
  if (keys.empty()) return Fail("sig.no_keys") << "no key is trusted for " << image_name;
  return openpgp::VerifyDetached(signature, data, keys, policy, op);
}

absl::Status KeyStore::CheckIssuer(std::string_view image_name, std::string_view signature,
                                   const base::Op& op) {
  COAM_ASSIGN_OR_RETURN(Keyring keys, KeyringFor(image_name, op));
  if (keys.empty()) return Fail("sig.no_keys") << "no key is trusted for " << image_name;
  COAM_ASSIGN_OR_RETURN(auto verifier, openpgp::DetachedVerifier::New(
                                           signature, keys, openpgp::Policy(),
                                           op.clock().RealtimeNs() / 1000000000, &op.limits()));
  if (verifier->MaybeKnown()) return absl::OkStatus();
  std::vector<std::string> issuers = verifier->Issuers();
  return Fail("sig.untrusted") << image_name << ": signed by key "
                               << (issuers.empty() ? "unknown" : issuers.front())
                               << ", which is not trusted for this name";
}

absl::StatusOr<std::vector<std::string>> KeyStore::Add(std::string_view prefix, bool root,
                                                       std::string_view keys, const base::Op& op) {
  COAM_RETURN_IF_ERROR(CheckScope(prefix, root));
  if (local_ == nullptr) return Fail("core.state") << "the key store has no local directory";
  COAM_ASSIGN_OR_RETURN(Keyring found, Keyring::FromBytes(keys, &op.limits()));
  std::vector<std::string> out;
  for (const openpgp::Certificate& certificate : found.certificates()) {
    std::string path = absl::StrCat(DirectoryOf(prefix), "/", certificate.fingerprint());
    COAM_RETURN_IF_ERROR(local_->Write(path, certificate.Armored()));
    out.push_back(certificate.fingerprint());
  }
  return out;
}

absl::Status KeyStore::Mask(std::string_view prefix, bool root, std::string_view fingerprint) {
  COAM_RETURN_IF_ERROR(CheckScope(prefix, root));
  if (local_ == nullptr) return Fail("core.state") << "the key store has no local directory";
  std::string name = openpgp::NormalizeFingerprint(fingerprint);
  if (!IsFingerprint(name))
    return Fail("sig.key_invalid")
           << "'" << openpgp::Printable(fingerprint) << "' is not a fingerprint";
  return local_->Write(absl::StrCat(DirectoryOf(prefix), "/", name), "");
}

absl::Status KeyStore::Remove(std::string_view prefix, bool root, std::string_view fingerprint) {
  COAM_RETURN_IF_ERROR(CheckScope(prefix, root));
  if (local_ == nullptr) return Fail("core.state") << "the key store has no local directory";
  std::string name = openpgp::NormalizeFingerprint(fingerprint);
  if (!IsFingerprint(name))
    return Fail("sig.key_invalid")
           << "'" << openpgp::Printable(fingerprint) << "' is not a fingerprint";
  COAM_ASSIGN_OR_RETURN(std::vector<KeyFiles::Entry> entries, local_->List(DirectoryOf(prefix)));
  for (const KeyFiles::Entry& entry : entries)
    if (!entry.directory && entry.name == name)
      return local_->Remove(absl::StrCat(DirectoryOf(prefix), "/", name));
  return Fail("sig.key_not_found") << "no key " << name << " for " << (root ? "all names" : prefix);
}

absl::StatusOr<std::vector<KeyStore::Key>> KeyStore::List(const base::Op& op) {
  std::vector<Key> out;
  for (bool root : {true, false}) {
    for (KeyFiles* files : {system_, local_}) {
      if (files == nullptr) continue;
      COAM_RETURN_IF_ERROR(ListDirectory(*files, std::string(root ? kRoot : kPrefix), "", root,
                                         files == local_, 0, op, &out));
    }
  }
  return out;
}

std::string KeysToJson(const std::vector<KeyStore::Key>& keys) {
  base::json::Value out = base::json::Value::MakeObject();
  out.Set("schema", "coam.sig.keystore.v1");
  base::json::Value& list = out.Set("keys", base::json::Value::MakeArray());
  for (const KeyStore::Key& key : keys) {
    base::json::Value one = base::json::Value::MakeObject();
    one.Set("prefix", key.prefix);
    one.Set("fingerprint", key.fingerprint);
    one.Set("local", key.local);
    one.Set("masked", key.masked);
    one.Set("userIds", key.user_ids);
    list.Push(std::move(one));
  }
  return base::json::Write(out);
}

absl::StatusOr<std::vector<KeyFiles::Entry>> MemoryKeyFiles::List(const std::string& directory) {
  std::map<std::string, bool> names;
  std::string start = directory + "/";
  for (const auto& [path, bytes] : files_) {
    if (!absl::StartsWith(path, start)) continue;
    std::string rest = path.substr(start.size());
    size_t slash = rest.find('/');
    names[rest.substr(0, slash)] |= slash != std::string::npos;
  }
  std::vector<Entry> out;
  for (const auto& [name, is_directory] : names) out.push_back({name, is_directory});
  return out;
}

absl::StatusOr<std::string> MemoryKeyFiles::Read(const std::string& path, int64_t max_bytes) {
  for (const auto& [have, bytes] : files_) {
    if (have != path) continue;
    if (static_cast<int64_t>(bytes.size()) > max_bytes)
      return base::FailLimit("keyring_bytes", max_bytes) << path;
    return bytes;
  }
  return Fail("core.not_found") << path;
}

absl::Status MemoryKeyFiles::Write(const std::string& path, std::string_view bytes) {
  (void)Remove(path);
  files_.emplace_back(path, bytes);
  return absl::OkStatus();
}

absl::Status MemoryKeyFiles::Remove(const std::string& path) {
  auto it = std::find_if(files_.begin(), files_.end(),
                         [&path](const auto& file) { return file.first == path; });
  if (it == files_.end()) return Fail("core.not_found") << path;
  files_.erase(it);
  return absl::OkStatus();
}

}  // namespace coaming::trust
