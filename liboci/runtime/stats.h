// Stats is what the cgroups of a container count, in the detail of `runc events --stats`.
//
// A counter that the host does not have is -1, a list or map empty: JSON then leaves it out, or gives
// 0 where runc always gives a number. Plain data. Threads: values.
#ifndef COAMING_LIBOCI_RUNTIME_STATS_H_
#define COAMING_LIBOCI_RUNTIME_STATS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace coaming::run {

// Pressure stall information of one resource (v2): shares of time in percent, and microseconds.
struct Pressure {
  struct Line {
    double avg10 = 0, avg60 = 0, avg300 = 0;
    int64_t total = 0;
  };
  Line some, full;
};

// A limited amount of something.
struct Gauge {
  int64_t limit = -1, usage = -1, max = -1, failcnt = -1;
};

// One line of a block I/O file: device, "Read", "Write", ... and a count.
struct IoEntry {
  uint64_t major = 0, minor = 0;
  std::string op;
  uint64_t value = 0;
};

struct Stats {
  // CPU time in nanoseconds; the vectors by CPU (v1).
  int64_t cpu_usage_ns = -1, cpu_user_ns = -1, cpu_system_ns = -1;
  std::vector<uint64_t> percpu, percpu_user, percpu_system;
  int64_t cpu_periods = -1, cpu_throttled_periods = -1, cpu_throttled_ns = -1;
  std::vector<uint16_t> cpus, mems;  // of the cpuset
  std::map<std::string, int64_t> cpuset_flags;

  // Bytes. `swap` is memory and swap together, as v1 counts it.
  Gauge memory, swap, kernel, kernel_tcp;
  int64_t memory_cache = -1;
  std::map<std::string, int64_t> memory_raw;  // memory.stat
  int64_t oom_kills = -1;

  int64_t pids_current = -1, pids_limit = -1;  // limit 0: none
  std::map<std::string, Gauge> hugetlb;        // by page size, "2MB"

  std::vector<IoEntry> io_bytes, io_ops, io_queued, io_service_time, io_wait_time, io_merged,
      io_time, io_sectors;
  std::optional<Pressure> cpu_pressure, memory_pressure, io_pressure;
};

// {"type": "stats", "id": ID, "data": {...}}, as `runc events --stats`.
std::string StatsToJson(std::string_view id, const Stats& stats);

}  // namespace coaming::run

#endif  // COAMING_LIBOCI_RUNTIME_STATS_H_
