// Image files and builds of coaming/aci.h.
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "capi/src/aci.h"

namespace aci = coaming::aci;
namespace base = coaming::base;
namespace capi = coaming::capi;

namespace {

absl::StatusOr<aci::ManifestEdit> ReadEdit(const coam_options* edit, std::string* history) {
  COAM_ASSIGN_OR_RETURN(const auto opt, capi::OptionReader::For("aci.edit", edit));
  if (history != nullptr) *history = opt.String("history");
  return capi::ReadAciEdit(opt);
}

// The builder, unless it has ended.
absl::StatusOr<aci::BuildContext*> Alive(coam_aci_builder* builder) {
  COAM_RETURN_IF_ERROR(capi::NotNull(builder, "builder"));
  if (builder->context == nullptr) {
    return base::Fail("aci.build_state") << "the build has ended";
  }
  return builder->context.get();
}

absl::StatusOr<std::string> EditText(std::string_view manifest, const aci::ManifestEdit& edit,
                                     const base::Op& op) {
  aci::ParseOptions parse;
  parse.limits = &op.limits();
  parse.op = &op;
  aci::ImageManifest m;
  if (edit.replace.empty()) {
    COAM_ASSIGN_OR_RETURN(m, aci::ParseImageManifest(manifest, parse));
  }
  COAM_RETURN_IF_ERROR(aci::Apply(edit, m));
  return m.ToJson();
}

}  // namespace

coam_code coam_aci_inspect(coam_context* context, const char* path, const coam_options* options,
                           coam_buf** ret_json, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(path, "path"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_json, "ret_json"));
    COAM_ASSIGN_OR_RETURN(const auto opt, capi::OptionReader::For("aci.inspect", options));
    const capi::Call call(context, options);
    aci::ReadOptions read;
    read.strict = opt.Bool("strict");
    COAM_ASSIGN_OR_RETURN(const auto info, aci::ReadImageFile(path, read, call.op()));
    *ret_json = new coam_buf(aci::InfoJson(info));
    return absl::OkStatus();
  });
}

coam_code coam_aci_file_manifest(coam_context* context, const char* path, int32_t pretty,
                                 coam_buf** ret_json, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(path, "path"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_json, "ret_json"));
    const capi::Call call(context, nullptr);
    COAM_ASSIGN_OR_RETURN(std::string json, aci::ReadManifestOfFile(path, call.op()));
    if (pretty != 0) json = aci::PrettyJson(json);
    *ret_json = new coam_buf(std::move(json));
    return absl::OkStatus();
  });
}

coam_code coam_aci_validate(coam_context* context, const char* path, const coam_options* options,
                            coam_buf** ret_kind, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(path, "path"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_kind, "ret_kind"));
    COAM_ASSIGN_OR_RETURN(const auto opt, capi::OptionReader::For("aci.validate", options));
    const std::string type = opt.String("type");
    aci::WantKind want = aci::WantKind::kGuess;
    if (type == "appimage") {
      want = aci::WantKind::kImage;
    } else if (type == "layout") {
      want = aci::WantKind::kLayout;
    } else if (type == "manifest") {
      want = aci::WantKind::kManifest;
    } else if (!type.empty()) {
      return base::Fail("core.invalid_argument")
             << "type " << type << " is not one of appimage, layout, manifest";
    }
    const capi::Call call(context, options);
    COAM_ASSIGN_OR_RETURN(const auto kind,
                          aci::ValidateFile(path, want, opt.Bool("strict"), call.op()));
    *ret_kind = new coam_buf(std::string(aci::FileKindName(kind)));
    return absl::OkStatus();
  });
}

coam_code coam_aci_build(coam_context* context, const char* layout, const char* output,
                         const coam_options* options, coam_buf** ret_json, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(layout, "layout"));
    COAM_RETURN_IF_ERROR(capi::NotNull(output, "output"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_json, "ret_json"));
    COAM_ASSIGN_OR_RETURN(const auto opt, capi::OptionReader::For("aci.build", options));
    COAM_ASSIGN_OR_RETURN(const auto build, capi::ReadAciBuild(opt));
    const capi::Call call(context, options);
    COAM_ASSIGN_OR_RETURN(const auto info, aci::BuildImage(layout, output, build, call.op()));
    *ret_json = new coam_buf(aci::InfoJson(info));
    return absl::OkStatus();
  });
}

coam_code coam_aci_manifest_edit(coam_context* context, const char* manifest,
                                 const coam_options* edit, coam_buf** ret_json,
                                 coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(manifest, "manifest"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_json, "ret_json"));
    COAM_ASSIGN_OR_RETURN(const auto change, ReadEdit(edit, nullptr));
    const capi::Call call(context, edit);
    COAM_ASSIGN_OR_RETURN(std::string json, EditText(manifest, change, call.op()));
    *ret_json = new coam_buf(std::move(json));
    return absl::OkStatus();
  });
}

coam_code coam_aci_patch(coam_context* context, const char* path, const char* output,
                         const coam_options* edit, const coam_options* options, coam_buf** ret_json,
                         coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(path, "path"));
    COAM_RETURN_IF_ERROR(capi::NotNull(output, "output"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_json, "ret_json"));
    COAM_ASSIGN_OR_RETURN(const auto change, ReadEdit(edit, nullptr));
    COAM_ASSIGN_OR_RETURN(const auto opt, capi::OptionReader::For("aci.build", options));
    COAM_ASSIGN_OR_RETURN(const auto build, capi::ReadAciBuild(opt));
    const capi::Call call(context, options);
    COAM_ASSIGN_OR_RETURN(const auto info,
                          aci::PatchImageFile(
                              path, output, build,
                              [&](std::string_view old) -> absl::StatusOr<std::string> {
                                return EditText(old, change, call.op());
                              },
                              call.op()));
    *ret_json = new coam_buf(aci::InfoJson(info));
    return absl::OkStatus();
  });
}

coam_code coam_aci_builder_begin(coam_context* context, const char* work_path,
                                 const coam_options* options, coam_aci_builder** ret_builder,
                                 coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(work_path, "work_path"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_builder, "ret_builder"));
    COAM_ASSIGN_OR_RETURN(const auto opt, capi::OptionReader::For("aci.begin", options));
    const capi::Call call(context, options);
    COAM_ASSIGN_OR_RETURN(auto builder,
                          aci::BuildContext::Begin(work_path, opt.String("start"), call.op()));
    *ret_builder = new coam_aci_builder(std::move(builder));
    return absl::OkStatus();
  });
}

coam_code coam_aci_builder_open(const char* work_path, coam_aci_builder** ret_builder,
                                coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(work_path, "work_path"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_builder, "ret_builder"));
    COAM_ASSIGN_OR_RETURN(auto builder, aci::BuildContext::Open(work_path));
    *ret_builder = new coam_aci_builder(std::move(builder));
    return absl::OkStatus();
  });
}

coam_aci_builder* coam_aci_builder_ref(coam_aci_builder* builder) {
  return COAM_BOUNDARY_REF(builder);
}
void coam_aci_builder_free(coam_aci_builder* builder) { COAM_BOUNDARY_FREE(builder); }

coam_code coam_aci_builder_manifest(coam_aci_builder* builder, int32_t pretty, coam_buf** ret_json,
                                    coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_json, "ret_json"));
    COAM_ASSIGN_OR_RETURN(aci::BuildContext * build, Alive(builder));
    *ret_json = new coam_buf(build->manifest_json(pretty != 0));
    return absl::OkStatus();
  });
}

coam_code coam_aci_builder_edit(coam_aci_builder* builder, const coam_options* edit,
                                coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_ASSIGN_OR_RETURN(aci::BuildContext * build, Alive(builder));
    std::string history;
    COAM_ASSIGN_OR_RETURN(const auto change, ReadEdit(edit, &history));
    return build->Edit([&](aci::ImageManifest& m) { return aci::Apply(change, m); }, history);
  });
}

coam_code coam_aci_builder_copy(coam_aci_builder* builder, coam_context* context,
                                const char* source, const char* target, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(source, "source"));
    COAM_RETURN_IF_ERROR(capi::NotNull(target, "target"));
    COAM_ASSIGN_OR_RETURN(aci::BuildContext * build, Alive(builder));
    const capi::Call call(context, nullptr);
    return build->Copy(source, target, call.op());
  });
}

coam_code coam_aci_builder_write(coam_aci_builder* builder, coam_context* context,
                                 const char* output, const coam_options* options,
                                 coam_buf** ret_json, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(output, "output"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_json, "ret_json"));
    COAM_ASSIGN_OR_RETURN(aci::BuildContext * build, Alive(builder));
    COAM_ASSIGN_OR_RETURN(const auto opt, capi::OptionReader::For("aci.build", options));
    COAM_ASSIGN_OR_RETURN(const auto how, capi::ReadAciBuild(opt));
    const capi::Call call(context, options);
    COAM_ASSIGN_OR_RETURN(const auto info, build->Write(output, how, call.op()));
    *ret_json = new coam_buf(aci::InfoJson(info));
    return absl::OkStatus();
  });
}

coam_code coam_aci_builder_end(coam_aci_builder* builder, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_ASSIGN_OR_RETURN(aci::BuildContext * build, Alive(builder));
    COAM_RETURN_IF_ERROR(build->End());
    builder->context.reset();
    return absl::OkStatus();
  });
}
