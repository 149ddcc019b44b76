// oci:DIRECTORY[:NAME]: an image layout.
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/digest/hasher.h"
#include "base/stream/stream.h"
#include "liboci/image/transports.h"

namespace coaming::oci {
namespace {

class LayoutSourceImpl final : public ImageSource {
 public:
  LayoutSourceImpl(std::shared_ptr<Layout> layout, std::string name)
      : layout_(std::move(layout)), name_(std::move(name)) {}

  absl::StatusOr<ManifestAnswer> Root(const base::Op& op) override {
    ManifestAnswer answer;
    COAM_ASSIGN_OR_RETURN(answer.descriptor, layout_->Find(op, name_));
    COAM_ASSIGN_OR_RETURN(answer.bytes, layout_->ReadBlob(op, answer.descriptor));
    return answer;
  }
  absl::StatusOr<std::string> ReadDocument(const base::Op& op, const Descriptor& d) override {
    return layout_->ReadBlob(op, d);
  }
  absl::StatusOr<std::unique_ptr<base::Reader>> OpenBlob(const base::Op& op,
                                                         const Descriptor& d) override {
    return layout_->OpenBlob(op, d);
  }
  const Layout* layout() const override { return layout_.get(); }

 private:
  std::shared_ptr<Layout> layout_;
  std::string name_;
};

class LayoutSinkImpl final : public ImageSink {
 public:
  LayoutSinkImpl(std::shared_ptr<Layout> layout, std::string name)
      : layout_(std::move(layout)), name_(std::move(name)) {}

  absl::Status PutBlobs(const base::Op& op, ImageSource& source,
                        const std::vector<Descriptor>& blobs, Copied* copied) override {
    std::vector<std::unique_ptr<BlobWriter>> writers;
    std::vector<Registry::BlobJob> jobs;
    for (const Descriptor& d : blobs) {
      absl::StatusOr<int64_t> have = layout_->BlobSize(d.digest);
      if (have.ok() && *have == d.size) {
        ++copied->blobs_reused;
        continue;
      }
      ++copied->blobs_copied;
      copied->bytes_copied += d.size;
      if (source.layout() != nullptr) {
        COAM_RETURN_IF_ERROR(layout_->LinkBlob(op, *source.layout(), d, /*hardlink=*/true));
        continue;
      }
      COAM_ASSIGN_OR_RETURN(std::unique_ptr<BlobWriter> writer, layout_->NewBlob(op, d));
      jobs.push_back({d, writer.get()});
      writers.push_back(std::move(writer));
    }
    return source.FetchBlobs(op, jobs);
  }
  absl::Status PutManifest(const base::Op& op, const Descriptor& d,
                           std::string_view bytes) override {
    COAM_RETURN_IF_ERROR(base::CheckDigest(d.digest, bytes, "manifest"));
    if (d.digest.algorithm_id() == base::DigestAlgorithm::kSha256) {
      return layout_->PutBlob(op, bytes).status();
    }
    COAM_ASSIGN_OR_RETURN(std::unique_ptr<BlobWriter> writer, layout_->NewBlob(op, d));
    COAM_RETURN_IF_ERROR(writer->Write(bytes));
    return writer->Commit().status();
  }
  absl::Status Commit(const base::Op& op, const Descriptor& d, std::string_view bytes,
                      const std::vector<std::string>& extra_tags) override {
    COAM_RETURN_IF_ERROR(PutManifest(op, d, bytes));
    COAM_RETURN_IF_ERROR(layout_->SetName(op, name_, d));
    for (const std::string& tag : extra_tags) {
      COAM_RETURN_IF_ERROR(layout_->SetName(op, tag, d));
    }
    return absl::OkStatus();
  }

 private:
  std::shared_ptr<Layout> layout_;
  std::string name_;
};

}  // namespace

absl::Status LayoutParse(std::string_view rest, bool tagless, ImageName* out) {
  // A name may hold colons ("oci:/dir:host:5000/app:1"); a path may not.
  size_t colon = rest.find(':');
  out->path = rest.substr(0, colon);
  if (colon != std::string_view::npos) out->name = rest.substr(colon + 1);
  if (out->path.empty()) {
    return base::Fail("oci.transport") << "\"" << out->transport << ":\" needs a path";
  }
  if (colon != std::string_view::npos && out->name.empty()) {
    return base::Fail("oci.transport")
           << "\"" << out->transport << ":" << rest << "\" ends in a colon without a name";
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<ImageSource>> LayoutSource(const base::Op& op, const Env& env,
                                                          const ImageName& name) {
  COAM_ASSIGN_OR_RETURN(std::shared_ptr<Layout> layout, Layout::Open(op, name.path));
  return std::make_unique<LayoutSourceImpl>(std::move(layout), name.name);
}

absl::StatusOr<std::unique_ptr<ImageSink>> LayoutSink(const base::Op& op, const Env& env,
                                                      const ImageName& name) {
  if (!name.name.empty() && !IsRefName(name.name)) {
    return base::Fail("oci.reference")
           << "\"" << name.name.substr(0, 200) << "\" cannot be a name in an image layout";
  }
  COAM_ASSIGN_OR_RETURN(std::shared_ptr<Layout> layout,
                        Layout::Open(op, name.path, {.create = true}));
  return std::make_unique<LayoutSinkImpl>(std::move(layout), name.name);
}

absl::StatusOr<std::vector<std::string>> LayoutList(const base::Op& op, const Env& env,
                                                    const ImageName& name) {
  COAM_ASSIGN_OR_RETURN(std::shared_ptr<Layout> layout, Layout::Open(op, name.path));
  COAM_ASSIGN_OR_RETURN(std::vector<Descriptor> all, layout->List(op));
  std::vector<std::string> names;
  for (const Descriptor& d : all) {
    if (!d.RefName().empty()) names.emplace_back(d.RefName());
  }
  return names;
}

absl::Status LayoutRemove(const base::Op& op, const Env& env, const ImageName& name) {
  COAM_ASSIGN_OR_RETURN(std::shared_ptr<Layout> layout, Layout::Open(op, name.path));
  return layout->RemoveName(op, name.name);
}

}  // namespace coaming::oci
