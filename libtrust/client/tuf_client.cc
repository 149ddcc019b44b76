#include "libtrust/client/tuf_client.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/digest/hasher.h"
#include "base/fs/atomic_file.h"
#include "base/fs/dir.h"
#include "base/fs/file.h"
#include "base/fs/lock.h"
#include "base/http/transport.h"
#include "base/stream/stream.h"
#include "libtrust/tuf/delegation.h"

namespace coaming::trust {

using base::Fail;

namespace {

class HttpFetcher final : public tuf::Fetcher {
 public:
  HttpFetcher(base::Transport& transport, bool allow_http)
      : transport_(transport), allow_http_(allow_http) {}

  absl::StatusOr<std::string> Fetch(const std::string& url, int64_t max,
                                    const base::Op& op) override {
    base::HttpRequest request;
    request.url = url;
    request.allow_http = allow_http_;
    request.headers.Set("Accept-Encoding", "identity");
    return transport_.FetchBytes(op, request, max, "tuf_metadata_bytes");
  }

  absl::Status FetchTo(const std::string& url, int64_t max, base::Writer& sink,
                       const base::Op& op) override {
    base::HttpRequest request;
    request.url = url;
    request.allow_http = allow_http_;
    request.headers.Set("Accept-Encoding", "identity");
    request.max_body = max;
    request.progress_kind = "download";
    base::WriterSink body(&sink);
    COAM_ASSIGN_OR_RETURN(base::HttpResponse response, transport_.Fetch(op, request, &body));
    return base::CheckHttpStatus(request, response);
  }

 private:
  base::Transport& transport_;
  bool allow_http_;
};

class DirStore final : public tuf::Store {
 public:
  explicit DirStore(base::Dir dir) : dir_(std::move(dir)) {}

  absl::StatusOr<std::optional<std::string>> Load(const std::string& name, int64_t max) override {
    auto bytes = dir_.ReadFile(name, max, "tuf_metadata_bytes");
    if (bytes.ok()) return std::optional<std::string>(*std::move(bytes));
    if (base::HasReason(bytes.status(), "core.not_found")) return std::optional<std::string>();
    return bytes.status();
  }

  absl::Status Save(const std::string& name, std::string_view bytes) override {
    if (size_t slash = name.rfind('/'); slash != std::string::npos)
      COAM_RETURN_IF_ERROR(dir_.MakeDirs(name.substr(0, slash), 0755).status());
    return dir_.WriteFile(base::Op(), name, bytes, {.mode = 0644, .sync = true});
  }

  const base::Dir& dir() const { return dir_; }

 private:
  base::Dir dir_;
};

// Matches answers whether a file has the length and hashes that are signed.
absl::StatusOr<bool> Matches(const base::Dir& dir, const std::string& name,
                             const tuf::TargetFile& target, const base::Op& op) {
  auto st = dir.Stat(name);
  if (!st.ok() || !S_ISREG(st->st_mode) || st->st_size != target.length) return false;
  COAM_ASSIGN_OR_RETURN(base::UniqueFd fd, dir.OpenFile(name, O_RDONLY | O_NOFOLLOW));
  base::FdReader reader(op, fd.get(), name);
  std::vector<base::Hasher> hashers;
  for (const auto& [algorithm, hash] : target.hashes) {
    base::DigestAlgorithm id = base::FindDigestAlgorithm(algorithm);
    if (id == base::DigestAlgorithm::kUnknown || id == base::DigestAlgorithm::kSha1) return false;
    hashers.emplace_back(id);
  }
  std::string block(base::kBlockBytes, '\0');
  for (;;) {
    COAM_RETURN_IF_ERROR(op.Check());
    COAM_ASSIGN_OR_RETURN(size_t got, reader.Read(std::span<char>(block.data(), block.size())));
    if (got == 0) break;
    for (base::Hasher& h : hashers) h.Update(std::string_view(block.data(), got));
  }
  for (size_t i = 0; i < hashers.size(); ++i)
    if (base::HexEncode(hashers[i].FinishBytes()) != target.hashes[i].second) return false;
  return true;
}

}  // namespace

struct TufClient::Impl {
  Impl(base::Transport& transport, const TufClientOptions& options, base::Dir dir,
       std::string bootstrap)
      : fetcher(transport, options.allow_http),
        store(std::move(dir)),
        updater(fetcher, store, options.updater, std::move(bootstrap)) {}
  std::unique_ptr<base::Transport> own_transport;
  HttpFetcher fetcher;
  DirStore store;
  tuf::Updater updater;
};

TufClient::TufClient(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TufClient::~TufClient() = default;

absl::StatusOr<std::unique_ptr<TufClient>> TufClient::Open(base::Transport& transport,
                                                           const TufClientOptions& options,
                                                           std::string bootstrap_root) {
  if (bootstrap_root.empty())
    return (Fail("core.invalid_argument") << "TUF client without a bootstrap root")
        .Hint("ship the root metadata of the repository with the program");
  COAM_ASSIGN_OR_RETURN(base::Dir dir, base::Dir::OpenOrMake(options.metadata_dir, 0755));
  return std::unique_ptr<TufClient>(new TufClient(
      std::make_unique<Impl>(transport, options, std::move(dir), std::move(bootstrap_root))));
}

absl::StatusOr<std::unique_ptr<TufClient>> TufClient::Open(const WebOptions& web,
                                                           const TufClientOptions& options,
                                                           std::string bootstrap_root) {
  COAM_ASSIGN_OR_RETURN(auto transport, MakeTransport(web));
  COAM_ASSIGN_OR_RETURN(auto out, Open(*transport, options, std::move(bootstrap_root)));
  out->impl_->own_transport = std::move(transport);
  return out;
}

absl::Status TufClient::Refresh(const base::Op& op) {
  COAM_ASSIGN_OR_RETURN(
      base::FileLock lock,
      base::FileLock::Acquire(op, impl_->store.dir(), ".lock", base::LockMode::kExclusive));
  return impl_->updater.Refresh(op);
}

absl::StatusOr<tuf::TargetFile> TufClient::Find(std::string_view path, const base::Op& op) {
  COAM_ASSIGN_OR_RETURN(
      base::FileLock lock,
      base::FileLock::Acquire(op, impl_->store.dir(), ".lock", base::LockMode::kExclusive));
  COAM_ASSIGN_OR_RETURN(std::optional<tuf::TargetFile> target, impl_->updater.FindTarget(path, op));
  if (!target) return Fail("tuf.not_found") << "target " << path;
  return *std::move(target);
}

absl::StatusOr<TufClient::Downloaded> TufClient::Download(std::string_view path,
                                                          std::string_view directory,
                                                          const base::Op& op, std::string_view as) {
  COAM_ASSIGN_OR_RETURN(tuf::TargetFile target, Find(path, op));
  std::string name = as.empty() ? tuf::FileName(path) : std::string(as);
  if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos)
    return Fail("core.invalid_argument") << "'" << as << "' is no file name";
  COAM_ASSIGN_OR_RETURN(base::Dir dir, base::Dir::OpenOrMake(directory, 0755));
  Downloaded out{dir.PathOf(name), false};
  COAM_ASSIGN_OR_RETURN(out.cached, Matches(dir, name, target, op));
  if (out.cached) return out;
  COAM_ASSIGN_OR_RETURN(base::AtomicFile file,
                        base::AtomicFile::New(dir, name, {.mode = 0644, .sync = true}));
  base::FdWriter sink(op, file.fd(), file.name());
  COAM_RETURN_IF_ERROR(impl_->updater.Download(target, sink, op));
  COAM_RETURN_IF_ERROR(sink.Close());
  COAM_RETURN_IF_ERROR(file.Commit());
  return out;
}

const tuf::TrustedSet* TufClient::trusted() const { return impl_->updater.trusted(); }

absl::StatusOr<std::string> ReadTufRoot(std::string_view path, const base::Op& op) {
  return base::ReadHostFile(op, path, op.limits().tuf_metadata_bytes, "tuf_metadata_bytes");
}

}  // namespace coaming::trust
