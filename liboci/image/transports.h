// The transports: where images come from and go to, one row each. Private to liboci/image.
//
// To add one: transports/x.cc with a maker for a source and one for a sink, and a row in transports.cc.
// A source gives verified documents and blobs; a sink takes blobs first, then manifests, and gives the
// name at Commit, so that a copy that fails leaves no name.
// Threads: [single]; a blob's reader may be read on another thread while the source rests.
#ifndef COAMING_LIBOCI_IMAGE_TRANSPORTS_H_
#define COAMING_LIBOCI_IMAGE_TRANSPORTS_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/op.h"
#include "liboci/image/image.h"
#include "liboci/registry/registry.h"
#include "liboci/store/layout.h"

namespace coaming::oci {

class ImageSource {
 public:
  virtual ~ImageSource() = default;
  // Root gives what the name points to.
  virtual absl::StatusOr<ManifestAnswer> Root(const base::Op& op) = 0;
  // ReadDocument gives a manifest or config, verified; at most manifest_bytes.
  virtual absl::StatusOr<std::string> ReadDocument(const base::Op& op, const Descriptor& d) = 0;
  // OpenBlob streams; the end comes only if size and digest are right.
  virtual absl::StatusOr<std::unique_ptr<base::Reader>> OpenBlob(const base::Op& op,
                                                                 const Descriptor& d) = 0;
  // FetchBlobs fills and commits writers; by default one after another.
  virtual absl::Status FetchBlobs(const base::Op& op, std::span<const Registry::BlobJob> jobs);
  virtual absl::StatusOr<std::vector<Descriptor>> Referrers(const base::Op& op, const Descriptor& d,
                                                            std::string_view artifact_type);
  // Signatures gives those of the manifest `d` that can be found; by default there are none.
  virtual absl::StatusOr<std::vector<trust::PolicySignature>> Signatures(
      const base::Op& op, const Descriptor& d, const trust::SignatureStores& stores);
  // What a sink of the same kind can use to do better than copy; null or empty otherwise.
  virtual const Layout* layout() const { return nullptr; }
  virtual const Reference* repository() const { return nullptr; }
};

enum class BlobFate { kCopied, kReused };

class ImageSink {
 public:
  virtual ~ImageSink() = default;
  // PutBlobs takes blobs from `source`, each descriptor once.
  virtual absl::Status PutBlobs(const base::Op& op, ImageSource& source,
                                const std::vector<Descriptor>& blobs, Copied* copied) = 0;
  // PutManifest stores a manifest or index that is not what the name will point to.
  virtual absl::Status PutManifest(const base::Op& op, const Descriptor& d,
                                   std::string_view bytes) = 0;
  // PutSignatures keeps signatures of the manifest `d`; `root`: what the name will point to. By default
  // there is no place for them: policy.store.
  virtual absl::Status PutSignatures(const base::Op& op, const Descriptor& d, bool root,
                                     const std::vector<trust::PolicySignature>& signatures,
                                     const trust::SignatureStores& stores);
  // Commit stores the root document and lets the names point to it.
  virtual absl::Status Commit(const base::Op& op, const Descriptor& d, std::string_view bytes,
                              const std::vector<std::string>& extra_tags) = 0;
};

struct ImageTransport {
  std::string_view name;   // "oci"
  std::string_view usage;  // "oci:DIR[:NAME]"
  // Reads what follows the colon; `tagless`: a name without a tag is wanted.
  absl::Status (*parse)(std::string_view rest, bool tagless, ImageName* out);
  absl::StatusOr<std::unique_ptr<ImageSource>> (*open_source)(const base::Op& op, const Env& env,
                                                              const ImageName& name);
  absl::StatusOr<std::unique_ptr<ImageSink>> (*open_sink)(const base::Op& op, const Env& env,
                                                          const ImageName& name);
  absl::StatusOr<std::vector<std::string>> (*list)(const base::Op& op, const Env& env,
                                                   const ImageName& name);
  absl::Status (*remove)(const base::Op& op, const Env& env, const ImageName& name);
};

// ImageTransports is the table; FindTransport gives a row or null.
std::span<const ImageTransport> ImageTransports();
const ImageTransport* FindTransport(std::string_view name);

// The rows' parts, by file.
#define COAM_IMAGE_TRANSPORT(prefix)                                                              \
  absl::Status prefix##Parse(std::string_view rest, bool tagless, ImageName* out);                \
  absl::StatusOr<std::unique_ptr<ImageSource>> prefix##Source(const base::Op& op, const Env& env, \
                                                              const ImageName& name);             \
  absl::StatusOr<std::unique_ptr<ImageSink>> prefix##Sink(const base::Op& op, const Env& env,     \
                                                          const ImageName& name);                 \
  absl::StatusOr<std::vector<std::string>> prefix##List(const base::Op& op, const Env& env,       \
                                                        const ImageName& name);                   \
  absl::Status prefix##Remove(const base::Op& op, const Env& env, const ImageName& name)
COAM_IMAGE_TRANSPORT(Docker);
COAM_IMAGE_TRANSPORT(Layout);
COAM_IMAGE_TRANSPORT(Archive);
COAM_IMAGE_TRANSPORT(Dir);
#undef COAM_IMAGE_TRANSPORT

// CopyBlob moves one blob from a source into a writer and commits it.
absl::Status CopyBlob(const base::Op& op, ImageSource& source, const Descriptor& d,
                      BlobWriter& writer);

}  // namespace coaming::oci

#endif  // COAMING_LIBOCI_IMAGE_TRANSPORTS_H_
