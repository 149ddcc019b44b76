// Unpack: source to bundle in one pass. The layers' bytes are read, hashed, inflated and hashed again on
// one thread and written on this one; the tree grows in a hidden directory beside its place.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/fs/dir.h"
#include "base/fs/file.h"
#include "base/fs/tree.h"
#include "base/stream/filter.h"
#include "base/stream/threaded.h"
#include "liboci/image/image_rep.h"
#include "liboci/image/runtime_config.h"
#include "liboci/layer/apply.h"
#include "liboci/spec/runtime/runtime_spec.h"

namespace coaming::oci {
namespace {

// What is at the bundle's place must not be lost by mistake.
absl::Status CheckPlace(const base::Dir& parent, const std::string& leaf, std::string_view path,
                        bool replace) {
  absl::StatusOr<struct stat> st = parent.Stat(leaf);
  if (base::HasReason(st.status(), "core.not_found")) return absl::OkStatus();
  COAM_RETURN_IF_ERROR(st.status());
  if (replace) return absl::OkStatus();
  if (S_ISDIR(st->st_mode)) {
    COAM_ASSIGN_OR_RETURN(std::vector<base::DirEntry> entries, parent.List(leaf));
    if (entries.empty()) return absl::OkStatus();
  }
  return base::Fail("core.exists").Hint("choose another directory, or allow it to be replaced")
         << path << " exists and is not empty";
}

// Puts the finished directory in its place; what was there goes only then.
absl::Status Publish(const base::Op& op, const base::Dir& parent, const std::string& temp,
                     const std::string& leaf) {
  absl::Status moved = parent.Rename(temp, leaf, RENAME_NOREPLACE);
  if (moved.ok() || !base::HasReason(moved, "core.exists")) {
    // Some file systems know no flags.
    return moved.ok() || base::GetError(moved).sys_errno != EINVAL ? moved
                                                                   : parent.Rename(temp, leaf);
  }
  if (parent.RemoveDir(leaf).ok()) return parent.Rename(temp, leaf);
  COAM_RETURN_IF_ERROR(parent.Rename(temp, leaf, RENAME_EXCHANGE));
  return parent.RemoveAll(op, temp);
}

absl::Status MakeWorkingDirectory(const base::Dir& rootfs, const std::string& cwd) {
  if (cwd == "/") return absl::OkStatus();
  absl::Status made = rootfs.MakeDirs(cwd, 0755).status();
  // A file in its place is for the runtime to complain about.
  if (base::HasReason(made, "fs.not_directory") || base::HasReason(made, "core.exists")) {
    return absl::OkStatus();
  }
  return made;
}

}  // namespace

absl::StatusOr<Unpacked> Image::Unpack(const base::Op& op, std::string_view dir,
                                       const UnpackOptions& options) {
  if (!manifest().IsImage()) {
    return base::Fail("oci.unsupported") << name().ToString() << " is an artifact of type "
                                         << manifest().ArtifactType() << ", not an image";
  }
  COAM_ASSIGN_OR_RETURN(base::Dir::Leaf place, base::OpenHostParent(dir));
  COAM_RETURN_IF_ERROR(CheckPlace(place.dir, place.name, dir, options.replace));
  COAM_ASSIGN_OR_RETURN(base::TempDir temp,
                        base::TempDir::New(place.dir, absl::StrCat(".", place.name, ".part")));
  if (!options.rootfs_only) COAM_RETURN_IF_ERROR(temp.dir().MakeDir("rootfs", 0755));
  COAM_ASSIGN_OR_RETURN(base::Dir opened, temp.dir().OpenDir(options.rootfs_only ? "" : "rootfs"));
  COAM_ASSIGN_OR_RETURN(base::UniqueFd fd, base::DupFd(opened.fd()));
  std::string shown = absl::StrCat(dir, options.rootfs_only ? "" : "/rootfs");
  COAM_ASSIGN_OR_RETURN(base::Dir rootfs,
                        base::Dir::FromFd(std::move(fd), shown, base::Containment::kInRoot));
  if (options.rootfs_only && fchmod(rootfs.fd(), 0755) != 0) {
    return base::FailErrno("core.io", errno) << "set the mode of " << dir;
  }

  ApplyOptions apply;
  apply.ids = options.ids;
  apply.xattrs = options.xattrs;
  apply.devices = options.devices;
  if (geteuid() != 0 && apply.ids.identity()) apply.ids.all_to_caller = true;
  LayerApplier applier(op, rootfs, apply);
  for (size_t i = 0; i < manifest().layers.size(); ++i) {
    COAM_RETURN_IF_ERROR(op.Check());
    const Descriptor& layer = manifest().layers[i];
    COAM_ASSIGN_OR_RETURN(std::unique_ptr<base::Reader> tar, OpenLayerTar(op, i));
    tar = base::NewThreadedReader(std::move(tar), {.threads = rep_->threads});
    auto progress = std::make_unique<base::ProgressReader>(op, std::move(tar), "unpack",
                                                           layer.digest.str(), -1);
    COAM_RETURN_IF_ERROR(
        applier.Apply(std::move(progress), absl::StrCat("layer ", layer.digest.str())));
  }
  COAM_RETURN_IF_ERROR(applier.Finish());

  Unpacked out;
  out.layers = static_cast<int64_t>(manifest().layers.size());
  out.entries = applier.stats().entries;
  out.bytes = applier.stats().bytes;
  out.rootfs = shown;
  if (!options.rootfs_only) {
    COAM_ASSIGN_OR_RETURN(run::Spec spec, ToRuntimeSpec(op, config(), rootfs, options.ids));
    COAM_RETURN_IF_ERROR(MakeWorkingDirectory(rootfs, spec.process->cwd));
    COAM_RETURN_IF_ERROR(
        temp.dir().WriteFile(op, "config.json", absl::StrCat(run::WriteSpec(spec), "\n")));
    out.config_json = absl::StrCat(dir, "/config.json");
  }
  COAM_RETURN_IF_ERROR(Publish(op, place.dir, temp.leaf(), place.name));
  temp.Keep();
  return out;
}

}  // namespace coaming::oci
