// ImageName is where an image is, as skopeo spells it: docker://host/repo:tag, oci:DIR[:NAME],
// oci-archive:FILE[:NAME], dir:DIR.
//
// One table of transports (transports.h) knows the words. Ownership: values. Threads: [immutable].
// Errors: oci.transport (unknown word, no path), oci.reference.
#ifndef COAMING_LIBOCI_IMAGE_NAME_H_
#define COAMING_LIBOCI_IMAGE_NAME_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "liboci/reference/reference.h"

namespace coaming::oci {

struct ImageName {
  std::string transport;  // "docker", "oci", "oci-archive", "dir"
  std::string path;       // of the directory or file
  std::string name;       // in the layout; "" for none
  Reference reference;    // of "docker"

  static absl::StatusOr<ImageName> Parse(std::string_view text);
  // ParseRepository is Parse, but docker://host/repo needs no tag (for lists of tags).
  static absl::StatusOr<ImageName> ParseRepository(std::string_view text);
  std::string ToString() const;
};

}  // namespace coaming::oci

#endif  // COAMING_LIBOCI_IMAGE_NAME_H_
