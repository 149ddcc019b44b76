// Layout is an OCI image layout on disk: blobs by digest, and index.json with the names.
//
// Follows image-spec, image-layout.md. Nothing unverified is ever visible as a blob: bytes go to an
// unnamed file or to a partial named by digest (.coaming/partial/ALG-HEX, which a later try goes on
// with) and are renamed only after size and digest were checked. index.json is replaced atomically
// under a lock (.coaming/lock) that all users of this library take; unknown files are left alone.
//
//   COAM_ASSIGN_OR_RETURN(auto layout, oci::Layout::Open(op, "/var/lib/x", {.create = true}));
//   COAM_ASSIGN_OR_RETURN(oci::Descriptor d, layout->Find("1.0"));
//   COAM_ASSIGN_OR_RETURN(std::string manifest, layout->ReadBlob(op, d));
//
// Ownership: a Layout owns its directory handle; readers stay good after it is gone. Threads:
// [shared]; any number of processes. Limits: manifest_bytes for index.json, blob_bytes. Hostile input:
// a layout may come from anybody; links in it are not followed, every blob is checked when read.
// Errors: oci.layout, oci.not_found, digest.*, core.io, core.no_space.
#ifndef COAMING_LIBOCI_STORE_LAYOUT_H_
#define COAMING_LIBOCI_STORE_LAYOUT_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/op.h"
#include "base/core/unique_fd.h"
#include "base/digest/digest.h"
#include "liboci/spec/image/types.h"

namespace coaming::base {
class Reader;
}

namespace coaming::oci {

struct LayoutOptions {
  bool create = false;  // make the directory and its files if they are not there
};

class BlobWriter;

class Layout {
 public:
  static absl::StatusOr<std::shared_ptr<Layout>> Open(const base::Op& op, std::string_view path,
                                                      const LayoutOptions& options = {});
  ~Layout();
  const std::string& path() const;

  // --- blobs -----------------------------------------------------------------------------------
  bool Has(const base::Digest& digest) const;
  // BlobSize fails with oci.not_found if there is none.
  absl::StatusOr<int64_t> BlobSize(const base::Digest& digest) const;
  // OpenBlob reads a blob and checks it on the way: the end comes only if size (unless negative)
  // and digest are right.
  absl::StatusOr<std::unique_ptr<base::Reader>> OpenBlob(const base::Op& op,
                                                         const Descriptor& descriptor) const;
  // OpenBlobFd gives the bare file, unverified.
  absl::StatusOr<base::UniqueFd> OpenBlobFd(const base::Digest& digest) const;
  // ReadBlob reads a small document whole (manifest_bytes), verified.
  absl::StatusOr<std::string> ReadBlob(const base::Op& op, const Descriptor& descriptor) const;
  // PutBlob stores bytes of our own.
  absl::StatusOr<base::Digest> PutBlob(const base::Op& op, std::string_view bytes);
  // NewBlob starts a blob whose digest and size are known beforehand; what an earlier try left is
  // taken over (BlobWriter::offset). Only one writer at a time per digest: others wait.
  absl::StatusOr<std::unique_ptr<BlobWriter>> NewBlob(const base::Op& op,
                                                      const Descriptor& descriptor);
  // NewUnknownBlob starts one whose digest comes out at Commit.
  absl::StatusOr<std::unique_ptr<BlobWriter>> NewUnknownBlob(const base::Op& op);
  // LinkBlob takes a blob over from another layout by reflink, hard link if `hardlink`, or copy,
  // verified on the way.
  absl::Status LinkBlob(const base::Op& op, const Layout& from, const Descriptor& descriptor,
                        bool hardlink);
  absl::Status RemoveBlob(const base::Digest& digest);

  // --- names -----------------------------------------------------------------------------------
  // List gives the descriptors of index.json in order.
  absl::StatusOr<std::vector<Descriptor>> List(const base::Op& op) const;
  // Find gives the first descriptor called `name`. "" wants the only one (oci.ambiguous if there
  // are several); "@sha256:..." or "sha256:..." one by digest.
  absl::StatusOr<Descriptor> Find(const base::Op& op, std::string_view name) const;
  // SetName puts `descriptor` into index.json as `name`, replacing every descriptor of that name
  // (and, with name "", every descriptor of that digest without a name).
  absl::Status SetName(const base::Op& op, std::string_view name, Descriptor descriptor);
  // RemoveName takes the descriptors of that name out; blobs stay until Gc. oci.not_found if none.
  absl::Status RemoveName(const base::Op& op, std::string_view name);

  struct GcResult {
    int64_t blobs = 0, bytes = 0;  // removed
    int64_t kept = 0;
    std::vector<base::Digest> removed;
  };
  // Gc removes blobs that nothing reachable from index.json names (manifests, configs, layers,
  // subjects), and partials older than `partial_age_s`. A referenced document that is damaged stops
  // it before anything is removed.
  absl::StatusOr<GcResult> Gc(const base::Op& op, bool dry_run = false,
                              int64_t partial_age_s = 7 * 86400);

 private:
  friend class BlobWriter;
  struct Rep;
  explicit Layout(std::unique_ptr<Rep> rep);
  std::shared_ptr<Rep> rep_;
};

// BlobWriter takes the bytes of one blob in order. Destruction without Commit keeps what came so far as
// a partial if the digest is known, else leaves nothing. Threads: [single], but may run on another
// thread than the caller's.
class BlobWriter {
 public:
  virtual ~BlobWriter() = default;
  // Bytes that are here from an earlier try: go on at this offset.
  virtual int64_t offset() const = 0;
  // What the earlier try knew of the source, for If-Range; "" if nothing.
  virtual const std::string& etag() const = 0;
  virtual void set_etag(std::string_view etag) = 0;
  // Restart drops what is there.
  virtual absl::Status Restart() = 0;
  virtual absl::Status Write(std::string_view bytes) = 0;
  // Commit checks size and digest and gives the blob its name. A mismatch leaves nothing at all.
  virtual absl::StatusOr<base::Digest> Commit() = 0;
  virtual int64_t size() const = 0;  // bytes so far
};

}  // namespace coaming::oci

#endif  // COAMING_LIBOCI_STORE_LAYOUT_H_
