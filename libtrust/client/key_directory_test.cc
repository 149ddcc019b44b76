#include "libtrust/client/key_directory.h"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cstdlib>

#include "base/core/error.h"
#include "libtrust/openpgp/sign.h"

namespace coaming::trust {
namespace {

TEST_CASE("key directory: keys are kept under rkt's names, and links are not followed",
          "[libtrust][client]") {
  char place[] = "/tmp/coam-keydir-XXXXXX";
  REQUIRE(mkdtemp(place) != nullptr);
  std::string path = std::string(place) + "/etc/trustedkeys";
  auto directory = KeyDirectory::Open(path);
  REQUIRE(directory.ok());
  KeyStore store(directory->get(), nullptr);
  base::Op op;
  auto none = store.KeyringFor("example.com/hello", op);
  REQUIRE(none.ok());
  CHECK(none->empty());
  auto key = openpgp::SecretKey::Generate({.user_id = "Ann", .created = 1700000000});
  REQUIRE(key.ok());
  auto added = store.Add("example.com/hello", false, key->certificate().bytes(), op);
  REQUIRE(added.ok());
  std::string file = path + "/prefix.d/example.com/hello/" + key->fingerprint();
  struct stat st;
  REQUIRE(lstat(file.c_str(), &st) == 0);
  CHECK((st.st_mode & 07777) == 0644);
  auto again = KeyDirectory::Open(path);
  REQUIRE(again.ok());
  CHECK(KeyStore(again->get(), nullptr).HasKeyFor("example.com/hello/sub", op));
  CHECK_FALSE(KeyStore(again->get(), nullptr).HasKeyFor("example.com/hellox", op));
  // A link in the place of a directory or file counts for nothing.
  REQUIRE(symlink((path + "/prefix.d/example.com/hello").c_str(),
                  (path + "/prefix.d/example.com/other").c_str()) == 0);
  CHECK_FALSE(KeyStore(again->get(), nullptr).HasKeyFor("example.com/other", op));
  REQUIRE(store.Remove("example.com/hello", false, key->fingerprint()).ok());
  CHECK(lstat(file.c_str(), &st) != 0);
  CHECK(base::HasReason(store.Remove("example.com/hello", false, key->fingerprint()),
                        "sig.key_not_found"));
  (void)!system((std::string("rm -rf ") + place).c_str());
}

}  // namespace
}  // namespace coaming::trust
