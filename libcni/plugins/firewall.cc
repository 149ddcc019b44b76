#include "libcni/plugins/firewall.h"

#include <algorithm>
#include <set>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "libcni/conf/name_hash.h"
#include "libcni/plugins/nft.h"

namespace coaming::cni {
namespace {

constexpr size_t kMaxComment = 128;
constexpr char kMasqueradeTable[] = "inet cni_plugins_masquerade";
constexpr char kMasqueradeChain[] = "inet cni_plugins_masquerade masq_checks";

std::string Plain(std::string_view text) { return absl::StrReplaceAll(text, {{"\"", ""}}); }

std::string NetworkHash(std::string_view network) { return Sha512Hex(network).substr(0, 16); }

std::string InstanceHash(std::string_view network, std::string_view ifname,
                         std::string_view container_id) {
  return absl::StrCat(NetworkHash(network), "-",
                      Sha512Hex(absl::StrCat(ifname, ":", container_id)).substr(0, 16));
}

std::string InstanceComment(std::string_view network, std::string_view ifname,
                            std::string_view container_id) {
  return absl::StrCat(InstanceHash(network, ifname, container_id), ", net: ", Plain(network),
                      ", if: ", Plain(ifname), ", id: ", Plain(container_id))
      .substr(0, kMaxComment);
}

const char* FamilyName(const Ip& ip) { return ip.family == 4 ? "ip" : "ip6"; }

// A command for each rule whose comment `wanted` accepts.
template <typename F>
absl::Status DeleteCommands(Nft* nft, std::string_view chain, F wanted, std::string* commands) {
  COAM_ASSIGN_OR_RETURN(auto rules, nft->Rules(chain));
  for (const NftRule& rule : rules) {
    if (!wanted(rule.comment)) continue;
    absl::StrAppend(commands, "delete rule ", chain, " handle ", rule.handle, "\n");
  }
  return absl::OkStatus();
}

std::string ContainerComment(const PluginInput& in) {
  return in.container_id.substr(0, kMaxComment);
}

// True if the mapping is for the address's family; *specific says if it names a host address.
bool Fits(const PortMapping& port, const Ip& address, bool* specific) {
  *specific = false;
  if (port.host_ip.empty()) return true;
  std::optional<Ip> host = ParseIp(port.host_ip);
  if (!host.has_value() || host->family != address.family) return false;
  *specific = std::any_of(host->bytes.begin(), host->bytes.end(), [](uint8_t b) { return b != 0; });
  return true;
}

}  // namespace

absl::Status MasqueradeAdd(const PluginInput& in, const std::vector<IpNet>& addresses) {
  COAM_ASSIGN_OR_RETURN(Nft nft, Nft::New());
  const std::string hash = InstanceHash(in.network, in.ifname, in.container_id);
  const std::string comment = InstanceComment(in.network, in.ifname, in.container_id);
  std::string commands = absl::StrCat(
      "add table ", kMasqueradeTable,
      " { comment \"Masquerading for plugins from github.com/containernetworking/plugins\"; }\n",
      "add chain ", kMasqueradeChain,
      " { comment \"Masquerade traffic from certain IPs to any (non-multicast) IP outside their "
      "subnet\"; }\n",
      "add chain ", kMasqueradeTable,
      " postrouting { type nat hook postrouting priority srcnat; }\n", "flush chain ",
      kMasqueradeTable, " postrouting\n", "add rule ", kMasqueradeTable,
      " postrouting ip daddr 224.0.0.0/4 return\n", "add rule ", kMasqueradeTable,
      " postrouting ip6 daddr ff00::/8 return\n", "add rule ", kMasqueradeTable,
      " postrouting goto masq_checks\n");
  COAM_RETURN_IF_ERROR(DeleteCommands(
      &nft, kMasqueradeChain,
      [&](const std::string& found) { return absl::StartsWith(found, hash); }, &commands));
  for (const IpNet& net : addresses) {
    const char* family = FamilyName(net.ip);
    IpNet subnet{net.ip.Masked(net.prefix), net.prefix};
    absl::StrAppend(&commands, "add rule ", kMasqueradeChain, " ", family, " saddr ",
                    net.ip.ToString(), " ", family, " daddr != ", subnet.ToString(),
                    " masquerade comment \"", comment, "\"\n");
  }
  return nft.Run(commands);
}

absl::Status MasqueradeDel(const PluginInput& in) {
  COAM_ASSIGN_OR_RETURN(Nft nft, Nft::New());
  const std::string hash = InstanceHash(in.network, in.ifname, in.container_id);
  std::string commands;
  COAM_RETURN_IF_ERROR(DeleteCommands(
      &nft, kMasqueradeChain,
      [&](const std::string& found) { return absl::StartsWith(found, hash); }, &commands));
  return commands.empty() ? absl::OkStatus() : nft.Run(commands);
}

absl::Status MasqueradeGc(std::string_view network, const std::vector<AttachmentId>& keep) {
  COAM_ASSIGN_OR_RETURN(Nft nft, Nft::New());
  std::set<std::string> alive;
  for (const AttachmentId& id : keep) {
    alive.insert(InstanceComment(network, id.ifname, id.container_id));
  }
  const std::string hash = NetworkHash(network);
  std::string commands;
  COAM_RETURN_IF_ERROR(DeleteCommands(
      &nft, kMasqueradeChain,
      [&](const std::string& found) {
        return absl::StartsWith(found, hash) && alive.count(found) == 0;
      },
      &commands));
  return commands.empty() ? absl::OkStatus() : nft.Run(commands);
}

absl::Status ForwardAdd(const PluginInput& in, const Forwarding& forwarding, const Ip& address) {
  COAM_ASSIGN_OR_RETURN(Nft nft, Nft::New());
  const std::string family = FamilyName(address);
  const std::string table = absl::StrCat(family, " cni_hostport");
  const std::string comment = absl::StrCat(" comment \"", ContainerComment(in), "\"\n");
  std::string commands =
      absl::StrCat("add table ", table, " { comment \"CNI portmap plugin\"; }\n", "add chain ",
                   table, " hostports\n", "add chain ", table, " hostip_hostports\n", "add chain ",
                   table, " hostports_all\n", "flush chain ", table, " hostports_all\n",
                   "add rule ", table, " hostports_all jump hostip_hostports\n", "add rule ", table,
                   " hostports_all jump hostports\n");
  for (const char* hook : {"prerouting", "output"}) {
    absl::StrAppend(&commands, "add chain ", table, " ", hook, " { type nat hook ", hook,
                    " priority ", std::string_view(hook) == "output" ? "-100" : "dstnat", "; }\n",
                    "flush chain ", table, " ", hook, "\n", "add rule ", table, " ", hook,
                    " fib daddr type local jump hostports_all\n");
  }
  const std::string text = address.ToString();
  const std::string target = address.family == 4 ? text : absl::StrCat("[", text, "]");
  for (const PortMapping& port : forwarding.ports) {
    bool specific = false;
    if (!Fits(port, address, &specific)) continue;
    absl::StrAppend(&commands, "add rule ", table, " hostports ");
    if (specific) {
      absl::StrAppend(&commands, family, " daddr ", ParseIp(port.host_ip)->ToString(), " ");
    }
    absl::StrAppend(&commands, port.protocol, " dport ", port.host_port, " dnat to ", target, ":",
                    port.container_port, comment);
  }
  if (forwarding.snat) {
    absl::StrAppend(&commands, "add chain ", table,
                    " masquerading { type nat hook postrouting priority srcnat; }\n");
    std::vector<std::string> sources = {text};
    if (forwarding.masquerade_all) {
      sources = {address.family == 4 ? "0.0.0.0/0" : "::/0"};
    } else if (address.family == 4) {
      sources.push_back("127.0.0.1");
    }
    for (const std::string& source : sources) {
      absl::StrAppend(&commands, "add rule ", table, " masquerading ", family, " saddr ", source,
                      " ", family, " daddr ", text, " masquerade", comment);
    }
  }
  return nft.Run(commands);
}

absl::Status ForwardDel(const PluginInput& in) {
  COAM_ASSIGN_OR_RETURN(Nft nft, Nft::New());
  const std::string comment = ContainerComment(in);
  std::string commands;
  for (const char* family : {"ip", "ip6"}) {
    for (const char* chain : {"hostports", "hostip_hostports", "masquerading"}) {
      COAM_RETURN_IF_ERROR(DeleteCommands(
          &nft, absl::StrCat(family, " cni_hostport ", chain),
          [&](const std::string& found) { return found == comment; }, &commands));
    }
  }
  return commands.empty() ? absl::OkStatus() : nft.Run(commands);
}

absl::Status ForwardCheck(const PluginInput& in, const Forwarding& forwarding, const Ip& address) {
  COAM_ASSIGN_OR_RETURN(Nft nft, Nft::New());
  const std::string comment = ContainerComment(in);
  auto count = [&](const char* chain) -> absl::StatusOr<int> {
    COAM_ASSIGN_OR_RETURN(auto rules,
                          nft.Rules(absl::StrCat(FamilyName(address), " cni_hostport ", chain)));
    int found = 0;
    for (const NftRule& rule : rules) found += rule.comment == comment;
    return found;
  };
  int ports = 0;
  for (const PortMapping& port : forwarding.ports) {
    bool specific = false;
    ports += Fits(port, address, &specific);
  }
  int sources = !forwarding.snat ? 0 : address.family == 4 && !forwarding.masquerade_all ? 2 : 1;
  COAM_ASSIGN_OR_RETURN(int have_ports, count("hostports"));
  COAM_ASSIGN_OR_RETURN(int have_sources, count("masquerading"));
  if (have_ports >= ports && have_sources >= sources) return absl::OkStatus();
  return base::Fail("cni.plugin.failed")
         << "rules that forward ports to " << address.ToString() << " are missing";
}

}  // namespace coaming::cni
