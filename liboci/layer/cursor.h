// TreeCursor walks a tree that is being unpacked: it keeps the open directories from the root down to
// where the last entry was, so that the next entry, mostly a neighbour, costs no path resolution.
//
// Each level is opened by its plain name without following links; a link on the way is read and
// resolved here as in a chroot (".." at the root stays there), so the levels are always real
// directories inside the root and `hash` names the real path. Directory times are kept: a level whose
// contents were changed gets its time back when the cursor leaves it.
// Threads: [single]. Private to liboci/layer.
#ifndef COAMING_LIBOCI_LAYER_CURSOR_H_
#define COAMING_LIBOCI_LAYER_CURSOR_H_

#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/op.h"
#include "base/fs/dir.h"

namespace coaming::oci {

struct TreeLevel {
  std::string name;  // "" for the root
  base::Dir dir;
  uint64_t hash = 0;      // of the real path, keyed (TreeCursor::ChildHash)
  timespec modified{};    // to be restored
  bool has_time = false;  // `modified` is known
  bool dirty = false;     // contents changed since it was opened
  bool set_gid = false;   // new files take the directory's group
  bool touched = false;   // the current layer made something here (marked in its set)
};

class TreeCursor {
 public:
  TreeCursor(const base::Op& op, const base::Dir& root) : op_(op), root_(root) {}

  // Open starts at the root.
  absl::Status Open();
  // Enter goes to the directory `path` (clean: no empty, "." or ".." parts; "" is the root). Missing
  // parts are made with 0755 if `make`, else core.not_found; a link to nothing gets the directory that
  // it names, a file is replaced. The level stays good until the next call.
  absl::StatusOr<TreeLevel*> Enter(std::string_view path, bool make);
  // Forget drops the levels at and below child `name` of `level`, which is about to be removed or
  // replaced, and what is remembered of the last path.
  void Forget(const TreeLevel& level, std::string_view name);
  // LinksChanged: something was removed or replaced, so the last path may lead elsewhere now.
  void LinksChanged() { last_path_valid_ = false; }
  // If the child directory `name` of `level` is open, its level.
  TreeLevel* Child(const TreeLevel& level, std::string_view name);
  template <typename Fn>
  void ForEachOpen(Fn fn) {
    for (TreeLevel& level : levels_) fn(level);
  }
  // Leave closes all levels and restores their times.
  absl::Status Leave();
  uint64_t ChildHash(uint64_t parent, std::string_view name) const;
  // Directories that Enter made; the applier marks them as the layer's own.
  std::vector<uint64_t>& made() { return made_; }

 private:
  absl::Status Pop();
  absl::Status Push(std::string_view name, bool make, std::vector<std::string>* rest, int* links);

  const base::Op& op_;
  const base::Dir& root_;
  std::vector<TreeLevel> levels_;
  std::string last_path_;
  bool last_path_valid_ = false;
  std::vector<uint64_t> made_;
  uint64_t key_ = 0;
};

}  // namespace coaming::oci

#endif  // COAMING_LIBOCI_LAYER_CURSOR_H_
