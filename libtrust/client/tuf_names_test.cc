// What a TUF client writes, and where: names and links of attackers (libtrust/flaws.tsv).
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iterator>

#include "base/core/error.h"
#include "base/digest/hasher.h"
#include "base/testing/memory_transport.h"
#include "libtrust/client/tuf_client.h"
#include "libtrust/client/tuf_directory.h"
#include "libtrust/tuf/delegation.h"

namespace coaming::trust {
namespace {

std::string ReadAll(const std::string& path) {
  std::ifstream f(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(f), {});
}

// A repository in a directory that signs one target, and a client of it.
class World {
 public:
  explicit World(const std::string& target) {
    char place_name[] = "/tmp/coam-tufnames-XXXXXX";
    REQUIRE(mkdtemp(place_name) != nullptr);
    place = place_name;
    auto keys = GenerateTufKey("ed25519", "");
    REQUIRE(keys.ok());
    auto repo = TufDirectory::Open(place + "/repo", op);
    REQUIRE(repo.ok());
    const int64_t now = std::time(nullptr);
    std::map<std::string, std::vector<std::string>> roles;
    for (const char* role : {"root", "timestamp", "snapshot", "targets"})
      roles[role] = {keys->public_pem};
    REQUIRE((*repo)->Init({.now_s = now}, roles).ok());
    tuf::Repository& edit = (*repo)->repository();
    REQUIRE(edit.AddTarget("targets", target, 4,
                           {{"sha256", std::string(base::Sha256("data").encoded())}})
                .ok());
    bool changed = false;
    REQUIRE(edit.Snapshot(now + 9999, &changed).ok());
    REQUIRE(edit.Timestamp(now + 9999, &changed).ok());
    auto staged = edit.Staged();
    REQUIRE(staged.ok());
    for (const std::string& role : *staged)
      REQUIRE((*repo)->SignPem(role, keys->private_pem, "").ok());
    REQUIRE(edit.Publish().ok());
    transport.Handle([this](const base::testing::MemoryRequest& request) {
      base::testing::MemoryReply reply;
      const std::string from = "https://r.example/metadata/";
      if (request.url.rfind(from, 0) == 0)
        reply.body = ReadAll(place + "/repo/metadata/" + request.url.substr(from.size()));
      else reply.body = "data";
      if (reply.body.empty()) reply.status = 404;
      return std::optional<base::testing::MemoryReply>(reply);
    });
    TufClientOptions options;
    options.metadata_dir = place + "/kept";
    options.updater.metadata_url = "https://r.example/metadata";
    options.updater.targets_url = "https://r.example/targets";
    auto made = TufClient::Open(transport, options, ReadAll(place + "/repo/metadata/1.root.json"));
    REQUIRE(made.ok());
    client = *std::move(made);
  }
  ~World() { (void)!system(("rm -rf '" + place + "'").c_str()); }
  bool There(const std::string& name) const {
    struct stat st;
    return lstat((place + "/" + name).c_str(), &st) == 0;
  }

  std::string place;
  base::Op op;
  base::testing::MemoryTransport transport;
  std::unique_ptr<TufClient> client;
};

TEST_CASE("tuf client: what a target is called leads nowhere outside its directory",
          "[libtrust][client][tuf]") {
  const std::string name = "../../up/evil";
  World w(name);
  auto got = w.client->Download(name, w.place + "/in/out", w.op);
  INFO(got.status().message());
  REQUIRE(got.ok());
  CHECK(ReadAll(w.place + "/in/out/" + tuf::FileName(name)) == "data");
  CHECK_FALSE(w.There("up"));
  CHECK_FALSE(w.There("in/up"));
  for (const char* as : {"../x", "a/b", "..", ".", "/etc/x"})
    CHECK(base::HasReason(w.client->Download(name, w.place + "/in/out", w.op, as).status(),
                          "core.invalid_argument"));
}

TEST_CASE("tuf client: a link in the way of a target is not followed", "[libtrust][client][tuf]") {
  World w("app");
  REQUIRE(mkdir((w.place + "/out").c_str(), 0755) == 0);
  for (const char* content : {"keep", "data", "longer than the target"}) {
    INFO(content);
    std::ofstream(w.place + "/victim") << content;
    (void)unlink((w.place + "/out/app").c_str());
    REQUIRE(symlink("../victim", (w.place + "/out/app").c_str()) == 0);
    auto got = w.client->Download("app", w.place + "/out", w.op);
    CHECK(ReadAll(w.place + "/victim") == content);
    struct stat st;
    REQUIRE(lstat((w.place + "/out/app").c_str(), &st) == 0);
    // Either a file of its own is in the place of the link, or it was refused.
    CHECK(got.ok() == S_ISREG(st.st_mode));
  }
}

}  // namespace
}  // namespace coaming::trust
