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

#include <cstdint>
#include <memory>
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
  std::vector<std::vector<std::string>> whitelists;  // cleaned, sorted; every one must have the path
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
  bool rootfs_only = false;   // `target` itself becomes the root; else target/{manifest,rootfs}
  bool keep_owner = true;     // false, or not root: files belong to the caller, with a note
  bool overwrite = false;     // an existing target is emptied first; else it must not exist or be empty
};

// RenderImage renders into the directory `target`. A failure leaves no partial tree behind.
absl::Status RenderImage(const ImageStore& store, std::string_view id, const std::string& target,
                         const RenderOptions& options, const base::Op& op);

// TreeStore keeps rendered trees, each made once and shared read-only by the pods that use it:
// tree/ID/{rootfs,manifest,hash,image,rendered}; `rendered` is written last.
class TreeStore {
 public:
  // `root` is made if missing (rkt: DIR/cas/tree). `store` is borrowed.
  static absl::StatusOr<std::unique_ptr<TreeStore>> Open(const std::string& root,
                                                         const ImageStore& store);
  ~TreeStore();

  // The tree ID of an image: "deps-sha512-" and 64 hex digits over the render sequence.
  absl::StatusOr<std::string> TreeId(std::string_view image_id, const base::Op& op) const;

  struct Tree {
    std::string id;
    std::string rootfs;  // absolute path of the root file system
    base::UniqueFd lock; // keeps the tree from being removed while it lives
  };
  // Get returns the tree of an image, rendering it if it is missing or was left half made.
  absl::StatusOr<Tree> Get(std::string_view image_id, const base::Op& op);
  // Verify compares the tree with the hash taken when it was made. Errors: aci.tree_damaged.
  absl::Status Verify(std::string_view tree_id, const base::Op& op) const;
  // Remove removes one tree. Errors: aci.not_found, aci.in_use.
  absl::Status Remove(std::string_view tree_id);
  struct Record {
    std::string id, image_id;
    uint64_t bytes = 0;
    bool complete = false;
  };
  absl::StatusOr<std::vector<Record>> List() const;
  // RemoveUnused removes trees whose ID is not in `used` and that nobody has locked.
  absl::StatusOr<std::vector<std::string>> RemoveUnused(const std::vector<std::string>& used,
                                                        bool dry_run, const base::Op& op);

 private:
  struct Rep;
  explicit TreeStore(std::unique_ptr<Rep> rep);
  std::unique_ptr<Rep> rep_;
};

}  // namespace coaming::aci

#endif  // COAMING_LIBACI_RENDER_RENDER_H_
