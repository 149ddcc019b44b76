#include "libaci/image/build.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/fs/atomic_file.h"
#include "base/fs/file.h"
#include "base/fs/tree.h"
#include "libaci/image/image_io.h"
#include "libaci/image/layout_dir.h"

namespace coaming::aci {
namespace {

class TreeWriter {
 public:
  TreeWriter(base::TarWriter& tar, const BuildOptions& options, const base::Op& op)
      : tar_(tar), options_(options), op_(op), block_(base::kBlockBytes) {}

  absl::Status Visit(const base::TreeEntry& e) {
    COAM_RETURN_IF_ERROR(op_.Check());
    base::TarEntry out;
    out.path = e.path.empty() ? "rootfs" : absl::StrCat("rootfs/", e.path);
    out.mode = e.stat.st_mode & 07777;
    if (!options_.owner_root) {
      out.uid = e.stat.st_uid;
      out.gid = e.stat.st_gid;
    }
    out.mtime = {e.stat.st_mtim.tv_sec, static_cast<int32_t>(e.stat.st_mtim.tv_nsec)};
    if (options_.clamp_mtime >= 0 && out.mtime.seconds >= options_.clamp_mtime) {
      out.mtime = {options_.clamp_mtime, 0};
    }
    if (!S_ISDIR(e.stat.st_mode) && !S_ISSOCK(e.stat.st_mode) && e.stat.st_nlink > 1) {
      auto [it, fresh] = links_.try_emplace({e.stat.st_dev, e.stat.st_ino}, out.path);
      if (!fresh) {
        out.type = base::TarType::kHardlink;
        out.link = it->second;
        return Count(tar_.Add(out), 0);
      }
    }
    COAM_ASSIGN_OR_RETURN(out.xattrs, e.dir->ListXattrs(e.leaf, op_.limits().xattr_bytes));
    switch (e.stat.st_mode & S_IFMT) {
      case S_IFDIR: out.type = base::TarType::kDirectory; break;
      case S_IFLNK: {
        out.type = base::TarType::kSymlink;
        COAM_ASSIGN_OR_RETURN(out.link, e.dir->ReadLink(e.leaf));
        break;
      }
      case S_IFCHR:
      case S_IFBLK:
        out.type =
            S_ISCHR(e.stat.st_mode) ? base::TarType::kCharDevice : base::TarType::kBlockDevice;
        out.dev_major = major(e.stat.st_rdev);
        out.dev_minor = minor(e.stat.st_rdev);
        break;
      case S_IFIFO: out.type = base::TarType::kFifo; break;
      case S_IFREG: return File(e, std::move(out));
      default:
        op_.AddNote("aci.socket_skipped", e.path, "a socket is left out");
        return absl::OkStatus();
    }
    return Count(tar_.Add(out), 0);
  }

  uint64_t entries = 0, bytes = 0;

 private:
  absl::Status Count(absl::Status status, uint64_t size) {
    ++entries;
    bytes += size;
    return status;
  }

  absl::Status File(const base::TreeEntry& e, base::TarEntry out) {
    COAM_ASSIGN_OR_RETURN(base::UniqueFd fd, e.dir->OpenFile(e.leaf, O_RDONLY | O_NOFOLLOW));
    out.type = base::TarType::kFile;
    out.size = e.stat.st_size;
    COAM_RETURN_IF_ERROR(Count(tar_.Add(out), out.size));
    base::FdReader in(op_, std::move(fd), e.path);
    int64_t left = out.size;
    while (left > 0) {
      COAM_RETURN_IF_ERROR(op_.Check());
      const size_t want = static_cast<size_t>(std::min<int64_t>(left, block_.size()));
      COAM_ASSIGN_OR_RETURN(size_t n, in.Read(std::span<char>(block_.data(), want)));
      if (n == 0) {
        return base::Fail("core.aborted")
               << "file " << e.path << " became shorter while it was read";
      }
      COAM_RETURN_IF_ERROR(tar_.Write(std::string_view(block_.data(), n)));
      left -= static_cast<int64_t>(n);
    }
    return absl::OkStatus();
  }

  base::TarWriter& tar_;
  const BuildOptions& options_;
  const base::Op& op_;
  std::vector<char> block_;
  std::map<std::pair<dev_t, ino_t>, std::string> links_;
};

}  // namespace

namespace {

// The file that becomes `output` when it is whole.
absl::StatusOr<base::AtomicFile> NewOutput(const std::string& output, bool overwrite) {
  COAM_ASSIGN_OR_RETURN(base::Dir::Leaf place, base::OpenHostParent(output));
  if (!overwrite) {
    COAM_ASSIGN_OR_RETURN(bool there, place.dir.Exists(place.name));
    if (there) {
      return base::Fail("core.exists").Hint("choose another name or allow overwriting")
             << output << " exists already";
    }
  }
  base::WriteFileOptions options;
  options.exclusive = !overwrite;
  return base::AtomicFile::New(place.dir, place.name, options);
}

}  // namespace

absl::StatusOr<ImageInfo> PatchImageFile(
    const std::string& path, const std::string& output, const BuildOptions& options,
    const std::function<absl::StatusOr<std::string>(std::string_view manifest_json)>& patch,
    const base::Op& op) {
  COAM_ASSIGN_OR_RETURN(base::UniqueFd fd, base::OpenHostFile(path, O_RDONLY));
  base::FdReader in(op, std::move(fd), path);
  COAM_ASSIGN_OR_RETURN(base::AtomicFile file, NewOutput(output, options.overwrite));
  base::FdWriter out(op, file.fd(), output);
  COAM_ASSIGN_OR_RETURN(ImageInfo info, PatchImage(in, out, options.compression, patch, op));
  COAM_RETURN_IF_ERROR(file.Commit());
  return info;
}

absl::StatusOr<ImageInfo> BuildImage(const std::string& layout_dir, const std::string& output,
                                     const BuildOptions& options, const base::Op& op) {
  COAM_ASSIGN_OR_RETURN(base::Dir layout, base::Dir::Open(layout_dir, base::Containment::kNoLinks));
  ImageInfo info;
  COAM_ASSIGN_OR_RETURN(info.manifest_json, ReadLayoutManifest(layout, op));
  ParseOptions parse;
  parse.limits = &op.limits();
  parse.op = &op;
  COAM_ASSIGN_OR_RETURN(info.manifest, ParseImageManifest(info.manifest_json, parse));
  info.compression = options.compression;

  COAM_ASSIGN_OR_RETURN(base::AtomicFile file, NewOutput(output, options.overwrite));
  base::FdWriter sink(op, file.fd(), output);
  COAM_ASSIGN_OR_RETURN(std::unique_ptr<ImageWriter> writer,
                        ImageWriter::New(&sink, options.compression));
  TreeWriter tree(writer->tar(), options, op);
  COAM_ASSIGN_OR_RETURN(base::Dir rootfs, layout.OpenDir("rootfs", /*follow_last=*/false));
  COAM_RETURN_IF_ERROR(base::WalkTree(
      op, rootfs, [&](const base::TreeEntry& entry, bool*) { return tree.Visit(entry); }));
  base::TarEntry manifest;
  manifest.path = "manifest";
  manifest.mode = 0644;
  manifest.size = static_cast<int64_t>(info.manifest_json.size());
  COAM_RETURN_IF_ERROR(writer->tar().AddFile(manifest, info.manifest_json));
  COAM_RETURN_IF_ERROR(writer->Finish());
  COAM_RETURN_IF_ERROR(file.Commit());
  info.image_id = writer->id();
  info.tar_bytes = writer->bytes();
  info.rootfs_bytes = tree.bytes;
  info.rootfs_entries = tree.entries;
  return info;
}

}  // namespace coaming::aci
