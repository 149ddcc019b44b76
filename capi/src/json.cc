// The functions of coaming/json.h.
#include <coaming/json.h>

#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/numbers.h"
#include "base/json/json.h"
#include "capi/src/boundary.h"

namespace capi = coaming::capi;
using coaming::base::json::Value;

struct coam_json : capi::Object {
  explicit coam_json(Value r) : root(std::move(r)) {}
  const Value root;
};

namespace {

constexpr coam_str kEmpty{"", 0};

// One token of a pointer with its escapes undone (RFC 6901, section 4).
std::string Unescape(std::string_view token) {
  std::string out;
  for (size_t i = 0; i < token.size(); ++i) {
    if (token[i] == '~' && i + 1 < token.size() && (token[i + 1] == '0' || token[i + 1] == '1')) {
      out += token[++i] == '0' ? '~' : '/';
    } else {
      out += token[i];
    }
  }
  return out;
}

const Value* Find(const coam_json* json, const char* pointer) {
  if (json == nullptr || pointer == nullptr) return nullptr;
  const Value* value = &json->root;
  std::string_view rest = pointer;
  while (!rest.empty() && value != nullptr) {
    if (rest[0] != '/') return nullptr;
    const size_t end = rest.find('/', 1);
    const std::string_view token =
        rest.substr(1, end == std::string_view::npos ? std::string_view::npos : end - 1);
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end);
    if (value->is_array()) {
      size_t index = 0;
      const bool plain = token == "0" || (!token.empty() && token[0] >= '1' && token[0] <= '9');
      if (!plain || !absl::SimpleAtoi(token, &index) || index >= value->items().size()) {
        return nullptr;
      }
      value = &value->items()[index];
    } else {
      value = value->Find(Unescape(token));
    }
  }
  return value;
}

}  // namespace

coam_code coam_json_parse(const void* data, size_t size, coam_json** ret_json,
                          coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_json, "ret_json"));
    if (size > 0) COAM_RETURN_IF_ERROR(capi::NotNull(data, "data"));
    COAM_ASSIGN_OR_RETURN(Value root,
                          coaming::base::json::Parse({static_cast<const char*>(data), size}));
    *ret_json = new coam_json(std::move(root));
    return absl::OkStatus();
  });
}

coam_json* coam_json_ref(coam_json* json) { return COAM_BOUNDARY_REF(json); }
void coam_json_free(coam_json* json) { COAM_BOUNDARY_FREE(json); }

const char* coam_json_type(const coam_json* json, const char* pointer) {
  return COAM_BOUNDARY_VALUE("", {
    static constexpr const char* kNames[] = {"null", "bool", "number", "string", "array", "object"};
    const Value* value = Find(json, pointer);
    return value != nullptr ? kNames[static_cast<size_t>(value->type())] : "";
  });
}

size_t coam_json_count(const coam_json* json, const char* pointer) {
  return COAM_BOUNDARY_VALUE(0, {
    const Value* value = Find(json, pointer);
    if (value == nullptr) return size_t{0};
    return value->is_object() ? value->members().size() : value->items().size();
  });
}

coam_str coam_json_key(const coam_json* json, const char* pointer, size_t index) {
  return COAM_BOUNDARY_VALUE(kEmpty, {
    const Value* value = Find(json, pointer);
    if (value == nullptr || index >= value->members().size()) return kEmpty;
    return capi::View(value->members()[index].key);
  });
}

coam_str coam_json_text(const coam_json* json, const char* pointer) {
  return COAM_BOUNDARY_VALUE(kEmpty, {
    const Value* value = Find(json, pointer);
    if (value == nullptr) return kEmpty;
    if (value->is_string()) return capi::View(value->as_string());
    return value->is_number() ? capi::View(value->number_text()) : kEmpty;
  });
}

int64_t coam_json_int(const coam_json* json, const char* pointer, int64_t fallback) {
  return COAM_BOUNDARY_VALUE(fallback, {
    const Value* value = Find(json, pointer);
    if (value == nullptr) return fallback;
    if (value->is_bool()) return static_cast<int64_t>(value->as_bool());
    return value->as_int64().value_or(fallback);
  });
}
