// Images of coaming/oci.h: open, pull, unpack, layers.
#include <coaming/oci.h>

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "capi/src/boundary.h"
#include "capi/src/call.h"
#include "capi/src/job.h"
#include "capi/src/oci_options.h"
#include "capi/src/options.h"
#include "liboci/image/describe.h"
#include "liboci/image/image.h"
#include "liboci/image/layer_stream.h"

namespace base = coaming::base;
namespace capi = coaming::capi;
namespace oci = coaming::oci;

struct coam_oci_image : capi::Object {
  coam_oci_image(oci::Web w, std::shared_ptr<oci::Image> i)
      : web(std::move(w)),
        image(std::move(i)),
        name(image->name().ToString()),
        json(oci::DescribeImage(*image)) {}
  const oci::Web web;  // before the image, whose source uses it
  const std::shared_ptr<oci::Image> image;
  const std::string name, json;
  capi::BusyFlag busy;
};

struct coam_oci_layer : capi::Object {
  capi::Ref<coam_oci_image> image;
  capi::Ref<coam_context> context;
  std::unique_ptr<coam_options> options;  // its cancel and deadline are used until the end
  std::unique_ptr<capi::Call> call;
  std::unique_ptr<oci::LayerStream> stream;
  capi::BusyFlag busy;
};

namespace {

constexpr char kOpen[] = "oci.open";
constexpr char kPull[] = "oci.pull";
constexpr char kUnpack[] = "oci.unpack";

absl::StatusOr<coam_oci_image*> Open(const base::Op& op, const std::string& text,
                                     const coam_options* options, bool threads) {
  COAM_ASSIGN_OR_RETURN(const auto opt, capi::OptionReader::For(kOpen, options));
  COAM_ASSIGN_OR_RETURN(oci::ImageName name, oci::ImageName::Parse(text));
  COAM_ASSIGN_OR_RETURN(oci::Web web, capi::OpenWeb(op, opt, threads));
  oci::OpenOptions open;
  COAM_ASSIGN_OR_RETURN(open.platform, capi::ReadPlatform(opt));
  COAM_ASSIGN_OR_RETURN(open.trust, capi::ReadTrust(op, opt));
  COAM_ASSIGN_OR_RETURN(auto image, oci::Image::Open(op, web.env, name, open));
  return new coam_oci_image(std::move(web), std::move(image));
}

absl::StatusOr<coam_oci_image*> Pull(const base::Op& op, const std::string& text,
                                     const std::string& layout, const std::string& layout_name,
                                     const coam_options* options, bool threads) {
  COAM_ASSIGN_OR_RETURN(const auto opt, capi::OptionReader::For(kPull, options));
  COAM_ASSIGN_OR_RETURN(oci::ImageName from, oci::ImageName::Parse(text));
  oci::ImageName to;
  to.transport = "oci";
  to.path = layout;
  to.name = layout_name;
  if (to.name.empty()) {
    to.name = from.transport == "docker" ? from.reference.Familiar() : from.name;
  }
  COAM_ASSIGN_OR_RETURN(oci::Web web, capi::OpenWeb(op, opt, threads));
  COAM_ASSIGN_OR_RETURN(oci::CopyOptions copy, capi::ReadCopyOptions(op, opt));
  COAM_RETURN_IF_ERROR(oci::Copy(op, web.env, from, to, copy).status());
  oci::OpenOptions open;
  open.platform = copy.platform;
  COAM_ASSIGN_OR_RETURN(auto image, oci::Image::Open(op, web.env, to, open));
  return new coam_oci_image(std::move(web), std::move(image));
}

absl::StatusOr<coam_buf*> Unpack(const base::Op& op, coam_oci_image* image,
                                 const std::string& directory, const coam_options* options) {
  COAM_ASSIGN_OR_RETURN(const auto opt, capi::OptionReader::For(kUnpack, options));
  COAM_ASSIGN_OR_RETURN(const oci::UnpackOptions unpack, capi::ReadUnpackOptions(opt));
  if (!image->busy.Enter()) {
    return base::Fail("core.reentered") << image->name << " is being unpacked or read";
  }
  absl::StatusOr<oci::Unpacked> done = image->image->Unpack(op, directory, unpack);
  image->busy.Leave();
  COAM_RETURN_IF_ERROR(done.status());
  return new coam_buf(oci::DescribeUnpacked(*done));
}

coam_str Bytes(const coam_oci_image* image, const std::string& (oci::Image::*get)() const) {
  return COAM_BOUNDARY_VALUE((coam_str{"", 0}), {
    if (image == nullptr) return coam_str{"", 0};
    return capi::View((*image->image.*get)());
  });
}

}  // namespace

coam_oci_image* coam_oci_image_ref(coam_oci_image* image) { return COAM_BOUNDARY_REF(image); }
void coam_oci_image_free(coam_oci_image* image) { COAM_BOUNDARY_FREE(image); }

coam_code coam_oci_open(coam_context* context, const char* name, const coam_options* options,
                        coam_oci_image** ret_image, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(name, "name"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_image, "ret_image"));
    const capi::Call call(context, options);
    COAM_ASSIGN_OR_RETURN(*ret_image, Open(call.op(), name, options, capi::AllowsThreads(context)));
    return absl::OkStatus();
  });
}

coam_code coam_oci_open_start(coam_context* context, const char* name, const coam_options* options,
                              coam_job** ret_job, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(name, "name"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_job, "ret_job"));
    COAM_RETURN_IF_ERROR(capi::OptionReader::For(kOpen, options).status());
    COAM_ASSIGN_OR_RETURN(
        *ret_job,
        capi::StartJob(kOpen, context, options,
                       [name = std::string(name)](const base::Op& op, const coam_options* copy)
                           -> absl::StatusOr<capi::Ref<capi::Object>> {
                         COAM_ASSIGN_OR_RETURN(coam_oci_image * image, Open(op, name, copy, true));
                         return capi::Ref<capi::Object>::Adopt(image);
                       }));
    return absl::OkStatus();
  });
}

coam_code coam_oci_open_finish(coam_job* job, coam_oci_image** ret_image, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_image, "ret_image"));
    COAM_ASSIGN_OR_RETURN(*ret_image, capi::FinishJob<coam_oci_image>(job, kOpen));
    return absl::OkStatus();
  });
}

coam_code coam_oci_pull(coam_context* context, const char* name, const char* layout,
                        const char* layout_name, const coam_options* options,
                        coam_oci_image** ret_image, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(name, "name"));
    COAM_RETURN_IF_ERROR(capi::NotNull(layout, "layout"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_image, "ret_image"));
    const capi::Call call(context, options);
    COAM_ASSIGN_OR_RETURN(*ret_image,
                          Pull(call.op(), name, layout, layout_name == nullptr ? "" : layout_name,
                               options, capi::AllowsThreads(context)));
    return absl::OkStatus();
  });
}

coam_code coam_oci_pull_start(coam_context* context, const char* name, const char* layout,
                              const char* layout_name, const coam_options* options,
                              coam_job** ret_job, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(name, "name"));
    COAM_RETURN_IF_ERROR(capi::NotNull(layout, "layout"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_job, "ret_job"));
    COAM_RETURN_IF_ERROR(capi::OptionReader::For(kPull, options).status());
    COAM_ASSIGN_OR_RETURN(
        *ret_job,
        capi::StartJob(kPull, context, options,
                       [name = std::string(name), layout = std::string(layout),
                        layout_name = std::string(layout_name == nullptr ? "" : layout_name)](
                           const base::Op& op,
                           const coam_options* copy) -> absl::StatusOr<capi::Ref<capi::Object>> {
                         COAM_ASSIGN_OR_RETURN(coam_oci_image * image,
                                               Pull(op, name, layout, layout_name, copy, true));
                         return capi::Ref<capi::Object>::Adopt(image);
                       }));
    return absl::OkStatus();
  });
}

coam_code coam_oci_pull_finish(coam_job* job, coam_oci_image** ret_image, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_image, "ret_image"));
    COAM_ASSIGN_OR_RETURN(*ret_image, capi::FinishJob<coam_oci_image>(job, kPull));
    return absl::OkStatus();
  });
}

coam_str coam_oci_image_name(const coam_oci_image* image) {
  return COAM_BOUNDARY_VALUE((coam_str{"", 0}), {
    return image == nullptr ? coam_str{"", 0} : capi::View(image->name);
  });
}

coam_str coam_oci_image_digest(const coam_oci_image* image) {
  return COAM_BOUNDARY_VALUE((coam_str{"", 0}), {
    return image == nullptr ? coam_str{"", 0} : capi::View(image->image->descriptor().digest.str());
  });
}

coam_str coam_oci_image_manifest(const coam_oci_image* image) {
  return COAM_BOUNDARY_VALUE((coam_str{"", 0}),
                             { return Bytes(image, &oci::Image::manifest_bytes); });
}

coam_str coam_oci_image_config(const coam_oci_image* image) {
  return COAM_BOUNDARY_VALUE((coam_str{"", 0}),
                             { return Bytes(image, &oci::Image::config_bytes); });
}

coam_str coam_oci_image_index(const coam_oci_image* image) {
  return COAM_BOUNDARY_VALUE((coam_str{"", 0}), { return Bytes(image, &oci::Image::root_bytes); });
}

size_t coam_oci_image_layer_count(const coam_oci_image* image) {
  return COAM_BOUNDARY_VALUE(
      0, { return image == nullptr ? size_t{0} : image->image->manifest().layers.size(); });
}

coam_str coam_oci_image_json(const coam_oci_image* image) {
  return COAM_BOUNDARY_VALUE((coam_str{"", 0}), {
    return image == nullptr ? coam_str{"", 0} : capi::View(image->json);
  });
}

coam_code coam_oci_image_unpack(coam_oci_image* image, coam_context* context, const char* directory,
                                const coam_options* options, coam_buf** ret_json,
                                coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(image, "image"));
    COAM_RETURN_IF_ERROR(capi::NotNull(directory, "directory"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_json, "ret_json"));
    const capi::Call call(context, options);
    COAM_ASSIGN_OR_RETURN(*ret_json, Unpack(call.op(), image, directory, options));
    return absl::OkStatus();
  });
}

coam_code coam_oci_image_unpack_start(coam_oci_image* image, coam_context* context,
                                      const char* directory, const coam_options* options,
                                      coam_job** ret_job, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(image, "image"));
    COAM_RETURN_IF_ERROR(capi::NotNull(directory, "directory"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_job, "ret_job"));
    COAM_RETURN_IF_ERROR(capi::OptionReader::For(kUnpack, options).status());
    COAM_ASSIGN_OR_RETURN(
        *ret_job,
        capi::StartJob(
            kUnpack, context, options,
            [image = capi::Ref<coam_oci_image>::Share(image), directory = std::string(directory)](
                const base::Op& op,
                const coam_options* copy) -> absl::StatusOr<capi::Ref<capi::Object>> {
              COAM_ASSIGN_OR_RETURN(coam_buf * json, Unpack(op, image.get(), directory, copy));
              return capi::Ref<capi::Object>::Adopt(json);
            }));
    return absl::OkStatus();
  });
}

coam_code coam_oci_image_unpack_finish(coam_job* job, coam_buf** ret_json, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_json, "ret_json"));
    COAM_ASSIGN_OR_RETURN(*ret_json, capi::FinishJob<coam_buf>(job, kUnpack));
    return absl::OkStatus();
  });
}

coam_code coam_oci_image_open_layer(coam_oci_image* image, coam_context* context, size_t index,
                                    int32_t stored, const coam_options* options,
                                    coam_oci_layer** ret_layer, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(image, "image"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_layer, "ret_layer"));
    COAM_RETURN_IF_ERROR(capi::OptionReader::For("oci.layer", options).status());
    auto layer = capi::Ref<coam_oci_layer>::Adopt(new coam_oci_layer());
    layer->image = capi::Ref<coam_oci_image>::Share(image);
    layer->context = capi::Ref<coam_context>::Share(context);
    if (options != nullptr) layer->options = std::make_unique<coam_options>(*options);
    layer->call = std::make_unique<capi::Call>(context, layer->options.get());
    COAM_ASSIGN_OR_RETURN(layer->stream, oci::LayerStream::Open(layer->call->op(), *image->image,
                                                                index, stored != 0));
    *ret_layer = layer.Release();
    return absl::OkStatus();
  });
}

coam_oci_layer* coam_oci_layer_ref(coam_oci_layer* layer) { return COAM_BOUNDARY_REF(layer); }
void coam_oci_layer_free(coam_oci_layer* layer) { COAM_BOUNDARY_FREE(layer); }

coam_code coam_oci_layer_read(coam_oci_layer* layer, void* data, size_t size, size_t* ret_size,
                              coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(layer, "layer"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_size, "ret_size"));
    if (size == 0) {
      *ret_size = 0;
      return absl::OkStatus();
    }
    COAM_RETURN_IF_ERROR(capi::NotNull(data, "data"));
    if (!layer->busy.Enter()) return base::Fail("core.reentered") << "the layer is being read";
    absl::StatusOr<size_t> n = layer->stream->Read(static_cast<char*>(data), size);
    layer->busy.Leave();
    COAM_RETURN_IF_ERROR(n.status());
    *ret_size = *n;
    return absl::OkStatus();
  });
}
