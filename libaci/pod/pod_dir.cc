#include "libaci/pod/pod_dir.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/digest/digest.h"
#include "libaci/schema/types.h"

namespace coaming::aci {
namespace {

// In the order a pod passes through them.
constexpr std::string_view kPlaces[] = {"embryo", "prepare",        "prepared",
                                        "run",    "exited-garbage", "garbage"};
constexpr mode_t kPodMode = 0750;

std::string_view KnownPlace(std::string_view place) {
  for (const std::string_view known : kPlaces) {
    if (known == place) return known;
  }
  return kPlaces[0];
}

PodState StateOf(std::string_view place, bool locked) {
  if (place == "embryo") return PodState::kEmbryo;
  if (place == "prepare") return locked ? PodState::kPreparing : PodState::kAbortedPrepare;
  if (place == "prepared") return PodState::kPrepared;
  if (place == "run") return locked ? PodState::kRunning : PodState::kExited;
  if (place == "exited-garbage") {
    return locked ? PodState::kExitedDeleting : PodState::kExitedGarbage;
  }
  return locked ? PodState::kDeleting : PodState::kGarbage;
}

std::string PlacePath(std::string_view place, std::string_view uuid) {
  return absl::StrCat(place, "/", uuid);
}

// A descriptor with an open file description of its own: locks belong to those.
absl::StatusOr<base::UniqueFd> OpenAgain(const base::Dir& dir) {
  return dir.OpenFile(".", O_RDONLY | O_DIRECTORY);
}

}  // namespace

std::string_view PodStateName(PodState state) {
  constexpr std::string_view kNames[] = {
      "embryo", "preparing",       "aborted prepare", "prepared", "running",
      "exited", "exited deleting", "exited garbage",  "deleting", "garbage"};
  return kNames[static_cast<size_t>(state)];
}

std::string NewUuid() {
  std::array<unsigned char, 16> raw{};
  // A request of 16 bytes is never cut short.
  while (getrandom(raw.data(), raw.size(), 0) < 0) {
  }
  raw[6] = static_cast<unsigned char>((raw[6] & 0x0f) | 0x40);
  raw[8] = static_cast<unsigned char>((raw[8] & 0x3f) | 0x80);
  const std::string hex = base::HexEncode({reinterpret_cast<const char*>(raw.data()), raw.size()});
  return absl::StrCat(hex.substr(0, 8), "-", hex.substr(8, 4), "-", hex.substr(12, 4), "-",
                      hex.substr(16, 4), "-", hex.substr(20));
}

absl::StatusOr<PodDir> PodDir::Create(const base::Dir& root, std::string_view uuid) {
  for (const std::string_view place : kPlaces) {
    COAM_RETURN_IF_ERROR(root.MakeDirs(place, kPodMode).status());
  }
  const std::string path = PlacePath("embryo", uuid);
  COAM_RETURN_IF_ERROR(root.MakeDir(path, kPodMode));
  COAM_ASSIGN_OR_RETURN(base::Dir dir, root.OpenDir(path, false));
  PodDir pod(std::string(uuid), KnownPlace("embryo"), std::move(dir));
  COAM_ASSIGN_OR_RETURN(const bool locked, pod.TryLock());
  if (!locked) return base::Fail("core.aborted") << "pod " << uuid << " is in use already";
  return pod;
}

absl::StatusOr<PodDir> PodDir::Open(const base::Dir& root, std::string_view uuid) {
  // Pods only move forward, so one walk in that order finds a pod even while it moves; a second walk
  // covers a pod that went from behind us to a place that we had passed (never more than once).
  for (int attempt = 0; attempt < 2; ++attempt) {
    for (const std::string_view place : kPlaces) {
      absl::StatusOr<base::Dir> dir = root.OpenDir(PlacePath(place, uuid), false);
      if (dir.ok()) return PodDir(std::string(uuid), place, *std::move(dir));
      if (!base::HasReason(dir.status(), "core.not_found")) return dir.status();
    }
  }
  return base::Fail("pod.not_found") << "pod " << uuid;
}

absl::StatusOr<std::vector<std::string>> PodDir::List(const base::Dir& root, bool embryos) {
  std::vector<std::string> out;
  for (const std::string_view place : kPlaces) {
    if (place == "embryo" && !embryos) continue;
    absl::StatusOr<std::vector<base::DirEntry>> entries = root.List(place);
    if (base::HasReason(entries.status(), "core.not_found")) continue;
    COAM_RETURN_IF_ERROR(entries.status());
    for (base::DirEntry& entry : *entries) {
      if (ParseUuid(entry.name).ok()) out.push_back(std::move(entry.name));
    }
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());  // seen twice while it moved
  return out;
}

absl::StatusOr<std::string> PodDir::Resolve(const base::Dir& root, std::string_view prefix) {
  const std::string want = absl::AsciiStrToLower(prefix);
  const bool shaped =
      !want.empty() && want.size() <= 36 && std::all_of(want.begin(), want.end(), [](char c) {
        return absl::ascii_isxdigit(static_cast<unsigned char>(c)) || c == '-';
      });
  if (!shaped) {
    return base::Fail("core.invalid_argument")
           << "'" << prefix << "' is not the beginning of a pod's UUID";
  }
  COAM_ASSIGN_OR_RETURN(std::vector<std::string> all, List(root));
  std::erase_if(all, [&](const std::string& uuid) { return uuid.compare(0, want.size(), want); });
  if (all.empty())
    return base::Fail("pod.not_found") << "no pod's UUID begins with '" << prefix << "'";
  if (all.size() > 1) {
    return base::Fail("pod.ambiguous")
           << all.size() << " pods' UUIDs begin with '" << prefix << "'";
  }
  return all.front();
}

absl::StatusOr<PodState> PodDir::State() const {
  if (lock_.held()) return StateOf(place_, true);
  COAM_ASSIGN_OR_RETURN(base::UniqueFd fd, OpenAgain(dir_));
  COAM_ASSIGN_OR_RETURN(
      std::optional<base::FileLock> lock,
      base::FileLock::TryAcquireFd(std::move(fd), dir_.name(), base::LockMode::kShared));
  return StateOf(place_, !lock.has_value());
}

absl::StatusOr<bool> PodDir::TryLock() {
  COAM_ASSIGN_OR_RETURN(base::UniqueFd fd, OpenAgain(dir_));
  COAM_ASSIGN_OR_RETURN(
      std::optional<base::FileLock> lock,
      base::FileLock::TryAcquireFd(std::move(fd), dir_.name(), base::LockMode::kExclusive));
  if (!lock.has_value()) return false;
  lock_ = *std::move(lock);
  return true;
}

absl::Status PodDir::WaitExit(const base::Op& op) const {
  COAM_ASSIGN_OR_RETURN(base::UniqueFd fd, OpenAgain(dir_));
  return base::FileLock::AcquireFd(op, std::move(fd), dir_.name(), base::LockMode::kShared)
      .status();
}

absl::Status PodDir::Move(const base::Dir& root, std::string_view place) {
  const std::string_view to = KnownPlace(place);
  COAM_RETURN_IF_ERROR(root.MakeDirs(to, kPodMode).status());
  const absl::Status moved =
      root.Rename(PlacePath(place_, uuid_), PlacePath(to, uuid_), RENAME_NOREPLACE);
  if (base::HasReason(moved, "core.not_found")) {
    return base::Fail("pod.not_found") << "pod " << uuid_ << " left " << place_ << " meanwhile";
  }
  COAM_RETURN_IF_ERROR(moved);
  COAM_ASSIGN_OR_RETURN(const base::Dir parent, root.OpenDir(to));
  COAM_RETURN_IF_ERROR(parent.Sync());
  COAM_ASSIGN_OR_RETURN(dir_, root.OpenDir(PlacePath(to, uuid_), false));
  place_ = to;
  return absl::OkStatus();
}

absl::StatusOr<int64_t> PodDir::MovedNs() const {
  COAM_ASSIGN_OR_RETURN(const struct stat s, dir_.Stat("."));
  return s.st_ctim.tv_sec * int64_t{1'000'000'000} + s.st_ctim.tv_nsec;
}

absl::Status PodDir::Remove(const base::Op& op, const base::Dir& root) {
  return root.RemoveAll(op, PlacePath(place_, uuid_));
}

}  // namespace coaming::aci
