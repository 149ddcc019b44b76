#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// RapidJSON answers broken invariants with assert() by default; a library must not end its host.
#define RAPIDJSON_ASSERT(x) ((void)0)
#define RAPIDJSON_NAMESPACE coaming_rapidjson
#define RAPIDJSON_NAMESPACE_BEGIN namespace coaming_rapidjson {
#define RAPIDJSON_NAMESPACE_END }
#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/json/json.h"
#include "rapidjson/reader.h"

namespace coaming::base::json {
namespace {

namespace rj = coaming_rapidjson;

constexpr unsigned kFlags =
    rj::kParseValidateEncodingFlag | rj::kParseNumbersAsStringsFlag | rj::kParseIterativeFlag;

// Input is RapidJSON's idea of a stream over bytes that need no NUL at their end.
class Input {
 public:
  using Ch = char;
  explicit Input(std::string_view text)
      : begin_(text.data()), at_(text.data()), end_(text.data() + text.size()) {}
  Ch Peek() const { return at_ == end_ ? '\0' : *at_; }
  Ch Take() { return at_ == end_ ? '\0' : *at_++; }
  size_t Tell() const { return static_cast<size_t>(at_ - begin_); }
  Ch* PutBegin() { return nullptr; }
  void Put(Ch) {}
  void Flush() {}
  size_t PutEnd(Ch*) { return 0; }

 private:
  const char* begin_;
  const char* at_;
  const char* end_;
};

std::string_view LimitName(int64_t Limits::*field) {
  for (size_t i = 0; const LimitInfo* info = LimitAt(i); ++i) {
    if (info->field == field) return info->name;
  }
  return "bytes";
}

// ErrorAt builds "line 3, column 7: <what>".
ErrorMaker ErrorAt(std::string_view reason, std::string_view text, size_t offset,
                   std::string_view what) {
  std::string_view before = text.substr(0, std::min(offset, text.size()));
  int64_t line = 1 + std::count(before.begin(), before.end(), '\n');
  size_t start = before.rfind('\n');
  size_t column = before.size() - (start == std::string_view::npos ? 0 : start + 1) + 1;
  return Fail(reason)
             .Detail("json.line", line)
             .Detail("json.column", column)
             .Detail("json.offset", offset)
         << "line " << line << ", column " << column << ": " << what;
}

std::string_view Words(rj::ParseErrorCode code) {
  switch (code) {
    case rj::kParseErrorDocumentEmpty: return "there is no value";
    case rj::kParseErrorDocumentRootNotSingular: return "something follows the value";
    case rj::kParseErrorValueInvalid: return "want a value";
    case rj::kParseErrorObjectMissName: return "want a member name in quotes";
    case rj::kParseErrorObjectMissColon: return "want a colon after the member name";
    case rj::kParseErrorObjectMissCommaOrCurlyBracket: return "want a comma or } in the object";
    case rj::kParseErrorArrayMissCommaOrSquareBracket: return "want a comma or ] in the array";
    case rj::kParseErrorStringUnicodeEscapeInvalidHex: return "want four hex digits after \\u";
    case rj::kParseErrorStringUnicodeSurrogateInvalid:
      return "half of a surrogate pair stands alone";
    case rj::kParseErrorStringEscapeInvalid: return "this escape is not known";
    case rj::kParseErrorStringMissQuotationMark: return "a string is not closed";
    case rj::kParseErrorStringInvalidEncoding:
      return "bytes in a string are not UTF-8, or a raw control character";
    case rj::kParseErrorNumberTooBig: return "a number is too big";
    case rj::kParseErrorNumberMissFraction: return "want digits after the point of a number";
    case rj::kParseErrorNumberMissExponent: return "want digits in the exponent of a number";
    default: return "not JSON";
  }
}

// Handler builds the tree. It finds where each value starts by skipping what may stand between the
// end of the last token and the next one.
class Handler {
 public:
  Handler(std::string_view text, const Limits& limits, const Input& input)
      : text_(text), limits_(limits), input_(input) {}

  bool Null() { return Leaf(Value(), 4); }
  bool Bool(bool value) { return Leaf(Value(value), value ? 4 : 5); }
  bool RawNumber(const char* text, rj::SizeType size, bool) {
    return Leaf(Value::MakeNumber(std::string(text, size)), size);
  }
  // Never called: numbers come as text.
  bool Int(int) { return false; }
  bool Uint(unsigned) { return false; }
  bool Int64(int64_t) { return false; }
  bool Uint64(uint64_t) { return false; }
  bool Double(double) { return false; }

  bool String(const char* text, rj::SizeType size, bool) {
    SkipToToken();
    if (!CheckSurrogates(text, size)) return false;
    return Leaf(Value(std::string(text, size)), input_.Tell() - last_);
  }
  bool Key(const char* text, rj::SizeType size, bool) {
    SkipToToken();
    if (!CheckSurrogates(text, size)) return false;
    key_.assign(text, size);
    last_ = input_.Tell();
    return true;
  }
  bool StartObject() { return Open(Value::MakeObject()); }
  bool StartArray() { return Open(Value::MakeArray()); }
  bool EndObject(rj::SizeType) { return CheckKeys(*open_.back()) && Close(); }
  bool EndArray(rj::SizeType) { return Close(); }

  Value& root() { return root_; }
  const absl::Status& status() const { return status_; }

 private:
  void SkipToToken() {
    while (last_ < text_.size()) {
      char c = text_[last_];
      if (c != ' ' && c != '\n' && c != '\r' && c != '\t' && c != ',' && c != ':') break;
      ++last_;
    }
  }

  bool Refuse(absl::Status status) {
    status_ = std::move(status);
    return false;
  }

  // RapidJSON 1.1 writes a lone low surrogate escape as three bytes that are not UTF-8. Raw ones
  // were refused by its own check.
  bool CheckSurrogates(const char* text, size_t size) {
    std::string_view s(text, size);
    for (size_t at = s.find('\xed'); at != s.npos; at = s.find('\xed', at + 1)) {
      if (at + 1 < size && static_cast<unsigned char>(s[at + 1]) >= 0xa0) {
        return Refuse(ErrorAt("json.invalid", text_, last_,
                              Words(rj::kParseErrorStringUnicodeSurrogateInvalid)));
      }
    }
    return true;
  }

  Value* Add(Value value) {
    if (++values_ > limits_.json_values) {
      Refuse(FailLimit("json_values", limits_.json_values)
             << "JSON document holds more than " << limits_.json_values << " values");
      return nullptr;
    }
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    Value& parent = *open_.back();
    if (parent.is_array()) return &parent.Push(std::move(value));
    std::vector<Member>& members = parent.mutable_members();
    members.push_back(Member{std::move(key_), std::move(value)});
    key_.clear();
    return &members.back().value;
  }

  bool Leaf(Value value, size_t size) {
    SkipToToken();
    value.set_source(last_, size);
    last_ += size;
    return Add(std::move(value)) != nullptr;
  }

  // Pointers in open_ stay good: only the innermost container grows.
  bool Open(Value value) {
    SkipToToken();
    if (static_cast<int64_t>(open_.size()) >= limits_.json_depth) {
      return Refuse(FailLimit("json_depth", limits_.json_depth)
                    << "JSON document nests deeper than " << limits_.json_depth << " levels");
    }
    value.set_source(last_, 0);
    ++last_;
    Value* added = Add(std::move(value));
    if (added == nullptr) return false;
    open_.push_back(added);
    return true;
  }

  bool Close() {
    SkipToToken();
    ++last_;
    Value& value = *open_.back();
    value.set_source(value.source_offset(), last_ - value.source_offset());
    open_.pop_back();
    return true;
  }

  bool Duplicate(const Member& m) {
    return Refuse(ErrorAt("json.duplicate_key", text_, m.value.source_offset(),
                          absl::StrCat("the object names ", Quoted(m.key), " a second time")));
  }

  static std::string Quoted(std::string_view key) {
    std::string out;
    AppendQuoted(key.substr(0, 80), Escape::kMinimal, &out);
    return out;
  }

  bool CheckKeys(const Value& object) {
    const std::vector<Member>& members = object.members();
    if (members.size() <= 12) {
      for (size_t i = 1; i < members.size(); ++i) {
        for (size_t j = 0; j < i; ++j) {
          if (members[i].key == members[j].key) return Duplicate(members[i]);
        }
      }
      return true;
    }
    std::vector<const Member*> sorted;
    sorted.reserve(members.size());
    for (const Member& m : members) sorted.push_back(&m);
    std::sort(sorted.begin(), sorted.end(), [](const Member* a, const Member* b) {
      int c = a->key.compare(b->key);
      return c != 0 ? c < 0 : a < b;
    });
    for (size_t i = 1; i < sorted.size(); ++i) {
      if (sorted[i]->key == sorted[i - 1]->key) return Duplicate(*sorted[i]);
    }
    return true;
  }

  std::string_view text_;
  const Limits& limits_;
  const Input& input_;
  size_t last_ = 0;  // end of the last token
  int64_t values_ = 0;
  std::string key_;
  Value root_;
  std::vector<Value*> open_;
  absl::Status status_;
};

}  // namespace

absl::StatusOr<Value> Parse(std::string_view text, const ParseOptions& options) {
  const Limits defaults;
  const Limits& limits = options.limits != nullptr ? *options.limits : defaults;
  const int64_t max = std::min<int64_t>(limits.*options.max_bytes, UINT32_MAX);
  if (static_cast<int64_t>(text.size()) > max) {
    return FailLimit(LimitName(options.max_bytes), max)
           << "JSON document of " << text.size() << " bytes is larger than " << max;
  }
  if (text.substr(0, 3) == "\xef\xbb\xbf") {
    return ErrorAt("json.invalid", text, 0, "the document starts with a byte order mark");
  }
  Input input(text);
  Handler handler(text, limits, input);
  rj::Reader reader;
  rj::ParseResult result = reader.Parse<kFlags>(input, handler);
  if (!handler.status().ok()) return handler.status();
  if (result.IsError()) {
    return ErrorAt("json.invalid", text, result.Offset(), Words(result.Code()));
  }
  // RapidJSON takes a NUL byte for the end.
  if (input.Tell() != text.size()) {
    return ErrorAt("json.invalid", text, input.Tell(),
                   Words(rj::kParseErrorDocumentRootNotSingular));
  }
  return std::move(handler.root());
}

absl::StatusOr<Value> ParseObject(std::string_view text, const ParseOptions& options) {
  absl::StatusOr<Value> value = Parse(text, options);
  if (value.ok() && !value->is_object()) {
    return Fail("json.type") << "want an object, found " << TypeName(value->type());
  }
  return value;
}

}  // namespace coaming::base::json
