// AtomicFile is a file that appears under its name only when it is whole: bytes go to an unnamed file
// (O_TMPFILE, or a hidden temporary name where the file system has none) and Commit gives the name.
//
//   COAM_ASSIGN_OR_RETURN(auto file, base::AtomicFile::New(dir, "blobs/sha256/ab..", {.mode = 0644}));
//   base::FdWriter out(op, file.fd(), file.name());
//   ...
//   COAM_RETURN_IF_ERROR(file.Commit());
//
// Ownership: owns the descriptor; destruction without Commit leaves nothing. Threads: [single].
#ifndef COAMING_BASE_FS_ATOMIC_FILE_H_
#define COAMING_BASE_FS_ATOMIC_FILE_H_

#include <string>
#include <string_view>

#include "base/fs/dir.h"

namespace coaming::base {

class AtomicFile {
 public:
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;
  ~AtomicFile();

  // New opens the file that will become `path` in `dir`, whose parent must exist.
  static absl::StatusOr<AtomicFile> New(const Dir& dir, std::string_view path,
                                        const WriteFileOptions& options = {});
  int fd() const { return fd_.get(); }               // read and write
  const std::string& name() const { return show_; }  // for errors
  // Commit sets mode and owner, syncs if asked and gives the name. After a failure nothing is left.
  absl::Status Commit();

 private:
  AtomicFile() = default;
  absl::Status MakeNamed();
  absl::Status LinkAs(const std::string& leaf);

  UniqueFd fd_;
  Dir parent_;
  std::string leaf_, temp_, show_;  // temp_ "": unnamed
  WriteFileOptions options_;
};

}  // namespace coaming::base

#endif  // COAMING_BASE_FS_ATOMIC_FILE_H_
