#include "libtrust/client/tuf_directory.h"

#include <fcntl.h>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/digest/hasher.h"
#include "base/fs/atomic_file.h"
#include "base/fs/dir.h"
#include "base/fs/file.h"
#include "base/fs/lock.h"
#include "base/json/json.h"
#include "base/stream/stream.h"

namespace coaming::trust {

using base::Fail;
using base::json::Value;

namespace {

class DirRepositoryStore final : public tuf::RepositoryStore {
 public:
  explicit DirRepositoryStore(base::Dir dir) : dir_(std::move(dir)) {}

  absl::StatusOr<std::optional<std::string>> Load(const std::string& name) override {
    auto bytes =
        dir_.ReadFile(PathOf(name), base::Limits().tuf_metadata_bytes, "tuf_metadata_bytes");
    if (bytes.ok()) return std::optional<std::string>(*std::move(bytes));
    if (base::HasReason(bytes.status(), "core.not_found")) return std::optional<std::string>();
    return bytes.status();
  }
  absl::Status Save(const std::string& name, std::string_view bytes) override {
    std::string path = PathOf(name);
    COAM_RETURN_IF_ERROR(dir_.MakeDirs(path.substr(0, path.rfind('/')), 0755).status());
    return dir_.WriteFile(base::Op(), path, bytes, {.mode = 0644, .sync = true});
  }
  absl::Status Remove(const std::string& name) override {
    absl::Status status = dir_.Unlink(PathOf(name));
    return base::HasReason(status, "core.not_found") ? absl::OkStatus() : status;
  }
  const base::Dir& dir() const { return dir_; }

 private:
  // Edits and the present state lie beside what is published.
  static std::string PathOf(const std::string& name) {
    return name.find('/') == std::string::npos ? absl::StrCat("metadata/", name) : name;
  }
  base::Dir dir_;
};

// Where a target file lies: its directory, and the hash before its name.
std::string TargetFileName(std::string_view path, std::string_view hash) {
  std::string out(path);
  size_t slash = out.rfind('/');
  out.insert(slash == std::string::npos ? 0 : slash + 1, absl::StrCat(hash, "."));
  return absl::StrCat("targets/", out);
}

absl::Status CheckTargetPath(std::string_view path) {
  if (path.empty() || path.front() == '/' || path.back() == '/' || absl::StrContains(path, "//"))
    return Fail("core.invalid_argument") << "target path '" << path << "'";
  return absl::OkStatus();
}

}  // namespace

struct TufDirectory::Impl {
  Impl(base::Dir dir, base::FileLock l)
      : lock(std::move(l)), store(std::move(dir)), repository(store) {}
  base::FileLock lock;
  DirRepositoryStore store;
  tuf::Repository repository;
};

TufDirectory::TufDirectory(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TufDirectory::~TufDirectory() = default;

absl::StatusOr<std::unique_ptr<TufDirectory>> TufDirectory::Open(std::string_view host_path,
                                                                 const base::Op& op) {
  COAM_ASSIGN_OR_RETURN(base::Dir dir, base::Dir::OpenOrMake(host_path, 0755));
  COAM_ASSIGN_OR_RETURN(base::FileLock lock,
                        base::FileLock::Acquire(op, dir, ".lock", base::LockMode::kExclusive));
  return std::unique_ptr<TufDirectory>(
      new TufDirectory(std::make_unique<Impl>(std::move(dir), std::move(lock))));
}

tuf::Repository& TufDirectory::repository() { return impl_->repository; }

absl::Status TufDirectory::Init(const tuf::InitOptions& options,
                                const std::map<std::string, std::vector<std::string>>& keys) {
  std::map<std::string, std::vector<Value>> objects;
  for (const auto& [role, pems] : keys) {
    for (const std::string& pem : pems) {
      COAM_ASSIGN_OR_RETURN(Value object, KeyObjectOfPem(pem));
      objects[role].push_back(std::move(object));
    }
  }
  return impl_->repository.Init(options, objects);
}

absl::Status TufDirectory::AddTarget(std::string_view role, std::string_view path,
                                     std::string_view host_file, std::string_view custom,
                                     const base::Op& op) {
  COAM_RETURN_IF_ERROR(CheckTargetPath(path));
  std::optional<Value> extra;
  if (!custom.empty()) {
    COAM_ASSIGN_OR_RETURN(Value parsed, base::json::Parse(custom));
    extra = std::move(parsed);
  }
  COAM_ASSIGN_OR_RETURN(base::UniqueFd fd, base::OpenHostFile(host_file, O_RDONLY));
  base::FdReader reader(op, fd.get(), host_file);
  base::Hasher sha256(base::DigestAlgorithm::kSha256), sha512(base::DigestAlgorithm::kSha512);
  std::string block(base::kBlockBytes, '\0');
  int64_t length = 0;
  for (;;) {
    COAM_RETURN_IF_ERROR(op.Check());
    COAM_ASSIGN_OR_RETURN(size_t got, reader.Read(std::span<char>(block.data(), block.size())));
    if (got == 0) break;
    sha256.Update(block.data(), got);
    sha512.Update(block.data(), got);
    length += static_cast<int64_t>(got);
  }
  tuf::Hashes hashes = {{"sha256", base::HexEncode(sha256.FinishBytes())},
                        {"sha512", base::HexEncode(sha512.FinishBytes())}};
  const base::Dir& dir = impl_->store.dir();
  for (const auto& [algorithm, hash] : hashes) {
    std::string name = TargetFileName(path, hash);
    COAM_RETURN_IF_ERROR(dir.MakeDirs(name.substr(0, name.rfind('/')), 0755).status());
    COAM_ASSIGN_OR_RETURN(base::AtomicFile file, base::AtomicFile::New(dir, name, {.mode = 0644}));
    COAM_RETURN_IF_ERROR(base::CopyFd(op, fd.get(), host_file, file.fd(), file.name()).status());
    COAM_RETURN_IF_ERROR(file.Commit());
  }
  return impl_->repository.AddTarget(role, path, length, hashes, extra ? &*extra : nullptr);
}

absl::Status TufDirectory::SignPem(std::string_view role, std::string_view private_pem,
                                   std::string_view passphrase) {
  COAM_ASSIGN_OR_RETURN(PrivateKey key, PrivateKey::FromPem(private_pem, passphrase));
  COAM_ASSIGN_OR_RETURN(tuf::Signer signer, tuf::MakeSigner(std::move(key)));
  return impl_->repository.Sign(role, signer);
}

absl::StatusOr<std::string> TufDirectory::StateJson() {
  Value out = Value::MakeObject();
  out.Set("schema", "coam.tuf.repository.v1");
  Value& list = out.Set("staged", Value::MakeArray());
  COAM_ASSIGN_OR_RETURN(std::vector<std::string> staged, impl_->repository.Staged());
  for (const std::string& role : staged) {
    COAM_ASSIGN_OR_RETURN(tuf::Repository::SigningState state, impl_->repository.State(role));
    Value one = Value::MakeObject();
    one.Set("role", role);
    one.Set("version", state.version);
    one.Set("ready", state.ok());
    auto add = [&one](std::string_view prefix, const tuf::SignatureState& s) {
      one.Set(absl::StrCat(prefix, "threshold"), s.threshold);
      one.Set(absl::StrCat(prefix, "signedBy"), s.signed_by);
      one.Set(absl::StrCat(prefix, "missing"), s.missing);
    };
    add("", state.state);
    if (state.by_old) {
      Value old = Value::MakeObject();
      old.Set("threshold", state.by_old->threshold);
      old.Set("signedBy", state.by_old->signed_by);
      old.Set("missing", state.by_old->missing);
      one.Set("byOldRoot", std::move(old));
    }
    list.Push(std::move(one));
  }
  return base::json::Write(out);
}

absl::StatusOr<Value> KeyObjectOfPem(std::string_view public_pem) {
  COAM_ASSIGN_OR_RETURN(PublicKey key, PublicKey::FromPem(public_pem));
  return tuf::PublicKeyObject(key);
}

absl::StatusOr<std::string> TufKeyId(std::string_view public_pem) {
  COAM_ASSIGN_OR_RETURN(Value object, KeyObjectOfPem(public_pem));
  return tuf::KeyId(object);
}

absl::StatusOr<PemPair> GenerateTufKey(std::string_view type, std::string_view passphrase) {
  KeyType which = type == "ed25519" ? KeyType::kEd25519
                  : type == "ecdsa" ? KeyType::kEcdsaP256
                  : type == "rsa"   ? KeyType::kRsa
                                    : KeyType::kNone;
  if (which == KeyType::kNone)
    return Fail("core.invalid_argument")
           << "key type '" << type << "' is not ed25519, ecdsa or rsa";
  COAM_ASSIGN_OR_RETURN(PrivateKey key, PrivateKey::Generate(which));
  PemPair out;
  out.public_pem = key.public_key().SpkiPem();
  if (passphrase.empty()) {
    SecretBytes der = key.Pkcs8Der();
    out.private_pem = PemOf("PRIVATE KEY", der.view());
  } else {
    COAM_ASSIGN_OR_RETURN(out.private_pem, EncryptPkcs8Pem(key, passphrase));
  }
  return out;
}

}  // namespace coaming::trust
