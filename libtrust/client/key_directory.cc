#include "libtrust/client/key_directory.h"

#include <dirent.h>

#include "base/core/error.h"
#include "base/core/op.h"
#include "base/core/status_macros.h"
#include "base/fs/dir.h"

namespace coaming::trust {

using base::Fail;

KeyDirectory::KeyDirectory(std::string path) : path_(std::move(path)) {}
KeyDirectory::~KeyDirectory() = default;

absl::StatusOr<std::unique_ptr<KeyDirectory>> KeyDirectory::Open(std::string_view host_path) {
  std::unique_ptr<KeyDirectory> out(new KeyDirectory(std::string(host_path)));
  auto dir = base::Dir::Open(host_path, base::Containment::kNoLinks);
  if (dir.ok()) {
    out->dir_ = std::make_unique<base::Dir>(*std::move(dir));
  } else if (!base::HasReason(dir.status(), "core.not_found")) {
    return dir.status();
  }
  return out;
}

absl::StatusOr<std::vector<KeyFiles::Entry>> KeyDirectory::List(const std::string& directory) {
  std::vector<Entry> out;
  if (dir_ == nullptr) return out;
  auto inner = dir_->OpenDir(directory, /*follow_last=*/false);
  if (base::HasReason(inner.status(), "core.not_found") ||
      base::HasReason(inner.status(), "fs.not_directory"))
    return out;
  COAM_RETURN_IF_ERROR(inner.status());
  COAM_ASSIGN_OR_RETURN(std::vector<base::DirEntry> entries, inner->List("", 100000));
  for (base::DirEntry& entry : entries)
    if (entry.type == DT_REG || entry.type == DT_DIR)
      out.push_back({std::move(entry.name), entry.type == DT_DIR});
  return out;
}

absl::StatusOr<std::string> KeyDirectory::Read(const std::string& path, int64_t max_bytes) {
  if (dir_ == nullptr) return Fail("core.not_found") << path_ << "/" << path;
  return dir_->ReadFile(path, max_bytes, "keyring_bytes");
}

absl::Status KeyDirectory::Write(const std::string& path, std::string_view bytes) {
  if (dir_ == nullptr) {
    COAM_ASSIGN_OR_RETURN(base::Dir dir,
                          base::Dir::OpenOrMake(path_, 0755, base::Containment::kNoLinks));
    dir_ = std::make_unique<base::Dir>(std::move(dir));
  }
  size_t slash = path.rfind('/');
  if (slash != std::string::npos)
    COAM_RETURN_IF_ERROR(dir_->MakeDirs(path.substr(0, slash), 0755).status());
  return dir_->WriteFile(base::Op(), path, bytes, {.mode = 0644, .sync = true});
}

absl::Status KeyDirectory::Remove(const std::string& path) {
  if (dir_ == nullptr) return Fail("core.not_found") << path_ << "/" << path;
  return dir_->Unlink(path);
}

}  // namespace coaming::trust
