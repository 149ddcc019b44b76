// The inside of Layout, shared by its source files. Private to liboci/store.
#ifndef COAMING_LIBOCI_STORE_LAYOUT_REP_H_
#define COAMING_LIBOCI_STORE_LAYOUT_REP_H_

#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/fs/dir.h"
#include "base/fs/lock.h"
#include "liboci/store/layout.h"

namespace coaming::oci {

inline constexpr std::string_view kPrivateDir = ".coaming";
inline constexpr std::string_view kPartialDir = ".coaming/partial";
inline constexpr std::string_view kNameLock = ".coaming/lock";
inline constexpr std::string_view kUseLock = ".coaming/use";

// BlobPath is "blobs/sha256/ab...": safe as a path, by the grammar of digests.
std::string BlobPath(const base::Digest& digest);
// PartialName is "sha256-ab...".
std::string PartialName(const base::Digest& digest);

struct Layout::Rep {
  std::string path;

  // The directory, which with `create` may not be there yet: it is made by the first write, so that a
  // pull that fails early leaves nothing. Once open it stays.
  absl::StatusOr<const base::Dir*> Directory() const;  // oci.layout if it is not there
  // Writable makes what is missing, and takes the shared lock that keeps Gc away.
  absl::StatusOr<const base::Dir*> Writable(const base::Op& op);

  absl::StatusOr<Index> ReadIndex(const base::Op& op) const;
  absl::Status WriteIndexFile(const base::Op& op, const Index& index);

  mutable absl::Mutex
      mutex;  // guards what follows until it was set; `dir` never changes afterwards
  base::Dir dir ABSL_GUARDED_BY(mutex);
  base::FileLock use ABSL_GUARDED_BY(mutex);
  bool create = false;
};

}  // namespace coaming::oci

#endif  // COAMING_LIBOCI_STORE_LAYOUT_REP_H_
