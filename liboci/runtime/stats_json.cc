// Stats in the form of `runc events --stats`.
#include <utility>

#include "base/json/json.h"
#include "base/json/value.h"
#include "liboci/runtime/stats.h"

namespace coaming::run {

namespace {

using base::json::Value;

// A member that runc leaves out when it is 0, and one that it always gives.
void Maybe(Value* o, std::string_view key, int64_t value) {
  if (value > 0) o->Set(key, value);
}
void Always(Value* o, std::string_view key, int64_t value) {
  o->Set(key, value > 0 ? value : int64_t{0});
}

template <typename T>
void List(Value* o, std::string_view key, const std::vector<T>& list) {
  if (list.empty()) return;
  Value v = Value::MakeArray();
  for (T n : list) v.Push(static_cast<uint64_t>(n));
  o->Set(key, std::move(v));
}

// An amount without a limit has the largest one there is.
Value GaugeValue(const Gauge& g) {
  Value o = Value::MakeObject();
  if (g.limit < 0 && g.usage >= 0) o.Set("limit", ~uint64_t{0});
  else Always(&o, "limit", g.limit);
  Maybe(&o, "usage", g.usage);
  Maybe(&o, "max", g.max);
  Always(&o, "failcnt", g.failcnt);
  return o;
}

void SetPressure(Value* o, const std::optional<Pressure>& pressure) {
  if (!pressure) return;
  auto line = [](const Pressure::Line& l) {
    Value v = Value::MakeObject();
    v.Set("avg10", Value::MakeDouble(l.avg10));
    v.Set("avg60", Value::MakeDouble(l.avg60));
    v.Set("avg300", Value::MakeDouble(l.avg300));
    v.Set("total", l.total);
    return v;
  };
  Value v = Value::MakeObject();
  v.Set("some", line(pressure->some));
  v.Set("full", line(pressure->full));
  o->Set("psi", std::move(v));
}

void SetIo(Value* o, std::string_view key, const std::vector<IoEntry>& entries) {
  if (entries.empty()) return;
  Value list = Value::MakeArray();
  for (const IoEntry& e : entries) {
    Value v = Value::MakeObject();
    Maybe(&v, "major", static_cast<int64_t>(e.major));
    Maybe(&v, "minor", static_cast<int64_t>(e.minor));
    if (!e.op.empty()) v.Set("op", e.op);
    Maybe(&v, "value", static_cast<int64_t>(e.value));
    list.Push(std::move(v));
  }
  o->Set(key, std::move(list));
}

Value CpuValue(const Stats& s) {
  Value usage = Value::MakeObject(), throttling = Value::MakeObject(), cpu = Value::MakeObject();
  Maybe(&usage, "total", s.cpu_usage_ns);
  List(&usage, "percpu", s.percpu);
  List(&usage, "percpu_kernel", s.percpu_system);
  List(&usage, "percpu_user", s.percpu_user);
  Always(&usage, "kernel", s.cpu_system_ns);
  Always(&usage, "user", s.cpu_user_ns);
  Maybe(&throttling, "periods", s.cpu_periods);
  Maybe(&throttling, "throttledPeriods", s.cpu_throttled_periods);
  Maybe(&throttling, "throttledTime", s.cpu_throttled_ns);
  cpu.Set("usage", std::move(usage));
  cpu.Set("throttling", std::move(throttling));
  SetPressure(&cpu, s.cpu_pressure);
  return cpu;
}

Value CpusetValue(const Stats& s) {
  Value v = Value::MakeObject();
  List(&v, "cpus", s.cpus);
  List(&v, "mems", s.mems);
  constexpr std::string_view kFlags[] = {
      "cpu_exclusive",   "mem_hardwall",       "mem_exclusive",
      "memory_migrate",  "memory_spread_page", "memory_spread_slab",
      "memory_pressure", "sched_load_balance", "sched_relax_domain_level"};
  for (std::string_view flag : kFlags) {
    auto it = s.cpuset_flags.find(std::string(flag));
    v.Set(flag, it == s.cpuset_flags.end() ? int64_t{0} : it->second);
  }
  return v;
}

Value MemoryValue(const Stats& s) {
  Value v = Value::MakeObject(), raw = Value::MakeObject();
  Maybe(&v, "cache", s.memory_cache);
  v.Set("usage", GaugeValue(s.memory));
  v.Set("swap", GaugeValue(s.swap));
  v.Set("kernel", GaugeValue(s.kernel));
  v.Set("kernelTCP", GaugeValue(s.kernel_tcp));
  for (const auto& [key, value] : s.memory_raw) raw.Set(key, value);
  if (!s.memory_raw.empty()) v.Set("raw", std::move(raw));
  SetPressure(&v, s.memory_pressure);
  return v;
}

Value IoValue(const Stats& s) {
  Value v = Value::MakeObject();
  SetIo(&v, "ioServiceBytesRecursive", s.io_bytes);
  SetIo(&v, "ioServicedRecursive", s.io_ops);
  SetIo(&v, "ioQueueRecursive", s.io_queued);
  SetIo(&v, "ioServiceTimeRecursive", s.io_service_time);
  SetIo(&v, "ioWaitTimeRecursive", s.io_wait_time);
  SetIo(&v, "ioMergedRecursive", s.io_merged);
  SetIo(&v, "ioTimeRecursive", s.io_time);
  SetIo(&v, "sectorsRecursive", s.io_sectors);
  SetPressure(&v, s.io_pressure);
  return v;
}

}  // namespace

std::string StatsToJson(std::string_view id, const Stats& s) {
  Value data = Value::MakeObject(), pids = Value::MakeObject(), huge = Value::MakeObject();
  Maybe(&pids, "current", s.pids_current);
  Maybe(&pids, "limit", s.pids_limit);
  for (const auto& [size, gauge] : s.hugetlb) {
    Value page = Value::MakeObject();
    Maybe(&page, "usage", gauge.usage);
    Maybe(&page, "max", gauge.max);
    Always(&page, "failcnt", gauge.failcnt);
    huge.Set(size, std::move(page));
  }
  data.Set("cpu", CpuValue(s));
  data.Set("cpuset", CpusetValue(s));
  data.Set("memory", MemoryValue(s));
  data.Set("pids", std::move(pids));
  data.Set("blkio", IoValue(s));
  data.Set("hugetlb", std::move(huge));
  data.Set("intel_rdt", Value::MakeObject());
  data.Set("network_interfaces", Value());
  Value v = Value::MakeObject();
  v.Set("type", "stats");
  v.Set("id", id);
  v.Set("data", std::move(data));
  return base::json::Write(v);
}

}  // namespace coaming::run
