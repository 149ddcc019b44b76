#include "libaci/discovery/discovery.h"

#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/core/error.h"
#include "base/core/log.h"
#include "base/core/status_macros.h"
#include "base/http/url.h"

namespace coaming::aci {
namespace {

constexpr size_t kMaxComponents = 64;

struct Page {
  std::string html;
  int status = 0;
};

// One request for a discovery page. A status other than 200 is a result.
absl::StatusOr<Page> GetPage(const std::string& url, base::Transport& transport,
                             const DiscoveryOptions& options, const base::Op& op) {
  const base::HttpRequest request = PrepareRequest(url, options);
  COAM_ASSIGN_OR_RETURN(std::unique_ptr<base::HttpStream> stream, transport.Open(op, request));
  Page page;
  page.status = stream->response().status;
  if (page.status != 200) return page;
  COAM_ASSIGN_OR_RETURN(page.html,
                        base::ReadAll(*stream, op.limits(), &base::Limits::discovery_bytes));
  return page;
}

std::string PageUrl(std::string_view scheme, std::string_view prefix, uint16_t port) {
  const size_t slash = prefix.find('/');
  const std::string_view host = prefix.substr(0, slash);
  const std::string_view path =
      slash == std::string_view::npos ? std::string_view() : prefix.substr(slash);
  return absl::StrCat(scheme, "://", host, port == 0 ? "" : absl::StrCat(":", port), path,
                      "?ac-discovery=1");
}

class Walk {
 public:
  Walk(const AppName& app, base::Transport& transport, const DiscoveryOptions& options,
       const base::Op& op, std::vector<Step>* steps, bool keys)
      : app_(app), transport_(transport), options_(options), op_(op), steps_(steps), keys_(keys) {}

  // `take` is given each tag of the fitting name and prefix and says whether it used it.
  template <typename Take>
  absl::Status Run(Take take) {
    const std::string_view wanted = keys_ ? "ac-discovery-pubkeys" : "ac-discovery";
    std::string prefix = app_.name;
    if (std::vector<std::string_view> parts = absl::StrSplit(prefix, '/');
        parts.size() > kMaxComponents) {
      return base::Fail("aci.name_invalid")
             << "image name has more than " << kMaxComponents << " components";
    }
    for (;;) {
      COAM_RETURN_IF_ERROR(op_.Check());
      COAM_RETURN_IF_ERROR(op_.Emit({.kind = "discover", .phase = "progress", .subject = prefix}));
      absl::StatusOr<Page> page = Get("https", prefix);
      if (options_.allow_http && !Found(page)) {
        absl::StatusOr<Page> plain = Get("http", prefix);
        if (Found(plain) || !page.ok()) page = std::move(plain);
      }
      if (!page.ok()) return page.status();
      if (page->status >= 500) {
        return base::Fail("http.status").Detail("http.status", page->status)
               << "discovery of " << app_.name << " at " << prefix << ": the server answered "
               << page->status;
      }
      if (page->status == 200) {
        int taken = 0;
        for (const MetaTag& tag : ReadMetaTags(page->html, op_.limits())) {
          if (tag.name == wanted && PrefixCovers(tag.prefix, app_.name) && take(tag)) ++taken;
        }
        if (taken > 0) {
          Outcome(absl::StrCat(taken, keys_ ? " key URL" : " endpoint", taken == 1 ? "" : "s"));
          return absl::OkStatus();
        }
        Outcome(prefix.find('/') == std::string::npos ? "no fitting tag"
                                                      : "no fitting tag, going up");
      }
      const size_t slash = prefix.rfind('/');
      if (slash == std::string::npos) break;
      prefix.resize(slash);
    }
    return base::Fail("aci.discovery_failed")
           << "discovery failed: no page for " << app_.name << " has an " << wanted
           << " tag for it (" << Tried() << ")";
  }

 private:
  static bool Found(const absl::StatusOr<Page>& page) { return page.ok() && page->status == 200; }

  absl::StatusOr<Page> Get(std::string_view scheme, const std::string& prefix) {
    const std::string url = PageUrl(scheme, prefix, options_.port);
    Step step;
    step.prefix = prefix;
    step.url = base::UrlForMessage(url);
    step.keys = keys_;
    absl::StatusOr<Page> page = GetPage(url, transport_, options_, op_);
    if (page.ok()) {
      step.http_status = page->status;
      step.outcome = page->status == 200 ? "a page" : absl::StrCat("answer ", page->status);
      if (page->status >= 400 && page->status < 500) {
        absl::StrAppend(&step.outcome, prefix.find('/') == std::string::npos ? "" : ", going up");
      }
    } else {
      const base::Error error = base::GetError(page.status());
      step.outcome = error.message;
      step.error_reason = error.reason;
    }
    base::Log(op_.log(), base::LogLevel::kDebug, "aci.discovery", step.outcome,
              {{"url", step.url}});
    trace_.push_back(step);
    if (steps_ != nullptr) steps_->push_back(std::move(step));
    if (!page.ok()) {
      return base::Wrap(page.status(), absl::StrCat("discovery of ", app_.name));
    }
    return page;
  }

  void Outcome(std::string text) {
    trace_.back().outcome = text;
    if (steps_ != nullptr) steps_->back().outcome = std::move(text);
  }

  std::string Tried() const {
    std::string out;
    for (const Step& step : trace_) {
      absl::StrAppend(&out, out.empty() ? "" : "; ", step.url, ": ", step.outcome);
    }
    return out;
  }

  const AppName& app_;
  base::Transport& transport_;
  const DiscoveryOptions& options_;
  const base::Op& op_;
  std::vector<Step>* steps_;
  const bool keys_;
  std::vector<Step> trace_;
};

// The location that simple discovery would have: name-version-os-arch.
absl::StatusOr<bool> TrySimple(const AppName& app, base::Transport& transport,
                               const DiscoveryOptions& options, const base::Op& op,
                               std::vector<Step>* steps, Endpoint* out) {
  AppName full = app;
  full.FillHostLabels();
  const std::string base = ExpandTemplate("{name}-{version}-{os}-{arch}.{ext}", full, "aci");
  for (std::string_view scheme : {"https", "http"}) {
    if (scheme == "http" && !options.allow_http) continue;
    std::string url = PageUrl(scheme, base, options.port);
    url.resize(url.find('?'));
    base::HttpRequest request = PrepareRequest(url, options);
    request.method = "HEAD";
    Step step;
    step.prefix = app.name;
    step.url = base::UrlForMessage(url);
    absl::StatusOr<base::HttpResponse> response = transport.Fetch(op, request, nullptr);
    const bool found = response.ok() && response->status == 200;
    step.http_status = response.ok() ? response->status : 0;
    step.outcome = found           ? "1 endpoint (simple discovery)"
                   : response.ok() ? absl::StrCat("answer ", response->status)
                                   : base::GetError(response.status()).message;
    if (!response.ok()) step.error_reason = base::ReasonOf(response.status());
    if (steps != nullptr) steps->push_back(std::move(step));
    COAM_RETURN_IF_ERROR(op.Check());
    if (found) {
      out->aci = url;
      out->asc = absl::StrCat(url, ".asc");
      return true;
    }
  }
  return false;
}

}  // namespace

base::HttpRequest PrepareRequest(std::string_view url, const DiscoveryOptions& options) {
  base::HttpRequest request;
  request.url = std::string(url);
  request.allow_http = options.allow_http;
  if (options.insecure_tls) {
    auto tls = std::make_shared<base::TlsOptions>();
    tls->insecure_skip_verify = true;
    request.tls = std::move(tls);
  }
  absl::StatusOr<base::Url> parsed = base::Url::Parse(url);
  if (parsed.ok() && parsed->https()) {
    for (const HostHeader& header : options.headers) {
      if (header.host == parsed->host() || header.host == parsed->HostPort() ||
          header.host == absl::StrCat(parsed->host(), ":", parsed->port())) {
        request.secret_headers.Add(header.name, header.value);
      }
    }
  }
  return request;
}

absl::StatusOr<std::vector<Endpoint>> DiscoverEndpoints(const AppName& app,
                                                        base::Transport& transport,
                                                        const DiscoveryOptions& options,
                                                        const base::Op& op,
                                                        std::vector<Step>* steps) {
  std::vector<Endpoint> out;
  if (options.simple) {
    Endpoint endpoint;
    COAM_ASSIGN_OR_RETURN(bool found, TrySimple(app, transport, options, op, steps, &endpoint));
    if (found) {
      out.push_back(std::move(endpoint));
      return out;
    }
  }
  Walk walk(app, transport, options, op, steps, /*keys=*/false);
  COAM_RETURN_IF_ERROR(walk.Run([&](const MetaTag& tag) {
    Endpoint endpoint;
    endpoint.aci = ExpandTemplate(tag.uri, app, "aci");
    endpoint.asc = ExpandTemplate(tag.uri, app, "aci.asc");
    if (endpoint.aci.empty()) return false;
    out.push_back(std::move(endpoint));
    return true;
  }));
  return out;
}

absl::StatusOr<std::vector<std::string>> DiscoverKeys(const AppName& app,
                                                      base::Transport& transport,
                                                      const DiscoveryOptions& options,
                                                      const base::Op& op,
                                                      std::vector<Step>* steps) {
  std::vector<std::string> out;
  Walk walk(app, transport, options, op, steps, /*keys=*/true);
  COAM_RETURN_IF_ERROR(walk.Run([&](const MetaTag& tag) {
    out.push_back(tag.uri);
    return true;
  }));
  return out;
}

std::string ExpandTemplate(std::string_view uri, const AppName& app, std::string_view ext) {
  std::string out;
  while (!uri.empty()) {
    const size_t open = uri.find('{');
    absl::StrAppend(&out, uri.substr(0, open));
    if (open == std::string_view::npos) break;
    const size_t close = uri.find('}', open);
    if (close == std::string_view::npos) {
      absl::StrAppend(&out, uri.substr(open));
      break;
    }
    const std::string_view key = uri.substr(open + 1, close - open - 1);
    uri.remove_prefix(close + 1);
    if (key == "name") {
      absl::StrAppend(&out, app.name);
    } else if (key == "ext") {
      absl::StrAppend(&out, ext);
    } else {
      const std::string* value = Find(app.labels, key);
      if (key == "version" && (value == nullptr || value->empty())) {
        absl::StrAppend(&out, "latest");
      } else if (value == nullptr) {
        return "";
      } else {
        absl::StrAppend(&out, base::PercentEncode(*value, "+"));
      }
    }
  }
  return out;
}

bool PrefixCovers(std::string_view prefix, std::string_view name) {
  while (!prefix.empty() && prefix.back() == '/') prefix.remove_suffix(1);
  if (prefix.empty() || !absl::StartsWith(name, prefix)) return false;
  return name.size() == prefix.size() || name[prefix.size()] == '/';
}

}  // namespace coaming::aci
