#include "libaci/image/layout.h"

#include <unordered_map>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"

namespace coaming::aci {
namespace {

// What is known of a name: an entry of its own, or only that something lies below it.
enum class Seen : uint8_t { kImplied, kDirectory, kSymlink, kOther };

std::string Show(std::string_view name) {
  return absl::StrCat("\"", absl::Utf8SafeCEscape(name.substr(0, 200)),
                      name.size() > 200 ? "...\"" : "\"");
}

// Drops "." and empty components. Errors: fs.escape for an absolute name or one that goes up.
absl::StatusOr<std::string> Clean(std::string_view name, std::string_view what) {
  if (!name.empty() && name[0] == '/') {
    return base::Fail("fs.escape") << what << " " << Show(name) << " is absolute";
  }
  std::string out;
  for (std::string_view part : absl::StrSplit(name, '/')) {
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      return base::Fail("fs.escape") << what << " " << Show(name) << " goes up with ..";
    }
    absl::StrAppend(&out, out.empty() ? "" : "/", part);
  }
  return out;
}

constexpr std::string_view kRootfs = "rootfs";

bool Below(std::string_view path, std::string_view dir) {
  return path.size() > dir.size() && path.substr(0, dir.size()) == dir && path[dir.size()] == '/';
}

}  // namespace

struct LayoutChecker::Rep {
  explicit Rep(const base::Limits& l) : limits(l) {}
  base::Limits limits;
  std::unordered_map<std::string, Seen> seen;
  bool manifest = false, rootfs = false;
  int64_t entries = 0;
  uint64_t bytes = 0;

  // Every directory above `path` may be known as a directory or not at all.
  absl::Status CheckParents(const std::string& path) {
    for (size_t slash = path.find('/'); slash != std::string::npos;
         slash = path.find('/', slash + 1)) {
      auto [it, fresh] = seen.emplace(path.substr(0, slash), Seen::kImplied);
      if (fresh || it->second == Seen::kImplied || it->second == Seen::kDirectory) continue;
      if (it->second == Seen::kSymlink) {
        return base::Fail("fs.escape")
               << "entry " << Show(path) << " lies below the symbolic link " << Show(it->first);
      }
      return base::Fail("aci.layout_invalid") << "entry " << Show(path) << " lies below "
                                              << Show(it->first) << ", which is not a directory";
    }
    return absl::OkStatus();
  }
};

LayoutChecker::LayoutChecker(const base::Limits& limits) : rep_(std::make_unique<Rep>(limits)) {}
LayoutChecker::~LayoutChecker() = default;

absl::StatusOr<LayoutChecker::Entry> LayoutChecker::Add(EntryType type, std::string_view name,
                                                        std::string_view link_target,
                                                        uint64_t size) {
  Rep& r = *rep_;
  if (++r.entries > r.limits.unpacked_files) {
    return base::FailLimit("unpacked_files", r.limits.unpacked_files) << ": entries of an image";
  }
  r.bytes += size;
  if (size > static_cast<uint64_t>(r.limits.unpacked_bytes) ||
      r.bytes > static_cast<uint64_t>(r.limits.unpacked_bytes)) {
    return base::FailLimit("unpacked_bytes", r.limits.unpacked_bytes) << ": files of an image";
  }
  COAM_ASSIGN_OR_RETURN(std::string path, Clean(name, "entry"));
  Entry out;
  if (path.empty()) {
    if (type != EntryType::kDirectory) {
      return base::Fail("aci.layout_invalid") << "entry " << Show(name) << " has no name";
    }
    out.where = Where::kTop;
    return out;
  }

  Seen kind = Seen::kOther;
  if (type == EntryType::kDirectory) kind = Seen::kDirectory;
  if (type == EntryType::kSymlink) kind = Seen::kSymlink;
  if (path == "manifest") {
    if (type != EntryType::kFile) {
      return base::Fail("aci.layout_invalid") << "manifest is a " << base::TarTypeName(type);
    }
    out.where = Where::kManifest;
  } else if (path == kRootfs) {
    if (type != EntryType::kDirectory) {
      return base::Fail("aci.layout_invalid") << "rootfs is a " << base::TarTypeName(type);
    }
    out.where = Where::kRootfs;
  } else if (Below(path, kRootfs)) {
    out.where = Where::kRootfs;
    out.path = path.substr(kRootfs.size() + 1);
  } else if (!Below(path, "manifest")) {
    return base::Fail("aci.layout_invalid")
           << "entry " << Show(path) << " is neither manifest nor below rootfs";
  }
  COAM_RETURN_IF_ERROR(r.CheckParents(path));

  if (type == EntryType::kHardlink) {
    COAM_ASSIGN_OR_RETURN(std::string target, Clean(link_target, "hard link target"));
    if (!Below(target, kRootfs)) {
      return base::Fail("fs.escape") << "hard link " << Show(path) << " leads to " << Show(target)
                                     << ", which is not below rootfs";
    }
    const auto it = r.seen.find(target);
    if (it == r.seen.end() || it->second == Seen::kImplied) {
      return base::Fail("aci.layout_invalid") << "hard link " << Show(path) << " leads to "
                                              << Show(target) << ", which does not come before it";
    }
    if (it->second == Seen::kDirectory) {
      return base::Fail("aci.layout_invalid")
             << "hard link " << Show(path) << " leads to a directory";
    }
    kind = it->second;
    out.target = target.substr(kRootfs.size() + 1);
  }

  auto [it, fresh] = r.seen.emplace(path, kind);
  if (!fresh) {
    if (it->second != Seen::kImplied) {
      return base::Fail("aci.layout_invalid") << "duplicate entry " << Show(path);
    }
    if (kind != Seen::kDirectory) {
      return base::Fail(kind == Seen::kSymlink ? "fs.escape" : "aci.layout_invalid")
             << "entry " << Show(path) << " is a " << base::TarTypeName(type)
             << ", but earlier entries lie below it";
    }
    it->second = kind;
  }
  if (out.where == Where::kManifest) r.manifest = true;
  if (out.where == Where::kRootfs && out.path.empty()) r.rootfs = true;
  return out;
}

absl::Status LayoutChecker::Finish() const {
  if (!rep_->manifest) return base::Fail("aci.layout_invalid") << "there is no manifest";
  if (!rep_->rootfs) {
    return base::Fail("aci.layout_invalid") << "there is no entry for the rootfs directory";
  }
  return absl::OkStatus();
}

}  // namespace coaming::aci
