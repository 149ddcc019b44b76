// What a test needs from the machine. Each SKIPs the test with the reason printed.
//
//   COAM_NEEDS_ROOT();
//   COAM_NEEDS_PROGRAM("nginx");
//   COAM_NEEDS(KernelHasOpenat2(), "the kernel has no openat2");
#ifndef COAMING_BASE_TESTING_ENVIRONMENT_H_
#define COAMING_BASE_TESTING_ENVIRONMENT_H_

#include <string>
#include <string_view>
#include <vector>

namespace coaming::base::testing {

bool IsRoot();
// ProgramPath looks in /usr/local/bin, /usr/bin, /bin, /usr/local/sbin, /usr/sbin, /sbin; "" if absent.
std::string ProgramPath(std::string_view name);
bool KernelHasOpenat2();
bool KernelHasPidfdInfo();  // PIDFD_GET_INFO with the exit status (6.15)
bool CanUnshareUser();      // unprivileged user namespaces
bool CanUnshareNet();       // as root
bool HasCgroup2();          // a writable cgroup v2 tree
int KernelVersion();        // major * 1000 + minor
// Shell runs a command by /bin/sh -c for tests; returns its exit status, -1 if killed; output is
// stdout and stderr together.
int Shell(std::string_view command, std::string* output = nullptr);
// OpenFds lists this process's descriptors, sorted: to see that none leaks.
std::vector<int> OpenFds();

// CheckGolden compares with the file base/x/testdata/NAME (path from the workspace root, which must be
// in the test's data); "" if equal, else a text with the first difference. With COAM_UPDATE_GOLDEN in
// the environment and `bazel run`, the file is rewritten instead.
std::string CheckGolden(std::string_view workspace_path, std::string_view actual);

}  // namespace coaming::base::testing

#define COAM_NEEDS(condition, why) \
  do {                             \
    if (!(condition)) SKIP(why);   \
  } while (0)
#define COAM_NEEDS_ROOT() COAM_NEEDS(::coaming::base::testing::IsRoot(), "needs root")
#define COAM_NEEDS_PROGRAM(name)                                   \
  COAM_NEEDS(!::coaming::base::testing::ProgramPath(name).empty(), \
             std::string("needs the program ") + (name))

#endif  // COAMING_BASE_TESTING_ENVIRONMENT_H_
