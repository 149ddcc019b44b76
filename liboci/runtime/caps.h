// Names and numbers of Linux capabilities.
#ifndef COAMING_LIBOCI_RUNTIME_CAPS_H_
#define COAMING_LIBOCI_RUNTIME_CAPS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace coaming::run {

// CapabilityNumber reads "CAP_KILL" (any case, CAP_ optional); -1 if there is none of that name.
int CapabilityNumber(std::string_view name);
// CapabilityName is "CAP_KILL", or empty past the last one known here.
std::string_view CapabilityName(int number);
// CapabilityMask gathers a list; names that are not known go to `unknown`.
uint64_t CapabilityMask(const std::vector<std::string>& names, std::vector<std::string>* unknown);
// CapabilityNames renders a mask: "KILL,NET_BIND_SERVICE", "none", "all".
std::string CapabilityNames(uint64_t mask);

}  // namespace coaming::run

#endif  // COAMING_LIBOCI_RUNTIME_CAPS_H_
