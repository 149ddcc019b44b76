// Root: which root metadata may speak for a name. Notary's roots are held by certificates, whose common
// name is that of the repository, and the first one that is seen is pinned.
//
// A repository's name is its GUN, "registry.example/team/app". Threads: functions without state.
#ifndef COAMING_LIBTRUST_NOTARY_ROOT_H_
#define COAMING_LIBTRUST_NOTARY_ROOT_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "libtrust/notary/metadata.h"

namespace coaming::trust::notary {

// Pins decide about the first root of a name. The first that speaks of the name counts: its entry in
// `certificates`, the longest entry there that ends in "*", the longest prefix in `authorities`. A name
// that none speaks of is trusted on first use, unless that is off.
struct Pins {
  std::map<std::string, std::vector<std::string>>
      certificates;                                // GUN or PREFIX* to ids of root keys
  std::map<std::string, std::string> authorities;  // prefix to CA certificates, PEM
  bool trust_on_first_use = true;
};

// CheckRoot judges `next`: signed by the threshold of its own certificates that are valid at `now_s` and
// name the GUN; and by the threshold of the certificates of `previous`, whose age does not count, or, if
// there is none, by certificates that fit the pins. Errors: notary.root.
absl::Status CheckRoot(const Metadata* previous, const Metadata& next, std::string_view gun,
                       const Pins& pins, int64_t now_s);
// CheckStep is CheckRoot for a root on the way from one to another: its own age does not count either.
absl::Status CheckStep(const Metadata& previous, const Metadata& next, std::string_view gun);
// CheckKept judges a root that was pinned before, read back: its own signatures and names, without ages.
absl::Status CheckKept(const Metadata& root, std::string_view gun);
// RootIsCurrent is true if enough certificates of an accepted root are still valid.
bool RootIsCurrent(const Metadata& root, std::string_view gun, int64_t now_s);

// MatchesName is true if a certificate's common name is the GUN, or ends in "*" and the rest is a prefix.
bool MatchesName(std::string_view common_name, std::string_view gun);

}  // namespace coaming::trust::notary

#endif  // COAMING_LIBTRUST_NOTARY_ROOT_H_
