#include "libaci/render/render.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/fs/dir.h"
#include "base/fs/file.h"
#include "base/fs/tree.h"
#include "libaci/image/image_io.h"
#include "libaci/image/layout.h"
#include "libaci/image/unpack.h"
#include "libaci/render/render_tree.h"

namespace coaming::aci {
namespace {

// Is `path` in the list, or (for directories) the way to something in it?
bool Listed(const std::vector<std::string>& list, const std::string& path, bool directory) {
  const auto it = std::lower_bound(list.begin(), list.end(), path);
  if (it != list.end() && *it == path) return true;
  if (!directory) return false;
  const std::string below = path + "/";
  const auto next = std::lower_bound(list.begin(), list.end(), below);
  return next != list.end() && absl::StartsWith(*next, below);
}

class StepRenderer {
 public:
  StepRenderer(const ImageStore& store, const RenderStep& step, Unpacker& unpacker,
               const base::Op& op)
      : store_(store), step_(step), unpacker_(unpacker), op_(op) {
    // An image's own list leaves its own directories alone, as the reference does.
    const auto own = store_.Manifest(step.id);
    own_list_ = own.ok() && !own->path_whitelist.empty();
  }

  absl::Status Run() {
    if (!step_.whitelists.empty()) COAM_RETURN_IF_ERROR(FindLinks());
    return ForEach([&](const base::TarEntry& entry, const LayoutChecker::Entry& place,
                       base::TarReader& tar) -> absl::Status {
      std::string path = place.path, target = place.target;
      if (entry.type == base::TarType::kHardlink) {
        if (auto it = origin_.find(path); it != origin_.end() && !Allowed(target, false)) {
          target = it->second;  // the name between may be left out: go to the file at the end
        }
        if (auto it = moved_.find(target); it != moved_.end()) {
          if (it->second == path) return absl::OkStatus();  // it has the contents already
          target = it->second;
        }
        if (!Allowed(path, false)) return absl::OkStatus();
      } else if (!Allowed(path, entry.type == base::TarType::kDirectory)) {
        const auto it = moved_.find(path);
        if (it == moved_.end()) return absl::OkStatus();
        path = it->second;
      }
      return unpacker_.Put(entry, path, target, tar);
    });
  }

 private:
  bool Allowed(const std::string& path, bool directory) const {
    if (path.empty()) return true;
    for (size_t i = 0; i < step_.whitelists.size(); ++i) {
      const bool own = own_list_ && i + 1 == step_.whitelists.size();
      if (own && directory) continue;
      if (!Listed(step_.whitelists[i], path, directory)) return false;
    }
    return true;
  }

  // A listed hard link may lead to a file that is not listed: its contents then come under the
  // link's name. Links stand after their targets, so they are looked for beforehand.
  absl::Status FindLinks() {
    return ForEach([&](const base::TarEntry& entry, const LayoutChecker::Entry& place,
                       base::TarReader&) -> absl::Status {
      if (entry.type != base::TarType::kHardlink) return absl::OkStatus();
      // The target may be a link itself; go to the file at the end.
      std::string target = place.target;
      if (auto it = origin_.find(target); it != origin_.end()) target = it->second;
      origin_.emplace(place.path, target);
      if (Allowed(place.path, false) && !Allowed(target, false)) {
        moved_.emplace(target, place.path);
      }
      return absl::OkStatus();
    });
  }

  template <typename Visit>
  absl::Status ForEach(Visit visit) {
    COAM_ASSIGN_OR_RETURN(std::unique_ptr<base::Reader> in, store_.OpenTar(step_.id, op_));
    COAM_ASSIGN_OR_RETURN(std::unique_ptr<ImageStream> stream,
                          ImageStream::Open(*in, nullptr, op_));
    LayoutChecker checker(op_.limits());
    for (;;) {
      COAM_RETURN_IF_ERROR(op_.Check());
      COAM_ASSIGN_OR_RETURN(const base::TarEntry* entry, stream->tar().Next());
      if (entry == nullptr) break;
      COAM_ASSIGN_OR_RETURN(LayoutChecker::Entry place,
                            checker.Add(entry->type, entry->path, entry->link,
                                        entry->type == base::TarType::kFile ? entry->size : 0));
      if (place.where != LayoutChecker::Where::kRootfs) continue;
      COAM_RETURN_IF_ERROR(visit(*entry, place, stream->tar()));
    }
    COAM_RETURN_IF_ERROR(stream->Finish());
    if (stream->id() != step_.id) {
      return base::Fail("aci.store_corrupt")
             << "the stored bytes of image " << step_.id << " do not match its ID";
    }
    return absl::OkStatus();
  }

  const ImageStore& store_;
  const RenderStep& step_;
  Unpacker& unpacker_;
  const base::Op& op_;
  bool own_list_ = false;
  std::map<std::string, std::string> moved_;   // target left out -> first listed link to it
  std::map<std::string, std::string> origin_;  // link -> the file at the end
};

}  // namespace

absl::Status RenderSteps(const ImageStore& store, const std::vector<RenderStep>& steps,
                         const base::Dir& rootfs, bool keep_owner, const base::Op& op) {
  UnpackOptions options;
  options.keep_owner = keep_owner;
  Unpacker unpacker(rootfs, options, op);
  for (const RenderStep& step : steps) {
    base::Event event;
    event.kind = "render";
    event.phase = "progress";
    event.subject = step.id;
    COAM_RETURN_IF_ERROR(op.Emit(event));
    COAM_RETURN_IF_ERROR(StepRenderer(store, step, unpacker, op).Run());
  }
  return unpacker.Finish();
}

absl::Status RenderImage(const ImageStore& store, std::string_view id, const std::string& target,
                         const RenderOptions& options, const base::Op& op) {
  COAM_ASSIGN_OR_RETURN(std::string json, store.ManifestJson(id));
  std::vector<RenderStep> steps;
  if (options.with_dependencies) {
    COAM_ASSIGN_OR_RETURN(steps, PlanRender(id, StoreSource(store), op));
  } else {
    RenderStep step;
    step.id = std::string(id);
    steps.push_back(std::move(step));
  }
  std::string host_path = target;
  while (host_path.size() > 1 && host_path.back() == '/') host_path.pop_back();
  COAM_ASSIGN_OR_RETURN(base::Dir::Leaf place, base::OpenHostParent(host_path));
  COAM_ASSIGN_OR_RETURN(bool there, place.dir.Exists(place.name));
  if (there && !options.overwrite) {
    COAM_ASSIGN_OR_RETURN(struct stat st, place.dir.Stat(place.name));
    bool empty = false;
    if (S_ISDIR(st.st_mode)) {
      COAM_ASSIGN_OR_RETURN(std::vector<base::DirEntry> entries, place.dir.List(place.name));
      empty = entries.empty();
    }
    if (!empty) {
      return base::Fail("core.exists").Hint("choose another directory or allow overwriting")
             << target << " exists already and is no empty directory";
    }
  }
  // Beside the target first, so that nothing half made ever has its name.
  COAM_ASSIGN_OR_RETURN(base::TempDir temp,
                        base::TempDir::New(place.dir, absl::StrCat(".", place.name)));
  if (!options.rootfs_only) {
    COAM_RETURN_IF_ERROR(temp.dir().WriteFile(op, "manifest", json));
    COAM_RETURN_IF_ERROR(temp.dir().MakeDir("rootfs", 0755));
  }
  if (fchmod(temp.dir().fd(), 0755) != 0) {
    return base::FailErrno("core.io", errno) << "change mode of " << temp.path();
  }
  COAM_ASSIGN_OR_RETURN(base::UniqueFd top, base::DupFd(temp.dir().fd()));
  COAM_ASSIGN_OR_RETURN(base::Dir rootfs, base::Dir::FromFd(std::move(top), temp.path(),
                                                            base::Containment::kNoLinks));
  if (!options.rootfs_only) {
    COAM_ASSIGN_OR_RETURN(rootfs, rootfs.OpenDir("rootfs"));
  }
  COAM_RETURN_IF_ERROR(RenderSteps(store, steps, rootfs, options.keep_owner, op));
  if (there) {
    COAM_RETURN_IF_ERROR(place.dir.RemoveAll(op, place.name));
  }
  COAM_RETURN_IF_ERROR(place.dir.Rename(temp.leaf(), place.name, RENAME_NOREPLACE));
  temp.Keep();
  return absl::OkStatus();
}

}  // namespace coaming::aci
