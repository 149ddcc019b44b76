// Copy: blobs first, then manifests from the leaves up, the name last.
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "liboci/image/image_rep.h"
#include "liboci/spec/image/image_spec.h"

namespace coaming::oci {
namespace {

constexpr int kMaxNesting = 8;

class Copier {
 public:
  Copier(const base::Op& op, const ImageName& from, const CopyOptions& options, ImageSource& source,
         ImageSink& sink, Copied* copied)
      : op_(op), from_(from), options_(options), source_(source), sink_(sink), copied_(copied) {}

  // Sign has the signer, if there is one, sign a manifest for the destination's name.
  absl::Status Sign(const Descriptor& d, bool root) {
    if (!options_.sign) return absl::OkStatus();
    COAM_ASSIGN_OR_RETURN(const auto signatures,
                          options_.sign(d.digest.str(), options_.sign_identity));
    return sink_.PutSignatures(op_, d, root, signatures, options_.stores);
  }

  // What a manifest or index names goes to the sink; the document itself is the caller's.
  absl::Status CopyBelow(const Descriptor& d, std::string_view bytes, int depth) {
    COAM_RETURN_IF_ERROR(op_.Check());
    if (depth > kMaxNesting) {
      return base::Fail("oci.cycle") << "indexes are nested more than " << kMaxNesting << " deep";
    }
    MediaKind kind = KindOfMediaType(d.media_type);
    if (kind == MediaKind::kManifest) return CopyManifest(d, bytes);
    if (kind != MediaKind::kIndex) return absl::OkStatus();
    COAM_ASSIGN_OR_RETURN(Index index, ParseIndex(bytes, d.media_type, op_.limits()));
    if (!open_.insert(d.digest).second) {
      return base::Fail("oci.cycle") << "index " << d.digest.str() << " names itself";
    }
    for (const Descriptor& entry : index.manifests) {
      if (!done_.insert(entry.digest).second) continue;
      MediaKind entry_kind = KindOfMediaType(entry.media_type);
      if (entry_kind != MediaKind::kManifest && entry_kind != MediaKind::kIndex) {
        // Not known, but named: copied as the bytes it is.
        COAM_RETURN_IF_ERROR(sink_.PutBlobs(op_, source_, {entry}, copied_));
        continue;
      }
      COAM_ASSIGN_OR_RETURN(std::string inner, source_.ReadDocument(op_, entry));
      if (options_.trust != nullptr) {
        COAM_RETURN_IF_ERROR(options_.trust->Check(op_, source_, from_, entry));
      }
      COAM_RETURN_IF_ERROR(CopyBelow(entry, inner, depth + 1));
      COAM_RETURN_IF_ERROR(Sign(entry, false));
      COAM_RETURN_IF_ERROR(sink_.PutManifest(op_, entry, inner));
    }
    open_.erase(d.digest);
    return absl::OkStatus();
  }

 private:
  absl::Status CopyManifest(const Descriptor& d, std::string_view bytes) {
    COAM_ASSIGN_OR_RETURN(Manifest manifest, ParseManifest(bytes, d.media_type, op_.limits()));
    std::vector<Descriptor> blobs;
    const auto add = [&](const Descriptor& blob) {
      // Foreign layers stay where their URLs say (image-spec, "Non-Distributable Layers").
      if (KindOfMediaType(blob.media_type) == MediaKind::kForeignLayer && !blob.urls.empty()) {
        return;
      }
      if (done_.insert(blob.digest).second) blobs.push_back(blob);
    };
    for (const Descriptor& layer : manifest.layers) add(layer);
    add(manifest.config);
    return sink_.PutBlobs(op_, source_, blobs, copied_);
  }

  const base::Op& op_;
  const ImageName& from_;
  const CopyOptions& options_;
  ImageSource& source_;
  ImageSink& sink_;
  Copied* copied_;
  std::set<base::Digest> done_, open_;
};

}  // namespace

absl::StatusOr<Copied> Copy(const base::Op& op, const Env& env, const ImageName& from,
                            const ImageName& to, const CopyOptions& options) {
  COAM_ASSIGN_OR_RETURN(std::unique_ptr<ImageSource> source, OpenSource(op, env, from));
  const ImageTransport* transport = FindTransport(to.transport);
  if (transport == nullptr) return base::Fail("oci.transport") << "no such transport";
  COAM_ASSIGN_OR_RETURN(std::unique_ptr<ImageSink> sink, transport->open_sink(op, env, to));

  Copied copied;
  std::string bytes;
  if (options.all) {
    COAM_ASSIGN_OR_RETURN(ManifestAnswer root, source->Root(op));
    if (options.trust != nullptr) {
      COAM_RETURN_IF_ERROR(options.trust->Check(op, *source, from, root.descriptor));
    }
    copied.descriptor = std::move(root.descriptor);
    bytes = std::move(root.bytes);
  } else {
    ImageDocuments documents;
    OpenOptions open{options.platform, options.trust};
    absl::Status loaded = LoadImage(op, *source, from, open, &documents);
    if (!loaded.ok()) return base::Wrap(loaded, from.ToString());
    copied.descriptor = std::move(documents.descriptor);
    bytes = std::move(documents.manifest_bytes);
  }
  // The name of the source is not part of the image, nor is its platform of what a layout names.
  Descriptor& d = copied.descriptor;
  Descriptor plain;
  plain.media_type = d.media_type;
  plain.digest = d.digest;
  plain.size = d.size;
  d = std::move(plain);

  Copier copier(op, from, options, *source, *sink, &copied);
  COAM_RETURN_IF_ERROR(copier.CopyBelow(d, bytes, 0));
  if (to.transport == "docker" && !to.reference.digest.empty() && to.reference.digest != d.digest) {
    return base::Fail("core.invalid_argument")
           << "the image is " << d.digest.str() << " and cannot be pushed as "
           << to.reference.digest.str();
  }
  COAM_RETURN_IF_ERROR(copier.Sign(d, true));
  COAM_RETURN_IF_ERROR(sink->Commit(op, d, bytes, options.extra_tags));
  return copied;
}

}  // namespace coaming::oci
