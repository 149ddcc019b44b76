// The plugins in process beside Debian's programs: same configuration, same result, same kernel state.
#include <algorithm>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/core/error.h"
#include "catch2/catch_all.hpp"
#include "libcni/invoke/client.h"
#include "libcni/plugins/builtin.h"
#include "libcni/result/version.h"
#include "libcni/testing/netns.h"

namespace coaming::cni {
namespace {

using testing::ContainerNamespace;
using testing::HostNamespace;
using testing::ListDir;
using testing::Shell;
using testing::TempDir;

#define NEEDS_NAMESPACES() \
  HostNamespace host;      \
  if (!host.ok()) SKIP(host.why())

#define REQUIRE_OK(expr)             \
  do {                               \
    absl::Status ok_status = (expr); \
    INFO(ok_status);                 \
    REQUIRE(ok_status.ok());         \
  } while (0)

constexpr char kIpam[] = R"("ipam":{"type":"host-local","dataDir":"DATA","subnet":"10.88.7.0/24",)"
                         R"("routes":[{"dst":"0.0.0.0/0"}]})";
constexpr char kPlainIpam[] =
    R"("ipam":{"type":"host-local","dataDir":"DATA","subnet":"10.88.7.0/24"})";
constexpr char kDualIpam[] =
    R"("ipam":{"type":"host-local","dataDir":"DATA","ranges":[[{"subnet":"10.88.7.0/24"}],)"
    R"([{"subnet":"fd88:7::/64"}]],"routes":[{"dst":"0.0.0.0/0"},{"dst":"::/0"},)"
    R"({"dst":"10.99.0.0/16","gw":"10.88.7.9"}]})";

// A client with the plugins in process, or with programs, and its own directories.
struct World {
  explicit World(bool in_process) {
    options.cache_dir = dir / "cache";
    if (in_process) {
      options.builtins = &Builtins();
    } else {
      options.plugin_dirs = {"/usr/lib/cni"};
    }
  }
  NetworkList List(std::string_view plugins, std::string_view version = "1.0.0") const {
    auto list = ParseNetworkList(absl::StrReplaceAll(
        absl::StrCat(R"({"name":"net","cniVersion":")", version, R"(","plugins":[)", plugins, "]}"),
        {{"DATA", dir / "data"}}));
    INFO(list.status());
    REQUIRE(list.ok());
    return *list;
  }
  std::vector<std::string> Leases() const {
    std::vector<std::string> out;
    for (const std::string& name : ListDir(dir / "data/net")) {
      if (name != "lock" && !absl::StartsWith(name, "last_reserved_ip")) out.push_back(name);
    }
    return out;
  }
  TempDir dir;
  ClientOptions options;
};

Runtime MakeRuntime(const ContainerNamespace& ns, std::string_view id = "c1") {
  Runtime runtime;
  runtime.container_id = id;
  runtime.netns = ns.path();
  return runtime;
}

// Takes out what differs from run to run: MAC addresses, names and numbers of links, paths, and what
// the kernel tells late.
std::string Normal(std::string text) {
  return testing::Shell(absl::StrCat(
      "cat <<'END' | sed -E 's/([0-9a-f]{2}:){5}[0-9a-f]{2}/MAC/g; s/veth[0-9a-f]{8}/VETH/g; "
      "s#/proc/[0-9]+/fd/[0-9]+#NETNS#g; s/(@if|link-netnsid |if)[0-9]+/\\1N/g; "
      "s#/tmp/coam-cni-test-[A-Za-z0-9]+#DIR#g; s/fe80::[0-9a-f:]+/LL/g; "
      "s/NO-CARRIER,|,LOWER_UP| linkdown//g'\n",
      text, "\nEND"));
}

struct State {
  std::string result, inside, outside, leases, last, after_inside, after_outside;
};

// Runs ADD and DEL in fresh namespaces and notes what each left.
State Watch(bool in_process, std::string_view plugins, const Runtime& model) {
  State out;
  std::thread apart([&] {  // a "host" of its own
    HostNamespace host;
    World w(in_process);
    Client client(w.options);
    NetworkList list = w.List(plugins);
    ContainerNamespace ns;
    Runtime runtime = model;
    runtime.netns = ns.path();
    auto added = client.AddNetworkList(base::Op(), list, runtime);
    out.result = added.ok() ? Normal(WriteResult(*added, true)) : added.status().ToString();
    constexpr char kInside[] =
        "ip -o addr | grep -v 'inet6 fe80' | sed 's/^[0-9]*: //; s/ *valid_lft.*//; s/ nodad//'; "
        "ip -o link | sed -E 's/^[0-9]+: //; s/ qdisc.*//'; ip route; ip -6 route | grep -v fe80; "
        "cat /proc/sys/net/ipv4/conf/eth0/arp_notify";
    constexpr char kOutside[] =
        "ip -o -4 addr | sed 's/^[0-9]*: //; s/ *valid_lft.*//'; "
        "ip -o link | sed -E 's/^[0-9]+: //; s/ qdisc.*master/ master/; s/ qdisc.*//'; ip route; "
        "cat /proc/sys/net/ipv4/ip_forward";
    out.inside = Normal(ns.Shell(kInside));
    out.outside = Normal(Shell(kOutside));
    out.leases = Normal(Shell(absl::StrCat("cd ", w.dir / "data/net",
                                           " && for f in [0-9f]*; do echo $f; od -c $f; done; "
                                           "cat last_reserved_ip.*")));
    REQUIRE_OK(client.DelNetworkList(base::Op(), list, runtime));
    out.after_inside = Normal(ns.Shell("ip -o addr; ip -o link; ip route"));
    out.after_outside =
        Normal(Shell("ip -o link | sed -E 's/^[0-9]+: //; s/ qdisc.*//'; ip route; "
                     "nft list ruleset | grep -e c1 -e saddr; iptables-save | "
                     "grep c1"));
    for (const std::string& lease : w.Leases()) absl::StrAppend(&out.after_outside, lease, "\n");
  });
  apart.join();
  return out;
}

TEST_CASE("in process: result, links, addresses, routes and leases are those of the programs",
          "[libcni][plugins][root]") {
  NEEDS_NAMESPACES();
  if (!testing::HavePlugins({"bridge", "ptp", "loopback", "host-local"})) {
    SKIP("containernetworking-plugins is not installed");
  }
  const std::pair<const char*, std::string> cases[] = {
      {"bridge", absl::StrCat(R"({"type":"bridge","bridge":"br0",)", kIpam, "}")},
      {"gateway",
       absl::StrCat(R"({"type":"bridge","bridge":"br0","isGateway":true,"mtu":1400,)", kIpam, "}")},
      {"default gateway",
       absl::StrCat(
           R"({"type":"bridge","bridge":"br0","isDefaultGateway":true,"hairpinMode":true,)",
           R"("dns":{"nameservers":["9.9.9.9"]},)", kPlainIpam, "}")},
      {"dual stack",
       absl::StrCat(R"({"type":"bridge","bridge":"br0","isGateway":true,)", kDualIpam, "}")},
      {"layer 2", R"({"type":"bridge","bridge":"br0"})"},
      {"ptp", absl::StrCat(R"({"type":"ptp","mtu":1300,)", kIpam, "}")},
      {"ptp dual stack", absl::StrCat(R"({"type":"ptp",)", kDualIpam, "}")},
      {"loopback", R"({"type":"loopback"})"},
      {"mac", absl::StrCat(R"({"type":"bridge","bridge":"br0","capabilities":{"mac":true,)",
                           R"("ips":true},)", kIpam, "}")},
  };
  for (const auto& [name, plugins] : cases) {
    INFO(name);
    Runtime model;
    model.container_id = "c1";
    model.capabilities.SetMac("02:11:22:33:44:55");
    model.capabilities.SetIps({"10.88.7.77"});
    State theirs = Watch(false, plugins, model);
    State ours = Watch(true, plugins, model);
    CHECK(ours.result == theirs.result);
    CHECK(ours.inside == theirs.inside);
    CHECK(ours.outside == theirs.outside);
    CHECK(ours.leases == theirs.leases);
    CHECK(ours.after_inside == theirs.after_inside);
    CHECK(ours.after_outside == theirs.after_outside);
  }
}

TEST_CASE("in process: programs undo what was attached in process, and the other way round",
          "[libcni][plugins][root]") {
  NEEDS_NAMESPACES();
  if (!testing::HavePlugins({"bridge", "ptp", "host-local"})) {
    SKIP("containernetworking-plugins is not installed");
  }
  World w(true);
  ClientOptions programs = w.options;
  programs.builtins = nullptr;
  programs.plugin_dirs = {"/usr/lib/cni"};
  Client ours(w.options), theirs(programs);
  for (const char* type : {"bridge", "ptp"}) {
    NetworkList list = w.List(absl::StrCat(R"({"type":")", type, R"(",)", kIpam, "}"));
    for (bool first : {true, false}) {
      INFO(type << first);
      ContainerNamespace ns;
      Client& add = first ? ours : theirs;
      Client& other = first ? theirs : ours;
      REQUIRE_OK(add.AddNetworkList(base::Op(), list, MakeRuntime(ns)).status());
      REQUIRE_OK(other.CheckNetworkList(base::Op(), list, MakeRuntime(ns)));
      REQUIRE_OK(add.CheckNetworkList(base::Op(), list, MakeRuntime(ns)));
      REQUIRE_OK(other.DelNetworkList(base::Op(), list, MakeRuntime(ns)));
      CHECK(w.Leases().empty());
      CHECK_FALSE(absl::StrContains(ns.Shell("ip -o link"), "eth0"));
    }
  }
}

TEST_CASE("in process: masquerade and forwarded ports work and go away",
          "[libcni][plugins][root]") {
  NEEDS_NAMESPACES();
  for (const char* type : {"bridge", "ptp"}) {
    INFO(type);
    World w(true);
    Client client(w.options);
    NetworkList list =
        w.List(absl::StrCat(R"({"type":")", type, R"(","isGateway":true,"ipMasq":true,)", kIpam,
                            R"(},{"type":"portmap","capabilities":{"portMappings":true}})"));
    ContainerNamespace ns;
    Runtime runtime = MakeRuntime(ns);
    runtime.capabilities.SetPortMappings({{.host_port = 18090, .container_port = 80}});
    REQUIRE_OK(client.AddNetworkList(base::Op(), list, runtime).status());
    REQUIRE_OK(client.CheckNetworkList(base::Op(), list, runtime));
    std::string rules = Shell("nft list ruleset");
    CHECK(absl::StrContains(rules, "tcp dport 18090 dnat to 10.88.7.2:80 comment \"c1\""));
    CHECK(absl::StrContains(rules, "ip daddr != 10.88.7.0/24 masquerade comment"));
    for (const char* address : {"127.0.0.1", "10.88.7.1"}) {
      const std::string ready = w.dir / absl::StrCat("ready", address);
      std::thread server([&] {
        ns.Shell(
            "python3 -c 'import socket; s = socket.socket(); "
            "s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); "
            "s.bind((\"0.0.0.0\", 80)); s.listen(1); open(\"" +
            ready +
            "\", \"w\").close(); s.settimeout(20); c = s.accept()[0]; "
            "c.sendall(b\"hello\"); c.close()'");
      });
      while (!testing::Exists(ready)) std::this_thread::yield();
      CHECK(Shell(absl::StrCat("python3 -c 'import socket; print(socket.create_connection((\"",
                               address, "\", 18090), 10).recv(99).decode())'")) == "hello\n");
      server.join();
    }
    Shell("nft flush chain ip cni_hostport hostports");
    CHECK(base::HasReason(client.CheckNetworkList(base::Op(), list, runtime), "cni.plugin.failed"));
    REQUIRE_OK(client.DelNetworkList(base::Op(), list, runtime));
    rules = Shell("nft list ruleset");
    CHECK_FALSE(absl::StrContains(rules, "c1"));
    CHECK_FALSE(absl::StrContains(rules, "10.88.7"));
    CHECK(w.Leases().empty());
  }
}

TEST_CASE("in process: the leaks of the programs are not there", "[libcni][plugins][root]") {
  NEEDS_NAMESPACES();
  World w(true);
  Client client(w.options);
  NetworkList list =
      w.List(absl::StrCat(R"({"type":"bridge","isGateway":true,"ipMasq":true,)", kIpam, "}"));
  // DEL without the namespace takes the rules and the lease along.
  for (const std::string& path : {std::string(), w.dir / "gone"}) {
    ContainerNamespace ns;
    Runtime runtime = MakeRuntime(ns);
    REQUIRE_OK(client.AddNetworkList(base::Op(), list, runtime).status());
    ns.Destroy();
    runtime.netns = path;
    REQUIRE_OK(client.DelNetworkList(base::Op(), list, runtime));
    CHECK(w.Leases().empty());
    CHECK_FALSE(absl::StrContains(Shell("nft list ruleset"), "id: c1"));
  }
  // A range without addresses leaves no link.
  ClientOptions no_rollback = w.options;
  no_rollback.rollback = false;
  Client bare(no_rollback);
  NetworkList small = w.List(R"({"type":"bridge","ipam":{"type":"host-local","dataDir":"DATA",
                                 "subnet":"10.89.0.0/30"}})");
  ContainerNamespace a, b;
  REQUIRE_OK(bare.AddNetworkList(base::Op(), small, MakeRuntime(a, "a")).status());
  auto added = bare.AddNetworkList(base::Op(), small, MakeRuntime(b, "b"));
  CHECK(base::HasReason(added.status(), "cni.ipam.exhausted"));
  CHECK(base::GetError(added.status()).Detail("cni.plugin") == "bridge");
  CHECK_FALSE(absl::StrContains(b.Shell("ip -o link"), "eth0"));
  // Nor does a failure after the addresses: the bridge has another one.
  Shell("ip link add cni9 type bridge; ip addr add 10.1.1.1/24 dev cni9");
  NetworkList other = w.List(absl::StrCat(
      R"({"type":"bridge","bridge":"cni9","isGateway":true,"ipMasq":true,)", kIpam, "}"));
  other.name = "net";
  added = bare.AddNetworkList(base::Op(), other, MakeRuntime(b, "b"));
  CHECK(base::HasReason(added.status(), "cni.link"));
  CHECK_FALSE(absl::StrContains(b.Shell("ip -o link"), "eth0"));
  CHECK(w.Leases().size() == 1);
}

TEST_CASE("in process: a bridge that lost all its ports gets its address with the next one",
          "[libcni][plugins][root]") {
  NEEDS_NAMESPACES();
  World w(true);
  Client client(w.options);
  for (const char* gateway : {"false", "true", "true"}) {
    NetworkList list = w.List(absl::StrCat(R"({"type":"bridge","bridge":"br0","isGateway":)",
                                           gateway, ",", kPlainIpam, "}"));
    ContainerNamespace ns;
    REQUIRE_OK(client.AddNetworkList(base::Op(), list, MakeRuntime(ns)).status());
    REQUIRE_OK(client.DelNetworkList(base::Op(), list, MakeRuntime(ns)));
  }
}

TEST_CASE("in process: GC frees leases and rules of what is not alive", "[libcni][plugins][root]") {
  NEEDS_NAMESPACES();
  World w(true);
  Client client(w.options);
  NetworkList list = w.List(
      absl::StrCat(R"({"type":"bridge","isGateway":true,"ipMasq":true,)", kIpam, "}"), "1.1.0");
  ContainerNamespace a, b;
  REQUIRE_OK(client.AddNetworkList(base::Op(), list, MakeRuntime(a, "alive")).status());
  REQUIRE_OK(client.AddNetworkList(base::Op(), list, MakeRuntime(b, "dead")).status());
  REQUIRE_OK(client.StatusNetworkList(base::Op(), list));
  // As if the cache of the dead one were lost: only the plugin's own GC can help.
  Shell("rm " + (w.dir / "cache/results/net-dead-eth0"));
  REQUIRE_OK(client.GcNetworkList(base::Op(), list, {{"alive", "eth0"}}));
  CHECK(w.Leases().size() == 1);
  std::string rules = Shell("nft list ruleset");
  CHECK(absl::StrContains(rules, "id: alive"));
  CHECK_FALSE(absl::StrContains(rules, "id: dead"));
}

TEST_CASE("in process: thirty-two containers at once get thirty-two addresses",
          "[libcni][plugins][root]") {
  NEEDS_NAMESPACES();
  World w(true);
  Client client(w.options);
  NetworkList list =
      w.List(absl::StrCat(R"({"type":"bridge","isGateway":true,"ipMasq":true,)", kIpam, "}"));
  std::vector<ContainerNamespace> namespaces(32);
  std::vector<absl::Status> statuses(32);
  auto all = [&](auto each) {
    std::vector<std::thread> threads;
    for (int i = 0; i < 32; ++i) {
      threads.emplace_back(
          [&, i] { statuses[i] = each(MakeRuntime(namespaces[i], absl::StrCat("c1-", i))); });
    }
    for (std::thread& thread : threads) thread.join();
    for (const absl::Status& status : statuses) {
      INFO(status);
      CHECK(status.ok());
    }
  };
  all([&](const Runtime& r) { return client.AddNetworkList(base::Op(), list, r).status(); });
  CHECK(w.Leases().size() == 32);
  all([&](const Runtime& r) { return client.DelNetworkList(base::Op(), list, r); });
  CHECK(w.Leases().empty());
  CHECK_FALSE(absl::StrContains(Shell("nft list ruleset"), "c1-"));
}

TEST_CASE("in process: bad calls are refused and leave nothing", "[libcni][plugins][root]") {
  NEEDS_NAMESPACES();
  World w(true);
  Client client(w.options);
  ContainerNamespace ns;
  auto add = [&](std::string_view plugin, std::string_view netns) {
    Runtime runtime = MakeRuntime(ns);
    runtime.netns = netns;
    auto status = client.AddNetworkList(base::Op(), w.List(plugin), runtime).status();
    CHECK(w.Leases().empty());
    return base::ReasonOf(status);
  };
  const std::string good = absl::StrCat(R"({"type":"bridge",)", kIpam, "}");
  CHECK(add(good, "") == "cni.plugin.environment");
  CHECK(add(good, "/nowhere") == "core.not_found");
  CHECK(add(good, "/etc/passwd") == "cni.plugin.netns");
  CHECK(add(good, "/proc/thread-self/ns/net") == "cni.plugin.netns");
  for (const char* bad :
       {R"({"type":"bridge","bridge":"a/b"})", R"({"type":"bridge","mtu":-1})",
        R"({"type":"bridge","mtu":"x"})", R"({"type":"bridge","isGateway":1})",
        R"({"type":"bridge","hairpinMode":true,"promiscMode":true})",
        R"({"type":"bridge","ipam":{"type":"host-local"}})",
        R"({"type":"bridge","ipam":{"type":"host-local","subnet":"10.0.0.1/24"}})",
        R"({"type":"bridge","ipam":{"type":"host-local","subnet":"10.0.0.0/31"}})",
        R"({"type":"bridge","ipam":{"type":"host-local","ranges":[[]]}})",
        R"({"type":"bridge","ipam":{"type":"host-local","ranges":[[{"subnet":"10.0.0.0/24"}],
            [{"subnet":"10.0.0.0/16"}]]}})",
        R"({"type":"bridge","ipam":{"type":"host-local","subnet":"10.0.0.0/24",
            "rangeStart":"10.0.1.1"}})",
        R"({"type":"bridge","ipam":{"type":"host-local","subnet":"10.0.0.0/24","routes":[1]}})"}) {
    INFO(bad);
    CHECK(add(bad, ns.path()) == "cni.plugin.config");
  }
  CHECK_FALSE(absl::StrContains(ns.Shell("ip -o link"), "eth0"));
  // What is not served in process needs the program.
  CHECK(add(R"({"type":"bridge","vlan":7})", ns.path()) == "cni.plugin.not_found");
  CHECK(add(R"({"type":"bridge","ipam":{"type":"dhcp"}})", ns.path()) == "cni.plugin.not_found");
  CHECK(add(R"({"type":"macvlan"})", ns.path()) == "cni.plugin.not_found");
}

}  // namespace
}  // namespace coaming::cni
