#include "liboci/layer/apply.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "base/archive/tar.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/fs/path_error.h"
#include "liboci/layer/attributes.h"
#include "liboci/layer/clean_path.h"
#include "liboci/layer/cursor.h"

namespace coaming::oci {
namespace {

constexpr std::string_view kWhiteout = ".wh.";
constexpr std::string_view kMeta = ".wh..wh.";
constexpr std::string_view kOpaque = ".wh..wh..opq";

absl::Status BadEntry(const base::TarEntry& entry, std::string_view why) {
  return base::Fail("oci.layer") << base::ShowPath(entry.path) << " ("
                                 << base::TarTypeName(entry.type) << "): " << why;
}

}  // namespace

struct LayerApplier::Rep {
  Rep(const base::Op& o, const base::Dir& r, ApplyOptions a)
      : op(o), root(r), options(std::move(a)), attributes(op, options), cursor(op, root) {}

  absl::Status Apply(base::TarReader& tar);
  absl::Status ApplyEntry(base::TarReader& tar, const base::TarEntry& entry);
  absl::Status ApplyWhiteout(const base::TarEntry& entry, std::string_view parent,
                             std::string_view leaf);
  absl::Status RemoveLower(const base::Dir& dir, std::string_view leaf, uint64_t hash);
  absl::Status ApplyRoot(const base::TarEntry& entry);
  absl::Status MakeDirectory(TreeLevel* level, std::string_view leaf, std::string_view path,
                             const base::TarEntry& entry);
  absl::Status MakeFile(base::TarReader& tar, TreeLevel* level, std::string_view leaf,
                        const base::TarEntry& entry);
  absl::Status MakeHardlink(std::string_view parent, std::string_view leaf,
                            const base::TarEntry& entry);
  absl::Status MakeNode(TreeLevel* level, std::string_view leaf, const base::TarEntry& entry);
  // Makes way for a new `leaf`, whatever is there now.
  absl::Status Replace(TreeLevel* level, std::string_view leaf);
  // Enters the directory of something that this layer makes, and remembers the way as its own.
  absl::StatusOr<TreeLevel*> EnterOwn(std::string_view parent);
  // Remembers that this layer made `leaf`, so that no whiteout of the same layer hides it.
  void Mark(TreeLevel* level, std::string_view leaf);

  const base::Op& op;
  const base::Dir& root;
  const ApplyOptions options;
  Attributes attributes;
  TreeCursor cursor;
  ApplyStats stats;
  int layers = 0;
  bool opened = false;
  // Real paths, as keyed hashes, that the current layer made, and all directories above them. Empty
  // for the first layer, which has nothing below it to hide.
  absl::flat_hash_set<uint64_t> own;
  // Directories that the caller could not work in with their own mode (rootless).
  std::vector<std::pair<std::string, mode_t>> late_modes;
  bool said_device = false;
};

void LayerApplier::Rep::Mark(TreeLevel* level, std::string_view leaf) {
  level->dirty = true;
  if (layers == 0) return;
  own.insert(cursor.ChildHash(level->hash, leaf));
}

absl::StatusOr<TreeLevel*> LayerApplier::Rep::EnterOwn(std::string_view parent) {
  COAM_ASSIGN_OR_RETURN(TreeLevel * level, cursor.Enter(parent, /*make=*/true));
  if (layers > 0) {
    for (uint64_t hash : cursor.made()) own.insert(hash);
    if (!level->touched) {
      cursor.ForEachOpen([&](TreeLevel& open) {
        if (!open.touched) own.insert(open.hash);
        open.touched = true;
      });
    }
  }
  cursor.made().clear();
  return level;
}

absl::Status LayerApplier::Rep::Replace(TreeLevel* level, std::string_view leaf) {
  cursor.Forget(*level, leaf);
  cursor.LinksChanged();
  level->dirty = true;
  return level->dir.RemoveAll(op, leaf);
}

absl::Status LayerApplier::Rep::RemoveLower(const base::Dir& dir, std::string_view leaf,
                                            uint64_t hash) {
  if (!own.contains(hash)) return dir.RemoveAll(op, leaf);
  COAM_ASSIGN_OR_RETURN(struct stat st, dir.Stat(leaf));
  if (!S_ISDIR(st.st_mode)) return absl::OkStatus();  // this layer's own file
  COAM_ASSIGN_OR_RETURN(base::Dir child, dir.OpenDir(leaf, false));
  COAM_ASSIGN_OR_RETURN(std::vector<base::DirEntry> entries, child.List());
  for (const base::DirEntry& e : entries) {
    COAM_RETURN_IF_ERROR(RemoveLower(child, e.name, cursor.ChildHash(hash, e.name)));
  }
  const timespec times[2] = {st.st_mtim, st.st_mtim};
  if (futimens(child.fd(), times) != 0) {
    return base::FailPath("set the times of", child.name(), errno);
  }
  return absl::OkStatus();
}

absl::Status LayerApplier::Rep::ApplyWhiteout(const base::TarEntry& entry, std::string_view parent,
                                              std::string_view leaf) {
  const bool opaque = leaf == kOpaque;
  if (!opaque && leaf.starts_with(kMeta)) return absl::OkStatus();  // AUFS's own bookkeeping
  std::string_view name = leaf.substr(kWhiteout.size());
  if (!opaque && (name.empty() || name == "." || name == "..")) {
    return BadEntry(entry, "a whiteout of nothing");
  }
  ++stats.whiteouts;
  if (layers == 0) return absl::OkStatus();
  absl::StatusOr<TreeLevel*> at = cursor.Enter(parent, /*make=*/false);
  if (!at.ok()) {
    return base::HasReason(at.status(), "core.not_found") ? absl::OkStatus() : at.status();
  }
  TreeLevel* level = *at;
  level->dirty = true;
  cursor.LinksChanged();
  if (!opaque) {
    COAM_ASSIGN_OR_RETURN(bool there, level->dir.Exists(name));
    if (!there) return absl::OkStatus();
    return RemoveLower(level->dir, name, cursor.ChildHash(level->hash, name));
  }
  COAM_ASSIGN_OR_RETURN(std::vector<base::DirEntry> entries, level->dir.List());
  for (const base::DirEntry& e : entries) {
    COAM_RETURN_IF_ERROR(RemoveLower(level->dir, e.name, cursor.ChildHash(level->hash, e.name)));
  }
  return absl::OkStatus();
}

absl::Status LayerApplier::Rep::ApplyRoot(const base::TarEntry& entry) {
  if (entry.type != base::TarType::kDirectory) return BadEntry(entry, "names the root itself");
  COAM_ASSIGN_OR_RETURN(TreeLevel * level, cursor.Enter("", false));
  COAM_RETURN_IF_ERROR(attributes.SetOnDirectory(level->dir, entry, true));
  level->set_gid = (entry.mode & S_ISGID) != 0;
  level->modified = Attributes::TimeOf(entry);
  level->has_time = level->dirty = true;
  return absl::OkStatus();
}

absl::Status LayerApplier::Rep::MakeDirectory(TreeLevel* level, std::string_view leaf,
                                              std::string_view path, const base::TarEntry& entry) {
  absl::Status made = level->dir.MakeDir(leaf, attributes.ModeOf(entry) & 0777);
  bool existed = false;
  if (base::HasReason(made, "core.exists")) {
    COAM_ASSIGN_OR_RETURN(struct stat st, level->dir.Stat(leaf));
    existed = S_ISDIR(st.st_mode);
    made = absl::OkStatus();
    if (!existed) {
      COAM_RETURN_IF_ERROR(Replace(level, leaf));
      made = level->dir.MakeDir(leaf, attributes.ModeOf(entry) & 0777);
    }
  }
  COAM_RETURN_IF_ERROR(made);
  Mark(level, leaf);
  // Straight into it: what follows is mostly its contents, and its time is set when we leave.
  COAM_ASSIGN_OR_RETURN(TreeLevel * own_level, cursor.Enter(path, false));
  COAM_RETURN_IF_ERROR(attributes.SetOnDirectory(own_level->dir, entry, existed));
  own_level->set_gid = (entry.mode & S_ISGID) != 0;
  own_level->modified = Attributes::TimeOf(entry);
  own_level->has_time = own_level->dirty = true;
  mode_t mode = attributes.ModeOf(entry);
  if (geteuid() != 0 && (mode & S_IRWXU) != S_IRWXU) {
    late_modes.emplace_back(path, mode);
    if (fchmod(own_level->dir.fd(), mode | S_IRWXU) != 0) {
      return base::FailPath("set the mode of", own_level->dir.name(), errno);
    }
  }
  return absl::OkStatus();
}

absl::Status LayerApplier::Rep::MakeFile(base::TarReader& tar, TreeLevel* level,
                                         std::string_view leaf, const base::TarEntry& entry) {
  const mode_t mode = attributes.ModeOf(entry);
  absl::StatusOr<base::UniqueFd> file = level->dir.Create(leaf, mode);
  if (base::HasReason(file.status(), "core.exists")) {
    COAM_RETURN_IF_ERROR(Replace(level, leaf));
    file = level->dir.Create(leaf, mode);
  }
  COAM_RETURN_IF_ERROR(file.status());
  Mark(level, leaf);
  const int fd = file->get();
  int64_t end = 0;
  while (true) {
    COAM_ASSIGN_OR_RETURN(base::TarReader::Block block, tar.ReadRegion());
    if (block.bytes.empty()) break;
    const char* data = block.bytes.data();
    size_t left = block.bytes.size();
    int64_t offset = block.offset;
    while (left > 0) {
      ssize_t n = pwrite(fd, data, left, offset);
      if (n < 0) {
        if (errno == EINTR) continue;
        return base::FailPath("write", level->dir.PathOf(leaf), errno);
      }
      data += n;
      offset += n;
      left -= static_cast<size_t>(n);
    }
    end = offset;
  }
  if (end < entry.size && ftruncate(fd, entry.size) != 0) {
    return base::FailPath("set the size of", level->dir.PathOf(leaf), errno);
  }
  ++stats.files;
  stats.bytes += entry.size;
  if (stats.bytes > op.limits().unpacked_bytes) {
    return base::FailLimit("unpacked_bytes", op.limits().unpacked_bytes)
           << "the image unpacks to more than " << op.limits().unpacked_bytes << " bytes";
  }
  return attributes.SetOnFile(fd, entry, level->dir, leaf, level->set_gid);
}

absl::Status LayerApplier::Rep::MakeHardlink(std::string_view parent, std::string_view leaf,
                                             const base::TarEntry& entry) {
  CleanPath target;
  if (absl::Status status = Clean(entry.link, &target); !status.ok()) {
    return BadEntry(
        entry, absl::StrCat("its target ", base::ShowPath(entry.link), " leads out of the root"));
  }
  if (target.path.empty()) return BadEntry(entry, "its target is the root");
  absl::StatusOr<TreeLevel*> from = cursor.Enter(target.parent(), false);
  absl::StatusOr<struct stat> st =
      from.ok() ? (*from)->dir.Stat(target.leaf()) : absl::StatusOr<struct stat>(from.status());
  if (!st.ok()) {
    if (!base::HasReason(st.status(), "core.not_found")) return st.status();
    return BadEntry(entry,
                    absl::StrCat("its target ", base::ShowPath(entry.link), " is not there"));
  }
  if (S_ISDIR(st->st_mode)) {
    return BadEntry(entry,
                    absl::StrCat("its target ", base::ShowPath(entry.link), " is a directory"));
  }
  COAM_ASSIGN_OR_RETURN(base::Dir from_dir, (*from)->dir.Clone());
  COAM_ASSIGN_OR_RETURN(TreeLevel * level, EnterOwn(parent));
  absl::Status linked = level->dir.Link(from_dir, target.leaf(), leaf);
  if (base::HasReason(linked, "core.exists")) {
    // A link to itself, or to what is the same file already, changes nothing.
    absl::StatusOr<struct stat> there = level->dir.Stat(leaf);
    if (there.ok() && there->st_ino == st->st_ino && there->st_dev == st->st_dev) {
      Mark(level, leaf);
      return absl::OkStatus();
    }
    COAM_RETURN_IF_ERROR(Replace(level, leaf));
    linked = level->dir.Link(from_dir, target.leaf(), leaf);
  }
  COAM_RETURN_IF_ERROR(linked);
  Mark(level, leaf);
  ++stats.files;
  return absl::OkStatus();
}

absl::Status LayerApplier::Rep::MakeNode(TreeLevel* level, std::string_view leaf,
                                         const base::TarEntry& entry) {
  const bool device =
      entry.type == base::TarType::kCharDevice || entry.type == base::TarType::kBlockDevice;
  if (device && (!options.devices || options.ids.all_to_caller)) {
    if (!said_device) {
      said_device = true;
      op.AddNote("oci.layer.device", base::ShowPath(entry.path),
                 "device nodes cannot be made here; this and others are left out");
    }
    return absl::OkStatus();
  }
  const auto make = [&]() -> absl::Status {
    if (entry.type == base::TarType::kSymlink) return level->dir.Symlink(entry.link, leaf);
    mode_t kind = entry.type == base::TarType::kFifo         ? S_IFIFO
                  : entry.type == base::TarType::kCharDevice ? S_IFCHR
                                                             : S_IFBLK;
    dev_t number = device ? makedev(entry.dev_major, entry.dev_minor) : 0;
    return level->dir.MakeNode(leaf, kind | (entry.mode & 0777), number);
  };
  if (entry.type == base::TarType::kSymlink && entry.link.empty()) {
    return BadEntry(entry, "it has no target");
  }
  absl::Status made = make();
  if (base::HasReason(made, "core.exists")) {
    COAM_RETURN_IF_ERROR(Replace(level, leaf));
    made = make();
  }
  COAM_RETURN_IF_ERROR(made);
  Mark(level, leaf);
  return attributes.SetOnNode(level->dir, leaf, entry);
}

absl::Status LayerApplier::Rep::ApplyEntry(base::TarReader& tar, const base::TarEntry& entry) {
  COAM_RETURN_IF_ERROR(op.Check());
  if (++stats.entries > op.limits().unpacked_files) {
    return base::FailLimit("unpacked_files", op.limits().unpacked_files)
           << "the image has more than " << op.limits().unpacked_files << " entries";
  }
  CleanPath path;
  if (absl::Status status = Clean(entry.path, &path); !status.ok()) {
    return BadEntry(entry, base::GetError(status).message);
  }
  if (path.path.empty()) return ApplyRoot(entry);
  const std::string_view parent = path.parent(), leaf = path.leaf();
  if (leaf.starts_with(kWhiteout)) return ApplyWhiteout(entry, parent, leaf);
  if (entry.type == base::TarType::kHardlink) return MakeHardlink(parent, leaf, entry);
  COAM_ASSIGN_OR_RETURN(TreeLevel * level, EnterOwn(parent));
  switch (entry.type) {
    case base::TarType::kDirectory: return MakeDirectory(level, leaf, path.path, entry);
    case base::TarType::kFile: return MakeFile(tar, level, leaf, entry);
    default: return MakeNode(level, leaf, entry);
  }
}

absl::Status LayerApplier::Rep::Apply(base::TarReader& tar) {
  COAM_RETURN_IF_ERROR(cursor.Open());
  own.clear();
  while (true) {
    COAM_ASSIGN_OR_RETURN(const base::TarEntry* entry, tar.Next());
    if (entry == nullptr) break;
    COAM_RETURN_IF_ERROR(ApplyEntry(tar, *entry));
  }
  COAM_RETURN_IF_ERROR(tar.Drain());
  COAM_RETURN_IF_ERROR(cursor.Leave());
  ++layers;
  return absl::OkStatus();
}

LayerApplier::LayerApplier(const base::Op& op, const base::Dir& root, ApplyOptions options)
    : rep_(std::make_unique<Rep>(op, root, std::move(options))) {}
LayerApplier::~LayerApplier() = default;

absl::Status LayerApplier::Apply(std::unique_ptr<base::Reader> tar, std::string_view name) {
  absl::StatusOr<std::unique_ptr<base::TarReader>> reader =
      base::TarReader::Open(rep_->op, std::move(tar));
  absl::Status status = reader.ok() ? rep_->Apply(**reader) : reader.status();
  return status.ok() ? status : base::Wrap(status, name);
}

absl::Status LayerApplier::Finish() {
  // The deepest first, so that a closed directory does not lock us out of those below it.
  for (size_t i = rep_->late_modes.size(); i-- > 0;) {
    const auto& [path, mode] = rep_->late_modes[i];
    absl::Status status = rep_->root.Chmod(path, mode);
    // A later layer may have put something else there.
    if (!status.ok() && !base::HasReason(status, "core.not_found")) return status;
  }
  return absl::OkStatus();
}

const ApplyStats& LayerApplier::stats() const { return rep_->stats; }

}  // namespace coaming::oci
