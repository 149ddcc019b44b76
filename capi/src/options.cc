#include "capi/src/options.h"

#include <cctype>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace coaming::capi {
namespace {

const OptionRow* FindRow(const OptionFamily& family, std::string_view key) {
  for (const OptionRow& row : family.rows) {
    if (row.name == key) return &row;
  }
  return nullptr;
}

struct Suffix {
  std::string_view text;
  int64_t factor;
};
constexpr Suffix kSizes[] = {{"", 1},         {"B", 1},         {"k", 1 << 10},   {"K", 1 << 10},
                             {"Ki", 1 << 10}, {"M", 1 << 20},   {"Mi", 1 << 20},  {"G", 1 << 30},
                             {"Gi", 1 << 30}, {"T", 1LL << 40}, {"Ti", 1LL << 40}};
constexpr Suffix kDurations[] = {{"", 1}, {"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}};

// A whole number with a suffix of `suffixes`.
std::optional<int64_t> Scaled(std::string_view text, absl::Span<const Suffix> suffixes) {
  size_t digits = 0;
  while (digits < text.size() && (std::isdigit(static_cast<unsigned char>(text[digits])) != 0 ||
                                  (digits == 0 && text[0] == '-'))) {
    ++digits;
  }
  int64_t number = 0, product = 0;
  if (!absl::SimpleAtoi(text.substr(0, digits), &number)) return std::nullopt;
  for (const Suffix& suffix : suffixes) {
    if (suffix.text != text.substr(digits)) continue;
    if (__builtin_mul_overflow(number, suffix.factor, &product)) return std::nullopt;
    return product;
  }
  return std::nullopt;
}

std::optional<bool> ParseBool(std::string_view text) {
  if (text == "true" || text == "1" || text == "yes" || text == "on") return true;
  if (text == "false" || text == "0" || text == "no" || text == "off") return false;
  return std::nullopt;
}

// The number that a checked text stands for.
std::optional<int64_t> Number(OptionType type, std::string_view text) {
  switch (type) {
    case OptionType::kSize: return Scaled(text, kSizes);
    case OptionType::kDuration: return Scaled(text, kDurations);
    case OptionType::kBool:
      if (auto b = ParseBool(text)) return *b ? 1 : 0;
      return std::nullopt;
    default: return Scaled(text, absl::MakeConstSpan(kSizes, 1));
  }
}

absl::Status CheckValue(const OptionRow& row, std::string_view value) {
  const auto bad = [&](std::string_view want) {
    return base::Fail("core.invalid_argument")
           << "option " << row.name << ": '" << value << "' is not " << want;
  };
  switch (row.type) {
    case OptionType::kBool:
      if (!ParseBool(value)) return bad("true or false");
      break;
    case OptionType::kInt:
      if (!Number(row.type, value)) return bad("a whole number");
      break;
    case OptionType::kFd:
      if (auto n = Number(row.type, value); !n || *n < 0) return bad("a file descriptor");
      break;
    case OptionType::kSize:
      if (auto n = Number(row.type, value); !n || *n < 0)
        return bad("a size such as 512, 64M or 2Gi");
      break;
    case OptionType::kDuration:
      if (auto n = Number(row.type, value); !n || *n < 0)
        return bad("a time such as 500ms, 30s or 5m");
      break;
    case OptionType::kMap:
      if (value.find('=') == std::string_view::npos || value[0] == '=') return bad("KEY=VALUE");
      break;
    case OptionType::kString:
    case OptionType::kPath:
    case OptionType::kList:
      if (value.find('\0') != std::string_view::npos) return bad("text without NUL bytes");
      break;
    case OptionType::kBytes: break;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>*> Slot(coam_options* options, std::string_view key,
                                               const OptionRow** row) {
  *row = FindRow(*options->family, key);
  if (*row == nullptr) {
    return base::Fail("core.not_found").Hint("coam_options_key lists the keys of a family")
           << "options of " << options->family->name << " have no key '" << key << "'";
  }
  for (auto& [have, values] : options->values) {
    if (have == *row) return &values;
  }
  options->values.emplace_back(*row, std::vector<std::string>());
  return &options->values.back().second;
}

absl::Status Store(coam_options* options, std::string_view key, std::string value) {
  const OptionRow* row = FindRow(*options->family, key);
  if (row != nullptr) COAM_RETURN_IF_ERROR(CheckValue(*row, value));
  COAM_ASSIGN_OR_RETURN(std::vector<std::string> * slot, Slot(options, key, &row));
  if (row->type != OptionType::kList && row->type != OptionType::kMap) slot->clear();
  slot->push_back(std::move(value));
  return absl::OkStatus();
}

}  // namespace

std::string_view OptionTypeName(OptionType type) {
  constexpr std::string_view kNames[] = {"string",   "path", "bool", "int", "size",
                                         "duration", "list", "map",  "fd",  "bytes"};
  return kNames[static_cast<size_t>(type)];
}

absl::Status SetOption(coam_options* options, std::string_view key, const char* value) {
  if (value != nullptr) return Store(options, key, value);
  const OptionRow* row = nullptr;
  COAM_ASSIGN_OR_RETURN(std::vector<std::string> * slot, Slot(options, key, &row));
  for (auto it = options->values.begin(); it != options->values.end(); ++it) {
    if (&it->second == slot) {
      options->values.erase(it);
      break;
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<OptionReader> OptionReader::For(std::string_view family,
                                               const coam_options* options) {
  const OptionFamily* want = FindFamily(family);
  if (want == nullptr) return base::Fail("core.internal") << "no option family " << family;
  if (options != nullptr && options->family != want) {
    return base::Fail("core.invalid_argument") << "options of " << options->family->name
                                               << " were given where " << family << " are taken";
  }
  return OptionReader(want, options);
}

const std::vector<std::string>* OptionReader::Find(std::string_view key,
                                                   const OptionRow** row) const {
  *row = FindRow(*family_, key);
  if (options_ == nullptr || *row == nullptr) return nullptr;
  for (const auto& [have, values] : options_->values) {
    if (have == *row) return &values;
  }
  return nullptr;
}

bool OptionReader::Has(std::string_view key) const {
  const OptionRow* row;
  return Find(key, &row) != nullptr;
}

std::string OptionReader::String(std::string_view key) const {
  const OptionRow* row;
  const auto* values = Find(key, &row);
  if (values != nullptr && !values->empty()) return values->back();
  return row != nullptr ? std::string(row->fallback) : std::string();
}

std::optional<std::string> OptionReader::MaybeString(std::string_view key) const {
  std::string text = String(key);
  if (text.empty()) return std::nullopt;
  return text;
}

bool OptionReader::Bool(std::string_view key) const {
  return ParseBool(String(key)).value_or(false);
}

int64_t OptionReader::Int(std::string_view key) const {
  const OptionRow* row;
  Find(key, &row);
  if (row == nullptr) return 0;
  return Number(row->type, String(key)).value_or(row->type == OptionType::kFd ? -1 : 0);
}

std::vector<std::string> OptionReader::List(std::string_view key) const {
  const OptionRow* row;
  const auto* values = Find(key, &row);
  return values != nullptr ? *values : std::vector<std::string>();
}

std::vector<std::pair<std::string, std::string>> OptionReader::Map(std::string_view key) const {
  std::vector<std::pair<std::string, std::string>> out;
  for (const std::string& entry : List(key)) {
    const size_t eq = entry.find('=');
    out.emplace_back(entry.substr(0, eq), entry.substr(eq + 1));
  }
  return out;
}

}  // namespace coaming::capi

coam_options::coam_options(const coam_options& other)
    : Object(),
      family(other.family),
      values(other.values),
      cancel(other.cancel),
      deadline(other.deadline),
      events(other.events),
      notes(other.notes) {}

namespace capi = coaming::capi;

coam_code coam_options_new(const char* family, coam_options** ret_options, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(family, "family"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_options, "ret_options"));
    const capi::OptionFamily* found = capi::FindFamily(family);
    if (found == nullptr) {
      return coaming::base::Fail("core.not_found") << "no option family '" << family << "'";
    }
    *ret_options = new coam_options(found);
    return absl::OkStatus();
  });
}

coam_options* coam_options_ref(coam_options* options) { return COAM_BOUNDARY_REF(options); }
void coam_options_free(coam_options* options) { COAM_BOUNDARY_FREE(options); }

coam_code coam_options_set(coam_options* options, const char* key, const char* value,
                           coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(options, "options"));
    COAM_RETURN_IF_ERROR(capi::NotNull(key, "key"));
    return capi::SetOption(options, key, value);
  });
}

coam_code coam_options_set_int(coam_options* options, const char* key, int64_t value,
                               coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(options, "options"));
    COAM_RETURN_IF_ERROR(capi::NotNull(key, "key"));
    return capi::SetOption(options, key, absl::StrCat(value).c_str());
  });
}

coam_code coam_options_set_bytes(coam_options* options, const char* key, const void* data,
                                 size_t size, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(options, "options"));
    COAM_RETURN_IF_ERROR(capi::NotNull(key, "key"));
    if (size > 0) COAM_RETURN_IF_ERROR(capi::NotNull(data, "data"));
    return capi::Store(options, key,
                       size > 0 ? std::string(static_cast<const char*>(data), size) : "");
  });
}

coam_str coam_options_get(const coam_options* options, const char* key, size_t index) {
  return COAM_BOUNDARY_VALUE((coam_str{"", 0}), {
    const coam_str none{"", 0};
    if (options == nullptr || key == nullptr) return none;
    const coam_option* row = capi::FindRow(*options->family, key);
    if (row == nullptr) return none;
    for (const auto& [have, values] : options->values) {
      if (have == row) return index < values.size() ? capi::View(values[index]) : none;
    }
    return index == 0 ? capi::ViewStatic(row->fallback) : none;
  });
}

void coam_options_set_cancel(coam_options* options, coam_cancel* cancel) {
  COAM_BOUNDARY_VALUE(0, {
    if (options != nullptr) options->cancel = capi::Ref<coam_cancel>::Share(cancel);
    return 0;
  });
}

void coam_options_set_deadline(coam_options* options, int64_t monotonic_ns) {
  COAM_BOUNDARY_VALUE(0, {
    if (options != nullptr) {
      options->deadline = monotonic_ns == 0 ? coaming::base::Deadline()
                                            : coaming::base::Deadline::AtNs(monotonic_ns);
    }
    return 0;
  });
}

void coam_options_set_events(coam_options* options, coam_event_fn fn, void* user,
                             void (*user_free)(void* user)) {
  COAM_BOUNDARY_VALUE(0, {
    if (options == nullptr) return 0;
    options->events.reset();
    if (fn == nullptr) return 0;
    auto handler = std::make_shared<capi::EventHandler>();
    handler->fn = fn;
    handler->user = user;
    handler->user_free = user_free;
    options->events = std::move(handler);
    return 0;
  });
}

void coam_options_set_notes(coam_options* options, coam_notes* notes) {
  COAM_BOUNDARY_VALUE(0, {
    if (options != nullptr) options->notes = capi::Ref<coam_notes>::Share(notes);
    return 0;
  });
}

const char* coam_options_family_at(size_t index) {
  return COAM_BOUNDARY_VALUE(nullptr, {
    const capi::OptionFamily* family = capi::FamilyAt(index);
    return family != nullptr ? family->name.data() : static_cast<const char*>(nullptr);
  });
}

const coam_option* coam_options_key(const char* family, size_t index) {
  return COAM_BOUNDARY_VALUE(nullptr, {
    const coam_option* none = nullptr;
    if (family == nullptr) return none;
    const capi::OptionFamily* found = capi::FindFamily(family);
    return found != nullptr && index < found->rows.size() ? &found->rows[index] : none;
  });
}

coam_str coam_option_name(const coam_option* option) {
  return COAM_BOUNDARY_VALUE((coam_str{"", 0}), {
    return option != nullptr ? capi::ViewStatic(option->name) : coam_str{"", 0};
  });
}
coam_str coam_option_type(const coam_option* option) {
  return COAM_BOUNDARY_VALUE((coam_str{"", 0}), {
    return option != nullptr ? capi::ViewStatic(capi::OptionTypeName(option->type))
                             : coam_str{"", 0};
  });
}
coam_str coam_option_default(const coam_option* option) {
  return COAM_BOUNDARY_VALUE((coam_str{"", 0}), {
    return option != nullptr ? capi::ViewStatic(option->fallback) : coam_str{"", 0};
  });
}
coam_str coam_option_since(const coam_option* option) {
  return COAM_BOUNDARY_VALUE((coam_str{"", 0}), {
    return option != nullptr ? capi::ViewStatic(option->since) : coam_str{"", 0};
  });
}
coam_str coam_option_help(const coam_option* option) {
  return COAM_BOUNDARY_VALUE((coam_str{"", 0}), {
    return option != nullptr ? capi::ViewStatic(option->help) : coam_str{"", 0};
  });
}
