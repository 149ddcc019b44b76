// Discovery finds where an image, its signature and the keys of a name are, by meta tags.
//
// Spec: appc/spec 0.8.11, "App Container Image Discovery" (meta discovery; simple discovery, which
// was dropped in 0.8.0, only when asked for). Pages come through an injected Transport. The walk
// goes up the path of the name on a 4xx answer or a page without fitting tags; a broken network or a
// 5xx answer ends it with that error. Prefixes are compared by path component. Nothing but https
// unless the host allows http.
// Threads: [single] per call. Limits: discovery_bytes, http_redirects. Hostile input: a page can
// cost at most discovery_bytes of memory and cannot make the parser fetch anything.
#ifndef COAMING_LIBACI_DISCOVERY_DISCOVERY_H_
#define COAMING_LIBACI_DISCOVERY_DISCOVERY_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/op.h"
#include "base/http/transport.h"
#include "libaci/discovery/app_name.h"

namespace coaming::aci {

struct Endpoint {
  std::string aci, asc;  // URLs
};

// Step is one page that was asked for, and what came of it.
struct Step {
  std::string prefix;        // the part of the name that was asked
  std::string url;           // of the page, without query
  bool keys = false;         // this walk looked for keys
  int http_status = 0;       // 0 if there was no answer
  std::string outcome;       // one line: "2 endpoints", "404, going up", ...
  std::string error_reason;  // reason of the failure, or ""
};

struct Discovered {
  std::vector<Endpoint> endpoints;  // in the page's order
  std::vector<std::string> keys;    // URLs
  std::vector<Step> steps;          // in order, both walks
};

// HostHeader is sent to one host ("registry.example" or "registry.example:8443") over https only, and
// to no other after a redirect.
struct HostHeader {
  std::string host, name, value;
};

struct DiscoveryOptions {
  bool allow_http = false;    // plain http when https fails, and http URLs in templates
  bool insecure_tls = false;  // any certificate will do
  uint16_t port = 0;          // instead of 443 (or 80)
  bool simple = false;        // try simple discovery first
  std::vector<HostHeader> headers;
};

// PrepareRequest makes a GET of `url` with what the options allow and the headers of its host.
base::HttpRequest PrepareRequest(std::string_view url, const DiscoveryOptions& options);

// DiscoverEndpoints finds endpoints; DiscoverKeys finds key URLs. On failure `steps`, if not null,
// still gets every step. Errors: aci.discovery_failed (no level had a fitting tag), http.*,
// core.limit, core.cancelled.
absl::StatusOr<std::vector<Endpoint>> DiscoverEndpoints(const AppName& app,
                                                        base::Transport& transport,
                                                        const DiscoveryOptions& options,
                                                        const base::Op& op,
                                                        std::vector<Step>* steps);
absl::StatusOr<std::vector<std::string>> DiscoverKeys(const AppName& app,
                                                      base::Transport& transport,
                                                      const DiscoveryOptions& options,
                                                      const base::Op& op, std::vector<Step>* steps);

// MetaTag is one <meta name="ac-..." content="PREFIX URL">.
struct MetaTag {
  std::string name, prefix, uri;
};
// ReadMetaTags takes the tags out of a page, in their order (html_meta.cc is the one file that
// knows libxml2). Never fails: what is not HTML has no tags.
std::vector<MetaTag> ReadMetaTags(std::string_view html, const base::Limits& limits);

// ExpandTemplate puts name, labels (version: "latest" when absent) and ext into a template, once; ""
// if it names anything else. Label values are percent-encoded, so that none can change the host.
std::string ExpandTemplate(std::string_view uri, const AppName& app, std::string_view ext);
// PrefixCovers is true if `prefix` is `name` or a whole-component beginning of it.
bool PrefixCovers(std::string_view prefix, std::string_view name);

}  // namespace coaming::aci

#endif  // COAMING_LIBACI_DISCOVERY_DISCOVERY_H_
