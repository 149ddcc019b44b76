// From an image's config to a runtime specification: image-spec, conversion.md. Private to liboci/image.
//
// The user is looked up in the tree's own passwd and group files, opened inside the root. Annotations:
// the implicit ones first, labels win. Threads: a function without state. Hostile input: the two files
// are bounded by manifest_bytes, their lines by what fits.
#ifndef COAMING_LIBOCI_IMAGE_RUNTIME_CONFIG_H_
#define COAMING_LIBOCI_IMAGE_RUNTIME_CONFIG_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "base/core/op.h"
#include "base/fs/dir.h"
#include "liboci/layer/ids.h"
#include "liboci/spec/image/types.h"
#include "liboci/spec/runtime/types.h"

namespace coaming::oci {

// ToRuntimeSpec converts; `rootfs` is the unpacked tree with Containment::kInRoot. Errors: oci.user.
absl::StatusOr<run::Spec> ToRuntimeSpec(const base::Op& op, const ImageConfig& config,
                                        const base::Dir& rootfs, const IdMapping& ids);
// ResolveUser reads the `User` member of a config.
absl::StatusOr<run::User> ResolveUser(const base::Op& op, std::string_view user,
                                      const base::Dir& rootfs);

}  // namespace coaming::oci

#endif  // COAMING_LIBOCI_IMAGE_RUNTIME_CONFIG_H_
