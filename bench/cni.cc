// Times ADD and DEL of a container: with the plugins in process, and with Debian's programs through the
// same client, taking turns. Root; works in network namespaces of its own.
//   bench/cni [ROUNDS]
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/core/clock.h"
#include "base/fs/tree.h"
#include "libcni/invoke/client.h"
#include "libcni/plugins/builtin.h"

namespace coaming {
namespace {

struct Namespace {
  Namespace() {
    std::thread maker([this] {
      if (unshare(CLONE_NEWNET) == 0) fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    });
    maker.join();
  }
  ~Namespace() { close(fd); }
  std::string path() const { return absl::StrCat("/proc/", getpid(), "/fd/", fd); }
  int fd = -1;
};

struct Times {
  std::vector<double> add, del;
};

double Ms(int64_t since) {
  return static_cast<double>(base::SystemClock().MonotonicNs() - since) / 1e6;
}

std::string Show(std::vector<double> times) {
  if (times.empty()) return "-";
  std::sort(times.begin(), times.end());
  char text[64];
  snprintf(text, sizeof text, "%7.2f /%7.2f", times[times.size() / 2], times[0]);
  return text;
}

bool Once(cni::Client& client, const cni::NetworkList& list, Times* times) {
  Namespace ns;
  cni::Runtime runtime;
  runtime.container_id = "bench";
  runtime.netns = ns.path();
  runtime.capabilities.SetPortMappings({{.host_port = 18080, .container_port = 80}});
  const base::Op op;
  int64_t start = base::SystemClock().MonotonicNs();
  auto added = client.AddNetworkList(op, list, runtime);
  times->add.push_back(Ms(start));
  if (!added.ok()) {
    fprintf(stderr, "ADD: %s\n", added.status().ToString().c_str());
    return false;
  }
  start = base::SystemClock().MonotonicNs();
  absl::Status deleted = client.DelNetworkList(op, list, runtime);
  times->del.push_back(Ms(start));
  if (!deleted.ok()) fprintf(stderr, "DEL: %s\n", deleted.ToString().c_str());
  return deleted.ok();
}

// `count` containers from as many threads; the time until the last one is attached.
double Together(cni::Client& client, const cni::NetworkList& list, int count, double* del) {
  std::vector<Namespace> namespaces(static_cast<size_t>(count));
  auto all = [&](auto each) {
    const int64_t start = base::SystemClock().MonotonicNs();
    std::vector<std::thread> threads;
    for (int i = 0; i < count; ++i) {
      threads.emplace_back([&, i] {
        cni::Runtime runtime;
        runtime.container_id = absl::StrCat("many-", i);
        runtime.netns = namespaces[static_cast<size_t>(i)].path();
        absl::Status status = each(runtime);
        if (!status.ok()) fprintf(stderr, "%s\n", status.ToString().c_str());
      });
    }
    for (std::thread& thread : threads) thread.join();
    return Ms(start);
  };
  const base::Op op;
  double add =
      all([&](const cni::Runtime& r) { return client.AddNetworkList(op, list, r).status(); });
  *del = all([&](const cni::Runtime& r) { return client.DelNetworkList(op, list, r); });
  return add;
}

int Run(int rounds) {
  if (unshare(CLONE_NEWNET) != 0) {
    fprintf(stderr, "needs root\n");
    return 1;
  }
  int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq request = {};
  memcpy(request.ifr_name, "lo", 3);
  request.ifr_flags = IFF_UP;
  ioctl(control, SIOCSIFFLAGS, &request);
  close(control);
  auto dir = base::TempDir::New("/tmp", "coam-bench-cni");
  if (!dir.ok()) return 1;
  cni::ClientOptions programs;
  programs.plugin_dirs = {"/usr/lib/cni"};
  programs.cache_dir = dir->path() + "/cache";
  cni::ClientOptions inside = programs;
  inside.builtins = &cni::Builtins();
  cni::Client with_programs(programs), in_process(inside);

  const std::string ipam = absl::StrCat(R"("ipam":{"type":"host-local","subnet":"10.88.0.0/16",)",
                                        R"("dataDir":")", dir->path(), R"(/data"})");
  const std::pair<const char*, std::string> cases[] = {
      {"loopback", R"({"type":"loopback"})"},
      {"bridge + host-local", absl::StrCat(R"({"type":"bridge","bridge":"br0",)", ipam, "}")},
      {"ptp + host-local", absl::StrCat(R"({"type":"ptp",)", ipam, "}")},
      {"bridge + ipMasq",
       absl::StrCat(R"({"type":"bridge","bridge":"br0","isGateway":true,"ipMasq":true,)", ipam,
                    "}")},
      {"bridge + ipMasq + portmap",
       absl::StrCat(R"({"type":"bridge","bridge":"br0","isGateway":true,"ipMasq":true,)", ipam,
                    R"(},{"type":"portmap","capabilities":{"portMappings":true}})")},
  };
  printf("ms, median / minimum of %d, taking turns\n", rounds);
  printf("%-27s %-18s %-18s %-18s %-18s\n", "", "ADD in process", "ADD programs", "DEL in process",
         "DEL programs");
  std::string last;
  for (const auto& [name, plugins] : cases) {
    last = absl::StrCat(R"({"cniVersion":"1.0.0","name":"bench","plugins":[)", plugins, "]}");
    auto list = cni::ParseNetworkList(last);
    if (!list.ok()) return 1;
    Times ours, theirs;
    for (int i = 0; i < rounds; ++i) {
      if (!Once(in_process, *list, &ours) || !Once(with_programs, *list, &theirs)) return 1;
    }
    printf("%-27s %-18s %-18s %-18s %-18s\n", name, Show(ours.add).c_str(),
           Show(theirs.add).c_str(), Show(ours.del).c_str(), Show(theirs.del).c_str());
  }
  auto list = cni::ParseNetworkList(
      absl::StrCat(R"({"cniVersion":"1.0.0","name":"bench","plugins":[)", cases[3].second, "]}"));
  double del[2];
  double add[2] = {Together(in_process, *list, 32, &del[0]),
                   Together(with_programs, *list, 32, &del[1])};
  printf("32 at once, bridge + ipMasq: ADD %.0f ms in process, %.0f programs; DEL %.0f, %.0f\n",
         add[0], add[1], del[0], del[1]);
  return 0;
}

}  // namespace
}  // namespace coaming

int main(int argc, char** argv) { return coaming::Run(argc > 1 ? atoi(argv[1]) : 20); }
