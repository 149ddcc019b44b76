#include "libcni/conf/runtime.h"

#include <algorithm>

#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/json/json.h"

namespace coaming::cni {

using base::json::Value;

void CapabilityArgs::SetRaw(std::string_view name, std::string json) {
  auto at =
      std::lower_bound(values_.begin(), values_.end(), name,
                       [](const auto& pair, std::string_view key) { return pair.first < key; });
  if (at != values_.end() && at->first == name) {
    at->second = std::move(json);
  } else {
    values_.emplace(at, std::string(name), std::move(json));
  }
}

absl::Status CapabilityArgs::Set(std::string_view name, std::string_view json) {
  if (name.empty()) return base::Fail("cni.conf.invalid") << "a capability argument has no name";
  auto value = base::json::Parse(json);
  if (!value.ok()) {
    return base::Fail("cni.conf.invalid").Cause(value.status())
           << "capability argument " << name << ": " << base::GetError(value.status()).message;
  }
  SetRaw(name, std::string(value->Source(json)));
  return absl::OkStatus();
}

void CapabilityArgs::SetPortMappings(const std::vector<PortMapping>& mappings) {
  Value list = Value::MakeArray();
  for (const PortMapping& mapping : mappings) {
    Value& item = list.Push(Value::MakeObject());
    item.Set("hostPort", mapping.host_port);
    item.Set("containerPort", mapping.container_port);
    item.Set("protocol", mapping.protocol);
    if (!mapping.host_ip.empty()) item.Set("hostIP", mapping.host_ip);
  }
  SetRaw("portMappings", base::json::Write(list));
}

void CapabilityArgs::SetBandwidth(const Bandwidth& bandwidth) {
  Value object = Value::MakeObject();
  auto set = [&](const char* key, uint64_t value) {
    if (value != 0) object.Set(key, value);
  };
  set("ingressRate", bandwidth.ingress_rate);
  set("ingressBurst", bandwidth.ingress_burst);
  set("egressRate", bandwidth.egress_rate);
  set("egressBurst", bandwidth.egress_burst);
  SetRaw("bandwidth", base::json::Write(object));
}

void CapabilityArgs::SetIps(const std::vector<std::string>& ips) {
  SetRaw("ips", base::json::Write(Value(ips)));
}

void CapabilityArgs::SetMac(std::string_view mac) { SetRaw("mac", base::json::Write(Value(mac))); }

void CapabilityArgs::SetAliases(const std::vector<std::string>& aliases) {
  SetRaw("aliases", base::json::Write(Value(aliases)));
}

void CapabilityArgs::SetCgroupPath(std::string_view path) {
  SetRaw("cgroupPath", base::json::Write(Value(path)));
}

void CapabilityArgs::SetDns(const std::vector<std::string>& servers,
                            const std::vector<std::string>& searches,
                            const std::vector<std::string>& options) {
  Value object = Value::MakeObject();
  if (!servers.empty()) object.Set("servers", servers);
  if (!searches.empty()) object.Set("searches", searches);
  if (!options.empty()) object.Set("options", options);
  SetRaw("dns", base::json::Write(object));
}

absl::Status CapabilityArgs::Merge(std::string_view object_json) {
  auto value = base::json::ParseObject(object_json);
  if (!value.ok()) {
    return base::Fail("cni.conf.invalid").Cause(value.status())
           << "capability arguments: " << base::GetError(value.status()).message;
  }
  for (const base::json::Member& member : value->members()) {
    if (member.key.empty()) {
      return base::Fail("cni.conf.invalid") << "a capability argument has no name";
    }
  }
  for (const base::json::Member& member : value->members()) {
    SetRaw(member.key, std::string(member.value.Source(object_json)));
  }
  return absl::OkStatus();
}

const std::string* CapabilityArgs::Find(std::string_view name) const {
  for (const auto& [key, value] : values_) {
    if (key == name) return &value;
  }
  return nullptr;
}

std::string CapabilityArgs::ToJson() const {
  std::string out = "{";
  for (const auto& [key, value] : values_) {
    if (out.size() > 1) out += ',';
    base::json::AppendQuoted(key, base::json::Escape::kGo, &out);
    out += ':';
    out += value;
  }
  return out + "}";
}

absl::Status ParseCniArgs(std::string_view text,
                          std::vector<std::pair<std::string, std::string>>* args) {
  std::vector<std::pair<std::string, std::string>> out;
  while (!text.empty()) {
    size_t end = text.find(';');
    std::string_view part = text.substr(0, end);
    text = end == text.npos ? std::string_view() : text.substr(end + 1);
    size_t equals = part.find('=');
    if (equals == part.npos || equals == 0 || equals + 1 == part.size() ||
        part.find('=', equals + 1) != part.npos || part.find('\0') != part.npos) {
      return base::Fail("core.invalid_argument")
             << "CNI argument \"" << part.substr(0, 128) << "\" is not of the form KEY=VALUE";
    }
    out.emplace_back(part.substr(0, equals), part.substr(equals + 1));
  }
  *args = std::move(out);
  return absl::OkStatus();
}

}  // namespace coaming::cni
