// When the kernel kills for want of memory.
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "liboci/runtime/cgroups.h"
#include "liboci/runtime/kernel_file.h"

namespace coaming::run {

base::UniqueFd Cgroups::OomFd() const {
  if (const CgroupHost::Tree* memory = V1("memory")) {
    int control = OpenAt(memory->root.fd(), File("memory.oom_control").c_str(), O_RDONLY);
    if (control < 0) return {};
    base::UniqueFd owner(control);
    absl::StatusOr<base::UniqueFd> event = base::HighFd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!event.ok()) return {};
    if (WriteAt(memory->root.fd(), File("cgroup.event_control"),
                absl::StrCat(event->get(), " ", control)) != 0)
      return {};
    return *std::move(event);
  }
  for (const CgroupHost::Tree& t : host_->trees) {
    if (!t.facts.v2 || !Uses(t)) continue;
    absl::StatusOr<base::UniqueFd> watch = base::HighFd(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    std::string path = absl::StrCat("/proc/self/fd/", t.root.fd(), "/", File("memory.events"));
    if (watch.ok() && inotify_add_watch(watch->get(), path.c_str(), IN_MODIFY) >= 0)
      return *std::move(watch);
  }
  return {};
}

int64_t Cgroups::OomKills() const {
  for (const CgroupHost::Tree& t : host_->trees) {
    if (!Uses(t) || (!t.facts.v2 && !t.facts.Has("memory"))) continue;
    std::string text;
    int error = 0;
    if (!ReadAt(t.root.fd(), File(t.facts.v2 ? "memory.events" : "memory.oom_control"), &text,
                &error))
      continue;
    for (std::string_view line : absl::StrSplit(text, '\n')) {
      int64_t n = 0;
      if (absl::ConsumePrefix(&line, "oom_kill ") && absl::SimpleAtoi(line, &n)) return n;
    }
  }
  return -1;
}

}  // namespace coaming::run
