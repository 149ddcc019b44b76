// Fetch brings an image and its dependencies into the store: find, download, verify, import.
//
// Spec: appc/spec 0.8.11, "Discovery", "Dependency Matching". Order: signature first (it is small),
// then the image, resumable; then the signature over the raw bytes; only then is the image unpacked
// and looked at. (An image named by URL or file says itself what it is called, and which keys count
// depends on that: only then is its manifest read first, within the limits.) The name and each label
// asked for must be in the manifest. Who is trusted is the caller's Trust; the library has no keys.
// Threads: [single] per call; the store is [shared]. Limits: blob_bytes, signature_bytes,
// dependencies, dependency_depth, and those of reading an image.
#ifndef COAMING_LIBACI_FETCH_FETCH_H_
#define COAMING_LIBACI_FETCH_FETCH_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/op.h"
#include "base/http/transport.h"
#include "base/stream/stream.h"
#include "libaci/discovery/discovery.h"
#include "libaci/store/store.h"

namespace coaming::aci {

// Trust answers whether a signature makes an image genuine. libtrust's key store is one (see
// libtrust/client); a host may bring another.
class Trust {
 public:
  virtual ~Trust() = default;
  struct Verdict {
    std::string signer;  // fingerprint, 40 hex digits or more
    std::string who;     // user ID of the key, for people; may be ""
  };
  // Verify checks `signature` (armoured or binary, detached) over all bytes of `image` with the
  // keys that count for `image_name`. A refusal is an error: sig.*.
  virtual absl::StatusOr<Verdict> Verify(std::string_view image_name, std::string_view signature,
                                         base::Reader& image, const base::Op& op) = 0;
  // CheckIssuer looks at the signature alone, before the image is downloaded: a key that does not
  // count need not be waited for. The default lets everything pass.
  virtual absl::Status CheckIssuer(std::string_view image_name, std::string_view signature,
                                   const base::Op& op);
  // HasKeyFor is true if some key counts for the name.
  virtual absl::StatusOr<bool> HasKeyFor(std::string_view image_name, const base::Op& op) = 0;
  // AddDiscovered is offered the key URLs of a name that has no key yet. The default refuses.
  virtual absl::Status AddDiscovered(std::string_view image_name,
                                     const std::vector<std::string>& key_urls, const base::Op& op);
};

enum class PullPolicy { kNever, kNew, kUpdate };  // store only; store first; ask the network

struct FetchOptions {
  PullPolicy pull = PullPolicy::kUpdate;
  DiscoveryOptions discovery;          // its headers and permissions hold for downloads too
  bool insecure_no_signature = false;  // images are not verified
  bool with_dependencies = true;
  std::string signature_file;  // instead of fetching one; "" for none; not for dependencies
  bool strict = false;
};

struct Fetched {
  ImageRecord record;
  bool from_store = false;                // nothing was downloaded
  std::vector<std::string> dependencies;  // IDs, all levels, each once, in render order
  std::vector<Step> steps;                // of discovery
};

enum class ImageRefKind { kId, kName, kUrl, kFile, kDocker };
struct ImageRef {
  ImageRefKind kind;
  std::string text;
};
// ClassifyImage decides, as rkt does, what a string on the command line means.
absl::StatusOr<ImageRef> ClassifyImage(std::string_view text);

class Fetcher {
 public:
  // All borrowed; they outlive the fetcher. `trust` may be null with insecure_no_signature.
  Fetcher(ImageStore& store, base::Transport& transport, Trust* trust);

  // Fetch takes whatever ClassifyImage knows. Errors: aci.discovery_failed, aci.unsigned,
  // aci.name_mismatch, aci.id_mismatch, aci.dependency_cycle, sig.*, http.*, stream.*, core.*.
  absl::StatusOr<Fetched> Fetch(std::string_view image, const FetchOptions& options,
                                const base::Op& op);
  absl::StatusOr<Fetched> FetchName(const AppName& app, const FetchOptions& options,
                                    const base::Op& op);
  absl::StatusOr<Fetched> FetchUrl(const std::string& url, const FetchOptions& options,
                                   const base::Op& op);
  absl::StatusOr<Fetched> FetchFile(const std::string& path, const FetchOptions& options,
                                    const base::Op& op);

 private:
  class Run;
  absl::StatusOr<Fetched> Finish(Run& run, absl::StatusOr<ImageRecord> record, bool from_store,
                                 const FetchOptions& options);
  ImageStore& store_;
  base::Transport& transport_;
  Trust* trust_;
};

}  // namespace coaming::aci

#endif  // COAMING_LIBACI_FETCH_FETCH_H_
