// What rendering into a directory and the tree store share; private to libaci/render.
#ifndef COAMING_LIBACI_RENDER_RENDER_TREE_H_
#define COAMING_LIBACI_RENDER_RENDER_TREE_H_

#include <vector>

#include "absl/status/status.h"
#include "base/core/op.h"
#include "base/fs/dir.h"
#include "libaci/render/render.h"

namespace coaming::aci {

// RenderSteps writes the images of a plan into `rootfs` (opened with kNoLinks), in order.
absl::Status RenderSteps(const ImageStore& store, const std::vector<RenderStep>& steps,
                         const base::Dir& rootfs, bool keep_owner, const base::Op& op);

}  // namespace coaming::aci

#endif  // COAMING_LIBACI_RENDER_RENDER_TREE_H_
