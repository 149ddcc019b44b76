#include "base/http/url.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"

namespace coaming::base {
namespace {

constexpr size_t kMaxUrl = 16 << 10;
constexpr char kHexUpper[] = "0123456789ABCDEF";

bool Unreserved(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '.' || c == '_' ||
         c == '~';
}

// What may stand in a URL at all (RFC 3986 2.2, 2.3, and "%").
bool UrlByte(char c) {
  return Unreserved(c) ||
         (c != '\0' && std::string_view(":/?#[]@!$&'()*+,;=%").find(c) != std::string_view::npos);
}

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool EscapesOk(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') continue;
    if (i + 2 >= text.size() || HexValue(text[i + 1]) < 0 || HexValue(text[i + 2]) < 0)
      return false;
    i += 2;
  }
  return true;
}

// Escapes of unreserved bytes are undone, others get upper-case digits (RFC 3986 6.2.2).
std::string NormalEscapes(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    const int value = HexValue(text[i + 1]) * 16 + HexValue(text[i + 2]);
    i += 2;
    if (Unreserved(static_cast<char>(value))) {
      out += static_cast<char>(value);
    } else {
      out += '%';
      out += kHexUpper[value >> 4];
      out += kHexUpper[value & 15];
    }
  }
  return out;
}

// RFC 3986 5.2.4 for an absolute path.
std::string RemoveDots(std::string_view path) {
  std::vector<std::string_view> parts;
  bool directory = false;
  while (!path.empty()) {
    path.remove_prefix(1);  // the slash
    const size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    path.remove_prefix(slash == std::string_view::npos ? path.size() : slash);
    directory = false;
    if (part == ".") {
      directory = true;
    } else if (part == "..") {
      if (!parts.empty()) parts.pop_back();
      directory = true;
    } else {
      parts.push_back(part);
    }
  }
  std::string out;
  for (const std::string_view part : parts) absl::StrAppend(&out, "/", part);
  if (directory || out.empty()) out += '/';
  return out;
}

ErrorMaker BadUrl(std::string_view text) {
  return Fail("http.url") << "\"" << UrlForMessage(text) << "\": ";
}

bool HostNameOk(std::string_view host) {
  if (host.empty() || host.size() > 253) return false;
  std::string_view rest = host, label;
  for (;;) {
    const size_t dot = rest.find('.');
    label = rest.substr(0, dot);
    if (label.empty() || label.size() > 63) return false;
    for (const char c : label) {
      if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) && c != '-' && c != '_') return false;
    }
    if (dot == std::string_view::npos) break;
    rest.remove_prefix(dot + 1);
  }
  // "127.1", "0x7f.0.0.1" and the like mean one thing to one parser and another to the next.
  bool digits = true, hex = absl::StartsWith(label, "0x");
  for (size_t i = 0; i < label.size(); ++i) {
    if (!absl::ascii_isdigit(static_cast<unsigned char>(label[i]))) digits = false;
    if (i >= 2 && HexValue(label[i]) < 0) hex = false;
  }
  if (digits || hex) {
    in_addr address;
    return inet_pton(AF_INET, std::string(host).c_str(), &address) == 1;
  }
  return true;
}

}  // namespace

absl::Status Url::SetAuthority(std::string_view authority) {
  if (const size_t at = authority.rfind('@'); at != std::string_view::npos) {
    userinfo_ = authority.substr(0, at);
    if (userinfo_.find('@') != std::string::npos || !EscapesOk(userinfo_)) {
      return Fail("http.url") << "the user name in a URL is malformed";
    }
    authority.remove_prefix(at + 1);
  }
  std::string_view port;
  bool has_port = false;
  if (!authority.empty() && authority.front() == '[') {
    const size_t end = authority.find(']');
    if (end == std::string_view::npos) return Fail("http.url") << "an IPv6 address lacks its \"]\"";
    in6_addr address;
    char text[INET6_ADDRSTRLEN];
    if (inet_pton(AF_INET6, std::string(authority.substr(1, end - 1)).c_str(), &address) != 1 ||
        inet_ntop(AF_INET6, &address, text, sizeof text) == nullptr) {
      return Fail("http.url") << "\"" << authority.substr(0, end + 1)
                              << "\" is not an IPv6 address";
    }
    host_ = text;
    authority.remove_prefix(end + 1);
    has_port = !authority.empty();
    if (has_port && authority.front() != ':') {
      return Fail("http.url") << "there is something between a host and its port";
    }
    port = authority.substr(has_port ? 1 : 0);
  } else {
    const size_t colon = authority.find(':');
    host_ = absl::AsciiStrToLower(authority.substr(0, colon));
    has_port = colon != std::string_view::npos;
    if (has_port) port = authority.substr(colon + 1);
    if (!HostNameOk(host_)) {
      return Fail("http.url") << "\"" << host_ << "\" is not a host name or address";
    }
  }
  port_ = https() ? 443 : 80;
  if (has_port && !port.empty()) {
    int number = 0;
    for (const char c : port) {
      if (!absl::ascii_isdigit(static_cast<unsigned char>(c)) || number > 65535) {
        number = 0;
        break;
      }
      number = number * 10 + (c - '0');
    }
    if (number < 1 || number > 65535) {
      return Fail("http.url") << "\"" << port << "\" is not a port of 1 to 65535";
    }
    port_ = number;
  }
  return absl::OkStatus();
}

absl::StatusOr<Url> Url::Parse(std::string_view text) {
  if (text.size() > kMaxUrl) return BadUrl(text.substr(0, 200)) << "longer than " << kMaxUrl;
  for (const char c : text) {
    if (!UrlByte(c)) return BadUrl(text) << "holds a byte that no URL may hold";
  }
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos) return BadUrl(text) << "has no scheme";
  Url url;
  url.scheme_ = absl::AsciiStrToLower(text.substr(0, colon));
  if (url.scheme_ != "https" && url.scheme_ != "http") {
    return BadUrl(text) << "the scheme is neither https nor http";
  }
  std::string_view rest = text.substr(colon + 1);
  if (!absl::StartsWith(rest, "//"))
    return BadUrl(text) << "\"//\" and a host must follow the scheme";
  rest.remove_prefix(2);
  rest = rest.substr(0, rest.find('#'));
  const size_t end = std::min(rest.find_first_of("/?"), rest.size());
  if (absl::Status s = url.SetAuthority(rest.substr(0, end)); !s.ok()) {
    return BadUrl(text) << GetError(s).message;
  }
  rest.remove_prefix(end);
  const size_t question = rest.find('?');
  const std::string_view path = rest.substr(0, question);
  if (question != std::string_view::npos) {
    url.has_query_ = true;
    url.query_ = rest.substr(question + 1);
  }
  if (!EscapesOk(path) || !EscapesOk(url.query_)) {
    return BadUrl(text) << "a \"%\" is not followed by two hex digits";
  }
  if (path.find_first_of("[]") != std::string_view::npos) {
    return BadUrl(text) << "the path holds a bracket";
  }
  url.path_ = path.empty() ? "/" : RemoveDots(NormalEscapes(path));
  return url;
}

absl::StatusOr<Url> Url::Resolve(std::string_view reference) const {
  if (reference.size() > kMaxUrl) {
    return BadUrl(reference.substr(0, 200)) << "longer than " << kMaxUrl;
  }
  // Servers send blanks, UTF-8 and the like; what could split a line or move the host is refused.
  std::string clean;
  for (const char c : reference) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20) || byte == 0x7f || c == '\\') {
      return BadUrl(reference) << "holds a byte that no URL may hold";
    }
    if (UrlByte(c)) {
      clean += c;
    } else {
      clean += '%';
      clean += kHexUpper[byte >> 4];
      clean += kHexUpper[byte & 15];
    }
  }
  std::string_view ref = clean;
  ref = ref.substr(0, ref.find('#'));
  const size_t special = ref.find_first_of(":/?");
  if (special != std::string_view::npos && ref[special] == ':') return Parse(ref);  // has a scheme
  if (absl::StartsWith(ref, "//")) return Parse(absl::StrCat(scheme_, ":", ref));
  const std::string origin = Origin();
  if (ref.empty()) return WithoutUserinfo();
  std::string target;
  if (ref.front() == '/') {
    target = absl::StrCat(origin, ref);
  } else if (ref.front() == '?') {
    target = absl::StrCat(origin, path_, ref);
  } else {
    target = absl::StrCat(origin, path_.substr(0, path_.rfind('/') + 1), ref);
  }
  return Parse(target);
}

std::string Url::HostPort() const {
  std::string out = host_.find(':') != std::string::npos ? absl::StrCat("[", host_, "]") : host_;
  if (port_ != (https() ? 443 : 80)) absl::StrAppend(&out, ":", port_);
  return out;
}

std::string Url::Origin() const { return absl::StrCat(scheme_, "://", HostPort()); }

bool Url::SameOrigin(const Url& other) const {
  return scheme_ == other.scheme_ && host_ == other.host_ && port_ == other.port_;
}

std::string Url::RequestTarget() const {
  return has_query_ ? absl::StrCat(path_, "?", query_) : path_;
}

std::string Url::str() const { return absl::StrCat(Origin(), RequestTarget()); }

std::string Url::ForMessage() const { return absl::StrCat(Origin(), path_); }

absl::StatusOr<Url> Url::WithPath(std::string_view path) const {
  if (path.empty() || path.front() != '/' || path.find_first_of("?#") != std::string_view::npos) {
    return Fail("http.url") << "\"" << path << "\" is not the path of a URL";
  }
  COAM_ASSIGN_OR_RETURN(Url url, Parse(absl::StrCat(Origin(), path)));
  url.userinfo_ = userinfo_;
  return url;
}

Url Url::WithQuery(std::string_view query) const {
  Url url = *this;
  url.query_ = query;
  url.has_query_ = !query.empty();
  return url;
}

Url Url::WithoutUserinfo() const {
  Url url = *this;
  url.userinfo_.clear();
  return url;
}

Url Url::AddQuery(std::string_view name, std::string_view value) const {
  Url url = *this;
  url.has_query_ = true;
  absl::StrAppend(&url.query_, url.query_.empty() ? "" : "&", PercentEncode(name), "=",
                  PercentEncode(value));
  return url;
}

std::string UrlForMessage(std::string_view text) {
  text = text.substr(0, text.find_first_of("?#"));
  const size_t scheme = text.find("://");
  const size_t begin = scheme == std::string_view::npos ? 0 : scheme + 3;
  // A user name ends at the last "@" before the path; where there is no scheme, at any "@".
  const size_t slash = text.find_first_of("/\\", begin);
  const size_t at = text.substr(0, slash).rfind('@');
  std::string out(text.substr(0, begin));
  out += text.substr(at != std::string_view::npos && at >= begin ? at + 1 : begin).substr(0, 1024);
  for (char& c : out) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) c = '?';
  }
  return out;
}

std::string PercentEncode(std::string_view bytes, std::string_view keep) {
  std::string out;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (Unreserved(c) || keep.find(c) != std::string_view::npos) {
      out += c;
    } else {
      out += '%';
      out += kHexUpper[byte >> 4];
      out += kHexUpper[byte & 15];
    }
  }
  return out;
}

absl::StatusOr<std::string> PercentDecode(std::string_view text) {
  if (!EscapesOk(text)) return Fail("http.url") << "a \"%\" is not followed by two hex digits";
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    out += static_cast<char>(HexValue(text[i + 1]) * 16 + HexValue(text[i + 2]));
    i += 2;
  }
  return out;
}

}  // namespace coaming::base
