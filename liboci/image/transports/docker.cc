// docker://HOST/REPOSITORY[:TAG|@DIGEST]: a registry.
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/stream/stream.h"
#include "liboci/image/transports.h"

namespace coaming::oci {
namespace {

class RegistrySource final : public ImageSource {
 public:
  RegistrySource(const Env& env, Reference reference)
      : registry_(env.transport, env.registry), reference_(std::move(reference)) {}

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
  const Reference* repository() const override { return &reference_; }

 private:
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
