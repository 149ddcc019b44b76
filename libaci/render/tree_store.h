// TreeStore keeps rendered root file systems on disk, each made once and shared by those who use it.
//
// rkt's shape: tree/ID/{rootfs,manifest,image,hash,rendered}; `rendered` is written last and marks a
// whole tree. Any number of processes may share it: users hold a shared lock of the tree, its maker
// and its remover an exclusive one. Threads: [shared].
#ifndef COAMING_LIBACI_RENDER_TREE_STORE_H_
#define COAMING_LIBACI_RENDER_TREE_STORE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/op.h"
#include "base/fs/dir.h"
#include "base/fs/lock.h"
#include "libaci/store/store.h"

namespace coaming::aci {

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
    std::string rootfs;   // absolute path of the root file system
    base::FileLock lock;  // keeps the tree from being removed while it lives
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

#endif  // COAMING_LIBACI_RENDER_TREE_STORE_H_
