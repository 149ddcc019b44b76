// LayerApplier unpacks the layers of an image, one after another, into a directory: whiteouts, opaque
// directories, hard links, devices, owners, modes, xattrs and times.
//
// Follows image-spec, layer.md. The order and the traps are those of layer.md's "Applying
// Changesets": a whiteout hides only what lower layers brought; directory times are set last; set-id
// bits and file capabilities after the owner.
//
//   oci::LayerApplier applier(op, rootfs, options);
//   for (layer) COAM_RETURN_IF_ERROR(applier.Apply(std::move(tar_bytes), name));   // uncompressed
//   COAM_RETURN_IF_ERROR(applier.Finish());
//
// Ownership: borrows op and directory. Threads: [single]. Limits: path_bytes, xattr_bytes,
// unpacked_files, unpacked_bytes over all layers. Hostile input: every step from the root is one name
// opened without following a link; a link among an entry's parents is resolved by us as in a chroot,
// so nothing outside can be reached. A name that climbs above the root, a whiteout of nothing, a hard
// link without a target is oci.layer. A failure leaves a part of the tree that the caller removes:
// unpack into a directory that nobody sees yet.
#ifndef COAMING_LIBOCI_LAYER_APPLY_H_
#define COAMING_LIBOCI_LAYER_APPLY_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/op.h"
#include "liboci/layer/ids.h"

namespace coaming::base {
class Dir;
class Reader;
}  // namespace coaming::base

namespace coaming::oci {

struct ApplyOptions {
  IdMapping ids;
  bool xattrs = true;
  bool devices = true;  // false: device nodes become a note
};

struct ApplyStats {
  int64_t entries = 0, files = 0, bytes = 0, whiteouts = 0;
};

class LayerApplier {
 public:
  LayerApplier(const base::Op& op, const base::Dir& root, ApplyOptions options = {});
  ~LayerApplier();

  // Apply reads one whole uncompressed tar to its very end (so that digests above it are checked).
  // `name` is for messages. Errors: oci.layer, archive.*, stream.*, digest.*, core.*.
  absl::Status Apply(std::unique_ptr<base::Reader> tar, std::string_view name);
  // Finish sets what had to wait (times of directories). Call it once, after the last layer.
  absl::Status Finish();
  const ApplyStats& stats() const;

 private:
  struct Rep;
  std::unique_ptr<Rep> rep_;
};

}  // namespace coaming::oci

#endif  // COAMING_LIBOCI_LAYER_APPLY_H_
