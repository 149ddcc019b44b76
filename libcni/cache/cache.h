// Cache keeps the result of each attachment on disk, in the files of the reference client
// (`<dir>/results/<network>-<container>-<ifname>`, kind "cniCacheV1"), so that either can take over
// what the other attached.
//
// A file appears under its name only when it is whole: no crash of the process leaves an empty or
// half written one (after a power cut the network is gone too, so nothing is synced). The fields inside are compared with what was asked for, because the file name alone
// is ambiguous ("a-b" + "c" and "a" + "b-c").
// Ownership: a Cache is a path. Threads: [shared], calls for one attachment must not overlap.
// Limits: manifest_bytes for each file. Hostile input: a file that cannot be read as either format
// is cni.cache.corrupt; names are checked before they become part of a path.
#ifndef COAMING_LIBCNI_CACHE_CACHE_H_
#define COAMING_LIBCNI_CACHE_CACHE_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/op.h"
#include "libcni/conf/runtime.h"
#include "libcni/result/result.h"

namespace coaming::cni {

inline constexpr char kDefaultCacheDir[] = "/var/lib/cni";

struct CachedAttachment {
  std::string network;
  Runtime runtime;          // container, namespace, interface, args, capability args of the ADD
  std::string config_json;  // the list's bytes at the ADD; empty in the oldest format
  std::optional<Result> result;  // missing in an attachment that was begun and not finished
  bool legacy = false;           // read from the oldest format, which holds only the result
};

class Cache {
 public:
  explicit Cache(std::string dir) : dir_(std::move(dir)) {}
  const std::string& dir() const { return dir_; }

  // Write keeps an attachment, replacing one of the same name. Errors: cni.name, core.io,
  // core.no_space, core.permission, cni.cache.collision if the file belongs to another attachment.
  absl::Status Write(const base::Op& op, const CachedAttachment& attachment) const;
  // Read gives nullopt if there is none. Errors: cni.cache.corrupt, cni.cache.collision, cni.name,
  // core.io, core.limit.
  absl::StatusOr<std::optional<CachedAttachment>> Read(const base::Op& op, std::string_view network,
                                                       std::string_view container_id,
                                                       std::string_view ifname) const;
  // Remove is no error if there is none, and leaves a file of another attachment alone.
  absl::Status Remove(const base::Op& op, std::string_view network, std::string_view container_id,
                      std::string_view ifname) const;
  // List gives every attachment in name order, of one container unless `container_id` is empty;
  // files that are none are skipped. Errors: core.io.
  absl::StatusOr<std::vector<CachedAttachment>> List(const base::Op& op,
                                                     std::string_view container_id) const;

  // Intents: written before the first plugin of an ADD runs and removed when the result is cached
  // or the attachment undone, in `<dir>/intents`. What is left over after a crash needs a DEL.
  absl::Status WriteIntent(const base::Op& op, const CachedAttachment& attachment) const;
  absl::Status RemoveIntent(const base::Op& op, std::string_view network,
                            std::string_view container_id, std::string_view ifname) const;
  absl::StatusOr<std::vector<CachedAttachment>> ListIntents(const base::Op& op) const;

 private:
  std::string dir_;
};

}  // namespace coaming::cni

#endif  // COAMING_LIBCNI_CACHE_CACHE_H_
