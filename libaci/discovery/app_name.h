// AppName is what a person types to name an image: "example.com/app:1.0,os=linux,arch=amd64".
//
// Spec: appc/spec 0.8.11, "App Container Image Discovery". A plain value; labels are sorted and
// unique. Threads: any.
#ifndef COAMING_LIBACI_DISCOVERY_APP_NAME_H_
#define COAMING_LIBACI_DISCOVERY_APP_NAME_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "libaci/schema/manifest.h"

namespace coaming::aci {

struct AppName {
  std::string name;
  Labels labels;  // sorted by name; version among them

  // Errors: aci.name_invalid (a colon that does not follow the name, a label twice, a bad name).
  static absl::StatusOr<AppName> Parse(std::string_view text);
  // "name:version,label=value", sorted.
  std::string ToString() const;
  // Adds this host's os and arch where they are not given.
  void FillHostLabels();
  const std::string* version() const { return Find(labels, "version"); }
};

}  // namespace coaming::aci

#endif  // COAMING_LIBACI_DISCOVERY_APP_NAME_H_
