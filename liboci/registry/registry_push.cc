#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/digest/hasher.h"
#include "base/stream/filter.h"
#include "liboci/registry/session.h"
#include "liboci/spec/image/image_spec.h"

namespace coaming::oci {
namespace {

std::string Subject(const Descriptor& descriptor, const Reference& repository) {
  return absl::StrCat("push of blob ", descriptor.digest.str(), " to ", repository.Name());
}

// UploadUrl is where an answer says that the upload goes on; "" if it does not.
absl::StatusOr<std::string> UploadUrl(const base::HttpResponse& response,
                                      const RegistryHost& host) {
  std::string_view location = response.headers.Get("Location");
  if (location.empty()) {
    return base::Fail("oci.registry")
           << "registry " << host.name << " does not say where to upload";
  }
  COAM_ASSIGN_OR_RETURN(base::Url at, base::Url::Parse(response.url));
  COAM_ASSIGN_OR_RETURN(base::Url url, at.Resolve(location));
  if (!url.https() && host.base.https()) {
    return base::Fail("http.insecure")
           << "registry " << host.name << " wants an upload without TLS, to " << url.HostPort();
  }
  return url.str();
}

bool MayTryAgain(const absl::Status& status) {
  std::string reason = base::ReasonOf(status);
  if (reason == "http.connect" || reason == "http.truncated") return true;
  if (reason != "http.status") return false;
  base::Error error = base::GetError(status);
  int code = 0;
  return absl::SimpleAtoi(error.Detail("http.status"), &code) && code >= 500;
}

// ProgressSource tells the listener how much of an upload was read.
class ProgressSource final : public base::Reader {
 public:
  ProgressSource(const base::Op& op, std::unique_ptr<base::Reader> source, const Descriptor& d)
      : source_(std::move(source)), meter_(op, "upload", d.digest.str(), d.size, "bytes") {}
  absl::StatusOr<size_t> Read(std::span<char> out) override {
    if (!started_) {
      started_ = true;
      COAM_RETURN_IF_ERROR(meter_.Start());
    }
    COAM_ASSIGN_OR_RETURN(size_t n, source_->Read(out));
    done_ += static_cast<int64_t>(n);
    if (n > 0) {
      COAM_RETURN_IF_ERROR(meter_.Advance(done_));
    } else if (!ended_) {
      ended_ = true;
      COAM_RETURN_IF_ERROR(meter_.Finish());
    }
    return n;
  }

 private:
  std::unique_ptr<base::Reader> source_;
  base::ProgressMeter meter_;
  int64_t done_ = 0;
  bool started_ = false, ended_ = false;
};

// One upload from its session's start to its end.
class Upload {
 public:
  Upload(const base::Op& op, Registry::Rep* rep, RegistryHost* host, const Access& access,
         const Descriptor& descriptor, const Registry::OpenSource& open)
      : op_(op), rep_(rep), host_(host), access_(access), descriptor_(descriptor), open_(open) {}

  // Gives up a session that was begun, as well as that goes.
  void Cancel() {
    if (url_.empty()) return;
    base::HttpRequest request;
    request.method = "DELETE";
    request.url = url_;
    request.max_retries = 0;
    base::Op own;  // the caller's may be cancelled already
    own.set_deadline(base::Deadline::AtNs(own.clock().MonotonicNs() + 2'000'000'000));
    (void)rep_->Fetch(own, host_, access_, request, nullptr).status();
    url_.clear();
  }

  // Starts a session; true if the blob was mounted and nothing is to be sent.
  absl::StatusOr<bool> Start(std::string_view mount_from) {
    base::HttpRequest request;
    request.method = "POST";
    std::string rest = "blobs/uploads/";
    if (!mount_from.empty()) {
      absl::StrAppend(&rest, "?mount=", descriptor_.digest.str(),
                      "&from=", base::PercentEncode(mount_from, "/"));
    } else if (descriptor_.digest.algorithm() != "sha256") {
      absl::StrAppend(&rest, "?digest-algorithm=", descriptor_.digest.algorithm());
    }
    request.url = Registry::Rep::UrlOf(*host_, access_.repository, rest);
    COAM_ASSIGN_OR_RETURN(base::HttpResponse response,
                          rep_->Fetch(op_, host_, access_, request, nullptr));
    if (!mount_from.empty() && response.status == 201) return true;
    COAM_RETURN_IF_ERROR(CheckAnswer(request, response, Subject(descriptor_, access_.repository)));
    COAM_ASSIGN_OR_RETURN(url_, UploadUrl(response, *host_));
    int64_t least = 0;
    if (absl::SimpleAtoi(response.headers.Get("OCI-Chunk-Min-Length"), &least)) {
      least_chunk_ = std::clamp<int64_t>(least, 0, 512 << 20);
    }
    return false;
  }

  absl::Status SendWhole() {
    base::HttpRequest request;
    request.method = "PUT";
    COAM_ASSIGN_OR_RETURN(request.url, FinalUrl());
    request.headers.Set("Content-Type", "application/octet-stream");
    request.open_body = [this]() -> absl::StatusOr<std::unique_ptr<base::Reader>> {
      COAM_ASSIGN_OR_RETURN(std::unique_ptr<base::Reader> source, open_());
      return std::make_unique<ProgressSource>(op_, std::move(source), descriptor_);
    };
    request.body_size = descriptor_.size;
    return Finish(request);
  }

  absl::Status SendChunks(int64_t chunk_bytes) {
    size_t chunk = static_cast<size_t>(std::max(chunk_bytes, least_chunk_));
    COAM_ASSIGN_OR_RETURN(std::unique_ptr<base::Reader> source, open_());
    ProgressSource counted(op_, std::move(source), descriptor_);
    std::string buffer(chunk, '\0');
    int64_t sent = 0;
    while (true) {
      COAM_ASSIGN_OR_RETURN(size_t n, base::ReadFull(counted, std::span<char>(buffer)));
      if (n == 0) break;
      std::string_view rest(buffer.data(), n);
      for (int tries = 0; !rest.empty(); ++tries) {
        absl::Status status = SendChunk(rest, &sent);
        if (status.ok()) break;
        if (tries >= op_.limits().http_retries || !MayTryAgain(status)) return status;
        COAM_ASSIGN_OR_RETURN(int64_t have, Received());
        if (have < sent || have > sent + static_cast<int64_t>(rest.size())) return status;
        rest.remove_prefix(static_cast<size_t>(have - sent));
        sent = have;
      }
    }
    base::HttpRequest request;
    request.method = "PUT";
    COAM_ASSIGN_OR_RETURN(request.url, FinalUrl());
    return Finish(request);
  }

 private:
  absl::StatusOr<std::string> FinalUrl() const {
    COAM_ASSIGN_OR_RETURN(base::Url url, base::Url::Parse(url_));
    std::string digest = descriptor_.digest.str();
    return url
        .WithQuery(url.has_query() && !url.query().empty()
                       ? absl::StrCat(url.query(), "&digest=", digest)
                       : absl::StrCat("digest=", digest))
        .str();
  }

  absl::Status Finish(base::HttpRequest& request) {
    request.max_retries = 0;  // the whole session is what is tried again
    COAM_ASSIGN_OR_RETURN(base::HttpResponse response,
                          rep_->Fetch(op_, host_, access_, request, nullptr));
    COAM_RETURN_IF_ERROR(CheckAnswer(request, response, Subject(descriptor_, access_.repository)));
    url_.clear();
    return absl::OkStatus();
  }

  absl::Status SendChunk(std::string_view bytes, int64_t* sent) {
    base::HttpRequest request;
    request.method = "PATCH";
    request.url = url_;
    request.max_retries = 0;
    request.headers.Set("Content-Type", "application/octet-stream");
    int64_t last = *sent + static_cast<int64_t>(bytes.size()) - 1;
    request.headers.Set("Content-Range", absl::StrCat(*sent, "-", last));
    request.body = bytes;
    COAM_ASSIGN_OR_RETURN(base::HttpResponse response,
                          rep_->Fetch(op_, host_, access_, request, nullptr));
    COAM_RETURN_IF_ERROR(CheckAnswer(request, response, Subject(descriptor_, access_.repository)));
    COAM_ASSIGN_OR_RETURN(url_, UploadUrl(response, *host_));
    *sent = last + 1;
    return absl::OkStatus();
  }

  // How much of the upload the registry has.
  absl::StatusOr<int64_t> Received() {
    base::HttpRequest request;
    request.url = url_;
    COAM_ASSIGN_OR_RETURN(base::HttpResponse response,
                          rep_->Fetch(op_, host_, access_, request, nullptr));
    COAM_RETURN_IF_ERROR(CheckAnswer(request, response, Subject(descriptor_, access_.repository)));
    if (!response.headers.Get("Location").empty()) {
      COAM_ASSIGN_OR_RETURN(url_, UploadUrl(response, *host_));
    }
    auto range = base::ParseUploadRange(response.headers.Get("Range"));
    // Old registries say 0-0 for nothing: one byte sent twice is noticed by the digest at the end.
    if (!range.has_value() || range->second == 0) return int64_t{0};
    return range->second + 1;
  }

  const base::Op& op_;
  Registry::Rep* rep_;
  RegistryHost* host_;
  const Access& access_;
  const Descriptor& descriptor_;
  const Registry::OpenSource& open_;
  std::string url_;
  int64_t least_chunk_ = 0;
};

// The descriptor of a manifest as a referrers list holds it.
absl::StatusOr<Descriptor> ReferrerOf(const base::Op& op, const Descriptor& pushed,
                                      std::string_view bytes, std::optional<Descriptor>* subject) {
  Descriptor d = pushed;
  if (KindOfMediaType(pushed.media_type) == MediaKind::kIndex) {
    COAM_ASSIGN_OR_RETURN(Index index, ParseIndex(bytes, pushed.media_type, op.limits()));
    d.artifact_type = index.artifact_type;
    d.annotations = std::move(index.annotations);
    *subject = std::move(index.subject);
    return d;
  }
  COAM_ASSIGN_OR_RETURN(Manifest manifest, ParseManifest(bytes, pushed.media_type, op.limits()));
  d.artifact_type = manifest.ArtifactType();
  d.annotations = std::move(manifest.annotations);
  *subject = std::move(manifest.subject);
  return d;
}

}  // namespace

absl::StatusOr<Registry::PushResult> Registry::PushBlob(const base::Op& op,
                                                        const Reference& repository,
                                                        const Descriptor& descriptor,
                                                        const OpenSource& open,
                                                        std::string_view mount_from) {
  COAM_ASSIGN_OR_RETURN(RegistryHost * host, rep_->Connect(op, repository));
  Access access;
  access.repository = repository;
  access.actions = "pull,push";
  base::HttpRequest head;
  head.method = "HEAD";
  head.url = Rep::UrlOf(*host, repository, absl::StrCat("blobs/", descriptor.digest.str()));
  COAM_ASSIGN_OR_RETURN(base::HttpResponse there, rep_->Fetch(op, host, access, head, nullptr));
  if (there.ok()) return PushResult::kExisted;
  if (there.status == 401 || there.status == 403) {
    return CheckAnswer(head, there, Subject(descriptor, repository));
  }
  if (!mount_from.empty()) access.mount_from = mount_from;
  for (int tries = 0;; ++tries) {
    Upload upload(op, rep_.get(), host, access, descriptor, open);
    absl::StatusOr<bool> mounted = upload.Start(tries == 0 ? mount_from : "");
    absl::Status status = mounted.status();
    if (status.ok() && *mounted) return PushResult::kMounted;
    if (status.ok()) {
      status = rep_->options.chunk_bytes > 0 ? upload.SendChunks(rep_->options.chunk_bytes)
                                             : upload.SendWhole();
    }
    if (status.ok()) return PushResult::kUploaded;
    upload.Cancel();
    if (tries >= op.limits().http_retries || !MayTryAgain(status)) return status;
    COAM_RETURN_IF_ERROR(op.Check());
  }
}

absl::StatusOr<Descriptor> Registry::PutManifest(const base::Op& op, const Reference& reference,
                                                 std::string_view bytes,
                                                 std::string_view media_type) {
  COAM_ASSIGN_OR_RETURN(RegistryHost * host, rep_->Connect(op, reference));
  Descriptor pushed;
  pushed.media_type = media_type;
  pushed.digest = reference.digest.empty() ? base::Sha256(bytes) : reference.digest;
  pushed.size = static_cast<int64_t>(bytes.size());
  std::string subject_text = absl::StrCat("push of manifest ", reference.ToString());
  COAM_RETURN_IF_ERROR(base::CheckDigest(pushed.digest, bytes, subject_text));
  std::optional<Descriptor> subject;
  COAM_ASSIGN_OR_RETURN(Descriptor referrer, ReferrerOf(op, pushed, bytes, &subject));
  base::HttpRequest request;
  request.method = "PUT";
  // By tag if there is one: the digest in the URL would not set it.
  request.url = Rep::UrlOf(
      *host, reference,
      absl::StrCat("manifests/", reference.tag.empty() ? pushed.digest.str() : reference.tag));
  request.headers.Set("Content-Type", media_type);
  request.body = bytes;
  request.idempotent = true;
  Access access;
  access.repository = reference;
  access.actions = "pull,push";
  COAM_ASSIGN_OR_RETURN(base::HttpResponse response,
                        rep_->Fetch(op, host, access, request, nullptr));
  COAM_RETURN_IF_ERROR(CheckAnswer(request, response, subject_text));
  absl::StatusOr<base::Digest> told =
      base::Digest::Parse(response.headers.Get("Docker-Content-Digest"));
  if (told.ok() && told->verifiable()) {
    COAM_RETURN_IF_ERROR(base::CheckDigest(*told, bytes, subject_text));
  }
  if (!subject.has_value() || !response.headers.Get("OCI-Subject").empty()) return pushed;
  // The registry keeps no referrers: the list is ours to keep, under the subject's tag.
  Reference list = reference;
  list.digest = base::Digest();
  list.tag = ReferrersTag(subject->digest);
  for (int tries = 0; tries < 3; ++tries) {
    Index index;
    index.media_type = media::kIndex;
    absl::StatusOr<ManifestAnswer> have = GetManifest(op, list);
    if (have.ok()) {
      COAM_ASSIGN_OR_RETURN(index,
                            ParseIndex(have->bytes, have->descriptor.media_type, op.limits()));
    } else if (!base::HasReason(have.status(), "oci.not_found")) {
      return have.status();
    }
    bool listed = std::any_of(index.manifests.begin(), index.manifests.end(),
                              [&](const Descriptor& d) { return d.digest == pushed.digest; });
    if (listed) break;  // also what a later round checks: another's push may have lost ours
    index.manifests.push_back(referrer);
    COAM_RETURN_IF_ERROR(PutManifest(op, list, WriteIndex(index), media::kIndex).status());
  }
  return pushed;
}

}  // namespace coaming::oci
