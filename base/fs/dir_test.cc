#include "base/fs/dir.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "base/core/error.h"
#include "base/fs/file.h"
#include "base/fs/path_error.h"
#include "base/testing/environment.h"
#include "base/testing/status_testing.h"
#include "base/testing/temp_tree.h"
#include "catch2/catch_test_macros.hpp"
#include "catch2/generators/catch_generators.hpp"

namespace coaming::base {
namespace {

using testing::TempTree;

// Every test of resolution runs by openat2 and by the walk.
Dir OpenTree(const TempTree& tree, std::string_view sub, Containment c, bool walk) {
  Dir dir = REQUIRE_VALUE(Dir::Open(tree / sub, c));
  dir.ForceWalk(walk);
  return dir;
}

std::string Outcome(const Dir& dir, std::string_view path) {
  absl::StatusOr<std::string> text = dir.ReadFile(path, 100, "test_bytes");
  return text.ok() ? *text : ReasonOf(text.status());
}

TEST_CASE("dir: paths that lead out are refused, and those that stay in are not", "[base][fs]") {
  const bool walk = GENERATE(false, true);
  CAPTURE(walk);
  TempTree tree;
  tree.Write("secret", "OUT");
  tree.Write("root/secret", "in");
  tree.Write("root/a/b/file", "file");
  tree.Symlink("../../secret", "root/a/up-and-out");
  tree.Symlink("../secret", "root/a/up");
  tree.Symlink("/secret", "root/a/absolute");
  tree.Symlink("b/../../a/b/file", "root/a/round");
  tree.Symlink("loop2", "root/loop1");
  tree.Symlink("loop1", "root/loop2");
  tree.Symlink("a", "root/dirlink");
  tree.Symlink("/proc/self/root/etc/passwd", "root/magic");
  struct Row {
    const char* path;
    const char *beneath, *in_root, *no_links;
  };
  const Row rows[] = {
      {"secret", "in", "in", "in"},
      {"a/../secret", "in", "in", "in"},
      {"a/./b//file", "file", "file", "file"},
      {"../secret", "fs.escape", "in", "fs.escape"},
      {"a/../../secret", "fs.escape", "in", "fs.escape"},
      {"a/b/../../../../../secret", "fs.escape", "in", "fs.escape"},
      {"/secret", "fs.escape", "in", "fs.escape"},
      {"a/up-and-out", "fs.escape", "in", "fs.loop"},
      {"a/up", "in", "in", "fs.loop"},
      {"a/absolute", "fs.escape", "in", "fs.loop"},
      {"a/round", "file", "file", "fs.loop"},
      {"dirlink/b/file", "file", "file", "fs.loop"},
      {"dirlink/up", "in", "in", "fs.loop"},
      {"loop1", "fs.loop", "fs.loop", "fs.loop"},
      {"magic", "fs.escape", "core.not_found", "fs.loop"},
      {"none", "core.not_found", "core.not_found", "core.not_found"},
      {"secret/x", "fs.not_directory", "fs.not_directory", "fs.not_directory"},
      {"secret/", "fs.not_directory", "fs.not_directory", "fs.not_directory"},
      {"a", "core.state", "core.state", "core.state"},
  };
  const Dir beneath = OpenTree(tree, "root", Containment::kBeneath, walk);
  const Dir in_root = OpenTree(tree, "root", Containment::kInRoot, walk);
  const Dir no_links = OpenTree(tree, "root", Containment::kNoLinks, walk);
  for (const Row& row : rows) {
    CAPTURE(row.path);
    CHECK(Outcome(beneath, row.path) == row.beneath);
    CHECK(Outcome(in_root, row.path) == row.in_root);
    CHECK(Outcome(no_links, row.path) == row.no_links);
  }
}

TEST_CASE("dir: a call that changes never follows a link at the end", "[base][fs]") {
  const bool walk = GENERATE(false, true);
  TempTree tree;
  tree.Write("victim", "v", 0600);
  tree.MakeDir("root");
  tree.Symlink("../victim", "root/l");
  tree.Symlink("inside", "root/dangling");
  const Dir dir = OpenTree(tree, "root", Containment::kBeneath, walk);
  REQUIRE_REASON(dir.Create("l", 0644), "core.exists");
  REQUIRE_REASON(dir.Create("dangling", 0644), "core.exists");
  REQUIRE_REASON(dir.Chmod("l", 0777), "core.state");
  REQUIRE_OK(dir.SetTimes("l", {1, 0}, {1, 0}));
  REQUIRE_REASON(dir.MakeDir("l", 0755), "core.exists");
  REQUIRE_REASON(dir.OpenDir("l", false), "fs.not_directory");
  REQUIRE_REASON(dir.OpenFile("l", O_RDONLY | O_NOFOLLOW), "fs.loop");
  REQUIRE(S_ISLNK(REQUIRE_VALUE(dir.Stat("l")).st_mode));
  REQUIRE(REQUIRE_VALUE(dir.ReadLink("l")) == "../victim");
  REQUIRE_OK(dir.WriteFile(Op(), "l", "new", {}));  // replaces the link itself
  REQUIRE(tree.Read("victim") == "v");
  REQUIRE(tree.Read("root/l") == "new");
  struct stat st;
  REQUIRE(stat((tree / "victim").c_str(), &st) == 0);
  REQUIRE((st.st_mode & 07777) == 0600);
  REQUIRE(st.st_mtim.tv_sec != 1);
}

TEST_CASE("dir: opening with O_CREAT makes through a link that stays inside only", "[base][fs]") {
  const bool walk = GENERATE(false, true);
  TempTree tree;
  tree.MakeDir("root/a");
  tree.Symlink("a/made", "root/in");
  tree.Symlink("../made", "root/out");
  const Dir dir = OpenTree(tree, "root", Containment::kBeneath, walk);
  REQUIRE_OK(dir.OpenFile("in", O_WRONLY | O_CREAT, 0640));
  REQUIRE(tree.Exists("root/a/made"));
  REQUIRE_REASON(dir.OpenFile("out", O_WRONLY | O_CREAT, 0640), "fs.escape");
  REQUIRE_FALSE(tree.Exists("made"));
  const Dir root = OpenTree(tree, "root", Containment::kInRoot, walk);
  REQUIRE_OK(root.OpenFile("out", O_WRONLY | O_CREAT, 0640));
  REQUIRE(tree.Exists("root/made"));
}

TEST_CASE("dir: modes are exact whatever the umask", "[base][fs]") {
  TempTree tree;
  Dir dir = REQUIRE_VALUE(Dir::Open(tree.path()));
  const mode_t old = umask(077);
  REQUIRE_OK(dir.Create("c", 0666));
  REQUIRE_OK(dir.OpenFile("o", O_WRONLY | O_CREAT, 04755));
  REQUIRE_OK(dir.MakeDir("d", 01777));
  REQUIRE_OK(dir.MakeDirs("e/f/g", 0775));
  REQUIRE_OK(dir.WriteFile(Op(), "w", "x", {.mode = 0664}));
  REQUIRE_OK(dir.MakeNode("p", S_IFIFO | 0622, 0));
  umask(old);
  const auto mode = [&](const char* p) { return REQUIRE_VALUE(dir.Stat(p)).st_mode & 07777; };
  CHECK(mode("c") == 0666);
  CHECK(mode("o") == 04755);
  CHECK(mode("d") == 01777);
  CHECK(mode("e") == 0775);
  CHECK(mode("e/f/g") == 0775);
  CHECK(mode("w") == 0664);
  CHECK(mode("p") == 0622);
  // A file that was there keeps its mode.
  REQUIRE_OK(dir.OpenFile("c", O_WRONLY | O_CREAT, 0600));
  CHECK(mode("c") == 0666);
}

TEST_CASE("dir: names are bytes and errors show them on one line", "[base][fs]") {
  TempTree tree;
  Dir dir = REQUIRE_VALUE(Dir::Open(tree.path()));
  const std::string odd = "a\nb\xff\x01";
  REQUIRE_OK(dir.Create(odd, 0644));
  REQUIRE(REQUIRE_VALUE(dir.List()).at(0).name == odd);
  REQUIRE_OK(dir.Unlink(odd));
  const absl::Status s = dir.Unlink(odd);
  REQUIRE_REASON(s, "core.not_found");
  const std::string message = GetError(s).message;
  CHECK(message.find('\n') == std::string::npos);
  CHECK(message.find("a\\nb") != std::string::npos);
  CHECK(message.find(tree.path()) != std::string::npos);
  REQUIRE_REASON(dir.Create(std::string_view("a\0b", 3), 0644), "core.invalid_argument");
  REQUIRE_REASON(dir.OpenFile(std::string_view("a\0b", 3), O_RDONLY), "core.invalid_argument");
  REQUIRE_REASON(dir.Create("..", 0644), "core.invalid_argument");
  REQUIRE_REASON(dir.Unlink("x/.."), "core.invalid_argument");
  REQUIRE_REASON(dir.RemoveDir(""), "core.invalid_argument");
  REQUIRE_REASON(dir.Create(std::string(300, 'n'), 0644), "core.invalid_argument");
}

TEST_CASE("dir: reading takes regular files up to the limit", "[base][fs]") {
  TempTree tree;
  tree.Write("ten", "0123456789");
  tree.MakeDir("d");
  Dir dir = REQUIRE_VALUE(Dir::Open(tree.path()));
  REQUIRE_OK(dir.MakeNode("fifo", S_IFIFO | 0644, 0));
  REQUIRE(REQUIRE_VALUE(dir.ReadFile("ten", 10, "x")) == "0123456789");
  const auto over = dir.ReadFile("ten", 9, "manifest_bytes");
  REQUIRE_REASON(over, "core.limit");
  REQUIRE(GetError(over.status()).Detail("limit.name") == "manifest_bytes");
  REQUIRE_REASON(dir.ReadFile("fifo", 10, "x"), "core.state");
  REQUIRE_REASON(dir.ReadFile("d", 10, "x"), "core.state");
  REQUIRE_REASON(dir.ReadFile("", 10, "x"), "core.state");
}

TEST_CASE("dir: links, renames and nodes", "[base][fs]") {
  TempTree tree;
  Dir dir = REQUIRE_VALUE(Dir::Open(tree.path()));
  REQUIRE_OK(dir.MakeDirs("a/b", 0755));
  REQUIRE_OK(dir.WriteFile(Op(), "a/f", "1"));
  REQUIRE_OK(dir.Link(dir, "a/f", "a/b/g"));
  REQUIRE(REQUIRE_VALUE(dir.Stat("a/f")).st_nlink == 2);
  REQUIRE_REASON(dir.Link(dir, "none", "h"), "core.not_found");
  REQUIRE_REASON(dir.Link(dir, "a/f", "a/b/g"), "core.exists");
  REQUIRE_OK(dir.Rename("a/f", "f"));
  REQUIRE_REASON(dir.Rename("f", "a/b/g", RENAME_NOREPLACE), "core.exists");
  REQUIRE_REASON(dir.Rename("a", "a/b/a"), "core.invalid_argument");
  REQUIRE_REASON(dir.RemoveDir("a"), "core.state");
  Dir sub = REQUIRE_VALUE(dir.OpenDir("a/b"));
  REQUIRE_OK(dir.RenameTo("f", sub, "moved"));
  REQUIRE(tree.Read("a/b/moved") == "1");
  REQUIRE_REASON(dir.ReadLink("a"), "core.state");
  REQUIRE_FALSE(REQUIRE_VALUE(dir.Exists("f")));
  REQUIRE_FALSE(REQUIRE_VALUE(dir.Exists("a/b/moved/x")));
  REQUIRE(REQUIRE_VALUE(dir.Exists("a/b/moved")));
  Dir::Leaf leaf = REQUIRE_VALUE(dir.OpenParent("a/b/new/"));
  REQUIRE(leaf.name == "new");
  REQUIRE_OK(leaf.dir.MakeDir(leaf.name, 0755));
  REQUIRE_OK(leaf.dir.Sync());
  REQUIRE(tree.Exists("a/b/new"));
}

TEST_CASE("dir: extended attributes are set, listed and removed", "[base][fs]") {
  TempTree tree;
  tree.Write("sub/f", "x");
  Dir dir = REQUIRE_VALUE(Dir::Open(tree.path()));
  const absl::Status set = dir.SetXattr("sub/f", "user.b", std::string_view("v\0w", 3));
  if (!set.ok()) SKIP("the file system has no user attributes");
  REQUIRE_OK(dir.SetXattr("sub/f", "user.a", std::string(3000, 'y')));
  const auto all = REQUIRE_VALUE(dir.ListXattrs("sub/f"));
  REQUIRE(all.size() == 2);
  CHECK(all[0].first == "user.a");
  CHECK(all[0].second.size() == 3000);
  CHECK(all[1].second == std::string("v\0w", 3));
  REQUIRE_REASON(dir.ListXattrs("sub/f", 100), "core.limit");
  REQUIRE_OK(dir.RemoveXattr("sub/f", "user.a"));
  REQUIRE_OK(dir.RemoveXattr("sub/f", "user.a"));
  REQUIRE(REQUIRE_VALUE(dir.GetXattr("sub/f", "user.a")) == std::nullopt);
  REQUIRE_OK(dir.SetXattr("", "user.self", "1"));
  REQUIRE(REQUIRE_VALUE(dir.GetXattr(".", "user.self")) == "1");
}

TEST_CASE("dir: making the way to a directory of the host", "[base][fs]") {
  TempTree tree;
  tree.MakeDir("real");
  tree.Symlink("real", "link");
  Dir dir = REQUIRE_VALUE(Dir::OpenOrMake(tree / "link/a//b/", 0750));
  REQUIRE_OK(dir.Create("f", 0644));
  REQUIRE(tree.Exists("real/a/b/f"));
  REQUIRE(dir.name() == tree / "link/a//b");
  tree.Write("file", "");
  REQUIRE_REASON(Dir::OpenOrMake(tree / "file/x", 0750), "fs.not_directory");
  REQUIRE_REASON(Dir::Open(tree / "none"), "core.not_found");
  REQUIRE_REASON(Dir::Open(""), "core.invalid_argument");
}

TEST_CASE("dir: no descriptor is below 3 and none leaks", "[base][fs]") {
  TempTree tree;
  tree.Write("a/f", "x");
  const std::vector<int> before = testing::OpenFds();
  {
    Dir dir = REQUIRE_VALUE(Dir::Open(tree.path()));
    UniqueFd f = REQUIRE_VALUE(dir.OpenFile("a/f", O_RDONLY));
    CHECK(f.get() > 2);
    CHECK((fcntl(f.get(), F_GETFD) & FD_CLOEXEC) != 0);
    CHECK((fcntl(dir.fd(), F_GETFD) & FD_CLOEXEC) != 0);
    for (const char* p : {"../x", "a/none", "a/f/x"}) {
      REQUIRE_FALSE(dir.OpenFile(p, O_RDONLY).ok());
      REQUIRE_FALSE(dir.ReadFile(p, 1, "x").ok());
    }
    REQUIRE_OK(dir.RemoveAll(Op(), "a"));
  }
  REQUIRE(testing::OpenFds() == before);
}

TEST_CASE("dir: with the standard descriptors closed files still land at 3 or above",
          "[base][fs]") {
  TempTree tree;
  tree.Write("f", "x");
  const pid_t pid = fork();
  if (pid == 0) {
    close(0);
    close(1);
    close(2);
    absl::StatusOr<Dir> dir = Dir::Open(tree.path());
    if (!dir.ok() || dir->fd() < 3) _exit(1);
    absl::StatusOr<UniqueFd> f = dir->OpenFile("f", O_RDONLY);
    if (!f.ok() || f->get() < 3) _exit(2);
    f = dir->Create("g", 0600);
    if (!f.ok() || f->get() < 3) _exit(3);
    if (!dir->WriteFile(Op(), "h", "x").ok()) _exit(4);
    _exit(fcntl(0, F_GETFD) < 0 && fcntl(1, F_GETFD) < 0 && fcntl(2, F_GETFD) < 0 ? 0 : 5);
  }
  int status = -1;
  REQUIRE(waitpid(pid, &status, 0) == pid);
  REQUIRE(status == 0);
}

// An attacker swaps a directory for a link to a directory outside while we work through it.
TEST_CASE("dir: a racing swap of a directory for a link never leads outside", "[base][fs]") {
  const bool walk = GENERATE(false, true);
  CAPTURE(walk);
  TempTree tree;
  tree.Write("outside/secret", "OUT");
  tree.MakeDir("root/d");
  tree.Write("root/d/secret", "in");
  tree.Symlink("../outside", "root/evil");
  const Dir dir = OpenTree(tree, "root", Containment::kBeneath, walk);
  std::atomic<bool> stop{false};
  std::thread attacker([&] {
    const std::string a = tree / "root/d", b = tree / "root/evil";
    while (!stop) renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE);
  });
  int read_in = 0, refused = 0;
  for (int i = 0; i < 4000; ++i) {
    absl::StatusOr<std::string> text = dir.ReadFile("d/secret", 100, "x");
    if (text.ok()) {
      if (*text != "in") break;
      ++read_in;
    } else {
      ++refused;
    }
    const std::string name = "n" + std::to_string(i);
    (void)dir.Create("d/" + name, 0644);
    (void)dir.MakeDir("d/m" + name, 0755);
    (void)dir.Chmod("d/secret", 0644);
    if (i % 16 == 0) (void)dir.RemoveAll(Op(), "evil/" + name);
  }
  stop = true;
  attacker.join();
  CHECK(read_in + refused == 4000);
  CHECK(tree.Read("outside/secret") == "OUT");
  std::vector<DirEntry> outside = REQUIRE_VALUE(REQUIRE_VALUE(Dir::Open(tree / "outside")).List());
  CHECK(outside.size() == 1);
}

TEST_CASE("path errors: each errno has its reason", "[base][fs]") {
  CHECK(ReasonOfErrno(ENOSPC) == "core.no_space");
  CHECK(ReasonOfErrno(EDQUOT) == "core.no_space");
  CHECK(ReasonOfErrno(ENOENT) == "core.not_found");
  CHECK(ReasonOfErrno(EIO) == "core.io");
  for (int e = 1; e < 134; ++e) CHECK(FindReason(ReasonOfErrno(e)) != nullptr);
  CHECK(ShowPath(std::string(5000, 'x')).size() < 600);
}

}  // namespace
}  // namespace coaming::base
