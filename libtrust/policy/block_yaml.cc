#include "libtrust/policy/block_yaml.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "base/core/error.h"
#include "base/core/limits.h"
#include "base/core/status_macros.h"
#include "base/json/json.h"

namespace coaming::trust {
namespace {

using base::json::Value;

constexpr int kMaxNesting = 8;

struct Line {
  int number = 0;
  size_t indent = 0;
  std::string key;
  Value value;
  bool opens = false;  // nothing follows the colon: a mapping beneath it, or null
};

class Reader {
 public:
  explicit Reader(std::string_view file) : file_(file) {}

  absl::Status Split(std::string_view text) {
    int number = 0;
    bool content = false;
    for (std::string_view raw : absl::StrSplit(text, '\n')) {
      ++number;
      if (raw.ends_with('\r')) raw.remove_suffix(1);
      std::string_view rest = absl::StripLeadingAsciiWhitespace(raw);
      if (rest.empty() || rest[0] == '#') continue;
      if (raw == "---" && !content) continue;
      content = true;
      Line line;
      line.number = number;
      line.indent = raw.find_first_not_of(' ');
      if (raw[line.indent] == '\t') return Bad(number, "a tab is no indentation");
      COAM_RETURN_IF_ERROR(ReadLine(rest, &line));
      lines_.push_back(std::move(line));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<Value> Document() {
    if (lines_.empty()) return Value::MakeObject();
    COAM_ASSIGN_OR_RETURN(Value out, Mapping(lines_[0].indent, 0));
    if (next_ < lines_.size()) return Bad(lines_[next_].number, "the indentation does not fit");
    return out;
  }

 private:
  absl::Status Bad(int number, std::string_view why) const {
    return base::Fail("policy.invalid") << file_ << ", line " << number << ": " << why;
  }

  absl::Status ReadLine(std::string_view rest, Line* line) const {
    if (rest.starts_with("- ") || rest == "-") return Bad(line->number, "a list has no place here");
    if (rest[0] == '"' || rest[0] == '\'') {
      COAM_RETURN_IF_ERROR(Quoted(line->number, &rest, &line->key));
      rest = absl::StripLeadingAsciiWhitespace(rest);
      if (!rest.starts_with(':')) return Bad(line->number, "a colon must follow the key");
      rest.remove_prefix(1);
      if (!rest.empty() && rest[0] != ' ')
        return Bad(line->number, "a blank must follow the colon");
    } else {
      size_t colon = 0;
      while (colon < rest.size() &&
             (rest[colon] != ':' || (colon + 1 < rest.size() && rest[colon + 1] != ' '))) {
        if (rest[colon] == '#' && colon > 0 && rest[colon - 1] == ' ') break;
        ++colon;
      }
      if (colon >= rest.size() || rest[colon] != ':') {
        return Bad(line->number, "want KEY: VALUE");
      }
      line->key = absl::StripTrailingAsciiWhitespace(rest.substr(0, colon));
      if (line->key.empty() ||
          std::string_view("?{}[],&*!|>@`%").find(line->key[0]) != std::string_view::npos) {
        return Bad(line->number, "this kind of YAML is not read here");
      }
      rest.remove_prefix(colon + 1);
    }
    return Scalar(absl::StripAsciiWhitespace(rest), line);
  }

  absl::Status Scalar(std::string_view rest, Line* line) const {
    if (rest.empty() || rest[0] == '#') {
      line->opens = true;
      return absl::OkStatus();
    }
    if (rest[0] == '"' || rest[0] == '\'') {
      std::string text;
      COAM_RETURN_IF_ERROR(Quoted(line->number, &rest, &text));
      rest = absl::StripLeadingAsciiWhitespace(rest);
      if (!rest.empty() && rest[0] != '#') return Bad(line->number, "text follows the quotes");
      line->value = Value(std::move(text));
      return absl::OkStatus();
    }
    if (size_t comment = rest.find(" #"); comment != std::string_view::npos) {
      rest = absl::StripTrailingAsciiWhitespace(rest.substr(0, comment));
    }
    if (rest == "{}") {
      line->value = Value::MakeObject();
      return absl::OkStatus();
    }
    if (std::string_view("{}[],&*!|>@`%").find(rest[0]) != std::string_view::npos ||
        rest.starts_with("- ") || rest.find(": ") != std::string_view::npos ||
        rest.ends_with(':')) {
      return Bad(line->number, "this kind of YAML is not read here");
    }
    std::string lower = absl::AsciiStrToLower(rest);
    if (lower == "true" || lower == "false") {
      line->value = Value(lower == "true");
    } else if (lower != "null" && rest != "~") {
      line->value = Value(std::string(rest));
    }
    return absl::OkStatus();
  }

  // Takes one quoted text off the front of `rest`.
  absl::Status Quoted(int number, std::string_view* rest, std::string* out) const {
    char quote = rest->front();
    size_t i = 1;
    for (; i < rest->size(); ++i) {
      char c = (*rest)[i];
      if (c == quote) {
        if (quote == '\'' && i + 1 < rest->size() && (*rest)[i + 1] == '\'') {
          out->push_back('\'');
          ++i;
          continue;
        }
        rest->remove_prefix(i + 1);
        return absl::OkStatus();
      }
      if (c == '\\' && quote == '"') {
        if (i + 1 >= rest->size()) break;
        c = (*rest)[++i];
        if (c != '"' && c != '\\' && c != '/') return Bad(number, "this escape is not read here");
      }
      out->push_back(c);
    }
    return Bad(number, "the quotes do not end");
  }

  absl::StatusOr<Value> Mapping(size_t indent, int depth) {
    if (depth > kMaxNesting) return Bad(lines_[next_].number, "nested too deeply");
    Value out = Value::MakeObject();
    while (next_ < lines_.size() && lines_[next_].indent == indent) {
      Line& line = lines_[next_++];
      if (out.Find(line.key) != nullptr) {
        return Bad(line.number, "the key stands here twice");
      }
      if (line.opens && next_ < lines_.size() && lines_[next_].indent > indent) {
        COAM_ASSIGN_OR_RETURN(line.value, Mapping(lines_[next_].indent, depth + 1));
      }
      out.Set(line.key, std::move(line.value));
    }
    if (next_ < lines_.size() && lines_[next_].indent > indent) {
      return Bad(lines_[next_].number, "the indentation does not fit");
    }
    return out;
  }

  std::string_view file_;
  std::vector<Line> lines_;
  size_t next_ = 0;
};

}  // namespace

absl::StatusOr<Value> ParseBlockYaml(std::string_view file, std::string_view text) {
  const base::Limits limits;
  if (static_cast<int64_t>(text.size()) > limits.manifest_bytes) {
    return base::FailLimit("manifest_bytes", limits.manifest_bytes) << file;
  }
  if (absl::StripLeadingAsciiWhitespace(text).starts_with('{')) {
    auto parsed = base::json::ParseObject(text);
    if (parsed.ok()) return parsed;
    return base::Fail("policy.invalid").Cause(parsed.status())
           << file << ": " << base::GetError(parsed.status()).message;
  }
  Reader reader(file);
  COAM_RETURN_IF_ERROR(reader.Split(text));
  return reader.Document();
}

}  // namespace coaming::trust
