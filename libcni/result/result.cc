#include "libcni/result/result.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/json/json.h"
#include "libcni/result/result_json.h"
#include "libcni/result/version.h"

namespace coaming::cni {
namespace {

using base::json::Value;

// The three shapes of a result.
enum class Shape { kPerFamily, kLists, kModern };

Shape ShapeOf(std::string_view version) {
  if (!AtLeast(version, "0.3.0")) return Shape::kPerFamily;
  return AtLeast(version, "1.0.0") ? Shape::kModern : Shape::kLists;
}

// Reader reads members and remembers the first thing that was wrong.
class Reader {
 public:
  absl::Status status() const { return status_; }

  void Fail(std::string_view where, std::string_view want) {
    if (status_.ok()) {
      status_ = base::Fail("cni.result.invalid") << "result: " << where << " is not " << want;
    }
  }

  const Value* Find(const Value& object, std::string_view key) {
    const Value* v = FindFolded(object, key);
    return v == nullptr || v->is_null() ? nullptr : v;
  }

  std::string Text(const Value& object, std::string_view where, std::string_view key) {
    const Value* v = Find(object, key);
    if (v == nullptr) return "";
    if (!v->is_string()) Fail(absl::StrCat(where, key), "a string");
    return v->as_string();
  }

  std::optional<int64_t> Int(const Value& object, std::string_view where, std::string_view key) {
    const Value* v = Find(object, key);
    if (v == nullptr) return std::nullopt;
    std::optional<int64_t> number = v->as_int64();
    if (!number.has_value()) Fail(absl::StrCat(where, key), "an integer");
    return number;
  }

  Ip Address(const Value& object, std::string_view where, std::string_view key) {
    std::string text = Text(object, where, key);
    if (text.empty()) return Ip();
    std::optional<Ip> ip = ParseIp(text);
    if (!ip.has_value()) Fail(absl::StrCat(where, key), "an IP address");
    return ip.value_or(Ip());
  }

  IpNet Network(const Value& object, std::string_view where, std::string_view key) {
    std::optional<IpNet> net = ParseIpNet(Text(object, where, key));
    if (!net.has_value()) Fail(absl::StrCat(where, key), "an address with a prefix length");
    return net.value_or(IpNet());
  }

  // Calls `each(item, where)` for the objects of a list.
  template <typename F>
  void Objects(const Value& object, std::string_view where, std::string_view key, F each) {
    const Value* v = Find(object, key);
    if (v == nullptr) return;
    if (!v->is_array()) return Fail(absl::StrCat(where, key), "a list");
    int index = 0;
    for (const Value& item : v->items()) {
      std::string at = absl::StrCat(where, key, "[", index++, "]");
      if (!item.is_object()) return Fail(at, "an object");
      each(item, absl::StrCat(at, "."));
      if (!status_.ok()) return;
    }
  }

  std::vector<std::string> Texts(const Value& object, std::string_view where,
                                 std::string_view key) {
    std::vector<std::string> out;
    const Value* v = Find(object, key);
    if (v == nullptr) return out;
    if (!v->is_array()) Fail(absl::StrCat(where, key), "a list");
    for (const Value& item : v->items()) {
      if (!item.is_string()) Fail(absl::StrCat(where, key), "a list of strings");
      out.push_back(item.as_string());
    }
    return out;
  }

  void Routes(const Value& object, std::string_view where, std::vector<Route>* out) {
    Objects(object, where, "routes", [&](const Value& item, const std::string& at) {
      Route route;
      route.dst = Network(item, at, "dst");
      route.gw = Address(item, at, "gw");
      route.mtu = Int(item, at, "mtu").value_or(0);
      route.advmss = Int(item, at, "advmss").value_or(0);
      route.priority = Int(item, at, "priority").value_or(0);
      route.table = Int(item, at, "table");
      route.scope = Int(item, at, "scope");
      out->push_back(route);
    });
  }

  void PerFamily(const Value& object, std::string_view key, Result* out) {
    const Value* family = Find(object, key);
    if (family == nullptr) return;
    if (!family->is_object()) return Fail(key, "an object");
    std::string at = absl::StrCat(key, ".");
    IpConfig ip;
    ip.address = Network(*family, at, "ip");
    ip.gateway = Address(*family, at, "gateway");
    if (status_.ok() && ip.address.ip.family != (key == "ip4" ? 4 : 6)) {
      Fail(absl::StrCat(at, "ip"), "of that family");
    }
    out->ips.push_back(ip);
    Routes(*family, at, &out->routes);
  }

 private:
  absl::Status status_;
};

void ReadLists(Reader& r, const Value& value, bool modern, Result* out) {
  r.Objects(value, "", "interfaces", [&](const Value& item, const std::string& at) {
    Interface interface;
    interface.name = r.Text(item, at, "name");
    interface.mac = r.Text(item, at, "mac");
    interface.sandbox = r.Text(item, at, "sandbox");
    if (modern) {
      interface.mtu = r.Int(item, at, "mtu").value_or(0);
      interface.socket_path = r.Text(item, at, "socketPath");
      interface.pci_id = r.Text(item, at, "pciID");
    }
    out->interfaces.push_back(std::move(interface));
  });
  r.Objects(value, "", "ips", [&](const Value& item, const std::string& at) {
    IpConfig ip;
    ip.interface = r.Int(item, at, "interface");
    ip.address = r.Network(item, at, "address");
    ip.gateway = r.Address(item, at, "gateway");
    out->ips.push_back(ip);
  });
  r.Routes(value, "", &out->routes);
}

void SetText(Value* object, std::string_view key, const std::string& text) {
  if (!text.empty()) object->Set(key, text);
}

void SetInt(Value* object, std::string_view key, int64_t number) {
  if (number != 0) object->Set(key, number);
}

Value DnsToJson(const Dns& dns) {
  Value out = Value::MakeObject();
  if (!dns.nameservers.empty()) out.Set("nameservers", dns.nameservers);
  SetText(&out, "domain", dns.domain);
  if (!dns.search.empty()) out.Set("search", dns.search);
  if (!dns.options.empty()) out.Set("options", dns.options);
  return out;
}

Value RouteToJson(const Route& route) {
  Value out = Value::MakeObject();
  out.Set("dst", route.dst.ToString());
  SetText(&out, "gw", route.gw.ToString());
  SetInt(&out, "mtu", route.mtu);
  SetInt(&out, "advmss", route.advmss);
  SetInt(&out, "priority", route.priority);
  if (route.table.has_value()) out.Set("table", *route.table);
  if (route.scope.has_value()) out.Set("scope", *route.scope);
  return out;
}

Value FamilyToJson(const Result& result, const IpConfig& ip) {
  Value out = Value::MakeObject();
  out.Set("ip", ip.address.ToString());
  SetText(&out, "gateway", ip.gateway.ToString());
  Value routes = Value::MakeArray();
  for (const Route& route : result.routes) {
    if (route.dst.ip.family == ip.address.ip.family) routes.Push(RouteToJson(route));
  }
  if (!routes.empty()) out.Set("routes", std::move(routes));
  return out;
}

const IpConfig* FirstOf(const Result& result, int family) {
  for (const IpConfig& ip : result.ips) {
    if (ip.address.ip.family == family) return &ip;
  }
  return nullptr;
}

// Keeps of `result` what the per-family shape can say.
absl::Status ReduceToFamilies(Result* result) {
  std::vector<IpConfig> ips;
  std::vector<Route> routes;
  for (int family : {4, 6}) {
    const IpConfig* first = FirstOf(*result, family);
    if (first == nullptr) continue;
    ips.push_back({.address = first->address, .gateway = first->gateway});
    for (const Route& route : result->routes) {
      if (route.dst.ip.family == family) routes.push_back({.dst = route.dst, .gw = route.gw});
    }
  }
  if (ips.empty()) {
    return base::Fail("cni.result.convert")
           << "a result without addresses cannot be said in version 0.2.0 or older";
  }
  result->ips = std::move(ips);
  result->routes = std::move(routes);
  result->interfaces.clear();
  return absl::OkStatus();
}

}  // namespace

const Value* FindFolded(const Value& object, std::string_view key) {
  if (const Value* exact = object.Find(key)) return exact;
  const Value* found = nullptr;
  for (const base::json::Member& member : object.members()) {
    if (absl::EqualsIgnoreCase(member.key, key)) found = &member.value;
  }
  return found;
}

absl::StatusOr<Result> ResultFromJson(const Value& value, std::string_view fallback_version) {
  if (fallback_version.empty()) fallback_version = kOldestVersion;
  Result out;
  out.cni_version = fallback_version;
  if (value.is_null()) return out;
  if (!value.is_object()) {
    return base::Fail("cni.result.invalid")
           << "result: want an object, found " << base::json::TypeName(value.type());
  }
  Reader r;
  std::string version = r.Text(value, "", "cniVersion");
  COAM_RETURN_IF_ERROR(r.status());
  if (!version.empty()) out.cni_version = version;
  if (!IsSupportedVersion(out.cni_version)) {
    return base::Fail("cni.version") << "result: version \"" << out.cni_version.substr(0, 64)
                                     << "\" is not one of 0.1.0 to " << kCurrentVersion;
  }
  Shape shape = ShapeOf(out.cni_version);
  if (shape == Shape::kPerFamily) {
    r.PerFamily(value, "ip4", &out);
    r.PerFamily(value, "ip6", &out);
  } else {
    ReadLists(r, value, shape == Shape::kModern, &out);
  }
  if (const Value* dns = r.Find(value, "dns")) {
    if (!dns->is_object()) r.Fail("dns", "an object");
    out.dns.nameservers = r.Texts(*dns, "dns.", "nameservers");
    out.dns.domain = r.Text(*dns, "dns.", "domain");
    out.dns.search = r.Texts(*dns, "dns.", "search");
    out.dns.options = r.Texts(*dns, "dns.", "options");
  }
  COAM_RETURN_IF_ERROR(r.status());
  return out;
}

Value ResultToJson(const Result& result) {
  Value out = Value::MakeObject();
  out.Set("cniVersion", result.cni_version);
  Shape shape = ShapeOf(result.cni_version);
  if (shape == Shape::kPerFamily) {
    if (const IpConfig* ip4 = FirstOf(result, 4)) out.Set("ip4", FamilyToJson(result, *ip4));
    if (const IpConfig* ip6 = FirstOf(result, 6)) out.Set("ip6", FamilyToJson(result, *ip6));
    out.Set("dns", DnsToJson(result.dns));
    return out;
  }
  Value interfaces = Value::MakeArray();
  for (const Interface& interface : result.interfaces) {
    Value& item = interfaces.Push(Value::MakeObject());
    item.Set("name", interface.name);
    SetText(&item, "mac", interface.mac);
    if (shape == Shape::kModern) SetInt(&item, "mtu", interface.mtu);
    SetText(&item, "sandbox", interface.sandbox);
    if (shape != Shape::kModern) continue;
    SetText(&item, "socketPath", interface.socket_path);
    SetText(&item, "pciID", interface.pci_id);
  }
  if (!interfaces.empty()) out.Set("interfaces", std::move(interfaces));
  Value ips = Value::MakeArray();
  for (const IpConfig& ip : result.ips) {
    Value& item = ips.Push(Value::MakeObject());
    if (shape == Shape::kLists) item.Set("version", ip.address.ip.family == 4 ? "4" : "6");
    if (ip.interface.has_value()) item.Set("interface", *ip.interface);
    item.Set("address", ip.address.ToString());
    SetText(&item, "gateway", ip.gateway.ToString());
  }
  if (!ips.empty()) out.Set("ips", std::move(ips));
  Value routes = Value::MakeArray();
  for (const Route& route : result.routes) routes.Push(RouteToJson(route));
  if (!routes.empty()) out.Set("routes", std::move(routes));
  if (shape == Shape::kLists || !result.dns.empty()) out.Set("dns", DnsToJson(result.dns));
  return out;
}

absl::StatusOr<Result> ParseResult(std::string_view json, std::string_view fallback_version,
                                   const base::Limits& limits) {
  auto value = base::json::Parse(json, {.limits = &limits});
  if (!value.ok()) {
    if (base::HasReason(value.status(), "core.limit")) return value.status();
    return base::Fail("cni.result.invalid").Cause(value.status())
           << "result: " << base::GetError(value.status()).message;
  }
  return ResultFromJson(*value, fallback_version);
}

absl::StatusOr<Result> ConvertResult(const Result& result, std::string_view version) {
  if (version.empty()) version = kOldestVersion;
  for (std::string_view each : {std::string_view(result.cni_version), version}) {
    if (!IsSupportedVersion(each)) {
      return base::Fail("cni.version") << "no conversion of results from version "
                                       << result.cni_version << " to " << version.substr(0, 64);
    }
  }
  Result out = result;
  out.cni_version = version;
  Shape from = ShapeOf(result.cni_version);
  Shape to = ShapeOf(version);
  if (to == Shape::kPerFamily && from != Shape::kPerFamily) {
    COAM_RETURN_IF_ERROR(ReduceToFamilies(&out));
  }
  if (to != Shape::kModern) {
    for (Interface& interface : out.interfaces) {
      interface.mtu = 0;
      interface.socket_path.clear();
      interface.pci_id.clear();
    }
  }
  return out;
}

std::string WriteResult(const Result& result, bool pretty) {
  return base::json::Write(ResultToJson(result), {.indent = pretty ? "    " : ""});
}

std::vector<IpConfig> AddressesOf(const Result& result, std::string_view ifname) {
  if (result.interfaces.empty()) return result.ips;
  std::vector<IpConfig> out;
  for (const IpConfig& ip : result.ips) {
    if (!ip.interface.has_value()) {
      out.push_back(ip);
      continue;
    }
    if (*ip.interface < 0 || *ip.interface >= static_cast<int64_t>(result.interfaces.size())) {
      continue;
    }
    const Interface& interface = result.interfaces[static_cast<size_t>(*ip.interface)];
    if (interface.name == ifname && !interface.sandbox.empty()) out.push_back(ip);
  }
  return out;
}

}  // namespace coaming::cni
