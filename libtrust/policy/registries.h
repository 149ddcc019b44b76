// SignatureStores is what the files of a registries.d directory say about where signatures are kept.
//
//   SignatureStores stores;
//   COAM_RETURN_IF_ERROR(stores.Add("default.yaml", bytes));         // each *.yaml, in any order
//   SignatureStore store = stores.For("quay.io/org/app:1");
//
// containers-registries.d(5): `default-docker` and `docker: SCOPE:` with lookaside, lookaside-staging
// (older: sigstore, sigstore-staging) and use-sigstore-attachments. What a scope does not say, the next
// wider scope says. Read are the block mappings of YAML that such files are written in, and JSON; lists,
// anchors and tags are refused. No I/O. Ownership: a value. Threads: [immutable] while const. Limits:
// manifest_bytes a file, nesting of 8. Errors: policy.invalid, with file and line.
#ifndef COAMING_LIBTRUST_POLICY_REGISTRIES_H_
#define COAMING_LIBTRUST_POLICY_REGISTRIES_H_

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace coaming::trust {

// What counts for one image. URLs are file:///DIR, http:// or https://; "" if there is none.
struct SignatureStore {
  std::string lookaside;  // to read from
  std::string staging;    // to write to; the lookaside if nothing else is said
  bool sigstore_attachments = false;
};

class SignatureStores {
 public:
  absl::Status Add(std::string_view file, std::string_view text);
  // For looks `docker_name` up; a name that is none gets what default-docker says.
  SignatureStore For(std::string_view docker_name) const;

 private:
  struct Entry {
    std::string lookaside, staging;
    std::optional<bool> attachments;
  };
  std::optional<Entry> default_;
  std::map<std::string, Entry> scopes_;
};

}  // namespace coaming::trust

#endif  // COAMING_LIBTRUST_POLICY_REGISTRIES_H_
