#include "liboci/store/layout.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include <catch2/catch_test_macros.hpp>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/digest/hasher.h"
#include "base/fs/tree.h"
#include "base/stream/stream.h"
#include "liboci/spec/image/image_spec.h"

namespace coaming::oci {
namespace {

namespace fs = std::filesystem;

struct Fixture {
  base::TempDir temp = *base::TempDir::New("/tmp", "coam-layout");
  base::Op op;
  std::string dir = absl::StrCat(temp.path(), "/layout");
  std::shared_ptr<Layout> Open(bool create = true) {
    return *Layout::Open(op, dir, {.create = create});
  }
  std::string Slurp(const std::string& path) {
    std::stringstream out;
    out << std::ifstream(path).rdbuf();
    return out.str();
  }
  std::string Tree() {  // every file's path, for "nothing is left"
    std::string out;
    if (!fs::exists(dir)) return out;
    for (const auto& e : fs::recursive_directory_iterator(dir)) {
      if (e.is_regular_file()) absl::StrAppend(&out, fs::relative(e.path(), dir).string(), "\n");
    }
    return out;
  }
};

Descriptor Describe(std::string_view bytes, std::string_view type = "a/b") {
  Descriptor d;
  d.media_type = type;
  d.digest = base::Sha256(bytes);
  d.size = static_cast<int64_t>(bytes.size());
  return d;
}

TEST_CASE_METHOD(Fixture, "layout: blobs and names come back as they went in", "[liboci][store]") {
  auto layout = Open();
  CHECK_FALSE(fs::exists(dir));  // nothing is made before the first write
  std::string manifest = "{}";
  REQUIRE(layout->PutBlob(op, manifest).ok());
  Descriptor d = Describe(manifest, media::kManifest);
  REQUIRE(layout->SetName(op, "1.0", d).ok());
  CHECK(Slurp(dir + "/oci-layout") == R"({"imageLayoutVersion":"1.0.0"})");
  auto again = Open(false);
  absl::StatusOr<Descriptor> found = again->Find(op, "1.0");
  REQUIRE(found.ok());
  CHECK(found->digest == d.digest);
  CHECK(*again->ReadBlob(op, *found) == manifest);
  CHECK(again->Find(op, "")->digest == d.digest);
  CHECK(again->Find(op, d.digest.str())->digest == d.digest);
  CHECK(base::ReasonOf(again->Find(op, "2.0").status()) == "oci.not_found");
}

TEST_CASE_METHOD(Fixture, "layout: a name is replaced, unknown members of index.json stay",
                 "[liboci][store]") {
  auto layout = Open();
  REQUIRE(layout->SetName(op, "a", Describe("1")).ok());
  std::string path = dir + "/index.json";
  std::string text = Slurp(path);
  text.insert(1, R"("x-vendor":[1.50],)");
  std::ofstream(path) << text;
  REQUIRE(layout->SetName(op, "a", Describe("2")).ok());
  REQUIRE(layout->SetName(op, "b", Describe("3")).ok());
  CHECK(layout->List(op)->size() == 2);
  CHECK(layout->Find(op, "a")->digest == Describe("2").digest);
  CHECK(Slurp(path).find(R"("x-vendor":[1.50])") != std::string::npos);
  CHECK(base::ReasonOf(layout->Find(op, "").status()) == "oci.ambiguous");
  REQUIRE(layout->RemoveName(op, "a").ok());
  CHECK(layout->List(op)->size() == 1);
  CHECK(base::ReasonOf(layout->RemoveName(op, "a")) == "oci.not_found");
  CHECK(base::ReasonOf(layout->SetName(op, "no spaces", Describe("4"))) == "oci.reference");
}

TEST_CASE_METHOD(Fixture, "layout: bytes that do not match never get the name", "[liboci][store]") {
  auto layout = Open();
  for (size_t size : {100u, 1000000u}) {  // below and above what is resumable
    std::string good(size, 'x'), bad(size, 'y');
    Descriptor d = Describe(good);
    {
      auto writer = *layout->NewBlob(op, d);
      REQUIRE(writer->Write(bad).ok());
      CHECK(base::ReasonOf(writer->Commit().status()) == "digest.mismatch");
    }
    CHECK_FALSE(layout->Has(d.digest));
    {
      auto writer = *layout->NewBlob(op, d);
      CHECK(writer->offset() == 0);
      REQUIRE(writer->Write(good).ok());
      CHECK(base::ReasonOf(writer->Write("z")) == "digest.size_mismatch");
      CHECK_FALSE(writer->Commit().ok());
    }
    CHECK_FALSE(layout->Has(d.digest));
  }
  CHECK(Tree() == ".coaming/use\n");
}

TEST_CASE_METHOD(Fixture, "layout: a broken download goes on where it stopped", "[liboci][store]") {
  auto layout = Open();
  std::string bytes(1 << 20, 'x');
  Descriptor d = Describe(bytes);
  {
    auto writer = *layout->NewBlob(op, d);
    writer->set_etag("\"v1\"");
    REQUIRE(writer->Write(bytes.substr(0, 600000)).ok());
  }
  std::string partial = absl::StrCat(dir, "/.coaming/partial/sha256-", d.digest.encoded());
  CHECK(fs::file_size(partial) == 600000);
  {
    auto writer = *layout->NewBlob(op, d);
    CHECK(writer->offset() == 600000);
    CHECK(writer->etag() == "\"v1\"");
    REQUIRE(writer->Write(bytes.substr(600000)).ok());
    REQUIRE(writer->Commit().ok());
  }
  CHECK(layout->Has(d.digest));
  CHECK_FALSE(fs::exists(partial));
  CHECK_FALSE(fs::exists(partial + ".rec"));
}

TEST_CASE_METHOD(Fixture, "layout: a partial that was tampered with is noticed at the end",
                 "[liboci][store]") {
  auto layout = Open();
  std::string bytes(1 << 20, 'x');
  Descriptor d = Describe(bytes);
  { REQUIRE((*layout->NewBlob(op, d))->Write(bytes.substr(0, 600000)).ok()); }
  std::string partial = absl::StrCat(dir, "/.coaming/partial/sha256-", d.digest.encoded());
  {
    std::fstream file(partial, std::ios::in | std::ios::out);
    file << "evil";
  }
  {
    auto writer = *layout->NewBlob(op, d);
    REQUIRE(writer->Write(bytes.substr(600000)).ok());
    CHECK(base::ReasonOf(writer->Commit().status()) == "digest.mismatch");
  }
  CHECK_FALSE(fs::exists(partial));  // not again with the same bytes
  // Without a record, or with another's, a partial is not used.
  { REQUIRE((*layout->NewBlob(op, d))->Write(bytes.substr(0, 600000)).ok()); }
  std::ofstream(partial + ".rec") << "junk";
  CHECK((*layout->NewBlob(op, d))->offset() == 0);
}

TEST_CASE_METHOD(Fixture, "layout: a blob changed on disk is noticed when read",
                 "[liboci][store]") {
  auto layout = Open();
  std::string bytes = "hello, world";
  Descriptor d = Describe(bytes);
  REQUIRE(layout->PutBlob(op, bytes).ok());
  std::string path = absl::StrCat(dir, "/blobs/sha256/", d.digest.encoded());
  std::ofstream(path) << "hello, w0rld";
  CHECK(base::ReasonOf(layout->ReadBlob(op, d).status()) == "digest.mismatch");
  std::ofstream(path) << "hello";
  CHECK(base::ReasonOf(layout->ReadBlob(op, d).status()) == "digest.size_mismatch");
  fs::remove(path);
  CHECK(base::ReasonOf(layout->ReadBlob(op, d).status()) == "oci.not_found");
}

TEST_CASE_METHOD(Fixture, "layout: links that lead out of it are not followed", "[liboci][store]") {
  auto layout = Open();
  std::string secret = "secret";
  std::ofstream(temp.path() + "/secret") << secret;
  REQUIRE(layout->PutBlob(op, "x").ok());
  Descriptor d = Describe(secret);
  fs::create_symlink(temp.path() + "/secret",
                     absl::StrCat(dir, "/blobs/sha256/", d.digest.encoded()));
  absl::Status status = layout->ReadBlob(op, d).status();
  CHECK(base::ReasonOf(status) == "fs.escape");
}

TEST_CASE_METHOD(Fixture, "layout: gc keeps what names reach and takes the rest",
                 "[liboci][store]") {
  auto layout = Open();
  Manifest m;
  m.media_type = media::kManifest;
  m.config = Describe("config", media::kConfig);
  m.layers = {Describe("layer", media::kLayerTar)};
  std::string manifest = WriteManifest(m);
  for (std::string bytes :
       {std::string("config"), std::string("layer"), std::string("stray"), manifest}) {
    REQUIRE(layout->PutBlob(op, bytes).ok());
  }
  REQUIRE(layout->SetName(op, "a", Describe(manifest, media::kManifest)).ok());
  std::ofstream(dir + "/blobs/sha256/README") << "not a blob";
  absl::StatusOr<Layout::GcResult> dry = layout->Gc(op, /*dry_run=*/true);
  REQUIRE(dry.ok());
  CHECK(dry->blobs == 1);
  CHECK(layout->Has(Describe("stray").digest));
  absl::StatusOr<Layout::GcResult> gc = layout->Gc(op);
  REQUIRE(gc.ok());
  CHECK(gc->removed == std::vector<base::Digest>{Describe("stray").digest});
  CHECK(gc->kept == 3);
  CHECK(fs::exists(dir + "/blobs/sha256/README"));
  REQUIRE(layout->RemoveName(op, "a").ok());
  CHECK(layout->Gc(op)->blobs == 3);
}

TEST_CASE_METHOD(Fixture, "layout: gc of a damaged layout removes nothing", "[liboci][store]") {
  auto layout = Open();
  REQUIRE(layout->PutBlob(op, "junk").ok());
  REQUIRE(layout->PutBlob(op, "stray").ok());
  REQUIRE(layout->SetName(op, "a", Describe("junk", media::kManifest)).ok());
  CHECK_FALSE(layout->Gc(op).ok());
  CHECK(layout->Has(Describe("stray").digest));
}

TEST_CASE_METHOD(Fixture, "layout: what is no layout is said to be none", "[liboci][store]") {
  CHECK(base::ReasonOf(Layout::Open(op, dir).status()) == "oci.not_found");
  fs::create_directory(dir);
  CHECK(base::ReasonOf(Layout::Open(op, dir).status()) == "oci.layout");
  std::ofstream(dir + "/oci-layout") << R"({"imageLayoutVersion":"2.0.0"})";
  CHECK(base::ReasonOf(Layout::Open(op, dir).status()) == "oci.layout");
  std::ofstream(dir + "/oci-layout") << R"({"imageLayoutVersion":"1.0.0"})";
  CHECK(base::ReasonOf(Open(false)->List(op).status()) == "oci.layout");
}

TEST_CASE_METHOD(Fixture, "layout: a blob is linked or copied from another, checked",
                 "[liboci][store]") {
  auto layout = Open();
  std::string bytes(300000, 'x');
  Descriptor d = Describe(bytes);
  REQUIRE(layout->PutBlob(op, bytes).ok());
  for (bool hardlink : {true, false}) {
    auto other = *Layout::Open(op, absl::StrCat(temp.path(), "/other", hardlink), {.create = true});
    REQUIRE(other->LinkBlob(op, *layout, d, hardlink).ok());
    CHECK(*other->ReadBlob(op, d) == bytes);
  }
  std::ofstream(absl::StrCat(dir, "/blobs/sha256/", d.digest.encoded()))
      << std::string(300000, 'y');
  auto third = *Layout::Open(op, temp.path() + "/third", {.create = true});
  CHECK(base::ReasonOf(third->LinkBlob(op, *layout, d, true)) == "digest.mismatch");
  CHECK_FALSE(third->Has(d.digest));
}

}  // namespace
}  // namespace coaming::oci
