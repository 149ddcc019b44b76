// Counters of cgroups, v1 and v2.
#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "liboci/runtime/cgroups.h"
#include "liboci/runtime/kernel_file.h"

namespace coaming::run {

namespace {

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  return text;
}

// "max" and what is no number: -1. A v1 limit that is none (2^63 less a page) stays as it is.
int64_t Number(std::string_view text) {
  int64_t n = -1;
  return absl::SimpleAtoi(Trimmed(text), &n) ? n : -1;
}

// "key value" lines.
std::map<std::string, int64_t> Fields(std::string_view text) {
  std::map<std::string, int64_t> out;
  for (std::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const std::pair<std::string_view, std::string_view> kv =
        absl::StrSplit(line, absl::MaxSplits(' ', 1));
    out[std::string(kv.first)] = Number(kv.second);
  }
  return out;
}

int64_t Get(const std::map<std::string, int64_t>& fields, const std::string& key) {
  auto it = fields.find(key);
  return it == fields.end() ? -1 : it->second;
}

int64_t Scaled(int64_t value, int64_t factor) { return value < 0 ? -1 : value * factor; }

// "0-3,7"
std::vector<uint16_t> CpuList(std::string_view text) {
  std::vector<uint16_t> out;
  for (std::string_view part : absl::StrSplit(Trimmed(text), ',', absl::SkipEmpty())) {
    const std::pair<std::string_view, std::string_view> range =
        absl::StrSplit(part, absl::MaxSplits('-', 1));
    uint32_t first = 0, last = 0;
    if (!absl::SimpleAtoi(range.first, &first)) continue;
    if (!absl::SimpleAtoi(range.second, &last)) last = first;
    for (uint32_t n = first; n <= last && n < 65536; ++n) out.push_back(static_cast<uint16_t>(n));
  }
  return out;
}

bool Device(std::string_view text, IoEntry* e) {
  const std::pair<std::string_view, std::string_view> mm =
      absl::StrSplit(text, absl::MaxSplits(':', 1));
  return absl::SimpleAtoi(mm.first, &e->major) && absl::SimpleAtoi(mm.second, &e->minor);
}

// "8:0 Read 4096" lines, or "8:0 4096"; "Total 0" is the sum of all devices.
std::vector<IoEntry> IoLines(std::string_view text) {
  std::vector<IoEntry> out;
  for (std::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const std::vector<std::string_view> f = absl::StrSplit(line, ' ', absl::SkipEmpty());
    IoEntry e;
    if (f.size() < 2 || !Device(f[0], &e) || !absl::SimpleAtoi(f.back(), &e.value)) continue;
    if (f.size() == 3) e.op = f[1];
    out.push_back(std::move(e));
  }
  return out;
}

std::optional<Pressure> ReadPressure(std::string_view text) {
  if (text.empty()) return std::nullopt;
  Pressure p;
  for (std::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const std::vector<std::string_view> words = absl::StrSplit(line, ' ');
    Pressure::Line& to = words[0] == "some" ? p.some : p.full;
    for (std::string_view w : words) {
      if (absl::ConsumePrefix(&w, "avg10=")) (void)absl::SimpleAtod(w, &to.avg10);
      else if (absl::ConsumePrefix(&w, "avg60=")) (void)absl::SimpleAtod(w, &to.avg60);
      else if (absl::ConsumePrefix(&w, "avg300=")) (void)absl::SimpleAtod(w, &to.avg300);
      else if (absl::ConsumePrefix(&w, "total=")) (void)absl::SimpleAtoi(w, &to.total);
    }
  }
  return p;
}

// Reads the files of one directory; a missing one is empty.
class Files {
 public:
  Files(int root, const std::string& path) : root_(root), path_(path) {}
  std::string Text(std::string_view file) const {
    std::string out;
    int error = 0;
    ReadAt(root_, absl::StrCat(path_, "/", file), &out, &error);
    return out;
  }
  int64_t Number(std::string_view file) const { return run::Number(Text(file)); }
  Gauge V1(std::string_view prefix) const {
    return {Number(absl::StrCat(prefix, ".limit_in_bytes")),
            Number(absl::StrCat(prefix, ".usage_in_bytes")),
            Number(absl::StrCat(prefix, ".max_usage_in_bytes")),
            Number(absl::StrCat(prefix, ".failcnt"))};
  }

 private:
  const int root_;
  const std::string& path_;
};

// The sizes of huge pages that this host has, as cgroups name them.
std::vector<std::string> HugePageSizes() {
  std::vector<std::string> out;
  absl::StatusOr<base::Dir> dir = base::Dir::Open("/sys/kernel/mm/hugepages");
  if (!dir.ok()) return out;
  absl::StatusOr<std::vector<base::DirEntry>> entries = dir->List();
  if (!entries.ok()) return out;
  for (const base::DirEntry& e : *entries) {
    std::string_view name = e.name;
    uint64_t kib = 0;
    if (!absl::ConsumePrefix(&name, "hugepages-") || !absl::ConsumeSuffix(&name, "kB") ||
        !absl::SimpleAtoi(name, &kib))
      continue;
    out.push_back(kib >= 1 << 20   ? absl::StrCat(kib >> 20, "GB")
                  : kib >= 1 << 10 ? absl::StrCat(kib >> 10, "MB")
                                   : absl::StrCat(kib, "KB"));
  }
  return out;
}

void ReadV2(const Files& f, Stats* s) {
  const auto cpu = Fields(f.Text("cpu.stat"));
  s->cpu_usage_ns = Scaled(Get(cpu, "usage_usec"), 1000);
  s->cpu_user_ns = Scaled(Get(cpu, "user_usec"), 1000);
  s->cpu_system_ns = Scaled(Get(cpu, "system_usec"), 1000);
  s->cpu_periods = Get(cpu, "nr_periods");
  s->cpu_throttled_periods = Get(cpu, "nr_throttled");
  s->cpu_throttled_ns = Scaled(Get(cpu, "throttled_usec"), 1000);
  s->cpus = CpuList(f.Text("cpuset.cpus.effective"));
  s->mems = CpuList(f.Text("cpuset.mems.effective"));
  s->memory_raw = Fields(f.Text("memory.stat"));
  const auto events = Fields(f.Text("memory.events"));
  s->memory = {f.Number("memory.max"), f.Number("memory.current"), f.Number("memory.peak"),
               Get(events, "max")};
  s->swap = {f.Number("memory.swap.max"), f.Number("memory.swap.current"),
             f.Number("memory.swap.peak"), -1};
  // As on v1: memory and swap together.
  if (s->swap.usage >= 0 && s->memory.usage >= 0) s->swap.usage += s->memory.usage;
  if (s->swap.limit >= 0 && s->memory.limit >= 0) s->swap.limit += s->memory.limit;
  s->memory_cache = Get(s->memory_raw, "file");
  s->kernel.usage = Get(s->memory_raw, "kernel");
  s->kernel_tcp.usage = Get(s->memory_raw, "sock");
  s->oom_kills = Get(events, "oom_kill");
  s->pids_current = f.Number("pids.current");
  s->pids_limit = std::max<int64_t>(f.Number("pids.max"), 0);
  for (std::string_view line : absl::StrSplit(f.Text("io.stat"), '\n', absl::SkipEmpty())) {
    const std::vector<std::string_view> words = absl::StrSplit(line, ' ');
    IoEntry e;
    if (!Device(words[0], &e)) continue;
    for (std::string_view w : words) {
      constexpr struct {
        std::string_view key, op;
        bool bytes;
      } kRows[] = {{"rbytes=", "Read", true},    {"wbytes=", "Write", true},
                   {"dbytes=", "Discard", true}, {"rios=", "Read", false},
                   {"wios=", "Write", false},    {"dios=", "Discard", false}};
      for (const auto& row : kRows)
        if (absl::ConsumePrefix(&w, row.key) && absl::SimpleAtoi(w, &e.value)) {
          e.op = row.op;
          (row.bytes ? s->io_bytes : s->io_ops).push_back(e);
          break;
        }
    }
  }
  for (const std::string& size : HugePageSizes()) {
    const int64_t usage = f.Number(absl::StrCat("hugetlb.", size, ".current"));
    if (usage < 0) continue;
    s->hugetlb[size] = {-1, usage, -1,
                        Get(Fields(f.Text(absl::StrCat("hugetlb.", size, ".events"))), "max")};
  }
  s->cpu_pressure = ReadPressure(f.Text("cpu.pressure"));
  s->memory_pressure = ReadPressure(f.Text("memory.pressure"));
  s->io_pressure = ReadPressure(f.Text("io.pressure"));
}

void ReadCpuacct(const Files& f, Stats* s) {
  s->cpu_usage_ns = f.Number("cpuacct.usage");
  s->cpu_user_ns = f.Number("cpuacct.usage_user");
  s->cpu_system_ns = f.Number("cpuacct.usage_sys");
  for (std::string_view line : absl::StrSplit(f.Text("cpuacct.usage_all"), '\n')) {
    const std::vector<std::string_view> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
    uint64_t user = 0, system = 0;
    if (words.size() != 3 || !absl::SimpleAtoi(words[1], &user) ||
        !absl::SimpleAtoi(words[2], &system))
      continue;
    s->percpu_user.push_back(user);
    s->percpu_system.push_back(system);
  }
  for (std::string_view word :
       absl::StrSplit(f.Text("cpuacct.usage_percpu"), absl::ByAnyChar(" \n"), absl::SkipEmpty())) {
    uint64_t n = 0;
    if (absl::SimpleAtoi(word, &n)) s->percpu.push_back(n);
  }
}

void ReadMemory(const Files& f, Stats* s) {
  s->memory = f.V1("memory");
  s->swap = f.V1("memory.memsw");
  s->kernel = f.V1("memory.kmem");
  s->kernel_tcp = f.V1("memory.kmem.tcp");
  s->memory_raw = Fields(f.Text("memory.stat"));
  s->memory_cache = Get(s->memory_raw, "cache");
  s->oom_kills = Get(Fields(f.Text("memory.oom_control")), "oom_kill");
}

void ReadCpuset(const Files& f, Stats* s) {
  s->cpus = CpuList(f.Text("cpuset.cpus"));
  s->mems = CpuList(f.Text("cpuset.mems"));
  for (const char* flag :
       {"cpu_exclusive", "mem_hardwall", "mem_exclusive", "memory_migrate", "memory_spread_page",
        "memory_spread_slab", "memory_pressure", "sched_load_balance", "sched_relax_domain_level"})
    s->cpuset_flags[flag] = f.Number(absl::StrCat("cpuset.", flag));
}

void ReadBlkio(const Files& f, Stats* s) {
  // The scheduler's own counters are there with CFQ and BFQ; the throttle's always.
  constexpr struct {
    std::vector<IoEntry> Stats::*to;
    std::string_view files[3];
  } kRows[] = {
      {&Stats::io_bytes,
       {"blkio.bfq.io_service_bytes_recursive", "blkio.io_service_bytes_recursive",
        "blkio.throttle.io_service_bytes_recursive"}},
      {&Stats::io_ops,
       {"blkio.bfq.io_serviced_recursive", "blkio.io_serviced_recursive",
        "blkio.throttle.io_serviced_recursive"}},
      {&Stats::io_queued, {"blkio.bfq.io_queued_recursive", "blkio.io_queued_recursive", ""}},
      {&Stats::io_service_time,
       {"blkio.bfq.io_service_time_recursive", "blkio.io_service_time_recursive", ""}},
      {&Stats::io_wait_time,
       {"blkio.bfq.io_wait_time_recursive", "blkio.io_wait_time_recursive", ""}},
      {&Stats::io_merged, {"blkio.bfq.io_merged_recursive", "blkio.io_merged_recursive", ""}},
      {&Stats::io_time, {"blkio.bfq.time_recursive", "blkio.time_recursive", ""}},
      {&Stats::io_sectors, {"blkio.bfq.sectors_recursive", "blkio.sectors_recursive", ""}},
  };
  for (const auto& row : kRows)
    for (std::string_view file : row.files) {
      if (file.empty() || !(s->*row.to).empty()) break;
      s->*row.to = IoLines(f.Text(file));
    }
}

void ReadHugetlb(const Files& f, Stats* s) {
  for (const std::string& size : HugePageSizes())
    s->hugetlb[size] = f.V1(absl::StrCat("hugetlb.", size));
}

void ReadThrottling(const Files& f, Stats* s) {
  const auto cpu = Fields(f.Text("cpu.stat"));
  s->cpu_periods = Get(cpu, "nr_periods");
  s->cpu_throttled_periods = Get(cpu, "nr_throttled");
  s->cpu_throttled_ns = Get(cpu, "throttled_time");
}

void ReadPids(const Files& f, Stats* s) {
  s->pids_current = f.Number("pids.current");
  s->pids_limit = std::max<int64_t>(f.Number("pids.max"), 0);
}

}  // namespace

absl::StatusOr<Stats> Cgroups::ReadStats() const {
  constexpr struct {
    std::string_view controller;
    void (*read)(const Files&, Stats*);
  } kV1[] = {{"cpuacct", ReadCpuacct}, {"cpu", ReadThrottling}, {"cpuset", ReadCpuset},
             {"memory", ReadMemory},   {"pids", ReadPids},      {"blkio", ReadBlkio},
             {"hugetlb", ReadHugetlb}};
  Stats s;
  for (const CgroupHost::Tree& t : host_->trees) {
    if (!Uses(t)) continue;
    const Files files(t.root.fd(), path_);
    if (t.facts.v2) {
      ReadV2(files, &s);
      continue;
    }
    for (const auto& row : kV1)
      if (t.facts.Has(row.controller)) row.read(files, &s);
  }
  return s;
}

}  // namespace coaming::run
