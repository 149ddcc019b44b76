// Image names as policies and signatures write them: normalised docker references and scopes.
//
// containers-policy.json(5), "Transports and scopes". A reader of its own, since libtrust stands below
// liboci. Threads: functions and values. Limits: names of 4,096 bytes.
#ifndef COAMING_LIBTRUST_POLICY_REFERENCE_H_
#define COAMING_LIBTRUST_POLICY_REFERENCE_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace coaming::trust {

struct DockerName {
  std::string repository;   // "docker.io/library/busybox"
  std::string tag, digest;  // at most one of them counts for identity; "" if absent

  bool IsNameOnly() const { return tag.empty() && digest.empty(); }
  std::string ToString() const;
};

// ParseDockerName normalises: the default host docker.io, its library/; nullopt if it is no name.
std::optional<DockerName> ParseDockerName(std::string_view text);

// IsRemapPrefix is true for HOST[:PORT] and for names that begin with one.
bool IsRemapPrefix(std::string_view text);

// PolicyScopes lists the scopes of an image from the most to the least specific, without the last "".
// `transport` is "docker", "atomic", "dir", "oci", ...; `name` is what follows "docker://" and so on.
std::vector<std::string> PolicyScopes(std::string_view transport, std::string_view name);

}  // namespace coaming::trust

#endif  // COAMING_LIBTRUST_POLICY_REFERENCE_H_
