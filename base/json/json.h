// JSON text in and out: a strict bounded parser, a writer that can match Go's bytes, and the canonical
// form that TUF and Notary sign. RFC 8259 and RFC 7493 (duplicate names refused, bad UTF-8 refused).
//
//   COAM_ASSIGN_OR_RETURN(json::Value doc, json::Parse(bytes));
//   json::ObjectReader r(doc, "manifest");     // base/json/reader.h: typed reading
//   std::string text = json::Write(doc);       // one line
//   std::string pretty = json::Write(doc, {.indent = "\t", .escape = json::Escape::kGo});
//
// Threads: functions without state. Limits: bytes (chosen by name), json_depth, json_values. Hostile
// input costs at most 100 bytes of memory per value beside its own text, and no recursion deeper than
// json_depth; a failed parse leaves nothing behind.
#ifndef COAMING_BASE_JSON_JSON_H_
#define COAMING_BASE_JSON_JSON_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/limits.h"
#include "base/json/value.h"

namespace coaming::base::json {

struct ParseOptions {
  const Limits* limits = nullptr;                        // null: the defaults
  int64_t Limits::*max_bytes = &Limits::manifest_bytes;  // which limit bounds the document
};

// Parse reads one JSON document: any value with white space round it, nothing else. A byte order
// mark, a duplicate key, bad UTF-8, a lone surrogate escape or a raw control character is refused.
// Errors: json.invalid and json.duplicate_key (details json.line, json.column, json.offset),
// core.limit.
absl::StatusOr<Value> Parse(std::string_view text, const ParseOptions& options = {});
// ParseObject is Parse and json.type if the document is not an object.
absl::StatusOr<Value> ParseObject(std::string_view text, const ParseOptions& options = {});

enum class Escape : uint8_t {
  kMinimal,   // what RFC 8259 demands: quote, backslash, controls
  kGo,        // encoding/json: also < > & and U+2028, U+2029 as \uXXXX
  kGoNoHtml,  // encoding/json after SetEscapeHTML(false): only U+2028, U+2029 beside the minimum
};

struct WriteOptions {
  std::string_view indent = {};  // empty: one line without spaces; else as Go's MarshalIndent
  std::string_view prefix = {};  // before each line but the first, as MarshalIndent has it
  Escape escape = Escape::kMinimal;
  bool sort_keys = false;      // by bytes, as Go does for maps
  bool final_newline = false;  // as Go's Encoder adds
};

// Write renders `value`. Numbers come out by their own text.
std::string Write(const Value& value, const WriteOptions& options = {});
// AppendQuoted appends `text` as a JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD.
void AppendQuoted(std::string_view text, Escape escape, std::string* out);

// WriteCanonical renders the OLPC canonical form: keys sorted by bytes, no spaces, only quote and
// backslash escaped, integers of any size in plain decimal. The result may hold raw control
// characters, so it is for hashing and signing, not for parsing. Errors: json.type for a number
// that is not an integer.
absl::StatusOr<std::string> WriteCanonical(const Value& value);

}  // namespace coaming::base::json

#endif  // COAMING_BASE_JSON_JSON_H_
