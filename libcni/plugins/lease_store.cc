#include "libcni/plugins/lease_store.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/fs/file.h"

namespace coaming::cni {
namespace {

constexpr int64_t kMaxLease = 4096;
constexpr int64_t kStaleSeconds = 300;

std::string LastName(size_t set) { return absl::StrCat("last_reserved_ip.", set); }

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  size_t first = text.find_first_not_of(kSpace);
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

}  // namespace

absl::StatusOr<LeaseStore> LeaseStore::Open(const base::Op& op, std::string_view data_dir,
                                            std::string_view network) {
  COAM_ASSIGN_OR_RETURN(base::Dir dir,
                        base::Dir::OpenOrMake(base::JoinPath(data_dir, network), 0755));
  COAM_ASSIGN_OR_RETURN(base::FileLock lock,
                        base::FileLock::Acquire(op, dir, "lock", base::LockMode::kExclusive));
  return LeaseStore(std::move(dir), std::move(lock));
}

absl::StatusOr<bool> LeaseStore::Reserve(const base::Op& op, const Ip& ip,
                                         std::string_view container_id, std::string_view ifname) {
  const std::string name = ip.ToString();
  auto st = dir_.Stat(name);
  if (st.ok()) {
    bool stale =
        st->st_size == 0 && st->st_mtime + kStaleSeconds < op.clock().RealtimeNs() / 1'000'000'000;
    if (!stale) return false;
    COAM_RETURN_IF_ERROR(dir_.Unlink(name));
  }
  absl::Status written = dir_.WriteFile(op, name, absl::StrCat(container_id, "\r\n", ifname),
                                        {.mode = 0600, .exclusive = true});
  if (base::HasReason(written, "core.exists")) return false;
  COAM_RETURN_IF_ERROR(written);
  return true;
}

absl::Status LeaseStore::SetLast(const base::Op& op, size_t set, const Ip& ip) {
  return dir_.WriteFile(op, LastName(set), ip.ToString(), {.mode = 0600});
}

std::optional<Ip> LeaseStore::Last(size_t set) const {
  auto text = dir_.ReadFile(LastName(set), kMaxLease, "lease_bytes");
  return text.ok() ? ParseIp(Trim(*text)) : std::nullopt;
}

absl::StatusOr<std::vector<LeaseStore::Lease>> LeaseStore::All(const base::Op& op) const {
  std::vector<Lease> out;
  COAM_ASSIGN_OR_RETURN(auto entries, dir_.List());
  for (const base::DirEntry& entry : entries) {
    std::optional<Ip> ip = ParseIp(entry.name);
    if (!ip.has_value()) continue;
    COAM_RETURN_IF_ERROR(op.Check());
    auto text = dir_.ReadFile(entry.name, kMaxLease, "lease_bytes");
    if (!text.ok()) continue;
    std::string_view content = Trim(*text);
    Lease lease{*ip, entry.name, "", ""};
    size_t end = content.find("\r\n");
    lease.container_id = content.substr(0, end);
    if (end != content.npos) lease.ifname = content.substr(end + 2);
    out.push_back(std::move(lease));
  }
  return out;
}

absl::StatusOr<std::vector<Ip>> LeaseStore::Held(const base::Op& op, std::string_view container_id,
                                                 std::string_view ifname) const {
  std::vector<Ip> exact, old;
  COAM_ASSIGN_OR_RETURN(auto all, All(op));
  for (const Lease& lease : all) {
    if (lease.container_id != container_id) continue;
    if (lease.ifname == ifname) exact.push_back(lease.ip);
    if (lease.ifname.empty()) old.push_back(lease.ip);
  }
  return exact.empty() ? old : exact;
}

absl::Status LeaseStore::Release(const base::Op& op, std::string_view container_id,
                                 std::string_view ifname) {
  COAM_ASSIGN_OR_RETURN(auto held, Held(op, container_id, ifname));
  for (const Ip& ip : held) {
    absl::Status removed = dir_.Unlink(ip.ToString());
    if (!removed.ok() && !base::HasReason(removed, "core.not_found")) return removed;
  }
  return absl::OkStatus();
}

absl::Status LeaseStore::ReleaseUnless(
    const base::Op& op,
    const std::function<bool(std::string_view container_id, std::string_view ifname)>& keep) {
  COAM_ASSIGN_OR_RETURN(auto all, All(op));
  for (const Lease& lease : all) {
    // Without an owner it may be one that is being written this moment by an older program.
    if (lease.container_id.empty() || keep(lease.container_id, lease.ifname)) continue;
    absl::Status removed = dir_.Unlink(lease.name);
    if (!removed.ok() && !base::HasReason(removed, "core.not_found")) return removed;
  }
  return absl::OkStatus();
}

}  // namespace coaming::cni
