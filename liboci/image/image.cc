#include "liboci/image/image.h"

#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/stream/compression.h"
#include "base/stream/filter.h"
#include "base/stream/threaded.h"
#include "liboci/image/image_rep.h"
#include "liboci/spec/image/image_spec.h"

namespace coaming::oci {
namespace {

constexpr int kMaxNesting = 8;

// Chooser walks an index, and those that it names, to the manifest for a platform.
class Chooser {
 public:
  Chooser(const base::Op& op, ImageSource& source, const Platform& want)
      : op_(op), source_(source), want_(want) {}

  // Gives the manifest's descriptor, or oci.no_platform.
  absl::StatusOr<Descriptor> Choose(const Descriptor& d, std::string_view bytes, int depth) {
    if (depth > kMaxNesting || !seen_.insert(d.digest).second) {
      return base::Fail("oci.cycle")
             << "index " << d.digest.str() << " names itself, or indexes are nested more than "
             << kMaxNesting << " deep";
    }
    COAM_ASSIGN_OR_RETURN(Index index, ParseIndex(bytes, d.media_type, op_.limits()));
    std::vector<std::optional<Platform>> platforms;
    std::vector<const Descriptor*> manifests;
    for (const Descriptor& entry : index.manifests) {
      if (KindOfMediaType(entry.media_type) != MediaKind::kManifest) continue;
      // What buildkit files its attestations under.
      if (entry.platform.has_value() && entry.platform->os == "unknown" &&
          entry.platform->architecture == "unknown") {
        continue;
      }
      platforms.push_back(entry.platform);
      manifests.push_back(&entry);
      if (entry.platform.has_value()) known_.insert(entry.platform->ToString());
    }
    int best = ChoosePlatform(platforms, want_);
    if (best >= 0) return *manifests[best];
    for (const Descriptor& entry : index.manifests) {
      if (KindOfMediaType(entry.media_type) != MediaKind::kIndex) continue;
      if (entry.platform.has_value() && PlatformRank(*entry.platform, want_) < 0) continue;
      COAM_RETURN_IF_ERROR(op_.Check());
      COAM_ASSIGN_OR_RETURN(std::string inner, source_.ReadDocument(op_, entry));
      absl::StatusOr<Descriptor> found = Choose(entry, inner, depth + 1);
      if (!base::HasReason(found.status(), "oci.no_platform")) return found;
    }
    std::string list;
    int listed = 0;
    for (const std::string& platform : known_) {
      if (++listed > 20) break;
      absl::StrAppend(&list, list.empty() ? "" : ", ", platform.substr(0, 60));
    }
    return base::Fail("oci.no_platform") << "the index has no image for " << want_.ToString()
                                         << (list.empty() ? std::string("; it has none at all")
                                                          : absl::StrCat("; it has ", list));
  }

 private:
  const base::Op& op_;
  ImageSource& source_;
  const Platform& want_;
  std::set<base::Digest> seen_;
  std::set<std::string> known_;
};

}  // namespace

absl::Status ChooseManifest(const base::Op& op, ImageSource& source,
                            const std::optional<Platform>& platform, ImageDocuments* out) {
  COAM_ASSIGN_OR_RETURN(ManifestAnswer root, source.Root(op));
  out->root = std::move(root.descriptor);
  out->root_bytes = std::move(root.bytes);
  MediaKind kind = KindOfMediaType(out->root.media_type);
  if (kind == MediaKind::kIndex) {
    Platform want = platform.value_or(Platform::Host());
    Chooser chooser(op, source, want);
    COAM_ASSIGN_OR_RETURN(out->descriptor, chooser.Choose(out->root, out->root_bytes, 0));
    COAM_ASSIGN_OR_RETURN(out->manifest_bytes, source.ReadDocument(op, out->descriptor));
  } else if (kind == MediaKind::kManifest) {
    out->descriptor = out->root;
    out->manifest_bytes = out->root_bytes;
  } else if (kind == MediaKind::kSchema1) {
    return base::Fail("oci.schema1") << "the manifest is of Docker's schema 1, which is obsolete";
  } else {
    return base::Fail("oci.unsupported")
           << "media type " << out->root.media_type << " is neither a manifest nor an index";
  }
  return absl::OkStatus();
}

absl::Status LoadImage(const base::Op& op, ImageSource& source, const ImageName& name,
                       const OpenOptions& options, ImageDocuments* out) {
  COAM_RETURN_IF_ERROR(ChooseManifest(op, source, options.platform, out));
  if (options.trust != nullptr) {
    COAM_RETURN_IF_ERROR(options.trust->Check(op, source, name, out->descriptor));
  }
  COAM_ASSIGN_OR_RETURN(
      out->manifest, ParseManifest(out->manifest_bytes, out->descriptor.media_type, op.limits()));
  COAM_ASSIGN_OR_RETURN(out->config_bytes, source.ReadDocument(op, out->manifest.config));
  if (out->manifest.IsImage()) {
    COAM_ASSIGN_OR_RETURN(out->config, ParseImageConfig(out->config_bytes, op.limits()));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<ImageSource>> OpenSource(const base::Op& op, const Env& env,
                                                        const ImageName& name) {
  const ImageTransport* transport = FindTransport(name.transport);
  if (transport == nullptr) {
    return base::Fail("oci.transport") << "no transport is called \"" << name.transport << "\"";
  }
  return transport->open_source(op, env, name);
}

Image::Image(std::unique_ptr<Rep> rep) : rep_(std::move(rep)) {}
Image::~Image() = default;

absl::StatusOr<std::shared_ptr<Image>> Image::Open(const base::Op& op, const Env& env,
                                                   const ImageName& name,
                                                   const OpenOptions& options) {
  auto rep = std::make_unique<Rep>();
  rep->name = name;
  rep->threads = env.threads;
  COAM_ASSIGN_OR_RETURN(rep->source, OpenSource(op, env, name));
  absl::Status loaded = LoadImage(op, *rep->source, name, options, &rep->documents);
  if (!loaded.ok()) return base::Wrap(loaded, name.ToString());
  return std::shared_ptr<Image>(new Image(std::move(rep)));
}

const ImageName& Image::name() const { return rep_->name; }
const Descriptor& Image::root() const { return rep_->documents.root; }
const std::string& Image::root_bytes() const { return rep_->documents.root_bytes; }
const Descriptor& Image::descriptor() const { return rep_->documents.descriptor; }
const std::string& Image::manifest_bytes() const { return rep_->documents.manifest_bytes; }
const Manifest& Image::manifest() const { return rep_->documents.manifest; }
const ImageConfig& Image::config() const { return rep_->documents.config; }
const std::string& Image::config_bytes() const { return rep_->documents.config_bytes; }

absl::StatusOr<std::unique_ptr<base::Reader>> Image::OpenLayer(const base::Op& op, size_t index) {
  if (index >= manifest().layers.size()) {
    return base::Fail("core.invalid_argument")
           << name().ToString() << " has " << manifest().layers.size() << " layers; there is no "
           << index;
  }
  return rep_->source->OpenBlob(op, manifest().layers[index]);
}

absl::StatusOr<std::unique_ptr<base::Reader>> Image::OpenLayerTar(const base::Op& op,
                                                                  size_t index) {
  if (!manifest().IsImage()) {
    return base::Fail("oci.unsupported") << name().ToString() << " is an artifact of type "
                                         << manifest().ArtifactType() << ", not an image";
  }
  if (config().diff_ids.size() != manifest().layers.size()) {
    return base::Fail("oci.manifest") << name().ToString() << " has " << manifest().layers.size()
                                      << " layers and " << config().diff_ids.size() << " DiffIDs";
  }
  COAM_ASSIGN_OR_RETURN(std::unique_ptr<base::Reader> stored, OpenLayer(op, index));
  const Descriptor& layer = manifest().layers[index];
  MediaKind kind = KindOfMediaType(layer.media_type);
  bool tar = kind == MediaKind::kLayer || kind == MediaKind::kForeignLayer ||
             base::CompressionOfMediaType(layer.media_type).has_value();
  if (!tar) {
    return base::Fail("oci.unsupported") << "layer " << layer.digest.str() << " is of type "
                                         << layer.media_type << ", which cannot be unpacked";
  }
  // The magic decides, not the media type: layers that say gzip and are none exist.
  COAM_ASSIGN_OR_RETURN(
      std::unique_ptr<base::Reader> plain,
      base::NewAutoDecompressor(std::move(stored), {.limits = &op.limits()}, nullptr));
  const base::Digest& diff_id = config().diff_ids[index];
  return std::make_unique<base::VerifyingReader>(
      std::move(plain), diff_id, -1,
      absl::StrCat("uncompressed layer ", layer.digest.str(), " (DiffID ", diff_id.str(), ")"));
}

absl::StatusOr<std::vector<Descriptor>> Image::Referrers(const base::Op& op,
                                                         std::string_view artifact_type) {
  return rep_->source->Referrers(op, descriptor(), artifact_type);
}

absl::StatusOr<std::vector<std::string>> ListNames(const base::Op& op, const Env& env,
                                                   const ImageName& name) {
  const ImageTransport* transport = FindTransport(name.transport);
  if (transport == nullptr) return base::Fail("oci.transport") << "no such transport";
  return transport->list(op, env, name);
}

absl::StatusOr<Descriptor> Resolve(const base::Op& op, const Env& env, const ImageName& name) {
  COAM_ASSIGN_OR_RETURN(std::unique_ptr<ImageSource> source, OpenSource(op, env, name));
  COAM_ASSIGN_OR_RETURN(ManifestAnswer root, source->Root(op));
  return std::move(root.descriptor);
}

absl::StatusOr<std::vector<Descriptor>> ListReferrers(const base::Op& op, const Env& env,
                                                      const ImageName& name,
                                                      std::string_view artifact_type) {
  COAM_ASSIGN_OR_RETURN(std::unique_ptr<ImageSource> source, OpenSource(op, env, name));
  COAM_ASSIGN_OR_RETURN(ManifestAnswer root, source->Root(op));
  return source->Referrers(op, root.descriptor, artifact_type);
}

absl::Status Login(const base::Op& op, const Env& env, std::string_view host,
                   const std::string& authfile) {
  if (!IsRegistryHost(host)) {
    return base::Fail("oci.reference") << "\"" << host.substr(0, 200) << "\" is no registry host";
  }
  const auto& given = env.registry.credentials.given;
  if (!given.has_value() || authfile.empty()) {
    return base::Fail("core.invalid_argument")
           << "a login needs credentials and an authfile to keep them in";
  }
  COAM_RETURN_IF_ERROR(Registry(env.transport, env.registry).Ping(op, host));
  return SaveCredential(op, authfile, host, given->username, given->password);
}

absl::Status Remove(const base::Op& op, const Env& env, const ImageName& name) {
  const ImageTransport* transport = FindTransport(name.transport);
  if (transport == nullptr) return base::Fail("oci.transport") << "no such transport";
  return transport->remove(op, env, name);
}

}  // namespace coaming::oci
