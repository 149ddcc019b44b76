// Sha512Hex is the hash that CNI uses to make names: chains, devices, container ids. It protects
// nothing, which is why it is not the hasher of base/digest: that would bring a cryptographic library
// into programs that only attach networks. FIPS 180-4. Pure functions.
#ifndef COAMING_LIBCNI_CONF_NAME_HASH_H_
#define COAMING_LIBCNI_CONF_NAME_HASH_H_

#include <string>
#include <string_view>

namespace coaming::cni {

// 128 lower-case hex digits.
std::string Sha512Hex(std::string_view text);
// NetnsContainerId is the container id that cnitool derives from a namespace's absolute path:
// "cnitool-" and 20 hex digits.
std::string NetnsContainerId(std::string_view absolute_path);

}  // namespace coaming::cni

#endif  // COAMING_LIBCNI_CONF_NAME_HASH_H_
