#include "libaci/image/image.h"

#include <catch2/catch_test_macros.hpp>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/testing/environment.h"
#include "base/testing/temp_tree.h"
#include "libaci/image/tar_testing.h"

namespace coaming::aci {
namespace {

using base::Compression;

absl::StatusOr<ImageInfo> Read(std::string_view bytes, const base::Limits& limits = {}) {
  base::Op op;
  op.set_limits(&limits);
  base::MemoryReader in(bytes);
  return ReadImage(in, {}, op);
}

std::string Good() {
  return TestTar()
      .Dir("rootfs")
      .Dir("rootfs/bin")
      .File("rootfs/bin/sh", "#!", 0755)
      .Hard("rootfs/bin/ash", "rootfs/bin/sh")
      .Link("rootfs/sh", "/bin/sh")
      .Kind(base::TarType::kFifo, "rootfs/fifo", "", 0644)
      .File("manifest", TestManifest("example.com/good"))
      .Bytes();
}

TEST_CASE("image: the ID is SHA-512 of the uncompressed tar, whatever the packing",
          "[libaci][image]") {
  const std::string tar = Good();
  base::testing::TempTree tree;
  std::string sum;
  REQUIRE(base::testing::Shell("sha512sum < " + tree.Write("a.tar", tar), &sum) == 0);
  const std::string id = "sha512-" + sum.substr(0, 128);
  for (Compression c :
       {Compression::kNone, Compression::kGzip, Compression::kBzip2, Compression::kXz}) {
    INFO(base::CompressionName(c));
    ImageInfo info = REQUIRE_VALUE(Read(c == Compression::kNone ? tar : Pack(c, tar)));
    CHECK(info.image_id == id);
    CHECK(info.compression == c);
    CHECK(info.tar_bytes == tar.size());
    CHECK(info.manifest.name == "example.com/good");
    CHECK(info.rootfs_entries == 6);
  }
  // Padding belongs to the ID.
  CHECK(REQUIRE_VALUE(Read(tar + std::string(10240, '\0'))).image_id != id);
  // Members of one gzip file are one stream.
  CHECK(REQUIRE_VALUE(Read(Pack(Compression::kGzip, tar.substr(0, 700)) +
                           Pack(Compression::kGzip, tar.substr(700))))
            .image_id == id);
}

TEST_CASE("image: GNU tar's archives and names with ./ are read", "[libaci][image]") {
  base::testing::TempTree tree;
  tree.Write("l/manifest", TestManifest("example.com/gnu"));
  tree.Write("l/rootfs/a/b", "x");
  tree.Write("l/rootfs/" + std::string(120, 'n') + "/" + std::string(120, 'm'), "long");
  for (const char* format : {"gnu", "pax", "ustar"}) {
    INFO(format);
    const std::string cmd = absl::StrCat("cd ", tree / "l", " && tar --format=", format, " -cf ",
                                         tree / "x.tar", " ./manifest ./rootfs");
    if (base::testing::Shell(cmd) != 0) continue;  // ustar cannot name it
    ImageInfo info = REQUIRE_VALUE(Read(tree.Read("x.tar")));
    CHECK(info.manifest.name == "example.com/gnu");
    CHECK(info.rootfs_bytes == 5);
  }
}

TEST_CASE("image: what the layout forbids is refused with its reason", "[libaci][image]") {
  const std::string m = TestManifest("example.com/bad");
  struct {
    const char* what;
    std::string bytes, reason;
  } rows[] = {
      {"no rootfs entry", TestTar().File("manifest", m).File("rootfs/a", "").Bytes(),
       "aci.layout_invalid"},
      {"rootfs a file", TestTar().File("manifest", m).File("rootfs", "").Bytes(),
       "aci.layout_invalid"},
      {"rootfs a link", TestTar().File("manifest", m).Link("rootfs", "/").Bytes(),
       "aci.layout_invalid"},
      {"manifest a link", TestTar().Link("manifest", "rootfs/m").Dir("rootfs").Bytes(),
       "aci.layout_invalid"},
      {"manifest a directory", TestTar().Dir("manifest").Dir("rootfs").Bytes(),
       "aci.layout_invalid"},
      {"no manifest", TestTar().Dir("rootfs").Bytes(), "aci.layout_invalid"},
      {"two manifests", TestTar().File("manifest", m).Dir("rootfs").File("./manifest", m).Bytes(),
       "aci.layout_invalid"},
      {"rootfs twice", TestTar().File("manifest", m).Dir("rootfs").Dir("rootfs/").Bytes(),
       "aci.layout_invalid"},
      {"a file twice",
       TestTar()
           .File("manifest", m)
           .Dir("rootfs")
           .File("rootfs/a", "")
           .File("rootfs/a", "")
           .Bytes(),
       "aci.layout_invalid"},
      {"a directory twice, spelt otherwise",
       TestTar().File("manifest", m).Dir("rootfs").Dir("rootfs/d").Dir("./rootfs//d/").Bytes(),
       "aci.layout_invalid"},
      {"another file at the top", TestTar().File("manifest", m).Dir("rootfs").File("x", "").Bytes(),
       "aci.layout_invalid"},
      {"rootfsfoo", TestTar().File("manifest", m).Dir("rootfs").File("rootfsfoo/x", "").Bytes(),
       "aci.layout_invalid"},
      {"absolute", TestTar().File("manifest", m).Dir("rootfs").File("/rootfs/x", "").Bytes(),
       "fs.escape"},
      {"upwards",
       TestTar().File("manifest", m).Dir("rootfs").File("rootfs/../../etc/x", "").Bytes(),
       "fs.escape"},
      {"below a link",
       TestTar()
           .File("manifest", m)
           .Dir("rootfs")
           .Link("rootfs/l", "/etc")
           .File("rootfs/l/x", "")
           .Bytes(),
       "fs.escape"},
      {"a link above what came before",
       TestTar()
           .File("manifest", m)
           .Dir("rootfs")
           .File("rootfs/l/x", "")
           .Link("rootfs/l", "/etc")
           .Bytes(),
       "fs.escape"},
      {"below a hard link to a link",
       TestTar()
           .File("manifest", m)
           .Dir("rootfs")
           .Link("rootfs/l", "/etc")
           .Hard("rootfs/h", "rootfs/l")
           .File("rootfs/h/x", "")
           .Bytes(),
       "fs.escape"},
      {"below a file",
       TestTar()
           .File("manifest", m)
           .Dir("rootfs")
           .File("rootfs/f", "")
           .File("rootfs/f/x", "")
           .Bytes(),
       "aci.layout_invalid"},
      {"hard link outwards",
       TestTar().File("manifest", m).Dir("rootfs").Hard("rootfs/h", "../../etc/passwd").Bytes(),
       "fs.escape"},
      {"hard link to the manifest",
       TestTar().File("manifest", m).Dir("rootfs").Hard("rootfs/h", "manifest").Bytes(),
       "fs.escape"},
      {"hard link to what is not there",
       TestTar().File("manifest", m).Dir("rootfs").Hard("rootfs/h", "rootfs/none").Bytes(),
       "aci.layout_invalid"},
      {"hard link to a directory",
       TestTar()
           .File("manifest", m)
           .Dir("rootfs")
           .Dir("rootfs/d")
           .Hard("rootfs/h", "rootfs/d")
           .Bytes(),
       "aci.layout_invalid"},
      {"a pod manifest",
       TestTar()
           .File("manifest", R"({"acKind":"PodManifest","acVersion":"0.8.11","apps":[]})")
           .Dir("rootfs")
           .Bytes(),
       "aci.manifest_invalid"},
      {"a broken manifest", TestTar().File("manifest", "{").Dir("rootfs").Bytes(), "json.invalid"},
      {"empty", "", "aci.not_image"},
      {"noise", std::string(4096, 'x'), "aci.not_image"},
      {"zstd", Pack(Compression::kZstd, Good()), "aci.not_image"},
      {"cut gzip", Pack(Compression::kGzip, Good()).substr(0, 200), "stream.corrupt"},
      {"cut tar", Good().substr(0, 1537), "archive.corrupt"},
      {"garbage after gzip", Pack(Compression::kGzip, Good()) + "garbage", "stream.corrupt"},
  };
  for (const auto& row : rows) {
    INFO(row.what);
    const absl::Status status = Read(row.bytes).status();
    INFO(base::testing::Describe(status));
    CHECK(base::ReasonOf(status) == row.reason);
  }
  std::string v7 = Good();
  v7.replace(257, 8, 8, '\0');
  CHECK(base::HasReason(Read(v7).status(), "aci.not_image"));
}

TEST_CASE("image: order is free and odd entries are fine", "[libaci][image]") {
  const std::string m = TestManifest("example.com/order");
  REQUIRE_OK(Read(TestTar().File("rootfs/a/b", "").Dir("rootfs").File("manifest", m).Bytes()));
  REQUIRE_OK(Read(TestTar().File("manifest", m).Dir("./").Dir("./rootfs/").Bytes()));
  REQUIRE_OK(Read(TestTar()
                      .Dir("rootfs")
                      .File("rootfs/\xc3\xbc\xff", "")
                      .File("manifest", m)
                      .Kind(base::TarType::kCharDevice, "rootfs/null", "", 0666)
                      .Bytes()));
}

TEST_CASE("image: limits stop bombs", "[libaci][image]") {
  const std::string m = TestManifest("example.com/bomb");
  base::Limits limits;
  limits.unpacked_files = 3;
  REQUIRE_REASON(Read(Good(), limits), "core.limit");
  limits = base::Limits();
  limits.unpacked_bytes = 1000;
  REQUIRE_REASON(Read(TestTar()
                          .Dir("rootfs")
                          .File("rootfs/a", std::string(1001, 'x'))
                          .File("manifest", m)
                          .Bytes(),
                      limits),
                 "core.limit");
  limits = base::Limits();
  limits.manifest_bytes = 50;
  REQUIRE_REASON(Read(Good(), limits), "core.limit");
  // 64 MiB of zeros in one file, packed to almost nothing.
  limits = base::Limits();
  limits.compression_ratio = 100;
  REQUIRE_REASON(Read(Pack(Compression::kGzip, TestTar()
                                                   .Dir("rootfs")
                                                   .File("rootfs/z", std::string(64 << 20, '\0'))
                                                   .File("manifest", m)
                                                   .Bytes()),
                      limits),
                 "core.limit");
}

TEST_CASE("image: only the manifest can be read", "[libaci][image]") {
  const std::string bytes = Good();
  base::MemoryReader again(bytes);
  CHECK(REQUIRE_VALUE(ReadManifestOnly(again, base::Op())) == TestManifest("example.com/good"));
}

TEST_CASE("image: a patched copy has another manifest and nothing else", "[libaci][image]") {
  const std::string bytes = Good();
  base::MemoryReader in(bytes);
  std::string out;
  base::StringWriter sink(&out);
  ImageInfo info = REQUIRE_VALUE(PatchImage(
      in, sink, Compression::kGzip,
      [](std::string_view json) -> absl::StatusOr<std::string> {
        CHECK(json == TestManifest("example.com/good"));
        return TestManifest("example.com/patched");
      },
      base::Op()));
  CHECK(info.manifest.name == "example.com/patched");
  ImageInfo again = REQUIRE_VALUE(Read(out));
  CHECK(again.image_id == info.image_id);
  CHECK(again.compression == Compression::kGzip);
  CHECK(again.rootfs_entries == 6);
  base::MemoryReader third(bytes);
  REQUIRE_REASON(
      PatchImage(
          third, sink, Compression::kNone,
          [](std::string_view) -> absl::StatusOr<std::string> { return "{}"; }, base::Op()),
      "aci.manifest_invalid");
}

TEST_CASE("validate: files and directories of every kind", "[libaci][image]") {
  base::testing::TempTree t;
  const std::string m = TestManifest("example.com/v");
  const base::Op op;
  auto check = [&](const std::string& path, WantKind want = WantKind::kGuess) {
    return ValidateFile(path, want, false, op);
  };
  CHECK(REQUIRE_VALUE(check(t.Write("a.aci", Good()))) == FileKind::kImage);
  CHECK(REQUIRE_VALUE(check(t.Write("m.json", " \n" + m))) == FileKind::kImageManifest);
  CHECK(REQUIRE_VALUE(check(
            t.Write("p.json", R"({"acKind":"PodManifest","acVersion":"0.8.11","apps":[]})"))) ==
        FileKind::kPodManifest);
  t.Write("l/manifest", m);
  REQUIRE_REASON(check(t / "l"), "aci.layout_invalid");
  t.MakeDir("l/rootfs");
  CHECK(REQUIRE_VALUE(check(t / "l")) == FileKind::kLayout);
  t.Write("l/extra", "");
  REQUIRE_REASON(check(t / "l"), "aci.layout_invalid");
  REQUIRE_REASON(check(t.MakeDir("empty")), "aci.layout_invalid");
  t.Write("r/rootfs", "");
  t.Write("r/manifest", m);
  REQUIRE_REASON(check(t / "r"), "aci.layout_invalid");
  t.Write("s/manifest", m);
  t.Symlink("/", "s/rootfs");
  REQUIRE_REASON(check(t / "s"), "aci.layout_invalid");
  REQUIRE_REASON(check(t / "l", WantKind::kImage), "core.invalid_argument");
  REQUIRE_REASON(check(t / "m.json", WantKind::kLayout), "core.invalid_argument");
  REQUIRE_REASON(check(t / "m.json", WantKind::kImage), "aci.not_image");
  REQUIRE_REASON(check(t / "a.aci", WantKind::kManifest), "json.invalid");
  REQUIRE_REASON(check(t / "none"), "core.not_found");
  REQUIRE_REASON(check(t.Write("bad.json", "{\"acKind\":")), "json.invalid");
}

}  // namespace
}  // namespace coaming::aci
