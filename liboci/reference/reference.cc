#include "liboci/reference/reference.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"

namespace coaming::oci {
namespace {

constexpr size_t kMaxName = 255;
constexpr size_t kMaxTag = 128;
constexpr size_t kMaxText = kMaxName + kMaxTag + 600;

bool IsLower(char c) { return c >= 'a' && c <= 'z'; }
bool IsUpper(char c) { return c >= 'A' && c <= 'Z'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsAlnum(char c) { return IsLower(c) || IsUpper(c) || IsDigit(c); }
bool IsLowerAlnum(char c) { return IsLower(c) || IsDigit(c); }

// IsPathComponent: [a-z0-9]+ joined by '.', '_', '__' or any run of '-'.
bool IsPathComponent(std::string_view c) {
  if (c.empty() || !IsLowerAlnum(c.front()) || !IsLowerAlnum(c.back())) return false;
  for (size_t i = 0; i < c.size();) {
    if (IsLowerAlnum(c[i])) {
      ++i;
      continue;
    }
    size_t start = i;
    char first = c[i];
    while (i < c.size() && !IsLowerAlnum(c[i])) {
      if (c[i] != first) return false;
      ++i;
    }
    size_t run = i - start;
    bool good = first == '-' || (first == '.' && run == 1) || (first == '_' && run <= 2);
    if (!good) return false;
  }
  return true;
}

bool IsDomainComponent(std::string_view c) {
  if (c.empty() || !IsAlnum(c.front()) || !IsAlnum(c.back())) return false;
  return std::all_of(c.begin(), c.end(), [](char ch) { return IsAlnum(ch) || ch == '-'; });
}

bool IsHex64(std::string_view text) { return text.size() == 64 && base::IsLowerHex(text); }

std::string Shown(std::string_view text) {
  std::string out;
  for (char c : text.substr(0, 200)) {
    bool control = static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    out.push_back(control ? '?' : c);
  }
  if (text.size() > 200) out += "...";
  return out;
}

absl::Status Bad(std::string_view text, std::string_view why) {
  return base::Fail("oci.reference")
         << "\"" << Shown(text) << "\" is not an image reference: " << why;
}

absl::StatusOr<Reference> ParseParts(std::string_view text) {
  if (text.empty()) return Bad(text, "it is empty");
  if (text.size() > kMaxText) return Bad(text, "it is too long");
  Reference r;
  std::string_view rest = text;
  if (size_t at = rest.find('@'); at != std::string_view::npos) {
    absl::StatusOr<base::Digest> digest = base::Digest::Parse(rest.substr(at + 1));
    if (!digest.ok() || digest->encoded().size() < 32) {
      return Bad(text, "what follows '@' is no digest");
    }
    r.digest = *std::move(digest);
    rest = rest.substr(0, at);
  }
  size_t slash = rest.rfind('/');
  size_t colon = rest.rfind(':');
  if (colon != std::string_view::npos && (slash == std::string_view::npos || colon > slash)) {
    r.tag = rest.substr(colon + 1);
    if (!IsTag(r.tag)) {
      return Bad(text, "a tag is a letter, digit or '_', then up to 127 of those, '.' and '-'");
    }
    rest = rest.substr(0, colon);
  }
  if (IsHex64(rest)) return Bad(text, "64 hex digits are an image ID, not a name");
  size_t first = rest.find('/');
  std::string_view head = rest.substr(0, first);
  bool has_upper = std::any_of(head.begin(), head.end(), IsUpper);
  if (first == std::string_view::npos ||
      (head.find_first_of(".:") == std::string_view::npos && head != "localhost" && !has_upper)) {
    r.host = "docker.io";
    r.repository = rest;
  } else {
    r.host = head;
    r.repository = rest.substr(first + 1);
    if (!IsRegistryHost(r.host)) return Bad(text, absl::StrCat("\"", Shown(head), "\" is no host"));
  }
  if (r.host == "index.docker.io") r.host = "docker.io";
  if (r.host == "docker.io" && r.repository.find('/') == std::string::npos) {
    r.repository.insert(0, "library/");
  }
  if (!IsRepository(r.repository)) {
    bool upper = std::any_of(r.repository.begin(), r.repository.end(), IsUpper);
    return Bad(text, upper ? "a repository has no upper-case letters"
                           : "a repository is lower-case letters and digits, joined by '/', '.', "
                             "'_', '__' or '-'");
  }
  if (r.Name().size() > kMaxName) return Bad(text, "the name is longer than 255 bytes");
  return r;
}

}  // namespace

bool IsTag(std::string_view text) {
  if (text.empty() || text.size() > kMaxTag) return false;
  if (!IsAlnum(text[0]) && text[0] != '_') return false;
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return IsAlnum(c) || c == '_' || c == '.' || c == '-'; });
}

bool IsRepository(std::string_view text) {
  if (text.empty() || text.size() > kMaxName) return false;
  while (true) {
    size_t slash = text.find('/');
    if (!IsPathComponent(text.substr(0, slash))) return false;
    if (slash == std::string_view::npos) return true;
    text.remove_prefix(slash + 1);
  }
}

bool IsRegistryHost(std::string_view text) {
  if (text.empty() || text.size() > kMaxName) return false;
  std::string_view rest;  // after the host: ":port" or nothing
  if (text[0] == '[') {
    size_t close = text.find(']');
    if (close == std::string_view::npos || close < 3) return false;
    std::string_view address = text.substr(1, close - 1);
    bool colon = false;
    for (char c : address) {
      bool hex = IsDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
      if (!hex && c != ':' && c != '.') return false;
      colon |= c == ':';
    }
    if (!colon) return false;
    rest = text.substr(close + 1);
  } else {
    size_t colon = text.find(':');
    std::string_view host = text.substr(0, colon);
    rest = colon == std::string_view::npos ? std::string_view() : text.substr(colon);
    while (true) {
      size_t dot = host.find('.');
      if (!IsDomainComponent(host.substr(0, dot))) return false;
      if (dot == std::string_view::npos) break;
      host.remove_prefix(dot + 1);
    }
  }
  if (rest.empty()) return true;
  if (rest[0] != ':' || rest.size() < 2 || rest.size() > 6) return false;
  int port = 0;
  for (char c : rest.substr(1)) {
    if (!IsDigit(c)) return false;
    port = port * 10 + (c - '0');
  }
  return port >= 1 && port <= 65535;
}

bool IsRefName(std::string_view text) {
  if (text.empty()) return false;
  bool after_alnum = false;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (IsAlnum(c)) {
      after_alnum = true;
      continue;
    }
    if (!after_alnum) return false;
    if (c == '-' && i + 1 < text.size() && text[i + 1] == '-') {
      ++i;  // "--"
    } else if (std::string_view("-._:@+/").find(c) == std::string_view::npos) {
      return false;
    }
    after_alnum = false;
  }
  return after_alnum;
}

std::string ReferrersTag(const base::Digest& digest) {
  std::string tag =
      absl::StrCat(digest.algorithm().substr(0, 32), "-", digest.encoded().substr(0, 64));
  for (char& c : tag) {
    if (!IsAlnum(c) && c != '_' && c != '.' && c != '-') c = '-';
  }
  return tag;
}

absl::StatusOr<Reference> Reference::Parse(std::string_view text) {
  COAM_ASSIGN_OR_RETURN(Reference r, ParseParts(text));
  if (r.tag.empty() && r.digest.empty()) r.tag = "latest";
  return r;
}

absl::StatusOr<Reference> Reference::ParseRepository(std::string_view text) {
  return ParseParts(text);
}

std::string Reference::Name() const { return absl::StrCat(host, "/", repository); }

std::string Reference::ToString() const {
  std::string out = Name();
  if (!tag.empty()) absl::StrAppend(&out, ":", tag);
  if (!digest.empty()) absl::StrAppend(&out, "@", digest.str());
  return out;
}

std::string Reference::Familiar() const {
  std::string_view full = repository;
  std::string out;
  if (host != "docker.io") {
    out = Name();
  } else if (full.starts_with("library/") && full.find('/', 8) == std::string_view::npos) {
    out = full.substr(8);
  } else {
    out = full;
  }
  if (!tag.empty()) absl::StrAppend(&out, ":", tag);
  if (!digest.empty()) absl::StrAppend(&out, "@", digest.str());
  return out;
}

std::string Reference::ApiHost() const {
  return host == "docker.io" ? "registry-1.docker.io" : host;
}

std::string Reference::Target() const { return digest.empty() ? tag : digest.str(); }

}  // namespace coaming::oci
