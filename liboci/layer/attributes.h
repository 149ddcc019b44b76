// Attributes puts an archive entry's owner, mode, xattrs and times on what was made for it.
//
// The order is fixed: owner, then mode (set-id bits die with a change of owner), then xattrs (so do
// file capabilities), then times. Attributes that belong to the host (security.selinux, IMA, EVM,
// NFS ACLs) and those that would act on an overlay (trusted.overlay.*, user.overlay.*) are left out.
// Threads: [single]. Private to liboci/layer.
#ifndef COAMING_LIBOCI_LAYER_ATTRIBUTES_H_
#define COAMING_LIBOCI_LAYER_ATTRIBUTES_H_

#include <sys/types.h>

#include <ctime>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/archive/tar.h"
#include "base/core/op.h"
#include "base/fs/dir.h"
#include "liboci/layer/apply.h"

namespace coaming::oci {

struct Owner {
  uid_t uid = 0;
  gid_t gid = 0;
};

class Attributes {
 public:
  Attributes(const base::Op& op, const ApplyOptions& options);

  // OwnerOf maps the entry's ids; oci.owner if the mapping has none.
  absl::StatusOr<Owner> OwnerOf(const base::TarEntry& entry) const;
  // Of an open file just made with the entry's mode, owned by the caller; `set_gid_parent`: its group
  // may be the directory's.
  absl::Status SetOnFile(int fd, const base::TarEntry& entry, const base::Dir& dir,
                         std::string_view leaf, bool set_gid_parent);
  // Of an open directory. `existed`: it may have other attributes, which go. Times are the cursor's.
  absl::Status SetOnDirectory(const base::Dir& dir, const base::TarEntry& entry, bool existed);
  // Of a symbolic link, device or FIFO, by name.
  absl::Status SetOnNode(const base::Dir& dir, std::string_view leaf, const base::TarEntry& entry);

  static timespec TimeOf(const base::TarEntry& entry);
  // ModeOf is the entry's mode, without set-id bits where the owner cannot be kept.
  mode_t ModeOf(const base::TarEntry& entry) const;

 private:
  absl::Status SetXattrs(const base::Dir& dir, std::string_view leaf, int fd,
                         const base::TarEntry& entry);
  absl::Status ClearXattrs(const base::Dir& dir, const base::TarEntry& entry);
  void NoteOnce(bool* said, std::string_view reason, std::string_view subject,
                std::string_view text);

  const base::Op& op_;
  const ApplyOptions& options_;
  const uid_t uid_;
  const gid_t gid_;
  bool said_unsupported_ = false, said_refused_ = false;
};

}  // namespace coaming::oci

#endif  // COAMING_LIBOCI_LAYER_ATTRIBUTES_H_
