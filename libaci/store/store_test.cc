#include "libaci/store/store.h"

#include <unistd.h>

#include <catch2/catch_test_macros.hpp>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/testing/environment.h"
#include "base/testing/fake_clock.h"
#include "base/testing/temp_tree.h"
#include "libaci/image/tar_testing.h"

namespace coaming::aci {
namespace {

std::string Image(std::string_view name, std::string_view version, std::string_view data = "") {
  const std::string labels =
      version.empty() ? ""
                      : absl::StrCat(R"(,"labels":[{"name":"version","value":")", version, "\"}]");
  return TestTar()
      .Dir("rootfs")
      .File("rootfs/f", data)
      .File("manifest", TestManifest(name, labels))
      .Bytes();
}

struct Fixture {
  base::testing::TempTree t;
  base::testing::FakeClock clock;
  base::Op op;
  std::unique_ptr<ImageStore> store;
  Fixture() {
    op.set_clock(&clock);
    store = REQUIRE_VALUE(ImageStore::Open(t / "cas"));
  }
  absl::StatusOr<ImageRecord> Import(std::string_view bytes, ImportOptions options = {}) {
    clock.AdvanceMs(1000);
    base::MemoryReader in(bytes);
    return store->Import(in, options, op);
  }
  size_t Temps() const {
    size_t n = 0;
    for (const std::string& line : t.Listing()) {
      if (line.find("cas/tmp/") != std::string::npos) ++n;
    }
    return n;
  }
};

TEST_CASE_METHOD(Fixture, "store: an image comes in, is found, read, exported and removed",
                 "[libaci][store]") {
  const std::string tar = Image("example.com/app", "1.0", "data");
  ImageRecord record = REQUIRE_VALUE(Import(Pack(base::Compression::kXz, tar)));
  CHECK(record.name == "example.com/app");
  CHECK(record.version == "1.0");
  CHECK(record.size == tar.size());
  CHECK(store->Has(record.id));
  CHECK(Temps() == 0);
  for (std::string text : {record.id, record.id.substr(0, 7 + 64), record.id.substr(0, 9),
                           std::string("example.com/app"), std::string("example.com/app:1.0")}) {
    INFO(text);
    CHECK(REQUIRE_VALUE(store->Resolve(text)) == record.id);
  }
  REQUIRE_REASON(store->Resolve("example.com/app:2.0"), "aci.not_found");
  REQUIRE_REASON(store->Resolve("example.com/app,os=linux"), "aci.not_found");
  REQUIRE_REASON(store->Resolve("sha512-0"), "aci.image_id_invalid");
  REQUIRE_REASON(store->Resolve("sha512-zz"), "aci.image_id_invalid");
  REQUIRE_REASON(store->Resolve("sha512-" + std::string(130, 'a')), "aci.image_id_invalid");
  CHECK(REQUIRE_VALUE(store->ManifestJson(record.id)).find("example.com/app") != std::string::npos);
  REQUIRE_OK(store->Export(record.id, t / "out.aci", false, op));
  CHECK(t.Read("out.aci") == tar);
  REQUIRE_REASON(store->Export(record.id, t / "out.aci", false, op), "core.exists");
  REQUIRE_OK(store->Verify(record.id, op));
  {
    ImageLock lock = REQUIRE_VALUE(store->Lock(record.id));
    REQUIRE_REASON(store->Remove(record.id), "aci.in_use");
  }
  REQUIRE_OK(store->Remove(record.id));
  REQUIRE_REASON(store->Remove(record.id), "aci.not_found");
  REQUIRE_REASON(store->OpenTar(record.id, op), "aci.not_found");
  // Nothing is left but the empty shelves.
  for (const std::string& line : t.Listing(false)) {
    CHECK(line.find("sha512-") == std::string::npos);
  }
}

TEST_CASE_METHOD(Fixture, "store: by name, latest comes before the newest", "[libaci][store]") {
  const std::string a = REQUIRE_VALUE(Import(Image("example.com/a", "1.0"))).id;
  const std::string b = REQUIRE_VALUE(Import(Image("example.com/a", "2.0"))).id;
  CHECK(REQUIRE_VALUE(store->Resolve("example.com/a")) == b);
  ImportOptions latest;
  latest.latest = true;
  const std::string c = REQUIRE_VALUE(Import(Image("example.com/a", "1.5"), latest)).id;
  const std::string d = REQUIRE_VALUE(Import(Image("example.com/a", "3.0"))).id;
  CHECK(REQUIRE_VALUE(store->Resolve("example.com/a")) == c);
  CHECK(REQUIRE_VALUE(store->Resolve("example.com/a:3.0")) == d);
  CHECK(REQUIRE_VALUE(store->Resolve("example.com/a:1.0")) == a);
  CHECK(REQUIRE_VALUE(store->List()).size() == 4);
  CHECK(REQUIRE_VALUE(store->List())[0].id == a);
  // An abbreviation that fits two is refused.
  std::string prefix = "sha512-";
  absl::Status status = store->ResolveId(prefix).status();
  CHECK(base::HasReason(status, "aci.image_id_invalid"));
}

TEST_CASE_METHOD(Fixture, "store: an abbreviation that fits two images is refused",
                 "[libaci][store]") {
  // 17 images share a first hex digit for sure, 257 two digits.
  std::vector<std::string> ids;
  for (int i = 0; i < 257; ++i) {
    ids.push_back(REQUIRE_VALUE(Import(Image("example.com/n", absl::StrCat(i, ".0")))).id);
  }
  bool ambiguous = false;
  for (const std::string& id : ids) {
    const absl::StatusOr<std::string> found = store->ResolveId(id.substr(0, 9));
    if (base::HasReason(found.status(), "aci.ambiguous")) ambiguous = true;
    CHECK(REQUIRE_VALUE(store->ResolveId(id)) == id);
  }
  CHECK(ambiguous);
}

TEST_CASE_METHOD(Fixture, "store: what is refused leaves nothing", "[libaci][store]") {
  ImportOptions options;
  options.want_id = "sha512-" + std::string(128, '0');
  REQUIRE_REASON(Import(Image("example.com/a", "1"), options), "aci.id_mismatch");
  options = {};
  options.want_name = "example.com/other";
  REQUIRE_REASON(Import(Image("example.com/a", "1"), options), "aci.name_mismatch");
  options = {};
  Set(options.want_labels, "version", "2");
  REQUIRE_REASON(Import(Image("example.com/a", "1"), options), "aci.name_mismatch");
  options = {};
  Set(options.want_labels, "os", "linux");
  REQUIRE_REASON(Import(Image("example.com/a", "1"), options), "aci.name_mismatch");
  options = {};
  options.want_size = 17;
  REQUIRE_REASON(Import(Image("example.com/a", "1"), options), "digest.size_mismatch");
  REQUIRE_REASON(Import(Pack(base::Compression::kGzip, Image("example.com/a", "1")).substr(0, 90)),
                 "stream.corrupt");
  CHECK(REQUIRE_VALUE(store->List()).empty());
  CHECK(Temps() == 0);
}

TEST_CASE_METHOD(Fixture, "store: damaged bytes are noticed, never exported", "[libaci][store]") {
  const std::string id = REQUIRE_VALUE(Import(Image("example.com/a", "1", "hello"))).id;
  const std::string blob = absl::StrCat("cas/blob/sha512/", id.substr(7, 2), "/", id);
  std::string bytes = t.Read(blob);
  bytes[bytes.find("hello")] = 'j';
  t.Write(blob, bytes);
  REQUIRE_REASON(store->Verify(id, op), "aci.store_corrupt");
  REQUIRE_REASON(store->Export(id, t / "x.aci", false, op), "aci.store_corrupt");
  CHECK_FALSE(t.Exists("x.aci"));
  // A new import mends it.
  REQUIRE_OK(Import(Image("example.com/a", "1", "hello")));
  REQUIRE_OK(store->Verify(id, op));
  t.Write(absl::StrCat("cas/info/", id), "{}");
  REQUIRE_REASON(store->Record(id), "aci.store_corrupt");
  CHECK(REQUIRE_VALUE(store->List()).empty());
}

TEST_CASE_METHOD(Fixture, "store: unused images go after their time, and what crashes left",
                 "[libaci][store]") {
  op.set_clock(&base::SystemClock());
  const std::string a = REQUIRE_VALUE(Import(Image("example.com/a", "1"))).id;
  const std::string b = REQUIRE_VALUE(Import(Image("example.com/b", "1"))).id;
  REQUIRE(base::testing::Shell(absl::StrCat("touch -d '2 days ago' ", t / "cas/lock/", a)) == 0);
  t.Write("cas/tmp/deadbeef", "left by a crash");
  const std::string orphan = "sha512-" + std::string(128, 'e');
  t.Write("cas/blob/sha512/ee/" + orphan, "no record");
  CHECK(REQUIRE_VALUE(store->RemoveUnused(24 * 3600, true, op)) == std::vector<std::string>{a});
  CHECK(store->Has(a));
  {
    ImageLock lock = REQUIRE_VALUE(store->Lock(a));
    CHECK(REQUIRE_VALUE(store->RemoveUnused(24 * 3600, false, op)).empty());
  }
  CHECK(REQUIRE_VALUE(store->RemoveUnused(24 * 3600, false, op)) == std::vector<std::string>{a});
  CHECK(store->Has(b));
  CHECK_FALSE(t.Exists("cas/tmp/deadbeef"));
  CHECK_FALSE(t.Exists("cas/blob/sha512/ee/" + orphan));
}

TEST_CASE_METHOD(Fixture, "store: partial downloads and remote records are kept by URL",
                 "[libaci][store]") {
  const std::string url = "https://example.com/a.aci";
  {
    auto partial = REQUIRE_VALUE(store->OpenPartial(url));
    REQUIRE(partial);
    CHECK(partial->size == 0);
    CHECK_FALSE(REQUIRE_VALUE(store->OpenPartial(url)).has_value());  // one at a time
    REQUIRE(write(partial->fd(), "abc", 3) == 3);
    REQUIRE_OK(store->KeepEtag(url, "\"e\""));
  }
  {
    auto partial = REQUIRE_VALUE(store->OpenPartial(url));
    CHECK(partial->size == 3);
    CHECK(partial->etag == "\"e\"");
  }
  REQUIRE_OK(store->DropPartial(url));
  CHECK(REQUIRE_VALUE(store->OpenPartial(url))->size == 0);
  CHECK_FALSE(store->FindRemote(url).has_value());
  RemoteRecord remote;
  remote.url = url;
  remote.image_id = REQUIRE_VALUE(Import(Image("example.com/a", "1"))).id;
  remote.etag = "\"x\"";
  REQUIRE_OK(store->SetRemote(remote));
  CHECK(store->FindRemote(url)->etag == "\"x\"");
  REQUIRE_OK(store->Remove(remote.image_id));
  CHECK_FALSE(store->FindRemote(url).has_value());  // of an image that is gone it says nothing
}

}  // namespace
}  // namespace coaming::aci
