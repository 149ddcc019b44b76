#include "libaci/pod/pod_rep.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "libaci/pod/networks.h"

namespace coaming::aci::internal {
namespace {

constexpr int64_t kSmallFile = 4096;

}  // namespace

absl::StatusOr<std::shared_ptr<run::Runtime>> PodRuntime(const PodsOptions& options,
                                                         const PodDir& pod) {
  run::RuntimeOptions runtime;
  runtime.state_root = absl::StrCat(pod.path(), "/containers");
  runtime.launcher = options.launcher;
  runtime.cgroup_parent = options.cgroup_parent;
  return run::Runtime::New(runtime);
}

absl::StatusOr<PodManifest> ReadManifest(const base::Op& op, const PodDir& pod) {
  COAM_ASSIGN_OR_RETURN(
      const std::string json,
      pod.dir().ReadFile(kManifestFile, op.limits().manifest_bytes, "manifest_bytes"));
  ParseOptions parse;
  parse.limits = &op.limits();
  return ParsePodManifest(json, parse);
}

absl::Status WriteStatus(const base::Op& op, const PodDir& pod, std::string_view app,
                         const AppStatus& status) {
  COAM_RETURN_IF_ERROR(pod.dir().MakeDirs("status", 0755).status());
  return pod.dir().WriteFile(op, absl::StrCat("status/", app),
                             absl::StrCat(status.exit_code, " ", status.finished_ns, "\n"));
}

std::optional<AppStatus> ReadStatus(const PodDir& pod, std::string_view app) {
  const absl::StatusOr<std::string> text =
      pod.dir().ReadFile(absl::StrCat("status/", app), kSmallFile, "manifest_bytes");
  if (!text.ok()) return std::nullopt;
  AppStatus status;
  const std::string_view view = *text;
  const size_t blank = view.find(' ');
  if (blank == std::string_view::npos ||
      !absl::SimpleAtoi(view.substr(0, blank), &status.exit_code) ||
      !absl::SimpleAtoi(view.substr(blank + 1), &status.finished_ns)) {
    return std::nullopt;
  }
  return status;
}

std::string NetDir(const PodDir& pod) { return absl::StrCat(pod.path(), "/net"); }

std::string PodCgroup(const PodsOptions& options, std::string_view uuid) {
  return absl::StrCat(options.cgroup_parent, "/", uuid);
}

std::string NetnsPath(run::Runtime& runtime) {
  const absl::StatusOr<std::unique_ptr<run::Container>> infra = runtime.Open(kInfraId);
  if (!infra.ok()) return "";
  const absl::StatusOr<run::ContainerInfo> info = (*infra)->Info();
  if (!info.ok() || info->pid == 0) return "";
  return absl::StrCat("/proc/", info->pid, "/ns/net");
}

absl::Status TakeDown(const base::Op& op, const PodsOptions& options, const PodDir& pod) {
  absl::Status first;
  const auto keep = [&first](const absl::Status& status) {
    if (first.ok()) first = status;
  };
  COAM_ASSIGN_OR_RETURN(const std::shared_ptr<run::Runtime> runtime, PodRuntime(options, pod));
  COAM_ASSIGN_OR_RETURN(const std::vector<run::ContainerInfo> all, runtime->List());
  for (const run::ContainerInfo& container : all) {
    if (container.id != kInfraId) keep(runtime->Remove(op, container.id, /*force=*/true));
  }
  // The networks while the namespace lives, so that plugins can take their links away.
  keep(Detach(op, options, pod.uuid(), NetnsPath(*runtime), NetDir(pod)));
  keep(runtime->Remove(op, kInfraId, /*force=*/true));
  return first;
}

std::string ResolvConf(const std::vector<std::string>& servers,
                       const std::vector<std::string>& search,
                       const std::vector<std::string>& options, std::string_view domain) {
  std::string out = "# Made by coaming for this pod.\n";
  if (!search.empty()) absl::StrAppend(&out, "search ", absl::StrJoin(search, " "), "\n");
  for (const std::string& server : servers) absl::StrAppend(&out, "nameserver ", server, "\n");
  if (!options.empty()) absl::StrAppend(&out, "options ", absl::StrJoin(options, " "), "\n");
  if (!domain.empty()) absl::StrAppend(&out, "domain ", domain, "\n");
  return out;
}

std::string HostsFile(std::string_view hostname,
                      const std::vector<std::pair<std::string, std::string>>& entries) {
  std::string out =
      absl::StrCat("127.0.0.1 localhost ", hostname, "\n::1 localhost ", hostname, "\n");
  for (const auto& [address, name] : entries) absl::StrAppend(&out, address, " ", name, "\n");
  return out;
}

}  // namespace coaming::aci::internal
