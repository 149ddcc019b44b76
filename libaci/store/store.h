// ImageStore keeps App Container Images on disk by image ID, as uncompressed tars.
//
// Layout below the root: blob/sha512/xx/KEY (tar), manifest/sha512/xx/KEY (the image's own bytes),
// info/KEY (JSON record), lock/KEY (its mtime is the last use), tmp/, remote/ (what was fetched from
// where), partial/ (downloads that were cut). KEY is "sha512-" and 128 hex digits. Nothing appears
// under its final name before it was hashed, checked and flushed; info/KEY comes last, and without it
// there is no image. Any number of processes may use one store: readers hold a shared lock of the
// image, removal an exclusive one.
// Threads: [shared]. Errors: core.io, core.permission, core.no_space, aci.not_found, aci.ambiguous,
// aci.store_corrupt.
#ifndef COAMING_LIBACI_STORE_STORE_H_
#define COAMING_LIBACI_STORE_STORE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/op.h"
#include "base/core/unique_fd.h"
#include "base/fs/lock.h"
#include "base/stream/stream.h"
#include "libaci/image/image.h"
#include "libaci/schema/manifest.h"

namespace coaming::aci {

// ImageRecord is what the store knows of one image.
struct ImageRecord {
  std::string id;       // "sha512-" and 128 hex digits
  std::string name;     // from the manifest
  std::string version;  // its version label, or ""
  Labels labels;
  bool latest = false;  // was fetched without a version asked for
  int64_t import_time_ns = 0;
  int64_t last_used_ns = 0;
  uint64_t size = 0;   // of the tar
  std::string source;  // URL or path it came from, without query; may be ""
  std::string signer;  // fingerprint of the key that signed it, or "" if it was not checked
};

// RemoteRecord is what is remembered of a URL, to spare a download.
struct RemoteRecord {
  std::string url, signature_url, etag, image_id;
  int64_t max_age_s = 0;
  int64_t download_time_ns = 0;
};

struct ImportOptions {
  bool latest = false;
  std::string source, signer;
  std::string want_id;    // if not "", the image must have this ID (aci.id_mismatch)
  std::string want_name;  // if not "", its name (aci.name_mismatch)
  Labels want_labels;     // each must be in the manifest with the same value (aci.name_mismatch)
  uint64_t want_size =
      0;  // if not 0, the size of the tar or of `packed_size` (digest.size_mismatch)
  uint64_t packed_size = 0;
  bool strict = false;
};

// ImageLock keeps one image from being removed while it lives.
class ImageLock {
 public:
  ImageLock() = default;
  explicit ImageLock(base::FileLock lock) : lock_(std::move(lock)) {}

 private:
  base::FileLock lock_;
};

// Partial is a download in progress; nobody else writes to it while it is open.
struct Partial {
  base::FileLock lock;  // of the file itself
  std::string etag;     // of the answer its bytes came from; "" = they cannot be continued
  int64_t size = 0;     // bytes that are there

  int fd() const { return lock.fd(); }
};

class ImageStore {
 public:
  // Open opens or makes the store below `root` (a directory that is made 0750 if missing).
  static absl::StatusOr<std::unique_ptr<ImageStore>> Open(const std::string& root);
  ~ImageStore();

  // Import reads a whole image in any compression, checks it and stores it. The caller has
  // checked its signature over the same bytes. An image that is there already is refreshed.
  absl::StatusOr<ImageRecord> Import(base::Reader& image, const ImportOptions& options,
                                     const base::Op& op);

  // The same for a file of the host.
  absl::StatusOr<ImageRecord> ImportFile(const std::string& path, const ImportOptions& options,
                                         const base::Op& op);

  // Resolve turns a full ID, an abbreviated one ("sha512-" and at least 2 digits) or a name with
  // labels ("example.com/app:1.0,os=linux") into the ID of one image. By name: every label asked
  // for must be equal; without a version those marked latest come first, then the newest import.
  absl::StatusOr<std::string> Resolve(std::string_view text) const;
  absl::StatusOr<std::string> ResolveId(std::string_view id_or_prefix) const;
  absl::StatusOr<std::string> ResolveName(std::string_view name, const Labels& labels) const;
  bool Has(std::string_view id) const;

  absl::StatusOr<ImageRecord> Record(std::string_view id) const;
  absl::StatusOr<std::vector<ImageRecord>> List() const;  // by import time, oldest first
  // The manifest as it stands in the image, and parsed.
  absl::StatusOr<std::string> ManifestJson(std::string_view id) const;
  absl::StatusOr<ImageManifest> Manifest(std::string_view id) const;

  // OpenTar gives the uncompressed tar of an image, locked while the reader lives. It is not hashed
  // again: renderers and Export do that.
  absl::StatusOr<std::unique_ptr<base::Reader>> OpenTar(std::string_view id,
                                                        const base::Op& op) const;
  // Export writes the uncompressed tar to `output`, hashed on the way (aci.store_corrupt).
  absl::Status Export(std::string_view id, const std::string& output, bool overwrite,
                      const base::Op& op) const;
  // Verify reads the stored tar again and compares it with its ID. Errors: aci.store_corrupt.
  absl::Status Verify(std::string_view id, const base::Op& op) const;

  absl::StatusOr<ImageLock> Lock(std::string_view id) const;  // shared; waits for no one
  absl::Status Touch(std::string_view id) const;              // sets last_used_ns to now
  // Remove takes an image out. Errors: aci.not_found, aci.in_use (somebody holds its lock).
  absl::Status Remove(std::string_view id);
  // RemoveUnused removes images not used for `grace_s` seconds (those locked are left alone) and
  // what crashed imports left in tmp/. Returns the IDs removed, or that would be with `dry_run`.
  absl::StatusOr<std::vector<std::string>> RemoveUnused(int64_t grace_s, bool dry_run,
                                                        const base::Op& op);

  std::optional<RemoteRecord> FindRemote(std::string_view url) const;
  absl::Status SetRemote(const RemoteRecord& record);

  const std::string& root() const;

  // Partial downloads, by URL. OpenPartial makes or opens one; nullopt if another process is at it.
  absl::StatusOr<std::optional<Partial>> OpenPartial(std::string_view url);
  // KeepEtag notes which answer the bytes come from; call it before the first byte.
  absl::Status KeepEtag(std::string_view url, std::string_view etag);
  absl::Status DropPartial(std::string_view url);

 private:
  struct Rep;
  explicit ImageStore(std::unique_ptr<Rep> rep);
  std::unique_ptr<Rep> rep_;
};

}  // namespace coaming::aci

#endif  // COAMING_LIBACI_STORE_STORE_H_
