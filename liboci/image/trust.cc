#include "liboci/image/trust.h"

#include <fcntl.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/fs/dir.h"
#include "base/fs/file.h"
#include "base/http/transport.h"
#include "base/json/json.h"
#include "liboci/image/image_rep.h"
#include "libtrust/policy/signature_blob.h"

namespace coaming::oci {
namespace {

using trust::PolicyImage;
using trust::PolicySignature;

constexpr std::string_view kFile = "file://";

class KeyFiles final : public trust::KeySource {
 public:
  explicit KeyFiles(const base::Op& op) : op_(op) {}
  absl::StatusOr<std::string> ReadKey(const std::string& path) override {
    absl::StatusOr<std::string> bytes =
        base::ReadHostFile(op_, path, op_.limits().keyring_bytes, "keyring_bytes");
    if (bytes.ok()) return bytes;
    return base::Wrap(bytes.status(), "a key that the policy names");
  }

 private:
  const base::Op& op_;
};

// The path of a directory or file without links, as scopes are written.
absl::StatusOr<std::string> RealPath(const std::string& path) {
  COAM_ASSIGN_OR_RETURN(base::UniqueFd fd, base::OpenHostFile(path, O_PATH));
  COAM_ASSIGN_OR_RETURN(base::Dir descriptors, base::Dir::Open("/proc/self/fd"));
  return descriptors.ReadLink(absl::StrCat(fd.get()));
}

absl::StatusOr<PolicyImage> ImageOf(const ImageName& name, const Descriptor& d) {
  PolicyImage out;
  out.transport = name.transport;
  out.manifest_digest = d.digest.str();
  if (name.transport == "docker") {
    const Reference& r = name.reference;
    out.name = r.digest.empty() ? absl::StrCat(r.Name(), ":", r.tag)
                                : absl::StrCat(r.Name(), "@", r.digest.str());
    return out;
  }
  COAM_ASSIGN_OR_RETURN(out.name, RealPath(name.path));
  return out;
}

}  // namespace

absl::StatusOr<trust::SignatureStores> LoadStores(const base::Op& op,
                                                  const std::string& registries_dir) {
  trust::SignatureStores out;
  if (registries_dir.empty()) return out;
  COAM_ASSIGN_OR_RETURN(base::Dir dir, base::Dir::Open(registries_dir));
  COAM_ASSIGN_OR_RETURN(std::vector<base::DirEntry> entries, dir.List());
  for (const base::DirEntry& entry : entries) {
    if (!entry.name.ends_with(".yaml")) continue;
    // Links may lead out of the directory: it is the administrator's.
    std::string file = base::JoinPath(registries_dir, entry.name);
    COAM_ASSIGN_OR_RETURN(std::string yaml, base::ReadHostFile(op, file, op.limits().manifest_bytes,
                                                               "manifest_bytes"));
    COAM_RETURN_IF_ERROR(out.Add(file, yaml));
  }
  return out;
}

absl::Status WriteLookaside(const base::Op& op, std::string_view base_url,
                            const Reference& repository, const base::Digest& digest,
                            const PolicySignature& signature) {
  if (!base_url.starts_with(kFile)) {
    return base::Fail("policy.store")
           << (base_url.empty() ? std::string("no place for signatures is configured")
                                : absl::StrCat("signatures cannot be written to ", base_url))
           << " for " << repository.Name();
  }
  COAM_ASSIGN_OR_RETURN(base::Dir store,
                        base::Dir::OpenOrMake(base_url.substr(kFile.size()), 0755));
  COAM_ASSIGN_OR_RETURN(base::Dir place,
                        store.MakeDirs(absl::StrCat(repository.repository, "@", digest.algorithm(),
                                                    "=", digest.encoded()),
                                       0755));
  for (size_t i = 1; i <= kMaxSignatures; ++i) {
    absl::Status written =
        place.WriteFile(op, absl::StrCat("signature-", i), trust::WriteSignatureBlob(signature),
                        {.mode = 0644, .sync = true, .exclusive = true});
    if (!base::HasReason(written, "core.exists")) return written;
  }
  return base::FailLimit("signatures", kMaxSignatures) << "signatures in " << place.name();
}

absl::StatusOr<std::vector<PolicySignature>> ReadLookaside(const base::Op& op,
                                                           base::Transport* transport,
                                                           std::string_view base_url,
                                                           const Reference& repository,
                                                           const base::Digest& digest) {
  std::vector<PolicySignature> out;
  const std::string place = absl::StrCat(base_url, "/", repository.repository, "@",
                                         digest.algorithm(), "=", digest.encoded(), "/signature-");
  for (size_t i = 1;; ++i) {
    COAM_RETURN_IF_ERROR(op.Check());
    if (i > kMaxSignatures) {
      return base::FailLimit("signatures", kMaxSignatures) << "signatures at " << base_url;
    }
    const std::string url = absl::StrCat(place, i);
    absl::StatusOr<std::string> bytes;
    bool missing;
    if (url.starts_with(kFile)) {
      bytes = base::ReadHostFile(op, std::string_view(url).substr(kFile.size()),
                                 op.limits().signature_bytes, "signature_bytes");
      missing = base::HasReason(bytes.status(), "core.not_found");
    } else {
      if (transport == nullptr) {
        return base::Fail("core.invalid_argument") << url << " needs an HTTP transport";
      }
      base::HttpRequest get;
      get.url = url;
      get.allow_http = url.starts_with("http:");  // whoever wrote registries.d chose it
      bytes = transport->FetchBytes(op, get, op.limits().signature_bytes, "signature_bytes");
      missing = base::HasReason(bytes.status(), "http.not_found");
    }
    if (missing) return out;
    if (!bytes.ok()) return base::Wrap(bytes.status(), "signatures");
    absl::StatusOr<PolicySignature> one = trust::ReadSignatureBlob(*bytes);
    if (!one.ok()) return base::Wrap(one.status(), url);
    out.push_back(*std::move(one));
  }
}

absl::StatusOr<std::shared_ptr<const ImageTrust>> ImageTrust::Load(const base::Op& op,
                                                                   const TrustOptions& options) {
  std::shared_ptr<const ImageTrust> none;
  const bool path = !options.policy_path.empty();
  if (path && !options.policy_json.empty()) {
    return base::Fail("core.invalid_argument") << "a policy by path or by its text: not both";
  }
  if (!path && options.policy_json.empty()) return none;
  auto out = std::make_shared<ImageTrust>();
  std::string text = options.policy_json;
  if (path) {
    COAM_ASSIGN_OR_RETURN(text, base::ReadHostFile(op, options.policy_path,
                                                   op.limits().manifest_bytes, "manifest_bytes"));
  }
  absl::StatusOr<trust::TrustPolicy> policy = trust::TrustPolicy::Parse(text);
  if (!policy.ok()) return base::Wrap(policy.status(), path ? options.policy_path : "policy-json");
  out->policy_ = *std::move(policy);
  COAM_ASSIGN_OR_RETURN(out->stores_, LoadStores(op, options.registries_dir));
  return std::shared_ptr<const ImageTrust>(std::move(out));
}

absl::StatusOr<ImageTrust::Judged> ImageTrust::Judge(const base::Op& op, ImageSource& source,
                                                     const ImageName& name,
                                                     const Descriptor& d) const {
  COAM_ASSIGN_OR_RETURN(const PolicyImage image, ImageOf(name, d));
  std::vector<PolicySignature> signatures;
  if (policy_.NeedsSignatures(image)) {
    COAM_ASSIGN_OR_RETURN(signatures, source.Signatures(op, d, stores_));
  }
  KeyFiles keys(op);
  return Judged{policy_.Decide(image, signatures, keys, op), signatures.size()};
}

absl::Status ImageTrust::Check(const base::Op& op, ImageSource& source, const ImageName& name,
                               const Descriptor& d) const {
  COAM_ASSIGN_OR_RETURN(const Judged judged, Judge(op, source, name, d));
  return judged.decision.ToStatus();
}

absl::StatusOr<std::string> ImageTrust::Explain(const base::Op& op, const Env& env,
                                                const ImageName& name,
                                                const std::optional<Platform>& platform) const {
  COAM_ASSIGN_OR_RETURN(std::unique_ptr<ImageSource> source, OpenSource(op, env, name));
  ImageDocuments documents;
  COAM_RETURN_IF_ERROR(ChooseManifest(op, *source, platform, &documents));
  COAM_ASSIGN_OR_RETURN(const Judged judged, Judge(op, *source, name, documents.descriptor));
  using base::json::Value;
  Value out = Value::MakeObject();
  out.Set("schema", "coam.policy.decision.v1");
  out.Set("image", judged.decision.subject);
  out.Set("digest", documents.descriptor.digest.str());
  out.Set("rule", judged.decision.scope);
  out.Set("allowed", judged.decision.ToStatus().ok());
  out.Set("signatures", judged.signatures);
  Value& requirements = out.Set("requirements", Value::MakeArray());
  for (const trust::PolicyDecision::Step& step : judged.decision.steps) {
    Value& one = requirements.Push(Value::MakeObject());
    one.Set("type", step.type);
    one.Set("holds", step.status.ok());
    if (step.status.ok()) continue;
    const base::Error error = base::GetError(step.status);
    one.Set("reason", error.reason);
    one.Set("message", error.message);
    one.Set("hint", error.hint);
  }
  return base::json::Write(out);
}

}  // namespace coaming::oci
