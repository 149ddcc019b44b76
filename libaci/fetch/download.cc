#include "libaci/fetch/download.h"

#include <unistd.h>

#include <cerrno>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/fs/file.h"
#include "base/http/url.h"

namespace coaming::aci {
namespace {

// Writes a body to a file at the place where it belongs.
class FileSink final : public base::BodySink {
 public:
  FileSink(int fd, std::string name, ImageStore* store, std::string url)
      : fd_(fd), name_(std::move(name)), store_(store), url_(std::move(url)) {}

  absl::Status Begin(const base::HttpResponse& response) override {
    // What is there may be continued only from exactly where the answer begins.
    if (ftruncate(fd_, response.offset) != 0 || lseek(fd_, response.offset, SEEK_SET) < 0) {
      return base::FailErrno("core.io", errno) << "write " << name_;
    }
    bytes = response.offset;
    if (store_ != nullptr && response.offset == 0) {
      const std::string_view tag = response.headers.Get("ETag");
      // A weak tag does not promise the same bytes.
      COAM_RETURN_IF_ERROR(store_->KeepEtag(url_, absl::StartsWith(tag, "\"") ? tag : ""));
    }
    return absl::OkStatus();
  }
  absl::Status Write(std::string_view block) override {
    bytes += static_cast<int64_t>(block.size());
    return base::WriteFd(fd_, name_, block);
  }
  int64_t bytes = 0;

 private:
  int fd_;
  std::string name_;
  ImageStore* store_;  // null: an unnamed file
  std::string url_;
};

void ReadCacheControl(const base::HttpResponse& response, Download* out) {
  for (std::string_view field : response.headers.All("Cache-Control")) {
    for (std::string_view part : absl::StrSplit(field, ',')) {
      part = absl::StripAsciiWhitespace(part);
      if (absl::EqualsIgnoreCase(part, "no-store")) out->no_store = true;
      int64_t age = 0;
      if (absl::StartsWithIgnoreCase(part, "max-age=") && absl::SimpleAtoi(part.substr(8), &age) &&
          age > 0) {
        out->max_age_s = std::min<int64_t>(age, 10LL * 365 * 24 * 3600);
      }
    }
  }
  for (std::string_view field : response.headers.All("Cache-Control")) {
    if (absl::StrContains(absl::AsciiStrToLower(field), "no-cache")) out->max_age_s = 0;
  }
}

}  // namespace

absl::StatusOr<Download> DownloadImage(const std::string& url, std::string_view etag,
                                       int64_t max_bytes, base::Transport& transport,
                                       const DiscoveryOptions& options, ImageStore& store,
                                       const base::Op& op) {
  Download out;
  base::HttpRequest request = PrepareRequest(url, options);
  request.progress_kind = "download";
  request.max_body = max_bytes;
  if (!etag.empty()) request.headers.Set("If-None-Match", etag);
  COAM_ASSIGN_OR_RETURN(std::optional<Partial> partial, store.OpenPartial(url));
  if (partial) {
    if (partial->size > 0 && !partial->etag.empty()) {
      request.offset = partial->size;
      request.if_range = partial->etag;
    }
    out.partial = *std::move(partial);
  } else {
    COAM_ASSIGN_OR_RETURN(out.unnamed, base::MemFile("coaming-download", "", /*seal=*/false));
  }
  FileSink sink(out.fd(), base::UrlForMessage(url), out.unnamed.ok() ? nullptr : &store, url);
  COAM_ASSIGN_OR_RETURN(base::HttpResponse response, transport.Fetch(op, request, &sink));
  if (response.status == 416 && request.offset > 0) {
    // What we have is longer than what there is now: begin again.
    request.offset = 0;
    request.if_range.clear();
    COAM_ASSIGN_OR_RETURN(response, transport.Fetch(op, request, &sink));
  }
  if (response.status == 304 && !etag.empty()) {
    out.not_modified = true;
    COAM_RETURN_IF_ERROR(store.DropPartial(url));
    return out;
  }
  COAM_RETURN_IF_ERROR(base::CheckHttpStatus(request, response));
  if (response.status == 202 || response.status == 204) {
    return base::Fail("http.status").Detail("http.status", response.status)
           << "GET " << base::UrlForMessage(url) << ": the server has nothing yet ("
           << response.status << ")";
  }
  out.etag = std::string(response.headers.Get("ETag"));
  out.bytes = sink.bytes;
  ReadCacheControl(response, &out);
  return out;
}

absl::StatusOr<std::string> DownloadSignature(const std::string& url, base::Transport& transport,
                                              const DiscoveryOptions& options, const base::Op& op) {
  const base::HttpRequest request = PrepareRequest(url, options);
  COAM_ASSIGN_OR_RETURN(std::unique_ptr<base::HttpStream> stream, transport.Open(op, request));
  const base::HttpResponse& response = stream->response();
  if (response.status == 202) return std::string();
  if (response.status == 404 || response.status == 410) {
    return base::Fail("aci.unsigned").Detail("http.status", response.status)
           << "there is no signature at " << base::UrlForMessage(url);
  }
  COAM_RETURN_IF_ERROR(
      base::Wrap(base::CheckHttpStatus(request, response), "error downloading the signature file"));
  COAM_ASSIGN_OR_RETURN(std::string bytes,
                        base::ReadAll(*stream, op.limits(), &base::Limits::signature_bytes));
  if (bytes.empty()) {
    return base::Fail("aci.unsigned")
           << "the signature at " << base::UrlForMessage(url) << " is empty";
  }
  return bytes;
}

}  // namespace coaming::aci
