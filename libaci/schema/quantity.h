// Quantity is a resource amount as appc (and Kubernetes) writes it: "1Gi", "500m", "1.5e3".
//
// Spec: appc/spec "Resource Isolators". Kept exactly as a number of nano-units in 128 bits; what is
// finer is rounded away from zero, as the reference does. A plain value. Threads: any.
#ifndef COAMING_LIBACI_SCHEMA_QUANTITY_H_
#define COAMING_LIBACI_SCHEMA_QUANTITY_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace coaming::aci {

class Quantity {
 public:
  enum class Format { kDecimalSi, kBinarySi, kDecimalExponent };

  Quantity() = default;
  static Quantity FromInt(int64_t value, Format format = Format::kDecimalSi);
  // Errors: aci.quantity (malformed, or too large for 2^63-1 units of its binary form or 10^28).
  static absl::StatusOr<Quantity> Parse(std::string_view text);

  // The value rounded up (away from zero) to whole units, and to thousandths; capped at the int64
  // range.
  int64_t Value() const;
  int64_t MilliValue() const;
  bool negative() const { return nano_ < 0; }
  bool zero() const { return nano_ == 0; }
  Format format() const { return format_; }
  int Compare(const Quantity& other) const;
  // The canonical form: "1024Mi" prints "1Gi", "1000M" prints "1G", ".001Ki" prints "1024m".
  std::string ToString() const;

 private:
  __extension__ typedef __int128 Int128;
  Int128 nano_ = 0;
  Format format_ = Format::kDecimalSi;
};

}  // namespace coaming::aci

#endif  // COAMING_LIBACI_SCHEMA_QUANTITY_H_
