#include "libcni/invoke/client.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/core/error.h"
#include "base/core/fork_guard.h"
#include "base/core/status_macros.h"
#include "base/fs/file.h"
#include "libcni/conf/names.h"
#include "libcni/invoke/client_state.h"
#include "libcni/result/version.h"

namespace coaming::cni {
namespace {

std::string Subject(const NetworkList& list, const Runtime& runtime) {
  return absl::StrCat(list.name, "/", runtime.container_id, "/", runtime.ifname);
}

// An operation for cleaning up: the caller's clock, limits and listeners, but not its cancel, and a
// deadline of its own.
base::Op CleanupOp(const base::Op& op, int64_t ms) {
  base::Op cleanup;
  cleanup.set_clock(&op.clock())
      .set_limits(&op.limits())
      .set_log(op.log())
      .set_deadline(base::Deadline::AfterMs(ms, op.clock()));
  return cleanup;
}

absl::Status CheckListVersion(const NetworkList& list) {
  if (IsSupportedVersion(list.cni_version) || list.cni_version.empty()) return absl::OkStatus();
  COAM_RETURN_IF_ERROR(ParseVersion(list.cni_version).status());
  return base::Fail("cni.version") << "network " << list.name << ": cniVersion " << list.cni_version
                                   << " is not one of 0.1.0 to " << kCurrentVersion;
}

// True if `path` leads to nothing, or to something that is no namespace (a bind mount that a reboot
// took away leaves the plain file below).
bool NamespaceIsGone(const std::string& path) {
  if (path.empty()) return false;
  auto fd = base::OpenHostFile(path, O_PATH);
  if (!fd.ok()) return base::HasReason(fd.status(), "core.not_found");
  struct statfs info = {};
  if (fstatfs(fd->get(), &info) != 0) return false;
  return info.f_type != NSFS_MAGIC && info.f_type != PROC_SUPER_MAGIC;
}

}  // namespace

Client::Client(ClientOptions options) : state_(std::make_unique<State>(std::move(options))) {}
Client::~Client() = default;
const ClientOptions& Client::options() const { return state_->options; }
const Cache& Client::cache() const { return state_->cache; }

absl::Status CheckRuntime(const Runtime& runtime) {
  COAM_RETURN_IF_ERROR(CheckContainerId(runtime.container_id));
  COAM_RETURN_IF_ERROR(CheckInterfaceName(runtime.ifname));
  if (runtime.netns.find('\0') != runtime.netns.npos) {
    return base::Fail("core.invalid_argument") << "the path of the namespace holds a NUL";
  }
  for (const auto& [key, value] : runtime.args) {
    constexpr std::string_view kForbidden(";=\0", 3);
    if (key.empty() || key.find_first_of(kForbidden) != key.npos ||
        value.find_first_of(kForbidden) != value.npos) {
      return base::Fail("core.invalid_argument")
             << "CNI argument \"" << key.substr(0, 64)
             << "\": keys and values may hold no ';', '=' or NUL, and keys may not be empty";
    }
  }
  return absl::OkStatus();
}

absl::Status CheckAttachment(const NetworkList& list, const Runtime& runtime) {
  COAM_RETURN_IF_ERROR(CheckRuntime(runtime));
  return CheckNetworkName(list.name);
}

absl::Status Client::State::CheckOptions() const {
  for (const std::string& dir : options.plugin_dirs) {
    if (dir.empty() || dir[0] != '/' || dir.find_first_of(std::string_view(":\0", 2)) != dir.npos) {
      return base::Fail("core.invalid_argument")
             << "plugin directory \"" << dir << "\" must be absolute and without ':'";
    }
  }
  return base::CheckNotForked();
}

absl::StatusOr<std::string> Client::State::Run(const base::Op& op, std::string_view verb,
                                               size_t index, const StdinParts& parts) const {
  const PluginConf& plugin = *parts.plugin;
  auto run = [&]() -> absl::StatusOr<std::string> {
    COAM_RETURN_IF_ERROR(op.Check());
    PluginCall call;
    call.verb = verb;
    call.type = plugin.type;
    COAM_ASSIGN_OR_RETURN(call.input, BuildStdin(parts, op.limits()));
    if (parts.runtime != nullptr) {
      call.container_id = parts.runtime->container_id;
      call.netns = parts.runtime->netns;
      call.ifname = parts.runtime->ifname;
      call.args = absl::StrJoin(parts.runtime->args, ";", absl::PairFormatter("="));
    }
    call.cni_path = absl::StrJoin(options.plugin_dirs, ":");
    if (options.builtins != nullptr && options.builtins->Serves(call.type, call.input)) {
      return options.builtins->Run(op, call);
    }
    COAM_ASSIGN_OR_RETURN(call.path, FindPlugin(options.plugin_dirs, plugin.type));
    return RunPlugin(op, options, call);
  };
  auto out = run();
  if (out.ok()) return out;
  base::Error error = base::GetError(out.status());
  error.message = absl::StrCat("network ", parts.list->name, ": ", error.message);
  auto set = [&](std::string_view key, std::string value) {
    if (error.Detail(key).empty()) error.details.emplace_back(key, std::move(value));
  };
  set("cni.network", parts.list->name);
  set("cni.plugin", plugin.type);
  set("cni.verb", std::string(verb));
  set("cni.index", absl::StrCat(index));
  return base::ToStatus(error);
}

absl::Status Client::State::AddPlugins(const base::Op& op, const NetworkList& list,
                                       const Runtime& runtime, size_t* ran,
                                       std::optional<Result>* last) const {
  const std::string subject = Subject(list, runtime);
  for (size_t i = 0; i < list.plugins.size(); ++i) {
    const PluginConf& plugin = list.plugins[i];
    COAM_RETURN_IF_ERROR(op.Emit({.kind = "network",
                                  .phase = "progress",
                                  .subject = subject,
                                  .done = static_cast<int64_t>(i),
                                  .total = static_cast<int64_t>(list.plugins.size()),
                                  .unit = "plugins",
                                  .text = plugin.type}));
    StdinParts parts{.list = &list,
                     .plugin = &plugin,
                     .runtime = &runtime,
                     .previous = last->has_value() ? &**last : nullptr,
                     .exact = options.exact};
    *ran = i + 1;
    COAM_ASSIGN_OR_RETURN(std::string out, Run(op, "ADD", i, parts));
    auto result = ParseResult(out, list.cni_version, op.limits());
    if (!result.ok()) {
      base::Error error = base::GetError(result.status());
      error.message = absl::StrCat("network ", list.name, ": ", plugin.type, " (ADD) printed no ",
                                   "result: ", error.message);
      error.details.emplace_back("cni.network", list.name);
      error.details.emplace_back("cni.plugin", plugin.type);
      error.details.emplace_back("cni.verb", "ADD");
      error.details.emplace_back("cni.index", absl::StrCat(i));
      return base::ToStatus(error);
    }
    *last = *std::move(result);
  }
  return absl::OkStatus();
}

absl::Status Client::State::DeletePlugins(const base::Op& op, const NetworkList& list,
                                          const Runtime& runtime, size_t count,
                                          const Result* previous) const {
  absl::Status first;
  int failures = 0;
  for (size_t i = count; i-- > 0;) {
    StdinParts parts{.list = &list,
                     .plugin = &list.plugins[i],
                     .runtime = &runtime,
                     .previous = previous,
                     .exact = options.exact};
    absl::Status status = Run(op, "DEL", i, parts).status();
    if (status.ok()) continue;
    ++failures;
    if (first.ok()) first = status;
    if (!options.continue_delete || !op.Check().ok()) break;
  }
  if (failures <= 1) return first;
  return base::ErrorMaker(base::GetError(first)).Detail("cni.failures", failures);
}

absl::Status Client::State::RollBack(const base::Op& op, const NetworkList& list,
                                     const Runtime& runtime, size_t ran, const Result* previous,
                                     const absl::Status& failure) {
  if (!options.rollback) return failure;
  base::Op cleanup = CleanupOp(op, options.rollback_ms);
  if (!AtLeast(list.cni_version, "0.4.0")) previous = nullptr;
  absl::Status undone = DeletePlugins(cleanup, list, runtime, ran, previous);
  if (undone.ok()) {
    // Nothing is attached; an intent that stays only costs one more DEL later.
    (void)cache.RemoveIntent(cleanup, list.name, runtime.container_id, runtime.ifname);
    return failure;
  }
  base::Error why = base::GetError(undone);
  op.AddNote("cni.rollback_failed", Subject(list, runtime), why.message);
  base::Log(op.log(), base::LogLevel::kWarning, "cni", "rollback failed", {{"why", why.message}});
  return base::ErrorMaker(base::GetError(failure)).Detail("cni.rollback", why.message);
}

absl::Status Client::State::RefuseSecond(const base::Op& op, const NetworkList& list,
                                         const Runtime& runtime) {
  COAM_ASSIGN_OR_RETURN(auto attached, cache.List(op, runtime.container_id));
  for (const CachedAttachment& each : attached) {
    if (each.runtime.ifname != runtime.ifname) continue;
    return base::Fail("cni.attached").Detail("cni.network", each.network)
           << "container " << runtime.container_id << " has interface " << runtime.ifname
           << " on network " << each.network << " already";
  }
  if (!options.keep_intents) return absl::OkStatus();
  COAM_ASSIGN_OR_RETURN(auto left, cache.ListIntents(op));
  for (const CachedAttachment& each : left) {
    if (each.network != list.name || each.runtime.container_id != runtime.container_id ||
        each.runtime.ifname != runtime.ifname) {
      continue;
    }
    absl::Status undone = DeletePlugins(op, list, runtime, list.plugins.size(), nullptr);
    if (!undone.ok()) {
      op.AddNote("cni.leftover", Subject(list, runtime), base::GetError(undone).message);
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Result> Client::AddNetworkList(const base::Op& op, const NetworkList& list,
                                              const Runtime& runtime) {
  State& s = *state_;
  COAM_RETURN_IF_ERROR(s.CheckOptions());
  COAM_RETURN_IF_ERROR(CheckAttachment(list, runtime));
  if (!s.options.exact) COAM_RETURN_IF_ERROR(CheckListVersion(list));
  if (list.plugins.empty()) {
    return base::Fail("cni.conf.invalid") << "network " << list.name << " has no plugins";
  }
  for (const PluginConf& plugin : list.plugins) {  // before anything is touched
    if (s.options.exact) break;
    if (s.options.builtins != nullptr && s.options.builtins->Serves(plugin.type, plugin.json)) {
      continue;
    }
    COAM_RETURN_IF_ERROR(base::Wrap(FindPlugin(s.options.plugin_dirs, plugin.type).status(),
                                    absl::StrCat("network ", list.name)));
  }
  COAM_ASSIGN_OR_RETURN(auto network_lock, s.locks.Acquire(op, absl::StrCat("n:", list.name),
                                                           /*exclusive=*/false));
  COAM_ASSIGN_OR_RETURN(auto container_lock,
                        s.locks.Acquire(op, absl::StrCat("c:", runtime.container_id),
                                        /*exclusive=*/true));
  CachedAttachment attachment;
  attachment.network = list.name;
  attachment.runtime = runtime;
  attachment.config_json = list.json;
  if (!s.options.exact) COAM_RETURN_IF_ERROR(s.RefuseSecond(op, list, runtime));
  const std::string subject = Subject(list, runtime);
  COAM_RETURN_IF_ERROR(op.Emit({.kind = "network",
                                .phase = "start",
                                .subject = subject,
                                .total = static_cast<int64_t>(list.plugins.size()),
                                .unit = "plugins"}));
  if (s.options.keep_intents) COAM_RETURN_IF_ERROR(s.cache.WriteIntent(op, attachment));
  size_t ran = 0;
  std::optional<Result> last;
  absl::Status status = s.AddPlugins(op, list, runtime, &ran, &last);
  if (status.ok()) {
    attachment.result = last;
    status = s.cache.Write(op, attachment);
  }
  if (!status.ok()) {
    return s.RollBack(op, list, runtime, ran, last.has_value() ? &*last : nullptr, status);
  }
  if (s.options.keep_intents) {
    (void)s.cache.RemoveIntent(op, list.name, runtime.container_id, runtime.ifname);
  }
  // The work is done: a listener that says stop now comes too late to be heeded.
  (void)op.Emit({.kind = "network",
                 .phase = "done",
                 .subject = subject,
                 .done = static_cast<int64_t>(list.plugins.size()),
                 .total = static_cast<int64_t>(list.plugins.size()),
                 .unit = "plugins"});
  return *std::move(last);
}

absl::Status Client::State::DeleteLocked(const base::Op& op, const NetworkList& list,
                                         const Runtime& runtime) {
  std::optional<Result> previous;
  if (AtLeast(list.cni_version, "0.4.0")) {
    auto cached = cache.Read(op, list.name, runtime.container_id, runtime.ifname);
    absl::Status status = cached.status();
    if (cached.ok() && cached->has_value() && (*cached)->result.has_value()) {
      auto converted = ConvertResult(*(*cached)->result, list.cni_version);
      status = converted.status();
      if (converted.ok()) previous = *std::move(converted);
    }
    if (!status.ok()) {
      op.AddNote("cni.cache_ignored", Subject(list, runtime), base::GetError(status).message);
    }
  }
  Runtime given = runtime;
  if (!options.exact && NamespaceIsGone(runtime.netns)) {
    given.netns.clear();  // which is how plugins are told
    op.AddNote("cni.netns_gone", runtime.netns, "the namespace is gone; its links went with it");
  }
  COAM_RETURN_IF_ERROR(DeletePlugins(op, list, given, list.plugins.size(),
                                     previous.has_value() ? &*previous : nullptr));
  absl::Status removed = cache.Remove(op, list.name, runtime.container_id, runtime.ifname);
  if (options.exact) return absl::OkStatus();
  COAM_RETURN_IF_ERROR(removed);
  return cache.RemoveIntent(op, list.name, runtime.container_id, runtime.ifname);
}

absl::Status Client::DelNetworkList(const base::Op& op, const NetworkList& list,
                                    const Runtime& runtime) {
  State& s = *state_;
  COAM_RETURN_IF_ERROR(s.CheckOptions());
  COAM_RETURN_IF_ERROR(CheckAttachment(list, runtime));
  COAM_RETURN_IF_ERROR(ParseVersion(list.cni_version).status());
  COAM_ASSIGN_OR_RETURN(auto network_lock, s.locks.Acquire(op, absl::StrCat("n:", list.name),
                                                           /*exclusive=*/false));
  COAM_ASSIGN_OR_RETURN(auto container_lock,
                        s.locks.Acquire(op, absl::StrCat("c:", runtime.container_id),
                                        /*exclusive=*/true));
  return s.DeleteLocked(op, list, runtime);
}

absl::Status Client::CheckNetworkList(const base::Op& op, const NetworkList& list,
                                      const Runtime& runtime) {
  State& s = *state_;
  COAM_RETURN_IF_ERROR(s.CheckOptions());
  COAM_RETURN_IF_ERROR(CheckAttachment(list, runtime));
  COAM_RETURN_IF_ERROR(ParseVersion(list.cni_version).status());
  if (!AtLeast(list.cni_version, "0.4.0")) {
    return base::Fail("cni.version")
           << "network " << list.name << ": configuration version "
           << (list.cni_version.empty() ? kOldestVersion : list.cni_version)
           << " does not support the CHECK command";
  }
  if (list.disable_check) return absl::OkStatus();
  COAM_ASSIGN_OR_RETURN(auto container_lock,
                        s.locks.Acquire(op, absl::StrCat("c:", runtime.container_id),
                                        /*exclusive=*/true));
  COAM_ASSIGN_OR_RETURN(std::optional<Result> previous, CachedResult(op, list, runtime));
  if (!previous.has_value() && !s.options.exact) {
    return base::Fail("cni.not_attached")
           << "container " << runtime.container_id << " has no interface " << runtime.ifname
           << " on network " << list.name;
  }
  for (size_t i = 0; i < list.plugins.size(); ++i) {
    StdinParts parts{.list = &list,
                     .plugin = &list.plugins[i],
                     .runtime = &runtime,
                     .previous = previous.has_value() ? &*previous : nullptr,
                     .exact = s.options.exact};
    COAM_RETURN_IF_ERROR(s.Run(op, "CHECK", i, parts).status());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<Result>> Client::CachedResult(const base::Op& op,
                                                           const NetworkList& list,
                                                           const Runtime& runtime) {
  COAM_ASSIGN_OR_RETURN(auto cached,
                        state_->cache.Read(op, list.name, runtime.container_id, runtime.ifname));
  if (!cached.has_value() || !cached->result.has_value()) return std::optional<Result>();
  COAM_ASSIGN_OR_RETURN(Result result, ConvertResult(*cached->result, list.cni_version));
  return std::optional<Result>(std::move(result));
}

}  // namespace coaming::cni
