// ObjectReader reads the members of a JSON object into typed fields and says where it went wrong:
// "config.layers[3].size: want an integer, found a string".
//
//   void ReadJson(json::ObjectReader& r, Descriptor* out) {   // found by ADL, beside Descriptor
//     r.Required("mediaType", &out->media_type);
//     r.Required("size", &out->size);
//     r.Optional("annotations", &out->annotations);           // absent or null: left as it is
//     out->unknown = r.Unknown();                              // kept, to be written again
//   }
//   Descriptor d;
//   COAM_RETURN_IF_ERROR(json::Read(value, "descriptor", &d));
//
// The first failure sticks: later reads do nothing and status() gives it. Fields may be std::string,
// bool, int32_t, uint32_t, int64_t, uint64_t, double, json::Value, any type with a ReadJson, and
// std::vector, std::optional, std::map<std::string, ...> and StringPairs of those.
// Required members may be empty but not null. Keys match exactly.
// Ownership: borrows the value for its life. Threads: [single]. Limits: the parser's.
#ifndef COAMING_BASE_JSON_READER_H_
#define COAMING_BASE_JSON_READER_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "base/json/value.h"

namespace coaming::base::json {

// An object of strings in its written order.
using StringPairs = std::vector<std::pair<std::string, std::string>>;

// Place is a JSON path under construction; a link to the one above it.
struct Place {
  const Place* parent = nullptr;
  std::string_view key;  // used if index is negative
  int64_t index = -1;
  std::string ToString() const;  // "config.layers[3].size"; odd keys are quoted
};

class ObjectReader {
 public:
  // `name` is what the path starts with. A value that is no object fails with json.type.
  ObjectReader(const Value& value, std::string_view name);
  ObjectReader(const Value& value, const Place& place, absl::Status* status);

  ObjectReader(const ObjectReader&) = delete;
  ObjectReader& operator=(const ObjectReader&) = delete;

  // Required reads member `key` into `*out`; absent or null is an error (json.type).
  template <typename T>
  void Required(std::string_view key, T* out) {
    if (const Value* v = Take(key, /*required=*/true)) Read(*v, Place{place_, key}, out);
  }
  // Optional does the same, but absent and null leave `*out` as it is.
  template <typename T>
  void Optional(std::string_view key, T* out) {
    if (const Value* v = Take(key, /*required=*/false)) Read(*v, Place{place_, key}, out);
  }
  // Raw gives the member as it is (null too), marked as known; nullptr if absent.
  const Value* Raw(std::string_view key);
  // Has is true if the member is there and not null. It does not mark it as known.
  bool Has(std::string_view key) const;

  // Unknown gives the members that nobody asked for, in order.
  std::vector<Member> Unknown() const;

  // Fail records `message` for member `key` (empty: the object itself) with reason json.type,
  // unless something failed before. For checks of the caller's own.
  void Fail(std::string_view key, std::string_view message);
  // FailWith records a status of the caller's own, with the path before its message.
  void FailWith(std::string_view key, const absl::Status& status);
  bool ok() const { return status_->ok(); }
  const absl::Status& status() const { return *status_; }
  // Path of member `key`, for messages.
  std::string Path(std::string_view key) const;
  const Value& value() const { return *value_; }

 private:
  const Value* Take(std::string_view key, bool required);
  void FailAt(const Place& place, std::string_view want, const Value& found);

  void Read(const Value& v, const Place& at, std::string* out);
  void Read(const Value& v, const Place& at, bool* out);
  void Read(const Value& v, const Place& at, int32_t* out);
  void Read(const Value& v, const Place& at, uint32_t* out);
  void Read(const Value& v, const Place& at, int64_t* out);
  void Read(const Value& v, const Place& at, uint64_t* out);
  void Read(const Value& v, const Place& at, double* out);
  void Read(const Value& v, const Place& at, Value* out);
  void Read(const Value& v, const Place& at, StringPairs* out);
  template <typename T>
  void Read(const Value& v, const Place& at, std::optional<T>* out) {
    T value{};
    Read(v, at, &value);
    if (ok()) *out = std::move(value);
  }
  template <typename T>
  void Read(const Value& v, const Place& at, std::vector<T>* out) {
    if (!v.is_array()) return FailAt(at, "an array", v);
    out->clear();
    out->reserve(v.items().size());
    int64_t index = 0;
    for (const Value& item : v.items()) {
      T element{};
      Read(item, Place{&at, {}, index++}, &element);
      if (!ok()) return;
      out->push_back(std::move(element));
    }
  }
  template <typename T>
  void Read(const Value& v, const Place& at, std::map<std::string, T>* out) {
    if (!v.is_object()) return FailAt(at, "an object", v);
    out->clear();
    for (const Member& m : v.members()) {
      T element{};
      Read(m.value, Place{&at, m.key}, &element);
      if (!ok()) return;
      out->emplace(m.key, std::move(element));
    }
  }
  template <typename T>
  requires requires(ObjectReader& r, T* t) { ReadJson(r, t); }
  void Read(const Value& v, const Place& at, T* out) {
    ObjectReader inner(v, at, status_);
    if (ok()) ReadJson(inner, out);
  }

  const Value* value_;
  Place root_;
  std::string name_;
  const Place* place_;
  absl::Status own_status_;
  absl::Status* status_;
  std::vector<bool> seen_;
};

// Read reads one value with ReadJson and returns the first failure.
template <typename T>
absl::Status Read(const Value& value, std::string_view name, T* out) {
  ObjectReader r(value, name);
  if (r.ok()) ReadJson(r, out);
  return r.status();
}

// SetUnless writes a member only if it says something: the twin of Optional for writers.
void SetUnlessEmpty(Value* object, std::string_view key, const std::string& value);
void SetUnlessEmpty(Value* object, std::string_view key, const std::vector<std::string>& value);
void SetUnlessEmpty(Value* object, std::string_view key, const StringPairs& value);
void SetUnlessEmpty(Value* object, std::string_view key,
                    const std::map<std::string, std::string>& value);
// AppendMembers adds kept unknown members, skipping keys that are there already.
void AppendMembers(Value* object, const std::vector<Member>& members);

}  // namespace coaming::base::json

#endif  // COAMING_BASE_JSON_READER_H_
