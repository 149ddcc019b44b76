// HttpHeaders is a list of header fields (names compared without case, order kept), and the parsers of
// the field values that clients of registries and discovery need.
//
// Follows RFC 9110 (5.6, 11.6, 10.2.3), RFC 8288 (Link), RFC 9110 14.4 (Content-Range). Threads:
// [immutable] values. Hostile input: values come from servers; parsers give what they understand, are
// linear in the input and never fail on the rest.
#ifndef COAMING_BASE_HTTP_HEADERS_H_
#define COAMING_BASE_HTTP_HEADERS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/core/clock.h"

namespace coaming::base {

class HttpHeaders {
 public:
  HttpHeaders() = default;
  HttpHeaders(std::initializer_list<std::pair<std::string, std::string>> list) : list_(list) {}

  void Add(std::string_view name, std::string_view value);
  void Set(std::string_view name, std::string_view value);  // replaces all of that name
  void Remove(std::string_view name);
  // Get gives the first value of the name, or "".
  std::string_view Get(std::string_view name) const;
  bool Has(std::string_view name) const;
  std::vector<std::string_view> All(std::string_view name) const;
  const std::vector<std::pair<std::string, std::string>>& list() const { return list_; }
  bool empty() const { return list_.empty(); }
  void clear() { list_.clear(); }

 private:
  std::vector<std::pair<std::string, std::string>> list_;
};

// IsHeaderName and IsHeaderValue: may this be sent (RFC 9110 5.1, 5.5)? No line ends, ever.
bool IsHeaderName(std::string_view name);
bool IsHeaderValue(std::string_view value);

// One challenge of WWW-Authenticate: `Bearer realm="https://auth/token",service="r",scope="..."`.
struct HttpChallenge {
  std::string scheme;   // lower case: "bearer", "basic"
  std::string token68;  // "Negotiate YII..." has this instead of parameters
  std::vector<std::pair<std::string, std::string>> params;  // names in lower case, values unquoted
  // Param gives the first value, or "".
  std::string_view Param(std::string_view name) const;
};
// ParseChallenges reads all challenges of all WWW-Authenticate fields, in order; several may share one
// field, and commas may stand in quoted values. What cannot be read ends that field.
std::vector<HttpChallenge> ParseChallenges(const HttpHeaders& headers);
std::vector<HttpChallenge> ParseChallenges(std::string_view field_value);

// One link of a Link field: `</v2/x/tags/list?last=b&n=2>; rel="next"`.
struct HttpLink {
  std::string target;  // unresolved: Url::Resolve it
  std::vector<std::pair<std::string, std::string>> params;
  bool HasRel(std::string_view rel) const;  // rel may list several, compared without case
};
std::vector<HttpLink> ParseLinks(const HttpHeaders& headers);

// Content-Range: "bytes 0-9/100" -> {0, 9, 100}; "bytes */100" -> {-1, -1, 100}; total -1 for "*".
struct ContentRange {
  int64_t first = -1, last = -1, total = -1;
};
std::optional<ContentRange> ParseContentRange(std::string_view value);
// ParseRange reads the registry's "Range: 0-1023" answer: {0, 1023}.
std::optional<std::pair<int64_t, int64_t>> ParseUploadRange(std::string_view value);

// RetryAfterMs reads Retry-After, seconds or an HTTP date; nullopt if absent or unreadable; never
// negative; at most a year.
std::optional<int64_t> RetryAfterMs(const HttpHeaders& headers, const Clock& clock);
// ParseHttpDate reads the IMF-fixdate, RFC 850 and asctime forms into seconds since 1970.
std::optional<int64_t> ParseHttpDate(std::string_view text);
// MediaType gives "application/json" of "Application/JSON; charset=utf-8".
std::string MediaType(std::string_view content_type);
// BasicAuthorization gives "Basic dXNlcjpwdw==".
std::string BasicAuthorization(std::string_view user, std::string_view password);

}  // namespace coaming::base

#endif  // COAMING_BASE_HTTP_HEADERS_H_
