// Render puts an image with its dependencies together into a directory.
//
// Spec: appc/spec 0.8.11, "Dependency Matching", "pathWhitelist". The sequence is depth first, each
// image's dependencies in list order before the image; later entries replace earlier ones, links
// are replaced and never followed. A white list bounds its own image and all below it in its branch.
// Each tar is hashed again as it is read and must match its ID.
// Threads: [single] per call. Limits: dependencies, dependency_depth, unpacked_bytes,
// unpacked_files, path_bytes. Hostile input cannot make it write outside the directory.
#ifndef COAMING_LIBACI_RENDER_RENDER_H_
#define COAMING_LIBACI_RENDER_RENDER_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/op.h"
#include "libaci/schema/manifest.h"
#include "libaci/store/store.h"

namespace coaming::aci {

// RenderStep is one image of the sequence, with the white lists that bound it.
struct RenderStep {
  std::string id;
  int depth = 0;  // 0 = the image itself
  std::vector<std::vector<std::string>>
      whitelists;  // cleaned, sorted; every one must have the path
};

// ImageSource is what planning needs of a store.
class ImageSource {
 public:
  virtual ~ImageSource() = default;
  virtual absl::StatusOr<ImageManifest> GetManifest(std::string_view id) const = 0;
  // By dependency: ID if given (which must match name and labels), else name and labels.
  virtual absl::StatusOr<std::string> FindDependency(const Dependency& dependency) const = 0;
};

// PlanRender gives the write order. Errors: aci.dependency_cycle, aci.not_found, aci.id_mismatch,
// core.limit.
absl::StatusOr<std::vector<RenderStep>> PlanRender(std::string_view id, const ImageSource& source,
                                                   const base::Op& op);
// The store as a source; borrowed.
class StoreSource : public ImageSource {
 public:
  explicit StoreSource(const ImageStore& store) : store_(store) {}
  absl::StatusOr<ImageManifest> GetManifest(std::string_view id) const override;
  absl::StatusOr<std::string> FindDependency(const Dependency& dependency) const override;

 private:
  const ImageStore& store_;
};

struct RenderOptions {
  bool with_dependencies = true;
  bool rootfs_only = false;  // `target` itself becomes the root; else target/{manifest,rootfs}
  bool keep_owner = true;    // false, or not root: files belong to the caller, with a note
  bool overwrite = false;    // an existing target is replaced; else it must not exist or be empty
};

// RenderImage renders into the directory `target`. A failure leaves no partial tree behind.
absl::Status RenderImage(const ImageStore& store, std::string_view id, const std::string& target,
                         const RenderOptions& options, const base::Op& op);

}  // namespace coaming::aci

#endif  // COAMING_LIBACI_RENDER_RENDER_H_
