// Unpacker writes the root file systems of App Container Images into a directory, later entries
// replacing earlier ones.
//
// Spec: appc/spec 0.8.11, "Dependency Matching" (an existing path is replaced; a link is replaced and
// never followed). Everything goes through base/fs without following a link, so a hostile archive
// cannot reach outside. Directory times are set at the end. Threads: [single]. Without the privilege
// to change owners or make devices, files belong to the caller and devices are left out, with notes.
#ifndef COAMING_LIBACI_IMAGE_UNPACK_H_
#define COAMING_LIBACI_IMAGE_UNPACK_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/archive/tar.h"
#include "base/core/op.h"
#include "base/fs/dir.h"

namespace coaming::aci {

struct UnpackOptions {
  bool keep_owner = true;
};

class Unpacker {
 public:
  // `root` (borrowed, opened with kNoLinks) receives the entries.
  Unpacker(const base::Dir& root, const UnpackOptions& options, const base::Op& op);
  ~Unpacker();
  Unpacker(const Unpacker&) = delete;
  Unpacker& operator=(const Unpacker&) = delete;

  // Put writes the current entry of `tar` as `path` ("" = the root itself: mode, owner, times).
  // `target` is a hard link's target, as `path` is. Both are cleaned, relative, without "..".
  // Missing parents are made, 0755 and owned by root; parents that are no directories are replaced.
  absl::Status Put(const base::TarEntry& entry, const std::string& path, const std::string& target,
                   base::TarReader& tar);
  // Finish sets the times of directories. Call it once, after the last entry.
  absl::Status Finish();

 private:
  struct Rep;
  std::unique_ptr<Rep> rep_;
};

}  // namespace coaming::aci

#endif  // COAMING_LIBACI_IMAGE_UNPACK_H_
