// WWW-Authenticate (RFC 9110 11.6.1) and Link (RFC 8288 3) fields.
#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "base/http/headers.h"

namespace coaming::base {
namespace {

// A cursor over one field value.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  bool done() const { return rest_.empty(); }
  char peek() const { return rest_.empty() ? '\0' : rest_.front(); }
  std::string_view rest() const { return rest_; }
  void Reset(std::string_view rest) { rest_ = rest; }

  void SkipBlanks() {
    while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\t')) {
      rest_.remove_prefix(1);
    }
  }
  void SkipBlanksAnd(char c) {
    while (!rest_.empty() &&
           (rest_.front() == ' ' || rest_.front() == '\t' || rest_.front() == c)) {
      rest_.remove_prefix(1);
    }
  }
  bool Eat(char c) {
    if (peek() != c || rest_.empty()) return false;
    rest_.remove_prefix(1);
    return true;
  }
  std::string_view TakeWhile(bool (*pred)(char)) {
    const size_t n =
        static_cast<size_t>(std::find_if_not(rest_.begin(), rest_.end(), pred) - rest_.begin());
    const std::string_view taken = rest_.substr(0, n);
    rest_.remove_prefix(n);
    return taken;
  }
  // A quoted string, the opening quote being next; an unclosed one takes all.
  std::string Quoted() {
    std::string out;
    rest_.remove_prefix(1);
    while (!rest_.empty()) {
      char c = rest_.front();
      rest_.remove_prefix(1);
      if (c == '"') break;
      if (c == '\\' && !rest_.empty()) {
        c = rest_.front();
        rest_.remove_prefix(1);
      }
      out += c;
    }
    return out;
  }

 private:
  std::string_view rest_;
};

bool Token(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
         (c != '\0' && std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos);
}
bool Token68(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
         (c != '\0' && std::string_view("-._~+/").find(c) != std::string_view::npos);
}
// Servers leave the quotes out round URLs.
bool Unquoted(char c) { return c != ',' && c != ' ' && c != '\t' && c != ';'; }
bool Equals(char c) { return c == '='; }

// NAME=VALUE; leaves the scanner alone and gives false if there is none.
bool Param(Scanner& s, std::pair<std::string, std::string>* out) {
  const std::string_view before = s.rest();
  const std::string_view name = s.TakeWhile(Token);
  s.SkipBlanks();
  if (name.empty() || !s.Eat('=')) {
    s.Reset(before);
    return false;
  }
  s.SkipBlanks();
  out->first = absl::AsciiStrToLower(name);
  out->second = s.peek() == '"' ? s.Quoted() : std::string(s.TakeWhile(Unquoted));
  return true;
}

}  // namespace

std::string_view HttpChallenge::Param(std::string_view name) const {
  for (const auto& [n, v] : params) {
    if (absl::EqualsIgnoreCase(n, name)) return v;
  }
  return {};
}

std::vector<HttpChallenge> ParseChallenges(std::string_view field_value) {
  std::vector<HttpChallenge> found;
  Scanner s(field_value);
  for (;;) {
    s.SkipBlanksAnd(',');
    if (s.done()) return found;
    HttpChallenge c;
    c.scheme = absl::AsciiStrToLower(s.TakeWhile(Token));
    if (c.scheme.empty()) return found;
    const bool blank = s.peek() == ' ' || s.peek() == '\t';
    s.SkipBlanks();
    if (!blank && !s.done() && s.peek() != ',') return found;
    // A token68 ends at a comma or the end; a parameter goes on after its "=".
    const std::string_view before = s.rest();
    const std::string_view token = s.TakeWhile(Token68);
    const std::string_view padding = s.TakeWhile(Equals);
    s.SkipBlanks();
    if (blank && !token.empty() && (s.done() || s.peek() == ',')) {
      c.token68 = std::string(token) + std::string(padding);
      found.push_back(std::move(c));
      continue;
    }
    s.Reset(before);
    std::pair<std::string, std::string> param;
    while (Param(s, &param)) {
      c.params.push_back(std::move(param));
      s.SkipBlanks();
      const std::string_view at_comma = s.rest();
      if (!s.Eat(',')) break;
      s.SkipBlanksAnd(',');
      // The next is either a parameter or a new scheme.
      const std::string_view next = s.rest();
      std::pair<std::string, std::string> ahead;
      if (!Param(s, &ahead)) {
        s.Reset(at_comma);
        break;
      }
      s.Reset(next);
    }
    found.push_back(std::move(c));
    if (!s.done() && s.peek() != ',') return found;
  }
}

std::vector<HttpChallenge> ParseChallenges(const HttpHeaders& headers) {
  std::vector<HttpChallenge> found;
  for (const std::string_view value : headers.All("WWW-Authenticate")) {
    for (HttpChallenge& c : ParseChallenges(value)) found.push_back(std::move(c));
  }
  return found;
}

bool HttpLink::HasRel(std::string_view rel) const {
  for (const auto& [name, value] : params) {
    if (name != "rel") continue;
    Scanner s(value);
    for (;;) {
      s.SkipBlanks();
      if (s.done()) break;
      const std::string_view word = s.TakeWhile([](char c) { return c != ' ' && c != '\t'; });
      if (absl::EqualsIgnoreCase(word, rel)) return true;
    }
    return false;  // only the first counts (RFC 8288 3.3)
  }
  return false;
}

std::vector<HttpLink> ParseLinks(const HttpHeaders& headers) {
  std::vector<HttpLink> found;
  for (const std::string_view value : headers.All("Link")) {
    Scanner s(value);
    for (;;) {
      s.SkipBlanksAnd(',');
      if (!s.Eat('<')) break;
      HttpLink link;
      link.target = absl::StripAsciiWhitespace(s.TakeWhile([](char c) { return c != '>'; }));
      if (!s.Eat('>')) break;
      for (;;) {
        s.SkipBlanksAnd(';');
        std::pair<std::string, std::string> param;
        if (s.done() || s.peek() == ',') break;
        if (!Param(s, &param)) {
          // A parameter without value.
          const std::string_view name = s.TakeWhile(Token);
          if (name.empty()) break;
          param = {absl::AsciiStrToLower(name), ""};
        }
        link.params.push_back(std::move(param));
      }
      found.push_back(std::move(link));
      if (!s.done() && s.peek() != ',') break;
    }
  }
  return found;
}

}  // namespace coaming::base
