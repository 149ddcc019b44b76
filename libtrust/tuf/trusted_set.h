// TrustedSet is the client's judgement, without I/O: metadata files go in in the order of the workflow,
// and each is believed or refused. TUF 1.0.34 section 5.
//
//   COAM_ASSIGN_OR_RETURN(auto set, tuf::TrustedSet::New(bootstrap_root, now_s));
//   set.UpdateRoot(v2) ... set.UpdateTimestamp(bytes) ... set.UpdateSnapshot ... set.UpdateTargets
//
// The time is fixed at the start; all expiry is judged by it. A refused file changes nothing, except
// that an expired root, timestamp or snapshot that is otherwise good is kept for rollback checks: then
// the call that needs it alive fails. Ownership: a value. Threads: [single].
#ifndef COAMING_LIBTRUST_TUF_TRUSTED_SET_H_
#define COAMING_LIBTRUST_TUF_TRUSTED_SET_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/limits.h"
#include "libtrust/tuf/metadata.h"

namespace coaming::trust::tuf {

class TrustedSet {
 public:
  // New trusts `root` by itself: it must be signed by its own threshold; its expiry does not count.
  static absl::StatusOr<TrustedSet> New(std::string_view root, int64_t now_s,
                                        const base::Limits* limits = nullptr);

  const Metadata& root() const { return root_; }
  const Metadata* timestamp() const { return timestamp_ ? &*timestamp_ : nullptr; }
  const Metadata* snapshot() const { return snapshot_ ? &*snapshot_ : nullptr; }
  const Metadata* targets() const { return targets_ ? &*targets_ : nullptr; }

  // UpdateRoot takes the next version: signed by the old and by the new root. Errors: tuf.threshold,
  // tuf.version, tuf.invalid.
  absl::Status UpdateRoot(std::string_view bytes);
  // FinishRoot fails with tuf.expired if the final root has expired.
  absl::Status FinishRoot() const;

  // UpdateTimestamp. Errors: tuf.rollback, tuf.expired, tuf.threshold. `same` is set, and the old one
  // kept, if the version is the one trusted already.
  absl::Status UpdateTimestamp(std::string_view bytes, bool* same = nullptr);
  // UpdateSnapshot; `trusted` for a local copy whose hashes were checked before. Errors: tuf.mismatch,
  // tuf.version, tuf.rollback, tuf.expired, tuf.threshold.
  absl::Status UpdateSnapshot(std::string_view bytes, bool trusted);
  // FinishSnapshot fails if the snapshot is not the one the timestamp names, or expired.
  absl::Status FinishSnapshot() const;
  // UpdateTargets takes the top-level targets.
  absl::Status UpdateTargets(std::string_view bytes);
  // ReadDelegated judges a delegated role for the delegator it was reached through. Nothing is
  // remembered, so a role trusted by one delegator is judged anew for another.
  absl::StatusOr<Metadata> ReadDelegated(std::string_view bytes, std::string_view name,
                                         const Metadata& delegator,
                                         std::string_view delegator_name) const;
  // MetaOf is the snapshot's entry for a role, or nullptr.
  const MetaFile* MetaOf(std::string_view role) const;

 private:
  TrustedSet() = default;
  absl::Status CheckExpired(const Metadata& metadata, std::string_view name) const;

  Metadata root_;
  std::optional<Metadata> timestamp_, snapshot_, targets_;
  int64_t now_ = 0;
  base::Limits limits_;
};

}  // namespace coaming::trust::tuf

#endif  // COAMING_LIBTRUST_TUF_TRUSTED_SET_H_
