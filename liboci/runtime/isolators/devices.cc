// Device nodes and links of /dev: the six that every container has, and linux.devices.
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "liboci/runtime/isolators/isolator.h"

namespace coaming::run {

namespace {

struct Node {
  std::string_view path;
  unsigned major, minor;
};
constexpr Node kNodes[] = {
    {"/dev/null", 1, 3},   {"/dev/zero", 1, 5},    {"/dev/full", 1, 7},
    {"/dev/random", 1, 8}, {"/dev/urandom", 1, 9}, {"/dev/tty", 5, 0},
};
constexpr std::pair<std::string_view, std::string_view> kLinks[] = {
    {"/proc/self/fd", "/dev/fd"},
    {"/proc/self/fd/0", "/dev/stdin"},
    {"/proc/self/fd/1", "/dev/stdout"},
    {"/proc/self/fd/2", "/dev/stderr"},
};

// A /dev bound from elsewhere is complete as it is.
bool DevIsBound(const Spec& spec) {
  for (const Mount& m : spec.mounts) {
    std::string_view d = m.destination;
    while (d.size() > 1 && absl::EndsWith(d, "/")) d.remove_suffix(1);
    if (d != "/dev") continue;
    if (m.type == "bind") return true;
    for (const std::string& o : m.options)
      if (o == "bind" || o == "rbind") return true;
  }
  return false;
}

// The host's number for an id of the container; one that is not mapped stays root's.
uint32_t HostId(const std::vector<IdMap>& maps, uint32_t id) {
  for (const IdMap& m : maps)
    if (id >= m.container_id && id - m.container_id < m.size)
      return m.host_id + (id - m.container_id);
  return 0;
}

}  // namespace

absl::Status PrepareDevices(const PlanInput& in, Plan* plan) {
  if (!in.has_root() || DevIsBound(*in.spec)) return absl::OkStatus();
  // Nodes cannot be made by a user namespace's root: the host's are bound.
  bool bind = in.new_user() || in.facts->euid != 0 || in.spec->FindNamespace("user") != nullptr;
  for (const Node& n : kNodes) {
    bool given = false;
    for (const Device& d : in.spec->linux_.devices) given = given || d.path == n.path;
    if (given) continue;
    if (bind) plan->Add(COAM_OP_BIND_NODE).Text(1, n.path).Text(2, n.path);
    else
      plan->Add(COAM_OP_MKNOD)
          .Text(2, n.path)
          .Num(0, S_IFCHR | 0666)
          .Num(1, makedev(n.major, n.minor));
  }
  for (const Device& d : in.spec->linux_.devices) {
    if (d.type == "p") {
      plan->Add(COAM_OP_MKNOD)
          .Text(2, d.path)
          .Num(0, S_IFIFO | d.file_mode.value_or(0666))
          .Num(2, d.uid.value_or(0))
          .Num(3, d.gid.value_or(0));
      continue;
    }
    const uint32_t mode =
        (d.type == "b" ? S_IFBLK : S_IFCHR) | (d.file_mode.value_or(0666) & 07777);
    const uint64_t number = makedev(static_cast<unsigned>(d.major), static_cast<unsigned>(d.minor));
    std::string path = d.path;
    while (path.size() > 1 && path.back() == '/') path.pop_back();
    if (bind && in.new_user() && in.facts->euid == 0) {
      // The host makes it on a file system that nobody sees, with the ids that the container means.
      Plan::Slot slot{Plan::Slot::Kind::kNode, path, number};
      slot.mode = mode;
      slot.uid = HostId(in.spec->linux_.uid_mappings, d.uid.value_or(0));
      slot.gid = HostId(in.spec->linux_.gid_mappings, d.gid.value_or(0));
      plan->Add(COAM_OP_BIND_NODE)
          .Num(0, plan->AddSlot(std::move(slot)))
          .Text(1, path)
          .Text(2, path);
    } else if (bind) {
      plan->Add(COAM_OP_BIND_NODE).Text(1, path).Text(2, path);
    } else {
      plan->Add(COAM_OP_MKNOD)
          .Text(2, path)
          .Num(0, mode)
          .Num(1, number)
          .Num(2, d.uid.value_or(0))
          .Num(3, d.gid.value_or(0));
    }
  }
  for (const auto& [text, path] : kLinks) plan->Add(COAM_OP_SYMLINK).Text(1, text).Text(2, path);
  plan->Add(COAM_OP_SYMLINK).Text(1, "pts/ptmx").Text(2, "/dev/ptmx");
  return absl::OkStatus();
}

absl::Status PrepareConsole(const PlanInput& in, Plan* plan) {
  if (in.process == nullptr || !in.process->terminal || in.pause) return absl::OkStatus();
  ConsoleSize size = in.process->console_size.value_or(ConsoleSize{});
  plan->Add(COAM_OP_CONSOLE)
      .Num(0, size.height)
      .Num(1, size.width)
      .Num(2, in.process->user.uid)
      .Flags((in.exec ? 0u : 1u) | ((in.monitor.flags & COAM_MONITOR_TERMINAL) ? 2u : 0u));
  return absl::OkStatus();
}

}  // namespace coaming::run
