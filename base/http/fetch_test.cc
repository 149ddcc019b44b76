// The policy of Transport, by a scripted transport and a clock that only moves when it waits.
#include <map>
#include <string>

#include "base/core/error.h"
#include "base/http/transport.h"
#include "base/stream/stream.h"
#include "base/testing/fake_clock.h"
#include "base/testing/memory_transport.h"
#include "base/testing/status_testing.h"
#include "catch2/catch_test_macros.hpp"

namespace coaming::base {
namespace {

using testing::FakeClock;
using testing::MemoryReply;
using testing::MemoryRequest;
using testing::MemoryTransport;

struct Rig {
  Rig() { op.set_clock(&clock).set_limits(&limits); }
  FakeClock clock;
  Limits limits;
  MemoryTransport t{&clock};
  Op op;
  absl::StatusOr<std::string> Get(HttpRequest request) {
    return t.FetchBytes(op, request, 1 << 20, "manifest_bytes");
  }
};

std::string Numbers(size_t n) {
  std::string s;
  for (size_t i = 0; s.size() < n; ++i) s += std::to_string(i) + ",";
  s.resize(n);
  return s;
}

TEST_CASE("fetch: each status has its reason, and the body of an error is at hand",
          "[base][http]") {
  const std::map<int, std::string> rows = {{400, "http.status"},    {401, "http.unauthorized"},
                                           {403, "http.forbidden"}, {404, "http.not_found"},
                                           {410, "http.not_found"}, {418, "http.status"},
                                           {301, "http.status"},    {304, "http.status"}};
  for (const auto& [status, reason] : rows) {
    Rig rig;
    rig.t.On("GET", "https://h/x?token=hunter2").Reply(status).Body("why").Header("A", "b");
    const HttpRequest get{.url = "https://h/x?token=hunter2"};
    HttpResponse r = REQUIRE_VALUE(rig.t.Fetch(rig.op, get, nullptr));
    CHECK(r.status == status);
    CHECK(r.error_body == "why");
    CHECK(r.headers.Get("a") == "b");
    const absl::Status s = CheckHttpStatus(get, r);
    REQUIRE_REASON(s, reason);
    CHECK(GetError(s).Detail("http.status") == std::to_string(status));
    CHECK(ErrorToJson(GetError(s)).find("hunter2") == std::string::npos);
    REQUIRE_REASON(rig.Get(get), reason);
  }
}

TEST_CASE("fetch: what is asked again and what is not", "[base][http]") {
  for (const int status : {408, 429, 500, 502, 503, 504}) {
    Rig rig;
    rig.t.On("GET", "https://h/").Reply(status);
    rig.t.On("GET", "https://h/").Body("ok");
    CHECK(REQUIRE_VALUE(rig.Get({.url = "https://h/"})) == "ok");
    CHECK(rig.t.waited_ms() > 0);
    rig.t.On("POST", "https://h/p").Reply(status);
    HttpRequest post{.method = "POST", .url = "https://h/p", .body = "x"};
    CHECK(REQUIRE_VALUE(rig.t.Fetch(rig.op, post, nullptr)).status == status);
    CHECK(rig.t.CountOf("https://h/p") == 1);
    post.idempotent = true;
    rig.t.On("POST", "https://h/p").Body("done");
    CHECK(REQUIRE_VALUE(rig.t.Fetch(rig.op, post, nullptr)).ok());
  }
  Rig rig;
  rig.t.On("GET", "https://down/").FailWith("http.connect");
  REQUIRE_REASON(rig.Get({.url = "https://down/"}), "http.connect");
  CHECK(rig.t.CountOf("https://down/") == 1);
  rig.t.On("GET", "https://tls/").FailWith("http.tls");
  REQUIRE_REASON(rig.Get({.url = "https://tls/"}), "http.tls");
  CHECK(rig.t.CountOf("https://tls/") == 1);
  rig.t.On("GET", "https://flaky/").FailWith("http.truncated");
  REQUIRE_REASON(rig.Get({.url = "https://flaky/"}), "http.truncated");
  CHECK(rig.t.CountOf("https://flaky/") == 4);
  REQUIRE_REASON(rig.Get({.url = "https://flaky/", .max_retries = 0}), "http.truncated");
  CHECK(rig.t.CountOf("https://flaky/") == 5);
}

TEST_CASE("fetch: Retry-After is obeyed, but not for hours", "[base][http]") {
  Rig rig;
  rig.t.On("GET", "https://h/").Reply(429).Header("Retry-After", "20");
  rig.t.On("GET", "https://h/").Body("ok");
  CHECK(REQUIRE_VALUE(rig.Get({.url = "https://h/"})) == "ok");
  CHECK(rig.t.waited_ms() >= 20'000);
  rig.t.On("GET", "https://hub/").Reply(429).Header("Retry-After", "21600");
  const auto limited = rig.Get({.url = "https://hub/"});
  REQUIRE_REASON(limited, "http.rate_limited");
  CHECK(GetError(limited.status()).Detail("retry_after_ms") == "21600000");
  CHECK(rig.t.CountOf("https://hub/") == 1);
}

TEST_CASE("fetch: a deadline ends the pauses between retries", "[base][http]") {
  Rig rig;
  rig.t.On("GET", "https://h/").Reply(503).Header("Retry-After", "25");
  rig.op.set_deadline(Deadline::AfterMs(1000, rig.clock));
  REQUIRE_REASON(rig.Get({.url = "https://h/"}), "core.deadline_exceeded");
}

TEST_CASE("fetch: credentials never follow a redirect to another origin", "[base][http]") {
  for (const char* to : {"https://other/b", "https://h:444/b", "//evil/b", "https://h.evil/b"}) {
    CAPTURE(to);
    Rig rig;
    rig.t.On("GET", "https://h/a").Redirect(302, to);
    rig.t.Handle([](const MemoryRequest&) { return MemoryReply{.body = "ok"}; });
    HttpRequest get{.url = "https://user:pw@h/a"};
    get.headers = {{"Accept", "x"}, {"cookie", "c"}, {"authorization", "Bearer t"}};
    get.secret_headers = {{"X-Token", "s"}};
    CHECK(REQUIRE_VALUE(rig.Get(get)) == "ok");
    const auto requests = rig.t.requests();
    REQUIRE(requests.size() == 2);
    CHECK(requests[0].headers.Get("Authorization") == "Bearer t");
    CHECK(requests[0].headers.Get("X-Token") == "s");
    for (const char* secret : {"Authorization", "Cookie", "X-Token"}) {
      CHECK_FALSE(requests[1].headers.Has(secret));
    }
    CHECK(requests[1].headers.Get("Accept") == "x");
  }
  Rig rig;
  rig.t.On("GET", "https://h/a").Redirect(307, "/b");
  rig.t.On("GET", "https://h/b").Body("ok");
  CHECK(REQUIRE_VALUE(rig.Get({.url = "https://us%65r:p%40w@h/a"})) == "ok");
  CHECK(rig.t.requests()[1].headers.Get("Authorization") == BasicAuthorization("user", "p@w"));
  // A redirect cannot plant credentials either.
  rig.t.On("GET", "https://h/c").Redirect(302, "https://a:b@h/d");
  rig.t.On("GET", "https://h/d").Body("ok");
  CHECK(REQUIRE_VALUE(rig.Get({.url = "https://h/c"})) == "ok");
  CHECK_FALSE(rig.t.requests().back().headers.Has("Authorization"));
}

TEST_CASE("fetch: redirects are counted, resolved and kept off plain http", "[base][http]") {
  Rig rig;
  rig.t.On("GET", "https://h/loop").Redirect(302, "loop");
  REQUIRE_REASON(rig.Get({.url = "https://h/loop"}), "http.redirect");
  CHECK(rig.t.CountOf("https://h/loop") == 11);
  rig.t.On("GET", "https://h/down").Redirect(301, "http://h/x");
  REQUIRE_REASON(rig.Get({.url = "https://h/down"}), "http.insecure");
  rig.t.On("GET", "http://h/x").Body("plain");
  CHECK(REQUIRE_VALUE(rig.Get({.url = "https://h/down", .allow_http = true})) == "plain");
  REQUIRE_REASON(rig.Get({.url = "http://h/x"}), "http.insecure");
  for (const char* bad : {"file:///etc/passwd", "https://h:0/", "gopher://h/", "https://a\\b/"}) {
    rig.t.On("GET", std::string("https://h/bad?") + std::to_string(bad[0])).Redirect(302, bad);
    REQUIRE_REASON(rig.Get({.url = std::string("https://h/bad?") + std::to_string(bad[0])}),
                   "http.redirect");
  }
  HttpRequest stay{.url = "https://h/loop", .follow_redirects = false};
  CHECK(REQUIRE_VALUE(rig.t.Fetch(rig.op, stay, nullptr)).status == 302);
  REQUIRE_REASON(rig.Get({.url = "gopher://h/"}), "http.url");
}

TEST_CASE("fetch: methods and bodies over redirects", "[base][http]") {
  struct Row {
    int status;
    const char *method, *then;
    bool body;
  };
  for (const Row& row :
       {Row{301, "POST", "GET", false}, Row{302, "POST", "GET", false},
        Row{303, "PUT", "GET", false}, Row{307, "POST", "POST", true}, Row{308, "PUT", "PUT", true},
        Row{302, "PUT", "PUT", true}, Row{303, "HEAD", "HEAD", false}}) {
    CAPTURE(row.status, row.method);
    Rig rig;
    rig.t.On(row.method, "https://h/a").Redirect(row.status, "/b");
    rig.t.Handle([](const MemoryRequest&) { return MemoryReply{}; });
    HttpRequest r{.method = row.method, .url = "https://h/a"};
    if (r.method != "HEAD") {
      r.headers = {{"Content-Type", "t"}};
      r.open_body = [] { return std::make_unique<StringReader>("payload"); };
      r.body_size = 7;
    }
    CHECK(REQUIRE_VALUE(rig.t.Fetch(rig.op, r, nullptr)).method == row.then);
    CHECK(rig.t.requests()[1].method == row.then);
    CHECK(rig.t.requests()[1].body == (row.body ? "payload" : ""));
    CHECK(rig.t.requests()[1].headers.Has("Content-Type") == row.body);
  }
}

TEST_CASE("resume: a body that breaks off is continued and nobody notices", "[base][http]") {
  const std::string body = Numbers(500'000);
  for (const bool etag : {true, false}) {
    for (const bool ranges : {true, false}) {
      CAPTURE(etag, ranges);
      Rig rig;
      for (const int64_t cut : {100'000, 50'000, -1}) {
        auto reply = rig.t.On("GET", "https://h/blob").Body(body).CutAfter(cut);
        if (ranges) reply.Ranges();
        if (etag) reply.Header("ETag", "\"v1\"");
      }
      const HttpRequest get{.url = "https://h/blob", .immutable = !etag};
      CHECK(REQUIRE_VALUE(rig.Get(get)) == body);
      const auto requests = rig.t.requests();
      REQUIRE(requests.size() == 3);
      CHECK(requests[1].headers.Get("Range") == "bytes=100000-");
      CHECK(requests[1].headers.Get("If-Range") == (etag ? "\"v1\"" : ""));
      CHECK(requests[2].headers.Get("Range") == (ranges ? "bytes=150000-" : "bytes=100000-"));
    }
  }
}

TEST_CASE("resume: not when the thing changed, and not without a validator", "[base][http]") {
  const std::string body = Numbers(100'000);
  Rig rig;
  rig.t.On("GET", "https://h/a").Body(body).CutAfter(5000).Header("ETag", "\"v1\"").Ranges();
  rig.t.On("GET", "https://h/a").Body(body + "x").Header("ETag", "\"v2\"").Ranges();
  const auto changed = rig.Get({.url = "https://h/a"});
  REQUIRE_REASON(changed, "http.truncated");
  CHECK(GetError(changed.status()).message.find("changed") != std::string::npos);
  int n = 0;
  for (const char* weak : {"", "W/\"v1\""}) {
    const std::string url = "https://h/weak" + std::to_string(n++);
    rig.t.On("GET", url).Body(body).CutAfter(5000).Header("ETag", weak);
    REQUIRE_REASON(rig.Get({.url = url}), "http.truncated");
    CHECK(rig.t.CountOf(url) == 1);
  }
  // Nonsense for an answer to a range.
  rig.t.On("GET", "https://h/c").Body(body).CutAfter(5000).Ranges();
  rig.t.On("GET", "https://h/c")
      .Reply(206)
      .Header("Content-Range", "bytes 0-9/100000")
      .Body("0123456789");
  REQUIRE_REASON(rig.Get({.url = "https://h/c", .immutable = true}), "http.truncated");
  rig.t.On("GET", "https://h/d").Body(body).CutAfter(5000).Ranges();
  rig.t.On("GET", "https://h/d").Reply(404);
  REQUIRE_REASON(rig.Get({.url = "https://h/d", .immutable = true}), "http.truncated");
}

struct PartSink : BodySink {
  absl::Status Begin(const HttpResponse& r) override {
    got.resize(static_cast<size_t>(r.offset));
    ++begun;
    return absl::OkStatus();
  }
  absl::Status Write(std::string_view bytes) override {
    got += bytes;
    return absl::OkStatus();
  }
  std::string got;
  int begun = 0;
};

TEST_CASE("resume: a partial file of an earlier try", "[base][http]") {
  const std::string body = Numbers(10'000);
  struct Row {
    const char *name, *if_range;
    bool ranges;
    size_t have;
    int64_t offset;
  };
  for (const Row& row :
       {Row{"continued", "\"v1\"", true, 4000, 4000}, Row{"changed", "\"v0\"", true, 4000, 0},
        Row{"server without ranges", "\"v1\"", false, 4000, 0},
        Row{"all there", "\"v1\"", true, 10'000, 10'000},
        Row{"too much there", "\"v1\"", true, 11'000, 0}}) {
    CAPTURE(row.name);
    Rig rig;
    auto reply = rig.t.On("GET", "https://h/f").Body(body).Header("ETag", "\"v1\"");
    if (row.ranges) reply.Ranges();
    PartSink sink;
    sink.got = (body + std::string(5000, '?')).substr(0, row.have);
    const HttpRequest get{
        .url = "https://h/f", .offset = static_cast<int64_t>(row.have), .if_range = row.if_range};
    HttpResponse r = REQUIRE_VALUE(rig.t.Fetch(rig.op, get, &sink));
    CHECK(r.ok());
    CHECK(r.offset == row.offset);
    CHECK(sink.begun == 1);
    CHECK(sink.got == body);
  }
}

TEST_CASE("limits: bodies, stalls and the promised length", "[base][http]") {
  Rig rig;
  rig.t.On("GET", "https://h/big").Body(std::string(2 << 20, 'x'));
  REQUIRE_REASON(rig.Get({.url = "https://h/big"}), "core.limit");
  rig.t.On("GET", "https://h/unsized").Body(std::string(2 << 20, 'x')).NoLength();
  const auto big = rig.Get({.url = "https://h/unsized"});
  REQUIRE_REASON(big, "core.limit");
  CHECK(GetError(big.status()).Detail("limit.name") == "manifest_bytes");
  std::string out;
  StringSink sink(&out);
  HttpRequest get{.url = "https://h/unsized", .max_body = 1000};
  REQUIRE_REASON(rig.t.Fetch(rig.op, get, &sink), "core.limit");
  CHECK(out.size() <= (16 << 10));
  rig.t.On("GET", "https://h/stall").Body("abcdef").StallAfter(3);
  const auto stalled = rig.Get({.url = "https://h/stall", .immutable = true, .max_retries = 0});
  REQUIRE_REASON(stalled, "http.truncated");
  CHECK(rig.t.waited_ms() == 60'000);
  rig.t.On("GET", "https://h/mute").StallAfter(-1);
  REQUIRE_REASON(rig.Get({.url = "https://h/mute", .max_retries = 0}), "http.truncated");
  rig.t.On("GET", "https://h/err").Reply(404).Body(std::string(1 << 20, 'e'));
  get.url = "https://h/err";
  CHECK(REQUIRE_VALUE(rig.t.Fetch(rig.op, get, nullptr)).error_body.size() == 64 << 10);
}

struct StopAt : EventSink {
  int OnEvent(const Event& e) override {
    kinds += std::string(e.phase) + " ";
    subject = e.subject;
    return e.phase == stop ? 7 : 0;
  }
  std::string kinds, subject, stop;
};

TEST_CASE("progress: start and done are told, and a stop is obeyed", "[base][http]") {
  Rig rig;
  StopAt events;
  rig.op.set_events(&events);
  rig.t.On("GET", "https://h/f?sig=hunter2").Body("0123");
  HttpRequest get{.url = "https://h/f?sig=hunter2", .progress_kind = "download"};
  REQUIRE_OK(rig.Get(get));
  CHECK(events.kinds == "start done ");
  CHECK(events.subject == "https://h/f");
  events.stop = "start";
  const auto stopped = rig.Get(get);
  REQUIRE_REASON(stopped, "core.cancelled");
  CHECK(GetError(stopped.status()).Detail("callback.code") == "7");
}

TEST_CASE("fetch all: side by side, bounded, each to its own result", "[base][http]") {
  Rig rig;
  rig.limits.parallel_downloads = 3;
  std::vector<FetchJob> jobs(10);
  std::vector<std::string> out(10);
  std::vector<std::unique_ptr<StringSink>> sinks;
  for (size_t i = 0; i < 10; ++i) {
    const std::string url = "https://h/" + std::to_string(i);
    if (i == 4) {
      rig.t.On("GET", url).Reply(404);
    } else if (i == 5) {
      rig.t.On("GET", url).FailWith("http.tls");
    } else {
      rig.t.On("GET", url).Body(Numbers(100'000 + i));
    }
    sinks.push_back(std::make_unique<StringSink>(&out[i]));
    jobs[i].request.url = url;
    jobs[i].sink = sinks[i].get();
  }
  auto cancel = REQUIRE_VALUE(Cancel::New());
  cancel->Fire();
  jobs[6].cancel = cancel.get();
  REQUIRE_OK(rig.t.FetchAll(rig.op, jobs));
  for (size_t i = 0; i < 10; ++i) {
    CAPTURE(i);
    if (i == 5) {
      REQUIRE_REASON(jobs[i].result, "http.tls");
    } else if (i == 6) {
      REQUIRE_REASON(jobs[i].result, "core.cancelled");
    } else {
      REQUIRE_OK(jobs[i].result);
      CHECK(jobs[i].result->status == (i == 4 ? 404 : 200));
      CHECK(out[i] == (i == 4 ? "" : Numbers(100'000 + i)));
    }
  }
  CHECK(rig.t.max_parallel() == 3);
  // The first failure may end all.
  std::vector<FetchJob> two(2);
  two[0].request.url = "https://h/5";
  two[1].request.url = "https://h/stall";
  rig.t.On("GET", "https://h/stall").Body("x").StallAfter(0);
  REQUIRE_OK(rig.t.FetchAll(rig.op, two, /*stop_on_error=*/true));
  REQUIRE_REASON(two[0].result, "http.tls");
  REQUIRE_REASON(two[1].result, "core.cancelled");
  // The op's own cancel is the call's error.
  rig.op.set_cancel(cancel.get());
  REQUIRE_REASON(rig.t.FetchAll(rig.op, two), "core.cancelled");
}

TEST_CASE("fetch: what cannot be sent is refused before anything is", "[base][http]") {
  Rig rig;
  REQUIRE_REASON(rig.Get({.method = "GE T", .url = "https://h/"}), "core.invalid_argument");
  HttpRequest get{.url = "https://h/"};
  get.headers = {{"X", "a\r\nEvil: 1"}};
  const auto bad = rig.Get(get);
  REQUIRE_REASON(bad, "core.invalid_argument");
  CHECK(GetError(bad.status()).message.find("Evil") == std::string::npos);
  get.headers = {{"X\n", "a"}};
  REQUIRE_REASON(rig.Get(get), "core.invalid_argument");
  CHECK(rig.t.requests().empty());
}

}  // namespace
}  // namespace coaming::base
