// Reading and writing of the store's own records (JSON); private to libaci/store.
#ifndef COAMING_LIBACI_STORE_RECORD_H_
#define COAMING_LIBACI_STORE_RECORD_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "libaci/store/store.h"

namespace coaming::aci {

std::string WriteRecord(const ImageRecord& record);
absl::StatusOr<ImageRecord> ReadRecord(std::string_view json);
std::string WriteRemote(const RemoteRecord& record);
absl::StatusOr<RemoteRecord> ReadRemote(std::string_view json);

}  // namespace coaming::aci

#endif  // COAMING_LIBACI_STORE_RECORD_H_
