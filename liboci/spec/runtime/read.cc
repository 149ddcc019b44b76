// Reading config.json: one ReadJson for each object of the specification.
#include <utility>

#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/json/json.h"
#include "base/json/reader.h"
#include "liboci/spec/runtime/runtime_spec.h"

namespace coaming::run {

namespace json = base::json;
using json::ObjectReader;

namespace {
Extra Unknown(const ObjectReader& r) {
  Extra extra;
  if (!r.ok()) return extra;
  for (const json::Member& m : r.Unknown()) extra.emplace_back(m.key, json::Write(m.value));
  return extra;
}
}  // namespace

void ReadJson(ObjectReader& r, IdMap* out) {
  r.Required("containerID", &out->container_id);
  r.Required("hostID", &out->host_id);
  r.Required("size", &out->size);
}
void ReadJson(ObjectReader& r, Root* out) {
  r.Required("path", &out->path);
  r.Optional("readonly", &out->readonly);
  out->extra = Unknown(r);
}
void ReadJson(ObjectReader& r, Mount* out) {
  r.Required("destination", &out->destination);
  r.Optional("type", &out->type);
  r.Optional("source", &out->source);
  r.Optional("options", &out->options);
  r.Optional("uidMappings", &out->uid_mappings);
  r.Optional("gidMappings", &out->gid_mappings);
  out->extra = Unknown(r);
}
void ReadJson(ObjectReader& r, User* out) {
  r.Optional("uid", &out->uid);
  r.Optional("gid", &out->gid);
  r.Optional("umask", &out->umask);
  r.Optional("additionalGids", &out->additional_gids);
  out->extra = Unknown(r);
}
void ReadJson(ObjectReader& r, Rlimit* out) {
  r.Required("type", &out->type);
  r.Required("soft", &out->soft);
  r.Required("hard", &out->hard);
}
void ReadJson(ObjectReader& r, Capabilities* out) {
  r.Optional("bounding", &out->bounding);
  r.Optional("effective", &out->effective);
  r.Optional("inheritable", &out->inheritable);
  r.Optional("permitted", &out->permitted);
  r.Optional("ambient", &out->ambient);
  out->extra = Unknown(r);
}
void ReadJson(ObjectReader& r, ConsoleSize* out) {
  r.Optional("height", &out->height);
  r.Optional("width", &out->width);
}
void ReadJson(ObjectReader& r, Scheduler* out) {
  r.Required("policy", &out->policy);
  r.Optional("nice", &out->nice);
  r.Optional("priority", &out->priority);
  r.Optional("flags", &out->flags);
  r.Optional("runtime", &out->runtime);
  r.Optional("deadline", &out->deadline);
  r.Optional("period", &out->period);
}
void ReadJson(ObjectReader& r, IoPriority* out) {
  r.Required("class", &out->io_class);
  r.Optional("priority", &out->priority);
}
void ReadJson(ObjectReader& r, CpuAffinity* out) {
  r.Optional("initial", &out->initial);
  r.Optional("final", &out->final);
}
void ReadJson(ObjectReader& r, Process* out) {
  r.Optional("terminal", &out->terminal);
  r.Optional("consoleSize", &out->console_size);
  r.Optional("user", &out->user);
  r.Optional("args", &out->args);
  r.Optional("env", &out->env);
  r.Optional("cwd", &out->cwd);
  r.Optional("capabilities", &out->capabilities);
  r.Optional("rlimits", &out->rlimits);
  r.Optional("noNewPrivileges", &out->no_new_privileges);
  r.Optional("apparmorProfile", &out->apparmor_profile);
  r.Optional("oomScoreAdj", &out->oom_score_adj);
  r.Optional("scheduler", &out->scheduler);
  r.Optional("selinuxLabel", &out->selinux_label);
  r.Optional("ioPriority", &out->io_priority);
  r.Optional("execCPUAffinity", &out->exec_cpu_affinity);
  out->extra = Unknown(r);
}
void ReadJson(ObjectReader& r, Hook* out) {
  r.Required("path", &out->path);
  r.Optional("args", &out->args);
  r.Optional("env", &out->env);
  r.Optional("timeout", &out->timeout);
  out->extra = Unknown(r);
}
void ReadJson(ObjectReader& r, Hooks* out) {
  r.Optional("prestart", &out->prestart);
  r.Optional("createRuntime", &out->create_runtime);
  r.Optional("createContainer", &out->create_container);
  r.Optional("startContainer", &out->start_container);
  r.Optional("poststart", &out->poststart);
  r.Optional("poststop", &out->poststop);
  out->extra = Unknown(r);
}
void ReadJson(ObjectReader& r, Namespace* out) {
  r.Required("type", &out->type);
  r.Optional("path", &out->path);
}
void ReadJson(ObjectReader& r, TimeOffset* out) {
  r.Optional("secs", &out->secs);
  r.Optional("nanosecs", &out->nanosecs);
}
void ReadJson(ObjectReader& r, Device* out) {
  r.Required("path", &out->path);
  r.Required("type", &out->type);
  r.Optional("major", &out->major);
  r.Optional("minor", &out->minor);
  r.Optional("fileMode", &out->file_mode);
  r.Optional("uid", &out->uid);
  r.Optional("gid", &out->gid);
}
void ReadJson(ObjectReader& r, DeviceRule* out) {
  r.Optional("allow", &out->allow);
  r.Optional("type", &out->type);
  r.Optional("major", &out->major);
  r.Optional("minor", &out->minor);
  r.Optional("access", &out->access);
}
void ReadJson(ObjectReader& r, MemoryResources* out) {
  r.Optional("limit", &out->limit);
  r.Optional("reservation", &out->reservation);
  r.Optional("swap", &out->swap);
  r.Optional("kernel", &out->kernel);
  r.Optional("kernelTCP", &out->kernel_tcp);
  r.Optional("swappiness", &out->swappiness);
  r.Optional("disableOOMKiller", &out->disable_oom_killer);
  r.Optional("useHierarchy", &out->use_hierarchy);
  r.Optional("checkBeforeUpdate", &out->check_before_update);
  out->extra = Unknown(r);
}
void ReadJson(ObjectReader& r, CpuResources* out) {
  r.Optional("shares", &out->shares);
  r.Optional("quota", &out->quota);
  r.Optional("burst", &out->burst);
  r.Optional("period", &out->period);
  r.Optional("realtimeRuntime", &out->realtime_runtime);
  r.Optional("realtimePeriod", &out->realtime_period);
  r.Optional("cpus", &out->cpus);
  r.Optional("mems", &out->mems);
  r.Optional("idle", &out->idle);
  out->extra = Unknown(r);
}
void ReadJson(ObjectReader& r, WeightDevice* out) {
  r.Required("major", &out->major);
  r.Required("minor", &out->minor);
  r.Optional("weight", &out->weight);
  r.Optional("leafWeight", &out->leaf_weight);
}
void ReadJson(ObjectReader& r, ThrottleDevice* out) {
  r.Required("major", &out->major);
  r.Required("minor", &out->minor);
  r.Required("rate", &out->rate);
}
void ReadJson(ObjectReader& r, BlockIoResources* out) {
  r.Optional("weight", &out->weight);
  r.Optional("leafWeight", &out->leaf_weight);
  r.Optional("weightDevice", &out->weight_device);
  r.Optional("throttleReadBpsDevice", &out->read_bps);
  r.Optional("throttleWriteBpsDevice", &out->write_bps);
  r.Optional("throttleReadIOPSDevice", &out->read_iops);
  r.Optional("throttleWriteIOPSDevice", &out->write_iops);
  out->extra = Unknown(r);
}
void ReadJson(ObjectReader& r, HugepageLimit* out) {
  r.Required("pageSize", &out->page_size);
  r.Required("limit", &out->limit);
}
void ReadJson(ObjectReader& r, NetworkPriority* out) {
  r.Required("name", &out->name);
  r.Required("priority", &out->priority);
}
void ReadJson(ObjectReader& r, NetworkResources* out) {
  r.Optional("classID", &out->class_id);
  r.Optional("priorities", &out->priorities);
}
void ReadJson(ObjectReader& r, RdmaLimit* out) {
  r.Optional("hcaHandles", &out->hca_handles);
  r.Optional("hcaObjects", &out->hca_objects);
}
namespace {
struct Pids {
  std::optional<int64_t> limit;
};
void ReadJson(ObjectReader& r, Pids* out) { r.Optional("limit", &out->limit); }
}  // namespace
void ReadJson(ObjectReader& r, Resources* out) {
  r.Optional("devices", &out->devices);
  r.Optional("memory", &out->memory);
  r.Optional("cpu", &out->cpu);
  Pids pids;
  r.Optional("pids", &pids);
  out->pids_limit = pids.limit;
  r.Optional("blockIO", &out->block_io);
  r.Optional("hugepageLimits", &out->hugepage_limits);
  r.Optional("network", &out->network);
  r.Optional("rdma", &out->rdma);
  r.Optional("unified", &out->unified);
  out->extra = Unknown(r);
}
void ReadJson(ObjectReader& r, SeccompArg* out) {
  r.Required("index", &out->index);
  r.Required("value", &out->value);
  r.Optional("valueTwo", &out->value_two);
  r.Required("op", &out->op);
}
void ReadJson(ObjectReader& r, SeccompSyscall* out) {
  r.Required("names", &out->names);
  r.Required("action", &out->action);
  r.Optional("errnoRet", &out->errno_ret);
  r.Optional("args", &out->args);
}
void ReadJson(ObjectReader& r, Seccomp* out) {
  r.Required("defaultAction", &out->default_action);
  r.Optional("defaultErrnoRet", &out->default_errno_ret);
  r.Optional("architectures", &out->architectures);
  r.Optional("flags", &out->flags);
  r.Optional("listenerPath", &out->listener_path);
  r.Optional("listenerMetadata", &out->listener_metadata);
  r.Optional("syscalls", &out->syscalls);
  out->extra = Unknown(r);
}
void ReadJson(ObjectReader& r, IntelRdt* out) {
  r.Optional("closID", &out->clos_id);
  r.Optional("schemata", &out->schemata);
  r.Optional("l3CacheSchema", &out->l3_cache_schema);
  r.Optional("memBwSchema", &out->mem_bw_schema);
  r.Optional("enableMonitoring", &out->enable_monitoring);
  out->extra = Unknown(r);
}
void ReadJson(ObjectReader& r, MemoryPolicy* out) {
  r.Required("mode", &out->mode);
  r.Optional("nodes", &out->nodes);
  r.Optional("flags", &out->flags);
}
void ReadJson(ObjectReader& r, Personality* out) {
  r.Required("domain", &out->domain);
  r.Optional("flags", &out->flags);
}
void ReadJson(ObjectReader& r, NetDevice* out) { r.Optional("name", &out->name); }
void ReadJson(ObjectReader& r, Linux* out) {
  r.Optional("uidMappings", &out->uid_mappings);
  r.Optional("gidMappings", &out->gid_mappings);
  r.Optional("sysctl", &out->sysctl);
  r.Optional("resources", &out->resources);
  r.Optional("cgroupsPath", &out->cgroups_path);
  r.Optional("namespaces", &out->namespaces);
  r.Optional("timeOffsets", &out->time_offsets);
  r.Optional("devices", &out->devices);
  r.Optional("netDevices", &out->net_devices);
  r.Optional("seccomp", &out->seccomp);
  r.Optional("rootfsPropagation", &out->rootfs_propagation);
  r.Optional("mountLabel", &out->mount_label);
  r.Optional("maskedPaths", &out->masked_paths);
  r.Optional("readonlyPaths", &out->readonly_paths);
  r.Optional("intelRdt", &out->intel_rdt);
  r.Optional("memoryPolicy", &out->memory_policy);
  r.Optional("personality", &out->personality);
  out->extra = Unknown(r);
}
void ReadJson(ObjectReader& r, Spec* out) {
  r.Required("ociVersion", &out->oci_version);
  r.Optional("root", &out->root);
  r.Optional("process", &out->process);
  r.Optional("hostname", &out->hostname);
  r.Optional("domainname", &out->domainname);
  r.Optional("mounts", &out->mounts);
  r.Optional("hooks", &out->hooks);
  r.Optional("annotations", &out->annotations);
  r.Optional("linux", &out->linux_);
  out->extra = Unknown(r);
}

namespace {
template <typename T>
absl::StatusOr<T> ParseAs(std::string_view text, std::string_view name,
                          const base::Limits& limits) {
  COAM_ASSIGN_OR_RETURN(json::Value value, json::ParseObject(text, {.limits = &limits}));
  T out;
  COAM_RETURN_IF_ERROR(json::Read(value, name, &out));
  return out;
}
}  // namespace

absl::StatusOr<Spec> ParseSpec(std::string_view text, const base::Limits& limits) {
  return ParseAs<Spec>(text, "config", limits);
}
absl::StatusOr<Process> ParseProcess(std::string_view text, const base::Limits& limits) {
  return ParseAs<Process>(text, "process", limits);
}
absl::StatusOr<Resources> ParseResources(std::string_view text, const base::Limits& limits) {
  return ParseAs<Resources>(text, "resources", limits);
}
absl::StatusOr<Seccomp> ParseSeccomp(std::string_view text, const base::Limits& limits) {
  return ParseAs<Seccomp>(text, "seccomp", limits);
}

const Namespace* Spec::FindNamespace(std::string_view type) const {
  for (const Namespace& n : linux_.namespaces)
    if (n.type == type) return &n;
  return nullptr;
}

}  // namespace coaming::run
