#include "base/json/value.h"

#include <charconv>
#include <cmath>
#include <new>

#include "absl/strings/charconv.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace coaming::base::json {
namespace {

const std::string& EmptyString() {
  static const std::string* const kEmpty =
      new std::string();  // never freed, so never used too late
  return *kEmpty;
}

bool IsIntegerText(std::string_view text) {
  if (!text.empty() && text[0] == '-') text.remove_prefix(1);
  if (text.empty()) return false;
  for (char c : text) {
    if (c < '0' || c > '9') return false;
  }
  return true;
}

template <typename T>
const std::vector<T>& EmptyVector() {
  static const std::vector<T>* const kEmpty = new std::vector<T>();
  return *kEmpty;
}

}  // namespace

std::string_view TypeName(Type type) {
  switch (type) {
    case Type::kNull: return "null";
    case Type::kBool: return "a boolean";
    case Type::kNumber: return "a number";
    case Type::kString: return "a string";
    case Type::kArray: return "an array";
    case Type::kObject: return "an object";
  }
  return "a value";
}

Value::Value(std::string text) : type_(Type::kString) { new (&text_) std::string(std::move(text)); }

Value::Value(const std::vector<std::string>& list) : type_(Type::kArray) {
  new (&items_) std::vector<Value>(list.begin(), list.end());
}

Value Value::MakeArray() {
  Value v;
  v.Become(Type::kArray);
  return v;
}

Value Value::MakeObject() {
  Value v;
  v.Become(Type::kObject);
  return v;
}

Value Value::MakeNumber(std::string text) {
  Value v;
  v.type_ = Type::kNumber;
  new (&v.text_) std::string(std::move(text));
  return v;
}

// As Go and JavaScript write them: plain digits from 1e-6 up to 1e21, else an exponent.
Value Value::MakeDouble(double value) {
  if (!std::isfinite(value)) return Value();
  char buffer[64];
  const double size = std::fabs(value);
  const bool plain = size == 0 || (size >= 1e-6 && size < 1e21);
  const auto result =
      std::to_chars(buffer, buffer + sizeof buffer, value,
                    plain ? std::chars_format::fixed : std::chars_format::scientific);
  return MakeNumber(std::string(buffer, result.ptr));
}

Value Value::FromInt(int64_t value) { return MakeNumber(absl::StrCat(value)); }
Value Value::FromUint(uint64_t value) { return MakeNumber(absl::StrCat(value)); }

Value::Value(const Value& other) : type_(Type::kNull) { CopyFrom(other); }
Value::Value(Value&& other) noexcept : type_(Type::kNull) { MoveFrom(std::move(other)); }

Value& Value::operator=(const Value& other) {
  if (this != &other) {
    Value copy(other);  // `other` may be a part of this
    *this = std::move(copy);
  }
  return *this;
}

Value& Value::operator=(Value&& other) noexcept {
  if (this != &other) {
    Value taken(std::move(other));  // `other` may be a part of this
    Destroy();
    MoveFrom(std::move(taken));
  }
  return *this;
}

Value::~Value() { Destroy(); }

void Value::Destroy() noexcept {
  switch (type_) {
    case Type::kNumber:
    case Type::kString: std::destroy_at(&text_); break;
    case Type::kArray: std::destroy_at(&items_); break;
    case Type::kObject: std::destroy_at(&members_); break;
    default: break;
  }
  type_ = Type::kNull;
}

void Value::CopyFrom(const Value& other) {
  switch (other.type_) {
    case Type::kNumber:
    case Type::kString: new (&text_) std::string(other.text_); break;
    case Type::kArray: new (&items_) std::vector<Value>(other.items_); break;
    case Type::kObject: new (&members_) std::vector<Member>(other.members_); break;
    default: break;
  }
  type_ = other.type_;
  bool_ = other.bool_;
  offset_ = other.offset_;
  source_size_ = other.source_size_;
}

void Value::MoveFrom(Value&& other) noexcept {
  switch (other.type_) {
    case Type::kNumber:
    case Type::kString: new (&text_) std::string(std::move(other.text_)); break;
    case Type::kArray: new (&items_) std::vector<Value>(std::move(other.items_)); break;
    case Type::kObject: new (&members_) std::vector<Member>(std::move(other.members_)); break;
    default: break;
  }
  type_ = other.type_;
  bool_ = other.bool_;
  offset_ = other.offset_;
  source_size_ = other.source_size_;
  other.Destroy();
}

void Value::Become(Type type) {
  if (type_ == type) return;
  Destroy();
  if (type == Type::kArray) new (&items_) std::vector<Value>();
  if (type == Type::kObject) new (&members_) std::vector<Member>();
  type_ = type;
}

const std::string& Value::as_string() const {
  return type_ == Type::kString ? text_ : EmptyString();
}

const std::string& Value::number_text() const {
  return type_ == Type::kNumber ? text_ : EmptyString();
}

std::optional<int64_t> Value::as_int64() const {
  int64_t value;
  if (!IsIntegerText(number_text()) || !absl::SimpleAtoi(text_, &value)) return std::nullopt;
  return value;
}

std::optional<uint64_t> Value::as_uint64() const {
  uint64_t value;
  if (!IsIntegerText(number_text())) return std::nullopt;
  if (text_ == "-0") return 0;
  if (text_[0] == '-' || !absl::SimpleAtoi(text_, &value)) return std::nullopt;
  return value;
}

std::optional<double> Value::as_double() const {
  if (type_ != Type::kNumber) return std::nullopt;
  double value = 0;
  auto result = absl::from_chars(text_.data(), text_.data() + text_.size(), value);
  if (result.ec != std::errc() || result.ptr != text_.data() + text_.size()) return std::nullopt;
  return value;
}

const std::vector<Value>& Value::items() const {
  return type_ == Type::kArray ? items_ : EmptyVector<Value>();
}

std::vector<Value>& Value::mutable_items() {
  Become(Type::kArray);
  return items_;
}

Value& Value::Push(Value value) {
  Become(Type::kArray);
  items_.push_back(std::move(value));
  return items_.back();
}

const std::vector<Member>& Value::members() const {
  return type_ == Type::kObject ? members_ : EmptyVector<Member>();
}

std::vector<Member>& Value::mutable_members() {
  Become(Type::kObject);
  return members_;
}

const Value* Value::Find(std::string_view key) const {
  for (const Member& m : members()) {
    if (m.key == key) return &m.value;
  }
  return nullptr;
}

Value* Value::FindMutable(std::string_view key) {
  return const_cast<Value*>(std::as_const(*this).Find(key));
}

const Value* Value::FindIn(std::string_view key, std::string_view key2) const {
  const Value* outer = Find(key);
  return outer == nullptr ? nullptr : outer->Find(key2);
}

Value& Value::Set(std::string_view key, Value value) {
  Become(Type::kObject);
  if (Value* old = FindMutable(key)) {
    *old = std::move(value);
    return *old;
  }
  members_.push_back(Member{std::string(key), std::move(value)});
  return members_.back().value;
}

bool Value::Remove(std::string_view key) {
  if (type_ != Type::kObject) return false;
  for (size_t i = 0; i < members_.size(); ++i) {
    if (members_[i].key == key) {
      members_.erase(members_.begin() + static_cast<std::ptrdiff_t>(i));
      return true;
    }
  }
  return false;
}

size_t Value::size() const {
  switch (type_) {
    case Type::kString: return text_.size();
    case Type::kArray: return items_.size();
    case Type::kObject: return members_.size();
    default: return 0;
  }
}

std::string_view Value::Source(std::string_view document) const {
  if (offset_ > document.size()) return {};
  return document.substr(offset_, source_size_);
}

void Value::set_source(size_t offset, size_t size) {
  offset_ = static_cast<uint32_t>(offset);
  source_size_ = static_cast<uint32_t>(size);
}

bool operator==(const Value& a, const Value& b) {
  if (a.type_ != b.type_) return false;
  switch (a.type_) {
    case Type::kNull: return true;
    case Type::kBool: return a.bool_ == b.bool_;
    case Type::kNumber:
    case Type::kString: return a.text_ == b.text_;
    case Type::kArray: return a.items_ == b.items_;
    case Type::kObject: return a.members_ == b.members_;
  }
  return false;
}

bool operator==(const Member& a, const Member& b) { return a.key == b.key && a.value == b.value; }

bool Equivalent(const Value& a, const Value& b) {
  if (a.type() != b.type() || a.size() != b.size()) return false;
  if (a.is_array()) {
    for (size_t i = 0; i < a.items().size(); ++i) {
      if (!Equivalent(a.items()[i], b.items()[i])) return false;
    }
    return true;
  }
  if (a.is_object()) {
    for (const Member& m : a.members()) {
      const Value* other = b.Find(m.key);
      if (other == nullptr || !Equivalent(m.value, *other)) return false;
    }
    return true;
  }
  return a == b;
}

}  // namespace coaming::base::json
