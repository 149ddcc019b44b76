#include "libaci/pod/networks.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/json/json.h"
#include "libcni/cache/cache.h"
#include "libcni/conf/runtime.h"
#include "libcni/invoke/client.h"
#include "libcni/result/result.h"

namespace coaming::aci {
namespace {

constexpr std::string_view kPortMappings = "portMappings";

// The networks that exist without any configuration, as in rkt: a routed one with masquerading, and
// one that reaches the host only. The addresses in use are kept below the pods' directory.
std::string BuiltIn(std::string_view name, const PodsOptions& options) {
  const bool restricted = name == "default-restricted";
  return absl::StrCat(
      R"({"cniVersion":"0.4.0","name":")", name, R"(","plugins":[{"type":"ptp","ipMasq":)",
      restricted ? "false" : "true", R"(,"ipam":{"type":"host-local","dataDir":")", options.dir,
      R"(/networks","ranges":[[{"subnet":")", restricted ? "172.31.0.0/16" : "172.16.28.0/24",
      R"("}]])", restricted ? "" : R"(,"routes":[{"dst":"0.0.0.0/0"}])",
      R"(}},{"type":"portmap","capabilities":{"portMappings":true},"snat":true}]})");
}

struct Word {
  std::string name;
  std::vector<std::pair<std::string, std::string>> args;
};

absl::StatusOr<std::vector<Word>> ReadWords(const std::vector<std::string>& words) {
  std::vector<Word> out;
  for (const std::string& text : words) {
    const size_t colon = text.find(':');
    Word word{text.substr(0, colon), {}};
    if (colon != std::string::npos) {
      COAM_RETURN_IF_ERROR(cni::ParseCniArgs(text.substr(colon + 1), &word.args));
    }
    for (const Word& other : out) {
      if (other.name == word.name) {
        return base::Fail("pod.network").Hint("name each network once")
               << "network '" << word.name << "' is named twice";
      }
    }
    out.push_back(std::move(word));
  }
  const auto special = std::find_if(out.begin(), out.end(), [](const Word& word) {
    return word.name == "host" || word.name == "none" || word.name == "all";
  });
  if (special != out.end() && (out.size() > 1 || !special->args.empty())) {
    return base::Fail("pod.network").Hint("give it alone, without arguments")
           << "network '" << special->name << "' stands for all the networking of a pod";
  }
  return out;
}

absl::StatusOr<cni::NetworkList> FindNetwork(const base::Op& op, const PodsOptions& options,
                                             const std::string& name) {
  absl::StatusOr<cni::NetworkList> list = cni::LoadNetwork(op, options.network_dirs, name);
  const bool built_in = name == "default" || name == "default-restricted";
  if (!built_in || !base::HasReason(list.status(), "cni.conf.not_found")) return list;
  return cni::ParseNetworkList(BuiltIn(name, options), op.limits());
}

bool CanForward(const cni::NetworkList& list) {
  return std::any_of(list.plugins.begin(), list.plugins.end(), [](const cni::PluginConf& plugin) {
    return std::find(plugin.capabilities.begin(), plugin.capabilities.end(), kPortMappings) !=
           plugin.capabilities.end();
  });
}

// The list with the portmap plugin at its end.
absl::StatusOr<cni::NetworkList> WithPortmap(const cni::NetworkList& list,
                                             const base::Limits& limits) {
  base::json::Value json = base::json::Value::MakeObject();
  json.Set("cniVersion", list.cni_version.empty() ? std::string("0.3.1") : list.cni_version);
  json.Set("name", list.name);
  base::json::Value plugins = base::json::Value::MakeArray();
  for (const cni::PluginConf& plugin : list.plugins) {
    COAM_ASSIGN_OR_RETURN(base::json::Value value, base::json::ParseObject(plugin.json));
    plugins.Push(std::move(value));
  }
  COAM_ASSIGN_OR_RETURN(
      base::json::Value portmap,
      base::json::ParseObject(
          R"({"type":"portmap","capabilities":{"portMappings":true},"snat":true})"));
  plugins.Push(std::move(portmap));
  json.Set("plugins", std::move(plugins));
  return cni::ParseNetworkList(base::json::Write(json), limits);
}

cni::Client MakeClient(const PodsOptions& options, std::string_view cache_dir) {
  cni::ClientOptions client;
  client.plugin_dirs = options.plugin_dirs;
  client.cache_dir = cache_dir;
  return cni::Client(std::move(client));
}

NetworkInfo InfoOf(std::string_view name, std::string_view interface, const cni::Result& result) {
  NetworkInfo info{std::string(name), std::string(interface), ""};
  const std::vector<cni::IpConfig> ips = cni::AddressesOf(result, interface);
  if (!ips.empty()) info.address = ips.front().address.ip.ToString();
  return info;
}

}  // namespace

absl::StatusOr<PlannedNetworks> PlanNetworks(const base::Op& op, const PodsOptions& options,
                                             const std::vector<std::string>& words,
                                             bool want_forwards) {
  PlannedNetworks out;
  COAM_ASSIGN_OR_RETURN(const std::vector<Word> read, ReadWords(words));
  if (read.size() == 1 && read[0].name == "none") return out;
  if (read.size() == 1 && read[0].name == "host") {
    out.host = true;
    return out;
  }
  if (read.size() == 1 && read[0].name == "all") {
    COAM_ASSIGN_OR_RETURN(cni::NetworkSet all, cni::LoadAllNetworks(op, options.network_dirs));
    for (const cni::Problem& problem : all.problems) {
      op.AddNote("pod.network_skipped", problem.path, problem.status.message());
    }
    for (cni::NetworkList& list : all.networks) out.networks.push_back({std::move(list), "", {}});
  } else {
    for (const Word& word : read) {
      COAM_ASSIGN_OR_RETURN(cni::NetworkList list, FindNetwork(op, options, word.name));
      out.networks.push_back({std::move(list), "", word.args});
    }
  }
  std::stable_sort(out.networks.begin(), out.networks.end(),
                   [](const NetworkPlan& a, const NetworkPlan& b) {
                     // Built-in networks have no file and come last, as their rkt names (99-) say.
                     return std::make_pair(a.list.path.empty(), a.list.path) <
                            std::make_pair(b.list.path.empty(), b.list.path);
                   });
  for (size_t i = 0; i < out.networks.size(); ++i) {
    out.networks[i].interface = absl::StrCat("eth", i);
  }
  if (!want_forwards || out.networks.empty()) return out;
  const auto able = std::find_if(out.networks.begin(), out.networks.end(),
                                 [](const NetworkPlan& plan) { return CanForward(plan.list); });
  NetworkPlan& chosen = able != out.networks.end() ? *able : out.networks.back();
  if (able == out.networks.end()) {
    COAM_ASSIGN_OR_RETURN(chosen.list, WithPortmap(chosen.list, op.limits()));
  }
  chosen.forwards_ports = true;
  return out;
}

absl::StatusOr<Attached> Attach(const base::Op& op, const PodsOptions& options,
                                const PlannedNetworks& plan, std::string_view uuid,
                                std::string_view netns_path, std::string_view cache_dir,
                                const std::vector<PortForward>& forwards) {
  cni::Client client = MakeClient(options, cache_dir);
  Attached out;
  for (const NetworkPlan& network : plan.networks) {
    cni::Runtime runtime;
    runtime.container_id = uuid;
    runtime.netns = netns_path;
    runtime.ifname = network.interface;
    runtime.args = network.args;
    if (network.forwards_ports) {
      std::vector<cni::PortMapping> mappings;
      for (const PortForward& forward : forwards) {
        for (uint32_t i = 0; i < forward.count; ++i) {
          mappings.push_back({static_cast<int>(forward.host_port + i),
                              static_cast<int>(forward.pod_port + i), forward.protocol,
                              forward.host_ip});
        }
      }
      runtime.capabilities.SetPortMappings(mappings);
    }
    const absl::StatusOr<cni::Result> result = client.AddNetworkList(op, network.list, runtime);
    if (!result.ok()) {
      // What was joined before must not stay; the caller's deadline may have passed, so it does
      // not count here.
      const absl::Status undone = Detach(base::Op(), options, uuid, netns_path, cache_dir);
      if (!undone.ok()) op.AddNote("pod.network_left", network.list.name, undone.message());
      // Who asked to stop must hear that it stopped.
      const std::string reason = base::ReasonOf(result.status());
      if (reason == "core.cancelled" || reason == "core.deadline_exceeded") return result.status();
      return base::Fail("pod.network").Cause(result.status())
             << "join network " << network.list.name << ": "
             << base::GetError(result.status()).message;
    }
    out.networks.push_back(InfoOf(network.list.name, network.interface, *result));
    if (out.nameservers.empty() && out.domain.empty() && !result->dns.empty()) {
      out.nameservers = result->dns.nameservers;
      out.search = result->dns.search;
      out.dns_options = result->dns.options;
      out.domain = result->dns.domain;
    }
  }
  return out;
}

absl::Status Detach(const base::Op& op, const PodsOptions& options, std::string_view uuid,
                    std::string_view netns_path, std::string_view cache_dir) {
  cni::Client client = MakeClient(options, cache_dir);
  // Interfaces that were begun and not finished first: they have no result in the cache.
  absl::Status first = client.Recover(op).status();
  COAM_ASSIGN_OR_RETURN(std::vector<cni::CachedAttachment> attached, client.cache().List(op, uuid));
  std::sort(attached.begin(), attached.end(),
            [](const cni::CachedAttachment& a, const cni::CachedAttachment& b) {
              const std::string &x = a.runtime.ifname, &y = b.runtime.ifname;
              return x.size() != y.size() ? x.size() > y.size() : x > y;
            });
  for (cni::CachedAttachment& attachment : attached) {
    attachment.runtime.netns = netns_path;
    const absl::Status status = client.DelAttachment(op, attachment);
    if (first.ok()) first = status;
  }
  return first;
}

absl::StatusOr<std::vector<NetworkInfo>> ReadAttached(const base::Op& op, std::string_view uuid,
                                                      std::string_view cache_dir) {
  const cni::Cache cache{std::string(cache_dir)};
  COAM_ASSIGN_OR_RETURN(const std::vector<cni::CachedAttachment> attached, cache.List(op, uuid));
  std::vector<NetworkInfo> out;
  for (const cni::CachedAttachment& attachment : attached) {
    if (!attachment.result.has_value()) continue;
    out.push_back(InfoOf(attachment.network, attachment.runtime.ifname, *attachment.result));
  }
  std::sort(out.begin(), out.end(), [](const NetworkInfo& a, const NetworkInfo& b) {
    return a.interface.size() != b.interface.size() ? a.interface.size() < b.interface.size()
                                                    : a.interface < b.interface;
  });
  return out;
}

}  // namespace coaming::aci
