// Counters of cgroups.
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

int64_t Number(std::string_view text) {
  int64_t n = -1;
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  return absl::SimpleAtoi(text, &n) ? n : -1;
}

// The value after `key` in a "key value" text.
int64_t Field(std::string_view text, std::string_view key) {
  for (std::string_view line : absl::StrSplit(text, '\n'))
    if (absl::StartsWith(line, key) && line.size() > key.size() && line[key.size()] == ' ')
      return Number(line.substr(key.size() + 1));
  return -1;
}

int64_t Scaled(int64_t value, int64_t factor) { return value < 0 ? -1 : value * factor; }

// Sums "8:0 Read 4096" lines.
void AddIo(std::string_view text, int64_t* reads, int64_t* writes) {
  for (std::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    std::vector<std::string_view> f = absl::StrSplit(line, ' ');
    if (f.size() != 3) continue;
    int64_t n = Number(f[2]);
    if (n < 0) continue;
    if (f[1] == "Read") *reads = std::max<int64_t>(*reads, 0) + n;
    if (f[1] == "Write") *writes = std::max<int64_t>(*writes, 0) + n;
  }
}

}  // namespace

absl::StatusOr<Stats> Cgroups::ReadStats() const {
  Stats s;
  for (const CgroupHost::Tree& t : host_->trees) {
    if (!Uses(t)) continue;
    auto text = [&](std::string_view file) {
      std::string out;
      int error = 0;
      ReadAt(t.root.fd(), File(file), &out, &error);
      return out;
    };
    auto number = [&](std::string_view file) { return Number(text(file)); };
    if (t.facts.v2) {
      std::string cpu = text("cpu.stat");
      s.cpu_usage_ns = Scaled(Field(cpu, "usage_usec"), 1000);
      s.cpu_user_ns = Scaled(Field(cpu, "user_usec"), 1000);
      s.cpu_system_ns = Scaled(Field(cpu, "system_usec"), 1000);
      s.cpu_periods = Field(cpu, "nr_periods");
      s.cpu_throttled_periods = Field(cpu, "nr_throttled");
      s.cpu_throttled_ns = Scaled(Field(cpu, "throttled_usec"), 1000);
      s.memory_usage = number("memory.current");
      s.memory_max_usage = number("memory.peak");
      s.memory_limit = number("memory.max");
      std::string memory = text("memory.stat");
      s.memory_cache = Field(memory, "file");
      s.memory_rss = Field(memory, "anon");
      s.memory_swap = number("memory.swap.current");
      s.oom_kills = Field(text("memory.events"), "oom_kill");
      s.pids_current = number("pids.current");
      s.pids_limit = number("pids.max");
      for (std::string_view word : absl::StrSplit(text("io.stat"), absl::ByAnyChar(" \n"))) {
        if (absl::ConsumePrefix(&word, "rbytes="))
          s.io_read_bytes = std::max<int64_t>(s.io_read_bytes, 0) + Number(word);
        else if (absl::ConsumePrefix(&word, "wbytes="))
          s.io_write_bytes = std::max<int64_t>(s.io_write_bytes, 0) + Number(word);
      }
      continue;
    }
    if (t.facts.Has("cpuacct")) {
      s.cpu_usage_ns = number("cpuacct.usage");
      s.cpu_user_ns = number("cpuacct.usage_user");
      s.cpu_system_ns = number("cpuacct.usage_sys");
    }
    if (t.facts.Has("cpu")) {
      std::string cpu = text("cpu.stat");
      s.cpu_periods = Field(cpu, "nr_periods");
      s.cpu_throttled_periods = Field(cpu, "nr_throttled");
      s.cpu_throttled_ns = Field(cpu, "throttled_time");
    }
    if (t.facts.Has("memory")) {
      s.memory_usage = number("memory.usage_in_bytes");
      s.memory_max_usage = number("memory.max_usage_in_bytes");
      s.memory_limit = number("memory.limit_in_bytes");
      s.memory_failcnt = number("memory.failcnt");
      std::string memory = text("memory.stat");
      s.memory_cache = Field(memory, "cache");
      s.memory_rss = Field(memory, "rss");
      s.memory_swap = Field(memory, "swap");
      s.oom_kills = Field(text("memory.oom_control"), "oom_kill");
    }
    if (t.facts.Has("pids")) {
      s.pids_current = number("pids.current");
      s.pids_limit = number("pids.max");
    }
    if (t.facts.Has("blkio"))
      AddIo(text("blkio.throttle.io_service_bytes"), &s.io_read_bytes, &s.io_write_bytes);
  }
  return s;
}

}  // namespace coaming::run
