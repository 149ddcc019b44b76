// STATUS, GC, recovery, and DEL of what the cache remembers.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "libcni/conf/names.h"
#include "libcni/invoke/client_state.h"
#include "libcni/result/version.h"

namespace coaming::cni {
namespace {

// Collects failures of an operation that goes on.
class Failures {
 public:
  void Add(const absl::Status& status) {
    if (status.ok()) return;
    if (first_.ok()) first_ = status;
    ++count_;
  }
  absl::Status Take() const {
    if (count_ <= 1) return first_;
    return base::ErrorMaker(base::GetError(first_)).Detail("cni.failures", count_);
  }

 private:
  absl::Status first_;
  int count_ = 0;
};

// The list an attachment was made with, if the cache has it whole; else the list given now.
absl::StatusOr<NetworkList> ListOf(const CachedAttachment& attachment, const base::Limits& limits) {
  if (attachment.config_json.empty()) {
    return base::Fail("cni.cache.corrupt")
           << "the cached attachment of container " << attachment.runtime.container_id
           << " on network " << attachment.network << " holds no configuration";
  }
  auto list = ParseNetworkList(attachment.config_json, limits);
  if (!list.ok() || list->plugins.empty()) {
    // A single plugin configuration, as the reference client's older call caches it.
    auto plugin = ParsePluginConf(attachment.config_json, limits);
    if (plugin.ok()) list = ListFromPlugin(*plugin);
  }
  if (!list.ok() || list->plugins.empty() || list->name != attachment.network) {
    return base::Fail("cni.cache.corrupt")
           << "the cached attachment of container " << attachment.runtime.container_id
           << " on network " << attachment.network << " holds another configuration";
  }
  return list;
}

}  // namespace

absl::Status Client::StatusNetworkList(const base::Op& op, const NetworkList& list) {
  State& s = *state_;
  COAM_RETURN_IF_ERROR(s.CheckOptions());
  if (!AtLeast(list.cni_version, "1.1.0")) return absl::OkStatus();
  for (size_t i = 0; i < list.plugins.size(); ++i) {
    StdinParts parts{.list = &list, .plugin = &list.plugins[i], .exact = s.options.exact};
    COAM_RETURN_IF_ERROR(s.Run(op, "STATUS", i, parts).status());
  }
  return absl::OkStatus();
}

absl::Status Client::GcNetworkList(const base::Op& op, const NetworkList& list,
                                   const std::vector<AttachmentId>& valid) {
  State& s = *state_;
  COAM_RETURN_IF_ERROR(s.CheckOptions());
  COAM_RETURN_IF_ERROR(CheckNetworkName(list.name));
  if (list.disable_gc) return absl::OkStatus();
  COAM_ASSIGN_OR_RETURN(auto network_lock, s.locks.Acquire(op, absl::StrCat("n:", list.name),
                                                           /*exclusive=*/true));
  Failures failures;
  COAM_ASSIGN_OR_RETURN(auto attachments, s.cache.List(op, ""));
  for (const CachedAttachment& each : attachments) {
    if (each.network != list.name) continue;
    AttachmentId id{each.runtime.container_id, each.runtime.ifname};
    if (std::find(valid.begin(), valid.end(), id) != valid.end()) continue;
    COAM_RETURN_IF_ERROR(op.Check());
    COAM_ASSIGN_OR_RETURN(auto container_lock,
                          s.locks.Acquire(op, absl::StrCat("c:", id.container_id),
                                          /*exclusive=*/true));
    absl::Status checked = CheckRuntime(each.runtime);
    if (!checked.ok()) {
      failures.Add(checked);
      continue;
    }
    auto made_with =
        s.options.exact ? absl::StatusOr<NetworkList>(list) : ListOf(each, op.limits());
    failures.Add(s.DeleteLocked(op, made_with.ok() ? *made_with : list, each.runtime));
  }
  // The reference client's tool names no list at all when it has none.
  const std::vector<AttachmentId>* named = s.options.exact && valid.empty() ? nullptr : &valid;
  if (AtLeast(list.cni_version, "1.1.0")) {
    for (size_t i = 0; i < list.plugins.size(); ++i) {
      COAM_RETURN_IF_ERROR(op.Check());
      StdinParts parts{
          .list = &list, .plugin = &list.plugins[i], .valid = named, .exact = s.options.exact};
      failures.Add(s.Run(op, "GC", i, parts).status());
    }
  }
  return failures.Take();
}

absl::Status Client::DelAttachment(const base::Op& op, const CachedAttachment& attachment) {
  COAM_ASSIGN_OR_RETURN(NetworkList list, ListOf(attachment, op.limits()));
  return DelNetworkList(op, list, attachment.runtime);
}

absl::StatusOr<int> Client::Recover(const base::Op& op) {
  State& s = *state_;
  COAM_RETURN_IF_ERROR(s.CheckOptions());
  COAM_ASSIGN_OR_RETURN(auto left, s.cache.ListIntents(op));
  Failures failures;
  int undone = 0;
  for (const CachedAttachment& each : left) {
    COAM_RETURN_IF_ERROR(op.Check());
    auto cached = s.cache.Read(op, each.network, each.runtime.container_id, each.runtime.ifname);
    if (cached.ok() && cached->has_value()) {
      // The crash came after the result was kept: the attachment is whole.
      failures.Add(
          s.cache.RemoveIntent(op, each.network, each.runtime.container_id, each.runtime.ifname));
      continue;
    }
    absl::Status status = DelAttachment(op, each);
    failures.Add(status);
    if (status.ok()) ++undone;
  }
  COAM_RETURN_IF_ERROR(failures.Take());
  return undone;
}

}  // namespace coaming::cni
