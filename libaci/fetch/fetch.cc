#include "libaci/fetch/fetch.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/fs/file.h"
#include "base/http/url.h"
#include "libaci/fetch/download.h"
#include "libaci/schema/types.h"

namespace coaming::aci {

absl::Status Trust::CheckIssuer(std::string_view, std::string_view, const base::Op&) {
  return absl::OkStatus();
}

absl::Status Trust::AddDiscovered(std::string_view image_name, const std::vector<std::string>&,
                                  const base::Op&) {
  return base::Fail("aci.no_key") << "no trusted key counts for " << image_name;
}

namespace {

absl::Status Rewind(int fd, std::string_view name) {
  if (lseek(fd, 0, SEEK_SET) < 0) return base::FailErrno("core.io", errno) << "read " << name;
  return absl::OkStatus();
}

bool IsHttp(std::string_view url) {
  return absl::StartsWithIgnoreCase(url, "https://") || absl::StartsWithIgnoreCase(url, "http://");
}

}  // namespace

// Run is one call of Fetch: the options, and what has been fetched in it.
class Fetcher::Run {
 public:
  Run(Fetcher& fetcher, const FetchOptions& options, const base::Op& op)
      : store_(fetcher.store_),
        transport_(fetcher.transport_),
        trust_(fetcher.trust_),
        options_(options),
        op_(op) {}

  // What one image must be, beside its signature.
  struct Want {
    std::string name;  // "" if only the image itself can say
    Labels labels;
    std::string id;
    uint64_t size = 0;
    bool latest = false;
  };

  absl::Status CheckTrust() const {
    if (options_.insecure_no_signature || trust_ != nullptr) return absl::OkStatus();
    return base::Fail("core.invalid_argument")
           << "images must be verified, but nobody was named to say which keys count";
  }

  absl::StatusOr<ImageRecord> ByName(const AppName& app, const Want& want, bool* from_store) {
    *from_store = true;
    if (options_.pull != PullPolicy::kUpdate) {
      absl::StatusOr<std::string> id =
          want.id.empty() ? store_.ResolveName(app.name, app.labels) : store_.ResolveId(want.id);
      if (id.ok() && Acceptable(*id)) {
        COAM_RETURN_IF_ERROR(Say(
            "store", app.ToString(),
            absl::StrCat("image: using image from local store for image name ", app.ToString())));
        return Stored(*id);
      }
      if (options_.pull == PullPolicy::kNever) {
        if (!id.ok()) return id.status();
        return base::Fail("aci.unsigned")
               << "image " << app.ToString() << " is in the store, but was never verified";
      }
    }
    *from_store = false;
    AppName full = app;
    full.FillHostLabels();
    COAM_ASSIGN_OR_RETURN(std::vector<Endpoint> endpoints,
                          DiscoverEndpoints(full, transport_, options_.discovery, op_, &steps));
    const auto usable = std::find_if(endpoints.begin(), endpoints.end(),
                                     [](const Endpoint& e) { return IsHttp(e.aci); });
    if (usable == endpoints.end()) {
      return base::Fail("aci.discovery_failed")
             << "discovery of " << app.name << " gave no http or https endpoint, but "
             << endpoints[0].aci.substr(0, 200);
    }
    COAM_RETURN_IF_ERROR(EnsureKey(full));
    return FromUrl(usable->aci, usable->asc, want, from_store);
  }

  absl::StatusOr<ImageRecord> FromUrl(const std::string& url, const std::string& asc_url,
                                      const Want& want, bool* from_store) {
    std::string etag;
    if (std::optional<RemoteRecord> remote = store_.FindRemote(url);
        remote && Acceptable(remote->image_id)) {
      const int64_t age_ns = op_.clock().RealtimeNs() - remote->download_time_ns;
      const bool fresh = age_ns >= 0 && age_ns / 1000000000 < remote->max_age_s;
      const bool fits = (want.id.empty() || want.id == remote->image_id) &&
                        (want.name.empty() || Matches(remote->image_id, want));
      if (fits && (fresh || options_.pull == PullPolicy::kNew)) {
        *from_store = true;
        return Stored(remote->image_id);
      }
      if (fits) etag = remote->etag;
    }
    std::string signature;
    bool deferred = false;
    if (Verifying()) {
      COAM_ASSIGN_OR_RETURN(signature, FirstSignature(asc_url));
      deferred = signature.empty();
      if (!deferred && !want.name.empty()) {
        COAM_RETURN_IF_ERROR(trust_->CheckIssuer(want.name, signature, op_));
      }
    }
    COAM_RETURN_IF_ERROR(
        Say("fetch", base::UrlForMessage(url),
            absl::StrCat("image: fetching image from ", base::UrlForMessage(url))));
    absl::StatusOr<Download> got =
        DownloadImage(url, etag, MaxBytes(want), transport_, options_.discovery, store_, op_);
    if (!got.ok()) {
      // Only what can be continued is kept.
      COAM_ASSIGN_OR_RETURN(std::optional<Partial> rest, store_.OpenPartial(url));
      if (rest && (rest->size == 0 || rest->etag.empty())) {
        COAM_RETURN_IF_ERROR(store_.DropPartial(url));
      }
      return got.status();
    }
    Download download = *std::move(got);
    if (download.not_modified) {
      *from_store = true;
      return Stored(store_.FindRemote(url)->image_id);
    }
    *from_store = false;
    if (deferred) {
      COAM_ASSIGN_OR_RETURN(signature,
                            DownloadSignature(asc_url, transport_, options_.discovery, op_));
      if (signature.empty()) {
        return base::Fail("aci.unsigned")
               << "the server has no signature at " << base::UrlForMessage(asc_url) << " yet";
      }
    }
    absl::StatusOr<ImageRecord> record = Accept(download.fd(), base::UrlForMessage(url), signature,
                                                want, static_cast<uint64_t>(download.bytes));
    // Whole and accepted, or whole and refused: neither is worth going on with.
    if (record.ok() || !Interrupted(record.status())) {
      COAM_RETURN_IF_ERROR(store_.DropPartial(url));
    }
    COAM_RETURN_IF_ERROR(record.status());
    if (!download.no_store) {
      RemoteRecord remote;
      remote.url = url;
      remote.signature_url = asc_url;
      remote.etag = download.etag;
      remote.image_id = record->id;
      remote.max_age_s = download.max_age_s;
      remote.download_time_ns = op_.clock().RealtimeNs();
      COAM_RETURN_IF_ERROR(store_.SetRemote(remote));
    }
    return record;
  }

  absl::StatusOr<ImageRecord> FromFile(const std::string& path) {
    COAM_ASSIGN_OR_RETURN(base::UniqueFd fd, base::OpenHostFile(path, O_RDONLY));
    COAM_RETURN_IF_ERROR(Say("fetch", path, absl::StrCat("image: using image from file ", path)));
    std::string signature;
    if (Verifying()) {
      const std::string beside =
          options_.signature_file.empty() ? absl::StrCat(path, ".asc") : options_.signature_file;
      absl::StatusOr<std::string> bytes =
          base::ReadHostFile(op_, beside, op_.limits().signature_bytes, "signature_bytes");
      if (!bytes.ok()) {
        if (!base::HasReason(bytes.status(), "core.not_found")) return bytes.status();
        return base::Fail("aci.unsigned").Cause(bytes.status())
               << "error opening signature file " << beside;
      }
      signature = *std::move(bytes);
    }
    return Accept(fd.get(), path, signature, Want(), 0);
  }

  // Dependencies of `record`, depth first; `stack` holds the IDs above.
  absl::Status Dependencies(const std::string& id, std::vector<std::string>& stack,
                            std::vector<std::string>& done) {
    if (static_cast<int64_t>(stack.size()) > op_.limits().dependency_depth) {
      return base::FailLimit("dependency_depth", op_.limits().dependency_depth)
             << ": dependencies of " << stack.front().substr(0, 23);
    }
    stack.push_back(id);
    COAM_ASSIGN_OR_RETURN(ImageManifest manifest, store_.Manifest(id));
    for (const Dependency& dependency : manifest.dependencies) {
      COAM_RETURN_IF_ERROR(op_.Check());
      AppName app;
      app.name = dependency.image_name;
      app.labels = dependency.labels;
      const std::string key = absl::StrCat(app.ToString(), "@", dependency.image_id);
      auto [it, fresh] = fetched_.try_emplace(key);
      if (fresh) {
        if (static_cast<int64_t>(fetched_.size()) > op_.limits().dependencies) {
          return base::FailLimit("dependencies", op_.limits().dependencies)
                 << ": dependencies of " << stack.front().substr(0, 23);
        }
        Want want;
        want.name = dependency.image_name;
        want.labels = dependency.labels;
        want.id = dependency.image_id;
        want.size = dependency.size;
        want.latest = app.version() == nullptr;
        bool from_store = false;
        absl::StatusOr<ImageRecord> record;
        if (!want.id.empty() && store_.Has(want.id) && Acceptable(want.id)) {
          record = Stored(want.id);  // an ID names its bytes: no network can improve on it
          if (record.ok() && !Matches(want.id, want)) {
            record = base::Fail("aci.name_mismatch")
                     << "image " << want.id.substr(0, 23) << " is not " << app.ToString();
          }
        } else {
          record = ByName(app, want, &from_store);
        }
        if (!record.ok()) {
          return base::Wrap(record.status(), absl::StrCat("dependency ", app.ToString()));
        }
        it->second = record->id;
      }
      const std::string dependency_id = it->second;
      if (std::find(stack.begin(), stack.end(), dependency_id) != stack.end()) {
        return base::Fail("aci.dependency_cycle") << "image " << manifest.name << " depends on "
                                                  << app.ToString() << ", which depends on it";
      }
      if (std::find(done.begin(), done.end(), dependency_id) != done.end()) continue;
      COAM_RETURN_IF_ERROR(Dependencies(dependency_id, stack, done));
      done.push_back(dependency_id);
    }
    stack.pop_back();
    return absl::OkStatus();
  }

  absl::StatusOr<ImageRecord> Stored(const std::string& id) {
    COAM_RETURN_IF_ERROR(store_.Touch(id));
    return store_.Record(id);
  }

  std::vector<Step> steps;

 private:
  bool Verifying() const { return !options_.insecure_no_signature; }

  // May an image of the store be used: one that was never verified only if nobody asks for it.
  bool Acceptable(const std::string& id) const {
    if (!Verifying()) return true;
    absl::StatusOr<ImageRecord> record = store_.Record(id);
    return record.ok() && !record->signer.empty();
  }

  bool Matches(const std::string& id, const Want& want) const {
    absl::StatusOr<ImageRecord> record = store_.Record(id);
    return record.ok() && record->name == want.name && LabelsMatch(want.labels, record->labels);
  }

  static bool Interrupted(const absl::Status& status) {
    return base::HasReason(status, "core.cancelled") ||
           base::HasReason(status, "core.deadline_exceeded");
  }

  int64_t MaxBytes(const Want& want) const {
    if (want.size == 0) return -1;
    // The packed form may be a little larger than the tar when nothing can be packed.
    const uint64_t most = want.size + want.size / 64 + 65536;
    return static_cast<int64_t>(
        std::min<uint64_t>(most, static_cast<uint64_t>(op_.limits().blob_bytes)));
  }

  absl::Status Say(std::string_view kind, std::string_view subject, std::string_view text) {
    base::Event event;
    event.kind = kind;
    event.phase = "start";
    event.subject = subject;
    event.text = text;
    return op_.Emit(event);
  }

  absl::Status EnsureKey(const AppName& app) {
    if (!Verifying()) return absl::OkStatus();
    COAM_ASSIGN_OR_RETURN(bool have, trust_->HasKeyFor(app.name, op_));
    if (have) return absl::OkStatus();
    absl::StatusOr<std::vector<std::string>> urls =
        DiscoverKeys(app, transport_, options_.discovery, op_, &steps);
    if (!urls.ok() && !base::HasReason(urls.status(), "aci.discovery_failed")) {
      return urls.status();
    }
    if (!urls.ok()) {
      return base::Fail("aci.no_key").Cause(urls.status())
             << "no trusted key counts for " << app.name << ", and none is published";
    }
    return trust_->AddDiscovered(app.name, *urls, op_);
  }

  absl::StatusOr<std::string> FirstSignature(const std::string& asc_url) {
    if (!options_.signature_file.empty()) {
      return base::ReadHostFile(op_, options_.signature_file, op_.limits().signature_bytes,
                                "signature_bytes");
    }
    return DownloadSignature(asc_url, transport_, options_.discovery, op_);
  }

  // The image is whole in `fd`: signature first, over its raw bytes, then everything else, all
  // through this one descriptor.
  absl::StatusOr<ImageRecord> Accept(int fd, const std::string& source,
                                     const std::string& signature, const Want& want,
                                     uint64_t packed_size) {
    ImportOptions import;
    import.source = source;
    import.latest = want.latest;
    import.want_id = want.id;
    import.want_name = want.name;
    import.want_labels = want.labels;
    import.want_size = want.size;
    import.packed_size = packed_size;
    import.strict = options_.strict;
    if (Verifying()) {
      std::string name = want.name;
      if (name.empty()) {
        COAM_RETURN_IF_ERROR(Rewind(fd, source));
        base::FdReader peek(op_, fd, source);
        COAM_ASSIGN_OR_RETURN(std::string json, ReadManifestOnly(peek, op_));
        ParseOptions parse;
        parse.limits = &op_.limits();
        COAM_ASSIGN_OR_RETURN(ImageManifest manifest, ParseImageManifest(json, parse));
        name = manifest.name;
        import.want_name = name;  // the whole must say the same as the first look
      }
      COAM_RETURN_IF_ERROR(Rewind(fd, source));
      base::FdReader raw(op_, fd, source);
      COAM_ASSIGN_OR_RETURN(Trust::Verdict verdict, trust_->Verify(name, signature, raw, op_));
      import.signer = verdict.signer;
      COAM_RETURN_IF_ERROR(Say("verify", name,
                               absl::StrCat("image: signature verified: ",
                                            verdict.who.empty() ? verdict.signer : verdict.who)));
    }
    COAM_RETURN_IF_ERROR(Rewind(fd, source));
    base::FdReader in(op_, fd, source);
    return store_.Import(in, import, op_);
  }

  ImageStore& store_;
  base::Transport& transport_;
  Trust* trust_;
  const FetchOptions& options_;
  const base::Op& op_;
  std::map<std::string, std::string> fetched_;  // dependency -> ID
};

Fetcher::Fetcher(ImageStore& store, base::Transport& transport, Trust* trust)
    : store_(store), transport_(transport), trust_(trust) {}

absl::StatusOr<Fetched> Fetcher::Finish(Run& run, absl::StatusOr<ImageRecord> record,
                                        bool from_store, const FetchOptions& options) {
  COAM_RETURN_IF_ERROR(record.status());
  Fetched out;
  out.record = *std::move(record);
  out.from_store = from_store;
  if (options.with_dependencies) {
    std::vector<std::string> stack;
    COAM_RETURN_IF_ERROR(run.Dependencies(out.record.id, stack, out.dependencies));
  }
  out.steps = std::move(run.steps);
  return out;
}

absl::StatusOr<Fetched> Fetcher::FetchName(const AppName& app, const FetchOptions& options,
                                           const base::Op& op) {
  Run run(*this, options, op);
  COAM_RETURN_IF_ERROR(run.CheckTrust());
  Run::Want want;
  want.name = app.name;
  want.labels = app.labels;
  want.latest = app.version() == nullptr;
  bool from_store = false;
  absl::StatusOr<ImageRecord> record = run.ByName(app, want, &from_store);
  return Finish(run, std::move(record), from_store, options);
}

absl::StatusOr<Fetched> Fetcher::FetchUrl(const std::string& url, const FetchOptions& options,
                                          const base::Op& op) {
  Run run(*this, options, op);
  COAM_RETURN_IF_ERROR(run.CheckTrust());
  const size_t end = std::min(url.find_first_of("?#"), url.size());
  if (!absl::EndsWith(std::string_view(url).substr(0, end), ".aci")) {
    return base::Fail("aci.name_invalid")
           << "URL " << base::UrlForMessage(url) << " does not end in .aci";
  }
  std::string asc = url;
  asc.insert(end, ".asc");
  bool from_store = false;
  absl::StatusOr<ImageRecord> record = run.FromUrl(url, asc, Run::Want(), &from_store);
  return Finish(run, std::move(record), from_store, options);
}

absl::StatusOr<Fetched> Fetcher::FetchFile(const std::string& path, const FetchOptions& options,
                                           const base::Op& op) {
  Run run(*this, options, op);
  COAM_RETURN_IF_ERROR(run.CheckTrust());
  return Finish(run, run.FromFile(path), false, options);
}

absl::StatusOr<Fetched> Fetcher::Fetch(std::string_view image, const FetchOptions& options,
                                       const base::Op& op) {
  COAM_ASSIGN_OR_RETURN(ImageRef ref, ClassifyImage(image));
  switch (ref.kind) {
    case ImageRefKind::kId: {
      Run run(*this, options, op);
      COAM_ASSIGN_OR_RETURN(std::string id, store_.ResolveId(ref.text));
      return Finish(run, run.Stored(id), true, options);
    }
    case ImageRefKind::kName: {
      COAM_ASSIGN_OR_RETURN(AppName app, AppName::Parse(ref.text));
      return FetchName(app, options, op);
    }
    case ImageRefKind::kUrl: return FetchUrl(ref.text, options, op);
    case ImageRefKind::kFile: return FetchFile(ref.text, options, op);
    case ImageRefKind::kDocker: break;
  }
  return base::Fail("core.unsupported")
             .Hint("convert it first: coam aci convert docker://NAME, or pull it with coam pull")
         << "docker image " << ref.text << " is not an App Container image";
}

}  // namespace coaming::aci
