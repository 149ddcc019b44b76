// The two writers behind BlobWriter. Private to liboci/store.
#ifndef COAMING_LIBOCI_STORE_BLOB_WRITER_H_
#define COAMING_LIBOCI_STORE_BLOB_WRITER_H_

#include <memory>

#include "base/fs/dir.h"
#include "liboci/store/layout.h"

namespace coaming::oci {

// NewBlobWriter goes on with the partial of that digest, or begins one. Small blobs are begun anew.
absl::StatusOr<std::unique_ptr<BlobWriter>> NewBlobWriter(const base::Op& op, const base::Dir& dir,
                                                          const Descriptor& descriptor);
// NewTemporaryBlobWriter keeps nothing unless committed; `want` null: any digest.
absl::StatusOr<std::unique_ptr<BlobWriter>> NewTemporaryBlobWriter(const base::Op& op,
                                                                   const base::Dir& dir,
                                                                   const Descriptor* want);

}  // namespace coaming::oci

#endif  // COAMING_LIBOCI_STORE_BLOB_WRITER_H_
