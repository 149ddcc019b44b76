#include "liboci/runtime/resctrl.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/core/unique_fd.h"
#include "liboci/runtime/kernel_file.h"

namespace coaming::run {

namespace {

absl::Status Bad(std::string_view member, std::string_view message) {
  std::string at = absl::StrCat("linux.intelRdt.", member);
  return base::Fail("run.spec").Detail("spec.member", at) << at << ": " << message;
}

// "L3:0=0f;1=ff" as domain and value without leading zeros; the name is empty if it is not one.
std::pair<std::string, std::map<std::string, std::string>> ParseLine(std::string_view line) {
  std::pair<std::string, std::map<std::string, std::string>> out;
  size_t colon = line.find(':');
  if (colon == std::string_view::npos) return out;
  out.first = std::string(absl::StripAsciiWhitespace(line.substr(0, colon)));
  for (std::string_view part : absl::StrSplit(line.substr(colon + 1), ';', absl::SkipEmpty())) {
    size_t equals = part.find('=');
    if (equals == std::string_view::npos) continue;
    std::string_view value = absl::StripAsciiWhitespace(part.substr(equals + 1));
    while (value.size() > 1 && value[0] == '0') value.remove_prefix(1);
    out.second[std::string(absl::StripAsciiWhitespace(part.substr(0, equals)))] =
        absl::AsciiStrToLower(value);
  }
  return out;
}

// The kernel reads one line a write; O_TRUNC means nothing to it.
int WriteLine(const std::string& path, std::string_view line) {
  int fd =
      openat(AT_FDCWD, path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return errno;
  base::UniqueFd owner(fd);
  std::string text = absl::StrCat(line, "\n");
  return write(fd, text.data(), text.size()) < 0 ? errno : 0;
}

}  // namespace

bool SchemaMatches(std::string_view wanted, std::string_view schemata) {
  auto want = ParseLine(wanted);
  if (want.first.empty()) return false;
  for (std::string_view line : absl::StrSplit(schemata, '\n')) {
    auto have = ParseLine(line);
    if (have.first != want.first) continue;
    for (const auto& [domain, value] : want.second) {
      auto found = have.second.find(domain);
      if (found == have.second.end() || found->second != value) return false;
    }
    return true;
  }
  return false;
}

Resctrl::Resctrl(std::string mount, const IntelRdt* rdt, std::string id)
    : mount_(std::move(mount)), rdt_(rdt), id_(std::move(id)) {}

std::string Resctrl::Class() const {
  if (rdt_->clos_id == "/") return mount_;
  return absl::StrCat(mount_, "/", rdt_->clos_id.empty() ? id_ : rdt_->clos_id);
}

std::string Resctrl::Group() const { return absl::StrCat(Class(), "/mon_groups/", id_); }

absl::Status Resctrl::Create() {
  if (rdt_ == nullptr) return absl::OkStatus();
  const std::string& name = rdt_->clos_id;
  if (name == "." || name == ".." || (name != "/" && absl::StrContains(name, '/')) ||
      name == "info" || name == "mon_groups" || name == "mon_data")
    return Bad("closID", absl::StrCat("\"", name, "\" is not the name of a class"));
  for (const std::string* schema : {&rdt_->l3_cache_schema, &rdt_->mem_bw_schema})
    if (absl::StrContains(*schema, '\n')) return Bad("schemata", "must not hold a line break");
  if (!rdt_->mem_bw_schema.empty() && !absl::StartsWith(rdt_->mem_bw_schema, "MB:"))
    return Bad("memBwSchema", "must begin with MB:");
  for (const std::string& line : rdt_->schemata)
    if (absl::StrContains(line, '\n')) return Bad("schemata", "must not hold a line break");
  if (mount_.empty())
    return base::Fail("run.unsupported")
               .Hint(
                   "mount -t resctrl resctrl /sys/fs/resctrl (CPU and kernel with resource "
                   "control)")
               .Detail("spec.member", "linux.intelRdt")
           << "linux.intelRdt: no resctrl file system is mounted on this host";
  bool made = name != "/" && mkdirat(AT_FDCWD, Class().c_str(), 0755) == 0;
  if (!made && name != "/") {
    if (errno != EEXIST) return base::FailErrno("run.rdt", errno) << "making the class " << Class();
    // A class of the container's own name is the container's own.
    if (name.empty()) return base::FailErrno("run.rdt", EEXIST) << "making the class " << Class();
  }
  absl::Status done = Prepare(made);
  if (!done.ok()) {
    if (rdt_->enable_monitoring) unlinkat(AT_FDCWD, Group().c_str(), AT_REMOVEDIR);
    if (made) unlinkat(AT_FDCWD, Class().c_str(), AT_REMOVEDIR);
  }
  return done;
}

absl::Status Resctrl::Prepare(bool made) {
  std::vector<std::string> lines;
  for (const std::string* schema : {&rdt_->l3_cache_schema, &rdt_->mem_bw_schema})
    if (!schema->empty()) lines.push_back(*schema);
  if (made && !rdt_->clos_id.empty() && lines.empty() && rdt_->schemata.empty())
    return base::Fail("run.rdt") << "linux.intelRdt.closID: there is no class " << rdt_->clos_id
                                 << ", and no schemata are given to make it with";
  std::string file = absl::StrCat(Class(), "/schemata");
  if (!made && !lines.empty()) {
    COAM_ASSIGN_OR_RETURN(std::string text, ReadKernelFile(file));
    for (const std::string& line : lines)
      if (!SchemaMatches(line, text))
        return base::Fail("run.rdt") << "linux.intelRdt: the class " << rdt_->clos_id
                                     << " exists with other schemata than " << line;
    lines.clear();
  }
  lines.insert(lines.end(), rdt_->schemata.begin(), rdt_->schemata.end());
  for (const std::string& line : lines)
    if (int error = WriteLine(file, line); error != 0)
      return base::FailErrno("run.rdt", error) << "writing \"" << line << "\" to " << file;
  if (rdt_->enable_monitoring && mkdirat(AT_FDCWD, Group().c_str(), 0755) != 0)
    return base::FailErrno("run.rdt", errno) << "making the monitoring group " << Group();
  return absl::OkStatus();
}

absl::Status Resctrl::Attach(pid_t pid) const {
  if (rdt_ == nullptr) return absl::OkStatus();
  std::string line = absl::StrCat(pid);
  int error = WriteLine(absl::StrCat(Class(), "/tasks"), line);
  if (error == 0 && rdt_->enable_monitoring) error = WriteLine(Group() + "/tasks", line);
  if (error == 0 || error == ESRCH) return absl::OkStatus();  // ended already: its end tells why
  return base::FailErrno("run.rdt", error) << "moving process " << pid << " into " << Class();
}

absl::Status Resctrl::Remove() const {
  if (rdt_ == nullptr || mount_.empty()) return absl::OkStatus();
  if (rdt_->enable_monitoring && unlinkat(AT_FDCWD, Group().c_str(), AT_REMOVEDIR) != 0 &&
      errno != ENOENT)
    return base::FailErrno("run.rdt", errno) << "removing " << Group();
  if (rdt_->clos_id.empty() && unlinkat(AT_FDCWD, Class().c_str(), AT_REMOVEDIR) != 0 &&
      errno != ENOENT)
    return base::FailErrno("run.rdt", errno) << "removing " << Class();
  return absl::OkStatus();
}

}  // namespace coaming::run
