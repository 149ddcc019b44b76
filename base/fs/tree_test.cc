#include "base/fs/tree.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "base/core/error.h"
#include "base/fs/atomic_file.h"
#include "base/fs/file.h"
#include "base/fs/lock.h"
#include "base/testing/environment.h"
#include "base/testing/status_testing.h"
#include "base/testing/temp_tree.h"
#include "catch2/catch_test_macros.hpp"
#include "catch2/generators/catch_generators.hpp"

namespace coaming::base {
namespace {

using testing::TempTree;

TEST_CASE("remove: a tree goes, what its links point at stays", "[base][fs]") {
  const bool walk = GENERATE(false, true);
  TempTree tree;
  tree.Write("keep/f", "x");
  tree.Write("t/a/b/c/f", "1");
  tree.Write("t/a/g", "2");
  tree.MakeDir("t/closed/inner");
  tree.Write("t/closed/inner/f", "3");
  tree.Symlink("../keep", "t/a/out");
  tree.Symlink("/etc", "t/abs");
  chmod((tree / "t/closed/inner").c_str(), 0);
  chmod((tree / "t/closed").c_str(), 0);
  Dir dir = REQUIRE_VALUE(Dir::Open(tree.path()));
  dir.ForceWalk(walk);
  REQUIRE_OK(dir.RemoveAll(Op(), "t"));
  REQUIRE_FALSE(tree.Exists("t"));
  REQUIRE(tree.Read("keep/f") == "x");
  REQUIRE_OK(dir.RemoveAll(Op(), "t"));
  REQUIRE_OK(dir.RemoveAll(Op(), "none/deeper"));
  REQUIRE_OK(dir.RemoveAll(Op(), ""));  // the contents
  REQUIRE(REQUIRE_VALUE(dir.List()).empty());
}

TEST_CASE("remove: a tree of 1000 levels needs few descriptors", "[base][fs]") {
  const bool walk = GENERATE(false, true);
  TempTree tree;
  Dir dir = REQUIRE_VALUE(Dir::Open(tree.path()));
  {
    Dir at = REQUIRE_VALUE(dir.MakeDirs("top", 0755));
    for (int i = 0; i < 1000; ++i) {
      REQUIRE(mkdirat(at.fd(), "d", 0755) == 0);
      const int fd = openat(at.fd(), "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
      at = REQUIRE_VALUE(Dir::FromFd(UniqueFd(fd), "d"));
    }
    REQUIRE_OK(at.Create("f", 0644));
  }
  dir.ForceWalk(walk);
  REQUIRE_OK(dir.RemoveAll(Op(), "top"));
  REQUIRE(REQUIRE_VALUE(dir.List()).empty());
}

TEST_CASE("remove: a link that replaces a directory under our hands is removed as a link",
          "[base][fs]") {
  const bool walk = GENERATE(false, true);
  TempTree tree;
  for (int i = 0; i < 50; ++i) tree.Write("outside/f" + std::to_string(i), "x");
  tree.Symlink("../outside", "root/evil");
  Dir dir = REQUIRE_VALUE(Dir::Open(tree / "root"));
  dir.ForceWalk(walk);
  for (int round = 0; round < 60; ++round) {
    for (int i = 0; i < 20; ++i) {
      const std::string d = "t/d" + std::to_string(i);
      REQUIRE_OK(dir.MakeDirs(d, 0755));
      REQUIRE_OK(dir.Create(d + "/f", 0644));
    }
    std::atomic<bool> stop{false};
    std::thread attacker([&] {
      const std::string evil = tree / "root/evil";
      for (int i = 0; !stop; i = (i + 1) % 20) {
        const std::string d = tree / ("root/t/d" + std::to_string(i));
        renameat2(AT_FDCWD, d.c_str(), AT_FDCWD, evil.c_str(), RENAME_EXCHANGE);
      }
    });
    (void)dir.RemoveAll(Op(), "t");
    stop = true;
    attacker.join();
    (void)dir.RemoveAll(Op(), "t");
    if (!REQUIRE_VALUE(dir.Exists("evil"))) REQUIRE_OK(dir.Symlink("../outside", "evil"));
  }
  REQUIRE(REQUIRE_VALUE(REQUIRE_VALUE(Dir::Open(tree / "outside")).List()).size() == 50);
}

TEST_CASE("remove: a mount point is not entered", "[base][fs][root]") {
  COAM_NEEDS_ROOT();
  const bool walk = GENERATE(false, true);
  TempTree tree;
  tree.Write("host/precious", "x");
  tree.MakeDir("t/a/mnt");
  const pid_t pid = fork();
  if (pid == 0) {  // a mount namespace of its own
    if (unshare(CLONE_NEWNS) != 0 ||
        mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
      _exit(9);
    }
    if (mount((tree / "host").c_str(), (tree / "t/a/mnt").c_str(), nullptr, MS_BIND, nullptr) !=
        0) {
      _exit(9);
    }
    absl::StatusOr<Dir> dir = Dir::Open(tree.path());
    if (!dir.ok()) _exit(1);
    dir->ForceWalk(walk);
    const absl::Status s = dir->RemoveAll(Op(), "t");
    if (!HasReason(s, "core.state")) _exit(2);
    if (GetError(s).message.find("mount point") == std::string::npos) _exit(3);
    _exit(0);
  }
  int status = -1;
  REQUIRE(waitpid(pid, &status, 0) == pid);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 9) SKIP("no mount namespace can be made here");
  REQUIRE(status == 0);
  REQUIRE(tree.Read("host/precious") == "x");
}

TEST_CASE("remove: stops when cancelled", "[base][fs]") {
  TempTree tree;
  tree.Write("t/f", "x");
  auto cancel = REQUIRE_VALUE(Cancel::New());
  cancel->Fire();
  Op op;
  op.set_cancel(cancel.get());
  Dir dir = REQUIRE_VALUE(Dir::Open(tree.path()));
  REQUIRE_REASON(dir.RemoveAll(op, "t"), "core.cancelled");
}

TEST_CASE("atomic file: appears whole or not at all", "[base][fs]") {
  TempTree tree;
  tree.Write("f", "old", 0600);
  Dir dir = REQUIRE_VALUE(Dir::Open(tree.path()));
  {
    AtomicFile file = REQUIRE_VALUE(AtomicFile::New(dir, "f", {.mode = 0640}));
    REQUIRE_OK(WriteFd(file.fd(), file.name(), "new"));
    REQUIRE(tree.Read("f") == "old");
  }
  REQUIRE(tree.Listing() == std::vector<std::string>{"f 0600 3 f"});
  REQUIRE_OK(dir.WriteFile(Op(), "f", "newer", {.mode = 0640, .sync = true}));
  REQUIRE(tree.Listing() == std::vector<std::string>{"f 0640 5 f"});
  REQUIRE_REASON(dir.WriteFile(Op(), "f", "x", {.exclusive = true}), "core.exists");
  REQUIRE_OK(dir.WriteFile(Op(), "g", "x", {.exclusive = true}));
  REQUIRE_REASON(dir.WriteFile(Op(), "none/g", "x"), "core.not_found");
  tree.MakeDir("d");
  REQUIRE_REASON(dir.WriteFile(Op(), "d", "x"), "core.state");
  REQUIRE(tree.Listing(false) == std::vector<std::string>{"d d", "f 5 f", "f 1 g"});
}

TEST_CASE("a full disk is core.no_space and leaves no file", "[base][fs][root]") {
  COAM_NEEDS_ROOT();
  TempTree tree;
  tree.MakeDir("m");
  const pid_t pid = fork();
  if (pid == 0) {
    if (unshare(CLONE_NEWNS) != 0 ||
        mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("tmpfs", (tree / "m").c_str(), "tmpfs", 0, "size=64k") != 0) {
      _exit(9);
    }
    absl::StatusOr<Dir> dir = Dir::Open(tree / "m");
    if (!dir.ok()) _exit(1);
    const absl::Status s = dir->WriteFile(Op(), "f", std::string(1 << 20, 'x'));
    if (!HasReason(s, "core.no_space")) _exit(2);
    absl::StatusOr<std::vector<DirEntry>> left = dir->List();
    _exit(left.ok() && left->empty() ? 0 : 3);
  }
  int status = -1;
  REQUIRE(waitpid(pid, &status, 0) == pid);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 9) SKIP("no mount namespace can be made here");
  REQUIRE(status == 0);
}

TEST_CASE("locks: exclusive keeps others out, shared does not, a cancel ends the wait",
          "[base][fs]") {
  TempTree tree;
  Dir dir = REQUIRE_VALUE(Dir::Open(tree.path()));
  FileLock a = REQUIRE_VALUE(FileLock::Acquire(Op(), dir, "lock", LockMode::kExclusive));
  REQUIRE_FALSE(REQUIRE_VALUE(FileLock::TryAcquire(dir, "lock", LockMode::kShared)).has_value());
  Op late;
  late.set_deadline(Deadline::AtNs(1));
  REQUIRE_REASON(FileLock::Acquire(late, dir, "lock", LockMode::kShared), "core.deadline_exceeded");
  auto cancel = REQUIRE_VALUE(Cancel::New());
  Op op;
  op.set_cancel(cancel.get());
  std::thread firer([&] { cancel->Fire(); });
  REQUIRE_REASON(FileLock::Acquire(op, dir, "lock", LockMode::kShared), "core.cancelled");
  firer.join();
  REQUIRE_OK(a.Convert(Op(), LockMode::kShared));
  REQUIRE(REQUIRE_VALUE(FileLock::TryAcquire(dir, "lock", LockMode::kShared)).has_value());
  a.Release();
  REQUIRE(REQUIRE_VALUE(FileLock::TryAcquire(dir, "lock", LockMode::kExclusive)).has_value());
  FileLock self = REQUIRE_VALUE(FileLock::Acquire(Op(), dir, "", LockMode::kExclusive));
  REQUIRE(self.held());
}

TEST_CASE("locks: a lock file made anew while we wait is the one that gets locked", "[base][fs]") {
  TempTree tree;
  Dir dir = REQUIRE_VALUE(Dir::Open(tree.path()));
  FileLock a = REQUIRE_VALUE(FileLock::Acquire(Op(), dir, "lock", LockMode::kExclusive));
  absl::StatusOr<FileLock> b = absl::InternalError("");
  std::thread waiter([&] { b = FileLock::Acquire(Op(), dir, "lock", LockMode::kExclusive); });
  REQUIRE_OK(dir.Unlink("lock"));
  a.Release();
  waiter.join();
  REQUIRE_OK(b);
  REQUIRE(REQUIRE_VALUE(dir.Stat("lock")).st_ino == [&] {
    struct stat st;
    fstat(b->fd(), &st);
    return st.st_ino;
  }());
}

TEST_CASE("walk: a fixed order, and what the visitor skips is left out", "[base][fs]") {
  TempTree tree;
  tree.Write("b/2", "x");
  tree.Write("b/1", "x");
  tree.Write("a", "x");
  tree.Write("skip/x", "x");
  tree.Symlink("b", "c");
  Dir dir = REQUIRE_VALUE(Dir::Open(tree.path()));
  std::vector<std::string> seen;
  const auto visit = [&](const TreeEntry& e, bool* skip) {
    seen.emplace_back(e.path);
    *skip = e.path == "skip";
    return absl::OkStatus();
  };
  REQUIRE_OK(WalkTree(Op(), dir, visit));
  REQUIRE(seen == std::vector<std::string>{"", "a", "b", "b/1", "b/2", "c", "skip"});
  Limits limits;
  limits.unpacked_files = 2;
  Op op;
  op.set_limits(&limits);
  REQUIRE_REASON(WalkTree(op, dir, visit), "core.limit");
}

TEST_CASE("copy: kinds, modes, links among files, times and holes come along", "[base][fs]") {
  TempTree tree;
  tree.Write("from/d/f", "data", 04711);
  tree.Symlink("d/f", "from/l");
  tree.MakeDir("from/closed", 0);
  tree.Write("to/d", "a file in the way");
  REQUIRE(link((tree / "from/d/f").c_str(), (tree / "from/hard").c_str()) == 0);
  REQUIRE(mkfifo((tree / "from/p").c_str(), 0600) == 0);
  const int fd = open((tree / "from/sparse").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  REQUIRE(pwrite(fd, "end", 3, 8 << 20) == 3);
  close(fd);
  const timespec old[2] = {{1000, 0}, {2000, 5}};
  REQUIRE(utimensat(AT_FDCWD, (tree / "from/d").c_str(), old, 0) == 0);
  Dir from = REQUIRE_VALUE(Dir::Open(tree / "from"));
  Dir to = REQUIRE_VALUE(Dir::Open(tree / "to"));
  REQUIRE_OK(CopyTree(Op(), from, to, {.owners = testing::IsRoot()}));
  const auto stat_of = [&](const char* p) { return REQUIRE_VALUE(to.Stat(p)); };
  CHECK(tree.Read("to/d/f") == "data");
  CHECK((stat_of("d/f").st_mode & 07777) == 04711);
  CHECK(stat_of("d/f").st_ino == stat_of("hard").st_ino);
  CHECK(REQUIRE_VALUE(to.ReadLink("l")) == "d/f");
  CHECK(S_ISFIFO(stat_of("p").st_mode));
  CHECK((stat_of("closed").st_mode & 07777) == 0);
  CHECK(stat_of("d").st_mtim.tv_sec == 2000);
  CHECK(stat_of("d").st_mtim.tv_nsec == 5);
  CHECK(stat_of("sparse").st_size == (8 << 20) + 3);
  CHECK(stat_of("sparse").st_blocks <= 64);
  CHECK(tree.Read("to/sparse") == tree.Read("from/sparse"));
}

TEST_CASE("temporary directory: goes with all it holds unless kept", "[base][fs]") {
  TempTree tree;
  std::string kept;
  {
    TempDir a = REQUIRE_VALUE(TempDir::New(tree.path(), "coam"));
    REQUIRE((REQUIRE_VALUE(a.dir().Stat("")).st_mode & 07777) == 0700);
    REQUIRE_OK(a.dir().MakeDirs("x/y", 0755));
    TempDir b = std::move(a);
    REQUIRE(tree.Exists(b.leaf()));
    TempDir c = REQUIRE_VALUE(TempDir::New(tree.path(), "coam"));
    kept = c.leaf();
    c.Keep();
  }
  REQUIRE(tree.Listing(false) == std::vector<std::string>{"d " + kept});
}

TEST_CASE("files: sealed memory files cannot be changed", "[base][fs]") {
  UniqueFd fd = REQUIRE_VALUE(MemFile("test", "bytes", true));
  REQUIRE(write(fd.get(), "x", 1) < 0);
  REQUIRE(ftruncate(fd.get(), 0) < 0);
  REQUIRE(REQUIRE_VALUE(ReadFd(fd.get(), "test", 10, "x")) == "bytes");
  REQUIRE(JoinPath("a", "/b") == "a/b");
  REQUIRE(JoinPath("a/", "b") == "a/b");
  REQUIRE(JoinPath("", "b") == "b");
  REQUIRE(REQUIRE_VALUE(FreeBytes(fd.get())) >= 0);
}

TEST_CASE("files: host paths are read, written and opened with exact modes", "[base][fs]") {
  TempTree tree;
  REQUIRE_OK(WriteHostFile(Op(), tree / "f", "text", {.mode = 0622}));
  REQUIRE(REQUIRE_VALUE(ReadHostFile(Op(), tree / "f", 4, "x")) == "text");
  REQUIRE_REASON(ReadHostFile(Op(), tree / "f", 3, "x"), "core.limit");
  REQUIRE((REQUIRE_VALUE(StatHost(tree / "f")).st_mode & 07777) == 0622);
  REQUIRE_REASON(ReadHostFile(Op(), tree / "none", 3, "x"), "core.not_found");
  REQUIRE_OK(RemoveHostTree(Op(), tree / "f"));
  REQUIRE_OK(RemoveHostTree(Op(), tree / "none/x"));
  REQUIRE_REASON(OpenHostParent("/"), "core.invalid_argument");
  REQUIRE(REQUIRE_VALUE(OpenHostParent("/etc")).name == "etc");
}

}  // namespace
}  // namespace coaming::base
