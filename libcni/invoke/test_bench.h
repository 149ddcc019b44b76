// Bench is a directory of shell-script plugins that record what they were given. Tests only.
#ifndef COAMING_LIBCNI_INVOKE_TEST_BENCH_H_
#define COAMING_LIBCNI_INVOKE_TEST_BENCH_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/core/error.h"
#include "catch2/catch_all.hpp"
#include "libcni/invoke/client.h"
#include "libcni/testing/netns.h"

namespace coaming::cni {

class Bench {
 public:
  Bench() { testing::Shell(absl::StrCat("mkdir ", bin(), " ", records())); }
  std::string bin() const { return dir_ / "bin"; }
  std::string records() const { return dir_ / "records"; }
  std::string cache() const { return dir_ / "cache"; }
  const testing::TempDir& dir() const { return dir_; }

  ClientOptions Options() const {
    ClientOptions options;
    options.plugin_dirs = {bin()};
    options.cache_dir = cache();
    return options;
  }

  // Plugin installs a plugin that records its call, then runs `body`.
  void Plugin(std::string_view name, std::string_view body) {
    testing::WriteScript(
        absl::StrCat(bin(), "/", name),
        absl::StrCat("r=", records(), "\nn=$r/$(printf %03d $(ls $r | wc -l)).", name,
                     ".$CNI_COMMAND\nmkdir $n; cat > $n/in; env | sort > $n/env\n", body));
  }
  // Adder answers ADD with `result` and every other verb with success.
  void Adder(std::string_view name, std::string_view result) {
    Plugin(name, absl::StrCat("[ $CNI_COMMAND = ADD ] && cat <<'END'\n", result, "\nEND\nexit 0"));
  }
  // Failer fails on `verb` with an error object and else does as Adder.
  void Failer(std::string_view name, std::string_view verb, int code, std::string_view msg) {
    Plugin(name,
           absl::StrCat("if [ $CNI_COMMAND = ", verb, " ]; then echo '{\"code\":", code,
                        ",\"msg\":\"", msg, "\"}'; exit 1; fi\n",
                        "[ $CNI_COMMAND = ADD ] && echo '{\"cniVersion\":\"1.0.0\"}'\nexit 0"));
  }

  // Calls lists what ran, in order: "a.ADD b.ADD b.DEL a.DEL".
  std::string Calls() const {
    std::string out;
    for (const std::string& name : testing::ListDir(records())) {
      absl::StrAppend(&out, out.empty() ? "" : " ", name.substr(4));
    }
    return out;
  }
  // Input gives the standard input of call number `index`.
  std::string Input(int index) const { return Record(index, "in"); }
  std::vector<std::string> Env(int index) const {
    return absl::StrSplit(Record(index, "env"), '\n', absl::SkipEmpty());
  }
  void Forget() { testing::Shell(absl::StrCat("rm -rf ", records(), "/*")); }

  // True if neither a result nor an intent is on disk.
  bool Clean() const {
    return testing::ListDir(cache() + "/results").empty() &&
           testing::ListDir(cache() + "/intents").empty();
  }

 private:
  std::string Record(int index, const char* what) const {
    std::vector<std::string> names = testing::ListDir(records());
    if (index >= static_cast<int>(names.size())) return "";
    return testing::ReadFile(absl::StrCat(records(), "/", names[index], "/", what));
  }
  testing::TempDir dir_;
};

inline NetworkList MustList(std::string_view json) {
  auto list = ParseNetworkList(json);
  INFO(list.status());
  REQUIRE(list.ok());
  return *list;
}

#define REQUIRE_OK(expr)             \
  do {                               \
    absl::Status ok_status = (expr); \
    INFO(ok_status);                 \
    REQUIRE(ok_status.ok());         \
  } while (0)

}  // namespace coaming::cni

#endif  // COAMING_LIBCNI_INVOKE_TEST_BENCH_H_
