#include "libaci/image/build.h"

#include <catch2/catch_test_macros.hpp>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/testing/environment.h"
#include "base/testing/temp_tree.h"
#include "libaci/image/tar_testing.h"
#include "libaci/schema/types.h"

namespace coaming::aci {
namespace {

using base::testing::Shell;

void MakeLayout(const base::testing::TempTree& t) {
  t.Write("l/manifest", TestManifest("example.com/built"));
  t.Write("l/rootfs/b", "two", 0755);
  t.Write("l/rootfs/a/file", "one");
  t.Symlink("/nowhere", "l/rootfs/link");
  REQUIRE(Shell(absl::StrCat("ln ", t / "l/rootfs/b", " ", t / "l/rootfs/c", " && mkfifo ",
                             t / "l/rootfs/fifo", " && chmod 4755 ", t / "l/rootfs/c")) == 0);
}

TEST_CASE("build: entries in order, hard links kept, manifest last, the same ID each time",
          "[libaci][image]") {
  base::testing::TempTree t;
  MakeLayout(t);
  const base::Op op;
  ImageInfo one = REQUIRE_VALUE(BuildImage(t / "l", t / "one.aci", {}, op));
  ImageInfo two = REQUIRE_VALUE(BuildImage(t / "l", t / "two.aci", {}, op));
  CHECK(one.image_id == two.image_id);
  CHECK(t.Read("one.aci") == t.Read("two.aci"));
  std::string listing;
  REQUIRE(Shell("tar -tzf " + (t / "one.aci"), &listing) == 0);
  CHECK(listing ==
        "rootfs/\nrootfs/a/\nrootfs/a/file\nrootfs/b\nrootfs/c\nrootfs/fifo\nrootfs/"
        "link\nmanifest\n");
  REQUIRE(Shell("tar -tvzf " + (t / "one.aci") + " | grep -c 'link to rootfs/b'", &listing) == 0);
  CHECK(REQUIRE_VALUE(ValidateFile(t / "one.aci", WantKind::kGuess, true, op)) == FileKind::kImage);
  REQUIRE_REASON(BuildImage(t / "l", t / "one.aci", {}, op), "core.exists");
  BuildOptions options;
  options.overwrite = true;
  options.owner_root = true;
  options.compression = base::Compression::kNone;
  REQUIRE_OK(BuildImage(t / "l", t / "one.aci", options, op));
  REQUIRE(Shell("tar --numeric-owner -tvf " + (t / "one.aci") + " | grep -v '0/0'", &listing) == 1);
}

TEST_CASE("build: sockets are left out with a note, bad layouts refused", "[libaci][image]") {
  base::testing::TempTree t;
  MakeLayout(t);
  REQUIRE(Shell(absl::StrCat("python3 -c 'import socket; s=socket.socket(socket.AF_UNIX); "
                             "s.bind(\"",
                             t / "l/rootfs/s", "\")'")) == 0);
  base::Notes notes;
  base::Op op;
  op.set_notes(&notes);
  REQUIRE_OK(BuildImage(t / "l", t / "x.aci", {}, op));
  REQUIRE(notes.size() == 1);
  CHECK(notes[0].reason == "aci.socket_skipped");
  t.Write("l/other", "");
  REQUIRE_REASON(BuildImage(t / "l", t / "y.aci", {}, op), "aci.layout_invalid");
  CHECK_FALSE(t.Exists("y.aci"));
  t.Write("m/manifest", "{}");
  t.MakeDir("m/rootfs");
  REQUIRE_REASON(BuildImage(t / "m", t / "y.aci", {}, op), "aci.manifest_invalid");
}

TEST_CASE("build: an image goes through a context word by word", "[libaci][image]") {
  base::testing::TempTree t;
  const base::Op op;
  t.Write("bin/prog", "#!/bin/sh\n", 0755);
  t.MakeDir("w");
  REQUIRE_REASON(BuildContext::Open(t / "w"), "aci.build_state");
  {
    auto context = REQUIRE_VALUE(BuildContext::Begin(t / "w", "", op));
    CHECK(context->manifest().name == kUnnamed);
    CHECK(*context->manifest().Label("arch") == HostArch());
    REQUIRE_REASON(BuildContext::Begin(t / "w", "", op), "aci.build_state");
    REQUIRE_REASON(BuildContext::Open(t / "w"), "aci.build_state");  // we hold it
    REQUIRE_REASON(context->Write(t / "x.aci", {}, op), "aci.build_state");
  }
  auto context = REQUIRE_VALUE(BuildContext::Open(t / "w"));
  REQUIRE_OK(context->Edit(
      [](ImageManifest& m) {
        m.name = "example.com/hello";
        return absl::OkStatus();
      },
      "acbuild set-name example.com/hello"));
  CHECK(*Find(context->manifest().annotations, "coreos.com/acbuild/command-1") ==
        "acbuild set-name example.com/hello");
  REQUIRE_REASON(context->Edit(
                     [](ImageManifest& m) {
                       m.name = "BAD";
                       return absl::OkStatus();
                     },
                     ""),
                 "aci.name_invalid");
  CHECK(context->manifest().name == "example.com/hello");
  REQUIRE_OK(context->Copy(t / "bin/prog", "/usr/bin/prog", op));
  REQUIRE_OK(context->Copy(t / "bin", "/opt/all", op));
  REQUIRE_OK(context->CopyToDir({t / "bin/prog", t / "bin/"}, "/srv", op));
  REQUIRE_REASON(context->Copy(t / "bin/prog", "/../prog", op), "fs.escape");
  for (const char* path : {"usr/bin/prog", "opt/all/prog", "srv/prog", "srv/bin/prog"}) {
    CHECK(t.Exists(absl::StrCat("w/.acbuild/currentaci/rootfs/", path)));
  }
  ImageInfo info = REQUIRE_VALUE(context->Write(t / "hello.aci", {}, op));
  CHECK(info.manifest.name == "example.com/hello");
  REQUIRE_OK(context->End());
  CHECK_FALSE(t.Exists("w/.acbuild"));

  // And from an image, a root file system's tar and a directory.
  auto from = REQUIRE_VALUE(BuildContext::Begin(t / "w", t / "hello.aci", op));
  CHECK(from->manifest().name == "example.com/hello");
  CHECK(t.Read("w/.acbuild/currentaci/rootfs/usr/bin/prog") == "#!/bin/sh\n");
  REQUIRE_OK(from->End());
  REQUIRE(Shell(absl::StrCat("tar -C ", t.path(), " -cf ", t / "r.tar", " bin")) == 0);
  from = REQUIRE_VALUE(BuildContext::Begin(t / "w", t / "r.tar", op));
  CHECK(from->manifest().name == kUnnamed);
  CHECK(t.Exists("w/.acbuild/currentaci/rootfs/bin/prog"));
  REQUIRE_OK(from->End());
  from = REQUIRE_VALUE(BuildContext::Begin(t / "w", t / "bin", op));
  CHECK(t.Exists("w/.acbuild/currentaci/rootfs/prog"));
  REQUIRE_OK(from->End());
  REQUIRE_REASON(BuildContext::Begin(t / "w", t / "bin/prog", op), "aci.not_image");
  CHECK_FALSE(t.Exists("w/.acbuild"));
}

TEST_CASE("build: links in the image never lead a copy out of it", "[libaci][image]") {
  base::testing::TempTree t;
  const base::Op op;
  t.Write("src/x", "mine");
  t.MakeDir("w");
  t.MakeDir("outside");
  t.Symlink(t / "outside", "r/out");
  t.Symlink("/etc", "r/abs");
  auto context = REQUIRE_VALUE(BuildContext::Begin(t / "w", t / "r", op));
  absl::Status ignored = context->Copy(t / "src/x", "/out/x", op);
  CHECK_FALSE(t.Exists("outside/x"));
  ignored = context->Copy(t / "src", "/out", op);
  CHECK_FALSE(t.Exists("outside/x"));
  REQUIRE_OK(context->Copy(t / "src/x", "/etc/there", op));
  REQUIRE_OK(context->Copy(t / "src/x", "/abs/x", op));
  CHECK(t.Read("w/.acbuild/currentaci/rootfs/etc/x") == "mine");
  REQUIRE_OK(context->End());
}

}  // namespace
}  // namespace coaming::aci
