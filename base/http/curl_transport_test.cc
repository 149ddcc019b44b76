// The curl transport against real sockets: a server that misbehaves, nginx over TLS, and the curl
// program as a witness.
#include "base/http/curl_transport.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>

#include "base/core/error.h"
#include "base/stream/stream.h"
#include "base/testing/environment.h"
#include "base/testing/http_server.h"
#include "base/testing/status_testing.h"
#include "base/testing/temp_tree.h"
#include "catch2/catch_test_macros.hpp"

namespace coaming::base {
namespace {

using testing::HttpServer;
using testing::NginxServer;
using testing::OpenFds;
using testing::ServerReply;
using testing::ServerRequest;
using testing::TempTree;

std::string Numbers(size_t n) {
  std::string s;
  for (size_t i = 0; s.size() < n; ++i) s += std::to_string(i) + ",";
  s.resize(n);
  return s;
}

HttpRequest Plain(std::string url) { return {.url = std::move(url), .allow_http = true}; }

absl::StatusOr<std::string> Get(Transport& t, const HttpRequest& r, const Op& op = Op()) {
  return t.FetchBytes(op, r, 64 << 20, "manifest_bytes");
}

TEST_CASE("curl: what is sent is what was asked for", "[base][http]") {
  HttpServer server([](const ServerRequest& r, ServerReply& reply) { reply.body = r.body; });
  auto t = REQUIRE_VALUE(NewCurlTransport({.user_agent = "coaming-test/1"}));
  HttpRequest get = Plain(server.url("/a//b/%2F?x=1&y=%20"));
  get.headers = {{"Accept", "application/json"}, {"X-Empty", ""}};
  REQUIRE_OK(Get(*t, get));
  HttpRequest post = Plain(server.url("/post"));
  post.method = "POST";
  post.body = std::string("a\0b", 3);
  CHECK(REQUIRE_VALUE(Get(*t, post)) == post.body);
  HttpRequest put = Plain(server.url("/put"));
  put.method = "PUT";
  const std::string payload = Numbers(3'000'000);
  put.open_body = [&] { return std::make_unique<StringReader>(payload); };
  CHECK(REQUIRE_VALUE(Get(*t, put)) == payload);  // chunked
  put.body_size = static_cast<int64_t>(payload.size());
  CHECK(REQUIRE_VALUE(Get(*t, put)) == payload);
  HttpRequest empty = Plain(server.url("/empty"));
  empty.method = "POST";
  REQUIRE_OK(Get(*t, empty));
  HttpRequest head = Plain(server.url("/head"));
  head.method = "HEAD";
  CHECK(REQUIRE_VALUE(t->Fetch(Op(), head, nullptr)).content_length == 0);
  HttpRequest del = Plain(server.url("/delete"));
  del.method = "DELETE";
  REQUIRE_OK(Get(*t, del));

  const auto seen = server.requests();
  REQUIRE(seen.size() == 7);
  CHECK(seen[0].method == "GET");
  CHECK(seen[0].target == "/a//b/%2F?x=1&y=%20");
  CHECK(seen[0].headers.Get("Accept") == "application/json");
  CHECK(seen[0].headers.Has("X-Empty"));
  CHECK(seen[0].headers.Get("User-Agent") == "coaming-test/1");
  CHECK_FALSE(seen[0].headers.Has("Accept-Encoding"));
  CHECK(seen[1].method == "POST");
  CHECK(seen[1].headers.Get("Content-Length") == "3");
  CHECK_FALSE(seen[1].headers.Has("Content-Type"));
  CHECK_FALSE(seen[1].headers.Has("Expect"));
  CHECK(seen[2].headers.Get("Transfer-Encoding") == "chunked");
  CHECK(seen[3].headers.Get("Content-Length") == std::to_string(payload.size()));
  CHECK(seen[4].headers.Get("Content-Length") == "0");
  CHECK(seen[5].method == "HEAD");
  CHECK(seen[6].method == "DELETE");
  CHECK(server.connections() == 1);  // kept open between requests
}

TEST_CASE("curl: no descriptor of a living session is handed on by exec", "[base][http]") {
  HttpServer server([](const ServerRequest& r, ServerReply& reply) { reply.body = r.body; });
  const std::vector<int> before = OpenFds();
  auto t = REQUIRE_VALUE(NewCurlTransport());
  REQUIRE_OK(Get(*t, Plain(server.url("/"))));
  for (const int fd : OpenFds()) {
    if (std::find(before.begin(), before.end(), fd) != before.end()) continue;
    const int flags = fcntl(fd, F_GETFD);
    if (flags < 0) continue;  // the server's own, closed meanwhile
    INFO("descriptor " << fd);
    CHECK((flags & FD_CLOEXEC) != 0);
  }
}

TEST_CASE("curl: a pulled body comes in order, however slowly it is read", "[base][http]") {
  const std::string body = Numbers(8'000'000);
  HttpServer server([&](const ServerRequest& r, ServerReply& reply) {
    reply.body = body;
    reply.chunked = r.target == "/chunked";
  });
  auto t = REQUIRE_VALUE(NewCurlTransport());
  Op op;
  for (const char* target : {"/sized", "/chunked"}) {
    auto stream = REQUIRE_VALUE(t->Open(op, Plain(server.url(target))));
    CHECK(stream->response().status == 200);
    CHECK(stream->response().remote_address == "127.0.0.1");
    CHECK_FALSE(stream->response().tls);
    std::string got;
    char block[777];
    for (;;) {
      const size_t n = REQUIRE_VALUE(stream->Read(block));
      if (n == 0) break;
      got.append(block, n);
    }
    CHECK(got == body);
    CHECK(REQUIRE_VALUE(stream->Read(block)) == 0);
  }
  // Given up half way: nothing hangs, nothing leaks.
  const auto before = testing::OpenFds();
  {
    auto stream = REQUIRE_VALUE(t->Open(op, Plain(server.url("/sized"))));
    char c;
    REQUIRE_OK(stream->Read({&c, 1}));
  }
  CHECK(testing::OpenFds().size() <= before.size() + 1);
}

TEST_CASE("curl: broken answers are told apart", "[base][http]") {
  HttpServer server([&](const ServerRequest& r, ServerReply& reply) {
    if (r.target == "/cut") {
      reply.body = "0123456789";
      reply.cut_after = 4;
    } else if (r.target == "/cut-chunked") {
      reply.body = "0123456789";
      reply.chunked = true;
      reply.cut_after = 6;
    } else if (r.target == "/empty") {
      reply.raw = " ";
    } else if (r.target == "/http09") {
      reply.raw = "hello, no header at all\n";
    } else if (r.target == "/huge-header") {
      reply.raw = "HTTP/1.1 200 OK\r\nX: " + std::string(70'000, 'x') +
                  "\r\nY: " + std::string(90'000, 'x') + "\r\nZ: " + std::string(99'000, 'x') +
                  "\r\nZZ: " + std::string(9'000, 'x') + "\r\nContent-Length: 0\r\n\r\n";
    } else if (r.target == "/many-headers") {
      reply.raw = "HTTP/1.1 200 OK\r\n";
      for (int i = 0; i < 20'000; ++i) reply.raw += "X-" + std::to_string(i) + ": yyyyyyyy\r\n";
      reply.raw += "\r\n";
    } else if (r.target == "/continue") {
      reply.raw =
          "HTTP/1.1 103 Early\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
          "A: 1\r\na: 2\r\n\r\nok";
    } else if (r.target == "/two-lengths") {
      reply.raw = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 5\r\n\r\nabcde";
    }
  });
  auto t = REQUIRE_VALUE(NewCurlTransport());
  const auto get = [&](const char* target) {
    HttpRequest r = Plain(server.url(target));
    r.max_retries = 0;
    return Get(*t, r);
  };
  REQUIRE_REASON(get("/cut"), "http.truncated");
  REQUIRE_REASON(get("/cut-chunked"), "http.truncated");
  const auto empty = get("/empty");
  CHECK_FALSE(empty.ok());
  const auto old = get("/http09");
  CHECK_FALSE(old.ok());
  REQUIRE_REASON(get("/huge-header"), "core.limit");
  const auto many = get("/many-headers");
  REQUIRE_REASON(many, "core.limit");
  CHECK(GetError(many.status()).Detail("limit.name") == "http_header_bytes");
  CHECK(REQUIRE_VALUE(get("/continue")) == "ok");
  const auto lengths = get("/two-lengths");
  if (lengths.ok()) CHECK(lengths->size() <= 5);
}

TEST_CASE("curl: a broken download is taken up again where it stopped", "[base][http]") {
  const std::string body = Numbers(3'000'000);
  std::atomic<int> left{3};
  HttpServer server([&](const ServerRequest& r, ServerReply& reply) {
    reply.body = body;
    reply.ranges = true;
    reply.headers.Set("ETag", "\"v1\"");
    if (left-- > 0) reply.cut_after = 700'000;
  });
  auto t = REQUIRE_VALUE(NewCurlTransport());
  CHECK(REQUIRE_VALUE(Get(*t, Plain(server.url("/blob")))) == body);
  const auto seen = server.requests();
  REQUIRE(seen.size() == 4);
  CHECK(seen[1].headers.Get("Range") == "bytes=700000-");
  CHECK(seen[3].headers.Get("Range") == "bytes=2100000-");
  CHECK(seen[3].headers.Get("If-Range") == "\"v1\"");
}

TEST_CASE("curl: redirects, and credentials that stay at home", "[base][http]") {
  HttpServer other([](const ServerRequest&, ServerReply& reply) { reply.body = "other"; });
  HttpServer server([&](const ServerRequest& r, ServerReply& reply) {
    reply.status = 302;
    reply.headers.Set("Location", r.target == "/loop" ? "/loop" : other.url("/there?sig=1"));
  });
  auto t = REQUIRE_VALUE(NewCurlTransport());
  HttpRequest get = Plain("http://me:secret@127.0.0.1:" + std::to_string(server.port()) + "/go");
  auto stream = REQUIRE_VALUE(t->Open(Op(), get));
  CHECK(stream->response().url == other.url("/there?sig=1"));
  CHECK(stream->response().redirects == 1);
  CHECK(server.requests().at(0).headers.Get("Authorization") == BasicAuthorization("me", "secret"));
  CHECK_FALSE(other.requests().at(0).headers.Has("Authorization"));
  CHECK(other.requests().at(0).target == "/there?sig=1");
  REQUIRE_REASON(Get(*t, Plain(server.url("/loop"))), "http.redirect");
}

TEST_CASE("curl: a cancel and a deadline end a stalled transfer at once", "[base][http]") {
  HttpServer server([](const ServerRequest&, ServerReply& reply) {
    reply.body = "0123456789";
    reply.stall_after = 3;
  });
  auto t = REQUIRE_VALUE(NewCurlTransport());
  auto cancel = REQUIRE_VALUE(Cancel::New());
  Op op;
  op.set_cancel(cancel.get());
  auto stream = REQUIRE_VALUE(t->Open(op, Plain(server.url("/stall"))));
  char block[3];
  REQUIRE_OK(ReadFull(*stream, block));
  std::thread firer([&] { cancel->Fire(); });
  REQUIRE_REASON(stream->Read(block), "core.cancelled");
  firer.join();
  Op late;
  late.set_deadline(Deadline::AfterMs(30));
  REQUIRE_REASON(Get(*t, Plain(server.url("/stall")), late), "core.deadline_exceeded");
  Limits limits;
  limits.http_stall_ms = 30;
  Op stall;
  stall.set_limits(&limits);
  HttpRequest once = Plain(server.url("/stall"));
  once.max_retries = 0;
  const auto stalled = Get(*t, once, stall);
  REQUIRE_REASON(stalled, "http.truncated");
  CHECK(GetError(stalled.status()).message.find("nothing came") != std::string::npos);
}

TEST_CASE("curl: nothing listens", "[base][http]") {
  int port;
  {
    HttpServer gone([](const ServerRequest&, ServerReply&) {});
    port = gone.port();
  }
  auto t = REQUIRE_VALUE(NewCurlTransport());
  const auto r = Get(*t, Plain("http://user:hunter2@127.0.0.1:" + std::to_string(port) +
                               "/x?token=hunter2#hunter2"));
  REQUIRE_REASON(r, "http.connect");
  const std::string json = ErrorToJson(GetError(r.status()));
  CHECK(json.find("hunter2") == std::string::npos);
  CHECK(json.find("127.0.0.1:" + std::to_string(port)) != std::string::npos);
  const auto name = Get(*t, Plain("http://no-such-host.invalid/"));
  REQUIRE_REASON(name, "http.connect");
}

TEST_CASE("curl: the environment and the netrc file do not count", "[base][http]") {
  TempTree home;
  home.Write(".netrc", "machine 127.0.0.1 login x password y\n", 0600);
  home.Write(".curlrc", "user-agent = evil\n");
  setenv("HOME", home.path().c_str(), 1);
  for (const char* name : {"http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"}) {
    setenv(name, "http://127.0.0.1:9", 1);
  }
  HttpServer server([](const ServerRequest&, ServerReply& reply) { reply.body = "ok"; });
  auto t = REQUIRE_VALUE(NewCurlTransport());
  const auto r = Get(*t, Plain(server.url("/")));
  for (const char* name : {"http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"}) {
    unsetenv(name);
  }
  CHECK(REQUIRE_VALUE(r) == "ok");
  CHECK_FALSE(server.requests().at(0).headers.Has("Authorization"));
}

TEST_CASE("curl: an explicit proxy is used, with its credentials", "[base][http]") {
  HttpServer proxy([](const ServerRequest&, ServerReply& reply) { reply.body = "via"; });
  CurlTransportOptions o;
  o.proxy = REQUIRE_VALUE(
      ParseProxySettings("u:p@127.0.0.1:" + std::to_string(proxy.port()), "", "direct.example"));
  auto t = REQUIRE_VALUE(NewCurlTransport(std::move(o)));
  CHECK(REQUIRE_VALUE(Get(*t, Plain("http://somewhere.example/x?y"))) == "via");
  CHECK(proxy.requests().at(0).target == "http://somewhere.example/x?y");
  CHECK(proxy.requests().at(0).headers.Get("Proxy-Authorization") == BasicAuthorization("u", "p"));
  CHECK(proxy.requests().at(0).headers.Get("Host") == "somewhere.example");
}

TEST_CASE("curl: a host may be mapped to another address and port", "[base][http]") {
  HttpServer server([](const ServerRequest& r, ServerReply& reply) {
    reply.body = std::string(r.headers.Get("Host"));
  });
  CurlTransportOptions o;
  o.resolve.push_back(
      REQUIRE_VALUE(ParseResolveRule("Example.com:80:127.0.0.1:" + std::to_string(server.port()))));
  auto t = REQUIRE_VALUE(NewCurlTransport(std::move(o)));
  CHECK(REQUIRE_VALUE(Get(*t, Plain("http://example.com/"))) == "example.com");
  CHECK(REQUIRE_VALUE(ParseResolveRule("h:*:[::1]:80")).address == "::1");
  CHECK(REQUIRE_VALUE(ParseResolveRule("h:443:::1")).address == "::1");
  for (const char* bad : {"", "h", "h:80", ":80:1.2.3.4", "h:x:1.2.3.4", "h:80:name",
                          "h:80:1.2.3.4:0", "h:80:[::1", "h:70000:1.2.3.4"}) {
    CAPTURE(bad);
    REQUIRE_REASON(ParseResolveRule(bad), "core.invalid_argument");
  }
}

std::string Slurp(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

TEST_CASE("curl: TLS trusts what it is told to trust and no more", "[base][http]") {
  TempTree tree;
  tree.Write("file", "over tls");
  NginxServer nginx(
      tree.path(), {"example.com", "127.0.0.1"},
      "location /mtls { if ($ssl_client_verify != SUCCESS) { return 403; } return 200 "
      "$ssl_client_s_dn; } ssl_verify_client optional;"
      "location /plain { return 302 http://example.com/; }");
  COAM_NEEDS(nginx.ok(), nginx.why());
  const std::string port = std::to_string(nginx.port());
  const std::string url = "https://127.0.0.1:" + port + "/file";
  const std::string pem = Slurp(nginx.ca_file());

  auto by_file = REQUIRE_VALUE(NewCurlTransport({.tls = {.ca_file = nginx.ca_file()}}));
  CHECK(REQUIRE_VALUE(Get(*by_file, {.url = url})) == "over tls");
  CHECK(REQUIRE_VALUE(by_file->Open(Op(), {.url = url}))->response().tls);
  auto by_pem = REQUIRE_VALUE(NewCurlTransport({.tls = {.ca_pem = pem, .only_these = true}}));
  CHECK(REQUIRE_VALUE(Get(*by_pem, {.url = url})) == "over tls");

  auto plain = REQUIRE_VALUE(NewCurlTransport());
  const auto untrusted = Get(*plain, {.url = url});
  REQUIRE_REASON(untrusted, "http.tls");
  CHECK(GetError(untrusted.status()).message.find("127.0.0.1:" + port) != std::string::npos);
  const auto no_file = REQUIRE_VALUE(NewCurlTransport({.tls = {.ca_file = tree / "none"}}));
  const auto missing = Get(*no_file, {.url = url});
  REQUIRE_REASON(missing, "http.tls");
  CHECK(GetError(missing.status()).message.find(tree / "none") != std::string::npos);
  // For one request, or one host, only.
  HttpRequest with_ca{.url = url};
  auto tls = std::make_shared<TlsOptions>();
  tls->ca_pem = pem;
  with_ca.tls = tls;
  CHECK(REQUIRE_VALUE(Get(*plain, with_ca)) == "over tls");
  REQUIRE_REASON(Get(*plain, {.url = url}), "http.tls");  // no connection is shared with it
  CurlTransportOptions per_host;
  per_host.host_tls.emplace_back("127.0.0.1:" + port, TlsOptions{.insecure_skip_verify = true});
  per_host.resolve.push_back(REQUIRE_VALUE(ParseResolveRule("example.com:443:127.0.0.1:" + port)));
  auto skipping = REQUIRE_VALUE(NewCurlTransport(per_host));
  CHECK(REQUIRE_VALUE(Get(*skipping, {.url = url})) == "over tls");
  CHECK_FALSE(REQUIRE_VALUE(skipping->Open(Op(), {.url = url}))->response().tls);
  REQUIRE_REASON(Get(*skipping, {.url = "https://example.com/file"}), "http.tls");

  // The name must fit, whatever the address.
  CurlTransportOptions mapped;
  mapped.tls.ca_file = nginx.ca_file();
  for (const char* host : {"example.com", "wrong.example"}) {
    mapped.resolve.push_back(
        REQUIRE_VALUE(ParseResolveRule(std::string(host) + ":443:127.0.0.1:" + port)));
  }
  auto named = REQUIRE_VALUE(NewCurlTransport(mapped));
  CHECK(REQUIRE_VALUE(Get(*named, {.url = "https://example.com/file"})) == "over tls");
  REQUIRE_REASON(Get(*named, {.url = "https://wrong.example/file"}), "http.tls");
  REQUIRE_REASON(Get(*named, {.url = "https://example.com/plain"}), "http.insecure");

  // A client certificate, by file and by text.
  REQUIRE_REASON(Get(*by_file, {.url = "https://127.0.0.1:" + port + "/mtls"}), "http.forbidden");
  TlsOptions identity{.ca_file = nginx.ca_file(),
                      .client_certificate_file = nginx.client_certificate_file(),
                      .client_key_file = nginx.client_key_file()};
  auto client = REQUIRE_VALUE(NewCurlTransport({.tls = identity}));
  CHECK(REQUIRE_VALUE(Get(*client, {.url = "https://127.0.0.1:" + port + "/mtls"})) == "CN=client");
  identity = {.ca_pem = pem,
              .client_certificate_pem = Slurp(nginx.client_certificate_file()),
              .client_key_pem = Slurp(nginx.client_key_file())};
  auto by_text = REQUIRE_VALUE(NewCurlTransport({.tls = identity}));
  CHECK(REQUIRE_VALUE(Get(*by_text, {.url = "https://127.0.0.1:" + port + "/mtls"})) ==
        "CN=client");
  identity.client_key_pem.clear();
  REQUIRE_REASON(NewCurlTransport({.tls = identity}), "core.invalid_argument");

  // TLS is spoken to a server that has none.
  HttpServer no_tls([](const ServerRequest&, ServerReply&) {});
  REQUIRE_REASON(Get(*by_file, {.url = "https://127.0.0.1:" + std::to_string(no_tls.port()) + "/",
                                .max_retries = 0}),
                 "http.tls");
}

TEST_CASE("curl: many large files over TLS at once arrive as the curl program gets them",
          "[base][http]") {
  COAM_NEEDS_PROGRAM("curl");
  TempTree tree;
  for (int i = 0; i < 8; ++i) {
    tree.Write("f" + std::to_string(i), Numbers(1'000'000 + static_cast<size_t>(i)));
  }
  NginxServer nginx(tree.path(), {"127.0.0.1"});
  COAM_NEEDS(nginx.ok(), nginx.why());
  auto t = REQUIRE_VALUE(NewCurlTransport({.tls = {.ca_file = nginx.ca_file()}}));
  std::vector<FetchJob> jobs(8);
  std::vector<std::string> got(8);
  std::vector<std::unique_ptr<StringSink>> sinks;
  for (size_t i = 0; i < 8; ++i) {
    sinks.push_back(std::make_unique<StringSink>(&got[i]));
    jobs[i].sink = sinks[i].get();
    jobs[i].request.url =
        "https://127.0.0.1:" + std::to_string(nginx.port()) + "/f" + std::to_string(i);
  }
  const auto before = testing::OpenFds();
  REQUIRE_OK(t->FetchAll(Op(), jobs));
  for (size_t i = 0; i < 8; ++i) {
    REQUIRE_OK(jobs[i].result);
    std::string by_curl;
    CHECK(testing::Shell("curl -sS --cacert " + nginx.ca_file() + " " + jobs[i].request.url,
                         &by_curl) == 0);
    CHECK((got[i] == by_curl));
  }
  t.reset();
  CHECK(testing::OpenFds() == before);
}

TEST_CASE("curl: the host's signals and their mask stay as they were", "[base][http]") {
  HttpServer server([](const ServerRequest&, ServerReply& reply) { reply.cut_after = 0; });
  sigset_t before, after;
  pthread_sigmask(SIG_SETMASK, nullptr, &before);
  struct sigaction pipe_before, pipe_after;
  sigaction(SIGPIPE, nullptr, &pipe_before);
  auto t = REQUIRE_VALUE(NewCurlTransport());
  HttpRequest put = Plain(server.url("/"));
  put.method = "PUT";
  put.body.assign(5'000'000, 'x');
  (void)Get(*t, put);
  (void)Get(*t, Plain("http://localhost:" + std::to_string(server.port()) + "/"));
  pthread_sigmask(SIG_SETMASK, nullptr, &after);
  sigaction(SIGPIPE, nullptr, &pipe_after);
  CHECK(pipe_before.sa_handler == pipe_after.sa_handler);
  for (int s = 1; s < 65; ++s) CHECK(sigismember(&before, s) == sigismember(&after, s));
}

TEST_CASE("curl: a transport serves several threads", "[base][http]") {
  HttpServer server([](const ServerRequest& r, ServerReply& reply) { reply.body = r.target; });
  auto t = REQUIRE_VALUE(NewCurlTransport());
  std::atomic<int> good{0};
  std::vector<std::thread> threads;
  for (int n = 0; n < 4; ++n) {
    threads.emplace_back([&, n] {
      for (int i = 0; i < 25; ++i) {
        const std::string target = "/" + std::to_string(n) + "/" + std::to_string(i);
        const auto r = Get(*t, Plain(server.url(target)));
        if (r.ok() && *r == target) ++good;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(good == 100);
}

TEST_CASE("curl: a forked child is refused", "[base][http]") {
  HttpServer server([](const ServerRequest&, ServerReply& reply) { reply.body = "ok"; });
  auto t = REQUIRE_VALUE(NewCurlTransport());
  REQUIRE_OK(Get(*t, Plain(server.url("/"))));
  const pid_t pid = fork();
  if (pid == 0) {
    const auto r = Get(*t, Plain(server.url("/")));
    const bool refused = HasReason(r.status(), "core.forked");
    t.reset();
    _exit(refused ? 0 : 1);
  }
  int status = -1;
  REQUIRE(waitpid(pid, &status, 0) == pid);
  CHECK(status == 0);
  REQUIRE_OK(Get(*t, Plain(server.url("/"))));
}

}  // namespace
}  // namespace coaming::base
