#include "libtrust/notary/root.h"

#include <algorithm>
#include <optional>

#include "absl/strings/match.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "libtrust/keys/x509.h"

namespace coaming::trust::notary {

using base::Fail;

namespace {

constexpr int64_t kDay = 86400;
constexpr int kMinRsaBits = 2048;

struct Chain {
  X509Certificate leaf;
  std::vector<X509Certificate> between;
};

bool IsUsable(const X509Certificate& c, std::optional<int64_t> now_s) {
  if (c.not_before > c.not_after || c.weak_signature) return false;
  if (c.key.type() == KeyType::kNone) return false;
  if (c.key.type() == KeyType::kRsa && c.key.bits() < kMinRsaBits) return false;
  // A day of grace for a clock that is behind.
  return !now_s || (c.not_before <= *now_s + kDay && *now_s <= c.not_after);
}

// The root keys that are certificates for this name, by key id; with a time, valid then.
std::map<std::string, Chain> LeavesOf(const Metadata& root, std::string_view gun,
                                      std::optional<int64_t> now_s) {
  std::map<std::string, Chain> out;
  for (const std::string& id : root.roles.at(std::string(kRoot)).keyids) {
    const Key& key = root.keys.at(id);
    if (!absl::EndsWith(key.type, "-x509")) continue;
    auto certificates = ParseCertificates(key.material);
    if (!certificates.ok() || certificates->front().ca) continue;
    const auto leaves = std::count_if(certificates->begin(), certificates->end(),
                                      [](const X509Certificate& c) { return !c.ca; });
    if (leaves != 1 || !MatchesName(certificates->front().common_name, gun) ||
        !IsUsable(certificates->front(), now_s))
      continue;
    Chain chain{std::move(certificates->front()), {}};
    for (size_t i = 1; i < certificates->size(); ++i)
      if (IsUsable((*certificates)[i], now_s)) chain.between.push_back((*certificates)[i]);
    out.emplace(id, std::move(chain));
  }
  return out;
}

absl::Status CheckBy(const std::map<std::string, Chain>& leaves, const Metadata& keys_of,
                     const Metadata& signed_by) {
  RoleKeys role;
  role.threshold = keys_of.roles.at(std::string(kRoot)).threshold;
  for (const auto& [id, chain] : leaves) role.keyids.push_back(id);
  return CheckSignatures(keys_of.keys, role, signed_by);
}

absl::Status NoLeaves() {
  return (Fail("notary.root")
          << "could not validate the path to a trusted root: unable to retrieve "
             "valid leaf certificates")
      .Hint("the root's certificates have expired or are made out to another name; ask the owner");
}

absl::Status CheckFollows(const Metadata& previous, const Metadata& next, std::string_view gun) {
  const absl::Status by_old = CheckBy(LeavesOf(previous, gun, std::nullopt), previous, next);
  if (by_old.ok()) return by_old;
  return (Fail("notary.root") << gun
                              << ": could not rotate trust to a new trusted root: it is not "
                                 "signed by the root that is pinned")
      .Hint("if the owner began anew, remove the trust data kept for this name; else it is forged")
      .Cause(by_old);
}

absl::Status CheckBySelf(const std::map<std::string, Chain>& leaves, const Metadata& root,
                         std::string_view gun) {
  const absl::Status by_self = CheckBy(leaves, root, root);
  if (by_self.ok()) return by_self;
  return (Fail("notary.root") << gun << ": failed to validate integrity of roots").Cause(by_self);
}

const std::vector<std::string>* PinnedIds(const Pins& pins, std::string_view gun) {
  if (auto it = pins.certificates.find(std::string(gun)); it != pins.certificates.end())
    return &it->second;
  const std::vector<std::string>* best = nullptr;
  size_t length = 0;
  for (const auto& [name, ids] : pins.certificates) {
    if (!absl::EndsWith(name, "*") || name.size() <= length) continue;
    if (!absl::StartsWith(gun, std::string_view(name).substr(0, name.size() - 1))) continue;
    best = &ids;
    length = name.size();
  }
  return best;
}

const std::string* PinnedAuthority(const Pins& pins, std::string_view gun) {
  const std::string* best = nullptr;
  size_t length = 0;
  for (const auto& [prefix, pem] : pins.authorities) {
    if (!absl::StartsWith(gun, prefix) || (best != nullptr && prefix.size() < length)) continue;
    best = &pem;
    length = prefix.size();
  }
  return best;
}

// Drops the certificates that the pins do not allow.
absl::Status ApplyPins(const Pins& pins, std::string_view gun, int64_t now_s,
                       std::map<std::string, Chain>* leaves) {
  const std::vector<std::string>* ids = PinnedIds(pins, gun);
  const std::string* authority = ids == nullptr ? PinnedAuthority(pins, gun) : nullptr;
  if (ids == nullptr && authority == nullptr) {
    if (pins.trust_on_first_use) return absl::OkStatus();
    return (Fail("notary.root") << gun
                                << ": no trust pinning speaks of it, and trust on first use "
                                   "is off")
        .Hint("pin the root certificate or the authority of this name");
  }
  std::vector<X509Certificate> roots;
  if (authority != nullptr) {
    COAM_ASSIGN_OR_RETURN(std::vector<X509Certificate> all, ParseCertificates(*authority));
    for (X509Certificate& c : all)
      if (IsUsable(c, now_s)) roots.push_back(std::move(c));
  }
  std::erase_if(*leaves, [&](const auto& entry) {
    if (ids != nullptr) return std::find(ids->begin(), ids->end(), entry.first) == ids->end();
    return !ChainsTo(entry.second.leaf, entry.second.between, roots, now_s);
  });
  if (!leaves->empty()) return absl::OkStatus();
  return (Fail("notary.root") << gun
                              << ": unable to match any certificates to trust_pinning config")
      .Hint("check the pin; if it is right, do not use this repository");
}

}  // namespace

bool MatchesName(std::string_view common_name, std::string_view gun) {
  if (!absl::EndsWith(common_name, "*")) return common_name == gun;
  while (absl::EndsWith(common_name, "*")) common_name.remove_suffix(1);
  return absl::StartsWith(gun, common_name);
}

absl::Status CheckRoot(const Metadata* previous, const Metadata& next, std::string_view gun,
                       const Pins& pins, int64_t now_s) {
  std::map<std::string, Chain> leaves = LeavesOf(next, gun, now_s);
  if (leaves.empty()) return NoLeaves();
  if (previous != nullptr) {
    COAM_RETURN_IF_ERROR(CheckFollows(*previous, next, gun));
  } else {
    COAM_RETURN_IF_ERROR(ApplyPins(pins, gun, now_s, &leaves));
  }
  return CheckBySelf(leaves, next, gun);
}

absl::Status CheckStep(const Metadata& previous, const Metadata& next, std::string_view gun) {
  const std::map<std::string, Chain> leaves = LeavesOf(next, gun, std::nullopt);
  if (leaves.empty()) return NoLeaves();
  COAM_RETURN_IF_ERROR(CheckFollows(previous, next, gun));
  return CheckBySelf(leaves, next, gun);
}

absl::Status CheckKept(const Metadata& root, std::string_view gun) {
  const std::map<std::string, Chain> leaves = LeavesOf(root, gun, std::nullopt);
  if (leaves.empty()) return NoLeaves();
  return CheckBy(leaves, root, root);
}

bool RootIsCurrent(const Metadata& root, std::string_view gun, int64_t now_s) {
  return !root.Expired(now_s * 1000000000) && CheckBy(LeavesOf(root, gun, now_s), root, root).ok();
}

}  // namespace coaming::trust::notary
