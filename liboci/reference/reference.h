// Reference is the name of an image in a registry: host, repository, tag and digest, by Docker's rules.
//
// Follows OCI distribution-spec ("Pulling manifests") and the grammar that docker and containers tools
// share: a first component without '.' or ':' that is not "localhost" is no host, then docker.io is
// meant, and a single component there gets "library/". A hand-written scanner, linear in the input.
//
//   COAM_ASSIGN_OR_RETURN(oci::Reference r, oci::Reference::Parse("busybox:1.36"));
//   r.host == "docker.io", r.repository == "library/busybox", r.tag == "1.36"
//
// Ownership: values. Threads: [immutable]. Limits: 255 bytes of name, 128 of tag. Hostile input: what
// does not fit the grammar is refused with oci.reference; the parts are safe in URLs and paths.
#ifndef COAMING_LIBOCI_REFERENCE_REFERENCE_H_
#define COAMING_LIBOCI_REFERENCE_REFERENCE_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "base/digest/digest.h"

namespace coaming::oci {

struct Reference {
  std::string host;        // "docker.io", "127.0.0.1:5000", "[::1]:5000"
  std::string repository;  // "library/busybox"
  std::string tag;         // "" if only a digest was given
  base::Digest digest;     // empty if none

  // Parse reads "[host[:port]/]path[:tag][@digest]". Without tag and digest the tag is "latest".
  // Errors: oci.reference.
  static absl::StatusOr<Reference> Parse(std::string_view text);
  // ParseRepository is Parse for a name that may have neither tag nor digest; the tag stays "".
  static absl::StatusOr<Reference> ParseRepository(std::string_view text);

  // Name is "host/repository".
  std::string Name() const;
  // ToString is the whole reference with everything written out.
  std::string ToString() const;
  // Familiar is the short form that people type: without docker.io and library/.
  std::string Familiar() const;
  // ApiHost is where the registry answers: registry-1.docker.io for docker.io, else the host.
  std::string ApiHost() const;
  // Target is what the manifest URL ends in: the digest if there is one, else the tag.
  std::string Target() const;
  bool operator==(const Reference&) const = default;
};

bool IsRepository(std::string_view text);  // path components by the grammar
bool IsTag(std::string_view text);
bool IsRegistryHost(std::string_view text);  // host[:port]
// IsRefName checks the grammar of org.opencontainers.image.ref.name (annotations.md).
bool IsRefName(std::string_view text);
// ReferrersTag is the fallback tag of a digest (distribution-spec, "Referrers Tag Schema").
std::string ReferrersTag(const base::Digest& digest);

}  // namespace coaming::oci

#endif  // COAMING_LIBOCI_REFERENCE_REFERENCE_H_
