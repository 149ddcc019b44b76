#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/fs/dir.h"
#include "base/fs/file.h"
#include "libaci/image/image.h"
#include "libaci/image/layout_dir.h"
#include "libaci/schema/pod_manifest.h"

namespace coaming::aci {
namespace {

absl::Status WrongKind(const std::string& path, std::string_view found) {
  return base::Fail("core.invalid_argument") << path << " is " << found << ": wrong type";
}

absl::StatusOr<FileKind> ValidateManifest(const std::string& path, base::UniqueFd fd, bool strict,
                                          const base::Op& op) {
  COAM_ASSIGN_OR_RETURN(std::string text,
                        base::ReadFd(fd.get(), path, op.limits().manifest_bytes, "manifest_bytes"));
  ParseOptions options;
  options.strict = strict;
  options.limits = &op.limits();
  options.op = &op;
  if (ManifestKind(text) == "PodManifest") {
    COAM_RETURN_IF_ERROR(ParsePodManifest(text, options).status());
    return FileKind::kPodManifest;
  }
  COAM_RETURN_IF_ERROR(ParseImageManifest(text, options).status());
  return FileKind::kImageManifest;
}

}  // namespace

absl::StatusOr<std::string> ReadLayoutManifest(const base::Dir& layout, const base::Op& op) {
  COAM_ASSIGN_OR_RETURN(std::vector<base::DirEntry> entries, layout.List("", 1000));
  bool manifest = false, rootfs = false;
  for (const base::DirEntry& entry : entries) {
    if (entry.name == "manifest") {
      if (entry.type != DT_REG) {
        return base::Fail("aci.layout_invalid") << "manifest is not a regular file";
      }
      manifest = true;
    } else if (entry.name == "rootfs") {
      if (entry.type != DT_DIR) {
        return base::Fail("aci.layout_invalid") << "rootfs is not a directory";
      }
      rootfs = true;
    } else {
      return base::Fail("aci.layout_invalid")
             << "entry \"" << entry.name << "\" is neither manifest nor rootfs";
    }
  }
  if (!manifest) return base::Fail("aci.layout_invalid") << "there is no manifest";
  if (!rootfs) return base::Fail("aci.layout_invalid") << "there is no rootfs directory";
  return layout.ReadFile("manifest", op.limits().manifest_bytes, "manifest_bytes");
}

absl::StatusOr<ImageInfo> ReadImageFile(const std::string& path, const ReadOptions& options,
                                        const base::Op& op) {
  COAM_ASSIGN_OR_RETURN(base::UniqueFd fd, base::OpenHostFile(path, O_RDONLY));
  base::FdReader in(op, std::move(fd), path);
  return ReadImage(in, options, op);
}

absl::StatusOr<std::string> ReadManifestOfFile(const std::string& path, const base::Op& op) {
  COAM_ASSIGN_OR_RETURN(base::UniqueFd fd, base::OpenHostFile(path, O_RDONLY));
  base::FdReader in(op, std::move(fd), path);
  return ReadManifestOnly(in, op);
}

absl::StatusOr<FileKind> ValidateFile(const std::string& path, WantKind want, bool strict,
                                      const base::Op& op) {
  COAM_ASSIGN_OR_RETURN(struct stat st, base::StatHost(path));
  if (S_ISDIR(st.st_mode)) {
    if (want == WantKind::kImage || want == WantKind::kManifest) {
      return WrongKind(path, "a directory");
    }
    COAM_ASSIGN_OR_RETURN(base::Dir layout, base::Dir::Open(path));
    COAM_ASSIGN_OR_RETURN(std::string text, ReadLayoutManifest(layout, op));
    ParseOptions options;
    options.strict = strict;
    options.limits = &op.limits();
    options.op = &op;
    COAM_RETURN_IF_ERROR(ParseImageManifest(text, options).status());
    return FileKind::kLayout;
  }
  if (want == WantKind::kLayout) return WrongKind(path, "not a directory");
  COAM_ASSIGN_OR_RETURN(base::UniqueFd fd, base::OpenHostFile(path, O_RDONLY));
  if (want == WantKind::kManifest) return ValidateManifest(path, std::move(fd), strict, op);
  // Text that begins like JSON is a manifest; everything else is tried as an image. What cannot be
  // looked at twice (a pipe) is an image.
  char first[64];
  const ssize_t n = pread(fd.get(), first, sizeof first, 0);
  const std::string_view begin(first, n > 0 ? static_cast<size_t>(n) : 0);
  const size_t mark = begin.find_first_not_of(" \t\r\n");
  if (want == WantKind::kGuess && mark != std::string_view::npos && begin[mark] == '{') {
    return ValidateManifest(path, std::move(fd), strict, op);
  }
  base::FdReader in(op, std::move(fd), path);
  ReadOptions options;
  options.strict = strict;
  COAM_RETURN_IF_ERROR(ReadImage(in, options, op).status());
  return FileKind::kImage;
}

}  // namespace coaming::aci
