// Making layers: a whole tree as one, or the difference between two trees, as a reproducible tar.
//
// Follows image-spec, layer.md, "Creating". The same tree gives the same bytes whatever the clock,
// locale, user or order of the directory: entries sorted, whiteouts before siblings, explicit
// whiteouts, no user names, whole seconds.
// Threads: functions without state. Limits: unpacked_files, path_bytes. A tree that changes while it is
// read gives an error or one of its states, file by file.
#ifndef COAMING_LIBOCI_LAYER_DIFF_H_
#define COAMING_LIBOCI_LAYER_DIFF_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "base/core/op.h"
#include "liboci/layer/ids.h"

namespace coaming::base {
class Dir;
class Writer;
}  // namespace coaming::base

namespace coaming::oci {

struct LayerOptions {
  IdMapping ids;
  bool xattrs = true;
  std::string prefix;  // where in the image the tree goes ("usr/local"); "": its root
  // Times later than this become it (SOURCE_DATE_EPOCH, seconds).
  std::optional<int64_t> clamp_mtime;
  // Owner of every entry instead of the file's own.
  std::optional<int64_t> uid, gid;
};

// WriteLayer writes the whole tree below `tree` as an uncompressed tar.
absl::Status WriteLayer(const base::Op& op, const base::Dir& tree, base::Writer* out,
                        const LayerOptions& options = {});
// DiffLayer writes what makes `lower` into `upper`: changed and new entries and whiteouts. Files are
// taken as changed if kind, size, mode, owner, time, link or xattrs differ, or their bytes if only
// the time is the same.
absl::Status DiffLayer(const base::Op& op, const base::Dir& lower, const base::Dir& upper,
                       base::Writer* out, const LayerOptions& options = {});

}  // namespace coaming::oci

#endif  // COAMING_LIBOCI_LAYER_DIFF_H_
