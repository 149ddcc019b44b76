#include <map>
#include <string>

#include "base/fs/dir.h"
#include "base/testing/status_testing.h"
#include "base/testing/temp_tree.h"
#include "catch2/catch_test_macros.hpp"
#include "liboci/runtime/cgroups.h"

namespace coaming::run {
namespace {

// A directory that looks like a unified hierarchy with the cgroup "c": a file takes what is
// written, without truncation, so that each test writes a file once.
struct Fake {
  base::testing::TempTree tree;
  CgroupHost host;
  explicit Fake(const std::vector<std::string>& files) {
    std::string mount = tree.MakeDir("cg");
    tree.MakeDir("cg/c");
    for (const std::string& file : files) tree.Write("cg/c/" + file, "");
    absl::StatusOr<base::Dir> root = base::Dir::Open(mount);
    REQUIRE_OK(root);
    CgroupHierarchy facts;
    facts.v2 = true;
    facts.mount = mount;
    host.unified = true;
    host.trees.push_back({facts, *std::move(root)});
  }
  absl::Status Apply(const Resources& r) { return Cgroups(&host, "c").Apply(r, true, nullptr); }
  std::string operator[](const std::string& file) { return tree.Read("cg/c/" + file); }
};

Resources Memory(std::optional<int64_t> limit, std::optional<int64_t> swap) {
  Resources r;
  r.memory.emplace();
  r.memory->limit = limit;
  r.memory->swap = swap;
  return r;
}

TEST_CASE("cgroup v2: swap is what exceeds the memory, and 0 is not set", "[liboci][runtime]") {
  struct Row {
    std::optional<int64_t> limit, swap;
    std::string memory_max, swap_max;
  };
  for (const Row& row : std::vector<Row>{
           {100, 300, "100", "200"},
           {100, 100, "100", "0"},
           {100, -1, "100", "max"},
           {100, std::nullopt, "100", ""},
           {-1, std::nullopt, "max", "max"},
           {-1, -1, "max", "max"},
           {std::nullopt, -1, "", "max"},
           {0, 0, "", ""},
       }) {
    Fake fake({"memory.max", "memory.swap.max"});
    CAPTURE(row.limit.value_or(-7), row.swap.value_or(-7));
    REQUIRE_OK(fake.Apply(Memory(row.limit, row.swap)));
    CHECK(fake["memory.max"] == row.memory_max);
    CHECK(fake["memory.swap.max"] == row.swap_max);
  }
  Fake fake({"memory.max", "memory.swap.max"});
  REQUIRE_REASON(fake.Apply(Memory(100, 50)), "run.spec");
  REQUIRE_REASON(fake.Apply(Memory(std::nullopt, 50)), "run.spec");
  REQUIRE_REASON(fake.Apply(Memory(-1, 50)), "run.spec");
  CHECK(fake["memory.max"].empty());
}

TEST_CASE("cgroup v2: a kernel without swap accounting loses only a true limit",
          "[liboci][runtime]") {
  Fake fake({"memory.max"});
  REQUIRE_OK(fake.Apply(Memory(-1, -1)));
  REQUIRE_OK(fake.Apply(Memory(100, 100)));
  REQUIRE_REASON(fake.Apply(Memory(100, 300)), "run.cgroup");
}

TEST_CASE("cgroup v2: shares become a weight by the curve of 2025", "[liboci][runtime]") {
  for (const auto& [shares, weight] : std::map<uint64_t, std::string>{
           {1, "1"}, {2, "1"}, {1024, "100"}, {262144, "10000"}, {1000000, "10000"}}) {
    Fake fake({"cpu.weight"});
    Resources r;
    r.cpu.emplace();
    r.cpu->shares = shares;
    REQUIRE_OK(fake.Apply(r));
    CHECK(fake["cpu.weight"] == weight);
  }
}

TEST_CASE("cgroup v2: quota, period and burst, and 0 is not set", "[liboci][runtime]") {
  Fake fake({"cpu.max", "cpu.max.burst"});
  Resources r;
  r.cpu.emplace();
  r.cpu->quota = 0;
  r.cpu->period = 0;
  r.cpu->realtime_runtime = 0;
  REQUIRE_OK(fake.Apply(r));
  CHECK(fake["cpu.max"].empty());
  r.cpu->quota = 20000;
  r.cpu->period = 50000;
  r.cpu->burst = 1000;
  REQUIRE_OK(fake.Apply(r));
  CHECK(fake["cpu.max"] == "20000 50000");
  CHECK(fake["cpu.max.burst"] == "1000");
  Fake unlimited({"cpu.max"});
  r.cpu->quota = -1;
  r.cpu->burst.reset();
  REQUIRE_OK(unlimited.Apply(r));
  CHECK(unlimited["cpu.max"] == "max 50000");
  r.cpu->realtime_runtime = 5;
  REQUIRE_REASON(unlimited.Apply(r), "run.unsupported");
}

TEST_CASE("cgroup v2: a block weight goes to bfq, or is converted without it",
          "[liboci][runtime]") {
  Resources r;
  r.block_io.emplace();
  r.block_io->weight = 500;
  Fake bfq({"io.bfq.weight", "io.weight"});
  REQUIRE_OK(bfq.Apply(r));
  CHECK(bfq["io.bfq.weight"] == "500");
  CHECK(bfq["io.weight"].empty());
  Fake plain({"io.weight"});
  REQUIRE_OK(plain.Apply(r));
  CHECK(plain["io.weight"] == "default 4950");
  for (uint32_t weight : {1u, 9u, 1001u}) {
    r.block_io->weight = weight;
    REQUIRE_REASON(plain.Apply(r), "run.spec");
  }
}

TEST_CASE("cgroup v2: a throttle of 0 lifts the limit", "[liboci][runtime]") {
  Resources r;
  r.block_io.emplace();
  r.block_io->read_bps = {{8, 0, 0}};
  Fake lifted({"io.max"});
  REQUIRE_OK(lifted.Apply(r));
  CHECK(lifted["io.max"] == "8:0 rbps=max");
  r.block_io->read_bps = {{8, 0, 4096}};
  Fake set({"io.max"});
  REQUIRE_OK(set.Apply(r));
  CHECK(set["io.max"] == "8:0 rbps=4096");
}

}  // namespace
}  // namespace coaming::run
