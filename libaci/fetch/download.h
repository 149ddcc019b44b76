// Downloading one image file into a partial file of the store; private to libaci/fetch.
#ifndef COAMING_LIBACI_FETCH_DOWNLOAD_H_
#define COAMING_LIBACI_FETCH_DOWNLOAD_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/op.h"
#include "base/core/unique_fd.h"
#include "base/http/transport.h"
#include "libaci/discovery/discovery.h"
#include "libaci/store/store.h"

namespace coaming::aci {

struct Download {
  Partial partial;            // holds the file when it is the store's
  base::UniqueFd unnamed;     // or an anonymous one, when another process is at the same URL
  bool not_modified = false;  // 304: the caller's ETag still holds
  std::string etag;
  int64_t max_age_s = 0;
  bool no_store = false;
  int64_t bytes = 0;

  int fd() const { return unnamed.ok() ? unnamed.get() : partial.fd(); }
};

// DownloadImage fetches `url`, going on where an earlier try was cut. `etag` is sent as
// If-None-Match; `max_bytes` -1: blob_bytes. A network failure keeps the partial file.
absl::StatusOr<Download> DownloadImage(const std::string& url, std::string_view etag,
                                       int64_t max_bytes, base::Transport& transport,
                                       const DiscoveryOptions& options, ImageStore& store,
                                       const base::Op& op);

// DownloadSignature gives the signature's bytes, or "" when the server asks to come back after the
// image (202). Errors: aci.unsigned when there is none.
absl::StatusOr<std::string> DownloadSignature(const std::string& url, base::Transport& transport,
                                              const DiscoveryOptions& options, const base::Op& op);

}  // namespace coaming::aci

#endif  // COAMING_LIBACI_FETCH_DOWNLOAD_H_
