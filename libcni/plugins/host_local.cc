// host-local in process: addresses from ranges, kept in a LeaseStore. The rules of ranges, order and
// requests are those of the reference plugin.
#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/fs/file.h"
#include "libcni/conf/names.h"
#include "libcni/plugins/lease_store.h"
#include "libcni/plugins/plugin.h"
#include "libcni/result/result_json.h"
#include "libcni/result/version.h"

namespace coaming::cni {
namespace {

using base::json::Value;

constexpr char kDefaultDataDir[] = "/var/lib/cni/networks";
constexpr int64_t kMaxResolvConf = 1 << 20;

struct Range {
  IpNet subnet;
  Ip first, last, gateway;
  bool Contains(const Ip& ip) const { return subnet.Contains(ip) && !(ip < first) && !(last < ip); }
  std::string ToString() const { return absl::StrCat(first.ToString(), "-", last.ToString()); }
};

using RangeSet = std::vector<Range>;

struct Config {
  std::vector<RangeSet> sets;
  std::vector<Ip> wanted;
  std::vector<Route> routes;
  Dns dns;
  std::string data_dir;
};

std::string SetText(const RangeSet& set) {
  return absl::StrJoin(
      set, ",", [](std::string* out, const Range& r) { absl::StrAppend(out, r.ToString()); });
}

const Range* RangeFor(const RangeSet& set, const Ip& ip) {
  for (const Range& range : set) {
    if (range.Contains(ip)) return &range;
  }
  return nullptr;
}

absl::StatusOr<Ip> ReadIp(const Value& object, std::string_view key) {
  COAM_ASSIGN_OR_RETURN(std::string text, ConfText(object, key, ""));
  if (text.empty()) return Ip();
  std::optional<Ip> ip = ParseIp(text);
  if (!ip.has_value()) return ConfError(absl::StrCat("ipam.", key), "an IP address");
  return *ip;
}

absl::StatusOr<Range> ReadRange(const Value& object) {
  if (!object.is_object()) return ConfError("ipam.ranges", "a list of lists of ranges");
  Range range;
  COAM_ASSIGN_OR_RETURN(std::string subnet, ConfText(object, "subnet", ""));
  std::optional<IpNet> net = ParseIpNet(subnet);
  if (!net.has_value()) return ConfError("ipam.subnet", "an address with a prefix length");
  range.subnet = *net;
  if (net->prefix > net->ip.bits() - 2) {
    return ConfError("ipam.subnet", absl::StrCat("large enough to allocate from: ", subnet));
  }
  if (net->ip.Masked(net->prefix) != net->ip) {
    return ConfError("ipam.subnet", absl::StrCat("a network address: ", subnet, " has host bits"));
  }
  COAM_ASSIGN_OR_RETURN(range.gateway, ReadIp(object, "gateway"));
  COAM_ASSIGN_OR_RETURN(range.first, ReadIp(object, "rangeStart"));
  COAM_ASSIGN_OR_RETURN(range.last, ReadIp(object, "rangeEnd"));
  if (!range.gateway.ok()) range.gateway = net->ip.Next();
  if (!range.first.ok()) range.first = net->ip.Next();
  if (!range.last.ok()) {
    range.last = net->ip.LastOf(net->prefix);
    if (net->ip.family == 4) range.last = range.last.Previous();
  }
  if (!net->Contains(range.first)) return ConfError("ipam.rangeStart", "in its subnet");
  if (!net->Contains(range.last)) return ConfError("ipam.rangeEnd", "in its subnet");
  if (range.last < range.first) return ConfError("ipam.rangeEnd", "after rangeStart");
  return range;
}

absl::StatusOr<RangeSet> ReadSet(const Value& list) {
  RangeSet set;
  if (!list.is_array() || list.empty())
    return ConfError("ipam.ranges", "a list of lists of ranges");
  for (const Value& item : list.items()) {
    COAM_ASSIGN_OR_RETURN(Range range, ReadRange(item));
    if (!set.empty() && set[0].subnet.ip.family != range.subnet.ip.family) {
      return ConfError("ipam.ranges", "of one address family in each set");
    }
    for (const Range& other : set) {
      if (range.Contains(other.first) || range.Contains(other.last) ||
          other.Contains(range.first) || other.Contains(range.last)) {
        return ConfError("ipam.ranges", "free of overlaps");
      }
    }
    set.push_back(range);
  }
  return set;
}

absl::Status ReadSets(const Value* list, std::string_view key, std::vector<RangeSet>* out) {
  if (list == nullptr || list->is_null()) return absl::OkStatus();
  if (!list->is_array()) return ConfError(key, "a list of lists of ranges");
  for (const Value& item : list->items()) {
    COAM_ASSIGN_OR_RETURN(RangeSet set, ReadSet(item));
    out->push_back(std::move(set));
  }
  return absl::OkStatus();
}

absl::Status CheckSets(const std::vector<RangeSet>& sets, std::string_view version) {
  if (sets.empty()) return ConfError("ipam.ranges", "given");
  int count[2] = {0, 0};
  for (size_t i = 0; i < sets.size(); ++i) {
    ++count[sets[i][0].subnet.ip.family == 6];
    for (size_t k = i + 1; k < sets.size(); ++k) {
      for (const Range& a : sets[i]) {
        for (const Range& b : sets[k]) {
          if (a.Contains(b.first) || a.Contains(b.last) || b.Contains(a.first) ||
              b.Contains(a.last)) {
            return ConfError("ipam.ranges", "free of overlaps");
          }
        }
      }
    }
  }
  if ((count[0] > 1 || count[1] > 1) && !AtLeast(version, "0.3.0")) {
    return ConfError("ipam.ranges", "one for each family, as versions before 0.3.0 need it");
  }
  return absl::OkStatus();
}

// An address to ask for may come with a prefix length.
absl::Status Want(std::string_view text, std::vector<Ip>* out) {
  std::optional<Ip> ip = ParseIp(text.substr(0, text.find('/')));
  if (!ip.has_value()) return ConfError("a requested address", "an IP address");
  if (std::find(out->begin(), out->end(), *ip) == out->end()) out->push_back(*ip);
  return absl::OkStatus();
}

absl::Status WantAll(const Value* list, std::vector<Ip>* out) {
  if (list == nullptr || list->is_null()) return absl::OkStatus();
  if (!list->is_array()) return ConfError("ips", "a list of addresses");
  for (const Value& item : list->items()) COAM_RETURN_IF_ERROR(Want(item.as_string(), out));
  return absl::OkStatus();
}

absl::StatusOr<Dns> ReadResolvConf(const base::Op& op, const std::string& path) {
  Dns dns;
  COAM_ASSIGN_OR_RETURN(std::string text,
                        base::ReadHostFile(op, path, kMaxResolvConf, "resolv_conf_bytes"));
  for (std::string_view line : absl::StrSplit(text, '\n')) {
    std::vector<std::string> words =
        absl::StrSplit(line, absl::ByAnyChar(" \t\r"), absl::SkipEmpty());
    if (words.size() < 2 || words[0][0] == '#' || words[0][0] == ';') continue;
    if (words[0] == "nameserver") dns.nameservers.push_back(words[1]);
    if (words[0] == "domain") dns.domain = words[1];
    auto* list = words[0] == "search"    ? &dns.search
                 : words[0] == "options" ? &dns.options
                                         : nullptr;
    if (list != nullptr) list->insert(list->end(), words.begin() + 1, words.end());
  }
  return dns;
}

absl::StatusOr<Config> ReadConfig(const base::Op& op, const PluginInput& in) {
  COAM_RETURN_IF_ERROR(CheckNetworkName(in.network));
  const Value* ipam = FindFolded(in.conf, "ipam");
  if (ipam == nullptr || !ipam->is_object()) return ConfError("ipam", "an object");
  Config out;
  const Value* runtime = FindFolded(in.conf, "runtimeConfig");
  if (runtime != nullptr) {
    COAM_RETURN_IF_ERROR(ReadSets(FindFolded(*runtime, "ipRanges"), "ipRanges", &out.sets));
  }
  if (FindFolded(*ipam, "subnet") != nullptr) {
    COAM_ASSIGN_OR_RETURN(Range single, ReadRange(*ipam));
    out.sets.push_back({single});
  }
  COAM_RETURN_IF_ERROR(ReadSets(FindFolded(*ipam, "ranges"), "ipam.ranges", &out.sets));
  COAM_RETURN_IF_ERROR(CheckSets(out.sets, in.version));
  COAM_ASSIGN_OR_RETURN(std::string asked, CniArg(in, "IP"));
  if (!asked.empty()) COAM_RETURN_IF_ERROR(Want(asked, &out.wanted));
  if (const Value* args = in.conf.FindIn("args", "cni")) {
    COAM_RETURN_IF_ERROR(WantAll(FindFolded(*args, "ips"), &out.wanted));
  }
  if (runtime != nullptr) {
    COAM_RETURN_IF_ERROR(WantAll(FindFolded(*runtime, "ips"), &out.wanted));
  }
  if (const Value* routes = FindFolded(*ipam, "routes")) {
    Value shell = Value::MakeObject();
    shell.Set("routes", *routes);
    auto read = ResultFromJson(shell, kCurrentVersion);
    if (!read.ok()) return ConfError("ipam.routes", "a list of routes");
    out.routes = read->routes;
  }
  COAM_ASSIGN_OR_RETURN(std::string resolv, ConfText(*ipam, "resolvConf", ""));
  if (!resolv.empty()) {
    COAM_ASSIGN_OR_RETURN(out.dns, ReadResolvConf(op, resolv));
  }
  COAM_ASSIGN_OR_RETURN(out.data_dir, ConfText(*ipam, "dataDir", ""));
  if (out.data_dir.empty()) out.data_dir = kDefaultDataDir;
  return out;
}

// Goes round a set once, from the address after the last one that was given out.
class Cursor {
 public:
  Cursor(const RangeSet& set, std::optional<Ip> last) : set_(set) {
    if (last.has_value()) {
      for (size_t i = 0; i < set.size(); ++i) {
        if (!set[i].Contains(*last)) continue;
        at_ = i;
        ip_ = *last;
        return;
      }
    }
  }
  // The next address and its range; null at the end.
  const Range* Next(Ip* ip) {
    while (true) {
      if (!ip_.ok()) {
        ip_ = set_[at_].first;
      } else if (ip_ == set_[at_].last) {
        at_ = (at_ + 1) % set_.size();
        ip_ = set_[at_].first;
      } else {
        ip_ = ip_.Next();
      }
      if (!start_.ok()) {
        start_ = ip_;
      } else if (ip_ == start_) {
        return nullptr;
      }
      if (ip_ == set_[at_].gateway) continue;
      *ip = ip_;
      return &set_[at_];
    }
  }

 private:
  const RangeSet& set_;
  size_t at_ = 0;
  Ip ip_, start_;
};

absl::StatusOr<IpConfig> Allocate(const base::Op& op, const PluginInput& in, const RangeSet& set,
                                  size_t index, const std::optional<Ip>& wanted,
                                  const std::vector<Ip>& held, LeaseStore* store) {
  if (wanted.has_value()) {
    const Range* range = RangeFor(set, *wanted);
    if (*wanted == range->gateway) {
      return base::Fail("cni.ipam.taken")
             << "address " << wanted->ToString() << " is the gateway of its subnet";
    }
    COAM_ASSIGN_OR_RETURN(bool taken, store->Reserve(op, *wanted, in.container_id, in.ifname));
    if (!taken) {
      return base::Fail("cni.ipam.taken") << "address " << wanted->ToString()
                                          << " is not available in range set " << SetText(set);
    }
    COAM_RETURN_IF_ERROR(store->SetLast(op, index, *wanted));
    return IpConfig{.address = {*wanted, range->subnet.prefix}, .gateway = range->gateway};
  }
  for (const Ip& ip : held) {
    if (RangeFor(set, ip) != nullptr) {
      return base::Fail("cni.ipam.taken")
             << "address " << ip.ToString() << " has been allocated to " << in.container_id
             << " already";
    }
  }
  Cursor cursor(set, store->Last(index));
  Ip ip;
  while (const Range* range = cursor.Next(&ip)) {
    COAM_ASSIGN_OR_RETURN(bool ours, store->Reserve(op, ip, in.container_id, in.ifname));
    if (ours) {
      COAM_RETURN_IF_ERROR(store->SetLast(op, index, ip));
      return IpConfig{.address = {ip, range->subnet.prefix}, .gateway = range->gateway};
    }
    COAM_RETURN_IF_ERROR(op.Check());
  }
  return base::Fail("cni.ipam.exhausted")
         << "no IP addresses available in range set: " << SetText(set);
}

absl::StatusOr<Result> AllocateAll(const base::Op& op, const PluginInput& in, Config config,
                                   const std::vector<Ip>& held, LeaseStore* store) {
  Result result;
  result.cni_version = kCurrentVersion;
  for (size_t i = 0; i < config.sets.size(); ++i) {
    std::optional<Ip> wanted;
    for (auto it = config.wanted.begin(); it != config.wanted.end(); ++it) {
      if (RangeFor(config.sets[i], *it) == nullptr) continue;
      wanted = *it;
      config.wanted.erase(it);
      break;
    }
    COAM_ASSIGN_OR_RETURN(IpConfig ip, Allocate(op, in, config.sets[i], i, wanted, held, store));
    result.ips.push_back(ip);
  }
  if (!config.wanted.empty()) {
    return base::Fail("cni.ipam.taken") << "address " << config.wanted[0].ToString()
                                        << " is in no range of network " << in.network;
  }
  result.routes = config.routes;
  result.dns = config.dns;
  return result;
}

}  // namespace

absl::StatusOr<Result> HostLocalAdd(const base::Op& op, const PluginInput& in) {
  COAM_ASSIGN_OR_RETURN(Config config, ReadConfig(op, in));
  COAM_ASSIGN_OR_RETURN(LeaseStore store, LeaseStore::Open(op, config.data_dir, in.network));
  COAM_ASSIGN_OR_RETURN(auto before, store.Held(op, in.container_id, in.ifname));
  auto result = AllocateAll(op, in, std::move(config), before, &store);
  // What this call took is given back; what was held before stays.
  if (!result.ok() && before.empty()) {
    (void)store.Release(base::Op(), in.container_id, in.ifname);
  }
  return result;
}

absl::Status HostLocalDel(const base::Op& op, const PluginInput& in) {
  COAM_ASSIGN_OR_RETURN(Config config, ReadConfig(op, in));
  COAM_ASSIGN_OR_RETURN(LeaseStore store, LeaseStore::Open(op, config.data_dir, in.network));
  return store.Release(op, in.container_id, in.ifname);
}

absl::Status HostLocalCheck(const base::Op& op, const PluginInput& in) {
  COAM_ASSIGN_OR_RETURN(Config config, ReadConfig(op, in));
  COAM_ASSIGN_OR_RETURN(LeaseStore store, LeaseStore::Open(op, config.data_dir, in.network));
  COAM_ASSIGN_OR_RETURN(auto held, store.Held(op, in.container_id, in.ifname));
  if (!held.empty()) return absl::OkStatus();
  return base::Fail("cni.plugin.failed")
         << "host-local holds no address for container " << in.container_id;
}

absl::Status HostLocalGc(const base::Op& op, const PluginInput& in) {
  COAM_ASSIGN_OR_RETURN(Config config, ReadConfig(op, in));
  const Value* valid = in.conf.Find("cni.dev/valid-attachments");
  if (valid == nullptr || !valid->is_array()) return absl::OkStatus();
  std::set<std::pair<std::string, std::string>> keep;
  std::set<std::string> containers;
  for (const Value& item : valid->items()) {
    COAM_ASSIGN_OR_RETURN(std::string id, ConfText(item, "containerID", ""));
    COAM_ASSIGN_OR_RETURN(std::string ifname, ConfText(item, "ifname", ""));
    containers.insert(id);
    keep.emplace(std::move(id), std::move(ifname));
  }
  COAM_ASSIGN_OR_RETURN(LeaseStore store, LeaseStore::Open(op, config.data_dir, in.network));
  return store.ReleaseUnless(op, [&](std::string_view id, std::string_view ifname) {
    if (ifname.empty()) return containers.count(std::string(id)) > 0;
    return keep.count({std::string(id), std::string(ifname)}) > 0;
  });
}

}  // namespace coaming::cni
