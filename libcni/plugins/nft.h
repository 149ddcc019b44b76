// Nft runs nftables commands in the caller's network namespace, each batch as one transaction. The one
// file that includes libnftables is nft.cc.
//
// Ownership: owns a context. Threads: [single]. Callers put nothing into commands that they have not
// checked.
#ifndef COAMING_LIBCNI_PLUGINS_NFT_H_
#define COAMING_LIBCNI_PLUGINS_NFT_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

struct nft_ctx;

namespace coaming::cni {

struct NftRule {
  int64_t handle = 0;
  std::string comment;
};

class Nft {
 public:
  static absl::StatusOr<Nft> New();
  // Run carries out all the commands or none. Errors: cni.firewall.
  absl::Status Run(const std::string& commands);
  // Rules lists the rules of "inet table chain" that have a comment; none if there is no such chain.
  absl::StatusOr<std::vector<NftRule>> Rules(std::string_view chain);

 private:
  struct Closer {
    void operator()(nft_ctx* context) const;
  };
  explicit Nft(nft_ctx* context) : context_(context) {}
  std::unique_ptr<nft_ctx, Closer> context_;
};

}  // namespace coaming::cni

#endif  // COAMING_LIBCNI_PLUGINS_NFT_H_
