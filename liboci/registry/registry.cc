#include "liboci/registry/registry.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/digest/hasher.h"
#include "liboci/registry/session.h"
#include "liboci/spec/image/image_spec.h"

namespace coaming::oci {
namespace {

// One field each: some proxies cut a long list.
constexpr std::string_view kAccept[] = {media::kIndex, media::kManifest, media::kDockerIndex,
                                        media::kDockerManifest, media::kDockerSchema1Signed};

void AddAccept(base::HttpRequest* request) {
  for (std::string_view type : kAccept) request->headers.Add("Accept", type);
}

std::string Subject(const Reference& reference) {
  return absl::StrCat("manifest of ", reference.ToString());
}

// Warning headers are for the user (distribution-spec, "Warnings").
void NoteWarnings(const base::Op& op, const Reference& reference,
                  const base::HttpResponse& response) {
  for (std::string_view warning : response.headers.All("Warning")) {
    size_t quote = warning.find('"');
    if (!warning.starts_with("299") || quote == std::string_view::npos) continue;
    std::string text(warning.substr(quote + 1, 300));
    if (size_t end = text.find('"'); end != std::string::npos) text.resize(end);
    for (char& c : text) {
      if (static_cast<unsigned char>(c) < 0x20) c = ' ';
    }
    op.AddNote("oci.registry.warning", reference.ToString(), text);
  }
}

// What kind of manifest came, after everything that could lie about it has been compared.
absl::StatusOr<std::string> TypeOf(const base::Op& op, const base::HttpResponse& response,
                                   std::string_view bytes) {
  std::string told = base::MediaType(response.headers.Get("Content-Type"));
  MediaKind kind = KindOfMediaType(told);
  if (kind == MediaKind::kSchema1) {
    return base::Fail("oci.schema1") << "the manifest is of Docker's schema 1, which is obsolete";
  }
  if (kind == MediaKind::kIndex) {
    COAM_RETURN_IF_ERROR(ParseIndex(bytes, told, op.limits()).status());
    return told;
  }
  if (kind == MediaKind::kManifest) {
    COAM_RETURN_IF_ERROR(ParseManifest(bytes, told, op.limits()).status());
    return told;
  }
  return DetectMediaType(bytes, op.limits());
}

}  // namespace

Registry::Registry(base::Transport* transport, RegistryOptions options)
    : rep_(std::make_unique<Rep>()) {
  rep_->transport = transport;
  rep_->options = std::move(options);
}
Registry::~Registry() = default;
Registry::Registry(Registry&&) noexcept = default;

absl::Status Registry::Ping(const base::Op& op, std::string_view host) {
  Reference reference;
  reference.host = host;
  COAM_ASSIGN_OR_RETURN(RegistryHost * known, rep_->Connect(op, reference));
  base::HttpRequest request;
  request.url = absl::StrCat(known->base.Origin(), "/v2/");
  request.max_body = 1 << 20;
  Access access;
  access.repository = reference;
  COAM_ASSIGN_OR_RETURN(base::HttpResponse response,
                        rep_->Fetch(op, known, access, request, nullptr));
  if (response.status == 404) {
    return base::Fail("oci.registry") << host << " does not speak the registry API";
  }
  return CheckAnswer(request, response, absl::StrCat("registry ", host));
}

absl::StatusOr<ManifestAnswer> Registry::GetManifest(const base::Op& op,
                                                     const Reference& reference) {
  COAM_ASSIGN_OR_RETURN(RegistryHost * host, rep_->Connect(op, reference));
  base::HttpRequest request;
  request.url = Rep::UrlOf(*host, reference, absl::StrCat("manifests/", reference.Target()));
  request.max_body = op.limits().manifest_bytes;
  AddAccept(&request);
  ManifestAnswer answer;
  base::StringSink sink(&answer.bytes);
  Access access;
  access.repository = reference;
  COAM_ASSIGN_OR_RETURN(base::HttpResponse response, rep_->Fetch(op, host, access, request, &sink));
  COAM_RETURN_IF_ERROR(CheckAnswer(request, response, Subject(reference)));
  NoteWarnings(op, reference, response);
  if (!reference.digest.empty()) {
    // Checked before anything looks into it.
    COAM_RETURN_IF_ERROR(base::CheckDigest(reference.digest, answer.bytes, Subject(reference)));
    answer.descriptor.digest = reference.digest;
  } else {
    answer.descriptor.digest = base::Sha256(answer.bytes);
    absl::StatusOr<base::Digest> told =
        base::Digest::Parse(response.headers.Get("Docker-Content-Digest"));
    if (told.ok() && told->verifiable()) {
      COAM_RETURN_IF_ERROR(base::CheckDigest(*told, answer.bytes, Subject(reference)));
      answer.descriptor.digest = *told;
    }
  }
  answer.descriptor.size = static_cast<int64_t>(answer.bytes.size());
  absl::StatusOr<std::string> type = TypeOf(op, response, answer.bytes);
  if (!type.ok()) return base::Wrap(type.status(), Subject(reference));
  answer.descriptor.media_type = *std::move(type);
  return answer;
}

absl::StatusOr<std::optional<Descriptor>> Registry::HeadManifest(const base::Op& op,
                                                                 const Reference& reference) {
  COAM_ASSIGN_OR_RETURN(RegistryHost * host, rep_->Connect(op, reference));
  base::HttpRequest request;
  request.method = "HEAD";
  request.url = Rep::UrlOf(*host, reference, absl::StrCat("manifests/", reference.Target()));
  AddAccept(&request);
  Access access;
  access.repository = reference;
  COAM_ASSIGN_OR_RETURN(base::HttpResponse response,
                        rep_->Fetch(op, host, access, request, nullptr));
  if (response.status == 404) return std::optional<Descriptor>();
  COAM_RETURN_IF_ERROR(CheckAnswer(request, response, Subject(reference)));
  Descriptor d;
  d.media_type = base::MediaType(response.headers.Get("Content-Type"));
  d.size = std::max<int64_t>(response.content_length, 0);
  absl::StatusOr<base::Digest> digest =
      base::Digest::Parse(response.headers.Get("Docker-Content-Digest"));
  if (digest.ok()) d.digest = *std::move(digest);
  if (!reference.digest.empty()) d.digest = reference.digest;
  return d;
}

absl::Status Registry::DeleteManifest(const base::Op& op, const Reference& reference) {
  COAM_ASSIGN_OR_RETURN(RegistryHost * host, rep_->Connect(op, reference));
  base::HttpRequest request;
  request.method = "DELETE";
  request.url = Rep::UrlOf(*host, reference, absl::StrCat("manifests/", reference.Target()));
  Access access;
  access.repository = reference;
  access.actions = "pull,delete";
  COAM_ASSIGN_OR_RETURN(base::HttpResponse response,
                        rep_->Fetch(op, host, access, request, nullptr));
  if (response.status == 405 || response.status == 400) {
    return base::Fail("oci.registry")
               .Detail("http.status", response.status)
               .Hint(reference.digest.empty()
                         ? "name the manifest by its digest, which removes every tag of it"
                         : "the registry must allow deletion in its configuration")
           << Subject(reference) << ": the registry does not delete it (" << response.status << ")";
  }
  return CheckAnswer(request, response, Subject(reference));
}

}  // namespace coaming::oci
