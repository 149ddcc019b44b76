#include "libtrust/policy/reference.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace coaming::trust {

namespace {

bool LowerOrDigit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

// [a-z0-9]+(separator [a-z0-9]+)*, separator one of . _ __ -+
bool IsPathComponent(std::string_view text) {
  size_t i = 0;
  auto word = [&] {
    size_t start = i;
    while (i < text.size() && LowerOrDigit(text[i])) ++i;
    return i > start;
  };
  if (!word()) return false;
  while (i < text.size()) {
    if (text[i] == '.') {
      ++i;
    } else if (text[i] == '_') {
      i += text.substr(i, 2) == "__" ? 2 : 1;
    } else if (text[i] == '-') {
      while (i < text.size() && text[i] == '-') ++i;
    } else {
      return false;
    }
    if (!word()) return false;
  }
  return true;
}

bool IsHost(std::string_view text) {
  size_t colon = text.rfind(':');
  if (absl::StartsWith(text, "[")) {
    size_t close = text.find(']');
    if (close == std::string_view::npos) return false;
    colon = close + 1 < text.size() ? close + 1 : std::string_view::npos;
    if (colon != std::string_view::npos && text[colon] != ':') return false;
    for (char c : text.substr(1, close - 1))
      if (!LowerOrDigit(c) && !(c >= 'A' && c <= 'F') && c != ':') return false;
  } else {
    std::string_view name = text.substr(0, colon);
    if (name.empty()) return false;
    for (std::string_view part : absl::StrSplit(name, '.')) {
      if (part.empty() || part.front() == '-' || part.back() == '-') return false;
      for (char c : part)
        if (!LowerOrDigit(c) && !(c >= 'A' && c <= 'Z') && c != '-') return false;
    }
  }
  if (colon == std::string_view::npos) return true;
  std::string_view port = text.substr(colon + 1);
  return !port.empty() && port.size() <= 5 &&
         std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool IsTag(std::string_view text) {
  if (text.empty() || text.size() > 128 || text[0] == '.' || text[0] == '-') return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return LowerOrDigit(c) || (c >= 'A' && c <= 'Z') || c == '_' || c == '.' || c == '-';
  });
}

bool IsDigest(std::string_view text) {
  size_t size = absl::StartsWith(text, "sha256:")   ? 7 + 64
                : absl::StartsWith(text, "sha384:") ? 7 + 96
                : absl::StartsWith(text, "sha512:") ? 7 + 128
                                                    : 0;
  if (text.size() != size || size == 0) return false;
  return std::all_of(text.begin() + 7, text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

void AddNamespaces(std::string_view repository, std::vector<std::string>* out) {
  out->emplace_back(repository);
  for (size_t slash = repository.rfind('/'); slash != std::string_view::npos;
       slash = repository.rfind('/')) {
    repository = repository.substr(0, slash);
    out->emplace_back(repository);
  }
  // Wildcards for the host's domains: *.example.com for registry.eu.example.com.
  std::string_view host = repository.substr(0, repository.find(':'));
  for (size_t dot = host.find('.'); dot != std::string_view::npos; dot = host.find('.')) {
    host = host.substr(dot + 1);
    out->push_back(absl::StrCat("*.", host));
  }
}

void AddPaths(std::string_view path, std::vector<std::string>* out) {
  while (!path.empty() && path != "/") {
    out->emplace_back(path);
    size_t slash = path.rfind('/');
    if (slash == std::string_view::npos) break;
    path = path.substr(0, slash);
  }
}

}  // namespace

std::string DockerName::ToString() const {
  return absl::StrCat(repository, tag.empty() ? "" : ":", tag, digest.empty() ? "" : "@", digest);
}

std::optional<DockerName> ParseDockerName(std::string_view text) {
  DockerName out;
  if (text.empty() || text.size() > 4096) return std::nullopt;
  // Sixty-four hex digits are an image id, not a name.
  if (text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
      }))
    return std::nullopt;
  if (size_t at = text.find('@'); at != std::string_view::npos) {
    out.digest = std::string(text.substr(at + 1));
    text = text.substr(0, at);
    if (!IsDigest(out.digest)) return std::nullopt;
  }
  size_t slash = text.rfind('/');
  size_t colon = text.find(':', slash == std::string_view::npos ? 0 : slash);
  if (colon != std::string_view::npos) {
    out.tag = std::string(text.substr(colon + 1));
    text = text.substr(0, colon);
    if (!IsTag(out.tag)) return std::nullopt;
  }
  std::string host = "docker.io";
  std::string_view path = text;
  if (size_t first = text.find('/'); first != std::string_view::npos) {
    std::string_view front = text.substr(0, first);
    bool upper =
        std::any_of(front.begin(), front.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
    if (front.find_first_of(".:") != std::string_view::npos || front == "localhost" || upper) {
      if (!IsHost(front)) return std::nullopt;
      host = std::string(front);
      path = text.substr(first + 1);
    }
  }
  if (host == "index.docker.io") host = "docker.io";
  for (std::string_view part : absl::StrSplit(path, '/'))
    if (!IsPathComponent(part)) return std::nullopt;
  bool library = host == "docker.io" && path.find('/') == std::string_view::npos;
  out.repository = absl::StrCat(host, "/", library ? "library/" : "", path);
  return out;
}

bool IsRemapPrefix(std::string_view text) {
  if (text.size() > 4096) return false;
  size_t slash = text.find('/');
  if (!IsHost(text.substr(0, slash))) return false;
  if (slash == std::string_view::npos) return true;
  for (std::string_view part : absl::StrSplit(text.substr(slash + 1), '/'))
    if (!IsPathComponent(part)) return false;
  return true;
}

std::vector<std::string> PolicyScopes(std::string_view transport, std::string_view name) {
  std::vector<std::string> out;
  if (transport == "docker" || transport == "atomic") {
    std::optional<DockerName> parsed = ParseDockerName(name);
    if (!parsed) return out;
    if (!parsed->digest.empty()) {
      out.push_back(absl::StrCat(parsed->repository, "@", parsed->digest));
    } else {
      out.push_back(
          absl::StrCat(parsed->repository, ":", parsed->tag.empty() ? "latest" : parsed->tag));
    }
    AddNamespaces(parsed->repository, &out);
    return out;
  }
  // Of a layout or archive only its path counts: "DIR:NAME" and "DIR" may be the same image.
  if (transport == "dir" || transport == "oci" || transport == "oci-archive") AddPaths(name, &out);
  return out;
}

}  // namespace coaming::trust
