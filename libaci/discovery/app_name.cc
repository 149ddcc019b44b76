#include "libaci/discovery/app_name.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "libaci/schema/types.h"

namespace coaming::aci {

absl::StatusOr<AppName> AppName::Parse(std::string_view text) {
  AppName out;
  auto bad = [&](std::string_view why) {
    return base::Fail("aci.name_invalid") << "image name \"" << text.substr(0, 200) << "\" " << why;
  };
  if (text.empty()) return bad("is empty");
  if (text.size() > 4096) return bad("is too long");
  const size_t comma = text.find(',');
  const size_t colon = text.find(':');
  std::string version;
  bool has_version = false;
  if (colon != std::string_view::npos) {
    if (comma != std::string_view::npos && colon > comma) {
      return bad("has a colon that does not follow the name");
    }
    if (text.find(':', colon + 1) != std::string_view::npos) return bad("has two colons");
    has_version = true;
    version = std::string(
        text.substr(colon + 1, comma == std::string_view::npos ? comma : comma - colon - 1));
  }
  out.name = std::string(text.substr(0, std::min(comma, colon)));
  COAM_RETURN_IF_ERROR(CheckAcIdentifier(out.name, "image name"));
  if (has_version) Set(out.labels, "version", version);
  if (comma != std::string_view::npos) {
    for (std::string_view part : absl::StrSplit(text.substr(comma + 1), ',')) {
      const size_t eq = part.find('=');
      if (eq == std::string_view::npos) return bad("has a label without an equals sign");
      const std::string_view label = part.substr(0, eq);
      COAM_RETURN_IF_ERROR(CheckAcIdentifier(label, "label name"));
      if (label == "name") return bad("has a label called name");
      if (Find(out.labels, label) != nullptr) return bad("names a label twice");
      Set(out.labels, label, part.substr(eq + 1));
    }
  }
  for (const NameValue& label : out.labels) {
    if (label.value.find('\0') != std::string::npos) return bad("holds a NUL character");
  }
  std::sort(out.labels.begin(), out.labels.end(),
            [](const NameValue& a, const NameValue& b) { return a.name < b.name; });
  return out;
}

std::string AppName::ToString() const {
  std::string out = name;
  if (const std::string* v = version(); v != nullptr) absl::StrAppend(&out, ":", *v);
  for (const NameValue& label : labels) {
    if (label.name != "version") absl::StrAppend(&out, ",", label.name, "=", label.value);
  }
  return out;
}

void AppName::FillHostLabels() {
  if (Find(labels, "os") == nullptr) Set(labels, "os", kHostOs);
  if (Find(labels, "arch") == nullptr) Set(labels, "arch", HostArch());
  std::sort(labels.begin(), labels.end(),
            [](const NameValue& a, const NameValue& b) { return a.name < b.name; });
}

}  // namespace coaming::aci
