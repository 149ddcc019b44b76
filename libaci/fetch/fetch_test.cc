#include "libaci/fetch/fetch.h"

#include <catch2/catch_test_macros.hpp>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/testing/fake_clock.h"
#include "base/testing/memory_transport.h"
#include "base/testing/temp_tree.h"
#include "libaci/image/tar_testing.h"

namespace coaming::aci {
namespace {

using base::testing::MemoryTransport;

// Accepts "GOOD for NAME" and nothing else; counts what it was given.
class FakeTrust : public Trust {
 public:
  absl::StatusOr<Verdict> Verify(std::string_view name, std::string_view signature,
                                 base::Reader& image, const base::Op& op) override {
    COAM_UNUSED_STATUS(base::Drain(op, image));
    names.emplace_back(name);
    if (signature != absl::StrCat("GOOD for ", name)) {
      return base::Fail("sig.bad") << "signature of " << name << " is bad";
    }
    return Verdict{"abcd", "Somebody"};
  }
  absl::StatusOr<bool> HasKeyFor(std::string_view, const base::Op&) override { return has_key; }
  absl::Status AddDiscovered(std::string_view name, const std::vector<std::string>& urls,
                             const base::Op& op) override {
    offered = urls;
    if (take) return absl::OkStatus();
    return Trust::AddDiscovered(name, urls, op);
  }
  static void COAM_UNUSED_STATUS(const absl::StatusOr<int64_t>&) {}
  bool has_key = true, take = false;
  std::vector<std::string> names, offered;
};

struct Fixture {
  base::testing::TempTree t;
  MemoryTransport transport;
  FakeTrust trust;
  base::Op op;
  FetchOptions options;
  std::unique_ptr<ImageStore> store = REQUIRE_VALUE(ImageStore::Open(t / "cas"));

  absl::StatusOr<Fetched> Fetch(std::string_view image) {
    return Fetcher(*store, transport, &trust).Fetch(image, options, op);
  }
  // Publishes `bytes` under a name's templates.
  void Serve(std::string_view name, std::string_view version, std::string_view bytes,
             std::string_view signature = "") {
    transport.On("GET", absl::StrCat("https://", name, "?ac-discovery=1"))
        .Body(absl::StrCat("<meta name=ac-discovery content='", name,
                           " https://s.com/{name}-{version}.{ext}'>"));
    transport.On("GET", absl::StrCat("https://s.com/", name, "-", version, ".aci")).Body(bytes);
    if (signature != "none") {
      transport.On("GET", absl::StrCat("https://s.com/", name, "-", version, ".aci.asc"))
          .Body(signature.empty() ? absl::StrCat("GOOD for ", name) : std::string(signature));
    }
  }
  static std::string Image(std::string_view name, std::string_view version,
                           std::string_view more = "") {
    return Pack(
        base::Compression::kGzip,
        TestTar()
            .Dir("rootfs")
            .File("rootfs/of", name)
            .File("manifest",
                  TestManifest(name, absl::StrCat(R"(,"labels":[{"name":"version","value":")",
                                                  version, R"("}])", more)))
            .Bytes());
  }
  bool Clean() const {  // nothing in the store but what was accepted
    for (const std::string& line : t.Listing(false)) {
      if (line.find("cas/tmp/") != std::string::npos) return false;
      if (line.find("cas/partial/") != std::string::npos) return false;
    }
    return true;
  }
};

TEST_CASE_METHOD(Fixture, "fetch: a name is found, verified and stored", "[libaci][fetch]") {
  Serve("e.com/app", "1", Image("e.com/app", "1"));
  Fetched f = REQUIRE_VALUE(Fetch("e.com/app:1"));
  CHECK(f.record.name == "e.com/app");
  CHECK(f.record.signer == "abcd");
  CHECK_FALSE(f.from_store);
  CHECK_FALSE(f.record.latest);
  CHECK(trust.names == std::vector<std::string>{"e.com/app"});
  CHECK(Clean());
  // The signature came before the image.
  const auto requests = transport.requests();
  REQUIRE(requests.size() == 3);
  CHECK(requests[1].url == "https://s.com/e.com/app-1.aci.asc");
  options.pull = PullPolicy::kNever;
  CHECK(REQUIRE_VALUE(Fetch("e.com/app:1")).from_store);
  CHECK(REQUIRE_VALUE(Fetch(f.record.id.substr(0, 20))).record.id == f.record.id);
  CHECK(transport.requests().size() == 3);
}

TEST_CASE_METHOD(Fixture, "fetch: without a version the latest is stored as such",
                 "[libaci][fetch]") {
  Serve("e.com/app", "latest", Image("e.com/app", "7"));
  CHECK(REQUIRE_VALUE(Fetch("e.com/app")).record.latest);
}

TEST_CASE_METHOD(Fixture, "fetch: refusals leave nothing behind", "[libaci][fetch]") {
  SECTION("a bad signature") {
    Serve("e.com/app", "1", Image("e.com/app", "1"), "BAD");
    REQUIRE_REASON(Fetch("e.com/app:1"), "sig.bad");
  }
  SECTION("no signature") {
    Serve("e.com/app", "1", Image("e.com/app", "1"), "none");
    REQUIRE_REASON(Fetch("e.com/app:1"), "aci.unsigned");
    options.insecure_no_signature = true;
    CHECK(REQUIRE_VALUE(Fetch("e.com/app:1")).record.signer.empty());
    // What was never verified does not count as verified later.
    options.insecure_no_signature = false;
    options.pull = PullPolicy::kNever;
    REQUIRE_REASON(Fetch("e.com/app:1"), "aci.unsigned");
    return;
  }
  SECTION("another name") {
    Serve("e.com/app", "1", Image("e.com/other", "1"));
    REQUIRE_REASON(Fetch("e.com/app:1"), "aci.name_mismatch");
  }
  SECTION("another version") {
    Serve("e.com/app", "1", Image("e.com/app", "2"));
    REQUIRE_REASON(Fetch("e.com/app:1"), "aci.name_mismatch");
  }
  SECTION("a label that is not there") {
    Serve("e.com/app", "1", Image("e.com/app", "1"));
    REQUIRE_REASON(Fetch("e.com/app:1,os=linux"), "aci.name_mismatch");
  }
  SECTION("truncated but signed") {
    Serve("e.com/app", "1", Image("e.com/app", "1").substr(0, 100));
    REQUIRE_REASON(Fetch("e.com/app:1"), "stream.corrupt");
  }
  SECTION("no image at all") {
    Serve("e.com/app", "1", "<html>sorry</html>");
    REQUIRE_REASON(Fetch("e.com/app:1"), "aci.not_image");
  }
  SECTION("a hostile layout, signed") {
    Serve("e.com/app", "1",
          TestTar()
              .Dir("rootfs")
              .Link("rootfs/l", "/etc")
              .File("rootfs/l/x", "")
              .File("manifest", TestManifest("e.com/app"))
              .Bytes());
    REQUIRE_REASON(Fetch("e.com/app,version=1"), "fs.escape");
  }
  SECTION("the image is not there") {
    transport.On("GET", "https://e.com/app?ac-discovery=1")
        .Body("<meta name=ac-discovery content='e.com https://s.com/{name}.{ext}'>");
    transport.On("GET", "https://s.com/e.com/app.aci.asc").Body("GOOD for e.com/app");
    REQUIRE_REASON(Fetch("e.com/app:1"), "http.not_found");
  }
  SECTION("an image over plain http") {
    transport.On("GET", "https://e.com/app?ac-discovery=1")
        .Body("<meta name=ac-discovery content='e.com http://s.com/{name}.{ext}'>");
    REQUIRE_REASON(Fetch("e.com/app:1"), "http.insecure");
  }
  SECTION("only a scheme nobody speaks") {
    transport.On("GET", "https://e.com/app?ac-discovery=1")
        .Body("<meta name=ac-discovery content='e.com hdfs://s.com/{name}.{ext}'>");
    REQUIRE_REASON(Fetch("e.com/app:1"), "aci.discovery_failed");
  }
  SECTION("too large") {
    base::Limits limits;
    limits.blob_bytes = 64;
    op.set_limits(&limits);
    Serve("e.com/app", "1", Image("e.com/app", "1"));
    REQUIRE_REASON(Fetch("e.com/app:1"), "core.limit");
    return;  // a partial file may stay: the transfer did not end
  }
  SECTION("a huge signature") {
    Serve("e.com/app", "1", Image("e.com/app", "1"), std::string(2 << 20, 'x'));
    REQUIRE_REASON(Fetch("e.com/app:1"), "core.limit");
  }
  CHECK(REQUIRE_VALUE(store->List()).empty());
  CHECK(Clean());
}

TEST_CASE_METHOD(Fixture, "fetch: keys are looked for when none counts", "[libaci][fetch]") {
  trust.has_key = false;
  Serve("e.com/app", "1", Image("e.com/app", "1"));
  REQUIRE_REASON(Fetch("e.com/app:1"), "aci.no_key");
  transport.On("GET", "https://e.com/?ac-discovery=1")
      .Body("<meta name=ac-discovery-pubkeys content='e.com https://e.com/k.gpg'>");
  REQUIRE_REASON(Fetch("e.com/app:1"), "aci.no_key");
  CHECK(trust.offered == std::vector<std::string>{"https://e.com/k.gpg"});
  CHECK(transport.CountOf("https://s.com/e.com/app-1.aci") == 0);
  trust.take = true;
  REQUIRE_OK(Fetch("e.com/app:1"));
}

TEST_CASE_METHOD(Fixture, "fetch: dependencies come too, checked each", "[libaci][fetch]") {
  const std::string base_tar =
      TestTar().Dir("rootfs").File("manifest", TestManifest("e.com/base")).Bytes();
  base::MemoryReader reader(base_tar);
  const std::string base_id = REQUIRE_VALUE(ReadImage(reader, {}, op)).image_id;
  auto serve_base = [&] { Serve("e.com/base", "latest", base_tar); };
  auto top = [&](std::string_view dependency) {
    Serve("e.com/app", "1",
          Image("e.com/app", "1", absl::StrCat(R"(,"dependencies":[)", dependency, "]")));
  };
  SECTION("by name") {
    serve_base();
    top(R"({"imageName":"e.com/base"})");
    Fetched f = REQUIRE_VALUE(Fetch("e.com/app:1"));
    CHECK(f.dependencies == std::vector<std::string>{base_id});
  }
  SECTION("by ID and size") {
    serve_base();
    top(absl::StrCat(R"({"imageName":"e.com/base","imageID":")", base_id, R"(","size":)",
                     base_tar.size(), "}"));
    REQUIRE_OK(Fetch("e.com/app:1"));
    // And then without the network.
    transport.On("GET", "https://s.com/e.com/base-latest.aci").FailWith("http.connect");
    REQUIRE_OK(Fetch("e.com/app:1"));
  }
  SECTION("a wrong ID") {
    serve_base();
    top(absl::StrCat(R"({"imageName":"e.com/base","imageID":"sha512-)", std::string(128, '0'),
                     "\"}"));
    REQUIRE_REASON(Fetch("e.com/app:1"), "aci.id_mismatch");
  }
  SECTION("a wrong size") {
    serve_base();
    top(R"({"imageName":"e.com/base","size":99999})");
    REQUIRE_REASON(Fetch("e.com/app:1"), "digest.size_mismatch");
  }
  SECTION("endless data for a small size") {
    Serve("e.com/base", "latest", std::string(1 << 20, 'x'));
    top(R"({"imageName":"e.com/base","size":100})");
    REQUIRE_REASON(Fetch("e.com/app:1"), "core.limit");
  }
  SECTION("unsigned") {
    Serve("e.com/base", "latest", base_tar, "none");
    top(R"({"imageName":"e.com/base"})");
    REQUIRE_REASON(Fetch("e.com/app:1"), "aci.unsigned");
  }
  SECTION("a circle") {
    Serve(
        "e.com/base", "latest",
        TestTar()
            .Dir("rootfs")
            .File(
                "manifest",
                TestManifest(
                    "e.com/base",
                    R"(,"dependencies":[{"imageName":"e.com/app","labels":[{"name":"version","value":"1"}]}])"))
            .Bytes());
    top(R"({"imageName":"e.com/base"})");
    REQUIRE_REASON(Fetch("e.com/app:1"), "aci.dependency_cycle");
  }
  SECTION("itself") {
    top(R"({"imageName":"e.com/app","labels":[{"name":"version","value":"1"}]})");
    REQUIRE_REASON(Fetch("e.com/app:1"), "aci.dependency_cycle");
  }
  SECTION("an endless chain of fresh images") {
    int n = 0;
    transport.Handle(
        [&](const base::testing::MemoryRequest& r) -> std::optional<base::testing::MemoryReply> {
          base::testing::MemoryReply reply;
          const size_t at = r.url.find("e.com/n");
          if (at == std::string::npos) return std::nullopt;
          const int i = std::atoi(r.url.c_str() + at + 7);
          const std::string name = absl::StrCat("e.com/n", i);
          if (r.url.find("ac-discovery") != std::string::npos) {
            reply.body = absl::StrCat("<meta name=ac-discovery content='", name,
                                      " https://s.com/{name}.{ext}'>");
          } else if (r.url.find(".asc") != std::string::npos) {
            reply.body = absl::StrCat("GOOD for ", name);
          } else {
            ++n;
            reply.body =
                TestTar()
                    .Dir("rootfs")
                    .File(
                        "manifest",
                        TestManifest(name, absl::StrCat(R"(,"dependencies":[{"imageName":"e.com/n)",
                                                        i + 1, "\"}]")))
                    .Bytes();
          }
          return reply;
        });
    REQUIRE_REASON(Fetch("e.com/n0"), "core.limit");
    CHECK(n < 30);
  }
}

TEST_CASE_METHOD(Fixture, "fetch: a cut download goes on where it stopped", "[libaci][fetch]") {
  const std::string bytes =
      Image("e.com/app", "1", absl::StrCat(R"(,"x":")", std::string(5000, 'y'), "\""));
  Serve("e.com/app", "1", bytes);
  MemoryTransport cut;
  cut.On("GET", "https://e.com/app?ac-discovery=1")
      .Body("<meta name=ac-discovery content='e.com/app https://s.com/{name}-{version}.{ext}'>");
  cut.On("GET", "https://s.com/e.com/app-1.aci.asc").Body("GOOD for e.com/app");
  cut.On("GET", "https://s.com/e.com/app-1.aci")
      .Header("ETag", "\"v1\"")
      .Body(bytes)
      .CutAfter(static_cast<int64_t>(bytes.size() / 2));
  base::Limits limits;
  limits.http_retries = 0;
  op.set_limits(&limits);
  REQUIRE_REASON(Fetcher(*store, cut, &trust).Fetch("e.com/app:1", options, op), "http.truncated");
  MemoryTransport rest;
  rest.On("GET", "https://e.com/app?ac-discovery=1")
      .Body("<meta name=ac-discovery content='e.com/app https://s.com/{name}-{version}.{ext}'>");
  rest.On("GET", "https://s.com/e.com/app-1.aci.asc").Body("GOOD for e.com/app");
  rest.On("GET", "https://s.com/e.com/app-1.aci").Header("ETag", "\"v1\"").Body(bytes).Ranges();
  REQUIRE_OK(Fetcher(*store, rest, &trust).Fetch("e.com/app:1", options, op));
  bool ranged = false;
  for (const auto& r : rest.requests()) {
    if (r.headers.Has("Range")) ranged = true;
  }
  CHECK(ranged);
  CHECK(Clean());
}

TEST_CASE_METHOD(Fixture, "fetch: an unchanged image is not sent again", "[libaci][fetch]") {
  base::testing::FakeClock clock;
  op.set_clock(&clock);
  const std::string url = "https://s.com/e.com/app-1.aci";
  transport.On("GET", "https://e.com/app?ac-discovery=1")
      .Body("<meta name=ac-discovery content='e.com/app https://s.com/{name}-{version}.{ext}'>");
  transport.On("GET", url + ".asc").Body("GOOD for e.com/app");
  transport.On("GET", url)
      .Header("ETag", "\"v1\"")
      .Header("Cache-Control", "max-age=60")
      .Body(Image("e.com/app", "1"));
  transport.On("GET", url).Reply(304);
  REQUIRE_OK(Fetch("e.com/app:1"));
  CHECK(REQUIRE_VALUE(Fetch("e.com/app:1")).from_store);  // still fresh
  CHECK(transport.CountOf(url) == 1);
  clock.AdvanceMs(61000);
  CHECK(REQUIRE_VALUE(Fetch("e.com/app:1")).from_store);  // 304
  CHECK(transport.CountOf(url) == 2);
}

TEST_CASE_METHOD(Fixture, "fetch: a deferred signature is asked for again", "[libaci][fetch]") {
  transport.On("GET", "https://e.com/app?ac-discovery=1")
      .Body("<meta name=ac-discovery content='e.com/app https://s.com/{name}.{ext}'>");
  transport.On("GET", "https://s.com/e.com/app.aci.asc").Reply(202);
  transport.On("GET", "https://s.com/e.com/app.aci.asc").Body("GOOD for e.com/app");
  transport.On("GET", "https://s.com/e.com/app.aci").Body(Image("e.com/app", "1"));
  REQUIRE_OK(Fetch("e.com/app:1"));
}

TEST_CASE_METHOD(Fixture, "fetch: URLs and files are verified by the name they carry",
                 "[libaci][fetch]") {
  transport.On("GET", "https://s.com/x.aci").Body(Image("e.com/app", "1"));
  transport.On("GET", "https://s.com/x.aci.asc").Body("GOOD for e.com/app");
  CHECK(REQUIRE_VALUE(Fetch("https://s.com/x.aci")).record.name == "e.com/app");
  REQUIRE_REASON(Fetch("http://s.com/x.aci"), "http.insecure");
  const std::string path = t.Write("y.aci", Image("e.com/other", "1"));
  REQUIRE_REASON(Fetch(path), "aci.unsigned");
  t.Write("y.aci.asc", "GOOD for e.com/app");
  REQUIRE_REASON(Fetch(path), "sig.bad");
  t.Write("y.aci.asc", "GOOD for e.com/other");
  REQUIRE_OK(Fetch(path));
  options.signature_file = t.Write("elsewhere", "BAD");
  REQUIRE_REASON(Fetch(path), "sig.bad");
  REQUIRE_REASON(Fetch(t / "none.aci"), "core.not_found");
}

TEST_CASE_METHOD(Fixture, "fetch: nobody to trust is the caller's fault", "[libaci][fetch]") {
  REQUIRE_REASON(Fetcher(*store, transport, nullptr).Fetch("e.com/app", options, op),
                 "core.invalid_argument");
}

TEST_CASE("fetch: what a word on the command line means", "[libaci][fetch]") {
  auto kind = [](std::string_view text) { return REQUIRE_VALUE(ClassifyImage(text)).kind; };
  CHECK(kind("sha512-ab") == ImageRefKind::kId);
  CHECK(kind("example.com/app:1") == ImageRefKind::kName);
  CHECK(kind("my-app:v1") == ImageRefKind::kName);
  CHECK(kind("https://example.com/app.aci") == ImageRefKind::kUrl);
  CHECK(kind("file:///tmp/x.aci") == ImageRefKind::kFile);
  CHECK(kind("/tmp/x.aci") == ImageRefKind::kFile);
  CHECK(kind("./x.aci") == ImageRefKind::kFile);
  CHECK(kind("x.aci") == ImageRefKind::kFile);
  CHECK(kind("docker://busybox:1") == ImageRefKind::kDocker);
  CHECK(REQUIRE_VALUE(ClassifyImage("docker:busybox")).text == "busybox");
  REQUIRE_REASON(ClassifyImage(""), "aci.name_invalid");
  REQUIRE_REASON(ClassifyImage("https://example.com/app"), "aci.name_invalid");
}

}  // namespace
}  // namespace coaming::aci
