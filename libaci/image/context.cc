#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/fs/file.h"
#include "base/fs/lock.h"
#include "base/fs/tree.h"
#include "libaci/image/build.h"
#include "libaci/image/image_io.h"
#include "libaci/image/layout.h"
#include "libaci/image/unpack.h"
#include "libaci/schema/types.h"

namespace coaming::aci {
namespace {

constexpr std::string_view kContext = ".acbuild";
constexpr std::string_view kLayout = ".acbuild/currentaci";
constexpr std::string_view kHistory = "coreos.com/acbuild/command-";

// A path in the image, relative to its root, without "..".
absl::StatusOr<std::string> InImage(std::string_view path) {
  while (absl::StartsWith(path, "/")) path.remove_prefix(1);
  std::string out;
  while (!path.empty()) {
    const size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      return base::Fail("fs.escape") << "path in the image goes up with ..";
    }
    absl::StrAppend(&out, out.empty() ? "" : "/", part);
  }
  return out;
}

std::string LastComponent(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  const size_t slash = path.rfind('/');
  return std::string(slash == std::string_view::npos ? path : path.substr(slash + 1));
}

// Puts one host file (no directory) at `leaf` of `to`, with its mode, owner and times.
absl::Status CopyOne(const base::Dir::Leaf& from, const struct stat& st, const base::Dir& to,
                     const std::string& leaf, const base::Op& op) {
  const absl::Status old = to.Unlink(leaf);
  if (!old.ok() && !base::HasReason(old, "core.not_found")) return old;
  if (S_ISLNK(st.st_mode)) {
    COAM_ASSIGN_OR_RETURN(std::string target, from.dir.ReadLink(from.name));
    return to.Symlink(target, leaf);
  }
  if (!S_ISREG(st.st_mode)) {
    return base::Fail("core.invalid_argument")
           << from.dir.PathOf(from.name) << " is neither file, directory nor symbolic link";
  }
  COAM_ASSIGN_OR_RETURN(base::UniqueFd in, from.dir.OpenFile(from.name, O_RDONLY | O_NOFOLLOW));
  COAM_ASSIGN_OR_RETURN(base::UniqueFd out, to.Create(leaf, 0600));
  COAM_RETURN_IF_ERROR(
      base::CopyFd(op, in.get(), from.dir.PathOf(from.name), out.get(), to.PathOf(leaf)).status());
  const absl::Status owner = to.Chown(leaf, st.st_uid, st.st_gid);
  if (!owner.ok() && !base::HasReason(owner, "core.permission")) return owner;
  COAM_RETURN_IF_ERROR(to.Chmod(leaf, st.st_mode & 07777));
  return to.SetTimes(leaf, st.st_atim, st.st_mtim);
}

}  // namespace

struct BuildContext::Rep {
  std::string work_path;
  base::Dir work;
  base::FileLock lock;
  ImageManifest manifest;

  absl::Status Save(const ImageManifest& next) {
    COAM_RETURN_IF_ERROR(Validate(next));
    COAM_RETURN_IF_ERROR(
        work.WriteFile(base::Op(), absl::StrCat(kLayout, "/manifest"), next.ToJson()));
    manifest = next;
    return absl::OkStatus();
  }
  // The root file system as a root of its own: links in it lead no further than "/".
  absl::StatusOr<base::Dir> Rootfs(base::Containment containment) const {
    COAM_ASSIGN_OR_RETURN(base::UniqueFd fd, work.OpenFile(absl::StrCat(kLayout, "/rootfs"),
                                                           O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    return base::Dir::FromFd(std::move(fd), work.PathOf(absl::StrCat(kLayout, "/rootfs")),
                             containment);
  }

  // Starts from an image, a tar of a root file system, or a directory.
  absl::Status StartFrom(const std::string& start, const base::Op& op) {
    COAM_ASSIGN_OR_RETURN(struct stat st, base::StatHost(start));
    COAM_ASSIGN_OR_RETURN(base::Dir rootfs, Rootfs(base::Containment::kNoLinks));
    if (S_ISDIR(st.st_mode)) {
      COAM_ASSIGN_OR_RETURN(base::Dir from, base::Dir::Open(start, base::Containment::kNoLinks));
      return base::CopyTree(op, from, rootfs);
    }
    // Which of the two a tar is shows only at its end, since the manifest may come last.
    COAM_ASSIGN_OR_RETURN(base::UniqueFd fd, base::OpenHostFile(start, O_RDONLY));
    base::FdReader first(op, fd.get(), start);
    absl::StatusOr<ImageInfo> info = ReadImage(first, {}, op);
    if (!info.ok() && !base::HasReason(info.status(), "aci.layout_invalid")) return info.status();
    if (lseek(fd.get(), 0, SEEK_SET) < 0) {
      return base::FailErrno("core.io", errno) << "read " << start;
    }
    base::FdReader second(op, fd.get(), start);
    COAM_ASSIGN_OR_RETURN(std::unique_ptr<ImageStream> stream,
                          ImageStream::Open(second, nullptr, op));
    LayoutChecker checker(op.limits());
    Unpacker unpacker(rootfs, {}, op);
    for (;;) {
      COAM_RETURN_IF_ERROR(op.Check());
      COAM_ASSIGN_OR_RETURN(const base::TarEntry* entry, stream->tar().Next());
      if (entry == nullptr) break;
      // The entries of a bare root are judged as if they lay below rootfs.
      const bool bare = !info.ok();
      const std::string name = bare ? absl::StrCat("rootfs/", entry->path) : entry->path;
      const std::string link = bare && entry->type == base::TarType::kHardlink
                                   ? absl::StrCat("rootfs/", entry->link)
                                   : entry->link;
      COAM_ASSIGN_OR_RETURN(LayoutChecker::Entry place,
                            checker.Add(entry->type, name, link,
                                        entry->type == base::TarType::kFile ? entry->size : 0));
      if (place.where != LayoutChecker::Where::kRootfs) continue;
      COAM_RETURN_IF_ERROR(unpacker.Put(*entry, place.path, place.target, stream->tar()));
    }
    COAM_RETURN_IF_ERROR(unpacker.Finish());
    if (info.ok()) return Save(info->manifest);
    return absl::OkStatus();
  }
};

BuildContext::BuildContext(std::unique_ptr<Rep> rep) : rep_(std::move(rep)) {}
BuildContext::~BuildContext() = default;
const ImageManifest& BuildContext::manifest() const { return rep_->manifest; }
std::string BuildContext::manifest_json(bool pretty) const { return rep_->manifest.ToJson(pretty); }

absl::StatusOr<std::unique_ptr<BuildContext>> BuildContext::Begin(const std::string& work_path,
                                                                  const std::string& start,
                                                                  const base::Op& op) {
  auto rep = std::make_unique<Rep>();
  rep->work_path = work_path;
  COAM_ASSIGN_OR_RETURN(rep->work, base::Dir::Open(work_path, base::Containment::kNoLinks));
  absl::Status made = rep->work.MakeDir(kContext, 0755);
  if (base::HasReason(made, "core.exists")) {
    return base::Fail("aci.build_state").Hint("end that build first: acbuild end")
           << "a build is in progress already in " << work_path;
  }
  COAM_RETURN_IF_ERROR(made);
  const auto begin = [&]() -> absl::Status {
    COAM_ASSIGN_OR_RETURN(rep->lock,
                          base::FileLock::Acquire(op, rep->work, absl::StrCat(kContext, "/lock"),
                                                  base::LockMode::kExclusive));
    COAM_RETURN_IF_ERROR(rep->work.MakeDir(kLayout, 0755));
    COAM_RETURN_IF_ERROR(rep->work.MakeDir(absl::StrCat(kLayout, "/rootfs"), 0755));
    ImageManifest fresh;
    fresh.ac_version = std::string(kSpecVersion);
    fresh.name = std::string(kUnnamed);
    Set(fresh.labels, "arch", HostArch());
    Set(fresh.labels, "os", kHostOs);
    COAM_RETURN_IF_ERROR(rep->Save(fresh));
    if (start.empty()) return absl::OkStatus();
    return rep->StartFrom(start, op);
  };
  if (absl::Status status = begin(); !status.ok()) {
    rep->work.RemoveAll(base::Op(), kContext).IgnoreError();
    return status;
  }
  return std::unique_ptr<BuildContext>(new BuildContext(std::move(rep)));
}

absl::StatusOr<std::unique_ptr<BuildContext>> BuildContext::Open(const std::string& work_path) {
  auto rep = std::make_unique<Rep>();
  rep->work_path = work_path;
  COAM_ASSIGN_OR_RETURN(rep->work, base::Dir::Open(work_path, base::Containment::kNoLinks));
  COAM_ASSIGN_OR_RETURN(bool there, rep->work.Exists(kContext));
  if (!there) {
    return base::Fail("aci.build_state").Hint("begin one: acbuild begin")
           << "no build is in progress in " << work_path;
  }
  COAM_ASSIGN_OR_RETURN(std::optional<base::FileLock> lock,
                        base::FileLock::TryAcquire(rep->work, absl::StrCat(kContext, "/lock"),
                                                   base::LockMode::kExclusive));
  if (!lock) {
    return base::Fail("aci.build_state").Hint("wait until it has ended")
           << "another process works on the build in " << work_path;
  }
  rep->lock = *std::move(lock);
  COAM_ASSIGN_OR_RETURN(std::string text,
                        rep->work.ReadFile(absl::StrCat(kLayout, "/manifest"),
                                           base::Limits().manifest_bytes, "manifest_bytes"));
  COAM_ASSIGN_OR_RETURN(rep->manifest, ParseImageManifest(text));
  return std::unique_ptr<BuildContext>(new BuildContext(std::move(rep)));
}

absl::Status BuildContext::Edit(const std::function<absl::Status(ImageManifest&)>& change,
                                std::string_view words) {
  ImageManifest next = rep_->manifest;
  COAM_RETURN_IF_ERROR(change(next));
  if (!words.empty()) {
    for (int n = 1;; ++n) {
      const std::string name = absl::StrCat(kHistory, n);
      if (Find(next.annotations, name) != nullptr) continue;
      Set(next.annotations, name, words);
      break;
    }
  }
  return rep_->Save(next);
}

absl::Status BuildContext::Replace(std::string_view manifest_json) {
  COAM_ASSIGN_OR_RETURN(ImageManifest next, ParseImageManifest(manifest_json));
  return rep_->Save(next);
}

absl::Status BuildContext::Copy(const std::string& src, const std::string& dst,
                                const base::Op& op) {
  COAM_ASSIGN_OR_RETURN(std::string path, InImage(dst));
  COAM_ASSIGN_OR_RETURN(base::Dir rootfs, rep_->Rootfs(base::Containment::kInRoot));
  COAM_ASSIGN_OR_RETURN(struct stat st, base::StatHost(src, /*follow_last=*/false));
  if (S_ISDIR(st.st_mode)) {
    COAM_ASSIGN_OR_RETURN(base::Dir from, base::Dir::Open(src, base::Containment::kNoLinks));
    if (path.empty()) return base::CopyTree(op, from, rootfs);
    COAM_ASSIGN_OR_RETURN(bool there, rootfs.Exists(path));
    COAM_ASSIGN_OR_RETURN(base::Dir to, rootfs.MakeDirs(path, 0755));
    if (!there) COAM_RETURN_IF_ERROR(rootfs.Chmod(path, st.st_mode & 07777));
    return base::CopyTree(op, from, to);
  }
  if (path.empty()) {
    return base::Fail("core.invalid_argument") << src << " is no directory and cannot become /";
  }
  const size_t slash = path.rfind('/');
  COAM_ASSIGN_OR_RETURN(
      base::Dir to, rootfs.MakeDirs(slash == std::string::npos ? "" : path.substr(0, slash), 0755));
  COAM_ASSIGN_OR_RETURN(base::Dir::Leaf from, base::OpenHostParent(src));
  return CopyOne(from, st, to, slash == std::string::npos ? path : path.substr(slash + 1), op);
}

absl::Status BuildContext::CopyToDir(const std::vector<std::string>& srcs, const std::string& dir,
                                     const base::Op& op) {
  for (const std::string& src : srcs) {
    COAM_RETURN_IF_ERROR(Copy(src, absl::StrCat(dir, "/", LastComponent(src)), op));
  }
  return absl::OkStatus();
}

absl::StatusOr<ImageInfo> BuildContext::Write(const std::string& output,
                                              const BuildOptions& options, const base::Op& op) {
  if (rep_->manifest.name == kUnnamed) {
    return base::Fail("aci.build_state").Hint("name it first: acbuild set-name")
           << "the image has no name yet";
  }
  return BuildImage(absl::StrCat(rep_->work_path, "/", kLayout), output, options, op);
}

absl::Status BuildContext::End() { return rep_->work.RemoveAll(base::Op(), kContext); }

}  // namespace coaming::aci
