// The functions of coaming/run.h.
#include <coaming/run.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/core/limits.h"
#include "capi/src/boundary.h"
#include "capi/src/call.h"
#include "capi/src/options.h"
#include "capi/src/run_handles.h"
#include "capi/src/run_options.h"
#include "liboci/runtime/executor.h"
#include "liboci/runtime/facts.h"
#include "liboci/spec/runtime/runtime_spec.h"

namespace base = coaming::base;
namespace capi = coaming::capi;
namespace run = coaming::run;

struct coam_run_process : capi::Object {
  explicit coam_run_process(std::unique_ptr<run::ExecProcess> p) : process(std::move(p)) {}
  const std::unique_ptr<run::ExecProcess> process;
};

namespace {

constexpr char kCreate[] = "run.create";
constexpr char kWait[] = "run.wait";
constexpr coam_str kEmpty{"", 0};

// A call of a family that carries nothing but cancel, deadline, events and notes.
absl::Status CheckFamily(std::string_view family, const coam_options* options) {
  return capi::OptionReader::For(family, options).status();
}

absl::StatusOr<coam_run_container*> Make(coam_run_runtime* runtime, coam_context* context,
                                         const char* id, const coam_options* options, bool start) {
  COAM_RETURN_IF_ERROR(capi::NotNull(runtime, "runtime"));
  COAM_RETURN_IF_ERROR(capi::NotNull(id, "id"));
  COAM_ASSIGN_OR_RETURN(const auto opt, capi::OptionReader::For(kCreate, options));
  COAM_ASSIGN_OR_RETURN(run::CreateOptions create, capi::ReadCreateOptions(id, opt));
  capi::Call call(context, options);
  const base::Op& op = call.op();
  if (options != nullptr && options->events != nullptr) {
    create.on_namespaces = [&op](const run::NamespacesReady& ready) {
      base::Event event;
      event.kind = "run.namespaces";
      event.phase = "ready";
      event.subject = ready.netns_path;
      event.done = ready.pid;
      event.unit = "pid";
      return op.Emit(event);
    };
  }
  COAM_ASSIGN_OR_RETURN(
      std::unique_ptr<run::Container> container,
      start ? runtime->runtime->Run(op, create) : runtime->runtime->Create(op, create));
  return new coam_run_container(std::move(container));
}

absl::Status Result(absl::StatusOr<std::string> text, coam_buf** ret) {
  if (!text.ok()) return text.status();
  *ret = new coam_buf(*std::move(text));
  return absl::OkStatus();
}

template <typename Waitable>
absl::Status WaitFor(Waitable& what, const coam_options* options, int32_t* ret_code,
                     int32_t* ret_signal) {
  COAM_RETURN_IF_ERROR(CheckFamily(kWait, options));
  capi::Call call(nullptr, options);
  COAM_ASSIGN_OR_RETURN(const run::ExitStatus status, what.Wait(call.op()));
  if (ret_code != nullptr) *ret_code = status.code;
  if (ret_signal != nullptr) *ret_signal = status.signal;
  return absl::OkStatus();
}

std::string JsonStrings(const std::vector<std::string>& list) {
  std::string out = "[";
  for (const std::string& text : list) {
    absl::StrAppend(&out, out.size() > 1 ? "," : "", "\"");
    for (const char c : text) {
      if (c == '"' || c == '\\') out.push_back('\\');
      out.push_back(static_cast<unsigned char>(c) < 0x20 ? ' ' : c);
    }
    out.push_back('"');
  }
  return out + "]";
}

}  // namespace

coam_code coam_run_runtime_new(const coam_options* options, coam_run_runtime** ret_runtime,
                               coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_runtime, "ret_runtime"));
    COAM_ASSIGN_OR_RETURN(const auto opt, capi::OptionReader::For("run.runtime", options));
    COAM_ASSIGN_OR_RETURN(const run::RuntimeOptions o, capi::ReadRuntimeOptions(opt));
    COAM_ASSIGN_OR_RETURN(auto runtime, run::Runtime::New(o));
    *ret_runtime = new coam_run_runtime(std::move(runtime));
    return absl::OkStatus();
  });
}

coam_run_runtime* coam_run_runtime_ref(coam_run_runtime* runtime) {
  return COAM_BOUNDARY_REF(runtime);
}
void coam_run_runtime_free(coam_run_runtime* runtime) { COAM_BOUNDARY_FREE(runtime); }
coam_run_container* coam_run_container_ref(coam_run_container* container) {
  return COAM_BOUNDARY_REF(container);
}
void coam_run_container_free(coam_run_container* container) { COAM_BOUNDARY_FREE(container); }
coam_run_process* coam_run_process_ref(coam_run_process* process) {
  return COAM_BOUNDARY_REF(process);
}
void coam_run_process_free(coam_run_process* process) { COAM_BOUNDARY_FREE(process); }

coam_code coam_run_container_create(coam_run_runtime* runtime, coam_context* context,
                                    const char* id, const coam_options* options,
                                    coam_run_container** ret_container, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_container, "ret_container"));
    COAM_ASSIGN_OR_RETURN(*ret_container, Make(runtime, context, id, options, false));
    return absl::OkStatus();
  });
}

coam_code coam_run_container_run(coam_run_runtime* runtime, coam_context* context, const char* id,
                                 const coam_options* options, coam_run_container** ret_container,
                                 coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_container, "ret_container"));
    COAM_ASSIGN_OR_RETURN(*ret_container, Make(runtime, context, id, options, true));
    return absl::OkStatus();
  });
}

coam_code coam_run_container_open(coam_run_runtime* runtime, const char* id,
                                  coam_run_container** ret_container, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(runtime, "runtime"));
    COAM_RETURN_IF_ERROR(capi::NotNull(id, "id"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_container, "ret_container"));
    COAM_ASSIGN_OR_RETURN(auto container, runtime->runtime->Open(id));
    *ret_container = new coam_run_container(std::move(container));
    return absl::OkStatus();
  });
}

coam_code coam_run_list(coam_run_runtime* runtime, coam_buf** ret_json, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(runtime, "runtime"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_json, "ret_json"));
    COAM_ASSIGN_OR_RETURN(const auto all, runtime->runtime->List());
    *ret_json = new coam_buf(run::ListToJson(all));
    return absl::OkStatus();
  });
}

coam_code coam_run_remove(coam_run_runtime* runtime, coam_context* context, const char* id,
                          int32_t force, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(runtime, "runtime"));
    COAM_RETURN_IF_ERROR(capi::NotNull(id, "id"));
    capi::Call call(context, nullptr);
    return runtime->runtime->Remove(call.op(), id, force != 0);
  });
}

coam_str coam_run_container_id(const coam_run_container* container) {
  return COAM_BOUNDARY_VALUE(
      kEmpty, { return container != nullptr ? capi::View(container->container->id()) : kEmpty; });
}

int64_t coam_run_container_pid(const coam_run_container* container) {
  return COAM_BOUNDARY_VALUE(0, {
    return container != nullptr ? static_cast<int64_t>(container->container->pid()) : int64_t{0};
  });
}

int coam_run_container_fd(const coam_run_container* container) {
  return COAM_BOUNDARY_VALUE(
      -1, { return container != nullptr ? container->container->poll_fd() : -1; });
}

coam_str coam_run_container_status(const coam_run_container* container) {
  return COAM_BOUNDARY_VALUE(kEmpty, {
    if (container == nullptr) return kEmpty;
    const auto info = container->container->Info();
    return info.ok() ? capi::ViewStatic(run::StatusName(info->status)) : kEmpty;
  });
}

coam_code coam_run_container_state(const coam_run_container* container, coam_buf** ret_json,
                                   coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(container, "container"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_json, "ret_json"));
    return Result(container->container->StateJson(), ret_json);
  });
}

coam_code coam_run_container_spec(const coam_run_container* container, coam_buf** ret_json,
                                  coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(container, "container"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_json, "ret_json"));
    return Result(run::WriteSpec(container->container->spec()), ret_json);
  });
}

int coam_run_container_take_stdio(coam_run_container* container, int32_t which) {
  return COAM_BOUNDARY_VALUE(
      -1, { return container != nullptr ? container->container->TakeStdio(which).Release() : -1; });
}

int coam_run_container_take_console(coam_run_container* container) {
  return COAM_BOUNDARY_VALUE(
      -1, { return container != nullptr ? container->container->TakeConsole().Release() : -1; });
}

coam_code coam_run_container_start(coam_run_container* container, const coam_options* options,
                                   coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(container, "container"));
    COAM_RETURN_IF_ERROR(CheckFamily(kWait, options));
    capi::Call call(nullptr, options);
    return container->container->Start(call.op());
  });
}

coam_code coam_run_container_wait(coam_run_container* container, const coam_options* options,
                                  int32_t* ret_code, int32_t* ret_signal, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(container, "container"));
    return WaitFor(*container->container, options, ret_code, ret_signal);
  });
}

void coam_run_container_feed_status(coam_run_container* container, int32_t wait_status) {
  COAM_BOUNDARY_VALUE(0, {
    if (container != nullptr) container->container->FeedStatus(wait_status);
    return 0;
  });
}

coam_code coam_run_container_kill(coam_run_container* container, int32_t signal, int32_t all,
                                  coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(container, "container"));
    return container->container->Kill(signal, all != 0);
  });
}

coam_code coam_run_container_delete(coam_run_container* container, coam_context* context,
                                    int32_t force, const coam_options* options,
                                    coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(container, "container"));
    COAM_RETURN_IF_ERROR(CheckFamily(kWait, options));
    capi::Call call(context, options);
    return container->container->Delete(call.op(), force != 0);
  });
}

coam_code coam_run_container_pause(coam_run_container* container, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(container, "container"));
    return container->container->Pause();
  });
}

coam_code coam_run_container_resume(coam_run_container* container, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(container, "container"));
    return container->container->Resume();
  });
}

coam_code coam_run_container_update(coam_run_container* container, const void* json, size_t size,
                                    coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(container, "container"));
    COAM_RETURN_IF_ERROR(capi::NotNull(json, "json"));
    COAM_ASSIGN_OR_RETURN(const run::Resources resources,
                          run::ParseResources({static_cast<const char*>(json), size}));
    return container->container->Update(resources);
  });
}

coam_code coam_run_container_stats(const coam_run_container* container, coam_buf** ret_json,
                                   coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(container, "container"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_json, "ret_json"));
    COAM_ASSIGN_OR_RETURN(const run::Stats stats, container->container->ReadStats());
    *ret_json = new coam_buf(run::StatsToJson(container->container->id(), stats));
    return absl::OkStatus();
  });
}

coam_code coam_run_container_pids(const coam_run_container* container, coam_buf** ret_json,
                                  coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(container, "container"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_json, "ret_json"));
    COAM_ASSIGN_OR_RETURN(const auto pids, container->container->Pids());
    std::string text = "[";
    for (const pid_t pid : pids) absl::StrAppend(&text, text.size() > 1 ? "," : "", pid);
    *ret_json = new coam_buf(text + "]");
    return absl::OkStatus();
  });
}

coam_code coam_run_container_exec(coam_run_container* container, coam_context* context,
                                  const coam_options* options, coam_run_process** ret_process,
                                  coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(container, "container"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_process, "ret_process"));
    COAM_ASSIGN_OR_RETURN(const auto opt, capi::OptionReader::For("run.exec", options));
    COAM_ASSIGN_OR_RETURN(const run::ExecOptions exec,
                          capi::ReadExecOptions(*container->container, opt));
    capi::Call call(context, options);
    COAM_ASSIGN_OR_RETURN(auto process, container->container->Exec(call.op(), exec));
    *ret_process = new coam_run_process(std::move(process));
    return absl::OkStatus();
  });
}

int64_t coam_run_process_pid(const coam_run_process* process) {
  return COAM_BOUNDARY_VALUE(0, {
    return process != nullptr ? static_cast<int64_t>(process->process->pid()) : int64_t{0};
  });
}

int coam_run_process_fd(const coam_run_process* process) {
  return COAM_BOUNDARY_VALUE(-1, { return process != nullptr ? process->process->poll_fd() : -1; });
}

int coam_run_process_take_stdio(coam_run_process* process, int32_t which) {
  return COAM_BOUNDARY_VALUE(
      -1, { return process != nullptr ? process->process->TakeStdio(which).Release() : -1; });
}

int coam_run_process_take_console(coam_run_process* process) {
  return COAM_BOUNDARY_VALUE(
      -1, { return process != nullptr ? process->process->TakeConsole().Release() : -1; });
}

coam_code coam_run_process_wait(coam_run_process* process, const coam_options* options,
                                int32_t* ret_code, int32_t* ret_signal, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(process, "process"));
    return WaitFor(*process->process, options, ret_code, ret_signal);
  });
}

coam_code coam_run_process_kill(coam_run_process* process, int32_t signal, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(process, "process"));
    return process->process->Kill(signal);
  });
}

void coam_run_process_feed_status(coam_run_process* process, int32_t wait_status) {
  COAM_BOUNDARY_VALUE(0, {
    if (process != nullptr) process->process->FeedStatus(wait_status);
    return 0;
  });
}

coam_code coam_run_print_plan(coam_run_runtime* runtime, const char* id,
                              const coam_options* options, coam_buf** ret_text,
                              coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(runtime, "runtime"));
    COAM_RETURN_IF_ERROR(capi::NotNull(id, "id"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_text, "ret_text"));
    COAM_ASSIGN_OR_RETURN(const auto opt, capi::OptionReader::For(kCreate, options));
    COAM_ASSIGN_OR_RETURN(const run::CreateOptions create, capi::ReadCreateOptions(id, opt));
    return Result(runtime->runtime->PrintPlan(create), ret_text);
  });
}

coam_code coam_run_spec_default(int32_t rootless, uint32_t uid, uint32_t gid, coam_buf** ret_json,
                                coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_json, "ret_json"));
    run::Spec spec = rootless != 0 ? run::RootlessSpec(uid, gid) : run::DefaultSpec();
    if (run::HostIsUnified()) {
      auto& namespaces = spec.linux_.namespaces;
      namespaces.insert(namespaces.end() - (rootless != 0 ? 1 : 0), {"cgroup", ""});
    }
    return Result(run::WriteSpec(spec, "\t"), ret_json);
  });
}

coam_code coam_run_spec_check(const void* json, size_t size, coam_buf** ret_json,
                              coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(json, "json"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_json, "ret_json"));
    COAM_ASSIGN_OR_RETURN(const run::Spec spec,
                          run::ParseSpec({static_cast<const char*>(json), size}));
    std::vector<std::string> warnings;
    COAM_RETURN_IF_ERROR(run::Validate(spec, &warnings));
    return Result(JsonStrings(warnings), ret_json);
  });
}

coam_code coam_run_features(coam_buf** ret_json, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_json, "ret_json"));
    return Result(run::FeaturesDocument(), ret_json);
  });
}

coam_code coam_run_probe(coam_buf** ret_json, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_json, "ret_json"));
    return Result(run::ProbeToJson(run::Probe()), ret_json);
  });
}

int32_t coam_run_signal_number(const char* text) {
  return COAM_BOUNDARY_VALUE(-1, { return text != nullptr ? run::SignalNumber(text) : -1; });
}
