// Images and what is done with them: open, copy (pull and push are copies), list, unpack to a bundle.
//
//   oci::Env env{.transport = transport.get()};
//   COAM_ASSIGN_OR_RETURN(auto name, oci::ImageName::Parse("docker://quay.io/org/app:1"));
//   COAM_ASSIGN_OR_RETURN(auto image, oci::Image::Open(op, env, name));
//   COAM_RETURN_IF_ERROR(image->Unpack(op, "/run/app", {}).status());  // registry to bundle in one go
//
// Follows image-spec 1.1.1, distribution-spec 1.1.1. Every manifest and config is checked against its
// digest before it is parsed, every layer while it streams, its DiffID too; nothing appears under its
// final name before that. Ownership: an Image keeps its source alive; Env's transport is borrowed and
// outlives it. Threads: the documents are [immutable], the calls [single]. Limits: as the packages
// beneath, index nesting 8 deep. Hostile input: see those packages.
#ifndef COAMING_LIBOCI_IMAGE_IMAGE_H_
#define COAMING_LIBOCI_IMAGE_IMAGE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/op.h"
#include "liboci/image/name.h"
#include "liboci/image/trust.h"
#include "liboci/layer/ids.h"
#include "liboci/registry/registry.h"
#include "liboci/spec/image/types.h"

namespace coaming::base {
class Reader;
class Transport;
}  // namespace coaming::base

namespace coaming::oci {

class ImageSource;

// What image calls need from around them.
struct Env {
  base::Transport* transport = nullptr;  // may be null if no docker:// name is used
  RegistryOptions registry;
  bool threads = true;  // false: inflate and write on the calling thread
};

struct OpenOptions {
  std::optional<Platform> platform;         // to choose from an index; none: the host's
  std::shared_ptr<const ImageTrust> trust;  // null: any image is taken
};

struct UnpackOptions {
  IdMapping ids;
  bool rootfs_only = false;  // the directory itself becomes the root file system; no config.json
  bool xattrs = true;
  bool devices = true;
  // Replaces a bundle that is there. Otherwise the directory must not exist, or be empty.
  bool replace = false;
};

struct Unpacked {
  std::string rootfs;       // path of the root file system
  std::string config_json;  // path of config.json; "" with rootfs_only
  int64_t layers = 0, entries = 0, bytes = 0;
};

// One image of one platform, with its documents read and verified.
class Image {
 public:
  static absl::StatusOr<std::shared_ptr<Image>> Open(const base::Op& op, const Env& env,
                                                     const ImageName& name,
                                                     const OpenOptions& options = {});
  ~Image();

  const ImageName& name() const;
  // What the name points to (an index, or the manifest itself), and its bytes.
  const Descriptor& root() const;
  const std::string& root_bytes() const;
  // The manifest chosen.
  const Descriptor& descriptor() const;
  const std::string& manifest_bytes() const;
  const Manifest& manifest() const;
  // The config; for an artifact that is no image, empty with config_bytes as they are.
  const ImageConfig& config() const;
  const std::string& config_bytes() const;

  // OpenLayer streams a layer's stored bytes (compressed, verified); `index` into manifest().layers.
  absl::StatusOr<std::unique_ptr<base::Reader>> OpenLayer(const base::Op& op, size_t index);
  // OpenLayerTar streams it uncompressed; the end comes only if digest, size and DiffID are right.
  absl::StatusOr<std::unique_ptr<base::Reader>> OpenLayerTar(const base::Op& op, size_t index);
  // Referrers lists artifacts that name this image (signatures, attestations).
  absl::StatusOr<std::vector<Descriptor>> Referrers(const base::Op& op,
                                                    std::string_view artifact_type = "");

  // Unpack makes DIR/rootfs and DIR/config.json (the conversion of image-spec, conversion.md). All or
  // nothing: the tree is made beside its place and renamed when it is whole.
  absl::StatusOr<Unpacked> Unpack(const base::Op& op, std::string_view dir,
                                  const UnpackOptions& options = {});

 private:
  struct Rep;
  explicit Image(std::unique_ptr<Rep> rep);
  std::unique_ptr<Rep> rep_;
};

struct CopyOptions {
  std::optional<Platform> platform;         // one image out of an index...
  bool all = false;                         // ... or the index with everything it names
  std::shared_ptr<const ImageTrust> trust;  // null: any image is taken
  // Signs what is copied, each manifest of it, for the name `sign_identity` ("": the destination's);
  // the signatures go to the destination before its name does: for docker:// to the lookaside store or
  // the tag sha256-HEX.sig, as `stores` say, for dir: beside the image.
  trust::ImageSigner sign;
  std::string sign_identity;
  trust::SignatureStores stores;
  std::vector<std::string> extra_tags;  // more names for the same image at the destination
};

struct Copied {
  Descriptor descriptor;  // of what the destination's name points to now
  int64_t blobs_copied = 0, blobs_reused = 0, bytes_copied = 0;
};

// Copy brings an image from one place to another, bytes unchanged. Blobs that are there already are
// not moved. A cancelled or failed copy leaves no name behind, and partials that the next try uses.
absl::StatusOr<Copied> Copy(const base::Op& op, const Env& env, const ImageName& from,
                            const ImageName& to, const CopyOptions& options = {});

// ListNames gives the tags of a repository or the names of a layout.
absl::StatusOr<std::vector<std::string>> ListNames(const base::Op& op, const Env& env,
                                                   const ImageName& name);
// Resolve gives the descriptor that a name points to, without choosing a platform.
absl::StatusOr<Descriptor> Resolve(const base::Op& op, const Env& env, const ImageName& name);
// ListReferrers lists the artifacts that name what `name` points to as their subject.
absl::StatusOr<std::vector<Descriptor>> ListReferrers(const base::Op& op, const Env& env,
                                                      const ImageName& name,
                                                      std::string_view artifact_type = "");
// Login asks a registry whether it takes the credential given in `env` and keeps it in `authfile`.
absl::Status Login(const base::Op& op, const Env& env, std::string_view host,
                   const std::string& authfile);
// Remove takes a name out (a tag of a repository, a name of a layout).
absl::Status Remove(const base::Op& op, const Env& env, const ImageName& name);

}  // namespace coaming::oci

#endif  // COAMING_LIBOCI_IMAGE_IMAGE_H_
