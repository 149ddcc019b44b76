// LeaseStore is host-local's directory of leased addresses, as the reference plugin keeps it:
// `<dataDir>/<network>/<ip>` holds "<container>\r\n<ifname>", `last_reserved_ip.<set>` the last address
// of a set, `lock` is flocked.
//
// A lease appears whole (written to a hidden name, then linked), so no crash leaves an empty one; empty
// ones of others, older than some minutes, are taken as free. Ownership: owns directory and lock.
// Threads: [single]; between processes the lock. Hostile input: file names that are no addresses and
// contents that are no leases are left alone.
#ifndef COAMING_LIBCNI_PLUGINS_LEASE_STORE_H_
#define COAMING_LIBCNI_PLUGINS_LEASE_STORE_H_

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/op.h"
#include "base/fs/dir.h"
#include "base/fs/lock.h"
#include "libcni/result/ip.h"

namespace coaming::cni {

class LeaseStore {
 public:
  // Open opens (or makes) the network's directory and waits for its lock.
  static absl::StatusOr<LeaseStore> Open(const base::Op& op, std::string_view data_dir,
                                         std::string_view network);

  // Reserve takes an address; false if it is taken.
  absl::StatusOr<bool> Reserve(const base::Op& op, const Ip& ip, std::string_view container_id,
                               std::string_view ifname);
  absl::Status SetLast(const base::Op& op, size_t set, const Ip& ip);
  std::optional<Ip> Last(size_t set) const;
  // Held lists the addresses of one attachment.
  absl::StatusOr<std::vector<Ip>> Held(const base::Op& op, std::string_view container_id,
                                       std::string_view ifname) const;
  // Release frees them.
  absl::Status Release(const base::Op& op, std::string_view container_id, std::string_view ifname);
  // ReleaseUnless frees every lease for which `keep` says false; leases without an interface's name
  // (old ones) are given with an empty one.
  absl::Status ReleaseUnless(
      const base::Op& op,
      const std::function<bool(std::string_view container_id, std::string_view ifname)>& keep);

 private:
  LeaseStore(base::Dir dir, base::FileLock lock) : dir_(std::move(dir)), lock_(std::move(lock)) {}
  struct Lease {
    Ip ip;
    std::string name;
    std::string container_id;
    std::string ifname;
  };
  absl::StatusOr<std::vector<Lease>> All(const base::Op& op) const;

  base::Dir dir_;
  base::FileLock lock_;
};

}  // namespace coaming::cni

#endif  // COAMING_LIBCNI_PLUGINS_LEASE_STORE_H_
