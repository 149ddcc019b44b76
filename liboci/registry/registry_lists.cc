#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/json/json.h"
#include "liboci/registry/session.h"
#include "liboci/spec/image/image_spec.h"

namespace coaming::oci {
namespace {

namespace json = base::json;

// NextPage gives the URL of the next page, or "". A list that leads to another host, or round in a
// circle, is refused.
absl::StatusOr<std::string> NextPage(const base::HttpResponse& response, const RegistryHost& host,
                                     std::set<std::string>* seen) {
  for (const base::HttpLink& link : base::ParseLinks(response.headers)) {
    if (!link.HasRel("next")) continue;
    COAM_ASSIGN_OR_RETURN(base::Url at, base::Url::Parse(response.url));
    COAM_ASSIGN_OR_RETURN(base::Url next, at.Resolve(link.target));
    if (!next.SameOrigin(host.base)) {
      return base::Fail("oci.registry")
             << "registry " << host.name << " continues a list at " << next.HostPort();
    }
    if (!seen->insert(next.str()).second) {
      return base::Fail("oci.registry") << "registry " << host.name << " lists in a circle";
    }
    return next.str();
  }
  return std::string();
}

}  // namespace

absl::StatusOr<std::vector<std::string>> Registry::ListTags(const base::Op& op,
                                                            const Reference& repository) {
  COAM_ASSIGN_OR_RETURN(RegistryHost * host, rep_->Connect(op, repository));
  Access access;
  access.repository = repository;
  std::vector<std::string> tags;
  std::string url = Rep::UrlOf(*host, repository, "tags/list?n=1000");
  std::set<std::string> seen = {url};
  while (!url.empty()) {
    base::HttpRequest request;
    request.url = url;
    request.max_body = op.limits().manifest_bytes;
    std::string body;
    base::StringSink sink(&body);
    COAM_ASSIGN_OR_RETURN(base::HttpResponse response,
                          rep_->Fetch(op, host, access, request, &sink));
    std::string subject = absl::StrCat("tags of ", repository.Name());
    COAM_RETURN_IF_ERROR(CheckAnswer(request, response, subject));
    absl::StatusOr<json::Value> doc = json::ParseObject(body, {.limits = &op.limits()});
    if (!doc.ok()) return base::Wrap(doc.status(), subject);
    const json::Value* list = doc->Find("tags");
    if (list != nullptr && list->is_array()) {
      for (const json::Value& tag : list->items()) {
        if (tag.is_string() && tag.as_string().size() <= 128) tags.push_back(tag.as_string());
      }
    }
    if (static_cast<int64_t>(tags.size()) > op.limits().json_values) {
      return base::FailLimit("json_values", op.limits().json_values)
             << subject << ": there are too many";
    }
    COAM_ASSIGN_OR_RETURN(url, NextPage(response, *host, &seen));
  }
  std::sort(tags.begin(), tags.end());
  tags.erase(std::unique(tags.begin(), tags.end()), tags.end());
  return tags;
}

absl::StatusOr<std::vector<Descriptor>> Registry::Referrers(const base::Op& op,
                                                            const Reference& reference,
                                                            std::string_view artifact_type) {
  if (reference.digest.empty()) {
    return base::Fail("core.invalid_argument")
           << "referrers of " << reference.ToString() << ": a digest is needed";
  }
  COAM_ASSIGN_OR_RETURN(RegistryHost * host, rep_->Connect(op, reference));
  Access access;
  access.repository = reference;
  std::vector<Descriptor> found;
  std::string url =
      Rep::UrlOf(*host, reference, absl::StrCat("referrers/", reference.digest.str()));
  if (!artifact_type.empty()) {
    COAM_ASSIGN_OR_RETURN(base::Url with, base::Url::Parse(url));
    url = with.AddQuery("artifactType", artifact_type).str();
  }
  std::set<std::string> seen = {url};
  std::string subject = absl::StrCat("referrers of ", reference.ToString());
  bool supported = true;
  while (!url.empty()) {
    base::HttpRequest request;
    request.url = url;
    request.max_body = op.limits().manifest_bytes;
    request.headers.Add("Accept", media::kIndex);
    std::string body;
    base::StringSink sink(&body);
    COAM_ASSIGN_OR_RETURN(base::HttpResponse response,
                          rep_->Fetch(op, host, access, request, &sink));
    if (response.status == 404 || response.status == 405 || response.status == 400) {
      supported = false;
      break;
    }
    COAM_RETURN_IF_ERROR(CheckAnswer(request, response, subject));
    absl::StatusOr<Index> index = ParseIndex(body, media::kIndex, op.limits());
    if (!index.ok()) return base::Wrap(index.status(), subject);
    for (Descriptor& d : index->manifests) found.push_back(std::move(d));
    if (static_cast<int64_t>(found.size()) > op.limits().json_values) {
      return base::FailLimit("json_values", op.limits().json_values)
             << subject << ": there are too many";
    }
    COAM_ASSIGN_OR_RETURN(url, NextPage(response, *host, &seen));
  }
  if (!supported) {
    Reference tag = reference;
    tag.digest = base::Digest();
    tag.tag = ReferrersTag(reference.digest);
    absl::StatusOr<ManifestAnswer> answer = GetManifest(op, tag);
    if (base::HasReason(answer.status(), "oci.not_found")) return std::vector<Descriptor>();
    COAM_RETURN_IF_ERROR(answer.status());
    absl::StatusOr<Index> index =
        ParseIndex(answer->bytes, answer->descriptor.media_type, op.limits());
    if (!index.ok()) return std::vector<Descriptor>();  // somebody else's tag: no referrers
    found = std::move(index->manifests);
  }
  if (!artifact_type.empty()) {
    found.erase(
        std::remove_if(found.begin(), found.end(),
                       [&](const Descriptor& d) { return d.artifact_type != artifact_type; }),
        found.end());
  }
  return found;
}

}  // namespace coaming::oci
