#include "base/testing/status_testing.h"

#include "absl/strings/str_cat.h"

namespace coaming::base::testing {

std::string Describe(const absl::Status& status) {
  if (status.ok()) return "OK";
  const Error top = GetError(status);
  std::string out;
  for (const Error* e = &top; e != nullptr; e = e->cause.get()) {
    absl::StrAppend(&out, out.empty() ? "" : "; because ", e->reason, ": ", e->message);
    for (const auto& [key, value] : e->details) absl::StrAppend(&out, " {", key, "=", value, "}");
  }
  return out;
}

}  // namespace coaming::base::testing
