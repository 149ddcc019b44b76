// Url is an absolute http or https URL in normal form, and the resolution of references against one.
//
// Follows RFC 3986 (sections 3, 5, 6.2.2) with what fetching needs: a host, no user name unless asked
// for, no form that two parsers could read differently. Threads: [immutable]. Limits: 16 KiB. Hostile
// input: control bytes, blanks, backslashes, a host with percent-encoding, zone ids, non-ASCII hosts,
// numeric hosts that are not plain dotted quads, ports out of range: all refused (http.url). Messages
// about a URL never hold its query or user info.
#ifndef COAMING_BASE_HTTP_URL_H_
#define COAMING_BASE_HTTP_URL_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace coaming::base {

class Url {
 public:
  Url() = default;
  // Parse takes an absolute URL. Scheme and host are lowered, the default port is left out, "." and
  // ".." and needless percent-encoding go, an empty path becomes "/"; a fragment is dropped.
  static absl::StatusOr<Url> Parse(std::string_view text);
  // Resolve reads `reference` (a Location or Link value) against this URL (RFC 3986 5.2). Blanks and
  // bytes above 127 in its path and query, which servers do send, are percent-encoded.
  absl::StatusOr<Url> Resolve(std::string_view reference) const;

  bool https() const { return scheme_ == "https"; }
  const std::string& scheme() const { return scheme_; }
  const std::string& userinfo() const { return userinfo_; }  // as written, percent-encoded
  const std::string& host() const { return host_; }          // an IPv6 address without brackets
  int port() const { return port_; }                         // never 0
  const std::string& path() const { return path_; }          // starts with "/"
  const std::string& query() const { return query_; }        // without "?"
  bool has_query() const { return has_query_; }

  std::string HostPort() const;  // "host" or "host:8443" if not the default; brackets for IPv6
  std::string Origin() const;    // "https://host:8443"
  bool SameOrigin(const Url& other) const;
  std::string str() const;            // to fetch: without userinfo and fragment
  std::string ForMessage() const;     // without query and userinfo: to show
  std::string RequestTarget() const;  // "/path?query"

  // WithPath, WithQuery: a copy with that part replaced (already encoded).
  absl::StatusOr<Url> WithPath(std::string_view path) const;
  Url WithQuery(std::string_view query) const;
  Url WithoutUserinfo() const;
  // AddQuery appends "&name=value", both percent-encoded.
  Url AddQuery(std::string_view name, std::string_view value) const;

  bool operator==(const Url&) const = default;

 private:
  absl::Status SetAuthority(std::string_view authority);
  std::string scheme_ = "https", userinfo_, host_, path_ = "/", query_;
  int port_ = 443;
  bool has_query_ = false;
};

// UrlForMessage cuts user info, query and fragment from any text that may be a URL; safe for what does
// not parse.
std::string UrlForMessage(std::string_view text);
// PercentEncode keeps unreserved characters (RFC 3986 2.3) and those of `keep`.
std::string PercentEncode(std::string_view bytes, std::string_view keep = "");
// PercentDecode gives http.url for a broken escape.
absl::StatusOr<std::string> PercentDecode(std::string_view text);

}  // namespace coaming::base

#endif  // COAMING_BASE_HTTP_URL_H_
