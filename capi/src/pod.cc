// The functions of coaming/pod.h.
#include <coaming/pod.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "capi/src/boundary.h"
#include "capi/src/call.h"
#include "capi/src/job.h"
#include "capi/src/options.h"
#include "capi/src/pod_options.h"
#include "libaci/pod/pod.h"

namespace aci = coaming::aci;
namespace base = coaming::base;
namespace capi = coaming::capi;

struct coam_pods : capi::Object {
  explicit coam_pods(std::shared_ptr<aci::Pods> p) : pods(std::move(p)) {}
  const std::shared_ptr<aci::Pods> pods;
};

struct coam_pod_request : capi::Object {
  aci::PodRequest request;
};

struct coam_pod : capi::Object {
  explicit coam_pod(std::unique_ptr<aci::Pod> p) : pod(std::move(p)) {}
  const std::unique_ptr<aci::Pod> pod;
};

struct coam_pod_process : capi::Object {
  explicit coam_pod_process(std::unique_ptr<aci::Entered> p) : process(std::move(p)) {}
  const std::unique_ptr<aci::Entered> process;
};

namespace {

constexpr char kPrepare[] = "pod.prepare";
constexpr char kRun[] = "pod.run";

// The calls that take a UUID and give nothing but a status.
absl::Status Check(const coam_pods* pods, const char* uuid) {
  COAM_RETURN_IF_ERROR(capi::NotNull(pods, "pods"));
  return capi::NotNull(uuid, "uuid");
}

absl::StatusOr<coam_pod*> Run(const base::Op& op, aci::Pods& pods, const std::string& uuid,
                              const coam_options* options) {
  COAM_ASSIGN_OR_RETURN(const auto opt, capi::OptionReader::For(kRun, options));
  COAM_ASSIGN_OR_RETURN(const aci::RunRequest request, capi::ReadRunRequest(opt));
  COAM_ASSIGN_OR_RETURN(std::unique_ptr<aci::Pod> pod, pods.Run(op, uuid, request));
  return new coam_pod(std::move(pod));
}

std::string JsonArray(const std::vector<std::string>& texts) {
  std::string out = "[";
  // UUIDs need no escaping.
  for (const std::string& text : texts) {
    absl::StrAppend(&out, out.size() > 1 ? "," : "", "\"", text, "\"");
  }
  return out + "]";
}

}  // namespace

coam_code coam_pods_open(const coam_options* options, coam_pods** ret_pods,
                         coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_pods, "ret_pods"));
    COAM_ASSIGN_OR_RETURN(const auto opt, capi::OptionReader::For("pods", options));
    COAM_ASSIGN_OR_RETURN(auto pods, aci::Pods::Open(capi::ReadPodsOptions(opt)));
    *ret_pods = new coam_pods(std::move(pods));
    return absl::OkStatus();
  });
}

coam_pods* coam_pods_ref(coam_pods* pods) { return COAM_BOUNDARY_REF(pods); }
void coam_pods_free(coam_pods* pods) { COAM_BOUNDARY_FREE(pods); }

coam_code coam_pod_request_new(const coam_options* options, coam_pod_request** ret_request,
                               coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_request, "ret_request"));
    COAM_ASSIGN_OR_RETURN(const auto opt, capi::OptionReader::For("pod.request", options));
    COAM_ASSIGN_OR_RETURN(aci::PodRequest request, capi::ReadPodRequest(opt));
    auto* made = new coam_pod_request();
    made->request = std::move(request);
    *ret_request = made;
    return absl::OkStatus();
  });
}

coam_pod_request* coam_pod_request_ref(coam_pod_request* request) {
  return COAM_BOUNDARY_REF(request);
}
void coam_pod_request_free(coam_pod_request* request) { COAM_BOUNDARY_FREE(request); }

coam_code coam_pod_request_add_app(coam_pod_request* request, const char* image,
                                   const coam_options* options, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(request, "request"));
    COAM_RETURN_IF_ERROR(capi::NotNull(image, "image"));
    COAM_ASSIGN_OR_RETURN(const auto opt, capi::OptionReader::For("pod.app", options));
    COAM_ASSIGN_OR_RETURN(aci::AppRequest app, capi::ReadAppRequest(opt, image));
    request->request.apps.push_back(std::move(app));
    return absl::OkStatus();
  });
}

coam_code coam_pods_prepare(coam_pods* pods, coam_context* context, const coam_pod_request* request,
                            const coam_options* options, coam_buf** ret_uuid,
                            coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(pods, "pods"));
    COAM_RETURN_IF_ERROR(capi::NotNull(request, "request"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_uuid, "ret_uuid"));
    COAM_RETURN_IF_ERROR(capi::OptionReader::For(kPrepare, options).status());
    const capi::Call call(context, options);
    COAM_ASSIGN_OR_RETURN(std::string uuid, pods->pods->Prepare(call.op(), request->request));
    *ret_uuid = new coam_buf(std::move(uuid));
    return absl::OkStatus();
  });
}

coam_code coam_pods_prepare_start(coam_pods* pods, coam_context* context,
                                  const coam_pod_request* request, const coam_options* options,
                                  coam_job** ret_job, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(pods, "pods"));
    COAM_RETURN_IF_ERROR(capi::NotNull(request, "request"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_job, "ret_job"));
    COAM_RETURN_IF_ERROR(capi::OptionReader::For(kPrepare, options).status());
    COAM_ASSIGN_OR_RETURN(
        *ret_job,
        capi::StartJob(kPrepare, context, options,
                       [pods = pods->pods, request = request->request](
                           const base::Op& op,
                           const coam_options*) -> absl::StatusOr<capi::Ref<capi::Object>> {
                         COAM_ASSIGN_OR_RETURN(std::string uuid, pods->Prepare(op, request));
                         return capi::Ref<capi::Object>::Adopt(new coam_buf(std::move(uuid)));
                       }));
    return absl::OkStatus();
  });
}

coam_code coam_pods_prepare_finish(coam_job* job, coam_buf** ret_uuid, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(job, "job"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_uuid, "ret_uuid"));
    COAM_ASSIGN_OR_RETURN(*ret_uuid, capi::FinishJob<coam_buf>(job, kPrepare));
    return absl::OkStatus();
  });
}

coam_code coam_pods_run(coam_pods* pods, coam_context* context, const char* uuid,
                        const coam_options* options, coam_pod** ret_pod, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(Check(pods, uuid));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_pod, "ret_pod"));
    const capi::Call call(context, options);
    COAM_ASSIGN_OR_RETURN(*ret_pod, Run(call.op(), *pods->pods, uuid, options));
    return absl::OkStatus();
  });
}

coam_code coam_pods_run_start(coam_pods* pods, coam_context* context, const char* uuid,
                              const coam_options* options, coam_job** ret_job,
                              coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(Check(pods, uuid));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_job, "ret_job"));
    COAM_RETURN_IF_ERROR(capi::OptionReader::For(kRun, options).status());
    COAM_ASSIGN_OR_RETURN(
        *ret_job,
        capi::StartJob(kRun, context, options,
                       [pods = pods->pods, uuid = std::string(uuid)](
                           const base::Op& op,
                           const coam_options* own) -> absl::StatusOr<capi::Ref<capi::Object>> {
                         COAM_ASSIGN_OR_RETURN(coam_pod * pod, Run(op, *pods, uuid, own));
                         return capi::Ref<capi::Object>::Adopt(pod);
                       }));
    return absl::OkStatus();
  });
}

coam_code coam_pods_run_finish(coam_job* job, coam_pod** ret_pod, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(job, "job"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_pod, "ret_pod"));
    COAM_ASSIGN_OR_RETURN(*ret_pod, capi::FinishJob<coam_pod>(job, kRun));
    return absl::OkStatus();
  });
}

coam_pod* coam_pod_ref(coam_pod* pod) { return COAM_BOUNDARY_REF(pod); }
void coam_pod_free(coam_pod* pod) { COAM_BOUNDARY_FREE(pod); }

coam_str coam_pod_uuid(const coam_pod* pod) {
  return COAM_BOUNDARY_VALUE((coam_str{"", 0}), {
    return pod != nullptr ? capi::View(pod->pod->uuid()) : coam_str{"", 0};
  });
}

int coam_pod_fd(const coam_pod* pod) {
  return COAM_BOUNDARY_VALUE(-1, { return pod != nullptr ? pod->pod->poll_fd() : -1; });
}

coam_code coam_pod_poll(coam_pod* pod, int32_t* ret_ended, int32_t* ret_status,
                        coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(pod, "pod"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_ended, "ret_ended"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_status, "ret_status"));
    COAM_ASSIGN_OR_RETURN(const std::optional<int> code, pod->pod->Poll(base::Op()));
    *ret_ended = code.has_value() ? 1 : 0;
    if (code.has_value()) *ret_status = *code;
    return absl::OkStatus();
  });
}

coam_code coam_pod_wait(coam_pod* pod, coam_context* context, const coam_options* options,
                        int32_t* ret_status, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(pod, "pod"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_status, "ret_status"));
    COAM_RETURN_IF_ERROR(capi::OptionReader::For("pod.wait", options).status());
    const capi::Call call(context, options);
    COAM_ASSIGN_OR_RETURN(*ret_status, pod->pod->Wait(call.op()));
    return absl::OkStatus();
  });
}

coam_code coam_pod_shutdown(coam_pod* pod, int64_t grace_ms, int32_t* ret_status,
                            coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(pod, "pod"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_status, "ret_status"));
    COAM_ASSIGN_OR_RETURN(*ret_status, pod->pod->Shutdown(base::Op(), grace_ms));
    return absl::OkStatus();
  });
}

int coam_pod_take_console(coam_pod* pod) {
  return COAM_BOUNDARY_VALUE(-1,
                             { return pod != nullptr ? pod->pod->TakeConsole().Release() : -1; });
}

coam_code coam_pods_status(coam_pods* pods, const char* uuid, coam_buf** ret_json,
                           coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(Check(pods, uuid));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_json, "ret_json"));
    COAM_ASSIGN_OR_RETURN(const aci::PodInfo info, pods->pods->Status(uuid));
    *ret_json = new coam_buf(aci::PodInfoToJson(info));
    return absl::OkStatus();
  });
}

coam_code coam_pods_list(coam_pods* pods, coam_buf** ret_json, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(pods, "pods"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_json, "ret_json"));
    COAM_ASSIGN_OR_RETURN(const std::vector<aci::PodInfo> infos, pods->pods->List());
    *ret_json = new coam_buf(aci::PodInfosToJson(infos));
    return absl::OkStatus();
  });
}

coam_code coam_pods_manifest(coam_pods* pods, const char* uuid, coam_buf** ret_json,
                             coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(Check(pods, uuid));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_json, "ret_json"));
    COAM_ASSIGN_OR_RETURN(std::string json, pods->pods->ManifestJson(uuid));
    *ret_json = new coam_buf(std::move(json));
    return absl::OkStatus();
  });
}

coam_code coam_pods_wait_exit(coam_pods* pods, coam_context* context, const char* uuid,
                              const coam_options* options, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(Check(pods, uuid));
    COAM_RETURN_IF_ERROR(capi::OptionReader::For("pod.wait", options).status());
    const capi::Call call(context, options);
    return pods->pods->WaitExit(call.op(), uuid);
  });
}

coam_code coam_pods_stop(coam_pods* pods, coam_context* context, const char* uuid, int32_t force,
                         coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(Check(pods, uuid));
    const capi::Call call(context, nullptr);
    return pods->pods->Stop(call.op(), uuid, force != 0);
  });
}

coam_code coam_pods_remove(coam_pods* pods, coam_context* context, const char* uuid,
                           coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(Check(pods, uuid));
    const capi::Call call(context, nullptr);
    return pods->pods->Remove(call.op(), uuid);
  });
}

coam_code coam_pods_gc(coam_pods* pods, coam_context* context, const coam_options* options,
                       coam_buf** ret_json, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(pods, "pods"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_json, "ret_json"));
    COAM_ASSIGN_OR_RETURN(const auto opt, capi::OptionReader::For("pod.gc", options));
    aci::GcRequest request;
    request.grace_period_ms = opt.Int("grace-period");
    request.expire_prepared_ms = opt.Int("expire-prepared");
    request.mark_only = opt.Bool("mark-only");
    const capi::Call call(context, options);
    COAM_ASSIGN_OR_RETURN(const std::vector<std::string> removed,
                          pods->pods->Gc(call.op(), request));
    *ret_json = new coam_buf(JsonArray(removed));
    return absl::OkStatus();
  });
}

coam_code coam_pods_enter(coam_pods* pods, coam_context* context, const char* uuid,
                          const coam_options* options, coam_pod_process** ret_process,
                          coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(Check(pods, uuid));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_process, "ret_process"));
    COAM_ASSIGN_OR_RETURN(const auto opt, capi::OptionReader::For("pod.enter", options));
    const capi::Call call(context, options);
    COAM_ASSIGN_OR_RETURN(std::unique_ptr<aci::Entered> entered,
                          pods->pods->Enter(call.op(), uuid, opt.String("app"), opt.List("arg"),
                                            opt.Bool("terminal")));
    *ret_process = new coam_pod_process(std::move(entered));
    return absl::OkStatus();
  });
}

coam_pod_process* coam_pod_process_ref(coam_pod_process* process) {
  return COAM_BOUNDARY_REF(process);
}
void coam_pod_process_free(coam_pod_process* process) { COAM_BOUNDARY_FREE(process); }

int coam_pod_process_fd(const coam_pod_process* process) {
  return COAM_BOUNDARY_VALUE(-1, { return process != nullptr ? process->process->poll_fd() : -1; });
}

int coam_pod_process_take_console(coam_pod_process* process) {
  return COAM_BOUNDARY_VALUE(
      -1, { return process != nullptr ? process->process->TakeConsole().Release() : -1; });
}

coam_code coam_pod_process_kill(coam_pod_process* process, int32_t signal, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(process, "process"));
    return process->process->Kill(signal);
  });
}

coam_code coam_pod_process_wait(coam_pod_process* process, coam_context* context,
                                const coam_options* options, int32_t* ret_status,
                                coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(process, "process"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_status, "ret_status"));
    COAM_RETURN_IF_ERROR(capi::OptionReader::For("pod.wait", options).status());
    const capi::Call call(context, options);
    COAM_ASSIGN_OR_RETURN(*ret_status, process->process->Wait(call.op()));
    return absl::OkStatus();
  });
}
