// docker://HOST/REPOSITORY[:TAG|@DIGEST]: a registry.
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/digest/hasher.h"
#include "base/stream/stream.h"
#include "liboci/image/transports.h"
#include "liboci/spec/image/image_spec.h"
#include "libtrust/policy/signature_blob.h"

namespace coaming::oci {
namespace {

// Where cosign keeps the signatures of a manifest.
Reference AttachmentOf(const Reference& repository, const base::Digest& digest) {
  Reference out = repository;
  out.digest = base::Digest();
  out.tag = absl::StrCat(digest.algorithm(), "-", digest.encoded(), ".sig");
  return out;
}

class RegistrySource final : public ImageSource {
 public:
  RegistrySource(const Env& env, Reference reference)
      : transport_(env.transport),
        registry_(env.transport, env.registry),
        reference_(std::move(reference)) {}

  absl::StatusOr<ManifestAnswer> Root(const base::Op& op) override {
    return registry_.GetManifest(op, reference_);
  }
  absl::StatusOr<std::string> ReadDocument(const base::Op& op, const Descriptor& d) override {
    MediaKind kind = KindOfMediaType(d.media_type);
    if (kind == MediaKind::kManifest || kind == MediaKind::kIndex) {
      Reference by_digest = reference_;
      by_digest.tag.clear();
      by_digest.digest = d.digest;
      COAM_ASSIGN_OR_RETURN(ManifestAnswer answer, registry_.GetManifest(op, by_digest));
      if (answer.descriptor.size != d.size) {
        return base::Fail("digest.size_mismatch")
               << "manifest " << d.digest.str() << " has " << answer.descriptor.size
               << " bytes, not " << d.size;
      }
      return std::move(answer.bytes);
    }
    if (d.size > op.limits().manifest_bytes) {
      return base::FailLimit("manifest_bytes", op.limits().manifest_bytes)
             << "document " << d.digest.str() << " has " << d.size << " bytes";
    }
    COAM_ASSIGN_OR_RETURN(std::unique_ptr<base::Reader> reader, OpenBlob(op, d));
    return base::ReadAll(*reader, op.limits(), &base::Limits::manifest_bytes);
  }
  absl::StatusOr<std::unique_ptr<base::Reader>> OpenBlob(const base::Op& op,
                                                         const Descriptor& d) override {
    return registry_.OpenBlob(op, reference_, d);
  }
  absl::Status FetchBlobs(const base::Op& op, std::span<const Registry::BlobJob> jobs) override {
    return registry_.FetchBlobs(op, reference_, jobs);
  }
  absl::StatusOr<std::vector<Descriptor>> Referrers(const base::Op& op, const Descriptor& d,
                                                    std::string_view artifact_type) override {
    Reference subject = reference_;
    subject.digest = d.digest;
    return registry_.Referrers(op, subject, artifact_type);
  }
  absl::StatusOr<std::vector<trust::PolicySignature>> Signatures(
      const base::Op& op, const Descriptor& d, const trust::SignatureStores& stores) override {
    std::vector<trust::PolicySignature> out;
    const trust::SignatureStore store = stores.For(reference_.ToString());
    if (!store.lookaside.empty()) {
      COAM_ASSIGN_OR_RETURN(out,
                            ReadLookaside(op, transport_, store.lookaside, reference_, d.digest));
    }
    if (store.sigstore_attachments) COAM_RETURN_IF_ERROR(ReadAttachments(op, d, &out));
    return out;
  }
  const Reference* repository() const override { return &reference_; }

 private:
  // cosign's place by tag: an image whose layers are payloads.
  absl::Status ReadAttachments(const base::Op& op, const Descriptor& d,
                               std::vector<trust::PolicySignature>* out) {
    const Reference place = AttachmentOf(reference_, d.digest);
    absl::StatusOr<ManifestAnswer> answer = registry_.GetManifest(op, place);
    if (base::HasReason(answer.status(), "oci.not_found")) return absl::OkStatus();
    COAM_RETURN_IF_ERROR(answer.status());
    COAM_ASSIGN_OR_RETURN(const Manifest manifest,
                          ParseManifest(answer->bytes, answer->descriptor.media_type, op.limits()));
    for (const Descriptor& layer : manifest.layers) {
      const std::string* signature = FindPair(layer.annotations, trust::kCosignAnnotation);
      if (layer.media_type != trust::kCosignPayloadType || signature == nullptr) continue;
      if (out->size() >= kMaxSignatures) {
        return base::FailLimit("signatures", kMaxSignatures)
               << "signatures at " << place.ToString();
      }
      if (layer.size > op.limits().signature_bytes) {
        return base::FailLimit("signature_bytes", op.limits().signature_bytes)
               << "a signature at " << place.ToString();
      }
      trust::PolicySignature one;
      one.kind = trust::PolicySignature::Kind::kSigstore;
      one.signature = *signature;
      COAM_ASSIGN_OR_RETURN(std::unique_ptr<base::Reader> reader,
                            registry_.OpenBlob(op, place, layer));
      COAM_ASSIGN_OR_RETURN(one.bytes,
                            base::ReadAll(*reader, op.limits(), &base::Limits::signature_bytes));
      out->push_back(std::move(one));
    }
    return absl::OkStatus();
  }

  base::Transport* transport_;
  Registry registry_;
  Reference reference_;
};

class RegistrySink final : public ImageSink {
 public:
  RegistrySink(const Env& env, Reference reference)
      : registry_(env.transport, env.registry), reference_(std::move(reference)) {}

  absl::Status PutBlobs(const base::Op& op, ImageSource& source,
                        const std::vector<Descriptor>& blobs, Copied* copied) override {
    const Reference* from = source.repository();
    std::string mount;
    if (from != nullptr && from->host == reference_.host &&
        from->repository != reference_.repository) {
      mount = from->repository;
    }
    for (const Descriptor& d : blobs) {
      COAM_RETURN_IF_ERROR(op.Check());
      COAM_ASSIGN_OR_RETURN(Registry::PushResult result,
                            registry_.PushBlob(
                                op, reference_, d, [&] { return source.OpenBlob(op, d); }, mount));
      if (result == Registry::PushResult::kUploaded) {
        ++copied->blobs_copied;
        copied->bytes_copied += d.size;
      } else {
        ++copied->blobs_reused;
      }
    }
    return absl::OkStatus();
  }
  absl::Status PutManifest(const base::Op& op, const Descriptor& d,
                           std::string_view bytes) override {
    Reference by_digest = reference_;
    by_digest.tag.clear();
    by_digest.digest = d.digest;
    return registry_.PutManifest(op, by_digest, bytes, d.media_type).status();
  }
  absl::Status PutSignatures(const base::Op& op, const Descriptor& d, bool root,
                             const std::vector<trust::PolicySignature>& signatures,
                             const trust::SignatureStores& stores) override {
    const trust::SignatureStore store = stores.For(reference_.ToString());
    for (const trust::PolicySignature& signature : signatures) {
      const bool attach =
          signature.kind == trust::PolicySignature::Kind::kSigstore && store.sigstore_attachments;
      COAM_RETURN_IF_ERROR(
          attach ? Attach(op, d, signature)
                 : WriteLookaside(op, store.staging, reference_, d.digest, signature));
    }
    return absl::OkStatus();
  }
  absl::Status Commit(const base::Op& op, const Descriptor& d, std::string_view bytes,
                      const std::vector<std::string>& extra_tags) override {
    COAM_RETURN_IF_ERROR(registry_.PutManifest(op, reference_, bytes, d.media_type).status());
    for (const std::string& tag : extra_tags) {
      Reference also = reference_;
      also.digest = base::Digest();
      also.tag = tag;
      if (!IsTag(tag)) return base::Fail("oci.reference") << "\"" << tag << "\" is not a tag";
      COAM_RETURN_IF_ERROR(registry_.PutManifest(op, also, bytes, d.media_type).status());
    }
    return absl::OkStatus();
  }

 private:
  absl::Status Push(const base::Op& op, const Descriptor& d, const std::string& bytes) {
    return registry_
        .PushBlob(op, reference_, d,
                  [&]() -> absl::StatusOr<std::unique_ptr<base::Reader>> {
                    return std::make_unique<base::StringReader>(bytes);
                  })
        .status();
  }

  // Adds a signature to cosign's image of signatures, or begins one.
  absl::Status Attach(const base::Op& op, const Descriptor& d,
                      const trust::PolicySignature& signature) {
    const Reference place = AttachmentOf(reference_, d.digest);
    Manifest manifest;
    ImageConfig config;
    absl::StatusOr<ManifestAnswer> old = registry_.GetManifest(op, place);
    if (old.ok()) {
      COAM_ASSIGN_OR_RETURN(manifest,
                            ParseManifest(old->bytes, old->descriptor.media_type, op.limits()));
    } else if (!base::HasReason(old.status(), "oci.not_found")) {
      return old.status();
    }
    manifest.media_type = media::kManifest;
    Descriptor layer;
    layer.media_type = trust::kCosignPayloadType;
    layer.digest = base::Sha256(signature.bytes);
    layer.size = static_cast<int64_t>(signature.bytes.size());
    SetPair(&layer.annotations, trust::kCosignAnnotation, signature.signature);
    COAM_RETURN_IF_ERROR(Push(op, layer, signature.bytes));
    manifest.layers.push_back(std::move(layer));
    for (const Descriptor& one : manifest.layers) config.diff_ids.push_back(one.digest);
    const std::string text = WriteImageConfig(config);
    manifest.config = Descriptor();
    manifest.config.media_type = media::kConfig;
    manifest.config.digest = base::Sha256(text);
    manifest.config.size = static_cast<int64_t>(text.size());
    COAM_RETURN_IF_ERROR(Push(op, manifest.config, text));
    return registry_.PutManifest(op, place, WriteManifest(manifest), media::kManifest).status();
  }

  Registry registry_;
  Reference reference_;
};

}  // namespace

absl::Status DockerParse(std::string_view rest, bool tagless, ImageName* out) {
  if (!rest.starts_with("//")) {
    return base::Fail("oci.transport")
           << "\"docker:" << rest.substr(0, 200) << "\": two slashes follow docker:";
  }
  rest.remove_prefix(2);
  COAM_ASSIGN_OR_RETURN(out->reference,
                        tagless ? Reference::ParseRepository(rest) : Reference::Parse(rest));
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<ImageSource>> DockerSource(const base::Op& op, const Env& env,
                                                          const ImageName& name) {
  return std::make_unique<RegistrySource>(env, name.reference);
}

absl::StatusOr<std::unique_ptr<ImageSink>> DockerSink(const base::Op& op, const Env& env,
                                                      const ImageName& name) {
  return std::make_unique<RegistrySink>(env, name.reference);
}

absl::StatusOr<std::vector<std::string>> DockerList(const base::Op& op, const Env& env,
                                                    const ImageName& name) {
  return Registry(env.transport, env.registry).ListTags(op, name.reference);
}

absl::Status DockerRemove(const base::Op& op, const Env& env, const ImageName& name) {
  return Registry(env.transport, env.registry).DeleteManifest(op, name.reference);
}

}  // namespace coaming::oci
