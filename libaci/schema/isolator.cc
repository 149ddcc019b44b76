#include "libaci/schema/isolator.h"

#include <algorithm>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "libaci/schema/json_io.h"
#include "libaci/schema/types.h"

namespace coaming::aci {
namespace {

struct Row {
  IsolatorKind kind;
  std::string_view name;
  bool once;                                       // may stand once in a list
  IsolatorKind conflict = IsolatorKind::kUnknown;  // may not stand beside
};
// In the specification's order.
constexpr Row kRows[] = {
    {IsolatorKind::kBlockBandwidth, "resource/block-bandwidth", false},
    {IsolatorKind::kBlockIops, "resource/block-iops", false},
    {IsolatorKind::kCpu, "resource/cpu", false},
    {IsolatorKind::kMemory, "resource/memory", false},
    {IsolatorKind::kNetworkBandwidth, "resource/network-bandwidth", false},
    {IsolatorKind::kCapabilitiesRetain, "os/linux/capabilities-retain-set", false,
     IsolatorKind::kCapabilitiesRemove},
    {IsolatorKind::kCapabilitiesRemove, "os/linux/capabilities-remove-set", false,
     IsolatorKind::kCapabilitiesRetain},
    {IsolatorKind::kSeccompRetain, "os/linux/seccomp-retain-set", true,
     IsolatorKind::kSeccompRemove},
    {IsolatorKind::kSeccompRemove, "os/linux/seccomp-remove-set", true,
     IsolatorKind::kSeccompRetain},
    {IsolatorKind::kNoNewPrivileges, "os/linux/no-new-privileges", false},
    {IsolatorKind::kOomScoreAdj, "os/linux/oom-score-adj", true},
    {IsolatorKind::kCpuShares, "os/linux/cpu-shares", true},
    {IsolatorKind::kSelinuxContext, "os/linux/selinux-context", true},
    {IsolatorKind::kApparmorProfile, "os/linux/apparmor-profile", true},
    {IsolatorKind::kSysctl, "os/unix/sysctl", true},
};

const Row* RowOf(IsolatorKind kind) {
  for (const Row& row : kRows) {
    if (row.kind == kind) return &row;
  }
  return nullptr;
}

// Reads a quantity written as a string or as a bare number.
void ReadQuantity(json::ObjectReader& r, std::string_view key, std::optional<Quantity>* out) {
  const json::Value* value = r.Raw(key);
  if (value == nullptr || value->is_null() || !r.ok()) return;
  if (!value->is_string() && !value->is_number()) {
    return r.Fail(key, "want a quantity such as \"64Mi\"");
  }
  absl::StatusOr<Quantity> quantity =
      Quantity::Parse(value->is_string() ? value->as_string() : value->number_text());
  if (!quantity.ok()) return r.FailWith(key, quantity.status());
  *out = *quantity;
}

absl::Status ReadResource(const json::Value& value, std::string_view name, IsolatorValue* out) {
  json::ObjectReader r(value, name);
  r.Optional("default", &out->is_default);
  ReadQuantity(r, "request", &out->request);
  ReadQuantity(r, "limit", &out->limit);
  COAM_RETURN_IF_ERROR(r.status());
  if (out->kind == IsolatorKind::kCpu || out->kind == IsolatorKind::kMemory) {
    if (out->is_default) return Invalid(name, "may not be a default");
  } else {
    if (!out->is_default) return Invalid(name, "must be a default: \"default\": true");
    if (out->request) return Invalid(name, "takes no request");
  }
  if ((out->request && out->request->negative()) || (out->limit && out->limit->negative())) {
    return Invalid(name, "is negative");
  }
  return absl::OkStatus();
}

bool IsErrnoName(std::string_view text) {
  if (text.empty()) return true;
  if (text[0] != 'E' || text.size() > 32) return false;
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); });
}

absl::Status ReadSet(const json::Value& value, std::string_view name, IsolatorValue* out) {
  json::ObjectReader r(value, name);
  r.Required("set", &out->set);
  const bool seccomp =
      out->kind == IsolatorKind::kSeccompRetain || out->kind == IsolatorKind::kSeccompRemove;
  if (seccomp) r.Optional("errno", &out->seccomp_errno);
  COAM_RETURN_IF_ERROR(r.status());
  if (out->set.empty()) return Invalid(name, "has an empty set");
  for (const std::string& item : out->set) {
    if (item.empty() || HasNul(item)) return Invalid(name, "has an empty name in its set");
  }
  if (!IsErrnoName(out->seccomp_errno)) return Invalid(name, "errno is not a name like EPERM");
  return absl::OkStatus();
}

absl::Status ReadNumber(const json::Value& value, std::string_view name, int64_t low, int64_t high,
                        IsolatorValue* out) {
  const std::optional<int64_t> number = value.as_int64();
  if (!number) return Invalid(name, "is not an integer");
  if (*number < low || *number > high) {
    return Invalid(name, absl::StrCat(*number, " is not in ", low, "..", high));
  }
  out->number = *number;
  return absl::OkStatus();
}

absl::Status ReadSelinux(const json::Value& value, std::string_view name, IsolatorValue* out) {
  json::ObjectReader r(value, name);
  r.Required("user", &out->selinux_user);
  r.Required("role", &out->selinux_role);
  r.Required("type", &out->selinux_type);
  r.Required("level", &out->selinux_level);
  COAM_RETURN_IF_ERROR(r.status());
  for (const std::string* part : {&out->selinux_user, &out->selinux_role, &out->selinux_type}) {
    if (part->empty() || absl::StrContains(*part, ':') || HasNul(*part)) {
      return Invalid(name, "user, role and type must be set and free of colons");
    }
  }
  if (out->selinux_level.empty() || HasNul(out->selinux_level)) {
    return Invalid(name, "level is empty");
  }
  return absl::OkStatus();
}

}  // namespace

IsolatorKind IsolatorKindOf(std::string_view name) {
  for (const Row& row : kRows) {
    if (row.name == name) return row.kind;
  }
  return IsolatorKind::kUnknown;
}

std::string_view IsolatorNameOf(IsolatorKind kind) {
  const Row* row = RowOf(kind);
  return row == nullptr ? "" : row->name;
}

absl::StatusOr<IsolatorValue> ReadIsolator(const Isolator& isolator) {
  IsolatorValue out;
  out.kind = IsolatorKindOf(isolator.name);
  if (out.kind == IsolatorKind::kUnknown) return out;
  const std::string_view name = isolator.name;
  if (isolator.value_json.empty()) return Invalid(name, "has no value");
  COAM_ASSIGN_OR_RETURN(json::Value value, json::Parse(isolator.value_json));
  if (value.is_null()) return Invalid(name, "has no value");
  switch (out.kind) {
    case IsolatorKind::kUnknown: break;
    case IsolatorKind::kBlockBandwidth:
    case IsolatorKind::kBlockIops:
    case IsolatorKind::kCpu:
    case IsolatorKind::kMemory:
    case IsolatorKind::kNetworkBandwidth:
      COAM_RETURN_IF_ERROR(ReadResource(value, name, &out));
      break;
    case IsolatorKind::kCapabilitiesRetain:
    case IsolatorKind::kCapabilitiesRemove:
    case IsolatorKind::kSeccompRetain:
    case IsolatorKind::kSeccompRemove: COAM_RETURN_IF_ERROR(ReadSet(value, name, &out)); break;
    case IsolatorKind::kNoNewPrivileges:
      if (!value.is_bool()) return Invalid(name, "is not true or false");
      out.no_new_privileges = value.as_bool();
      break;
    case IsolatorKind::kOomScoreAdj:
      COAM_RETURN_IF_ERROR(ReadNumber(value, name, -1000, 1000, &out));
      break;
    case IsolatorKind::kCpuShares:
      COAM_RETURN_IF_ERROR(ReadNumber(value, name, 2, 262144, &out));
      break;
    case IsolatorKind::kSelinuxContext: COAM_RETURN_IF_ERROR(ReadSelinux(value, name, &out)); break;
    case IsolatorKind::kApparmorProfile: {
      json::ObjectReader r(value, name);
      r.Required("profile", &out.apparmor_profile);
      COAM_RETURN_IF_ERROR(r.status());
      if (out.apparmor_profile.empty() || HasNul(out.apparmor_profile)) {
        return Invalid(name, "profile is empty");
      }
      break;
    }
    case IsolatorKind::kSysctl:
      if (!value.is_object()) return Invalid(name, "is not an object of strings");
      for (const json::Member& member : value.members()) {
        if (!member.value.is_string()) {
          return Invalid(name, absl::StrCat(member.key, " is not a string"));
        }
        out.sysctl.emplace_back(member.key, member.value.as_string());
      }
      break;
  }
  return out;
}

absl::Status CheckIsolators(const std::vector<Isolator>& list, IsolatorScope scope,
                            const ParseOptions& options, std::string_view where) {
  std::map<IsolatorKind, size_t> seen;
  for (size_t i = 0; i < list.size(); ++i) {
    const std::string at = absl::StrCat(where, "[", i, "]");
    COAM_RETURN_IF_ERROR(CheckAcIdentifier(list[i].name, at + ".name"));
    absl::StatusOr<IsolatorValue> value = ReadIsolator(list[i]);
    if (!value.ok()) return At(at, value.status());
    const Row* row = RowOf(value->kind);
    if (row == nullptr) {
      if (options.strict && scope == IsolatorScope::kApp) {
        return Invalid(at, absl::StrCat(list[i].name, " is not an isolator of the specification"));
      }
      if (options.op != nullptr) {
        options.op->AddNote("aci.isolator_unknown", list[i].name,
                            absl::StrCat("isolator ", list[i].name, " is kept and not enforced"));
      }
      continue;
    }
    if (seen.count(row->conflict) != 0) {
      return Invalid(
          at, absl::StrCat(row->name, " may not stand beside ", IsolatorNameOf(row->conflict)));
    }
    if (!seen.emplace(row->kind, i).second && row->once) {
      return Invalid(at, absl::StrCat("is a second ", row->name));
    }
  }
  return absl::OkStatus();
}

const Isolator* FindIsolator(const std::vector<Isolator>& list, IsolatorKind kind) {
  const std::string_view name = IsolatorNameOf(kind);
  for (auto it = list.rbegin(); it != list.rend(); ++it) {
    if (!name.empty() && it->name == name) return &*it;
  }
  return nullptr;
}

void SetIsolator(std::vector<Isolator>& list, Isolator isolator) {
  const Row* row = RowOf(IsolatorKindOf(isolator.name));
  const std::string_view other = row == nullptr ? "" : IsolatorNameOf(row->conflict);
  std::erase_if(list, [&](const Isolator& have) {
    return have.name == isolator.name || (!other.empty() && have.name == other);
  });
  list.push_back(std::move(isolator));
}

namespace {

Isolator Made(IsolatorKind kind, const json::Value& value) {
  Isolator out;
  out.name = std::string(IsolatorNameOf(kind));
  out.value_json = json::Write(value);
  return out;
}

// What a maker built must pass the reader's checks; as the caller's fault, not the data's.
absl::StatusOr<Isolator> Checked(Isolator isolator) {
  absl::StatusOr<IsolatorValue> value = ReadIsolator(isolator);
  if (value.ok()) return isolator;
  if (base::HasReason(value.status(), "aci.quantity")) return value.status();
  return base::Fail("core.invalid_argument") << base::GetError(value.status()).message;
}

}  // namespace

absl::StatusOr<Isolator> MakeResource(IsolatorKind kind, std::string_view request,
                                      std::string_view limit) {
  json::Value value = json::Value::MakeObject();
  if (kind != IsolatorKind::kCpu && kind != IsolatorKind::kMemory) value.Set("default", true);
  if (!request.empty()) value.Set("request", request);
  if (!limit.empty()) value.Set("limit", limit);
  return Checked(Made(kind, value));
}

absl::StatusOr<Isolator> MakeSet(IsolatorKind kind, const std::vector<std::string>& set,
                                 std::string_view seccomp_errno) {
  json::Value value = json::Value::MakeObject();
  value.Set("set", set);
  if (!seccomp_errno.empty()) value.Set("errno", seccomp_errno);
  return Checked(Made(kind, value));
}

absl::StatusOr<Isolator> MakeNumber(IsolatorKind kind, int64_t number) {
  return Checked(Made(kind, json::Value(number)));
}

Isolator MakeNoNewPrivileges(bool value) {
  return Made(IsolatorKind::kNoNewPrivileges, json::Value(value));
}

absl::StatusOr<Isolator> IsolatorFromString(std::string_view text) {
  const std::vector<std::string_view> parts = absl::StrSplit(text, absl::MaxSplits(',', 1));
  const IsolatorKind kind = IsolatorKindOf(parts[0]);
  const std::string_view rest = parts.size() > 1 ? parts[1] : std::string_view();
  switch (kind) {
    case IsolatorKind::kBlockBandwidth:
    case IsolatorKind::kBlockIops:
    case IsolatorKind::kCpu:
    case IsolatorKind::kMemory:
    case IsolatorKind::kNetworkBandwidth: {
      COAM_ASSIGN_OR_RETURN(KeyValues pairs, ParseKeyValues(text));
      json::Value value = json::Value::MakeObject();
      for (const auto& [key, item] : pairs) {
        if (key == "name") continue;
        if (key == "default") {
          COAM_ASSIGN_OR_RETURN(bool is_default, ParseBool(item, "default"));
          value.Set(key, is_default);
        } else if (key == "request" || key == "limit") {
          value.Set(key, item);
        } else {
          return base::Fail("core.invalid_argument")
                 << "unknown resource parameter \"" << key << "\"";
        }
      }
      return Checked(Made(kind, value));
    }
    case IsolatorKind::kNoNewPrivileges: {
      COAM_ASSIGN_OR_RETURN(bool on, ParseBool(rest, "no-new-privileges"));
      return MakeNoNewPrivileges(on);
    }
    case IsolatorKind::kOomScoreAdj:
    case IsolatorKind::kCpuShares: {
      int64_t number = 0;
      if (!absl::SimpleAtoi(rest, &number)) {
        return base::Fail("core.invalid_argument") << parts[0] << " wants a number after a comma";
      }
      return MakeNumber(kind, number);
    }
    default:
      return base::Fail("core.invalid_argument")
             << "isolator " << parts[0] << " cannot be given in this form";
  }
}

std::span<const std::string_view> DefaultCapabilities() {
  static constexpr std::string_view kSet[] = {
      "CAP_AUDIT_WRITE", "CAP_CHOWN",   "CAP_DAC_OVERRIDE", "CAP_FSETID",           "CAP_FOWNER",
      "CAP_KILL",        "CAP_MKNOD",   "CAP_NET_RAW",      "CAP_NET_BIND_SERVICE", "CAP_SETUID",
      "CAP_SETGID",      "CAP_SETPCAP", "CAP_SETFCAP",      "CAP_SYS_CHROOT"};
  return kSet;
}

}  // namespace coaming::aci
