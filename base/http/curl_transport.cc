#include "base/http/curl_transport.h"

#include <curl/curl.h>
#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <ctime>
#include <mutex>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/core/error.h"
#include "base/core/fork_guard.h"
#include "base/core/status_macros.h"
#include "base/core/unique_fd.h"
#include "base/http/curl_descriptors.h"
#include "base/http/exchange.h"
#include "base/http/pem_files.h"

namespace coaming::base {
namespace {

constexpr size_t kBuffered = 1 << 20;  // an exchange nobody takes from is paused here
constexpr size_t kKeepSessions = 8;    // idle sessions, with their open connections
constexpr long kCurlBuffer = 128 << 10;

void InitCurl() {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
}

// While curl works no signal is handled on this thread: its resolver's thread inherits the mask, and
// a SIGPIPE that a TLS library raises is taken away before the host could see it.
class CurlWindow {
 public:
  CurlWindow() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old_);
    sigset_t pending;
    had_ = sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1;
  }
  ~CurlWindow() {
    if (!had_) {
      sigset_t pending;
      if (sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1) {
        sigset_t pipe;
        sigemptyset(&pipe);
        sigaddset(&pipe, SIGPIPE);
        const timespec zero{};
        while (sigtimedwait(&pipe, nullptr, &zero) < 0 && errno == EINTR) {
        }
      }
    }
    pthread_sigmask(SIG_SETMASK, &old_, nullptr);
  }

 private:
  sigset_t old_;
  bool had_;
};

std::string_view ReasonOfCurl(CURLcode code) {
  switch (code) {
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_SSL_ENGINE_NOTFOUND:
    case CURLE_SSL_ENGINE_SETFAILED:
    case CURLE_SSL_ENGINE_INITFAILED:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_CLIENTCERT:
    case CURLE_USE_SSL_FAILED: return "http.tls";
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_SEND_FAIL_REWIND:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_SSL_SHUTDOWN_FAILED: return "http.truncated";
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:  // HTTP/0.9, or no HTTP at all
      return "http.status";
    case CURLE_OUT_OF_MEMORY: return "core.no_memory";
    case CURLE_URL_MALFORMAT: return "http.url";
    default: return "http.connect";
  }
}

using internal::PemFiles;

class CurlTransport;
class CurlSession;

class CurlExchange final : public HttpExchange {
 public:
  CurlExchange(CurlSession* session, const Op& op, ExchangeRequest request)
      : session_(session), op_(op), request_(std::move(request)) {}
  ~CurlExchange() override;

  absl::Status Setup(CurlTransport& transport);

  const ExchangeHead* head() const override { return have_head_ ? &head_ : nullptr; }
  size_t Take(std::span<char> out) override {
    const size_t n = std::min(out.size(), buffer_.size() - taken_);
    memcpy(out.data(), buffer_.data() + taken_, n);
    taken_ += n;
    if (taken_ == buffer_.size()) {
      buffer_.clear();
      taken_ = 0;
    }
    return n;
  }
  int64_t moved() const override { return moved_; }
  bool done() const override { return done_; }
  absl::Status status() const override { return status_; }

  CURL* easy() const { return easy_; }
  void Finished(CURLcode code);
  // Lets a paused exchange go on once its bytes were taken.
  void Unpause() {
    if (!paused_ || buffer_.size() - taken_ >= kBuffered / 2) return;
    paused_ = false;
    curl_easy_pause(easy_, CURLPAUSE_CONT);
  }
  bool TakeNews() { return std::exchange(news_, false); }

 private:
  static size_t OnHeader(char* data, size_t size, size_t n, void* self) {
    return static_cast<CurlExchange*>(self)->Header({data, size * n}) ? size * n : 0;
  }
  static size_t OnBody(char* data, size_t size, size_t n, void* self) {
    return static_cast<CurlExchange*>(self)->Body({data, size * n});
  }
  static size_t OnUpload(char* data, size_t size, size_t n, void* self) {
    return static_cast<CurlExchange*>(self)->Upload({data, size * n});
  }
  static int OnSeek(void* self, curl_off_t offset, int origin) { return CURL_SEEKFUNC_CANTSEEK; }

  bool Header(std::string_view line);
  size_t Body(std::string_view bytes);
  size_t Upload(std::span<char> out);
  template <typename T>
  void Set(CURLoption option, T value) {
    const CURLcode code = curl_easy_setopt(easy_, option, value);
    if (code != CURLE_OK && setup_code_ == CURLE_OK) setup_code_ = code;
  }
  absl::Status SetTls(CurlTransport& transport);

  CurlSession* session_;
  const Op& op_;
  ExchangeRequest request_;
  CURL* easy_ = nullptr;
  bool added_ = false;
  curl_slist* headers_ = nullptr;
  curl_slist* connect_to_ = nullptr;
  char error_[CURL_ERROR_SIZE] = "";
  CURLcode setup_code_ = CURLE_OK;

  ExchangeHead head_, next_head_;
  int64_t header_bytes_ = 0;
  bool have_head_ = false, done_ = false, paused_ = false, news_ = false, verified_ = true;
  std::string buffer_;
  size_t taken_ = 0;
  int64_t moved_ = 0;
  absl::Status status_, abort_;
  friend class CurlSession;
};

// A curl multi handle with its connections, used by one thread at a time.
class CurlSession final : public HttpSession {
 public:
  CurlSession(CurlTransport* transport, CURLM* multi) : transport_(transport), multi_(multi) {}
  ~CurlSession() override;

  absl::StatusOr<std::unique_ptr<HttpExchange>> Start(const Op& op,
                                                      ExchangeRequest request) override;
  absl::Status Drive(const Op& op, int max_wait_ms,
                     std::span<const Cancel* const> more_cancels) override;
  CURLM* multi() const { return multi_; }
  void Forget(CurlExchange* exchange) { std::erase(exchanges_, exchange); }

 private:
  bool Perform();

  CurlTransport* transport_;
  CURLM* multi_;
  std::vector<CurlExchange*> exchanges_;
};

class CurlTransport final : public Transport {
 public:
  explicit CurlTransport(CurlTransportOptions options) : options_(std::move(options)) {}
  ~CurlTransport() override {
    if (InForkedChild()) return;  // the connections are the parent's
    CurlWindow window;
    for (CURLM* multi : idle_) curl_multi_cleanup(multi);
  }

  absl::StatusOr<std::unique_ptr<HttpSession>> NewSession() override {
    COAM_RETURN_IF_ERROR(CheckNotForked());
    CURLM* multi = nullptr;
    {
      std::lock_guard<std::mutex> lock(mu_);
      if (!idle_.empty()) {
        multi = idle_.back();
        idle_.pop_back();
      }
    }
    if (multi == nullptr) {
      CurlWindow window;
      multi = curl_multi_init();
      if (multi != nullptr) MarkWakeupPair(multi);
    }
    if (multi == nullptr) return Fail("core.no_memory") << "make an HTTP session";
    return std::make_unique<CurlSession>(this, multi);
  }

  void GiveBack(CURLM* multi) {
    if (!InForkedChild()) {
      std::lock_guard<std::mutex> lock(mu_);
      if (idle_.size() < kKeepSessions) {
        idle_.push_back(multi);
        return;
      }
    }
    CurlWindow window;
    curl_multi_cleanup(multi);
  }

  const CurlTransportOptions& options() const { return options_; }
  PemFiles& pem() { return pem_; }
  const TlsOptions& TlsFor(const Url& url) const {
    const std::string with_port = absl::StrCat(url.host(), ":", url.port());
    for (const auto& [host, tls] : options_.host_tls) {
      if (host == with_port || host == url.host() || host == url.HostPort()) return tls;
    }
    return options_.tls;
  }

 private:
  const CurlTransportOptions options_;
  PemFiles pem_;
  std::mutex mu_;  // guards idle_
  std::vector<CURLM*> idle_;
};

CurlExchange::~CurlExchange() {
  CurlWindow window;
  if (added_) curl_multi_remove_handle(session_->multi(), easy_);
  session_->Forget(this);
  if (easy_ != nullptr) curl_easy_cleanup(easy_);
  curl_slist_free_all(headers_);
  curl_slist_free_all(connect_to_);
}

absl::Status CurlExchange::SetTls(CurlTransport& transport) {
  const TlsOptions& tls = request_.tls != nullptr ? *request_.tls : transport.TlsFor(request_.url);
  bool system_in_directory = false;
  std::string own = tls.ca_pem;
  if (own.empty() && !tls.ca_file.empty()) {
    COAM_ASSIGN_OR_RETURN(own, internal::ReadPem(tls.ca_file));
    if (own.empty()) return Fail("http.tls") << tls.ca_file << " holds no certificate";
  }
  constexpr const char* kNone = nullptr;
  std::string file;
  if (tls.only_these) {
    if (!own.empty()) {
      COAM_ASSIGN_OR_RETURN(file, transport.pem().PathOf(own));
    }
  } else {
    COAM_ASSIGN_OR_RETURN(file, transport.pem().PathWithSystem(own));
    if (file.empty() && !own.empty()) {
      COAM_ASSIGN_OR_RETURN(file, transport.pem().PathOf(own));
      system_in_directory = true;
    }
  }
  if (!file.empty()) {
    Set(CURLOPT_CAINFO, file.c_str());
  } else if (tls.only_these) {
    Set(CURLOPT_CAINFO, kNone);
  }
  if (!tls.ca_dir.empty()) {
    Set(CURLOPT_CAPATH, tls.ca_dir.c_str());
  } else if (tls.only_these || (!file.empty() && !system_in_directory)) {
    Set(CURLOPT_CAPATH, kNone);
  }
  const auto identity = [&](const std::string& pem, const std::string& file, CURLoption option) {
    if (pem.empty() && file.empty()) return absl::OkStatus();
    std::string path = file;
    if (!pem.empty()) {
      COAM_ASSIGN_OR_RETURN(path, transport.pem().PathOf(pem));
    }
    Set(option, path.c_str());
    return absl::OkStatus();
  };
  COAM_RETURN_IF_ERROR(
      identity(tls.client_certificate_pem, tls.client_certificate_file, CURLOPT_SSLCERT));
  COAM_RETURN_IF_ERROR(identity(tls.client_key_pem, tls.client_key_file, CURLOPT_SSLKEY));
  if (tls.insecure_skip_verify) {
    Set(CURLOPT_SSL_VERIFYPEER, 0L);
    Set(CURLOPT_SSL_VERIFYHOST, 0L);
  }
  verified_ = !tls.insecure_skip_verify;
  return absl::OkStatus();
}

absl::Status CurlExchange::Setup(CurlTransport& transport) {
  const CurlTransportOptions& options = transport.options();
  easy_ = curl_easy_init();
  if (easy_ == nullptr) return Fail("core.no_memory") << "make an HTTP request";
  Set(CURLOPT_PRIVATE, static_cast<void*>(this));
  Set(CURLOPT_ERRORBUFFER, error_);
  Set(CURLOPT_URL, request_.url.str().c_str());
  Set(CURLOPT_PATH_AS_IS, 1L);
  Set(CURLOPT_NOSIGNAL, 1L);
  Set(CURLOPT_OPENSOCKETFUNCTION, OpenCurlSocket);
#if LIBCURL_VERSION_NUM >= 0x075500
  Set(CURLOPT_PROTOCOLS_STR, "http,https");
#else
  Set(CURLOPT_PROTOCOLS, static_cast<long>(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
#if LIBCURL_VERSION_NUM >= 0x075700
  Set(CURLOPT_QUICK_EXIT, 1L);  // a cancel does not wait for the resolver
#endif
  Set(CURLOPT_FOLLOWLOCATION, 0L);
  Set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS));
  Set(CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  Set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(op_.limits().http_connect_ms));
  Set(CURLOPT_BUFFERSIZE, kCurlBuffer);
  Set(CURLOPT_TCP_KEEPALIVE, 1L);
  Set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  Set(CURLOPT_USERAGENT, options.user_agent.c_str());
  // Both set, also if empty: curl reads the environment for what is not.
  Set(CURLOPT_PROXY, ProxyFor(options.proxy, request_.url).c_str());
  Set(CURLOPT_NOPROXY, "");
  for (const ResolveRule& rule : options.resolve) {
    if (!absl::EqualsIgnoreCase(rule.host, request_.url.host()) ||
        (rule.port != 0 && rule.port != request_.url.port())) {
      continue;
    }
    const bool v6 = rule.address.find(':') != std::string::npos;
    const std::string line =
        absl::StrCat("::", v6 ? "[" : "", rule.address, v6 ? "]" : "", ":",
                     rule.address_port != 0 ? rule.address_port : request_.url.port());
    connect_to_ = curl_slist_append(nullptr, line.c_str());
    Set(CURLOPT_CONNECT_TO, connect_to_);
    break;
  }
  if (request_.url.https()) COAM_RETURN_IF_ERROR(SetTls(transport));

  std::vector<std::string> lines;
  for (const auto& [name, value] : request_.headers.list()) {
    lines.push_back(value.empty() ? absl::StrCat(name, ";") : absl::StrCat(name, ": ", value));
  }
  lines.push_back("Expect:");
  if (request_.has_body && !request_.headers.Has("Content-Type")) lines.push_back("Content-Type:");
  const bool chunked = request_.body_reader != nullptr && request_.body_size < 0;
  if (chunked) lines.push_back("Transfer-Encoding: chunked");
  for (const std::string& line : lines) {
    curl_slist* longer = curl_slist_append(headers_, line.c_str());
    if (longer == nullptr) return Fail("core.no_memory") << "make an HTTP request";
    headers_ = longer;
  }
  Set(CURLOPT_HTTPHEADER, headers_);

  if (request_.method == "HEAD") {
    Set(CURLOPT_NOBODY, 1L);
  } else if (request_.body_reader != nullptr) {
    Set(CURLOPT_UPLOAD, 1L);
    Set(CURLOPT_READFUNCTION, &CurlExchange::OnUpload);
    Set(CURLOPT_READDATA, static_cast<void*>(this));
    Set(CURLOPT_SEEKFUNCTION, &CurlExchange::OnSeek);
    Set(CURLOPT_SEEKDATA, static_cast<void*>(this));
    if (!chunked) Set(CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request_.body_size));
    Set(CURLOPT_CUSTOMREQUEST, request_.method.c_str());
  } else if (request_.has_body) {
    Set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request_.body.size()));
    Set(CURLOPT_POSTFIELDS, request_.body.empty() ? "" : request_.body.data());
    Set(CURLOPT_CUSTOMREQUEST, request_.method.c_str());
  } else {
    Set(CURLOPT_HTTPGET, 1L);
    if (request_.method != "GET") Set(CURLOPT_CUSTOMREQUEST, request_.method.c_str());
  }
  Set(CURLOPT_HEADERFUNCTION, &CurlExchange::OnHeader);
  Set(CURLOPT_HEADERDATA, static_cast<void*>(this));
  Set(CURLOPT_WRITEFUNCTION, &CurlExchange::OnBody);
  Set(CURLOPT_WRITEDATA, static_cast<void*>(this));
  if (setup_code_ != CURLE_OK) {
    return Fail("core.internal") << "libcurl does not take an option: "
                                 << curl_easy_strerror(setup_code_);
  }
  if (const CURLMcode code = curl_multi_add_handle(session_->multi(), easy_); code != CURLM_OK) {
    return Fail("core.internal") << "libcurl does not take a request: "
                                 << curl_multi_strerror(code);
  }
  added_ = true;
  return absl::OkStatus();
}

bool CurlExchange::Header(std::string_view line) {
  if (have_head_) return true;  // trailers
  header_bytes_ += static_cast<int64_t>(line.size());
  if (header_bytes_ > op_.limits().http_header_bytes) {
    abort_ = FailLimit("http_header_bytes", op_.limits().http_header_bytes)
             << request_.url.ForMessage() << ": the header of the answer is longer";
    return false;
  }
  while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.remove_suffix(1);
  if (absl::StartsWith(line, "HTTP/")) {
    next_head_ = ExchangeHead();
    const size_t blank = line.find(' ');
    int status = 0;
    if (blank != std::string_view::npos && absl::SimpleAtoi(line.substr(blank + 1, 3), &status)) {
      next_head_.status = status;
    }
    return true;
  }
  if (!line.empty()) {
    if (line.front() == ' ' || line.front() == '\t') return true;  // folded: obsolete, dropped
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0) return true;
    next_head_.headers.Add(line.substr(0, colon),
                           absl::StripAsciiWhitespace(line.substr(colon + 1)));
    return true;
  }
  if (next_head_.status < 200) return true;  // 100, 103: the real one follows
  head_ = std::move(next_head_);
  int64_t length = -1;
  if (!head_.headers.Has("Transfer-Encoding") &&
      absl::SimpleAtoi(head_.headers.Get("Content-Length"), &length) && length >= 0) {
    head_.content_length = length;
  }
  head_.tls = request_.url.https() && verified_;
  char* ip = nullptr;
  if (curl_easy_getinfo(easy_, CURLINFO_PRIMARY_IP, &ip) == CURLE_OK && ip != nullptr) {
    head_.remote_address = ip;
  }
  have_head_ = news_ = true;
  return true;
}

size_t CurlExchange::Body(std::string_view bytes) {
  if (buffer_.size() - taken_ >= kBuffered) {
    paused_ = true;
    return CURL_WRITEFUNC_PAUSE;
  }
  if (taken_ > 0) {
    buffer_.erase(0, taken_);
    taken_ = 0;
  }
  buffer_ += bytes;
  moved_ += static_cast<int64_t>(bytes.size());
  news_ = true;
  return bytes.size();
}

size_t CurlExchange::Upload(std::span<char> out) {
  absl::StatusOr<size_t> n = request_.body_reader->Read(out);
  if (!n.ok()) {
    abort_ = n.status();
    return CURL_READFUNC_ABORT;
  }
  moved_ += static_cast<int64_t>(*n);
  return *n;
}

void CurlExchange::Finished(CURLcode code) {
  done_ = news_ = true;
  if (code == CURLE_OK && have_head_) return;
  if (!abort_.ok()) {
    status_ = abort_;
    return;
  }
  std::string_view reason = ReasonOfCurl(code);
  if (code == CURLE_OK) reason = "http.truncated";
  // A time-out is the connection's: nothing else has a clock here.
  std::string_view text = error_[0] != '\0' ? error_ : curl_easy_strerror(code);
  std::string safe(text.substr(0, 300));
  for (char& c : safe) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  // curl names URLs in few of its texts; none of them may carry a query to a log.
  if (safe.find('?') != std::string::npos || safe.find("://") != std::string::npos) {
    safe = curl_easy_strerror(code);
  }
  status_ = Fail(reason)
                .Detail("http.host", request_.url.HostPort())
                .Detail("http.url", request_.url.ForMessage())
            << request_.method << " " << request_.url.ForMessage() << ": " << safe;
}

CurlSession::~CurlSession() { transport_->GiveBack(multi_); }

absl::StatusOr<std::unique_ptr<HttpExchange>> CurlSession::Start(const Op& op,
                                                                 ExchangeRequest request) {
  auto exchange = std::make_unique<CurlExchange>(this, op, std::move(request));
  CurlWindow window;
  COAM_RETURN_IF_ERROR(exchange->Setup(*transport_));
  exchanges_.push_back(exchange.get());
  return exchange;
}

// True if any exchange has news.
bool CurlSession::Perform() {
  CurlWindow window;
  for (CurlExchange* e : exchanges_) e->Unpause();
  int running = 0;
  curl_multi_perform(multi_, &running);
  int left = 0;
  while (CURLMsg* message = curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    void* self = nullptr;
    if (curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &self) == CURLE_OK &&
        self != nullptr) {
      static_cast<CurlExchange*>(self)->Finished(message->data.result);
    }
  }
  bool news = false;
  for (CurlExchange* e : exchanges_) news |= e->TakeNews();
  return news;
}

absl::Status CurlSession::Drive(const Op& op, int max_wait_ms,
                                std::span<const Cancel* const> more_cancels) {
  if (Perform()) return absl::OkStatus();
  std::vector<curl_waitfd> fds;
  const auto watch = [&](const Cancel* cancel) {
    if (cancel != nullptr) fds.push_back({cancel->fd(), CURL_WAIT_POLLIN, 0});
  };
  watch(op.cancel());
  for (const Cancel* cancel : more_cancels) watch(cancel);
  int wait = op.deadline().PollMs(-1, op.clock());
  if (max_wait_ms >= 0 && (wait < 0 || max_wait_ms < wait)) wait = max_wait_ms;
  if (wait < 0) wait = INT_MAX;
  int ready = 0;
  const CURLMcode code =
      curl_multi_poll(multi_, fds.data(), static_cast<unsigned>(fds.size()), wait, &ready);
  if (code != CURLM_OK) {
    return Fail("core.io") << "wait for an HTTP answer: " << curl_multi_strerror(code);
  }
  Perform();
  return absl::OkStatus();
}

absl::Status CheckOptions(const CurlTransportOptions& options) {
  if (!IsHeaderValue(options.user_agent)) {
    return Fail("core.invalid_argument") << "the user agent cannot be sent";
  }
  std::vector<const TlsOptions*> all = {&options.tls};
  for (const auto& [host, tls] : options.host_tls) all.push_back(&tls);
  for (const TlsOptions* tls : all) {
    const bool cert = !tls->client_certificate_pem.empty() || !tls->client_certificate_file.empty();
    const bool key = !tls->client_key_pem.empty() || !tls->client_key_file.empty();
    if (cert != key) {
      return Fail("core.invalid_argument") << "a client certificate needs its key, and a key its "
                                              "certificate";
    }
    if (!tls->ca_pem.empty() && !tls->ca_file.empty()) {
      return Fail("core.invalid_argument") << "give CA certificates either as text or as a file";
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Transport>> NewCurlTransport(CurlTransportOptions options) {
  COAM_RETURN_IF_ERROR(CheckNotForked());
  COAM_RETURN_IF_ERROR(CheckOptions(options));
  {
    CurlWindow window;
    InitCurl();
  }
  return std::make_unique<CurlTransport>(std::move(options));
}

std::string CurlVersion() { return curl_version(); }

}  // namespace coaming::base
