#include "libaci/store/store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/digest/hasher.h"
#include "base/fs/atomic_file.h"
#include "base/fs/file.h"
#include "base/fs/tree.h"
#include "base/stream/filter.h"
#include "libaci/discovery/app_name.h"
#include "libaci/schema/types.h"
#include "libaci/store/record.h"

namespace coaming::aci {
namespace {

constexpr mode_t kDirMode = 0750;
constexpr int64_t kMaxRecord = 1 << 20;

std::string Fan(std::string_view dir, std::string_view id) {
  return absl::StrCat(dir, "/sha512/", id.substr(7, 2));
}
std::string PathOf(std::string_view dir, std::string_view id) {
  return absl::StrCat(Fan(dir, id), "/", id);
}
std::string InfoPath(std::string_view id) { return absl::StrCat("info/", id); }
std::string LockPath(std::string_view id) { return absl::StrCat("lock/", id); }

std::string UrlKey(std::string_view url) {
  return std::string(base::Sha256(url).encoded().substr(0, 40));
}

base::Digest DigestOf(std::string_view id) {
  absl::StatusOr<base::Digest> digest = base::Digest::Parse(absl::StrCat("sha512:", id.substr(7)));
  return digest.ok() ? *digest : base::Digest();
}

// Holds the image's lock for the life of the reader.
class LockedReader final : public base::Reader {
 public:
  LockedReader(base::FileLock lock, std::unique_ptr<base::Reader> reader)
      : lock_(std::move(lock)), reader_(std::move(reader)) {}
  absl::StatusOr<size_t> Read(std::span<char> out) override { return reader_->Read(out); }

 private:
  base::FileLock lock_;
  std::unique_ptr<base::Reader> reader_;
};

absl::Status NotFound(std::string_view what) {
  return base::Fail("aci.not_found") << "the store has no image " << what;
}

}  // namespace

struct ImageStore::Rep {
  std::string root_path;
  base::Dir root;

  absl::StatusOr<base::FileLock> Share(std::string_view id) const {
    COAM_ASSIGN_OR_RETURN(std::optional<base::FileLock> lock,
                          base::FileLock::TryAcquire(root, LockPath(id), base::LockMode::kShared));
    if (!lock) return base::Fail("aci.in_use") << "image " << id << " is being removed";
    return *std::move(lock);
  }
};

ImageStore::ImageStore(std::unique_ptr<Rep> rep) : rep_(std::move(rep)) {}
ImageStore::~ImageStore() = default;
const std::string& ImageStore::root() const { return rep_->root_path; }

absl::StatusOr<std::unique_ptr<ImageStore>> ImageStore::Open(const std::string& root) {
  auto rep = std::make_unique<Rep>();
  rep->root_path = root;
  COAM_ASSIGN_OR_RETURN(rep->root,
                        base::Dir::OpenOrMake(root, kDirMode, base::Containment::kNoLinks));
  for (std::string_view dir : {"blob", "manifest", "info", "lock", "tmp", "remote", "partial"}) {
    COAM_RETURN_IF_ERROR(rep->root.MakeDirs(dir, kDirMode).status());
  }
  return std::unique_ptr<ImageStore>(new ImageStore(std::move(rep)));
}

absl::StatusOr<ImageRecord> ImageStore::Import(base::Reader& image, const ImportOptions& options,
                                               const base::Op& op) {
  const base::Dir& root = rep_->root;
  // A named file whose lock we hold: gc leaves it alone while we live and removes it if we die.
  const std::string temp = absl::StrCat("tmp/", base::RandomName());
  COAM_ASSIGN_OR_RETURN(base::UniqueFd made, root.Create(temp, 0640));
  struct Cleanup {
    const base::Dir& root;
    std::string path;
    ~Cleanup() {
      if (!path.empty()) root.Unlink(path).IgnoreError();
    }
  } cleanup{root, temp};
  COAM_ASSIGN_OR_RETURN(
      std::optional<base::FileLock> lock,
      base::FileLock::TryAcquireFd(std::move(made), temp, base::LockMode::kExclusive));
  if (!lock) return base::Fail("core.aborted") << "another process took " << temp;

  base::FdWriter out(op, lock->fd(), root.PathOf(temp));
  ReadOptions read;
  read.strict = options.strict;
  read.tar_out = &out;
  COAM_ASSIGN_OR_RETURN(ImageInfo info, ReadImage(image, read, op));
  if (!options.want_id.empty() && options.want_id != info.image_id) {
    return base::Fail("aci.id_mismatch")
               .Detail("want", options.want_id)
               .Detail("found", info.image_id)
           << "image " << info.manifest.name << " has ID " << info.image_id.substr(0, 23)
           << ", not " << options.want_id.substr(0, 23);
  }
  if (!options.want_name.empty() && options.want_name != info.manifest.name) {
    return base::Fail("aci.name_mismatch")
               .Detail("want", options.want_name)
               .Detail("found", info.manifest.name)
           << "the image is called " << info.manifest.name << ", not " << options.want_name;
  }
  for (const NameValue& label : options.want_labels) {
    const std::string* found = info.manifest.Label(label.name);
    if (found != nullptr && *found == label.value) continue;
    return base::Fail("aci.name_mismatch")
               .Detail("want", absl::StrCat(label.name, "=", label.value))
               .Detail("found", found == nullptr ? "" : *found)
           << "image " << info.manifest.name << " has "
           << (found == nullptr ? absl::StrCat("no label ", label.name)
                                : absl::StrCat("label ", label.name, "=", *found))
           << ", not " << label.name << "=" << label.value;
  }
  if (options.want_size != 0 && options.want_size != info.tar_bytes &&
      options.want_size != options.packed_size) {
    return base::Fail("digest.size_mismatch")
           << "image " << info.manifest.name << " has " << info.tar_bytes << " bytes, not "
           << options.want_size;
  }
  COAM_RETURN_IF_ERROR(base::SyncFd(lock->fd(), root.PathOf(temp)));

  ImageRecord record;
  record.id = info.image_id;
  record.name = info.manifest.name;
  record.labels = info.manifest.labels;
  for (NameValue& label : record.labels) label.extra.clear();
  if (const std::string* version = info.manifest.Label("version"); version != nullptr) {
    record.version = *version;
  }
  record.latest = options.latest;
  record.import_time_ns = record.last_used_ns = op.clock().RealtimeNs();
  record.size = info.tar_bytes;
  record.source = options.source;
  record.signer = options.signer;

  COAM_ASSIGN_OR_RETURN(base::FileLock image_lock, rep_->Share(record.id));
  if (absl::StatusOr<ImageRecord> old = Record(record.id); old.ok()) {
    // What a signature once vouched for stays vouched for: the bytes are the same.
    if (record.signer.empty()) record.signer = old->signer;
    record.latest = record.latest || old->latest;
  }
  COAM_RETURN_IF_ERROR(root.MakeDirs(Fan("blob", record.id), kDirMode).status());
  COAM_RETURN_IF_ERROR(root.MakeDirs(Fan("manifest", record.id), kDirMode).status());
  base::WriteFileOptions write;
  write.mode = 0640;
  write.sync = true;
  COAM_RETURN_IF_ERROR(
      root.WriteFile(op, PathOf("manifest", record.id), info.manifest_json, write));
  COAM_RETURN_IF_ERROR(root.Rename(temp, PathOf("blob", record.id)));
  cleanup.path.clear();
  if (absl::StatusOr<base::Dir> fan = root.OpenDir(Fan("blob", record.id)); fan.ok()) {
    COAM_RETURN_IF_ERROR(fan->Sync());
  }
  COAM_RETURN_IF_ERROR(root.WriteFile(op, InfoPath(record.id), WriteRecord(record), write));
  COAM_RETURN_IF_ERROR(Touch(record.id));
  return record;
}

absl::StatusOr<ImageRecord> ImageStore::ImportFile(const std::string& path,
                                                   const ImportOptions& options,
                                                   const base::Op& op) {
  COAM_ASSIGN_OR_RETURN(base::UniqueFd fd, base::OpenHostFile(path, O_RDONLY));
  base::FdReader in(op, std::move(fd), path);
  return Import(in, options, op);
}

absl::StatusOr<std::string> ImageStore::Resolve(std::string_view text) const {
  if (absl::StartsWith(text, "sha512-")) return ResolveId(text);
  COAM_ASSIGN_OR_RETURN(AppName app, AppName::Parse(text));
  return ResolveName(app.name, app.labels);
}

absl::StatusOr<std::string> ImageStore::ResolveId(std::string_view id) const {
  const std::string_view hex = absl::StartsWith(id, "sha512-") ? id.substr(7) : std::string_view();
  if (hex.size() < 2 || hex.size() > 128 || !base::IsLowerHex(hex)) {
    return base::Fail("aci.image_id_invalid")
               .Hint("write sha512- and at least 2 of the ID's lower-case hex digits")
           << "\"" << id.substr(0, 160) << "\" is not an image ID or the beginning of one";
  }
  if (IsImageId(id)) {
    if (!Has(id)) return NotFound(id);
    return std::string(id);
  }
  COAM_ASSIGN_OR_RETURN(std::vector<base::DirEntry> entries, rep_->root.List("info"));
  std::string found;
  for (const base::DirEntry& entry : entries) {
    if (!absl::StartsWith(entry.name, id) || !IsImageId(entry.name)) continue;
    if (!found.empty()) {
      return base::Fail("aci.ambiguous") << "image ID " << id << " fits more than one image";
    }
    found = entry.name;
  }
  if (found.empty()) return NotFound(id);
  return found;
}

absl::StatusOr<std::string> ImageStore::ResolveName(std::string_view name,
                                                    const Labels& labels) const {
  COAM_ASSIGN_OR_RETURN(std::vector<ImageRecord> records, List());
  const bool any_version = Find(labels, "version") == nullptr;
  const ImageRecord* best = nullptr;
  for (const ImageRecord& record : records) {
    if (record.name != name || !LabelsMatch(labels, record.labels)) continue;
    if (best != nullptr) {
      // Records come by import time; a later one wins unless only the other is marked latest.
      if (any_version && best->latest && !record.latest) continue;
    }
    best = &record;
  }
  if (best != nullptr) return best->id;
  AppName app;
  app.name = std::string(name);
  app.labels = labels;
  return NotFound(app.ToString());
}

bool ImageStore::Has(std::string_view id) const {
  if (!IsImageId(id)) return false;
  absl::StatusOr<bool> there = rep_->root.Exists(InfoPath(id));
  return there.ok() && *there;
}

absl::StatusOr<ImageRecord> ImageStore::Record(std::string_view id) const {
  COAM_RETURN_IF_ERROR(CheckImageId(id));
  absl::StatusOr<std::string> text = rep_->root.ReadFile(InfoPath(id), kMaxRecord, "record_bytes");
  if (!text.ok()) {
    if (base::HasReason(text.status(), "core.not_found")) return NotFound(id);
    return text.status();
  }
  absl::StatusOr<ImageRecord> record = ReadRecord(*text);
  if (!record.ok() || record->id != id) {
    return base::Fail("aci.store_corrupt").Cause(record.status())
           << "the record of image " << id << " cannot be read";
  }
  record->last_used_ns = record->import_time_ns;
  if (absl::StatusOr<struct stat> st = rep_->root.Stat(LockPath(id)); st.ok()) {
    record->last_used_ns = st->st_mtim.tv_sec * int64_t{1000000000} + st->st_mtim.tv_nsec;
  }
  return record;
}

absl::StatusOr<std::vector<ImageRecord>> ImageStore::List() const {
  COAM_ASSIGN_OR_RETURN(std::vector<base::DirEntry> entries, rep_->root.List("info"));
  std::vector<ImageRecord> out;
  for (const base::DirEntry& entry : entries) {
    if (!IsImageId(entry.name)) continue;
    absl::StatusOr<ImageRecord> record = Record(entry.name);
    // One removed while we looked is gone, a broken one must not hide the others.
    if (record.ok()) out.push_back(*std::move(record));
  }
  std::stable_sort(out.begin(), out.end(), [](const ImageRecord& a, const ImageRecord& b) {
    return a.import_time_ns < b.import_time_ns;
  });
  return out;
}

absl::StatusOr<std::string> ImageStore::ManifestJson(std::string_view id) const {
  COAM_RETURN_IF_ERROR(CheckImageId(id));
  absl::StatusOr<std::string> text =
      rep_->root.ReadFile(PathOf("manifest", id), base::Limits().manifest_bytes, "manifest_bytes");
  if (!text.ok() && base::HasReason(text.status(), "core.not_found")) return NotFound(id);
  return text;
}

absl::StatusOr<ImageManifest> ImageStore::Manifest(std::string_view id) const {
  COAM_ASSIGN_OR_RETURN(std::string text, ManifestJson(id));
  return ParseImageManifest(text);
}

absl::StatusOr<std::unique_ptr<base::Reader>> ImageStore::OpenTar(std::string_view id,
                                                                  const base::Op& op) const {
  if (!Has(id)) return NotFound(id);
  COAM_ASSIGN_OR_RETURN(base::FileLock lock, rep_->Share(id));
  absl::StatusOr<base::UniqueFd> fd = rep_->root.OpenFile(PathOf("blob", id), O_RDONLY);
  if (!fd.ok()) {
    if (!base::HasReason(fd.status(), "core.not_found")) return fd.status();
    return base::Fail("aci.store_corrupt") << "the tar of image " << id << " is missing";
  }
  auto reader = std::make_unique<base::FdReader>(op, *std::move(fd), id);
  return std::unique_ptr<base::Reader>(
      std::make_unique<LockedReader>(std::move(lock), std::move(reader)));
}

namespace {

// The stored bytes, compared with the ID: nothing ends well unless they match.
absl::StatusOr<std::unique_ptr<base::Reader>> OpenVerified(const ImageStore& store,
                                                           std::string_view id,
                                                           const base::Op& op) {
  COAM_ASSIGN_OR_RETURN(std::unique_ptr<base::Reader> tar, store.OpenTar(id, op));
  return std::unique_ptr<base::Reader>(
      std::make_unique<base::VerifyingReader>(std::move(tar), DigestOf(id), -1, id));
}

absl::Status Corrupt(const absl::Status& status, std::string_view id) {
  if (!base::HasReason(status, "digest.mismatch")) return status;
  return base::Fail("aci.store_corrupt").Cause(status)
         << "the stored bytes of image " << id << " do not match its ID";
}

}  // namespace

absl::Status ImageStore::Export(std::string_view id, const std::string& output, bool overwrite,
                                const base::Op& op) const {
  COAM_ASSIGN_OR_RETURN(std::unique_ptr<base::Reader> tar, OpenVerified(*this, id, op));
  COAM_ASSIGN_OR_RETURN(base::Dir::Leaf place, base::OpenHostParent(output));
  base::WriteFileOptions options;
  options.exclusive = !overwrite;
  COAM_ASSIGN_OR_RETURN(base::AtomicFile file,
                        base::AtomicFile::New(place.dir, place.name, options));
  base::FdWriter out(op, file.fd(), output);
  COAM_RETURN_IF_ERROR(Corrupt(base::Copy(op, *tar, out).status(), id));
  return file.Commit();
}

absl::Status ImageStore::Verify(std::string_view id, const base::Op& op) const {
  COAM_ASSIGN_OR_RETURN(std::unique_ptr<base::Reader> tar, OpenVerified(*this, id, op));
  return Corrupt(base::Drain(op, *tar).status(), id);
}

absl::StatusOr<ImageLock> ImageStore::Lock(std::string_view id) const {
  if (!Has(id)) return NotFound(id);
  COAM_ASSIGN_OR_RETURN(base::FileLock lock, rep_->Share(id));
  if (!Has(id)) return NotFound(id);  // removed before we had the lock
  return ImageLock(std::move(lock));
}

absl::Status ImageStore::Touch(std::string_view id) const {
  const timespec now{0, UTIME_NOW};
  absl::Status status = rep_->root.SetTimes(LockPath(id), now, now);
  if (base::HasReason(status, "core.not_found")) return NotFound(id);
  return status;
}

absl::Status ImageStore::Remove(std::string_view id) {
  if (!Has(id)) return NotFound(id);
  COAM_ASSIGN_OR_RETURN(
      std::optional<base::FileLock> lock,
      base::FileLock::TryAcquire(rep_->root, LockPath(id), base::LockMode::kExclusive));
  if (!lock) return base::Fail("aci.in_use") << "image " << id << " is in use";
  COAM_RETURN_IF_ERROR(rep_->root.Unlink(InfoPath(id)));
  for (const std::string& path : {PathOf("manifest", id), PathOf("blob", id), LockPath(id)}) {
    const absl::Status status = rep_->root.Unlink(path);
    if (!status.ok() && !base::HasReason(status, "core.not_found")) return status;
  }
  // Empty fans go too; a full one says so and stays.
  rep_->root.RemoveDir(Fan("manifest", id)).IgnoreError();
  rep_->root.RemoveDir(Fan("blob", id)).IgnoreError();
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> ImageStore::RemoveUnused(int64_t grace_s, bool dry_run,
                                                                  const base::Op& op) {
  std::vector<std::string> out;
  COAM_ASSIGN_OR_RETURN(std::vector<ImageRecord> records, List());
  const int64_t oldest = op.clock().RealtimeNs() - grace_s * 1000000000;
  for (const ImageRecord& record : records) {
    COAM_RETURN_IF_ERROR(op.Check());
    if (record.last_used_ns > oldest) continue;
    if (!dry_run) {
      const absl::Status status = Remove(record.id);
      if (base::HasReason(status, "aci.in_use") || base::HasReason(status, "aci.not_found")) {
        continue;
      }
      COAM_RETURN_IF_ERROR(status);
    }
    out.push_back(record.id);
  }
  if (dry_run) return out;
  // What crashed imports left: their locks are free.
  COAM_ASSIGN_OR_RETURN(std::vector<base::DirEntry> temps, rep_->root.List("tmp"));
  for (const base::DirEntry& entry : temps) {
    const std::string path = absl::StrCat("tmp/", entry.name);
    absl::StatusOr<std::optional<base::FileLock>> lock =
        base::FileLock::TryAcquire(rep_->root, path, base::LockMode::kExclusive);
    if (lock.ok() && lock->has_value()) rep_->root.Unlink(path).IgnoreError();
  }
  for (std::string_view kind : {"blob", "manifest"}) {
    absl::StatusOr<std::vector<base::DirEntry>> shelves =
        rep_->root.List(absl::StrCat(kind, "/sha512"));
    if (!shelves.ok()) continue;
    for (const base::DirEntry& shelf : *shelves) {
      const std::string dir = absl::StrCat(kind, "/sha512/", shelf.name);
      absl::StatusOr<std::vector<base::DirEntry>> keys = rep_->root.List(dir);
      if (!keys.ok()) continue;
      for (const base::DirEntry& key : *keys) {
        if (!IsImageId(key.name) || Has(key.name)) continue;
        absl::StatusOr<std::optional<base::FileLock>> lock =
            base::FileLock::TryAcquire(rep_->root, LockPath(key.name), base::LockMode::kExclusive);
        if (!lock.ok() || !lock->has_value() || Has(key.name)) continue;
        rep_->root.Unlink(absl::StrCat(dir, "/", key.name)).IgnoreError();
        rep_->root.Unlink(LockPath(key.name)).IgnoreError();
      }
    }
  }
  return out;
}

std::optional<RemoteRecord> ImageStore::FindRemote(std::string_view url) const {
  absl::StatusOr<std::string> text =
      rep_->root.ReadFile(absl::StrCat("remote/", UrlKey(url)), kMaxRecord, "record_bytes");
  if (!text.ok()) return std::nullopt;
  absl::StatusOr<RemoteRecord> record = ReadRemote(*text);
  if (!record.ok() || record->url != url || !Has(record->image_id)) return std::nullopt;
  return *std::move(record);
}

absl::Status ImageStore::SetRemote(const RemoteRecord& record) {
  base::WriteFileOptions options;
  options.mode = 0640;
  return rep_->root.WriteFile(base::Op(), absl::StrCat("remote/", UrlKey(record.url)),
                              WriteRemote(record), options);
}

absl::StatusOr<std::optional<Partial>> ImageStore::OpenPartial(std::string_view url) {
  const std::string path = absl::StrCat("partial/", UrlKey(url));
  COAM_ASSIGN_OR_RETURN(base::UniqueFd fd, rep_->root.OpenFile(path, O_RDWR | O_CREAT, 0640));
  COAM_ASSIGN_OR_RETURN(
      std::optional<base::FileLock> lock,
      base::FileLock::TryAcquireFd(std::move(fd), path, base::LockMode::kExclusive));
  if (!lock) return std::nullopt;
  Partial out;
  out.lock = *std::move(lock);
  struct stat st;
  if (fstat(out.fd(), &st) != 0) {
    return base::FailErrno("core.io", errno) << "look at " << rep_->root.PathOf(path);
  }
  out.size = st.st_size;
  absl::StatusOr<std::string> etag =
      rep_->root.ReadFile(absl::StrCat(path, ".etag"), 4096, "http_header_bytes");
  if (etag.ok()) out.etag = *std::move(etag);
  return out;
}

absl::Status ImageStore::KeepEtag(std::string_view url, std::string_view etag) {
  const std::string path = absl::StrCat("partial/", UrlKey(url), ".etag");
  base::WriteFileOptions options;
  options.mode = 0640;
  return rep_->root.WriteFile(base::Op(), path, etag.substr(0, 4096), options);
}

absl::Status ImageStore::DropPartial(std::string_view url) {
  const std::string path = absl::StrCat("partial/", UrlKey(url));
  for (const std::string& name : {path, absl::StrCat(path, ".etag")}) {
    const absl::Status status = rep_->root.Unlink(name);
    if (!status.ok() && !base::HasReason(status, "core.not_found")) return status;
  }
  return absl::OkStatus();
}

}  // namespace coaming::aci
