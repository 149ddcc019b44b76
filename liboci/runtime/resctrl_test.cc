#include "liboci/runtime/resctrl.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/testing/status_testing.h"
#include "base/testing/temp_tree.h"
#include "catch2/catch_test_macros.hpp"
#include "liboci/runtime/facts.h"

namespace coaming::run {
namespace {

// A directory that looks like a resctrl mount with the class "gold".
struct Fake {
  base::testing::TempTree tree;
  std::string mount = tree.MakeDir("resctrl");
  Fake() {
    tree.MakeDir("resctrl/gold/mon_groups");
    tree.Write("resctrl/gold/schemata", "    L3:0=7f0;1=01f\n    MB:0=100;1= 70\n");
    tree.Write("resctrl/schemata", "    L3:0=7ff;1=7ff\n");
  }
};

TEST_CASE("resctrl: without a mount the specification's error names what is missing",
          "[liboci][runtime]") {
  IntelRdt rdt;
  REQUIRE_REASON(Resctrl("", &rdt, "web").Create(), "run.unsupported");
  REQUIRE_OK(Resctrl("", nullptr, "web").Create());
}

TEST_CASE("resctrl: the mount is found among the host's", "[liboci][runtime]") {
  REQUIRE(ParseMountOf("21 1 0:20 / /sys rw - sysfs sysfs rw\n"
                       "22 21 0:21 / /sys/fs/resctrl rw shared:3 - resctrl resctrl rw\n",
                       "resctrl") == "/sys/fs/resctrl");
  REQUIRE(ParseMountOf("21 1 0:20 / /sys rw - sysfs sysfs rw\n", "resctrl").empty());
}

TEST_CASE("resctrl: a class of the container's own is made, filled in order, and removed",
          "[liboci][runtime]") {
  Fake f;
  IntelRdt rdt;
  rdt.schemata = {"L2:0=f"};
  Resctrl own(f.mount, &rdt, "web");
  REQUIRE_OK(own.Create());
  REQUIRE(f.tree.Read("resctrl/web/schemata") == "L2:0=f\n");
  REQUIRE_OK(own.Attach(4711));
  REQUIRE(f.tree.Read("resctrl/web/tasks") == "4711\n");
  // A second container of that name must not enter it.
  REQUIRE_REASON(Resctrl(f.mount, &rdt, "web").Create(), "run.rdt");
  unlink((f.mount + "/web/schemata").c_str());  // the kernel's own go with the directory
  unlink((f.mount + "/web/tasks").c_str());
  REQUIRE_OK(own.Remove());
  REQUIRE(access((f.mount + "/web").c_str(), F_OK) != 0);
  REQUIRE_OK(own.Remove());
}

TEST_CASE("resctrl: a class that exists is entered if its schemata are those asked for",
          "[liboci][runtime]") {
  Fake f;
  IntelRdt rdt;
  rdt.clos_id = "gold";
  rdt.l3_cache_schema = "L3:0=7F0;1=1f";
  rdt.mem_bw_schema = "MB:1=70";
  rdt.enable_monitoring = true;
  Resctrl gold(f.mount, &rdt, "web");
  REQUIRE_OK(gold.Create());
  REQUIRE(f.tree.Read("resctrl/gold/schemata") == "    L3:0=7f0;1=01f\n    MB:0=100;1= 70\n");
  REQUIRE_OK(gold.Attach(1));
  REQUIRE(f.tree.Read("resctrl/gold/mon_groups/web/tasks") == "1\n");
  unlink((f.mount + "/gold/mon_groups/web/tasks").c_str());
  REQUIRE_OK(gold.Remove());
  REQUIRE(access((f.mount + "/gold/mon_groups/web").c_str(), F_OK) != 0);
  REQUIRE(access((f.mount + "/gold").c_str(), F_OK) == 0);  // not ours
  rdt.l3_cache_schema = "L3:0=7f1";
  REQUIRE_REASON(Resctrl(f.mount, &rdt, "web").Create(), "run.rdt");
  rdt.l3_cache_schema.clear();
  rdt.mem_bw_schema.clear();
  rdt.enable_monitoring = false;
  rdt.schemata = {"L3:0=1"};
  REQUIRE_OK(Resctrl(f.mount, &rdt, "web").Create());
  REQUIRE(f.tree.Read("resctrl/gold/schemata") == "L3:0=1\n");
}

TEST_CASE("resctrl: a class asked for by name alone must be there, and / is the default one",
          "[liboci][runtime]") {
  Fake f;
  IntelRdt rdt;
  rdt.clos_id = "silver";
  REQUIRE_REASON(Resctrl(f.mount, &rdt, "web").Create(), "run.rdt");
  REQUIRE(access((f.mount + "/silver").c_str(), F_OK) != 0);
  rdt.clos_id = "/";
  Resctrl top(f.mount, &rdt, "web");
  REQUIRE_OK(top.Create());
  REQUIRE_OK(top.Attach(9));
  REQUIRE(f.tree.Read("resctrl/tasks") == "9\n");
  REQUIRE_OK(top.Remove());
  for (const char* wrong : {"..", "a/b", "info", "mon_groups"}) {
    rdt.clos_id = wrong;
    REQUIRE_REASON(Resctrl(f.mount, &rdt, "web").Create(), "run.spec");
  }
}

TEST_CASE("resctrl: schemata are single lines, compared domain by domain", "[liboci][runtime]") {
  Fake f;
  IntelRdt rdt;
  rdt.schemata = {"L3:0=1\nL3:1=1"};
  REQUIRE_REASON(Resctrl(f.mount, &rdt, "web").Create(), "run.spec");
  rdt.schemata.clear();
  rdt.mem_bw_schema = "L3:0=1";
  REQUIRE_REASON(Resctrl(f.mount, &rdt, "web").Create(), "run.spec");
  REQUIRE(SchemaMatches("L3:0=0f", "MB:0=1\n L3: 0=F;1=3\n"));
  REQUIRE(!SchemaMatches("L3:2=f", " L3:0=f;1=3\n"));
  REQUIRE(!SchemaMatches("no schema", " L3:0=f\n"));
}

}  // namespace
}  // namespace coaming::run
