#include "libtrust/client/notary_keys.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/json/json.h"

namespace coaming::trust {

using base::Fail;
namespace json = base::json;

namespace {

constexpr std::string_view kSuffix = ".key";
constexpr int64_t kMaxFile = 64 << 10;
constexpr int kAttempts = 3;

std::string PathOf(const std::string& id) { return absl::StrCat("private/", id, kSuffix); }

absl::Status CheckId(const std::string& id) {
  if (notary::IsKeyId(id)) return absl::OkStatus();
  return Fail("core.invalid_argument") << "\"" << id << "\" is no key id: want 64 hex digits";
}

}  // namespace

absl::StatusOr<NotaryKeys> NotaryKeys::Open(const base::Dir& trust_dir) {
  COAM_ASSIGN_OR_RETURN(base::Dir dir, trust_dir.Clone());
  return NotaryKeys(std::move(dir));
}

absl::StatusOr<std::string> NotaryKeys::Load(const std::string& id) const {
  COAM_RETURN_IF_ERROR(CheckId(id));
  auto text = dir_.ReadFile(PathOf(id), kMaxFile, "signature_bytes");
  if (!text.ok() && base::HasReason(text.status(), "core.not_found"))
    return Fail("notary.no_key") << "there is no private key " << id << " in " << dir_.name();
  return text;
}

absl::StatusOr<NotaryKeys::Info> NotaryKeys::Find(const std::string& id) const {
  COAM_ASSIGN_OR_RETURN(std::string text, Load(id));
  auto files = notary::SplitKeyFiles(text);
  WipeString(&text);
  COAM_RETURN_IF_ERROR(files.status());
  return Info{id, files->front().role, files->front().gun};
}

absl::StatusOr<std::vector<NotaryKeys::Info>> NotaryKeys::List() const {
  std::vector<Info> out;
  auto entries = dir_.List("private");
  if (!entries.ok())
    return base::HasReason(entries.status(), "core.not_found")
               ? out
               : absl::StatusOr<std::vector<Info>>(entries.status());
  for (const base::DirEntry& e : *entries) {
    if (!absl::EndsWith(e.name, kSuffix)) continue;
    const std::string id = e.name.substr(0, e.name.size() - kSuffix.size());
    if (!notary::IsKeyId(id)) continue;
    if (auto info = Find(id); info.ok()) out.push_back(*std::move(info));
  }
  std::sort(out.begin(), out.end(), [](const Info& a, const Info& b) {
    return std::tie(a.role, a.gun, a.id) < std::tie(b.role, b.gun, b.id);
  });
  return out;
}

bool NotaryKeys::Has(const std::string& id) {
  if (open_.contains(id)) return true;
  return notary::IsKeyId(id) && dir_.Exists(PathOf(id)).value_or(false);
}

absl::StatusOr<SecretBytes> NotaryKeys::Ask(PassphraseRequest request) const {
  if (passphrases_ == nullptr)
    return Fail("sig.passphrase") << "the " << request.role << " key "
                                  << request.key_id.substr(0, 7)
                                  << (request.create ? " needs" : " is protected by")
                                  << " a passphrase, and none can be asked for";
  return passphrases_(request);
}

absl::StatusOr<PrivateKey> NotaryKeys::Unlock(const notary::KeyFile& file, const std::string& id) {
  absl::StatusOr<PrivateKey> key;
  if (!file.encrypted) {
    key = PrivateKey::FromPem(file.pem);
  } else {
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      COAM_ASSIGN_OR_RETURN(SecretBytes passphrase, Ask({id, file.role, false, attempt}));
      key = PrivateKey::FromPem(file.pem, passphrase.view());
      if (!base::HasReason(key.status(), "sig.passphrase")) break;
    }
  }
  COAM_RETURN_IF_ERROR(base::Wrap(key.status(), absl::StrCat("the ", file.role, " key ", id)));
  const std::string real = notary::KeyOf(key->public_key()).id;
  // A file under another key's name would sign where nobody meant it to.
  if (!id.empty() && real != id)
    return Fail("sig.key_invalid") << "the key file " << id << " holds the key " << real;
  return key;
}

absl::StatusOr<PrivateKey> NotaryKeys::Get(const std::string& id) {
  if (auto it = open_.find(id); it != open_.end()) return it->second.Clone();
  COAM_ASSIGN_OR_RETURN(std::string text, Load(id));
  auto files = notary::SplitKeyFiles(text);
  WipeString(&text);
  COAM_RETURN_IF_ERROR(files.status());
  auto key = Unlock(files->front(), id);
  WipeString(&files->front().pem);
  COAM_RETURN_IF_ERROR(key.status());
  open_.insert_or_assign(id, key->Clone());
  return key;
}

absl::Status NotaryKeys::Write(const std::string& id, std::string pem) {
  absl::Status s = dir_.MakeDirs("private", 0700).status();
  if (s.ok()) s = dir_.WriteFile(base::Op(), PathOf(id), pem, {.mode = 0600, .sync = true});
  WipeString(&pem);
  return s;
}

absl::Status NotaryKeys::Save(const PrivateKey& key, std::string_view role, std::string_view gun) {
  const std::string id = notary::KeyOf(key.public_key()).id;
  COAM_ASSIGN_OR_RETURN(SecretBytes passphrase, Ask({id, std::string(role), true, 0}));
  COAM_ASSIGN_OR_RETURN(std::string pem, notary::WriteKeyFile(key, role, gun, passphrase.view()));
  COAM_RETURN_IF_ERROR(Write(id, std::move(pem)));
  open_.insert_or_assign(id, key.Clone());
  return absl::OkStatus();
}

absl::StatusOr<notary::Key> NotaryKeys::Create(std::string_view role, std::string_view gun) {
  COAM_ASSIGN_OR_RETURN(PrivateKey key, PrivateKey::Generate(KeyType::kEcdsaP256));
  COAM_RETURN_IF_ERROR(Save(key, role, gun));
  return notary::KeyOf(key.public_key());
}

absl::StatusOr<std::vector<std::string>> NotaryKeys::Import(std::string_view pem,
                                                            std::string_view role,
                                                            std::string_view gun) {
  COAM_ASSIGN_OR_RETURN(std::vector<notary::KeyFile> files, notary::SplitKeyFiles(pem));
  std::vector<std::string> out;
  for (notary::KeyFile& file : files) {
    if (!role.empty()) file.role = role;
    if (!gun.empty()) file.gun = gun;
    if (file.role.empty())
      return Fail("core.invalid_argument") << "a key to import has no role: name one";
    if (notary::HasGun(file.role) && file.gun.empty())
      return Fail("core.invalid_argument")
             << "a " << file.role << " key to import has no repository: name one";
    if (!notary::HasGun(file.role)) file.gun.clear();
    COAM_ASSIGN_OR_RETURN(PrivateKey key, Unlock(file, ""));
    const std::string id = notary::KeyOf(key.public_key()).id;
    if (file.encrypted && !file.old) {
      COAM_RETURN_IF_ERROR(Write(id, notary::WithHeaders(file.pem, file.role, file.gun, "")));
    } else {
      COAM_RETURN_IF_ERROR(Save(key, file.role, file.gun));
    }
    WipeString(&file.pem);
    out.push_back(id);
  }
  return out;
}

absl::StatusOr<std::string> NotaryKeys::Export(const std::vector<std::string>& ids,
                                               std::string_view gun) const {
  std::vector<std::string> chosen = ids;
  if (ids.empty()) {
    COAM_ASSIGN_OR_RETURN(std::vector<Info> all, List());
    for (const Info& info : all)
      if (gun.empty() || info.gun == gun) chosen.push_back(info.id);
  }
  if (chosen.empty()) return Fail("notary.no_key") << "there are no keys to export";
  std::string out;
  for (const std::string& id : chosen) {
    COAM_ASSIGN_OR_RETURN(std::string text, Load(id));
    auto files = notary::SplitKeyFiles(text);
    WipeString(&text);
    COAM_RETURN_IF_ERROR(files.status());
    const notary::KeyFile& file = files->front();
    if (file.old)
      return (Fail("sig.unsupported") << "the key " << id << " is kept in an old form")
          .Hint("set its passphrase anew first, which writes it in the present one");
    absl::StrAppend(&out, notary::WithHeaders(file.pem, file.role, file.gun, id));
  }
  return out;
}

absl::Status NotaryKeys::ChangePassphrase(const std::string& id) {
  COAM_ASSIGN_OR_RETURN(Info info, Find(id));
  open_.erase(id);
  COAM_ASSIGN_OR_RETURN(PrivateKey key, Get(id));
  return Save(key, info.role, info.gun);
}

absl::Status NotaryKeys::Remove(const std::string& id) {
  COAM_RETURN_IF_ERROR(CheckId(id));
  open_.erase(id);
  absl::Status s = dir_.Unlink(PathOf(id));
  if (!base::HasReason(s, "core.not_found")) return s;
  return Fail("notary.no_key") << "there is no private key " << id << " in " << dir_.name();
}

std::string NotaryKeysToJson(const std::vector<NotaryKeys::Info>& keys) {
  json::Value out = json::Value::MakeObject();
  out.Set("schema", "coam.notary.keys.v1");
  json::Value& list = out.Set("keys", json::Value::MakeArray());
  for (const NotaryKeys::Info& k : keys) {
    json::Value& one = list.Push(json::Value::MakeObject());
    one.Set("id", k.id);
    one.Set("role", k.role);
    one.Set("gun", k.gun);
  }
  return json::Write(out);
}

std::string NotaryKeyToJson(const notary::Key& key, std::string_view role, std::string_view gun) {
  json::Value out = json::Value::MakeObject();
  out.Set("schema", "coam.notary.key.v1");
  out.Set("id", key.id);
  out.Set("role", role);
  out.Set("gun", notary::HasGun(role) ? gun : "");
  out.Set("public", notary::WithHeaders(key.key.SpkiPem(), role, "", ""));
  return json::Write(out);
}

std::string NotaryImportedToJson(const std::vector<std::string>& ids) {
  json::Value out = json::Value::MakeObject();
  out.Set("schema", "coam.notary.imported.v1");
  out.Set("ids", ids);
  return json::Write(out);
}

}  // namespace coaming::trust
