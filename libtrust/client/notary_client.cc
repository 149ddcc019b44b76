#include "libtrust/client/notary_client.h"

#include <fcntl.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/digest/hasher.h"
#include "base/fs/dir.h"
#include "base/fs/file.h"
#include "base/fs/lock.h"
#include "base/http/transport.h"
#include "base/stream/stream.h"
#include "libtrust/notary/updater.h"

namespace coaming::trust {

using base::Fail;
using notary::Change;
using notary::Collection;
using notary::kRoot;
using notary::kSnapshot;
using notary::kTargets;
using notary::kTimestamp;

namespace {

constexpr int64_t kNs = 1000000000;
constexpr std::string_view kChangeSuffix = ".change";

std::string MetadataPath(std::string_view role) { return absl::StrCat("metadata/", role, ".json"); }

// The files of one repository.
class GunDirectory final : public notary::Cache {
 public:
  static absl::StatusOr<GunDirectory> Open(const base::Dir& trust_dir, std::string_view gun) {
    COAM_ASSIGN_OR_RETURN(base::Dir dir, trust_dir.MakeDirs(absl::StrCat("tuf/", gun), 0700));
    return GunDirectory(std::move(dir));
  }

  absl::StatusOr<base::FileLock> Lock(const base::Op& op) const {
    return base::FileLock::Acquire(op, dir_, ".lock", base::LockMode::kExclusive);
  }

  absl::StatusOr<std::optional<std::string>> Load(const std::string& role) override {
    auto bytes =
        dir_.ReadFile(MetadataPath(role), base::Limits().tuf_metadata_bytes, "tuf_metadata_bytes");
    if (bytes.ok()) return std::optional<std::string>(*std::move(bytes));
    if (base::HasReason(bytes.status(), "core.not_found")) return std::optional<std::string>();
    return bytes.status();
  }

  absl::Status Save(const std::string& role, std::string_view bytes) override {
    const std::string path = MetadataPath(role);
    COAM_RETURN_IF_ERROR(dir_.MakeDirs(path.substr(0, path.rfind('/')), 0700).status());
    return dir_.WriteFile(base::Op(), path, bytes, {.mode = 0600, .sync = true});
  }

  absl::StatusOr<std::vector<std::string>> ChangeNames() const {
    std::vector<std::string> out;
    auto entries = dir_.List("changelist");
    if (!entries.ok())
      return base::HasReason(entries.status(), "core.not_found")
                 ? out
                 : absl::StatusOr<std::vector<std::string>>(entries.status());
    for (const base::DirEntry& e : *entries)
      if (absl::EndsWith(e.name, kChangeSuffix)) out.push_back("changelist/" + e.name);
    return out;  // sorted, and so by time
  }

  absl::StatusOr<std::vector<Change>> Changes(std::vector<std::string>* names) const {
    COAM_ASSIGN_OR_RETURN(*names, ChangeNames());
    std::vector<Change> out;
    for (const std::string& name : *names) {
      COAM_ASSIGN_OR_RETURN(std::string text, dir_.ReadFile(name, 1 << 20, "manifest_bytes"));
      COAM_ASSIGN_OR_RETURN(out.emplace_back(), notary::ReadChange(text));
    }
    return out;
  }

  absl::Status AddChange(const Change& change, int64_t* time_ns) const {
    COAM_RETURN_IF_ERROR(dir_.MakeDirs("changelist", 0700).status());
    std::string uuid = base::HexEncode(RandomBytes(16));
    for (size_t at : {8, 13, 18, 23}) uuid.insert(at, "-");
    char stamp[32];
    // One after the other even if the clock stands still.
    std::snprintf(stamp, sizeof stamp, "%020lld", static_cast<long long>((*time_ns)++));
    return dir_.WriteFile(base::Op(), absl::StrCat("changelist/", stamp, "_", uuid, kChangeSuffix),
                          notary::WriteChange(change), {.mode = 0600});
  }

  absl::Status Unlink(const std::string& path) const { return dir_.Unlink(path); }
  const base::Dir& dir() const { return dir_; }

 private:
  explicit GunDirectory(base::Dir dir) : dir_(std::move(dir)) {}
  base::Dir dir_;
};

absl::Status WithoutTrustData(std::string_view server, std::string_view gun) {
  return Fail("notary.unsigned") << "remote trust data does not exist for " << gun << ": " << server
                                 << " does not have trust data for " << gun;
}

}  // namespace

absl::Status CheckGun(std::string_view gun) {
  bool ok = !gun.empty() && gun.size() <= 255 && !absl::StrContains(gun, "metadata/targets");
  for (std::string_view part : absl::StrSplit(gun, '/')) {
    ok = ok && !part.empty() && part != "." && part != "..";
    for (char c : part)
      ok = ok && (absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' ||
                  c == '-' || c == ':');
  }
  if (ok) return absl::OkStatus();
  return Fail("core.invalid_argument")
         << "\"" << absl::CHexEscape(gun) << "\" is no name of a repository";
}

namespace {

// One call on one repository.
struct Session {
  std::string gun;
  GunDirectory files;
  base::FileLock lock;
  NotaryServer server;
};

}  // namespace

struct NotaryClient::Impl {
  NotaryOptions options;
  base::Dir dir;
  NotaryKeys keys;
  std::unique_ptr<base::Transport> own_transport;
  base::Transport* transport = nullptr;

  absl::StatusOr<Session> Begin(std::string_view gun, const base::Op& op) {
    COAM_RETURN_IF_ERROR(CheckGun(gun));
    COAM_ASSIGN_OR_RETURN(GunDirectory files, GunDirectory::Open(dir, gun));
    COAM_ASSIGN_OR_RETURN(base::FileLock lock, files.Lock(op));
    return Session{std::string(gun), std::move(files), std::move(lock),
                   NotaryServer(*transport, options.access, gun)};
  }
  absl::StatusOr<Collection> Update(Session& at, bool probe, const base::Op& op) {
    notary::Updater updater(at.server, at.files, {at.gun, options.pins, options.access.url, probe});
    return updater.Update(op);
  }
  // What Init left here, for a repository that is not on the server; nullopt if it did not.
  absl::StatusOr<std::optional<Collection>> Begun(Session& at, const base::Op& op);
  absl::Status Init(Session& at, const NotaryInit& init, const base::Op& op);
  absl::Status Publish(Session& at, const std::vector<Change>& changes, const NotaryInit& init,
                       const base::Op& op);
  absl::StatusOr<std::vector<notary::Key>> RootKeys(std::string_view gun, const NotaryInit& init,
                                                    int64_t now_s);
};

NotaryClient::NotaryClient(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
NotaryClient::~NotaryClient() = default;
NotaryKeys& NotaryClient::keys() { return impl_->keys; }

absl::StatusOr<std::unique_ptr<NotaryClient>> NotaryClient::Open(NotaryOptions options,
                                                                 base::Transport* transport) {
  if (options.trust_dir.empty())
    return Fail("core.invalid_argument") << "a trust directory is missing";
  COAM_ASSIGN_OR_RETURN(base::Dir dir, base::Dir::OpenOrMake(options.trust_dir, 0700));
  COAM_ASSIGN_OR_RETURN(NotaryKeys keys, NotaryKeys::Open(dir));
  const base::Op op;
  for (const auto& [prefix, path] : options.authority_files) {
    COAM_ASSIGN_OR_RETURN(options.pins.authorities[prefix],
                          base::ReadHostFile(op, path, 1 << 20, "keyring_bytes"));
  }
  if (options.credentials_fd >= 0) {
    COAM_ASSIGN_OR_RETURN(std::string text, base::ReadFd(options.credentials_fd, "the credentials",
                                                         64 << 10, "credentials_bytes"));
    const std::string_view line = absl::StripTrailingAsciiWhitespace(text);
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0)
      return Fail("core.invalid_argument") << "credentials are not USER:PASSWORD";
    options.access.username = line.substr(0, colon);
    options.access.password = SecretBytes::Copy(line.substr(colon + 1));
    WipeString(&text);
  }
  std::unique_ptr<base::Transport> own;
  if (transport == nullptr) {
    COAM_ASSIGN_OR_RETURN(own, MakeTransport(options.web));
    transport = own.get();
  }
  return std::unique_ptr<NotaryClient>(new NotaryClient(std::unique_ptr<Impl>(
      new Impl{std::move(options), std::move(dir), std::move(keys), std::move(own), transport})));
}

absl::StatusOr<Collection> NotaryClient::Update(std::string_view gun, const base::Op& op) {
  COAM_ASSIGN_OR_RETURN(Session at, impl_->Begin(gun, op));
  return impl_->Update(at, false, op);
}

absl::StatusOr<std::vector<notary::Key>> NotaryClient::Impl::RootKeys(std::string_view gun,
                                                                      const NotaryInit& init,
                                                                      int64_t now_s) {
  std::vector<notary::Key> out;
  std::vector<std::string> ids = init.root_keys;
  for (const std::string& pem : init.root_certificates) {
    COAM_ASSIGN_OR_RETURN(out.emplace_back(), notary::KeyOfPem(pem));
    if (init.root_keys.empty()) ids.push_back(notary::CanonicalId(out.back()));
  }
  if (!out.empty()) {
    if (ids.size() != out.size())
      return Fail("core.invalid_argument")
             << out.size() << " certificates for " << ids.size() << " root keys";
    for (size_t i = 0; i < ids.size(); ++i)
      if (ids[i] != notary::CanonicalId(out[i]) || !keys.Has(ids[i]))
        return Fail("notary.no_key") << "there is no private key for the root certificate of key "
                                     << notary::CanonicalId(out[i]);
    return out;
  }
  if (ids.empty()) {
    COAM_ASSIGN_OR_RETURN(std::vector<NotaryKeys::Info> known, keys.List());
    for (const NotaryKeys::Info& info : known)
      if (info.role == kRoot && ids.empty()) ids.push_back(info.id);
  }
  if (ids.empty()) {
    COAM_ASSIGN_OR_RETURN(notary::Key made, keys.Create(kRoot, ""));
    ids.push_back(made.id);
  }
  for (const std::string& id : ids) {
    COAM_ASSIGN_OR_RETURN(PrivateKey key, keys.Get(id));
    COAM_ASSIGN_OR_RETURN(out.emplace_back(), notary::MakeRootKey(key, gun, now_s));
  }
  return out;
}

absl::Status NotaryClient::Impl::Init(Session& at, const NotaryInit& init, const base::Op& op) {
  const int64_t now_ns = op.clock().RealtimeNs();
  notary::NewKeys made;
  COAM_ASSIGN_OR_RETURN(made.root, RootKeys(at.gun, init, now_ns / kNs));
  COAM_ASSIGN_OR_RETURN(made.timestamp, at.server.PublicKey(kTimestamp, false, op));
  if (init.server_snapshot) {
    COAM_ASSIGN_OR_RETURN(made.snapshot, at.server.PublicKey(kSnapshot, false, op));
  } else {
    COAM_ASSIGN_OR_RETURN(made.snapshot, keys.Create(kSnapshot, at.gun));
  }
  COAM_ASSIGN_OR_RETURN(made.targets, keys.Create(kTargets, at.gun));
  notary::Editor editor(notary::NewCollection(at.gun, made), keys);
  COAM_ASSIGN_OR_RETURN(auto signed_files, editor.Sign(now_ns, true));
  for (const auto& [role, bytes] : signed_files) COAM_RETURN_IF_ERROR(at.files.Save(role, bytes));
  return absl::OkStatus();
}

absl::StatusOr<std::optional<Collection>> NotaryClient::Impl::Begun(Session& at,
                                                                    const base::Op& op) {
  Collection out;
  out.gun = at.gun;
  COAM_ASSIGN_OR_RETURN(auto root, at.files.Load(std::string(kRoot)));
  COAM_ASSIGN_OR_RETURN(auto targets, at.files.Load(std::string(kTargets)));
  COAM_ASSIGN_OR_RETURN(auto snapshot, at.files.Load(std::string(kSnapshot)));
  if (!root || !targets) return std::optional<Collection>();
  COAM_ASSIGN_OR_RETURN(out.root, notary::ParseMetadata(*root, kRoot, &op.limits()));
  COAM_RETURN_IF_ERROR(notary::CheckKept(out.root, at.gun));
  const auto check = [&](const std::string& bytes,
                         std::string_view role) -> absl::StatusOr<notary::Metadata> {
    COAM_ASSIGN_OR_RETURN(notary::Metadata m, notary::ParseMetadata(bytes, role, &op.limits()));
    COAM_RETURN_IF_ERROR(
        notary::CheckSignatures(out.root.keys, out.root.roles.at(std::string(role)), m));
    return m;
  };
  COAM_ASSIGN_OR_RETURN(notary::Metadata t, check(*targets, kTargets));
  out.targets.emplace(kTargets, std::move(t));
  if (snapshot) {
    COAM_ASSIGN_OR_RETURN(out.snapshot, check(*snapshot, kSnapshot));
  } else {
    out.snapshot = notary::NewMetadata(kSnapshot);
  }
  return std::optional<Collection>(std::move(out));
}

absl::Status NotaryClient::Impl::Publish(Session& at, const std::vector<Change>& changes,
                                         const NotaryInit& init, const base::Op& op) {
  bool first = false;
  auto now = Update(at, true, op);
  if (!now.ok()) {
    if (!base::HasReason(now.status(), "notary.unsigned")) return now.status();
    first = true;
    COAM_ASSIGN_OR_RETURN(std::optional<Collection> begun, Begun(at, op));
    if (!begun) {
      COAM_RETURN_IF_ERROR(Init(at, init, op));
      COAM_ASSIGN_OR_RETURN(begun, Begun(at, op));
    }
    if (!begun) return WithoutTrustData(options.access.url, at.gun);
    now = *std::move(begun);
  }
  notary::Editor editor(*std::move(now), keys);
  COAM_RETURN_IF_ERROR(editor.Apply(changes));
  COAM_ASSIGN_OR_RETURN(auto made, editor.Sign(op.clock().RealtimeNs(), first));
  if (made.empty()) return absl::OkStatus();
  return at.server.Publish(made, op);
}

absl::Status NotaryClient::Init(std::string_view gun, const NotaryInit& init, const base::Op& op) {
  COAM_ASSIGN_OR_RETURN(Session at, impl_->Begin(gun, op));
  auto there = at.server.Get(std::string(kRoot), op.limits().tuf_metadata_bytes, op);
  if (there.ok())
    return (Fail("notary.exists") << gun << ": " << impl_->options.access.url
                                  << " has trust data for it already")
        .Hint("publish to it, or delete the remote trust data first");
  if (!base::HasReason(there.status(), "http.not_found")) return there.status();
  return impl_->Init(at, init, op);
}

absl::Status NotaryClient::Stage(std::string_view gun, const std::vector<Change>& changes,
                                 const base::Op& op) {
  COAM_ASSIGN_OR_RETURN(Session at, impl_->Begin(gun, op));
  int64_t time_ns = op.clock().RealtimeNs();
  for (const Change& change : changes) COAM_RETURN_IF_ERROR(at.files.AddChange(change, &time_ns));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Change>> NotaryClient::Staged(std::string_view gun) {
  COAM_RETURN_IF_ERROR(CheckGun(gun));
  COAM_ASSIGN_OR_RETURN(GunDirectory files, GunDirectory::Open(impl_->dir, gun));
  std::vector<std::string> names;
  return files.Changes(&names);
}

absl::Status NotaryClient::Unstage(std::string_view gun, const std::vector<int64_t>& indices) {
  COAM_RETURN_IF_ERROR(CheckGun(gun));
  COAM_ASSIGN_OR_RETURN(GunDirectory files, GunDirectory::Open(impl_->dir, gun));
  COAM_ASSIGN_OR_RETURN(std::vector<std::string> names, files.ChangeNames());
  for (int64_t i : indices)
    if (i < 0 || i >= static_cast<int64_t>(names.size()))
      return Fail("core.invalid_argument") << gun << ": there is no change number " << i;
  for (size_t i = 0; i < names.size(); ++i)
    if (indices.empty() ||
        std::find(indices.begin(), indices.end(), static_cast<int64_t>(i)) != indices.end())
      COAM_RETURN_IF_ERROR(files.Unlink(names[i]));
  return absl::OkStatus();
}

absl::Status NotaryClient::Publish(std::string_view gun, const base::Op& op) {
  COAM_ASSIGN_OR_RETURN(Session at, impl_->Begin(gun, op));
  std::vector<std::string> names;
  COAM_ASSIGN_OR_RETURN(std::vector<Change> changes, at.files.Changes(&names));
  COAM_RETURN_IF_ERROR(impl_->Publish(at, changes, {}, op));
  for (const std::string& name : names) COAM_RETURN_IF_ERROR(at.files.Unlink(name));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> NotaryClient::Sign(std::string_view gun,
                                                            std::string_view name,
                                                            const notary::FileMeta& meta,
                                                            const base::Op& op) {
  COAM_ASSIGN_OR_RETURN(Session at, impl_->Begin(gun, op));
  std::vector<std::string> roles = {std::string(kTargets)};
  auto now = impl_->Update(at, true, op);
  if (now.ok()) {
    const std::vector<notary::Delegation> direct = now->Children(kTargets, {""});
    if (!direct.empty()) roles.clear();
    for (const notary::Delegation& d : direct) {
      notary::RoleKeys ids;
      std::vector<notary::Key> keys;
      if (!notary::StartsWithAny(name, d.paths) || !now->KeysOf(d.name, &ids, &keys)) continue;
      if (std::any_of(keys.begin(), keys.end(), [&](const notary::Key& k) {
            return impl_->keys.Has(notary::CanonicalId(k));
          }))
        roles.push_back(d.name);
    }
    if (roles.empty())
      return (Fail("notary.no_key") << gun << ": no valid signing keys for delegation roles")
          .Hint("load the private key of a signer of this repository");
  } else if (!base::HasReason(now.status(), "notary.unsigned")) {
    return now.status();
  }
  std::vector<Change> changes;
  for (const std::string& role : roles) changes.push_back(notary::AddTarget(role, name, meta));
  NotaryInit init;
  init.server_snapshot = true;
  COAM_RETURN_IF_ERROR(impl_->Publish(at, changes, init, op));
  return roles;
}

absl::StatusOr<std::vector<std::string>> NotaryClient::Revoke(std::string_view gun,
                                                              std::string_view name,
                                                              const base::Op& op) {
  COAM_ASSIGN_OR_RETURN(Session at, impl_->Begin(gun, op));
  COAM_ASSIGN_OR_RETURN(Collection now, impl_->Update(at, true, op));
  std::vector<std::string> roles;
  std::vector<Change> changes;
  for (const notary::Named& t : now.FindAll(name)) {
    notary::RoleKeys ids;
    std::vector<notary::Key> keys;
    if (!now.KeysOf(t.role, &ids, &keys) ||
        std::none_of(keys.begin(), keys.end(),
                     [&](const notary::Key& k) { return impl_->keys.Has(notary::CanonicalId(k)); }))
      continue;
    changes.push_back({"delete", t.role, "target", t.name, ""});
    if (std::find(roles.begin(), roles.end(), t.role) == roles.end()) roles.push_back(t.role);
  }
  if (changes.empty())
    return Fail("notary.no_target")
           << gun << ": no signed tags " << (name.empty() ? "" : absl::StrCat("called ", name, " "))
           << "that a key here could revoke";
  COAM_RETURN_IF_ERROR(impl_->Publish(at, changes, {}, op));
  return roles;
}

absl::Status NotaryClient::Rotate(std::string_view gun, std::string_view role, bool by_server,
                                  const std::vector<std::string>& key_ids, const base::Op& op) {
  const bool can_server = role == kSnapshot || role == kTimestamp;
  const bool can_local = role == kSnapshot || role == kTargets || role == kRoot;
  if (by_server ? !can_server : !can_local)
    return Fail("notary.role") << "the " << role << " key cannot be held by the "
                               << (by_server ? "server" : "client");
  COAM_ASSIGN_OR_RETURN(Session at, impl_->Begin(gun, op));
  std::vector<notary::Key> keys;
  if (by_server) {
    COAM_ASSIGN_OR_RETURN(keys.emplace_back(), at.server.PublicKey(role, true, op));
  } else if (role == kRoot) {
    NotaryInit init;
    init.root_keys = key_ids;
    if (key_ids.empty()) {
      COAM_ASSIGN_OR_RETURN(notary::Key made, impl_->keys.Create(kRoot, ""));
      init.root_keys.push_back(made.id);
    }
    COAM_ASSIGN_OR_RETURN(keys, impl_->RootKeys(gun, init, op.clock().RealtimeNs() / kNs));
  } else if (key_ids.empty()) {
    COAM_ASSIGN_OR_RETURN(keys.emplace_back(), impl_->keys.Create(role, gun));
  } else {
    for (const std::string& id : key_ids) {
      COAM_ASSIGN_OR_RETURN(PrivateKey key, impl_->keys.Get(id));
      keys.push_back(notary::KeyOf(key.public_key()));
    }
  }
  const Change change{"create", std::string(kRoot), "role", std::string(role),
                      notary::WriteRoleChange(role, keys)};
  return impl_->Publish(at, {change}, {}, op);
}

absl::Status NotaryClient::Delete(std::string_view gun, bool remote, const base::Op& op) {
  COAM_ASSIGN_OR_RETURN(Session at, impl_->Begin(gun, op));
  if (remote) COAM_RETURN_IF_ERROR(at.server.Delete(op));
  // Not the directory itself: names beneath this one have theirs in it.
  COAM_RETURN_IF_ERROR(at.files.dir().RemoveAll(op, "metadata"));
  return at.files.dir().RemoveAll(op, "changelist");
}

absl::StatusOr<notary::FileMeta> NotaryClient::HashFile(std::string_view path, const base::Op& op) {
  COAM_ASSIGN_OR_RETURN(base::UniqueFd fd, base::OpenHostFile(path, O_RDONLY));
  base::FdReader reader(op, fd.get(), path);
  base::Hasher sha256(base::DigestAlgorithm::kSha256), sha512(base::DigestAlgorithm::kSha512);
  notary::FileMeta out;
  std::string block(base::kBlockBytes, '\0');
  for (;;) {
    COAM_RETURN_IF_ERROR(op.Check());
    COAM_ASSIGN_OR_RETURN(size_t got, reader.Read(std::span<char>(block.data(), block.size())));
    if (got == 0) break;
    sha256.Update(block.data(), got);
    sha512.Update(block.data(), got);
    out.length += static_cast<int64_t>(got);
  }
  out.hashes["sha256"] = sha256.FinishBytes();
  out.hashes["sha512"] = sha512.FinishBytes();
  return out;
}

absl::Status NotaryClient::VerifyFile(const notary::Named& target, std::string_view path,
                                      const base::Op& op) {
  COAM_ASSIGN_OR_RETURN(notary::FileMeta have, HashFile(path, op));
  int known = 0;
  bool same = have.length == target.meta.length;
  for (const auto& [name, hash] : target.meta.hashes)
    if (auto it = have.hashes.find(name); it != have.hashes.end()) {
      ++known;
      same = same && it->second == hash;
    }
  if (same && known > 0) return absl::OkStatus();
  return Fail("tuf.mismatch") << path << ": it is not what is signed as " << target.name << " in "
                              << target.role;
}

}  // namespace coaming::trust
