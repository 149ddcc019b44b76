#include "liboci/image/build.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/digest/hasher.h"
#include "base/fs/dir.h"
#include "base/stream/compression.h"
#include "base/stream/filter.h"
#include "liboci/spec/image/image_spec.h"
#include "liboci/store/layout.h"

namespace coaming::oci {
namespace {

// Puts compressed bytes into a blob of the layout.
class BlobSinkWriter final : public base::Writer {
 public:
  explicit BlobSinkWriter(BlobWriter* blob) : blob_(blob) {}
  absl::Status Write(std::string_view bytes) override { return blob_->Write(bytes); }

 private:
  BlobWriter* blob_;
};

absl::StatusOr<Descriptor> AddLayer(const base::Op& op, Layout& layout, const base::Dir& tree,
                                    const BuildOptions& options, base::Digest* diff_id) {
  std::optional<base::Compression> compression = base::FindCompression(options.compression);
  bool good = compression == base::Compression::kNone || compression == base::Compression::kGzip ||
              compression == base::Compression::kZstd;
  if (!good) {
    return base::Fail("core.invalid_argument")
           << "layers are compressed by gzip, zstd or none, not \"" << options.compression << "\"";
  }
  COAM_ASSIGN_OR_RETURN(std::unique_ptr<BlobWriter> blob, layout.NewUnknownBlob(op));
  BlobSinkWriter sink(blob.get());
  std::unique_ptr<base::Writer> compressor;
  base::Writer* below = &sink;
  if (compression != base::Compression::kNone) {
    COAM_ASSIGN_OR_RETURN(compressor,
                          base::NewCompressor(*compression, &sink, {.level = options.level}));
    below = compressor.get();
  }
  base::Hasher hasher;
  base::HashingWriter plain(below, &hasher);
  COAM_RETURN_IF_ERROR(WriteLayer(op, tree, &plain, options.layer));
  if (compressor != nullptr) COAM_RETURN_IF_ERROR(compressor->Close());
  *diff_id = hasher.Finish();
  Descriptor d;
  d.media_type = compression == base::Compression::kNone   ? media::kLayerTar
                 : compression == base::Compression::kGzip ? media::kLayerGzip
                                                           : media::kLayerZstd;
  d.size = blob->size();
  COAM_ASSIGN_OR_RETURN(d.digest, blob->Commit());
  return d;
}

absl::StatusOr<Descriptor> PutDocument(const base::Op& op, Layout& layout, std::string_view type,
                                       const std::string& bytes) {
  Descriptor d;
  d.media_type = type;
  d.size = static_cast<int64_t>(bytes.size());
  COAM_ASSIGN_OR_RETURN(d.digest, layout.PutBlob(op, bytes));
  return d;
}

}  // namespace

absl::StatusOr<Descriptor> Build(const base::Op& op, Layout& layout, std::string_view name,
                                 const base::Dir* tree, const BuildOptions& options) {
  Manifest manifest;
  manifest.media_type = media::kManifest;
  ImageConfig config = options.config;
  config.diff_ids.clear();
  config.history.clear();
  if (options.base.has_value()) {
    COAM_ASSIGN_OR_RETURN(std::string bytes, layout.ReadBlob(op, *options.base));
    COAM_ASSIGN_OR_RETURN(Manifest below,
                          ParseManifest(bytes, options.base->media_type, op.limits()));
    COAM_ASSIGN_OR_RETURN(std::string config_bytes, layout.ReadBlob(op, below.config));
    COAM_ASSIGN_OR_RETURN(ImageConfig old, ParseImageConfig(config_bytes, op.limits()));
    manifest.layers = std::move(below.layers);
    for (Descriptor& layer : manifest.layers) layer.media_type = OciMediaType(layer.media_type);
    config.diff_ids = std::move(old.diff_ids);
    config.history = std::move(old.history);
  }
  if (config.platform.os.empty()) config.platform = Platform::Host();
  if (tree != nullptr) {
    base::Digest diff_id;
    COAM_ASSIGN_OR_RETURN(Descriptor layer, AddLayer(op, layout, *tree, options, &diff_id));
    manifest.layers.push_back(std::move(layer));
    config.diff_ids.push_back(std::move(diff_id));
  }
  if (tree != nullptr || !options.created_by.empty()) {
    History row;
    row.created = config.created;
    row.created_by = options.created_by;
    row.empty_layer = tree == nullptr;
    config.history.push_back(std::move(row));
  }
  COAM_ASSIGN_OR_RETURN(manifest.config,
                        PutDocument(op, layout, media::kConfig, WriteImageConfig(config)));
  manifest.annotations = options.annotations;
  COAM_ASSIGN_OR_RETURN(Descriptor made,
                        PutDocument(op, layout, media::kManifest, WriteManifest(manifest)));
  COAM_RETURN_IF_ERROR(layout.SetName(op, name, made));
  return made;
}

absl::StatusOr<Descriptor> BuildAt(const base::Op& op, const ImageName& to, std::string_view tree,
                                   std::string_view base_name, const BuildOptions& options) {
  if (to.transport != "oci") {
    return base::Fail("core.invalid_argument")
           << "images are built in a layout, oci:DIR[:NAME], not at " << to.ToString();
  }
  COAM_ASSIGN_OR_RETURN(std::shared_ptr<Layout> layout,
                        Layout::Open(op, to.path, {.create = true}));
  BuildOptions all = options;
  if (!base_name.empty()) {
    COAM_ASSIGN_OR_RETURN(all.base, layout->Find(op, base_name));
  }
  if (tree.empty()) return Build(op, *layout, to.name, nullptr, all);
  COAM_ASSIGN_OR_RETURN(base::Dir dir, base::Dir::Open(tree));
  return Build(op, *layout, to.name, &dir, all);
}

}  // namespace coaming::oci
