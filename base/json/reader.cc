#include "base/json/reader.h"

#include <limits>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/json/json.h"

namespace coaming::base::json {
namespace {

bool IsPlainKey(std::string_view key) {
  if (key.empty()) return false;
  for (char c : key) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '_' || c == '-' || c == '/';
    if (!plain) return false;
  }
  return true;
}

}  // namespace

std::string Place::ToString() const {
  std::string out = parent != nullptr ? parent->ToString() : std::string();
  if (index >= 0) {
    absl::StrAppend(&out, "[", index, "]");
  } else if (parent == nullptr) {
    out = std::string(key);  // the root's name, as the caller gave it
  } else if (IsPlainKey(key)) {
    if (!out.empty()) out += '.';
    out += key;
  } else {
    out += '[';
    AppendQuoted(key.substr(0, 128), Escape::kMinimal, &out);
    out += ']';
  }
  return out;
}

ObjectReader::ObjectReader(const Value& value, std::string_view name)
    : value_(&value), name_(name), status_(&own_status_) {
  root_.key = name_;
  place_ = &root_;
  if (!value.is_object()) {
    FailAt(root_, "an object", value);
  } else {
    seen_.resize(value.members().size());
  }
}

ObjectReader::ObjectReader(const Value& value, const Place& place, absl::Status* status)
    : value_(&value), place_(&place), status_(status) {
  if (!value.is_object()) {
    FailAt(place, "an object", value);
  } else {
    seen_.resize(value.members().size());
  }
}

const Value* ObjectReader::Raw(std::string_view key) {
  const std::vector<Member>& members = value_->members();
  for (size_t i = 0; i < members.size(); ++i) {
    if (members[i].key == key) {
      if (i < seen_.size()) seen_[i] = true;
      return &members[i].value;
    }
  }
  return nullptr;
}

bool ObjectReader::Has(std::string_view key) const {
  const Value* v = value_->Find(key);
  return v != nullptr && !v->is_null();
}

const Value* ObjectReader::Take(std::string_view key, bool required) {
  if (!ok()) return nullptr;
  const Value* v = Raw(key);
  if (v != nullptr && !v->is_null()) return v;
  if (required) {
    *status_ = base::Fail("json.type")
               << Path(key) << ": " << (v == nullptr ? "is missing" : "must not be null");
  }
  return nullptr;
}

std::vector<Member> ObjectReader::Unknown() const {
  std::vector<Member> out;
  const std::vector<Member>& members = value_->members();
  for (size_t i = 0; i < members.size(); ++i) {
    if (i >= seen_.size() || !seen_[i]) out.push_back(members[i]);
  }
  return out;
}

std::string ObjectReader::Path(std::string_view key) const {
  if (key.empty()) return place_->ToString();
  return Place{place_, key}.ToString();
}

void ObjectReader::Fail(std::string_view key, std::string_view message) {
  if (ok()) *status_ = base::Fail("json.type") << Path(key) << ": " << message;
}

void ObjectReader::FailWith(std::string_view key, const absl::Status& status) {
  if (ok() && !status.ok()) *status_ = Wrap(status, Path(key));
}

void ObjectReader::FailAt(const Place& place, std::string_view want, const Value& found) {
  if (!ok()) return;
  std::string path = place.ToString();
  *status_ = base::Fail("json.type") << path << (path.empty() ? "" : ": ") << "want " << want
                                     << ", found " << TypeName(found.type());
}

void ObjectReader::Read(const Value& v, const Place& at, std::string* out) {
  if (!v.is_string()) return FailAt(at, "a string", v);
  *out = v.as_string();
}

void ObjectReader::Read(const Value& v, const Place& at, bool* out) {
  if (!v.is_bool()) return FailAt(at, "a boolean", v);
  *out = v.as_bool();
}

void ObjectReader::Read(const Value& v, const Place& at, int64_t* out) {
  if (!v.is_number()) return FailAt(at, "an integer", v);
  if (std::optional<int64_t> n = v.as_int64()) {
    *out = *n;
  } else if (ok()) {
    *status_ = base::Fail("json.type") << at.ToString() << ": want an integer of 64 bits, found "
                                       << v.number_text().substr(0, 40);
  }
}

void ObjectReader::Read(const Value& v, const Place& at, uint64_t* out) {
  if (!v.is_number()) return FailAt(at, "an integer", v);
  if (std::optional<uint64_t> n = v.as_uint64()) {
    *out = *n;
  } else if (ok()) {
    *status_ = base::Fail("json.type")
               << at.ToString() << ": want an integer of 64 bits that is not negative, found "
               << v.number_text().substr(0, 40);
  }
}

void ObjectReader::Read(const Value& v, const Place& at, int32_t* out) {
  int64_t wide = 0;
  Read(v, at, &wide);
  if (!ok()) return;
  if (wide < std::numeric_limits<int32_t>::min() || wide > std::numeric_limits<int32_t>::max()) {
    *status_ = base::Fail("json.type") << at.ToString() << ": " << wide << " does not fit 32 bits";
    return;
  }
  *out = static_cast<int32_t>(wide);
}

void ObjectReader::Read(const Value& v, const Place& at, uint32_t* out) {
  int64_t wide = 0;
  Read(v, at, &wide);
  if (!ok()) return;
  if (wide < 0 || wide > std::numeric_limits<uint32_t>::max()) {
    *status_ = base::Fail("json.type")
               << at.ToString() << ": " << wide << " does not fit 32 bits without a sign";
    return;
  }
  *out = static_cast<uint32_t>(wide);
}

void ObjectReader::Read(const Value& v, const Place& at, double* out) {
  std::optional<double> n = v.as_double();
  if (!n) return FailAt(at, "a number", v);
  *out = *n;
}

void ObjectReader::Read(const Value& v, const Place& at, Value* out) { *out = v; }

void ObjectReader::Read(const Value& v, const Place& at, StringPairs* out) {
  if (!v.is_object()) return FailAt(at, "an object", v);
  out->clear();
  for (const Member& m : v.members()) {
    if (!m.value.is_string()) return FailAt(Place{&at, m.key}, "a string", m.value);
    out->emplace_back(m.key, m.value.as_string());
  }
}

void SetUnlessEmpty(Value* object, std::string_view key, const std::string& value) {
  if (!value.empty()) object->Set(key, value);
}

void SetUnlessEmpty(Value* object, std::string_view key, const std::vector<std::string>& value) {
  if (!value.empty()) object->Set(key, value);
}

void SetUnlessEmpty(Value* object, std::string_view key, const StringPairs& value) {
  if (value.empty()) return;
  Value& map = object->Set(key, Value::MakeObject());
  for (const auto& [name, text] : value) map.Set(name, text);
}

void SetUnlessEmpty(Value* object, std::string_view key,
                    const std::map<std::string, std::string>& value) {
  if (value.empty()) return;
  Value& map = object->Set(key, Value::MakeObject());
  for (const auto& [name, text] : value) map.mutable_members().push_back(Member{name, text});
}

void AppendMembers(Value* object, const std::vector<Member>& members) {
  for (const Member& m : members) {
    if (object->Find(m.key) == nullptr) {
      object->mutable_members().push_back(m);
    }
  }
}

}  // namespace coaming::base::json
