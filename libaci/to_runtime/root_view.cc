// A root file system on disk as a RootView: confined to its directory, links followed inside it.
#include <sys/stat.h>

#include <utility>

#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/fs/dir.h"
#include "libaci/to_runtime/to_runtime.h"

namespace coaming::aci {
namespace {

// passwd and group files are read whole: more than this is no user database.
constexpr int64_t kLargestDatabase = 4 << 20;

class DirView final : public RootView {
 public:
  explicit DirView(base::Dir root) : root_(std::move(root)) {}

  absl::StatusOr<std::string> ReadFile(std::string_view path) const override {
    absl::StatusOr<std::string> text = root_.ReadFile(path, kLargestDatabase, "manifest_bytes");
    if (base::HasReason(text.status(), "core.not_found")) {
      return base::Fail("aci.not_found") << "no " << path << " in the root file system";
    }
    return text;
  }

  absl::StatusOr<std::pair<uint32_t, uint32_t>> Owner(std::string_view path) const override {
    const absl::StatusOr<struct stat> s = root_.Stat(path, /*follow_last=*/true);
    if (base::HasReason(s.status(), "core.not_found")) {
      return base::Fail("aci.not_found") << "no " << path << " in the root file system";
    }
    COAM_RETURN_IF_ERROR(s.status());
    return std::pair<uint32_t, uint32_t>(s->st_uid, s->st_gid);
  }

 private:
  const base::Dir root_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<RootView>> OpenRootView(const std::string& rootfs) {
  COAM_ASSIGN_OR_RETURN(base::Dir root, base::Dir::Open(rootfs, base::Containment::kInRoot));
  return std::unique_ptr<RootView>(new DirView(std::move(root)));
}

}  // namespace coaming::aci
