#include "libaci/render/render.h"

#include <catch2/catch_test_macros.hpp>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/core/error.h"
#include "base/testing/environment.h"
#include "base/testing/temp_tree.h"
#include "libaci/image/tar_testing.h"
#include "libaci/render/tree_store.h"

namespace coaming::aci {
namespace {

// A store of images that depend on each other by name; "[a b]" lists dependencies.
struct Fixture {
  base::testing::TempTree t;
  base::Op op;
  std::unique_ptr<ImageStore> store = REQUIRE_VALUE(ImageStore::Open(t / "cas"));

  static std::string Manifest(std::string_view name, const std::vector<std::string>& dependencies,
                              const std::vector<std::string>& whitelist = {}) {
    std::string rest;
    if (!dependencies.empty()) {
      rest = ",\"dependencies\":[";
      for (size_t i = 0; i < dependencies.size(); ++i) {
        absl::StrAppend(&rest, i ? "," : "", "{\"imageName\":\"", dependencies[i], "\"}");
      }
      rest += "]";
    }
    if (!whitelist.empty()) {
      absl::StrAppend(&rest, ",\"pathWhitelist\":[\"", absl::StrJoin(whitelist, "\",\""), "\"]");
    }
    return TestManifest(name, rest);
  }
  std::string Put(TestTar& tar, std::string_view manifest) {
    const std::string bytes = tar.File("manifest", manifest).Bytes();
    base::MemoryReader in(bytes);
    return REQUIRE_VALUE(store->Import(in, {}, op)).id;
  }
  absl::Status Render(std::string_view id, std::string_view dir = "out") {
    RenderOptions options;
    options.rootfs_only = true;
    options.overwrite = true;
    return RenderImage(*store, id, t / dir, options, op);
  }
  std::string Out(std::string_view path) const { return t.Read(absl::StrCat("out/", path)); }
  bool Has(std::string_view path) const { return t.Exists(absl::StrCat("out/", path)); }
  std::string Names(const std::vector<RenderStep>& steps) {
    std::string out;
    for (const RenderStep& step : steps) {
      absl::StrAppend(&out, REQUIRE_VALUE(store->Record(step.id)).name);
    }
    return out;
  }
};

TEST_CASE_METHOD(Fixture, "plan: depth first, dependencies before the image", "[libaci][render]") {
  auto put = [&](const char* name, const std::vector<std::string>& deps) {
    TestTar tar;
    tar.Dir("rootfs").File("rootfs/of", name);
    return Put(tar, Manifest(name, deps));
  };
  put("d", {});
  put("b", {});
  put("c", {"d"});
  const std::string a = put("a", {"b", "c"});
  CHECK(Names(REQUIRE_VALUE(PlanRender(a, StoreSource(*store), op))) == "bdca");
  put("b", {"d"});
  const std::string a2 = put("a", {"b", "c", "d"});
  CHECK(Names(REQUIRE_VALUE(PlanRender(a2, StoreSource(*store), op))) == "dbdcda");
  REQUIRE_REASON(PlanRender(put("x", {"missing"}), StoreSource(*store), op), "aci.not_found");
  // A circle by name.
  put("y", {"z"});
  const std::string z = put("z", {"y"});
  REQUIRE_REASON(PlanRender(z, StoreSource(*store), op), "aci.dependency_cycle");
  const std::string self = put("self", {"self"});
  REQUIRE_REASON(PlanRender(self, StoreSource(*store), op), "aci.dependency_cycle");
  // A long chain and a wide tree.
  put("n0", {});
  for (int i = 1; i <= 20; ++i) put(absl::StrCat("n", i).c_str(), {absl::StrCat("n", i - 1)});
  REQUIRE_REASON(PlanRender(REQUIRE_VALUE(store->Resolve("n20")), StoreSource(*store), op),
                 "core.limit");
  put("w0", {});
  for (int i = 1; i <= 10; ++i) {
    const std::string below = absl::StrCat("w", i - 1);
    put(absl::StrCat("w", i).c_str(), {below, below});
  }
  REQUIRE_REASON(PlanRender(REQUIRE_VALUE(store->Resolve("w10")), StoreSource(*store), op),
                 "core.limit");
}

TEST_CASE_METHOD(Fixture, "plan: an ID in a dependency must be that image", "[libaci][render]") {
  TestTar base_tar;
  base_tar.Dir("rootfs");
  const std::string base_id = Put(base_tar, Manifest("base", {}));
  auto with = [&](std::string_view name, std::string_view id) {
    TestTar tar;
    tar.Dir("rootfs");
    return Put(tar, TestManifest("top", absl::StrCat(R"(,"dependencies":[{"imageName":")", name,
                                                     R"(","imageID":")", id, "\"}]")));
  };
  REQUIRE_OK(PlanRender(with("base", base_id), StoreSource(*store), op));
  REQUIRE_REASON(PlanRender(with("other", base_id), StoreSource(*store), op), "aci.name_mismatch");
  REQUIRE_REASON(
      PlanRender(with("base", "sha512-" + std::string(128, '1')), StoreSource(*store), op),
      "aci.not_found");
}

TEST_CASE_METHOD(Fixture, "render: modes, owners, times, links, xattrs and nodes are kept",
                 "[libaci][render]") {
  COAM_NEEDS_ROOT();
  TestTar tar;
  base::TarEntry e;
  e.path = "rootfs/s";
  e.mode = 04755;
  e.uid = 17;
  e.gid = 18;
  e.xattrs = {{"user.a", "b"}};
  tar.Dir("rootfs", 0711)
      .Dir("rootfs/t", 01777)
      .Add(e, "body")
      .Hard("rootfs/h", "rootfs/s")
      .Link("rootfs/l", "/etc/passwd")
      .Kind(base::TarType::kFifo, "rootfs/p", "", 0600);
  base::TarEntry dev;
  dev.path = "rootfs/null";
  dev.type = base::TarType::kCharDevice;
  dev.mode = 0666;
  dev.dev_major = 1;
  dev.dev_minor = 3;
  tar.Add(dev);
  const std::string id = Put(tar, Manifest("example.com/props", {}));
  base::Notes notes;
  op.set_notes(&notes);
  REQUIRE_OK(Render(id));
  std::string out;
  REQUIRE(base::testing::Shell(absl::StrCat("cd ", t / "out",
                                            " && stat -c '%n %a %u %g %h %Y %F %t:%T' . s h l p t "
                                            "null && readlink l"),
                               &out) == 0);
  CHECK(out ==
        ". 711 0 0 3 1000000000 directory 0:0\n"
        "s 4755 17 18 2 1000000000 regular file 0:0\n"
        "h 4755 17 18 2 1000000000 regular file 0:0\n"
        "l 777 0 0 1 1000000000 symbolic link 0:0\n"
        "p 600 0 0 1 1000000000 fifo 0:0\n"
        "t 1777 0 0 2 1000000000 directory 0:0\n"
        "null 666 0 0 1 1000000000 character special file 1:3\n"
        "/etc/passwd\n");
}

TEST_CASE_METHOD(Fixture, "render: later images replace, and never through a link",
                 "[libaci][render]") {
  TestTar lower;
  lower.Dir("rootfs")
      .Link("rootfs/a", "/etc")
      .Dir("rootfs/d")
      .File("rootfs/d/below", "x")
      .File("rootfs/f", "lower")
      .Link("rootfs/l", "f")
      .Dir("rootfs/m", 0700)
      .File("rootfs/m/kept", "kept");
  Put(lower, Manifest("lower", {}));
  TestTar upper;  // "a" has no entry of its own: it must become a directory
  upper.Dir("rootfs")
      .File("rootfs/a/b", "inside")
      .File("rootfs/d", "now a file")
      .File("rootfs/f", "upper")
      .File("rootfs/l", "now a file")
      .Dir("rootfs/m", 0755)
      .File("rootfs/m/new", "new");
  const std::string id = Put(upper, Manifest("upper", {"lower"}));
  REQUIRE_OK(Render(id));
  CHECK(Out("a/b") == "inside");
  CHECK(Out("d") == "now a file");
  CHECK(Out("f") == "upper");
  CHECK(Out("l") == "now a file");
  CHECK(Out("m/kept") == "kept");
  CHECK(Out("m/new") == "new");
  CHECK(base::testing::Shell("test -e /etc/b") != 0);
  std::string mode;
  REQUIRE(base::testing::Shell("stat -c %a " + (t / "out/m"), &mode) == 0);
  CHECK(mode == "755\n");
}

TEST_CASE_METHOD(Fixture, "render: a white list bounds its own branch only", "[libaci][render]") {
  auto put = [&](const char* name, const std::vector<std::string>& deps,
                 const std::vector<std::string>& list) {
    TestTar tar;
    tar.Dir("rootfs").Dir(absl::StrCat("rootfs/", name));
    for (const char* file : {"one", "two", "three"}) {
      tar.File(absl::StrCat("rootfs/", name, "/", file), name);
    }
    return Put(tar, Manifest(name, deps, list));
  };
  put("d", {}, {});
  put("b", {}, {});
  put("c", {"d"}, {"/c/one", "/d/one", "/d/two"});
  const std::string a = put("a", {"b", "c"}, {});
  REQUIRE_OK(Render(a));
  CHECK(Has("a/three"));
  CHECK(Has("b/three"));  // the sibling is not filtered
  CHECK(Has("c/one"));
  CHECK_FALSE(Has("c/two"));
  CHECK(Has("d/two"));
  CHECK_FALSE(Has("d/three"));
  // The list of the top and the one in the middle both count.
  const std::string top = put("top", {"c"}, {"/top/one", "/d/two", "/d/three", "/c/two"});
  REQUIRE_OK(Render(top));
  CHECK(Has("top/one"));
  CHECK_FALSE(Has("top/two"));
  CHECK(Has("d/two"));
  CHECK_FALSE(Has("d/one"));
  CHECK_FALSE(Has("d/three"));
  CHECK_FALSE(Has("c/one"));
}

// The reference renderer's table for a list in the lower image, with its expectations.
TEST_CASE_METHOD(Fixture, "render: own directories stay under a list of the image itself",
                 "[libaci][render]") {
  TestTar lower;
  lower.Dir("rootfs")
      .File("rootfs/a/file01.txt", "hello")
      .File("rootfs/a/file02.txt", "hello")
      .File("rootfs/a/file03.txt", "hello")
      .Link("rootfs/b/link01.txt", "file01.txt")
      .Dir("rootfs/c", 0700)
      .File("rootfs/c/file01.txt", "hello")
      .Dir("rootfs/d", 0700)
      .File("rootfs/d/file01.txt", "hello")
      .File("rootfs/e/file01.txt", "hello");
  Put(lower,
      Manifest("lower", {}, {"/a/file01.txt", "/a/file02.txt", "/b/link01.txt", "/c/", "/d/"}));
  TestTar upper;
  upper.Dir("rootfs")
      .File("rootfs/b/file01.txt", "hellohello")
      .File("rootfs/c/file02.txt", "hello");
  REQUIRE_OK(Render(Put(upper, Manifest("upper", {"lower"}))));
  std::string names;
  REQUIRE(base::testing::Shell(absl::StrCat("cd ", t / "out", " && find . -mindepth 1 | sort"),
                               &names) == 0);
  CHECK(names ==
        "./a\n./a/file01.txt\n./a/file02.txt\n./b\n./b/file01.txt\n./b/link01.txt\n./c\n"
        "./c/file02.txt\n./d\n");
}

TEST_CASE_METHOD(Fixture, "render: a listed hard link keeps contents whose name is not listed",
                 "[libaci][render]") {
  TestTar tar;
  tar.Dir("rootfs")
      .File("rootfs/target", "body")
      .Hard("rootfs/x", "rootfs/target")
      .Hard("rootfs/y", "rootfs/x");
  const std::string id = Put(tar, Manifest("links", {}, {"/y"}));
  REQUIRE_OK(Render(id));
  CHECK(Out("y") == "body");
  CHECK_FALSE(Has("x"));
  CHECK_FALSE(Has("target"));
}

TEST_CASE_METHOD(Fixture, "render: existing targets are respected and failures leave nothing",
                 "[libaci][render]") {
  TestTar tar;
  tar.Dir("rootfs").File("rootfs/f", "body");
  const std::string id = Put(tar, Manifest("example.com/r", {}));
  RenderOptions options;
  REQUIRE_OK(RenderImage(*store, id, t / "new", options, op));
  CHECK(t.Read("new/manifest") == Manifest("example.com/r", {}));
  CHECK(t.Read("new/rootfs/f") == "body");
  REQUIRE_REASON(RenderImage(*store, id, t / "new", options, op), "core.exists");
  REQUIRE_OK(RenderImage(*store, id, t.MakeDir("empty"), options, op));
  options.overwrite = true;
  t.Write("new/old", "");
  REQUIRE_OK(RenderImage(*store, id, t / "new/", options, op));
  CHECK_FALSE(t.Exists("new/old"));
  // Damage in the store is noticed while rendering.
  const std::string blob = absl::StrCat("cas/blob/sha512/", id.substr(7, 2), "/", id);
  std::string bytes = t.Read(blob);
  bytes[bytes.find("body")] = 'B';
  t.Write(blob, bytes);
  REQUIRE_REASON(RenderImage(*store, id, t / "bad", {}, op), "aci.store_corrupt");
  for (const std::string& line : t.Listing(false)) CHECK(line.find("bad") == std::string::npos);
}

TEST_CASE_METHOD(Fixture, "trees: made once, shared, checked, removed when unused",
                 "[libaci][render]") {
  TestTar tar;
  tar.Dir("rootfs").File("rootfs/f", "body");
  const std::string id = Put(tar, Manifest("example.com/t", {}));
  auto trees = REQUIRE_VALUE(TreeStore::Open(t / "tree", *store));
  std::string tree_id;
  {
    TreeStore::Tree tree = REQUIRE_VALUE(trees->Get(id, op));
    tree_id = tree.id;
    CHECK(tree_id == REQUIRE_VALUE(trees->TreeId(id, op)));
    CHECK(t.Read("tree/" + tree_id + "/rootfs/f") == "body");
    TreeStore::Tree again = REQUIRE_VALUE(trees->Get(id, op));
    CHECK(again.id == tree_id);
    REQUIRE_REASON(trees->Remove(tree_id), "aci.in_use");
    CHECK(REQUIRE_VALUE(trees->RemoveUnused({}, false, op)).empty());
  }
  REQUIRE_OK(trees->Verify(tree_id, op));
  auto records = REQUIRE_VALUE(trees->List());
  REQUIRE(records.size() == 1);
  CHECK(records[0].image_id == id);
  CHECK(records[0].bytes == 4);
  CHECK(records[0].complete);
  t.Write("tree/" + tree_id + "/rootfs/f", "BODY");
  REQUIRE_REASON(trees->Verify(tree_id, op), "aci.tree_damaged");
  // A half made tree is made anew.
  REQUIRE(base::testing::Shell("rm " + (t / ("tree/" + tree_id + "/rendered"))) == 0);
  REQUIRE_REASON(trees->Verify(tree_id, op), "aci.not_found");
  REQUIRE_OK(trees->Get(id, op));
  REQUIRE_OK(trees->Verify(tree_id, op));
  CHECK(REQUIRE_VALUE(trees->RemoveUnused({tree_id}, false, op)).empty());
  CHECK(REQUIRE_VALUE(trees->RemoveUnused({}, true, op)).size() == 1);
  CHECK(REQUIRE_VALUE(trees->RemoveUnused({}, false, op)).size() == 1);
  CHECK(t.Listing(false) == [&] {
    std::vector<std::string> left = t.Listing(false);
    std::erase_if(left, [](const std::string& l) { return l.find("deps-") != std::string::npos; });
    return left;
  }());
  REQUIRE_REASON(trees->Remove(tree_id), "aci.not_found");
  REQUIRE_REASON(trees->Remove("../x"), "core.invalid_argument");
}

}  // namespace
}  // namespace coaming::aci
