// Building App Container Images from a directory, and the build context acbuild's words work on.
//
// Spec: appc/spec 0.8.11, "Image Archives". Entries go out in lexical order, hard links are kept by
// device and inode, the manifest goes last with time zero, so that two builds of the same tree have
// the same image ID. Sockets are skipped with a note. Threads: [single].
#ifndef COAMING_LIBACI_IMAGE_BUILD_H_
#define COAMING_LIBACI_IMAGE_BUILD_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/op.h"
#include "libaci/image/image.h"

namespace coaming::aci {

struct BuildOptions {
  Compression compression = Compression::kGzip;
  bool owner_root = false;   // uid = gid = 0 everywhere
  bool overwrite = false;    // an existing output file is replaced (atomically) instead of refused
  int64_t clamp_mtime = -1;  // later times become this one (SOURCE_DATE_EPOCH); -1: kept
};

// BuildImage turns the layout directory `layout_dir` (manifest, rootfs) into the file `output`,
// which appears under its name only when it is whole. Errors: aci.layout_invalid,
// aci.manifest_invalid, core.exists, core.io.
absl::StatusOr<ImageInfo> BuildImage(const std::string& layout_dir, const std::string& output,
                                     const BuildOptions& options, const base::Op& op);

// PatchImageFile is PatchImage from file to file; the output appears whole or not at all and may be
// the input if `options.overwrite`. Of the options only compression and overwrite count.
absl::StatusOr<ImageInfo> PatchImageFile(
    const std::string& path, const std::string& output, const BuildOptions& options,
    const std::function<absl::StatusOr<std::string>(std::string_view manifest_json)>& patch,
    const base::Op& op);

// BuildContext is a directory `.acbuild` in a work path that holds an image in the making: the
// manifest and the root file system. Each call is locked against other processes and takes effect
// at once, so that a shell script may make one call per process.
class BuildContext {
 public:
  // Begin makes an empty image called "acbuild-unnamed" with this host's labels, or starts from
  // `start`: an image file, a tar of a root file system, or a directory (copied); "" for none.
  // Errors: aci.build_state (there is one already).
  static absl::StatusOr<std::unique_ptr<BuildContext>> Begin(const std::string& work_path,
                                                             const std::string& start,
                                                             const base::Op& op);
  // Open takes an existing one. Errors: aci.build_state (none, or in use by another process).
  static absl::StatusOr<std::unique_ptr<BuildContext>> Open(const std::string& work_path);
  ~BuildContext();

  const ImageManifest& manifest() const;
  std::string manifest_json(bool pretty) const;
  // Edit changes the manifest; the change is validated and written, or nothing changes.
  // `words` is added to the history annotations unless empty.
  absl::Status Edit(const std::function<absl::Status(ImageManifest&)>& change,
                    std::string_view words);
  // The same for a whole manifest.
  absl::Status Replace(std::string_view manifest_json);
  // Copy copies a host file or directory to `dst` (a path in the image; a directory's contents
  // become dst's). Links in the image are never followed out of it.
  absl::Status Copy(const std::string& src, const std::string& dst, const base::Op& op);
  // CopyToDir copies each of `srcs` below `dir`, keeping its last component.
  absl::Status CopyToDir(const std::vector<std::string>& srcs, const std::string& dir,
                         const base::Op& op);
  // Write makes the image file. Errors: aci.build_state (still called acbuild-unnamed), core.exists.
  absl::StatusOr<ImageInfo> Write(const std::string& output, const BuildOptions& options,
                                  const base::Op& op);
  // End removes the context; the object may only be destroyed afterwards.
  absl::Status End();

 private:
  struct Rep;
  explicit BuildContext(std::unique_ptr<Rep> rep);
  std::unique_ptr<Rep> rep_;
};

// The name of an image nobody has named yet; Write refuses it.
inline constexpr std::string_view kUnnamed = "acbuild-unnamed";

}  // namespace coaming::aci

#endif  // COAMING_LIBACI_IMAGE_BUILD_H_
