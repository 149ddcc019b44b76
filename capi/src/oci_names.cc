// Copying, names, building and credentials of coaming/oci.h.
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
#include "liboci/image/build.h"
#include "liboci/image/describe.h"
#include "liboci/image/image.h"
#include "liboci/registry/credentials.h"
#include "liboci/registry/registry.h"
#include "liboci/store/layout.h"

namespace base = coaming::base;
namespace capi = coaming::capi;
namespace oci = coaming::oci;

namespace {

constexpr char kCopy[] = "oci.copy";
constexpr char kRegistry[] = "oci.registry";

absl::StatusOr<coam_buf*> Copy(const base::Op& op, const std::string& from_text,
                               const std::string& to_text, const coam_options* options,
                               bool threads) {
  COAM_ASSIGN_OR_RETURN(const auto opt, capi::OptionReader::For(kCopy, options));
  COAM_ASSIGN_OR_RETURN(oci::ImageName from, oci::ImageName::Parse(from_text));
  COAM_ASSIGN_OR_RETURN(oci::ImageName to, oci::ImageName::Parse(to_text));
  COAM_ASSIGN_OR_RETURN(oci::CopyOptions copy, capi::ReadCopyOptions(op, opt));
  COAM_RETURN_IF_ERROR(capi::ReadSigning(op, opt, to, &copy));
  copy.extra_tags = opt.List("additional-tag");
  COAM_ASSIGN_OR_RETURN(oci::Web web, capi::OpenWeb(op, opt, threads));
  web.env.registry.chunk_bytes = opt.Int("chunk-size");
  COAM_ASSIGN_OR_RETURN(oci::Copied copied, oci::Copy(op, web.env, from, to, copy));
  return new coam_buf(oci::DescribeCopied(copied));
}

// The name and the Env of a call that asks a registry or layout.
struct Asked {
  oci::ImageName name;
  oci::Web web;
};
absl::StatusOr<Asked> Ask(const base::Op& op, const char* text, bool tagless,
                          const coam_options* options) {
  COAM_RETURN_IF_ERROR(capi::NotNull(text, "name"));
  COAM_ASSIGN_OR_RETURN(const auto opt, capi::OptionReader::For(kRegistry, options));
  Asked out;
  COAM_ASSIGN_OR_RETURN(
      out.name, tagless ? oci::ImageName::ParseRepository(text) : oci::ImageName::Parse(text));
  COAM_ASSIGN_OR_RETURN(out.web, capi::OpenWeb(op, opt, true));
  return out;
}

}  // namespace

coam_code coam_oci_copy(coam_context* context, const char* from, const char* to,
                        const coam_options* options, coam_buf** ret_json, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(from, "from"));
    COAM_RETURN_IF_ERROR(capi::NotNull(to, "to"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_json, "ret_json"));
    const capi::Call call(context, options);
    COAM_ASSIGN_OR_RETURN(*ret_json,
                          Copy(call.op(), from, to, options, capi::AllowsThreads(context)));
    return absl::OkStatus();
  });
}

coam_code coam_oci_copy_start(coam_context* context, const char* from, const char* to,
                              const coam_options* options, coam_job** ret_job,
                              coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(from, "from"));
    COAM_RETURN_IF_ERROR(capi::NotNull(to, "to"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_job, "ret_job"));
    COAM_RETURN_IF_ERROR(capi::OptionReader::For(kCopy, options).status());
    COAM_ASSIGN_OR_RETURN(
        *ret_job,
        capi::StartJob(kCopy, context, options,
                       [from = std::string(from), to = std::string(to)](
                           const base::Op& op,
                           const coam_options* copy) -> absl::StatusOr<capi::Ref<capi::Object>> {
                         COAM_ASSIGN_OR_RETURN(coam_buf * json, Copy(op, from, to, copy, true));
                         return capi::Ref<capi::Object>::Adopt(json);
                       }));
    return absl::OkStatus();
  });
}

coam_code coam_oci_copy_finish(coam_job* job, coam_buf** ret_json, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_json, "ret_json"));
    COAM_ASSIGN_OR_RETURN(*ret_json, capi::FinishJob<coam_buf>(job, kCopy));
    return absl::OkStatus();
  });
}

coam_code coam_oci_name_parse(const char* name, coam_buf** ret_json, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(name, "name"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_json, "ret_json"));
    COAM_ASSIGN_OR_RETURN(oci::ImageName parsed, oci::ImageName::Parse(name));
    *ret_json = new coam_buf(oci::DescribeName(parsed));
    return absl::OkStatus();
  });
}

coam_code coam_oci_list(coam_context* context, const char* name, const coam_options* options,
                        coam_buf** ret_json, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_json, "ret_json"));
    const capi::Call call(context, options);
    COAM_ASSIGN_OR_RETURN(const Asked asked, Ask(call.op(), name, true, options));
    COAM_ASSIGN_OR_RETURN(auto names, oci::ListNames(call.op(), asked.web.env, asked.name));
    *ret_json = new coam_buf(oci::DescribeNames(asked.name, names));
    return absl::OkStatus();
  });
}

coam_code coam_oci_resolve(coam_context* context, const char* name, const coam_options* options,
                           coam_buf** ret_digest, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_digest, "ret_digest"));
    const capi::Call call(context, options);
    COAM_ASSIGN_OR_RETURN(const Asked asked, Ask(call.op(), name, false, options));
    COAM_ASSIGN_OR_RETURN(oci::Descriptor d, oci::Resolve(call.op(), asked.web.env, asked.name));
    *ret_digest = new coam_buf(d.digest.str());
    return absl::OkStatus();
  });
}

coam_code coam_oci_referrers(coam_context* context, const char* name, const char* artifact_type,
                             const coam_options* options, coam_buf** ret_json,
                             coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_json, "ret_json"));
    const capi::Call call(context, options);
    COAM_ASSIGN_OR_RETURN(const Asked asked, Ask(call.op(), name, false, options));
    COAM_ASSIGN_OR_RETURN(auto list,
                          oci::ListReferrers(call.op(), asked.web.env, asked.name,
                                             artifact_type == nullptr ? "" : artifact_type));
    *ret_json = new coam_buf(oci::DescribeDescriptors(asked.name, list));
    return absl::OkStatus();
  });
}

coam_code coam_oci_policy_explain(coam_context* context, const char* name,
                                  const coam_options* options, coam_buf** ret_json,
                                  coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(name, "name"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_json, "ret_json"));
    COAM_ASSIGN_OR_RETURN(const auto opt, capi::OptionReader::For("oci.open", options));
    const capi::Call call(context, options);
    COAM_ASSIGN_OR_RETURN(const auto trust, capi::ReadTrust(call.op(), opt));
    if (trust == nullptr) {
      return base::Fail("core.invalid_argument") << "the options name no policy";
    }
    COAM_ASSIGN_OR_RETURN(const oci::ImageName parsed, oci::ImageName::Parse(name));
    COAM_ASSIGN_OR_RETURN(const auto platform, capi::ReadPlatform(opt));
    COAM_ASSIGN_OR_RETURN(const oci::Web web,
                          capi::OpenWeb(call.op(), opt, capi::AllowsThreads(context)));
    COAM_ASSIGN_OR_RETURN(std::string json, trust->Explain(call.op(), web.env, parsed, platform));
    *ret_json = new coam_buf(std::move(json));
    return absl::OkStatus();
  });
}

coam_code coam_oci_remove(coam_context* context, const char* name, const coam_options* options,
                          coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    const capi::Call call(context, options);
    COAM_ASSIGN_OR_RETURN(const Asked asked, Ask(call.op(), name, false, options));
    return oci::Remove(call.op(), asked.web.env, asked.name);
  });
}

coam_code coam_oci_gc(coam_context* context, const char* layout, const coam_options* options,
                      coam_buf** ret_json, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(layout, "layout"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_json, "ret_json"));
    COAM_ASSIGN_OR_RETURN(const auto opt, capi::OptionReader::For("oci.gc", options));
    const capi::Call call(context, options);
    COAM_ASSIGN_OR_RETURN(auto opened, oci::Layout::Open(call.op(), layout));
    COAM_ASSIGN_OR_RETURN(
        const oci::Layout::GcResult result,
        opened->Gc(call.op(), opt.Bool("dry-run"), opt.Int("partial-age") / 1000));
    *ret_json = new coam_buf(oci::DescribeGc(result));
    return absl::OkStatus();
  });
}

coam_code coam_oci_build(coam_context* context, const char* tree, const char* name,
                         const coam_options* options, coam_buf** ret_digest,
                         coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(name, "name"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_digest, "ret_digest"));
    COAM_ASSIGN_OR_RETURN(const auto opt, capi::OptionReader::For("oci.build", options));
    COAM_ASSIGN_OR_RETURN(const oci::BuildOptions build, capi::ReadBuildOptions(opt));
    COAM_ASSIGN_OR_RETURN(const oci::ImageName to, oci::ImageName::Parse(name));
    const capi::Call call(context, options);
    COAM_ASSIGN_OR_RETURN(
        oci::Descriptor made,
        oci::BuildAt(call.op(), to, tree == nullptr ? "" : tree, opt.String("base"), build));
    *ret_digest = new coam_buf(made.digest.str());
    return absl::OkStatus();
  });
}

coam_code coam_oci_login(coam_context* context, const char* host, const coam_options* options,
                         coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(host, "host"));
    COAM_ASSIGN_OR_RETURN(const auto opt, capi::OptionReader::For(kRegistry, options));
    const capi::Call call(context, options);
    COAM_ASSIGN_OR_RETURN(oci::Web web, capi::OpenWeb(call.op(), opt, true));
    return oci::Login(call.op(), web.env, host, opt.String("authfile"));
  });
}

coam_code coam_oci_logout(coam_context* context, const char* host, const char* authfile,
                          int32_t* ret_removed, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(host, "host"));
    COAM_RETURN_IF_ERROR(capi::NotNull(authfile, "authfile"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_removed, "ret_removed"));
    const capi::Call call(context, nullptr);
    COAM_ASSIGN_OR_RETURN(const bool removed, oci::EraseCredential(call.op(), authfile, host));
    *ret_removed = removed ? 1 : 0;
    return absl::OkStatus();
  });
}
