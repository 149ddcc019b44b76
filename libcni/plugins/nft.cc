#include "libcni/plugins/nft.h"

#include <nftables/libnftables.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/json/json.h"

namespace coaming::cni {
namespace {

// A busy host has many rules.
constexpr int64_t kMaxListing = 256 << 20;

std::string FirstLine(const char* text) {
  std::string_view all = text != nullptr ? text : "";
  std::string_view line = all.substr(0, all.find('\n'));
  return std::string(line.substr(0, 512));
}

}  // namespace

void Nft::Closer::operator()(nft_ctx* context) const { nft_ctx_free(context); }

absl::StatusOr<Nft> Nft::New() {
  nft_ctx* context = nft_ctx_new(NFT_CTX_DEFAULT);
  if (context == nullptr) return base::Fail("cni.firewall") << "nftables cannot be reached";
  nft_ctx_buffer_output(context);
  nft_ctx_buffer_error(context);
  return Nft(context);
}

absl::Status Nft::Run(const std::string& commands) {
  nft_ctx_output_set_flags(context_.get(), 0);
  int failed = nft_run_cmd_from_buffer(context_.get(), commands.c_str());
  (void)nft_ctx_get_output_buffer(context_.get());
  const char* error = nft_ctx_get_error_buffer(context_.get());
  if (failed == 0) return absl::OkStatus();
  return base::Fail("cni.firewall") << "nftables: " << FirstLine(error);
}

absl::StatusOr<std::vector<NftRule>> Nft::Rules(std::string_view chain) {
  std::vector<NftRule> out;
  nft_ctx_output_set_flags(context_.get(), NFT_CTX_OUTPUT_JSON | NFT_CTX_OUTPUT_HANDLE);
  int failed = nft_run_cmd_from_buffer(context_.get(), absl::StrCat("list chain ", chain).c_str());
  const char* text = nft_ctx_get_output_buffer(context_.get());
  std::string listing = text != nullptr ? text : "";
  std::string error = FirstLine(nft_ctx_get_error_buffer(context_.get()));
  if (failed != 0) {
    if (absl::StrContains(error, "No such file or directory")) return out;
    return base::Fail("cni.firewall") << "nftables: list chain " << chain << ": " << error;
  }
  base::Limits limits;
  limits.manifest_bytes = kMaxListing;
  limits.json_values = kMaxListing;
  COAM_ASSIGN_OR_RETURN(base::json::Value value, base::json::Parse(listing, {.limits = &limits}));
  const base::json::Value* items = value.Find("nftables");
  if (items == nullptr) return out;
  for (const base::json::Value& item : items->items()) {
    const base::json::Value* handle = item.FindIn("rule", "handle");
    const base::json::Value* comment = item.FindIn("rule", "comment");
    if (handle == nullptr || comment == nullptr) continue;
    out.push_back({handle->as_int64().value_or(0), comment->as_string()});
  }
  return out;
}

}  // namespace coaming::cni
