// The client against the plugins that Debian packages, in namespaces made for each test.
#include <initializer_list>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/core/error.h"
#include "catch2/catch_all.hpp"
#include "libcni/invoke/client.h"
#include "libcni/result/version.h"
#include "libcni/testing/netns.h"

namespace coaming::cni {
namespace {

using testing::ContainerNamespace;
using testing::HostNamespace;
using testing::ListDir;
using testing::Shell;
using testing::TempDir;

#define NEEDS(...)                  \
  HostNamespace host;               \
  if (!host.ok()) SKIP(host.why()); \
  if (!testing::HavePlugins({__VA_ARGS__})) SKIP("containernetworking-plugins is not installed")

#define REQUIRE_OK(expr)             \
  do {                               \
    absl::Status ok_status = (expr); \
    INFO(ok_status);                 \
    REQUIRE(ok_status.ok());         \
  } while (0)

struct World {
  World() {
    options.plugin_dirs = {"/usr/lib/cni"};
    options.cache_dir = dir / "cache";
  }
  // `json` may name the directory for leases as DATA.
  NetworkList List(std::string_view json) const {
    auto list = ParseNetworkList(absl::StrReplaceAll(json, {{"DATA", dir / "data"}}));
    INFO(list.status());
    REQUIRE(list.ok());
    return *list;
  }
  Runtime MakeRuntime(const ContainerNamespace& ns, std::string_view id = "c1") const {
    Runtime runtime;
    runtime.container_id = id;
    runtime.netns = ns.path();
    return runtime;
  }
  std::vector<std::string> Leases(std::string_view network = "net") const {
    std::vector<std::string> out;
    for (const std::string& name : ListDir(absl::StrCat(dir / "data", "/", network))) {
      if (name != "lock" && !absl::StartsWith(name, "last_reserved_ip")) out.push_back(name);
    }
    return out;
  }
  // What a container left on the host: links beside lo and the bridge, rules, leases, cached files.
  std::string Leftovers() const {
    std::string out = Shell("ip -o link show type veth | cut -d: -f2; iptables-save | grep c1");
    for (const std::string& lease : Leases()) absl::StrAppend(&out, "lease ", lease, "\n");
    for (const char* sub : {"/results", "/intents"}) {
      for (const std::string& file : ListDir((dir / "cache") + sub)) {
        absl::StrAppend(&out, "cached ", file, "\n");
      }
    }
    return out;
  }
  TempDir dir;
  ClientOptions options;
};

constexpr char kIpam[] = R"("ipam":{"type":"host-local","dataDir":"DATA","subnet":"10.88.7.0/24",)"
                         R"("routes":[{"dst":"0.0.0.0/0"}]})";

TEST_CASE("plugins: bridge, host-local and portmap in every version", "[libcni][invoke][root]") {
  NEEDS("bridge", "host-local", "portmap");
  for (std::string_view version : SupportedVersions()) {
    if (version == "1.1.0") continue;  // Debian's plugins stop at 1.0.0
    INFO(version);
    World w;
    Client client(w.options);
    NetworkList list = w.List(absl::StrCat(
        R"({"name":"net","cniVersion":")", version,
        R"(","plugins":[{"type":"bridge","bridge":"br0","isGateway":true,"ipMasq":true,)", kIpam,
        R"(},{"type":"portmap","capabilities":{"portMappings":true}}]})"));
    ContainerNamespace ns;
    Runtime runtime = w.MakeRuntime(ns);
    runtime.capabilities.SetPortMappings({{.host_port = 18080, .container_port = 80}});
    auto added = client.AddNetworkList(base::Op(), list, runtime);
    REQUIRE_OK(added.status());
    CHECK(added->cni_version == version);
    auto addresses = AddressesOf(*added, "eth0");
    REQUIRE(addresses.size() == 1);
    std::string address = addresses[0].address.ip.ToString();
    CHECK(absl::StrContains(ns.Shell("ip -4 -o addr show eth0"), address + "/24"));
    CHECK(absl::StrContains(ns.Shell("ip route"), "default via 10.88.7.1"));
    CHECK(absl::StrContains(Shell("iptables-save -t nat"), "--dport 18080"));
    CHECK(w.Leases() == std::vector<std::string>{address});
    if (AtLeast(version, "0.4.0")) {
      NetworkList bridge_only = list;  // portmap's own CHECK is broken for IPv4 alone in 1.1.1
      bridge_only.plugins.resize(1);
      REQUIRE_OK(client.CheckNetworkList(base::Op(), bridge_only, runtime));
    }
    auto cached = client.CachedResult(base::Op(), list, runtime);
    REQUIRE_OK(cached.status());
    CHECK(**cached == *added);
    REQUIRE_OK(client.DelNetworkList(base::Op(), list, runtime));
    CHECK(w.Leftovers() == "");
    CHECK_FALSE(absl::StrContains(ns.Shell("ip -o link"), "eth0"));
    REQUIRE_OK(client.DelNetworkList(base::Op(), list, runtime));
  }
}

TEST_CASE("plugins: a forwarded port answers from the host", "[libcni][invoke][root]") {
  NEEDS("bridge", "host-local", "portmap");
  World w;
  Client client(w.options);
  NetworkList list = w.List(absl::StrCat(
      R"({"name":"net","cniVersion":"1.0.0","plugins":[{"type":"bridge","bridge":"br0",)"
      R"("isGateway":true,"ipMasq":true,)",
      kIpam, R"(},{"type":"portmap","capabilities":{"portMappings":true}}]})"));
  ContainerNamespace ns;
  Runtime runtime = w.MakeRuntime(ns);
  runtime.capabilities.SetPortMappings({{.host_port = 18081, .container_port = 80}});
  REQUIRE_OK(client.AddNetworkList(base::Op(), list, runtime).status());
  std::string answer;
  const std::string ready = w.dir / "ready";
  std::thread server([&] {
    answer = ns.Shell(
        "python3 -c 'import socket; s = socket.socket(); s.bind((\"0.0.0.0\", 80)); s.listen(1); "
        "open(\"" +
        ready +
        "\", \"w\").close(); s.settimeout(20); c = s.accept()[0]; "
        "c.sendall(b\"hello\"); c.close()'");
  });
  while (!testing::Exists(ready)) std::this_thread::yield();
  CHECK(Shell("python3 -c 'import socket; "
              "print(socket.create_connection((\"10.88.7.1\", 18081), 10).recv(99).decode())'") ==
        "hello\n");
  server.join();
  REQUIRE_OK(client.DelNetworkList(base::Op(), list, runtime));
  CHECK(w.Leftovers() == "");
}

TEST_CASE("plugins: every kind that this kernel serves attaches and detaches",
          "[libcni][invoke][root]") {
  NEEDS("bridge", "ptp", "macvlan", "loopback", "host-local", "static", "tuning", "firewall",
        "bandwidth");
  const std::pair<const char*, std::string> cases[] = {
      {"ptp", absl::StrCat(R"({"type":"ptp","ipMasq":true,)", kIpam, "}")},
      {"loopback", R"({"type":"loopback"})"},
      {"macvlan", absl::StrCat(R"({"type":"macvlan","master":"up0",)", kIpam, "}")},
      {"static", R"({"type":"bridge","bridge":"br1","ipam":{"type":"static",)"
                 R"("addresses":[{"address":"10.9.0.2/24"},{"address":"fd09::2/64"}]}})"},
      {"tuning", absl::StrCat(R"({"type":"bridge","bridge":"br2",)", kIpam,
                              R"(},{"type":"tuning","dataDir":"DATA/tuning","mtu":1300,)"
                              R"("sysctl":{"net.ipv4.conf.eth0.log_martians":"1"}})")},
      {"firewall", absl::StrCat(R"({"type":"bridge","bridge":"br3",)", kIpam,
                                R"(},{"type":"firewall","backend":"iptables"})")},
      {"bandwidth", absl::StrCat(R"({"type":"bridge","bridge":"br4",)", kIpam,
                                 R"(},{"type":"bandwidth","capabilities":{"bandwidth":true}})")},
  };
  Shell("ip link add up0 type veth peer name up1; ip link set up0 up; ip link set up1 up");
  const std::string before = Shell("ip -o link show type veth | cut -d: -f2");
  for (const auto& [name, plugins] : cases) {
    INFO(name);
    World w;
    Client client(w.options);
    NetworkList list =
        w.List(absl::StrCat(R"({"name":"net","cniVersion":"1.0.0","plugins":[)", plugins, "]}"));
    ContainerNamespace ns;
    Runtime runtime = w.MakeRuntime(ns);
    if (std::string_view(name) == "loopback") runtime.ifname = "lo";
    runtime.capabilities.SetBandwidth({.ingress_rate = 1 << 20,
                                       .ingress_burst = 1 << 20,
                                       .egress_rate = 1 << 20,
                                       .egress_burst = 1 << 20});
    auto added = client.AddNetworkList(base::Op(), list, runtime);
    REQUIRE_OK(added.status());
    CHECK(absl::StrContains(ns.Shell("ip -o addr"),
                            added->ips.empty() ? "127.0.0.1" : added->ips[0].address.ToString()));
    REQUIRE_OK(client.CheckNetworkList(base::Op(), list, runtime));
    REQUIRE_OK(client.DelNetworkList(base::Op(), list, runtime));
    CHECK(w.Leases().empty());
    CHECK(ListDir(w.dir / "cache/results").empty());
    CHECK(Shell("ip -o link show type veth | cut -d: -f2") == before);
    CHECK_FALSE(absl::StrContains(Shell("iptables-save"), "c1"));
    REQUIRE_OK(client.DelNetworkList(base::Op(), list, runtime));
  }
}

TEST_CASE("plugins: CHECK notices what was taken away", "[libcni][invoke][root]") {
  NEEDS("bridge", "host-local");
  World w;
  Client client(w.options);
  NetworkList list = w.List(absl::StrCat(
      R"({"name":"net","cniVersion":"0.4.0","plugins":[{"type":"bridge","bridge":"br0",)", kIpam,
      "}]}"));
  ContainerNamespace ns;
  Runtime runtime = w.MakeRuntime(ns);
  CHECK(base::HasReason(client.CheckNetworkList(base::Op(), list, runtime), "cni.not_attached"));
  REQUIRE_OK(client.AddNetworkList(base::Op(), list, runtime).status());
  REQUIRE_OK(client.CheckNetworkList(base::Op(), list, runtime));
  ns.Shell("ip addr flush dev eth0");
  absl::Status status = client.CheckNetworkList(base::Op(), list, runtime);
  CHECK(base::HasReason(status, "cni.plugin.failed"));
  CHECK(base::GetError(status).Detail("cni.verb") == "CHECK");
  CHECK(base::GetError(status).Detail("cni.code") == "999");
  REQUIRE_OK(client.DelNetworkList(base::Op(), list, runtime));
}

TEST_CASE("plugins: a failure in the middle leaves nothing behind", "[libcni][invoke][root]") {
  NEEDS("bridge", "host-local", "tuning", "portmap");
  World w;
  Client client(w.options);
  NetworkList list = w.List(absl::StrCat(
      R"({"name":"net","cniVersion":"1.0.0","plugins":[{"type":"bridge","bridge":"br0",)"
      R"("isGateway":true,"ipMasq":true,)",
      kIpam,
      R"(},{"type":"tuning","dataDir":"DATA/tuning","sysctl":{"net.no.such.thing":"1"}}]})"));
  ContainerNamespace ns;
  Runtime runtime = w.MakeRuntime(ns);
  auto added = client.AddNetworkList(base::Op(), list, runtime);
  CHECK(base::HasReason(added.status(), "cni.plugin.failed"));
  CHECK(base::GetError(added.status()).Detail("cni.plugin") == "tuning");
  CHECK(base::GetError(added.status()).Detail("cni.rollback") == "");
  CHECK(w.Leftovers() == "");
  CHECK_FALSE(absl::StrContains(ns.Shell("ip -o link"), "eth0"));
}

TEST_CASE("plugins: an exhausted range leaves no half-made interface", "[libcni][invoke][root]") {
  NEEDS("bridge", "host-local");
  World w;
  Client client(w.options);
  NetworkList list = w.List(
      R"({"name":"net","cniVersion":"1.0.0","plugins":[{"type":"bridge","bridge":"br0",
          "ipam":{"type":"host-local","dataDir":"DATA","subnet":"10.88.7.0/30"}}]})");
  ContainerNamespace first, second;
  REQUIRE_OK(client.AddNetworkList(base::Op(), list, w.MakeRuntime(first, "first")).status());
  for (int i = 0; i < 2; ++i) {
    auto added = client.AddNetworkList(base::Op(), list, w.MakeRuntime(second, "second"));
    CHECK(base::HasReason(added.status(), "cni.plugin.failed"));
    CHECK(absl::StrContains(base::GetError(added.status()).message, "no IP addresses available"));
    CHECK_FALSE(absl::StrContains(second.Shell("ip -o link"), "eth0"));
  }
  REQUIRE_OK(client.DelNetworkList(base::Op(), list, w.MakeRuntime(first, "first")));
  REQUIRE_OK(client.AddNetworkList(base::Op(), list, w.MakeRuntime(second, "second")).status());
}

TEST_CASE("plugins: DEL works when the namespace is gone", "[libcni][invoke][root]") {
  NEEDS("bridge", "host-local");
  World w;
  Client client(w.options);
  NetworkList list = w.List(absl::StrCat(
      R"({"name":"net","cniVersion":"1.0.0","plugins":[{"type":"bridge","bridge":"br0",)", kIpam,
      "}]}"));
  // Not given, not there, and something else under its name, as after a reboot.
  for (const std::string& path : {std::string(), w.dir / "none", w.dir / "file"}) {
    testing::WriteFile(w.dir / "file", "");
    ContainerNamespace ns;
    Runtime runtime = w.MakeRuntime(ns);
    REQUIRE_OK(client.AddNetworkList(base::Op(), list, runtime).status());
    ns.Destroy();
    runtime.netns = path;
    REQUIRE_OK(client.DelNetworkList(base::Op(), list, runtime));
    CHECK(w.Leases().empty());
  }
}

TEST_CASE("plugins: GC frees the leases of containers that nobody knows",
          "[libcni][invoke][root]") {
  NEEDS("bridge", "host-local");
  World w;
  Client client(w.options);
  NetworkList list = w.List(absl::StrCat(
      R"({"name":"net","cniVersion":"1.0.0","plugins":[{"type":"bridge","bridge":"br0",)", kIpam,
      "}]}"));
  ContainerNamespace a, b;
  REQUIRE_OK(client.AddNetworkList(base::Op(), list, w.MakeRuntime(a, "keep")).status());
  REQUIRE_OK(client.AddNetworkList(base::Op(), list, w.MakeRuntime(b, "lost")).status());
  b.Destroy();
  CHECK(w.Leases().size() == 2);
  REQUIRE_OK(client.GcNetworkList(base::Op(), list, {{"keep", "eth0"}}));
  CHECK(w.Leases().size() == 1);
  CHECK(client.cache().List(base::Op(), "")->size() == 1);
}

TEST_CASE("plugins: what they refuse comes back with its reason", "[libcni][invoke][root]") {
  NEEDS("bridge", "host-local");
  World w;
  ContainerNamespace ns;
  auto add = [&](std::string_view json, const Runtime& runtime) {
    ClientOptions exact = w.options;
    exact.exact = true;  // so that the plugin is the one to refuse
    auto list = w.List(json);
    return base::ReasonOf(Client(exact).AddNetworkList(base::Op(), list, runtime).status());
  };
  const std::string good = absl::StrCat(
      R"({"name":"net","cniVersion":"1.0.0","plugins":[{"type":"bridge",)", kIpam, "}]}");
  CHECK(add(R"({"name":"net","cniVersion":"9.9.9","plugins":[{"type":"bridge"}]})",
            w.MakeRuntime(ns)) == "cni.plugin.version");
  Runtime no_namespace = w.MakeRuntime(ns);
  no_namespace.netns = "";
  CHECK(add(good, no_namespace) == "cni.plugin.environment");
  no_namespace.netns = "/nowhere";
  CHECK(add(good, no_namespace) == "cni.plugin.failed");
  CHECK(add(R"({"name":"net","cniVersion":"1.0.0","plugins":[{"type":"bridge","mtu":"x"}]})",
            w.MakeRuntime(ns)) == "cni.plugin.failed");
}

TEST_CASE("plugins: versions of the packaged plugins", "[libcni][invoke][root]") {
  NEEDS("bridge", "host-local", "firewall");
  World w;
  Client client(w.options);
  auto info = client.PluginVersions(base::Op(), "bridge");
  REQUIRE_OK(info.status());
  CHECK(std::find(info->supported.begin(), info->supported.end(), "1.0.0") !=
        info->supported.end());
  NetworkList list = w.List(
      R"({"name":"net","cniVersion":"0.3.1","plugins":[{"type":"bridge"},{"type":"firewall"}]})");
  CHECK(
      base::HasReason(client.ValidateNetworkList(base::Op(), list).status(), "cni.plugin.version"));
}

TEST_CASE("plugins: sixteen containers at once get sixteen addresses", "[libcni][invoke][root]") {
  NEEDS("bridge", "host-local");
  World w;
  Client client(w.options);
  NetworkList list = w.List(absl::StrCat(
      R"({"name":"net","cniVersion":"1.0.0","plugins":[{"type":"bridge","bridge":"br0",)", kIpam,
      "}]}"));
  std::vector<ContainerNamespace> namespaces(16);
  std::vector<absl::Status> statuses(16);
  auto all = [&](auto each) {
    std::vector<std::thread> threads;  // they inherit this thread's network namespace
    for (int i = 0; i < 16; ++i) {
      threads.emplace_back(
          [&, i] { statuses[i] = each(w.MakeRuntime(namespaces[i], absl::StrCat("c1-", i))); });
    }
    for (std::thread& thread : threads) thread.join();
    for (const absl::Status& status : statuses) {
      INFO(status);
      CHECK(status.ok());
    }
  };
  all([&](const Runtime& r) { return client.AddNetworkList(base::Op(), list, r).status(); });
  CHECK(w.Leases().size() == 16);
  all([&](const Runtime& r) { return client.DelNetworkList(base::Op(), list, r); });
  CHECK(w.Leftovers() == "");
}

}  // namespace
}  // namespace coaming::cni
