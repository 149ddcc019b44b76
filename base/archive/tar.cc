#include "base/archive/tar.h"

#include "base/archive/readers.h"
#include "base/core/status_macros.h"

namespace coaming::base {

std::string_view TarTypeName(TarType type) {
  switch (type) {
    case TarType::kFile: return "file";
    case TarType::kDirectory: return "directory";
    case TarType::kSymlink: return "symbolic link";
    case TarType::kHardlink: return "hard link";
    case TarType::kCharDevice: return "character device";
    case TarType::kBlockDevice: return "block device";
    case TarType::kFifo: return "fifo";
  }
  return "entry";
}

absl::StatusOr<std::unique_ptr<TarReader>> TarReader::Open(const Op& op,
                                                           std::unique_ptr<Reader> source,
                                                           const TarReadOptions& options) {
  if (options.engine == TarReadOptions::Engine::kLibarchive) {
    return internal::NewLibarchiveTarReader(op, std::move(source));
  }
  return internal::NewLeanTarReader(op, std::move(source));
}

absl::Status TarWriter::AddFile(const TarEntry& entry, std::string_view bytes) {
  COAM_RETURN_IF_ERROR(Add(entry));
  return Write(bytes);
}

}  // namespace coaming::base
