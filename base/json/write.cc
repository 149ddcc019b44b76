#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/json/json.h"

namespace coaming::base::json {
namespace {

constexpr char kHex[] = "0123456789abcdef";

// Utf8Length is the length of the well-formed sequence at the front of `s`, or 0.
size_t Utf8Length(std::string_view s) {
  auto byte = [&s](size_t i) { return static_cast<unsigned char>(s[i]); };
  auto tail = [&](size_t i) { return i < s.size() && (byte(i) & 0xc0) == 0x80; };
  unsigned char c = byte(0);
  if (c < 0x80) return 1;
  if (c >= 0xc2 && c <= 0xdf) return tail(1) ? 2 : 0;
  if (c >= 0xe0 && c <= 0xef) {
    if (!tail(1) || !tail(2)) return 0;
    if (c == 0xe0 && byte(1) < 0xa0) return 0;
    if (c == 0xed && byte(1) > 0x9f) return 0;
    return 3;
  }
  if (c >= 0xf0 && c <= 0xf4) {
    if (!tail(1) || !tail(2) || !tail(3)) return 0;
    if (c == 0xf0 && byte(1) < 0x90) return 0;
    if (c == 0xf4 && byte(1) > 0x8f) return 0;
    return 4;
  }
  return 0;
}

void AppendUnicodeEscape(unsigned code, std::string* out) {
  *out += "\\u";
  for (int shift = 12; shift >= 0; shift -= 4) *out += kHex[(code >> shift) & 15];
}

std::vector<const Member*> Ordered(const Value& object, bool sort) {
  std::vector<const Member*> order;
  order.reserve(object.members().size());
  for (const Member& m : object.members()) order.push_back(&m);
  if (sort) {
    std::stable_sort(order.begin(), order.end(),
                     [](const Member* a, const Member* b) { return a->key < b->key; });
  }
  return order;
}

class Renderer {
 public:
  Renderer(const WriteOptions& options, std::string* out) : options_(options), out_(out) {}

  void Render(const Value& value, int depth) {
    switch (value.type()) {
      case Type::kNull: *out_ += "null"; return;
      case Type::kBool: *out_ += value.as_bool() ? "true" : "false"; return;
      case Type::kNumber: *out_ += value.number_text(); return;
      case Type::kString: AppendQuoted(value.as_string(), options_.escape, out_); return;
      case Type::kArray: {
        *out_ += '[';
        bool first = true;
        for (const Value& item : value.items()) {
          Separate(&first, depth + 1);
          Render(item, depth + 1);
        }
        if (!first) NewLine(depth);
        *out_ += ']';
        return;
      }
      case Type::kObject: {
        *out_ += '{';
        bool first = true;
        if (options_.sort_keys) {
          for (const Member* m : Ordered(value, true)) RenderMember(*m, &first, depth);
        } else {
          for (const Member& m : value.members()) RenderMember(m, &first, depth);
        }
        if (!first) NewLine(depth);
        *out_ += '}';
        return;
      }
    }
  }

 private:
  void RenderMember(const Member& m, bool* first, int depth) {
    Separate(first, depth + 1);
    AppendQuoted(m.key, options_.escape, out_);
    *out_ += ':';
    if (!options_.indent.empty()) *out_ += ' ';
    Render(m.value, depth + 1);
  }
  void Separate(bool* first, int depth) {
    if (!*first) *out_ += ',';
    *first = false;
    NewLine(depth);
  }
  void NewLine(int depth) {
    if (options_.indent.empty()) return;
    *out_ += '\n';
    *out_ += options_.prefix;
    for (int i = 0; i < depth; ++i) *out_ += options_.indent;
  }

  const WriteOptions& options_;
  std::string* out_;
};

void CanonicalString(std::string_view text, std::string* out) {
  *out += '"';
  for (char c : text) {
    if (c == '"' || c == '\\') *out += '\\';
    *out += c;
  }
  *out += '"';
}

absl::Status Canonical(const Value& value, std::string* out) {
  switch (value.type()) {
    case Type::kNull: *out += "null"; break;
    case Type::kBool: *out += value.as_bool() ? "true" : "false"; break;
    case Type::kNumber: {
      const std::string& text = value.number_text();
      if (text.find_first_not_of("0123456789", text[0] == '-' ? 1 : 0) != text.npos) {
        return Fail("json.type") << "the canonical form takes integers only, found " << text;
      }
      *out += text == "-0" ? "0" : text;
      break;
    }
    case Type::kString: CanonicalString(value.as_string(), out); break;
    case Type::kArray: {
      *out += '[';
      bool first = true;
      for (const Value& item : value.items()) {
        if (!first) *out += ',';
        first = false;
        COAM_RETURN_IF_ERROR(Canonical(item, out));
      }
      *out += ']';
      break;
    }
    case Type::kObject: {
      *out += '{';
      bool first = true;
      for (const Member* m : Ordered(value, true)) {
        if (!first) *out += ',';
        first = false;
        CanonicalString(m->key, out);
        *out += ':';
        COAM_RETURN_IF_ERROR(Canonical(m->value, out));
      }
      *out += '}';
      break;
    }
  }
  return absl::OkStatus();
}

}  // namespace

void AppendQuoted(std::string_view text, Escape escape, std::string* out) {
  *out += '"';
  size_t plain = 0;  // start of the run not yet appended
  auto flush = [&](size_t end) { out->append(text.data() + plain, end - plain); };
  for (size_t i = 0; i < text.size();) {
    unsigned char c = static_cast<unsigned char>(text[i]);
    const bool html = escape == Escape::kGo && (c == '<' || c == '>' || c == '&');
    if (c >= 0x20 && c < 0x80 && c != '"' && c != '\\' && !html) {
      ++i;
      continue;
    }
    if (c >= 0x80) {
      size_t length = Utf8Length(text.substr(i));
      const bool line = escape != Escape::kMinimal && length == 3 && c == 0xe2 &&
                        text[i + 1] == '\x80' && (text[i + 2] == '\xa8' || text[i + 2] == '\xa9');
      if (length != 0 && !line) {
        i += length;
        continue;
      }
      flush(i);
      if (line) {
        AppendUnicodeEscape(text[i + 2] == '\xa8' ? 0x2028 : 0x2029, out);
      } else if (escape == Escape::kMinimal) {
        *out += "\xef\xbf\xbd";
      } else {
        AppendUnicodeEscape(0xfffd, out);
      }
      i += length == 0 ? 1 : length;
      plain = i;
      continue;
    }
    flush(i);
    switch (c) {
      case '"': *out += "\\\""; break;
      case '\\': *out += "\\\\"; break;
      case '\n': *out += "\\n"; break;
      case '\r': *out += "\\r"; break;
      case '\t': *out += "\\t"; break;
      case '\b': *out += "\\b"; break;
      case '\f': *out += "\\f"; break;
      default: AppendUnicodeEscape(c, out);
    }
    plain = ++i;
  }
  flush(text.size());
  *out += '"';
}

std::string Write(const Value& value, const WriteOptions& options) {
  std::string out;
  Renderer(options, &out).Render(value, 0);
  if (options.final_newline) out += '\n';
  return out;
}

absl::StatusOr<std::string> WriteCanonical(const Value& value) {
  std::string out;
  COAM_RETURN_IF_ERROR(Canonical(value, &out));
  return out;
}

}  // namespace coaming::base::json
