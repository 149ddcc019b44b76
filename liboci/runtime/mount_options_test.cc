#include "liboci/runtime/mount_options.h"

#include <linux/mount.h>

#include <algorithm>

#include "catch2/catch_test_macros.hpp"

namespace coaming::run {
namespace {

TEST_CASE("mount options: a later word wins over an earlier one", "[liboci][runtime]") {
  MountOptions o = ParseMountOptions({"ro", "rw"});
  REQUIRE((o.flags & MS_RDONLY) == 0);
  REQUIRE((o.attr_set & MOUNT_ATTR_RDONLY) == 0);
  REQUIRE((o.attr_clear & MOUNT_ATTR_RDONLY) != 0);
  o = ParseMountOptions({"rw", "ro"});
  REQUIRE((o.attr_set & MOUNT_ATTR_RDONLY) != 0);
  REQUIRE((o.attr_clear & MOUNT_ATTR_RDONLY) == 0);
}

TEST_CASE("mount options: access-time modes exclude one another", "[liboci][runtime]") {
  MountOptions o = ParseMountOptions({"rnoatime"});
  REQUIRE(o.all_set == MOUNT_ATTR_NOATIME);
  REQUIRE(o.all_clear == MOUNT_ATTR__ATIME);
  o = ParseMountOptions({"rnoatime", "rstrictatime"});
  REQUIRE(o.all_set == MOUNT_ATTR_STRICTATIME);
  REQUIRE(o.all_clear == MOUNT_ATTR__ATIME);
  o = ParseMountOptions({"rrelatime"});
  REQUIRE(o.all_set == 0);
  REQUIRE(o.all_clear == MOUNT_ATTR__ATIME);
}

TEST_CASE("mount options: rexec clears noexec everywhere below", "[liboci][runtime]") {
  MountOptions o = ParseMountOptions({"rbind", "rexec", "rro"});
  REQUIRE(o.bind);
  REQUIRE(o.recursive);
  REQUIRE(o.all_clear == MOUNT_ATTR_NOEXEC);
  REQUIRE(o.all_set == MOUNT_ATTR_RDONLY);
}

TEST_CASE("mount options: propagation is not data, unknown words are", "[liboci][runtime]") {
  MountOptions o = ParseMountOptions({"rslave", "size=5k", "mode=700", "idmap"});
  REQUIRE(o.propagation == (MS_SLAVE | MS_REC));
  REQUIRE(o.data == "size=5k,mode=700");
  REQUIRE(o.idmap);
}

TEST_CASE("mount options: every word of the specification is known", "[liboci][runtime]") {
  const std::vector<std::string> known = KnownMountOptions();
  for (const char* word :
       {"async",        "atime",       "bind",        "defaults",       "dev",
        "diratime",     "dirsync",     "exec",        "iversion",       "lazytime",
        "loud",         "noatime",     "nodev",       "nodiratime",     "noexec",
        "noiversion",   "nolazytime",  "norelatime",  "nostrictatime",  "nosuid",
        "nosymfollow",  "private",     "ratime",      "rbind",          "rdev",
        "rdiratime",    "relatime",    "remount",     "rexec",          "rnoatime",
        "rnodiratime",  "rnoexec",     "rnorelatime", "rnostrictatime", "rnosuid",
        "rnosymfollow", "ro",          "rprivate",    "rrelatime",      "rro",
        "rrw",          "rshared",     "rslave",      "rstrictatime",   "rsuid",
        "rsymfollow",   "runbindable", "rw",          "shared",         "silent",
        "slave",        "strictatime", "suid",        "symfollow",      "sync",
        "tmpcopyup",    "unbindable",  "idmap",       "ridmap",         "mand",
        "nomand"}) {
    INFO(word);
    REQUIRE(std::find(known.begin(), known.end(), word) != known.end());
    REQUIRE(ParseMountOptions({word}).data.empty());
  }
}

}  // namespace
}  // namespace coaming::run
