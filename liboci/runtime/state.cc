#include "liboci/runtime/state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/json/json.h"
#include "base/json/value.h"
#include "liboci/runtime/kernel_file.h"

namespace coaming::run {

namespace {

namespace json = base::json;

// {"pid":1234567890,"identity":12345678901234567890, ... : the fields are padded with spaces.
std::string Head(const Record& r) {
  return absl::StrFormat(
      "{\"pid\":%10d,\"identity\":%20d,\"monitor\":%10d,\"monitor_identity\":%20d", r.pid,
      r.identity, r.monitor, r.monitor_identity);
}

uint64_t UnsignedOf(const json::Value& v, std::string_view key) {
  const json::Value* m = v.Find(key);
  return m == nullptr ? 0 : m->as_uint64().value_or(0);
}
int64_t IntOf(const json::Value& v, std::string_view key) {
  const json::Value* m = v.Find(key);
  return m == nullptr ? 0 : m->as_int64().value_or(0);
}
std::string TextOf(const json::Value& v, std::string_view key) {
  const json::Value* m = v.Find(key);
  return m == nullptr ? std::string() : m->as_string();
}

}  // namespace

absl::Status CheckId(std::string_view id) {
  bool good = !id.empty() && id.size() <= 255 && id[0] != '.';
  for (char c : id)
    good = good && (absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '+' ||
                    c == '-' || c == '.');
  if (good) return absl::OkStatus();
  return base::Fail("run.id") << "\"" << id << "\" is not a container id";
}

uint64_t IdentityOf(int pidfd, pid_t pid) {
  struct statfs fs;
  struct stat st;
  if (pidfd >= 0 && fstatfs(pidfd, &fs) == 0 && fs.f_type == 0x50494446 /* PIDFS_MAGIC */ &&
      fstat(pidfd, &st) == 0)
    return st.st_ino;
  std::string text;
  int error = 0;
  if (!ReadAt(AT_FDCWD, absl::StrCat("/proc/", pid, "/stat"), &text, &error)) return 0;
  size_t close = text.rfind(')');
  if (close == std::string::npos) return 0;
  std::vector<std::string_view> f = absl::StrSplit(std::string_view(text).substr(close + 1), ' ');
  uint64_t start = 0;
  return f.size() > 20 && absl::SimpleAtoi(f[20], &start) ? start : 0;
}

absl::StatusOr<StateStore> StateStore::Open(const std::string& root) {
  StateStore store;
  store.root_ = root;
  COAM_ASSIGN_OR_RETURN(store.dir_, base::Dir::OpenOrMake(root, 0700));
  return store;
}

absl::StatusOr<base::UniqueFd> StateStore::Reserve(std::string_view id) const {
  COAM_RETURN_IF_ERROR(CheckId(id));
  std::string name(id);
  if (mkdirat(dir_.fd(), name.c_str(), 0700) != 0) {
    if (errno == EEXIST)
      return base::Fail("run.exists") << "container \"" << id << "\" exists in " << root_;
    return base::FailErrno("core.io", errno) << "making " << root_ << "/" << id;
  }
  return OpenDir(id);
}

absl::StatusOr<base::UniqueFd> StateStore::OpenDir(std::string_view id) const {
  COAM_RETURN_IF_ERROR(CheckId(id));
  std::string name(id);
  int fd = OpenAt(dir_.fd(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (fd >= 0) return base::UniqueFd(fd);
  if (fd == -ENOENT)
    return base::Fail("run.not_found") << "container \"" << id << "\" does not exist";
  return base::FailErrno("core.io", -fd) << "opening " << root_ << "/" << id;
}

absl::Status StateStore::Write(int dir, const Record& r, std::string_view config) const {
  json::Value v = json::Value::MakeObject();
  v.Set("id", r.id);
  v.Set("bundle", r.bundle);
  v.Set("rootfs", r.rootfs);
  v.Set("cgroup", r.cgroup_path);
  v.Set("owner", r.owner);
  v.Set("created", r.created_ns);
  if (r.pause) v.Set("pause", true);
  if (!r.log.empty()) v.Set("log", r.log);
  std::string line = Head(r) + "," + json::Write(v).substr(1) + "\n";
  int fd = openat(dir, "container", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return base::FailErrno("core.io", errno) << "making the state of " << r.id;
  COAM_ASSIGN_OR_RETURN(base::UniqueFd owner, base::HighFd(fd));
  struct iovec parts[2] = {{line.data(), line.size()},
                           {const_cast<char*>(config.data()), config.size()}};
  ssize_t n = writev(owner.get(), parts, 2);
  if (n == static_cast<ssize_t>(line.size() + config.size())) return absl::OkStatus();
  return base::FailErrno(n < 0 && errno != ENOSPC ? "core.io" : "core.no_space",
                         n < 0 ? errno : ENOSPC)
         << "writing the state of " << r.id;
}

absl::Status StateStore::WritePids(int dir, const Record& record) const {
  int fd = OpenAt(dir, "container", O_WRONLY);
  if (fd < 0) return base::FailErrno("core.io", -fd) << "opening the state file";
  base::UniqueFd owner(fd);
  std::string head = Head(record);
  if (pwrite(fd, head.data(), head.size(), 0) != static_cast<ssize_t>(head.size()))
    return base::FailErrno("core.io", errno) << "writing the state file";
  return absl::OkStatus();
}

absl::StatusOr<StateStore::Found> StateStore::Read(std::string_view id) const {
  Found found;
  COAM_ASSIGN_OR_RETURN(found.dir, OpenDir(id));
  std::string text;
  int error = 0;
  if (!ReadAt(found.dir.get(), "container", &text, &error)) {
    if (error == ENOENT)
      return base::Fail("run.corrupt") << "container \"" << id << "\" was not made to the end";
    return base::FailErrno("core.io", error) << "reading the state of " << id;
  }
  size_t end = text.find('\n');
  absl::StatusOr<json::Value> v = json::ParseObject(std::string_view(text).substr(0, end));
  if (end == std::string::npos || !v.ok())
    return base::Fail("run.corrupt") << "the state file of container \"" << id << "\" is damaged";
  Record& r = found.record;
  r.pid = static_cast<pid_t>(IntOf(*v, "pid"));
  r.identity = UnsignedOf(*v, "identity");
  r.monitor = static_cast<pid_t>(IntOf(*v, "monitor"));
  r.monitor_identity = UnsignedOf(*v, "monitor_identity");
  r.id = TextOf(*v, "id");
  r.bundle = TextOf(*v, "bundle");
  r.rootfs = TextOf(*v, "rootfs");
  r.cgroup_path = TextOf(*v, "cgroup");
  r.owner = TextOf(*v, "owner");
  r.log = TextOf(*v, "log");
  r.created_ns = IntOf(*v, "created");
  r.pause = v->Find("pause") != nullptr;
  found.config = text.substr(end + 1);
  return found;
}

absl::Status StateStore::Remove(std::string_view id) const {
  absl::StatusOr<base::UniqueFd> dir = OpenDir(id);
  if (!dir.ok()) return dir.status();
  for (const char* name : {"start", "attach", "exit", "exit.new", "container"})
    unlinkat(dir->get(), name, 0);
  std::string name(id);
  if (unlinkat(dir_.fd(), name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT)
    return absl::OkStatus();
  if (errno == ENOTEMPTY) {
    base::Op op;
    return dir_.RemoveAll(op, id);
  }
  return base::FailErrno("core.io", errno) << "removing " << root_ << "/" << id;
}

absl::StatusOr<std::vector<std::string>> StateStore::Ids() const {
  COAM_ASSIGN_OR_RETURN(std::vector<base::DirEntry> entries, dir_.List());
  std::vector<std::string> ids;
  for (const base::DirEntry& e : entries)
    if (e.type == DT_DIR && CheckId(e.name).ok()) ids.push_back(e.name);
  return ids;
}

}  // namespace coaming::run
