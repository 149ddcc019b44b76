// Building simple images: a tree or some files become a layer, with a config and a manifest, in a
// layout.
//
//   oci::BuildOptions b;
//   b.config.config.entrypoint = {"/hello"};
//   COAM_ASSIGN_OR_RETURN(oci::Descriptor d, oci::Build(op, *layout, "1.0", tree, b));
//
// Follows image-spec 1.1.1. The same input gives the same digests. Threads: [single]. Limits: those of
// layer/diff.h.
#ifndef COAMING_LIBOCI_IMAGE_BUILD_H_
#define COAMING_LIBOCI_IMAGE_BUILD_H_

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "base/core/op.h"
#include "liboci/image/name.h"
#include "liboci/layer/diff.h"
#include "liboci/spec/image/types.h"

namespace coaming::base {
class Dir;
}

namespace coaming::oci {

class Layout;

struct BuildOptions {
  ImageConfig config;                // diff_ids and history are added to; platform "" is the host's
  StringPairs annotations;           // of the manifest
  std::string compression = "gzip";  // "none", "gzip", "zstd"
  int level = -1;
  LayerOptions layer;
  std::string created_by;          // of the history entry
  std::optional<Descriptor> base;  // a manifest of the same layout whose layers come first
};

// Build makes an image of the tree below `tree` (null: no layer of its own) and names it `name`.
absl::StatusOr<Descriptor> Build(const base::Op& op, Layout& layout, std::string_view name,
                                 const base::Dir* tree, const BuildOptions& options = {});
// BuildAt does it for a layout name (oci:DIR[:NAME]), a host directory ("" for none) and the name of
// the base image in the same layout ("" for none).
absl::StatusOr<Descriptor> BuildAt(const base::Op& op, const ImageName& to, std::string_view tree,
                                   std::string_view base_name, const BuildOptions& options = {});

}  // namespace coaming::oci

#endif  // COAMING_LIBOCI_IMAGE_BUILD_H_
