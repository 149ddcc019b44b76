// The two engines behind TarReader::Open. Private to the package.
#ifndef COAMING_BASE_ARCHIVE_READERS_H_
#define COAMING_BASE_ARCHIVE_READERS_H_

#include <memory>

#include "base/archive/tar.h"

namespace coaming::base::internal {

absl::StatusOr<std::unique_ptr<TarReader>> NewLeanTarReader(const Op& op,
                                                            std::unique_ptr<Reader> source);
absl::StatusOr<std::unique_ptr<TarReader>> NewLibarchiveTarReader(const Op& op,
                                                                  std::unique_ptr<Reader> source);

}  // namespace coaming::base::internal

#endif  // COAMING_BASE_ARCHIVE_READERS_H_
