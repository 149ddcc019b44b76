// Options of the C ABI: one table per family drives typed checks, the tool's flags, the config file
// and Python's keyword arguments. Adding an option is one row.
//
// A module lists its families in a plain array and adds one line to families.cc:
//
//   constexpr OptionRow kPullRows[] = {
//       {"platform", OptionType::kString, "", "1.0", "os/arch[/variant] to choose from an index"},
//   };
//   constexpr OptionFamily kFamilies[] = {{"oci.pull", "fetch an image", kPullRows}};
//   absl::Span<const OptionFamily> OciFamilies() { return kFamilies; }
#ifndef COAMING_CAPI_SRC_OPTIONS_H_
#define COAMING_CAPI_SRC_OPTIONS_H_

#include <coaming/core.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "base/core/op.h"
#include "capi/src/boundary.h"

namespace coaming::capi {

enum class OptionType { kString, kPath, kBool, kInt, kSize, kDuration, kList, kMap, kFd, kBytes };

}  // namespace coaming::capi

// A row of a family's table. All texts are literals.
struct coam_option {
  std::string_view name;
  coaming::capi::OptionType type;
  std::string_view fallback;  // as text; "" for none
  std::string_view since;
  std::string_view help;  // one line
};

namespace coaming::capi {

using OptionRow = coam_option;

struct OptionFamily {
  std::string_view name;  // "oci.pull"
  std::string_view help;
  absl::Span<const OptionRow> rows;
};

// FindFamily returns the family called `name`, or nullptr; FamilyAt the one at `index`.
const OptionFamily* FindFamily(std::string_view name);
const OptionFamily* FamilyAt(size_t index);

// The host's callback and its user pointer, freed when the last holder goes.
struct EventHandler {
  coam_event_fn fn = nullptr;
  void* user = nullptr;
  void (*user_free)(void*) = nullptr;
  ~EventHandler() {
    if (user_free != nullptr) user_free(user);
  }
};

}  // namespace coaming::capi

struct coam_cancel : coaming::capi::Object {
  explicit coam_cancel(std::shared_ptr<coaming::base::Cancel> c) : cancel(std::move(c)) {}
  const std::shared_ptr<coaming::base::Cancel> cancel;
};

struct coam_notes : coaming::capi::Object {
  coaming::base::Notes notes;
};

struct coam_options : coaming::capi::Object {
  explicit coam_options(const coaming::capi::OptionFamily* f) : family(f) {}
  coam_options(const coam_options& other);  // copy for a job: values and shared handlers

  const coaming::capi::OptionFamily* const family;
  // Only keys that were set; a list or map holds one string an entry.
  std::vector<std::pair<const coam_option*, std::vector<std::string>>> values;
  coaming::capi::Ref<coam_cancel> cancel;
  coaming::base::Deadline deadline;
  std::shared_ptr<coaming::capi::EventHandler> events;
  coaming::capi::Ref<coam_notes> notes;
};

namespace coaming::capi {

// OptionReader gives a call's C++ its settings: what was set, or the default of the row. A NULL
// coam_options is all defaults. Values were checked when set, so the getters cannot fail; asking
// for a key that the family lacks is a fault of ours and answers the type's zero.
class OptionReader {
 public:
  // Fails with core.invalid_argument if `options` are of another family.
  static absl::StatusOr<OptionReader> For(std::string_view family, const coam_options* options);

  bool Has(std::string_view key) const;  // was set by the caller
  std::string String(std::string_view key) const;
  std::optional<std::string> MaybeString(std::string_view key) const;  // nullopt if "" or not set
  bool Bool(std::string_view key) const;
  int64_t Int(std::string_view key) const;  // int, size in bytes, duration in ms, fd (-1: none)
  std::vector<std::string> List(std::string_view key) const;
  // Of "key=value" entries, in order.
  std::vector<std::pair<std::string, std::string>> Map(std::string_view key) const;
  const coam_options* options() const { return options_; }

 private:
  OptionReader(const OptionFamily* family, const coam_options* options)
      : family_(family), options_(options) {}
  const std::vector<std::string>* Find(std::string_view key, const OptionRow** row) const;
  const OptionFamily* family_;
  const coam_options* options_;
};

// SetOption is coam_options_set for C++.
absl::Status SetOption(coam_options* options, std::string_view key, const char* value);

std::string_view OptionTypeName(OptionType type);

}  // namespace coaming::capi

#endif  // COAMING_CAPI_SRC_OPTIONS_H_
