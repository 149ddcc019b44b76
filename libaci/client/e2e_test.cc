// From an image built of Debian's busybox to its rendered root: gpg signs, nginx serves over HTTPS,
// and everything in between is ours.
#include <catch2/catch_test_macros.hpp>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/testing/environment.h"
#include "base/testing/http_server.h"
#include "base/testing/status_testing.h"
#include "base/testing/temp_tree.h"
#include "libaci/client/client.h"
#include "libaci/image/build.h"
#include "libaci/render/render.h"
#include "libaci/schema/edit.h"
#include "libaci/schema/types.h"
#include "libtrust/openpgp/certificate.h"

namespace coaming::aci {
namespace {

using base::testing::Shell;

struct Fixture {
  base::testing::TempTree t;
  base::Op op;
  trust::MemoryKeyFiles files;
  trust::KeyStore keys{&files, nullptr};
  std::mutex mutex;
  std::unique_ptr<ImageStore> store = REQUIRE_VALUE(ImageStore::Open(t / "cas"));
  std::unique_ptr<base::testing::NginxServer> nginx;
  std::unique_ptr<Client> client;
  FetchOptions options;

  std::string Gpg() const {
    return absl::StrCat("GNUPGHOME=", t / "gnupg", " gpg --batch --yes --no-tty --quiet ");
  }
  void Sign(const std::string& aci) {
    REQUIRE(Shell(absl::StrCat(Gpg(), "--armor --detach-sign --output ", aci, ".asc ", aci)) == 0);
  }
  void Start() {
    COAM_NEEDS_PROGRAM("gpg");
    COAM_NEEDS_PROGRAM("nginx");
    COAM_NEEDS_PROGRAM("busybox");
    t.MakeDir("gnupg", 0700);
    REQUIRE(Shell(absl::StrCat(Gpg(),
                               "--passphrase '' --quick-generate-key "
                               "'Test <test@example.com>' ed25519 sign never")) == 0);
    t.MakeDir("www/example.com");
    REQUIRE(Shell(absl::StrCat(Gpg(), "--armor --export > ", t / "www/pubkeys.gpg")) == 0);
    t.Write("www/page.html",
            "<html><head>"
            "<meta name='ac-discovery' content='example.com "
            "https://example.com/files/{name}-{version}-{os}-{arch}.{ext}'>"
            "<meta name='ac-discovery-pubkeys' content='example.com "
            "https://example.com/pubkeys.gpg'></head></html>");
    Build();
    nginx = std::make_unique<base::testing::NginxServer>(
        t / "www", std::vector<std::string>{"example.com"},
        "location = /hello { default_type text/html; try_files /page.html =404; }");
    if (!nginx->ok()) SKIP(nginx->why());
    ClientOptions wiring;
    wiring.ca_file = nginx->ca_file();
    wiring.resolve = {absl::StrCat("example.com:443:127.0.0.1:", nginx->port())};
    client = REQUIRE_VALUE(Client::New(wiring));
  }
  std::string Path() const {
    return t / absl::StrCat("www/files/example.com/hello-0.0.1-linux-", HostArch(), ".aci");
  }
  void Build() {
    t.MakeDir("w");
    auto context = REQUIRE_VALUE(BuildContext::Begin(t / "w", "", op));
    REQUIRE_OK(context->Copy(base::testing::ProgramPath("busybox"), "/bin/busybox", op));
    ManifestEdit edit;
    edit.name = "example.com/hello";
    edit.exec = {"/bin/busybox", "httpd", "-f", "-p", "5000"};
    edit.ports = {"http,protocol=tcp,port=5000"};
    edit.labels = {{"version", "0.0.1"}};
    edit.isolators = {{"resource/memory", "{\"limit\":\"64Mi\"}"}};
    REQUIRE_OK(context->Edit([&](ImageManifest& m) { return Apply(edit, m); }, "acbuild script"));
    t.MakeDir("www/files/example.com");
    REQUIRE_OK(context->Write(Path(), {}, op));
    REQUIRE_OK(context->End());
    Sign(Path());
  }
  absl::StatusOr<Fetched> Fetch(KeyStoreTrust::Review review = nullptr,
                                std::string_view image = "example.com/hello:0.0.1") {
    KeyStoreTrust trust(keys, mutex, client.get(), options.discovery, std::move(review));
    return Fetcher(*store, client->transport(), &trust).Fetch(image, options, op);
  }
};

TEST_CASE_METHOD(Fixture, "end to end: build, sign, serve, discover, fetch, verify, render",
                 "[libaci][client]") {
  Start();
  // Nobody is trusted yet: the key is published, but nobody takes it.
  REQUIRE_REASON(Fetch(), "aci.no_key");
  std::string shown;
  Fetched f = REQUIRE_VALUE(Fetch([&](const KeyOffer& offer) {
    CHECK(offer.prefix == "example.com/hello");
    CHECK(offer.url == "https://example.com/pubkeys.gpg");
    shown = trust::openpgp::ReviewText(*offer.keys);
    return absl::OkStatus();
  }));
  CHECK(shown.find("test@example.com") != std::string::npos);
  CHECK(f.record.signer.size() >= 40);
  CHECK(f.record.name == "example.com/hello");
  std::string sum;
  REQUIRE(Shell("gzip -dc < " + Path() + " | sha512sum", &sum) == 0);
  CHECK(f.record.id == "sha512-" + sum.substr(0, 128));

  RenderOptions render;
  REQUIRE_OK(RenderImage(*store, f.record.id, t / "root", render, op));
  REQUIRE(Shell(absl::StrCat("cmp ", base::testing::ProgramPath("busybox"), " ",
                             t / "root/rootfs/bin/busybox")) == 0);

  // A tampered image, an unsigned one, one signed by a stranger.
  REQUIRE_OK(store->Remove(f.record.id));
  const std::string good = t.Read(Path().substr(t.path().size() + 1));
  std::string bad = good;
  bad[bad.size() / 2] ^= 1;
  const std::string relative = Path().substr(t.path().size() + 1);
  t.Write(relative, bad);
  REQUIRE_REASON(Fetch(), "sig.bad");
  t.Write(relative, good);
  REQUIRE(Shell("mv " + Path() + ".asc " + Path() + ".kept") == 0);
  REQUIRE_REASON(Fetch(), "aci.unsigned");
  REQUIRE(Shell("mv " + Path() + ".kept " + Path() + ".asc") == 0);
  const std::string old_home = t / "gnupg";
  REQUIRE(Shell("mv " + old_home + " " + old_home + ".old && mkdir -m 700 " + old_home) == 0);
  REQUIRE(Shell(absl::StrCat(Gpg(),
                             "--passphrase '' --quick-generate-key "
                             "'Stranger <x@evil.com>' ed25519 sign never")) == 0);
  Sign(Path());
  REQUIRE_REASON(Fetch(), "sig.untrusted");
  CHECK(REQUIRE_VALUE(store->List()).empty());
  Shell("gpgconf --homedir " + old_home + " --kill all; gpgconf --homedir " + old_home +
        ".old --kill all");
}

TEST_CASE_METHOD(Fixture, "end to end: a CA nobody trusts is refused", "[libaci][client]") {
  Start();
  ClientOptions wiring;
  wiring.resolve = {absl::StrCat("example.com:443:127.0.0.1:", nginx->port())};
  client = REQUIRE_VALUE(Client::New(wiring));
  REQUIRE_REASON(Fetch(), "http.tls");
  options.insecure_no_signature = true;
  REQUIRE_REASON(Fetch(), "http.tls");
  options.discovery.insecure_tls = true;
  REQUIRE_OK(Fetch());
  Shell("gpgconf --homedir " + (t / "gnupg") + " --kill all");
}

TEST_CASE("client: wrong wiring is refused", "[libaci][client]") {
  ClientOptions options;
  options.resolve = {"nonsense"};
  REQUIRE_REASON(Client::New(options), "core.invalid_argument");
}

}  // namespace
}  // namespace coaming::aci
