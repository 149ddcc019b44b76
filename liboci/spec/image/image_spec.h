// Reading and writing the documents of the OCI image specification and Docker's schema 2.
//
// Reading is bounded (manifest_bytes, json_depth, json_values, layers), refuses duplicate keys, wrong
// types, digests and media types outside the grammar, negative sizes and a document whose own
// mediaType is not what it is read as (CVE-2021-41190); unknown members are kept. Writing gives the
// bytes that this library itself authors; a document of others is copied by its bytes.
// Threads: functions without state. Hostile input costs at most what the limits allow.
// Errors: json.*, core.limit, oci.manifest, oci.media_type, oci.schema1, digest.invalid.
#ifndef COAMING_LIBOCI_SPEC_IMAGE_IMAGE_SPEC_H_
#define COAMING_LIBOCI_SPEC_IMAGE_IMAGE_SPEC_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/limits.h"
#include "liboci/spec/image/types.h"

namespace coaming::oci {

// `media_type` is what the reader was told (Content-Type, descriptor); "" if nothing: then the
// document's own mediaType, or its members, decide.
absl::StatusOr<Manifest> ParseManifest(std::string_view json, std::string_view media_type = "",
                                       const base::Limits& limits = base::Limits());
absl::StatusOr<Index> ParseIndex(std::string_view json, std::string_view media_type = "",
                                 const base::Limits& limits = base::Limits());
absl::StatusOr<ImageConfig> ParseImageConfig(std::string_view json,
                                             const base::Limits& limits = base::Limits());
absl::StatusOr<Descriptor> ParseDescriptor(std::string_view json,
                                           const base::Limits& limits = base::Limits());

// DetectMediaType tells which kind of manifest `json` is: by its own mediaType, else by its members.
// Errors: oci.schema1 for a schema 1 document, oci.manifest if it is none, oci.media_type if it could
// be read as two things.
absl::StatusOr<std::string> DetectMediaType(std::string_view json,
                                            const base::Limits& limits = base::Limits());

// Members in the specification's order, unknown ones last, as Go's encoder writes them. `indent`
// empty: one line.
std::string WriteManifest(const Manifest& manifest, std::string_view indent = "");
std::string WriteIndex(const Index& index, std::string_view indent = "");
std::string WriteImageConfig(const ImageConfig& config, std::string_view indent = "");
std::string WriteDescriptor(const Descriptor& descriptor, std::string_view indent = "");

}  // namespace coaming::oci

#endif  // COAMING_LIBOCI_SPEC_IMAGE_IMAGE_SPEC_H_
