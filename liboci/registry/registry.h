// Registry is the client of the OCI distribution API: manifests, blobs, tags, referrers, with
// credentials, over any base::Transport.
//
// Follows distribution-spec 1.1.1 and distribution's token documents. Challenges are answered once per
// request; tokens are kept per host and scope. Authorization never goes to another origin. Plain http
// is used only for hosts that were allowed, and for loopback addresses when https does not answer.
//
//   oci::Registry registry(transport.get(), {.authfile = "/run/user/0/containers/auth.json"});
//   COAM_ASSIGN_OR_RETURN(auto ref, oci::Reference::Parse("quay.io/org/app:1"));
//   COAM_ASSIGN_OR_RETURN(auto answer, registry.GetManifest(op, ref));
//
// Ownership: borrows the transport. Threads: [single]. Limits: manifest_bytes, blob_bytes,
// parallel_downloads and those of base/http. Hostile input: a registry can waste bounded time and
// bytes; what it sends is believed only after digest and size were checked.
// Errors: oci.not_found, oci.auth, oci.denied, oci.registry, http.*, digest.*, core.*; details
// registry.code (the registry's own error code), http.status.
#ifndef COAMING_LIBOCI_REGISTRY_REGISTRY_H_
#define COAMING_LIBOCI_REGISTRY_REGISTRY_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/op.h"
#include "liboci/reference/reference.h"
#include "liboci/registry/credentials.h"
#include "liboci/spec/image/types.h"

namespace coaming::base {
class Reader;
class Transport;
}  // namespace coaming::base

namespace coaming::oci {

class BlobWriter;

struct RegistryOptions {
  // Where credentials come from; see credentials.h. An explicit one counts for `host` only, or for the
  // first registry asked if `host` is "".
  CredentialOptions credentials;
  // "host" or "host:port" that may be spoken to by plain http. "*" is every host.
  std::vector<std::string> http_hosts;
  bool http_loopback = true;  // loopback addresses may answer by http when https fails
  int64_t chunk_bytes = 0;    // push in chunks of this size; 0: one request a blob
};

struct ManifestAnswer {
  Descriptor descriptor;  // media type, digest and size of exactly these bytes
  std::string bytes;
};

class Registry {
 public:
  Registry(base::Transport* transport, RegistryOptions options);
  ~Registry();
  Registry(Registry&&) noexcept;

  // Ping checks that the host speaks the API (and finds out its scheme and challenges).
  absl::Status Ping(const base::Op& op, std::string_view host);

  // --- manifests -------------------------------------------------------------------------------
  // GetManifest fetches by digest if the reference has one (checked), else by tag. A schema 1 answer
  // is oci.schema1.
  absl::StatusOr<ManifestAnswer> GetManifest(const base::Op& op, const Reference& reference);
  // HeadManifest gives nullopt if it is not there. The digest may be empty with old registries.
  absl::StatusOr<std::optional<Descriptor>> HeadManifest(const base::Op& op,
                                                         const Reference& reference);
  // PutManifest pushes exactly `bytes`; with a subject the referrers fallback is kept up to date
  // where the registry does not do it itself.
  absl::StatusOr<Descriptor> PutManifest(const base::Op& op, const Reference& reference,
                                         std::string_view bytes, std::string_view media_type);
  absl::Status DeleteManifest(const base::Op& op, const Reference& reference);

  // --- blobs -----------------------------------------------------------------------------------
  absl::StatusOr<bool> HasBlob(const base::Op& op, const Reference& repository,
                               const base::Digest& digest);
  // OpenBlob streams a blob; the end comes only if digest and size are right.
  absl::StatusOr<std::unique_ptr<base::Reader>> OpenBlob(const base::Op& op,
                                                         const Reference& repository,
                                                         const Descriptor& descriptor);
  // FetchBlobs downloads several side by side, each into its writer, which goes on where an earlier
  // try stopped; every writer is committed. The first failure stops the rest.
  struct BlobJob {
    Descriptor descriptor;
    BlobWriter* writer = nullptr;
  };
  absl::Status FetchBlobs(const base::Op& op, const Reference& repository,
                          std::span<const BlobJob> jobs);

  using OpenSource = std::function<absl::StatusOr<std::unique_ptr<base::Reader>>()>;
  enum class PushResult { kUploaded, kMounted, kExisted };
  // PushBlob uploads unless the blob is there; `mount_from` is a repository of the same registry that
  // has it, or "".
  absl::StatusOr<PushResult> PushBlob(const base::Op& op, const Reference& repository,
                                      const Descriptor& descriptor, const OpenSource& open,
                                      std::string_view mount_from = "");
  absl::Status DeleteBlob(const base::Op& op, const Reference& repository,
                          const base::Digest& digest);

  // --- lists -----------------------------------------------------------------------------------
  absl::StatusOr<std::vector<std::string>> ListTags(const base::Op& op,
                                                    const Reference& repository);
  // Referrers lists what names `reference`'s digest as its subject, through the API or the fallback
  // tag; `artifact_type` "" is all.
  absl::StatusOr<std::vector<Descriptor>> Referrers(const base::Op& op, const Reference& reference,
                                                    std::string_view artifact_type = "");

  struct Rep;  // session.h; for this package alone

 private:
  std::unique_ptr<Rep> rep_;
};

}  // namespace coaming::oci

#endif  // COAMING_LIBOCI_REGISTRY_REGISTRY_H_
