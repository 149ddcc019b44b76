// Value is one JSON value as it was written: members keep their order, numbers keep their text, and
// each parsed value knows which bytes of the source it came from. RFC 8259; no library behind it.
//
//   json::Value v = json::Value::MakeObject();
//   v.Set("ociVersion", "1.0.2");
//   v.Set("terminal", false);
//   if (const json::Value* args = v.Find("args")) ...
//
// Ownership: a plain value (copy is deep, move is cheap); views and pointers it hands out live until
// the value is next changed. Threads: [immutable] while const. Limits: the parser's (parse.h); a tree
// built by hand is as large as its maker makes it. Strings are UTF-8 and may hold U+0000.
#ifndef COAMING_BASE_JSON_VALUE_H_
#define COAMING_BASE_JSON_VALUE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace coaming::base::json {

enum class Type : uint8_t { kNull, kBool, kNumber, kString, kArray, kObject };

// TypeName is "null", "a boolean", "a number", "a string", "an array" or "an object".
std::string_view TypeName(Type type);

struct Member;

class Value {
 public:
  Value() : type_(Type::kNull) {}  // null
  // Implicit on purpose, so that trees can be written down.
  template <typename T>
  requires std::is_same_v<T, bool> Value(T value) : type_(Type::kBool), bool_(value) {}  // NOLINT
  template <typename T>
  requires(std::is_integral_v<T> && !std::is_same_v<T, bool> && !std::is_same_v<T, char>)
      Value(T value)
      : Value(std::is_signed_v<T> ? FromInt(static_cast<int64_t>(value))  // NOLINT
                                  : FromUint(static_cast<uint64_t>(value))) {}
  Value(const char* text) : Value(std::string(text)) {}       // NOLINT
  Value(std::string_view text) : Value(std::string(text)) {}  // NOLINT
  Value(std::string text);                                    // NOLINT
  Value(const std::vector<std::string>& list);                // NOLINT: an array of strings

  static Value MakeArray();
  static Value MakeObject();
  // MakeNumber takes a number's own text ("1e3"); it must be a number of RFC 8259.
  static Value MakeNumber(std::string text);
  // MakeDouble writes the shortest text that reads back as `value`; not finite becomes null.
  static Value MakeDouble(double value);

  Value(const Value& other);
  Value(Value&& other) noexcept;
  Value& operator=(const Value& other);
  Value& operator=(Value&& other) noexcept;
  ~Value();

  Type type() const { return type_; }
  bool is_null() const { return type_ == Type::kNull; }
  bool is_bool() const { return type_ == Type::kBool; }
  bool is_number() const { return type_ == Type::kNumber; }
  bool is_string() const { return type_ == Type::kString; }
  bool is_array() const { return type_ == Type::kArray; }
  bool is_object() const { return type_ == Type::kObject; }

  // Getters answer an empty value when the type is another one.
  bool as_bool() const { return type_ == Type::kBool && bool_; }
  const std::string& as_string() const;    // of a string
  const std::string& number_text() const;  // of a number: "1.0", "-0", "12345678901234567890"
  // Exact: only digits with an optional minus, in range; "1.0" and "1e2" are not integers.
  std::optional<int64_t> as_int64() const;
  std::optional<uint64_t> as_uint64() const;
  std::optional<double> as_double() const;  // nearest; locale plays no part

  // Arrays. items() of another type is empty.
  const std::vector<Value>& items() const;
  std::vector<Value>& mutable_items();  // turns any other type into an empty array first
  Value& Push(Value value);             // the same, then appends; returns the new item

  // Objects. members() of another type is empty.
  const std::vector<Member>& members() const;
  std::vector<Member>& mutable_members();         // turns any other type into an empty object first
  const Value* Find(std::string_view key) const;  // nullptr if absent or not an object; exact case
  Value* FindMutable(std::string_view key);
  // Find along a chain of keys: Find("a")->Find("b"); nullptr where it breaks.
  const Value* FindIn(std::string_view key, std::string_view key2) const;
  // Set replaces the member `key` in its place or appends it; returns its value.
  Value& Set(std::string_view key, Value value);
  // Remove takes the member away; false if there was none.
  bool Remove(std::string_view key);
  size_t size() const;  // of items, members or string bytes; 0 for the rest
  bool empty() const { return size() == 0; }

  // Where a parsed value stands in its document: [source_offset, source_offset + source_size).
  // Both are zero for values made by hand. Copies keep them; changes to the tree do not clear them.
  size_t source_offset() const { return offset_; }
  size_t source_size() const { return source_size_; }
  // Source cuts the value's exact bytes out of the document it was parsed from.
  std::string_view Source(std::string_view document) const;
  void set_source(size_t offset, size_t size);

  // Exact equality: order of members and text of numbers count, places in the source do not.
  friend bool operator==(const Value& a, const Value& b);

 private:
  static Value FromInt(int64_t value);
  static Value FromUint(uint64_t value);
  void Destroy() noexcept;
  void CopyFrom(const Value& other);
  void MoveFrom(Value&& other) noexcept;
  void Become(Type type);

  Type type_;
  bool bool_ = false;
  uint32_t offset_ = 0;
  uint32_t source_size_ = 0;
  union {
    std::string text_;             // kNumber, kString
    std::vector<Value> items_;     // kArray
    std::vector<Member> members_;  // kObject
  };
};

struct Member {
  std::string key;
  Value value;
  friend bool operator==(const Member& a, const Member& b);
};

// Equivalent is equality in which the order of members does not count.
bool Equivalent(const Value& a, const Value& b);

}  // namespace coaming::base::json

#endif  // COAMING_BASE_JSON_VALUE_H_
