#include "libcni/cache/cache.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/fs/dir.h"
#include "base/fs/file.h"
#include "libcni/cache/format.h"
#include "libcni/conf/names.h"

namespace coaming::cni {
namespace {

constexpr char kResults[] = "results";
constexpr char kIntents[] = "intents";
constexpr char kLimitName[] = "manifest_bytes";

absl::StatusOr<std::string> FileName(std::string_view network, std::string_view container_id,
                                     std::string_view ifname) {
  COAM_RETURN_IF_ERROR(CheckNetworkName(network));
  COAM_RETURN_IF_ERROR(CheckContainerId(container_id));
  COAM_RETURN_IF_ERROR(CheckInterfaceName(ifname));
  return absl::StrCat(network, "-", container_id, "-", ifname);
}

// Opens `<dir>/<sub>`; nullopt if it is not there.
absl::StatusOr<std::optional<base::Dir>> OpenSub(const std::string& dir, std::string_view sub) {
  auto opened = base::Dir::Open(base::JoinPath(dir, sub));
  if (opened.ok()) return std::optional<base::Dir>(*std::move(opened));
  if (base::HasReason(opened.status(), "core.not_found")) return std::optional<base::Dir>();
  return opened.status();
}

// True if the file is of another attachment whose file name reads the same.
bool Collides(const CachedAttachment& found, std::string_view network,
              std::string_view container_id, std::string_view ifname) {
  if (found.legacy) return false;
  return found.network != network || found.runtime.container_id != container_id ||
         found.runtime.ifname != ifname;
}

absl::Status Collision(const base::Dir& dir, std::string_view name, const CachedAttachment& found) {
  return base::Fail("cni.cache.collision")
         << dir.PathOf(name) << " belongs to container " << found.runtime.container_id
         << ", interface " << found.runtime.ifname << ", network " << found.network;
}

absl::StatusOr<std::optional<CachedAttachment>> ReadOne(const base::Op& op, const base::Dir& dir,
                                                        std::string_view name) {
  auto text = dir.ReadFile(name, op.limits().manifest_bytes, kLimitName);
  if (!text.ok()) {
    if (base::HasReason(text.status(), "core.not_found")) return std::optional<CachedAttachment>();
    return text.status();
  }
  auto attachment = DecodeAttachment(*text, op.limits());
  if (!attachment.ok()) return base::Wrap(attachment.status(), dir.PathOf(name));
  return std::optional<CachedAttachment>(*std::move(attachment));
}

absl::Status WriteOne(const base::Op& op, const std::string& cache_dir, std::string_view sub,
                      const CachedAttachment& attachment) {
  const Runtime& runtime = attachment.runtime;
  COAM_ASSIGN_OR_RETURN(std::string name,
                        FileName(attachment.network, runtime.container_id, runtime.ifname));
  COAM_ASSIGN_OR_RETURN(std::string text, EncodeAttachment(attachment, op.limits()));
  COAM_ASSIGN_OR_RETURN(base::Dir dir, base::Dir::OpenOrMake(base::JoinPath(cache_dir, sub), 0700));
  auto found = ReadOne(op, dir, name);
  if (found.ok() && found->has_value() &&
      Collides(**found, attachment.network, runtime.container_id, runtime.ifname)) {
    return Collision(dir, name, **found);
  }
  return dir.WriteFile(op, name, text, {.mode = 0600});
}

absl::Status RemoveOne(const base::Op& op, const std::string& cache_dir, std::string_view sub,
                       std::string_view network, std::string_view container_id,
                       std::string_view ifname) {
  COAM_ASSIGN_OR_RETURN(std::string name, FileName(network, container_id, ifname));
  COAM_ASSIGN_OR_RETURN(auto dir, OpenSub(cache_dir, sub));
  if (!dir.has_value()) return absl::OkStatus();
  auto found = ReadOne(op, *dir, name);
  if (found.ok() && !found->has_value()) return absl::OkStatus();
  if (found.ok() && Collides(**found, network, container_id, ifname)) return absl::OkStatus();
  absl::Status removed = dir->Unlink(name);
  return base::HasReason(removed, "core.not_found") ? absl::OkStatus() : removed;
}

absl::StatusOr<std::vector<CachedAttachment>> ListAll(const base::Op& op,
                                                      const std::string& cache_dir,
                                                      std::string_view sub,
                                                      std::string_view container_id) {
  std::vector<CachedAttachment> out;
  COAM_ASSIGN_OR_RETURN(auto dir, OpenSub(cache_dir, sub));
  if (!dir.has_value()) return out;
  COAM_ASSIGN_OR_RETURN(auto entries, dir->List());
  const std::string part = absl::StrCat("-", container_id, "-");
  for (const base::DirEntry& entry : entries) {
    if (!container_id.empty() && !absl::StrContains(entry.name, part)) continue;
    COAM_RETURN_IF_ERROR(op.Check());
    auto found = ReadOne(op, *dir, entry.name);
    if (!found.ok() || !found->has_value()) continue;
    CachedAttachment& attachment = **found;
    auto name =
        FileName(attachment.network, attachment.runtime.container_id, attachment.runtime.ifname);
    if (attachment.legacy || !name.ok() || *name != entry.name) continue;
    if (!container_id.empty() && attachment.runtime.container_id != container_id) continue;
    out.push_back(std::move(attachment));
  }
  return out;
}

}  // namespace

absl::Status Cache::Write(const base::Op& op, const CachedAttachment& attachment) const {
  return WriteOne(op, dir_, kResults, attachment);
}

absl::StatusOr<std::optional<CachedAttachment>> Cache::Read(const base::Op& op,
                                                            std::string_view network,
                                                            std::string_view container_id,
                                                            std::string_view ifname) const {
  COAM_ASSIGN_OR_RETURN(std::string name, FileName(network, container_id, ifname));
  COAM_ASSIGN_OR_RETURN(auto dir, OpenSub(dir_, kResults));
  if (!dir.has_value()) return std::optional<CachedAttachment>();
  COAM_ASSIGN_OR_RETURN(auto found, ReadOne(op, *dir, name));
  if (!found.has_value()) return found;
  if (Collides(*found, network, container_id, ifname)) return Collision(*dir, name, *found);
  if (found->legacy) {
    found->network = network;
    found->runtime.container_id = container_id;
    found->runtime.ifname = ifname;
  }
  return found;
}

absl::Status Cache::Remove(const base::Op& op, std::string_view network,
                           std::string_view container_id, std::string_view ifname) const {
  return RemoveOne(op, dir_, kResults, network, container_id, ifname);
}

absl::StatusOr<std::vector<CachedAttachment>> Cache::List(const base::Op& op,
                                                          std::string_view container_id) const {
  return ListAll(op, dir_, kResults, container_id);
}

absl::Status Cache::WriteIntent(const base::Op& op, const CachedAttachment& attachment) const {
  return WriteOne(op, dir_, kIntents, attachment);
}

absl::Status Cache::RemoveIntent(const base::Op& op, std::string_view network,
                                 std::string_view container_id, std::string_view ifname) const {
  return RemoveOne(op, dir_, kIntents, network, container_id, ifname);
}

absl::StatusOr<std::vector<CachedAttachment>> Cache::ListIntents(const base::Op& op) const {
  return ListAll(op, dir_, kIntents, "");
}

}  // namespace coaming::cni
