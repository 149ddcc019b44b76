// What the pod commands of rkt share.
#ifndef COAMING_EXAMPLES_COAM_RKT_POD_H_
#define COAMING_EXAMPLES_COAM_RKT_POD_H_

#include <string>

#include "examples/coam/cli.h"

namespace coam {

using Pods = Handle<coam_pods, coam_pods_free>;

// OpenPods opens the pods of --dir; after a failure, which it tells, null.
Pods OpenPods(Invocation& in);

// EnsureImage has `image` (a name, ID, URL or file) in the store, fetching it as --pull-policy says,
// and gives its ID. Returns 0, or the exit code of a failure that it told.
int EnsureImage(Invocation& in, const std::string& image, const std::string& signature,
                std::string* id);

}  // namespace coam

#endif  // COAMING_EXAMPLES_COAM_RKT_POD_H_
