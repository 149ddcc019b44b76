// Writing the runtime specification's documents, members in the specification's order.
#include <string>

#include "base/json/json.h"
#include "base/json/reader.h"
#include "liboci/spec/runtime/runtime_spec.h"

namespace coaming::run {

namespace {
namespace json = base::json;
using json::SetUnlessEmpty;
using json::Value;

template <typename T>
void SetOptional(Value* o, std::string_view key, const std::optional<T>& value) {
  if (value) o->Set(key, *value);
}
void SetNonZero(Value* o, std::string_view key, int64_t value) {
  if (value != 0) o->Set(key, value);
}
void SetTrue(Value* o, std::string_view key, bool value) {
  if (value) o->Set(key, true);
}
void SetStrings(Value* o, std::string_view key, const std::vector<std::string>& list) {
  SetUnlessEmpty(o, key, list);
}
void SetExtra(Value* o, const Extra& extra) {
  for (const auto& [key, text] : extra) {
    absl::StatusOr<Value> value = json::Parse(text);
    if (value.ok() && o->Find(key) == nullptr) o->Set(key, *std::move(value));
  }
}
template <typename T, typename F>
void SetList(Value* o, std::string_view key, const std::vector<T>& list, F make) {
  if (list.empty()) return;
  Value array = Value::MakeArray();
  for (const T& item : list) array.Push(make(item));
  o->Set(key, std::move(array));
}
void SetObject(Value* o, std::string_view key, Value object) {
  if (!object.empty()) o->Set(key, std::move(object));
}

Value Make(const IdMap& m) {
  Value v = Value::MakeObject();
  v.Set("containerID", m.container_id);
  v.Set("hostID", m.host_id);
  v.Set("size", m.size);
  return v;
}
Value Make(const Mount& m) {
  Value v = Value::MakeObject();
  v.Set("destination", m.destination);
  SetUnlessEmpty(&v, "type", m.type);
  SetUnlessEmpty(&v, "source", m.source);
  SetStrings(&v, "options", m.options);
  SetList(&v, "uidMappings", m.uid_mappings, [](const IdMap& i) { return Make(i); });
  SetList(&v, "gidMappings", m.gid_mappings, [](const IdMap& i) { return Make(i); });
  SetExtra(&v, m.extra);
  return v;
}
Value MakeNumbers(const std::vector<uint32_t>& list) {
  Value v = Value::MakeArray();
  for (uint32_t n : list) v.Push(n);
  return v;
}
Value Make(const Process& p) {
  Value v = Value::MakeObject();
  SetTrue(&v, "terminal", p.terminal);
  if (p.console_size) {
    Value size = Value::MakeObject();
    size.Set("height", p.console_size->height);
    size.Set("width", p.console_size->width);
    v.Set("consoleSize", std::move(size));
  }
  Value user = Value::MakeObject();
  user.Set("uid", p.user.uid);
  user.Set("gid", p.user.gid);
  SetOptional(&user, "umask", p.user.umask);
  if (!p.user.additional_gids.empty())
    user.Set("additionalGids", MakeNumbers(p.user.additional_gids));
  SetExtra(&user, p.user.extra);
  v.Set("user", std::move(user));
  SetStrings(&v, "args", p.args);
  SetStrings(&v, "env", p.env);
  v.Set("cwd", p.cwd);
  if (p.capabilities) {
    Value caps = Value::MakeObject();
    SetStrings(&caps, "bounding", p.capabilities->bounding);
    SetStrings(&caps, "effective", p.capabilities->effective);
    SetStrings(&caps, "inheritable", p.capabilities->inheritable);
    SetStrings(&caps, "permitted", p.capabilities->permitted);
    SetStrings(&caps, "ambient", p.capabilities->ambient);
    SetExtra(&caps, p.capabilities->extra);
    v.Set("capabilities", std::move(caps));
  }
  SetList(&v, "rlimits", p.rlimits, [](const Rlimit& r) {
    Value o = Value::MakeObject();
    o.Set("type", r.type);
    o.Set("hard", r.hard);
    o.Set("soft", r.soft);
    return o;
  });
  SetTrue(&v, "noNewPrivileges", p.no_new_privileges);
  SetUnlessEmpty(&v, "apparmorProfile", p.apparmor_profile);
  SetOptional(&v, "oomScoreAdj", p.oom_score_adj);
  if (p.scheduler) {
    const Scheduler& s = *p.scheduler;
    Value o = Value::MakeObject();
    o.Set("policy", s.policy);
    SetNonZero(&o, "nice", s.nice);
    SetNonZero(&o, "priority", s.priority);
    SetStrings(&o, "flags", s.flags);
    if (s.runtime) o.Set("runtime", s.runtime);
    if (s.deadline) o.Set("deadline", s.deadline);
    if (s.period) o.Set("period", s.period);
    v.Set("scheduler", std::move(o));
  }
  SetUnlessEmpty(&v, "selinuxLabel", p.selinux_label);
  if (p.io_priority) {
    Value o = Value::MakeObject();
    o.Set("class", p.io_priority->io_class);
    o.Set("priority", p.io_priority->priority);
    v.Set("ioPriority", std::move(o));
  }
  if (p.exec_cpu_affinity) {
    Value o = Value::MakeObject();
    SetUnlessEmpty(&o, "initial", p.exec_cpu_affinity->initial);
    SetUnlessEmpty(&o, "final", p.exec_cpu_affinity->final);
    v.Set("execCPUAffinity", std::move(o));
  }
  SetExtra(&v, p.extra);
  return v;
}
Value Make(const Hook& h) {
  Value v = Value::MakeObject();
  v.Set("path", h.path);
  SetStrings(&v, "args", h.args);
  SetStrings(&v, "env", h.env);
  SetOptional(&v, "timeout", h.timeout);
  SetExtra(&v, h.extra);
  return v;
}
Value Make(const Hooks& h) {
  Value v = Value::MakeObject();
  auto make = [](const Hook& hook) { return Make(hook); };
  SetList(&v, "prestart", h.prestart, make);
  SetList(&v, "createRuntime", h.create_runtime, make);
  SetList(&v, "createContainer", h.create_container, make);
  SetList(&v, "startContainer", h.start_container, make);
  SetList(&v, "poststart", h.poststart, make);
  SetList(&v, "poststop", h.poststop, make);
  SetExtra(&v, h.extra);
  return v;
}
Value Make(const ThrottleDevice& d) {
  Value v = Value::MakeObject();
  v.Set("major", d.major);
  v.Set("minor", d.minor);
  v.Set("rate", d.rate);
  return v;
}
Value Make(const BlockIoResources& b) {
  Value v = Value::MakeObject();
  SetOptional(&v, "weight", b.weight);
  SetOptional(&v, "leafWeight", b.leaf_weight);
  SetList(&v, "weightDevice", b.weight_device, [](const WeightDevice& d) {
    Value o = Value::MakeObject();
    o.Set("major", d.major);
    o.Set("minor", d.minor);
    SetOptional(&o, "weight", d.weight);
    SetOptional(&o, "leafWeight", d.leaf_weight);
    return o;
  });
  auto make = [](const ThrottleDevice& d) { return Make(d); };
  SetList(&v, "throttleReadBpsDevice", b.read_bps, make);
  SetList(&v, "throttleWriteBpsDevice", b.write_bps, make);
  SetList(&v, "throttleReadIOPSDevice", b.read_iops, make);
  SetList(&v, "throttleWriteIOPSDevice", b.write_iops, make);
  SetExtra(&v, b.extra);
  return v;
}
Value Make(const Resources& r) {
  Value v = Value::MakeObject();
  if (r.devices) {
    Value list = Value::MakeArray();
    for (const DeviceRule& d : *r.devices) {
      Value o = Value::MakeObject();
      o.Set("allow", d.allow);
      SetUnlessEmpty(&o, "type", d.type);
      SetOptional(&o, "major", d.major);
      SetOptional(&o, "minor", d.minor);
      SetUnlessEmpty(&o, "access", d.access);
      list.Push(std::move(o));
    }
    v.Set("devices", std::move(list));
  }
  if (r.memory) {
    const MemoryResources& m = *r.memory;
    Value o = Value::MakeObject();
    SetOptional(&o, "limit", m.limit);
    SetOptional(&o, "reservation", m.reservation);
    SetOptional(&o, "swap", m.swap);
    SetOptional(&o, "kernel", m.kernel);
    SetOptional(&o, "kernelTCP", m.kernel_tcp);
    SetOptional(&o, "swappiness", m.swappiness);
    SetOptional(&o, "disableOOMKiller", m.disable_oom_killer);
    SetOptional(&o, "useHierarchy", m.use_hierarchy);
    SetOptional(&o, "checkBeforeUpdate", m.check_before_update);
    SetExtra(&o, m.extra);
    v.Set("memory", std::move(o));
  }
  if (r.cpu) {
    const CpuResources& c = *r.cpu;
    Value o = Value::MakeObject();
    SetOptional(&o, "shares", c.shares);
    SetOptional(&o, "quota", c.quota);
    SetOptional(&o, "burst", c.burst);
    SetOptional(&o, "period", c.period);
    SetOptional(&o, "realtimeRuntime", c.realtime_runtime);
    SetOptional(&o, "realtimePeriod", c.realtime_period);
    SetUnlessEmpty(&o, "cpus", c.cpus);
    SetUnlessEmpty(&o, "mems", c.mems);
    SetOptional(&o, "idle", c.idle);
    SetExtra(&o, c.extra);
    v.Set("cpu", std::move(o));
  }
  if (r.pids_limit) {
    Value o = Value::MakeObject();
    o.Set("limit", *r.pids_limit);
    v.Set("pids", std::move(o));
  }
  if (r.block_io) v.Set("blockIO", Make(*r.block_io));
  SetList(&v, "hugepageLimits", r.hugepage_limits, [](const HugepageLimit& h) {
    Value o = Value::MakeObject();
    o.Set("pageSize", h.page_size);
    o.Set("limit", h.limit);
    return o;
  });
  if (r.network) {
    Value o = Value::MakeObject();
    SetOptional(&o, "classID", r.network->class_id);
    SetList(&o, "priorities", r.network->priorities, [](const NetworkPriority& p) {
      Value n = Value::MakeObject();
      n.Set("name", p.name);
      n.Set("priority", p.priority);
      return n;
    });
    v.Set("network", std::move(o));
  }
  if (!r.rdma.empty()) {
    Value all = Value::MakeObject();
    for (const auto& [name, limit] : r.rdma) {
      Value o = Value::MakeObject();
      SetOptional(&o, "hcaHandles", limit.hca_handles);
      SetOptional(&o, "hcaObjects", limit.hca_objects);
      all.Set(name, std::move(o));
    }
    v.Set("rdma", std::move(all));
  }
  SetUnlessEmpty(&v, "unified", r.unified);
  SetExtra(&v, r.extra);
  return v;
}
Value Make(const Seccomp& s) {
  Value v = Value::MakeObject();
  v.Set("defaultAction", s.default_action);
  SetOptional(&v, "defaultErrnoRet", s.default_errno_ret);
  SetStrings(&v, "architectures", s.architectures);
  SetStrings(&v, "flags", s.flags);
  SetUnlessEmpty(&v, "listenerPath", s.listener_path);
  SetUnlessEmpty(&v, "listenerMetadata", s.listener_metadata);
  SetList(&v, "syscalls", s.syscalls, [](const SeccompSyscall& c) {
    Value o = Value::MakeObject();
    o.Set("names", c.names);
    o.Set("action", c.action);
    SetOptional(&o, "errnoRet", c.errno_ret);
    SetList(&o, "args", c.args, [](const SeccompArg& a) {
      Value arg = Value::MakeObject();
      arg.Set("index", a.index);
      arg.Set("value", a.value);
      if (a.value_two) arg.Set("valueTwo", a.value_two);
      arg.Set("op", a.op);
      return arg;
    });
    return o;
  });
  SetExtra(&v, s.extra);
  return v;
}
Value Make(const Linux& l) {
  Value v = Value::MakeObject();
  auto map = [](const IdMap& m) { return Make(m); };
  SetList(&v, "uidMappings", l.uid_mappings, map);
  SetList(&v, "gidMappings", l.gid_mappings, map);
  SetUnlessEmpty(&v, "sysctl", l.sysctl);
  if (l.resources) v.Set("resources", Make(*l.resources));
  SetUnlessEmpty(&v, "cgroupsPath", l.cgroups_path);
  SetList(&v, "namespaces", l.namespaces, [](const Namespace& n) {
    Value o = Value::MakeObject();
    o.Set("type", n.type);
    SetUnlessEmpty(&o, "path", n.path);
    return o;
  });
  if (!l.time_offsets.empty()) {
    Value all = Value::MakeObject();
    for (const auto& [clock, offset] : l.time_offsets) {
      Value o = Value::MakeObject();
      o.Set("secs", offset.secs);
      o.Set("nanosecs", offset.nanosecs);
      all.Set(clock, std::move(o));
    }
    v.Set("timeOffsets", std::move(all));
  }
  SetList(&v, "devices", l.devices, [](const Device& d) {
    Value o = Value::MakeObject();
    o.Set("path", d.path);
    o.Set("type", d.type);
    if (d.type != "p") {
      o.Set("major", d.major);
      o.Set("minor", d.minor);
    }
    SetOptional(&o, "fileMode", d.file_mode);
    SetOptional(&o, "uid", d.uid);
    SetOptional(&o, "gid", d.gid);
    return o;
  });
  if (!l.net_devices.empty()) {
    Value all = Value::MakeObject();
    for (const auto& [name, device] : l.net_devices) {
      Value o = Value::MakeObject();
      SetUnlessEmpty(&o, "name", device.name);
      all.Set(name, std::move(o));
    }
    v.Set("netDevices", std::move(all));
  }
  if (l.seccomp) v.Set("seccomp", Make(*l.seccomp));
  SetUnlessEmpty(&v, "rootfsPropagation", l.rootfs_propagation);
  SetStrings(&v, "maskedPaths", l.masked_paths);
  SetStrings(&v, "readonlyPaths", l.readonly_paths);
  SetUnlessEmpty(&v, "mountLabel", l.mount_label);
  if (l.intel_rdt) {
    Value o = Value::MakeObject();
    SetUnlessEmpty(&o, "closID", l.intel_rdt->clos_id);
    SetStrings(&o, "schemata", l.intel_rdt->schemata);
    SetUnlessEmpty(&o, "l3CacheSchema", l.intel_rdt->l3_cache_schema);
    SetUnlessEmpty(&o, "memBwSchema", l.intel_rdt->mem_bw_schema);
    SetTrue(&o, "enableMonitoring", l.intel_rdt->enable_monitoring);
    SetExtra(&o, l.intel_rdt->extra);
    v.Set("intelRdt", std::move(o));
  }
  if (l.memory_policy) {
    Value o = Value::MakeObject();
    o.Set("mode", l.memory_policy->mode);
    SetUnlessEmpty(&o, "nodes", l.memory_policy->nodes);
    SetStrings(&o, "flags", l.memory_policy->flags);
    v.Set("memoryPolicy", std::move(o));
  }
  if (l.personality) {
    Value o = Value::MakeObject();
    o.Set("domain", l.personality->domain);
    SetStrings(&o, "flags", l.personality->flags);
    v.Set("personality", std::move(o));
  }
  SetExtra(&v, l.extra);
  return v;
}
Value Make(const Spec& s) {
  Value v = Value::MakeObject();
  v.Set("ociVersion", s.oci_version);
  if (s.process) v.Set("process", Make(*s.process));
  if (s.root) {
    Value root = Value::MakeObject();
    root.Set("path", s.root->path);
    SetTrue(&root, "readonly", s.root->readonly);
    SetExtra(&root, s.root->extra);
    v.Set("root", std::move(root));
  }
  SetUnlessEmpty(&v, "hostname", s.hostname);
  SetUnlessEmpty(&v, "domainname", s.domainname);
  SetList(&v, "mounts", s.mounts, [](const Mount& m) { return Make(m); });
  SetObject(&v, "hooks", Make(s.hooks));
  SetUnlessEmpty(&v, "annotations", s.annotations);
  SetObject(&v, "linux", Make(s.linux_));
  SetExtra(&v, s.extra);
  return v;
}
std::string Render(const Value& value, std::string_view indent) {
  return json::Write(value, {.indent = indent, .escape = json::Escape::kGo});
}
}  // namespace

std::string WriteSpec(const Spec& spec, std::string_view indent) {
  return Render(Make(spec), indent);
}
std::string WriteProcess(const Process& process, std::string_view indent) {
  return Render(Make(process), indent);
}
std::string WriteResources(const Resources& resources, std::string_view indent) {
  return Render(Make(resources), indent);
}
std::string WriteSeccomp(const Seccomp& seccomp, std::string_view indent) {
  return Render(Make(seccomp), indent);
}

std::string WriteState(const StateDocument& state, std::string_view indent) {
  Value v = Value::MakeObject();
  v.Set("ociVersion", state.oci_version);
  v.Set("id", state.id);
  v.Set("pid", state.pid);
  v.Set("status", state.status);
  v.Set("bundle", state.bundle);
  SetUnlessEmpty(&v, "rootfs", state.rootfs);
  SetUnlessEmpty(&v, "created", state.created);
  SetUnlessEmpty(&v, "annotations", state.annotations);
  if (!state.created.empty()) v.Set("owner", state.owner);
  return Render(v, indent);
}

}  // namespace coaming::run
