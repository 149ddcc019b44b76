#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/stream/filter.h"
#include "liboci/registry/session.h"
#include "liboci/store/layout.h"

namespace coaming::oci {
namespace {

std::string Subject(const base::Digest& digest, const Reference& repository) {
  return absl::StrCat("blob ", digest.str(), " of ", repository.Name());
}

base::HttpRequest BlobRequest(const RegistryHost& host, const Reference& repository,
                              const Descriptor& descriptor) {
  base::HttpRequest request;
  request.url = absl::StrCat(host.base.Origin(), "/v2/", repository.repository, "/blobs/",
                             descriptor.digest.str());
  request.immutable = true;
  request.max_body = descriptor.size;
  request.allow_http = !host.base.https();
  return request;
}

// BlobSink puts a download into its writer and tells the op's listener about it.
class BlobSink final : public base::BodySink {
 public:
  BlobSink(const base::Op& op, const Descriptor& descriptor, BlobWriter* writer)
      : writer_(writer),
        meter_(op, "download", descriptor.digest.str(), descriptor.size, "bytes") {}

  absl::Status Begin(const base::HttpResponse& response) override {
    if (response.offset != writer_->size()) {
      if (response.offset != 0) {
        return base::Fail("oci.registry") << "the registry goes on at byte " << response.offset
                                          << ", not at " << writer_->size();
      }
      COAM_RETURN_IF_ERROR(writer_->Restart());
    }
    std::string_view etag = response.headers.Get("ETag");
    if (!etag.empty() && !etag.starts_with("W/")) writer_->set_etag(etag);
    if (started_) return absl::OkStatus();
    started_ = true;
    return meter_.Start();
  }
  absl::Status Write(std::string_view bytes) override {
    COAM_RETURN_IF_ERROR(writer_->Write(bytes));
    return meter_.Advance(writer_->size());
  }
  absl::Status Done() { return started_ ? meter_.Finish() : absl::OkStatus(); }

 private:
  BlobWriter* writer_;
  base::ProgressMeter meter_;
  bool started_ = false;
};

}  // namespace

absl::StatusOr<bool> Registry::HasBlob(const base::Op& op, const Reference& repository,
                                       const base::Digest& digest) {
  COAM_ASSIGN_OR_RETURN(RegistryHost * host, rep_->Connect(op, repository));
  base::HttpRequest request;
  request.method = "HEAD";
  request.url = Rep::UrlOf(*host, repository, absl::StrCat("blobs/", digest.str()));
  Access access;
  access.repository = repository;
  COAM_ASSIGN_OR_RETURN(base::HttpResponse response,
                        rep_->Fetch(op, host, access, request, nullptr));
  if (response.status == 404) return false;
  COAM_RETURN_IF_ERROR(CheckAnswer(request, response, Subject(digest, repository)));
  return true;
}

absl::StatusOr<std::unique_ptr<base::Reader>> Registry::OpenBlob(const base::Op& op,
                                                                 const Reference& repository,
                                                                 const Descriptor& descriptor) {
  COAM_ASSIGN_OR_RETURN(RegistryHost * host, rep_->Connect(op, repository));
  base::HttpRequest request = BlobRequest(*host, repository, descriptor);
  Access access;
  access.repository = repository;
  COAM_ASSIGN_OR_RETURN(std::unique_ptr<base::HttpStream> stream,
                        rep_->Open(op, host, access, request));
  std::string subject = Subject(descriptor.digest, repository);
  COAM_RETURN_IF_ERROR(CheckAnswer(request, stream->response(), subject));
  return std::make_unique<base::VerifyingReader>(std::move(stream), descriptor.digest,
                                                 descriptor.size, subject);
}

absl::Status Registry::FetchBlobs(const base::Op& op, const Reference& repository,
                                  std::span<const BlobJob> jobs) {
  if (jobs.empty()) return absl::OkStatus();
  COAM_ASSIGN_OR_RETURN(RegistryHost * host, rep_->Connect(op, repository));
  Access access;
  access.repository = repository;
  std::vector<std::unique_ptr<BlobSink>> sinks;
  std::vector<size_t> todo;
  for (size_t i = 0; i < jobs.size(); ++i) {
    sinks.push_back(std::make_unique<BlobSink>(op, jobs[i].descriptor, jobs[i].writer));
    if (jobs[i].writer->size() < jobs[i].descriptor.size || jobs[i].descriptor.size == 0) {
      todo.push_back(i);
    }
  }
  // A second round is for a token that ran out, and for a storage link that did.
  for (int round = 0; !todo.empty(); ++round) {
    std::vector<base::FetchJob> batch(todo.size());
    for (size_t k = 0; k < todo.size(); ++k) {
      const BlobJob& job = jobs[todo[k]];
      base::HttpRequest request = BlobRequest(*host, repository, job.descriptor);
      COAM_RETURN_IF_ERROR(rep_->Authorize(op, host, access, &request).status());
      request.offset = job.writer->size();
      request.if_range = job.writer->etag();
      batch[k].request = std::move(request);
      batch[k].sink = sinks[todo[k]].get();
    }
    COAM_RETURN_IF_ERROR(rep_->transport->FetchAll(op, std::span<base::FetchJob>(batch),
                                                   /*stop_on_error=*/true));
    std::vector<size_t> again;
    absl::Status first;
    for (size_t k = 0; k < todo.size(); ++k) {
      const BlobJob& job = jobs[todo[k]];
      absl::Status status = batch[k].result.status();
      if (status.ok()) {
        const base::HttpResponse& response = *batch[k].result;
        if (round == 0 && response.status == 401) {
          COAM_RETURN_IF_ERROR(rep_->Challenged(op, host, access, response));
          again.push_back(todo[k]);
          continue;
        }
        if (round == 0 && response.status == 403 && response.redirects > 0) {
          again.push_back(todo[k]);
          continue;
        }
        status =
            CheckAnswer(batch[k].request, response, Subject(job.descriptor.digest, repository));
      } else {
        status = base::Wrap(status, Subject(job.descriptor.digest, repository));
      }
      // A job that was only stopped because another failed is not the one to report.
      if (!status.ok() && (first.ok() || base::HasReason(first, "core.cancelled"))) first = status;
    }
    COAM_RETURN_IF_ERROR(first);
    todo = std::move(again);
  }
  for (size_t i = 0; i < jobs.size(); ++i) {
    COAM_RETURN_IF_ERROR(jobs[i].writer->Commit().status());
    COAM_RETURN_IF_ERROR(sinks[i]->Done());
  }
  return absl::OkStatus();
}

absl::Status Registry::DeleteBlob(const base::Op& op, const Reference& repository,
                                  const base::Digest& digest) {
  COAM_ASSIGN_OR_RETURN(RegistryHost * host, rep_->Connect(op, repository));
  base::HttpRequest request;
  request.method = "DELETE";
  request.url = Rep::UrlOf(*host, repository, absl::StrCat("blobs/", digest.str()));
  Access access;
  access.repository = repository;
  access.actions = "delete";
  COAM_ASSIGN_OR_RETURN(base::HttpResponse response,
                        rep_->Fetch(op, host, access, request, nullptr));
  return CheckAnswer(request, response, Subject(digest, repository));
}

}  // namespace coaming::oci
