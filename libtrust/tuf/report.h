// Report: TUF state as JSON text, for the C ABI and the tool.
#ifndef COAMING_LIBTRUST_TUF_REPORT_H_
#define COAMING_LIBTRUST_TUF_REPORT_H_

#include <string>

#include "libtrust/tuf/metadata.h"
#include "libtrust/tuf/trusted_set.h"

namespace coaming::trust::tuf {

// {"schema":"coam.tuf.target.v1","path":...,"length":...,"hashes":{...},"custom":...}
std::string TargetToJson(const TargetFile& target);
// {"schema":"coam.tuf.state.v1","root":{"version":1,"expires":...},...}; `set` may be null.
std::string StateToJson(const TrustedSet* set);

}  // namespace coaming::trust::tuf

#endif  // COAMING_LIBTRUST_TUF_REPORT_H_
