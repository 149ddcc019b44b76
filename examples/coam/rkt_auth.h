// rkt's configuration files: which credentials go to which host, and what `rkt config` shows.
#ifndef COAMING_EXAMPLES_COAM_RKT_AUTH_H_
#define COAMING_EXAMPLES_COAM_RKT_AUTH_H_

#include <string>
#include <vector>

#include "examples/coam/cli.h"

namespace coam {

// SetAuthHeaders reads auth.d below the configuration directories (kind auth, version v1; basic and
// oauth) into the key header of `options`. False after a failure that it told.
bool SetAuthHeaders(Invocation& in, const Options& options);
// ConfigFiles lists the *.json files of `kind` ("auth.d") below the system, local and user
// directories, in that order, by name within each.
std::vector<std::string> ConfigFiles(const Invocation& in, const std::string& kind);

}  // namespace coam

#endif  // COAMING_EXAMPLES_COAM_RKT_AUTH_H_
