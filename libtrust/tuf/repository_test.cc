// Both sides of TUF against each other, and the attacks that clients were broken by.
#include "libtrust/tuf/repository.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/core/error.h"
#include "base/digest/hasher.h"
#include "base/json/json.h"
#include "libtrust/tuf/delegation.h"
#include "libtrust/tuf/test_memory.h"
#include "libtrust/tuf/test_metadata.h"

namespace coaming::trust::tuf {
namespace {

using base::json::Value;

#define OK(expr)                                \
  do {                                          \
    absl::Status coam_status_for_test = (expr); \
    INFO(coam_status_for_test.message());       \
    REQUIRE(coam_status_for_test.ok());         \
  } while (0)

// A small repository with two root keys, and a client of it.
class World {
 public:
  World()
      : root1(NewSigner()),
        root2(NewSigner(KeyType::kEcdsaP256)),
        online(NewSigner()),
        author(NewSigner(KeyType::kRsa)),
        repo(store),
        fetcher(store.files) {
    op.set_clock(&clock);
    OK(repo.Init({.now_s = kNow, .thresholds = {{"root", 2}}}, {{"root", {root1.key, root2.key}},
                                                                {"targets", {author.key}},
                                                                {"snapshot", {online.key}},
                                                                {"timestamp", {online.key}}}));
    OK(repo.Sign("root", root1));
    OK(repo.Sign("root", root2));
    Target("app.tar", "version 1");
    Publish();
    bootstrap = store.files["1.root.json"];
  }

  void Target(const std::string& path, const std::string& bytes, std::string role = "targets") {
    std::string hash(base::Sha256(bytes).encoded());
    OK(repo.AddTarget(role, path, static_cast<int64_t>(bytes.size()), {{"sha256", hash}}));
    size_t slash = path.rfind('/');
    std::string name = path;
    name.insert(slash == std::string::npos ? 0 : slash + 1, hash + ".");
    fetcher.targets[name] = bytes;
  }

  // Signs what is staged with whatever key may, makes snapshot and timestamp, publishes.
  void Publish() {
    bool changed;
    OK(repo.Snapshot(kNow + 7 * kDays, &changed));
    OK(repo.Timestamp(kNow + kDays, &changed));
    auto staged = repo.Staged();
    REQUIRE(staged.ok());
    for (const std::string& role : *staged)
      for (const Signer* signer : {&online, &author, &root1, &root2})
        (void)repo.Sign(role, *signer);
    OK(repo.Publish());
  }

  std::string Refresh() {
    Updater updater(fetcher, kept, {.metadata_url = "m", .targets_url = "t"}, bootstrap);
    return base::ReasonOf(updater.Refresh(op));
  }
  std::string Get(const std::string& path, std::string* bytes = nullptr) {
    Updater updater(fetcher, kept, {.metadata_url = "m", .targets_url = "t"}, bootstrap);
    auto target = updater.FindTarget(path, op);
    if (!target.ok()) return base::ReasonOf(target.status());
    if (!*target) return "none";
    std::string out;
    base::StringWriter sink(&out);
    absl::Status status = updater.Download(**target, sink, op);
    if (status.ok() && bytes != nullptr) *bytes = out;
    return base::ReasonOf(status);
  }
  // Changes a published file as an attacker without keys would.
  void Tamper(const std::string& name, const std::string& from, const std::string& to) {
    std::string& file = store.files[name];
    REQUIRE(file.find(from) != std::string::npos);
    file = absl::StrReplaceAll(file, {{from, to}});
  }

  Signer root1, root2, online, author;
  MemoryRepositoryStore store;
  Repository repo;
  MemoryFetcher fetcher;
  MemoryStore kept;
  TestClock clock;
  base::Op op;
  std::string bootstrap;
};

TEST_CASE("tuf: what the repository side makes the client follows", "[libtrust][tuf]") {
  World w;
  OK(w.repo.Verify(kNow));
  std::string bytes;
  CHECK(w.Get("app.tar", &bytes).empty());
  CHECK(bytes == "version 1");
  CHECK(w.Get("other") == "none");
  w.Target("app.tar", "version 2");
  w.Target("dir/deep.tar", "deep");
  w.Publish();
  CHECK(w.Get("app.tar", &bytes).empty());
  CHECK(bytes == "version 2");
  CHECK(w.Get("dir/deep.tar", &bytes).empty());
  CHECK(w.kept.files["timestamp.json"] == w.store.files["timestamp.json"]);
  OK(w.repo.RemoveTarget("targets", "dir/deep.tar"));
  w.Publish();
  CHECK(w.Get("dir/deep.tar") == "none");
}

TEST_CASE("tuf: files are published so that no reader sees a loose end", "[libtrust][tuf]") {
  World w;
  std::vector<std::string> last(w.store.order.end() - 9, w.store.order.end());
  auto at = [&](const std::string& name) {
    return std::find(w.store.order.begin(), w.store.order.end(), name) - w.store.order.begin();
  };
  CHECK(at("1.targets.json") < at("1.root.json"));
  CHECK(at("1.root.json") < at("1.snapshot.json"));
  CHECK(at("1.snapshot.json") < at("timestamp.json"));
}

TEST_CASE(
    "tuf: a ceremony: bytes out, signatures in, and nothing is published before all have signed",
    "[libtrust][tuf]") {
  World w;
  Signer next = NewSigner();
  OK(w.repo.AddKey("root", next.key));
  OK(w.repo.RemoveKey("root", w.root1.keyid));
  bool changed;
  CHECK(base::HasReason(w.repo.Publish(), "tuf.threshold"));
  auto bytes = w.repo.ToBeSigned("root");
  REQUIRE(bytes.ok());
  auto signature = next.sign(*bytes);
  REQUIRE(signature.ok());
  OK(w.repo.AddSignature("root", next.keyid, *signature));
  CHECK(base::HasReason(w.repo.AddSignature("root", next.keyid, "junk"), "sig.bad"));
  CHECK(base::HasReason(w.repo.Sign("root", w.author), "tuf.repository"));
  OK(w.repo.Sign("root", w.root2));
  auto state = w.repo.State("root");
  REQUIRE(state.ok());
  CHECK(state->version == 2);
  CHECK(state->state.ok());
  REQUIRE(state->by_old);
  CHECK_FALSE(state->by_old->ok());
  CHECK(state->by_old->missing == std::vector<std::string>{w.root1.keyid});
  CHECK(base::HasReason(w.repo.Publish(), "tuf.threshold"));
  OK(w.repo.Sign("root", w.root1));
  OK(w.repo.Publish());
  OK(w.repo.Verify(kNow));
  CHECK(w.Refresh().empty());
  CHECK(w.kept.files.count("root_history/2.root.json") == 1);
  (void)changed;
}

TEST_CASE("tuf: delegations by path, by hash and in bins are followed, and only there",
          "[libtrust][tuf]") {
  World w;
  Signer team = NewSigner();
  DelegatedRole role{.name = "../team", .keys = {.keyids = {}, .threshold = 1}};
  role.paths = std::vector<std::string>{"team/*"};
  OK(w.repo.Delegate("targets", role, {team.key}, kNow + 30 * kDays));
  w.Target("team/a.tar", "a", "../team");
  w.Target("other/b.tar", "b", "../team");
  OK(w.repo.Sign("../team", team));
  w.Publish();
  OK(w.repo.Verify(kNow));
  CHECK(w.Get("team/a.tar").empty());
  CHECK(w.Get("other/b.tar") == "none");  // not within what was delegated
  CHECK(w.kept.files.count("..%2Fteam.json") == 1);
  CHECK(w.kept.files.count("../team.json") == 0);

  SuccinctRoles bins{.keys = {.keyids = {}, .threshold = 1}, .bit_length = 2, .name_prefix = "bin"};
  CHECK(base::HasReason(w.repo.DelegateBins("targets", bins, {team.key}, kNow + 30 * kDays),
                        "tuf.repository"));
}

TEST_CASE("tuf: a terminating delegation ends the search, whatever it holds (CVE-2025-2886)",
          "[libtrust][tuf]") {
  bool terminating = GENERATE(false, true);
  World w;
  Signer team = NewSigner();
  for (const char* name : {"first", "second"}) {
    DelegatedRole role{.name = name, .keys = {.keyids = {}, .threshold = 1}};
    role.terminating = terminating;
    role.paths = std::vector<std::string>{"team/*"};
    OK(w.repo.Delegate("targets", role, {team.key}, kNow + 30 * kDays));
  }
  w.Target("team/a.tar", "a", "second");
  for (const char* name : {"first", "second"}) OK(w.repo.Sign(name, team));
  w.Publish();
  CHECK(w.Get("team/a.tar") == (terminating ? "none" : ""));
}

TEST_CASE("tuf: of hashed bins one is fetched for one target", "[libtrust][tuf]") {
  World w;
  Signer bin_key = NewSigner();
  SuccinctRoles bins{.keys = {.keyids = {}, .threshold = 1}, .bit_length = 3, .name_prefix = "bin"};
  OK(w.repo.DelegateBins("targets", bins, {bin_key.key}, kNow + 30 * kDays));
  for (int i = 0; i < 40; ++i) {
    std::string path = absl::StrCat("files/", i);
    w.Target(path, path, BinName(bins, path));
  }
  for (uint64_t i = 0; i < 8; ++i) OK(w.repo.Sign(BinAt(bins, i), bin_key));
  w.Publish();
  OK(w.repo.Verify(kNow));
  std::string bytes;
  CHECK(w.Get("files/17", &bytes).empty());
  CHECK(bytes == "files/17");
  // One bin is fetched, not all.
  int fetched = 0;
  for (const std::string& url : w.fetcher.requests) fetched += url.find(".bin-") != url.npos;
  CHECK(fetched == 1);
}

TEST_CASE("tuf: attacks without keys are refused, and the last good state stays",
          "[libtrust][tuf]") {
  World w;
  CHECK(w.Refresh().empty());
  auto good = w.kept.files;
  SECTION("a changed timestamp") {
    w.Tamper("timestamp.json", "\"version\":1}}", "\"version\":9}}");
    CHECK(w.Refresh() == "tuf.threshold");
  }
  SECTION("an older timestamp (rollback)") {
    std::string old = w.store.files["timestamp.json"];
    w.Target("app.tar", "version 2");
    w.Publish();
    CHECK(w.Refresh().empty());
    good = w.kept.files;
    w.store.files["timestamp.json"] = old;
    CHECK(w.Refresh() == "tuf.rollback");
  }
  SECTION("an expired timestamp (freeze)") {
    w.clock.now = kNow + 2 * kDays;
    CHECK(w.Refresh() == "tuf.expired");
  }
  SECTION("exactly at expiry it has expired") {
    w.clock.now = kNow + kDays;
    CHECK(w.Refresh() == "tuf.expired");
    w.clock.now = kNow + kDays - 1;
    CHECK(w.Refresh().empty());
  }
  SECTION("endless data") {
    w.store.files["timestamp.json"].append(20000, ' ');
    CHECK(w.Refresh() == "core.limit");
  }
  SECTION("a root signed by nobody new") {
    w.store.files["2.root.json"] =
        absl::StrReplaceAll(w.bootstrap, {{"\"version\":1", "\"version\":2"}});
    CHECK(w.Refresh() == "tuf.threshold");
  }
  SECTION("a root that skips a version") {
    w.store.files["2.root.json"] = w.bootstrap;
    CHECK(w.Refresh() == "tuf.version");
  }
  CHECK(w.kept.files == good);
}

TEST_CASE("tuf: a poisoned store cannot replace the bootstrap root (GHSA-9pfj-pjv5-22gj)",
          "[libtrust][tuf]") {
  World w, evil;
  w.kept.files["root.json"] = evil.bootstrap;
  w.kept.files["root_history/1.root.json"] = evil.bootstrap;
  w.kept.files["root_history/2.root.json"] = evil.bootstrap;
  w.kept.files["timestamp.json"] = evil.store.files["timestamp.json"];
  w.kept.files["snapshot.json"] = evil.store.files["1.snapshot.json"];
  w.kept.files["targets.json"] = evil.store.files["1.targets.json"];
  CHECK(w.Refresh().empty());
  CHECK(w.kept.files["timestamp.json"] == w.store.files["timestamp.json"]);
}

TEST_CASE("tuf: a target whose bytes differ is refused", "[libtrust][tuf]") {
  World w;
  for (auto& [name, bytes] : w.fetcher.targets) bytes = "version X";
  CHECK(w.Get("app.tar") == "tuf.mismatch");
  for (auto& [name, bytes] : w.fetcher.targets) bytes = "longer than it should be";
  CHECK_FALSE(w.Get("app.tar").empty());
}

TEST_CASE("tuf: thresholds count different keys, and each once", "[libtrust][tuf]") {
  Signer a = NewSigner(), b = NewSigner();
  auto why = [](const std::string& text) {
    return base::ReasonOf(TrustedSet::New(text, kNow).status());
  };
  CHECK(why(Envelope(RootBody({&a, &b}, 2), {&a, &b})).empty());
  CHECK(why(Envelope(RootBody({&a, &b}, 2), {&a})) == "tuf.threshold");
  // CVE-2020-6174, CVE-2020-15093: the same signature twice.
  CHECK(why(Envelope(RootBody({&a, &b}, 2), {&a}, true)) == "tuf.invalid");
  // go-tuf #733, CVE-2026-6966: one key under two ids.
  Signer alias = a;
  alias.keyid = std::string(64, 'f');
  CHECK(why(Envelope(RootBody({&a, &alias}, 2), {&a, &alias})) == "tuf.threshold");
  // CVE-2026-23992: a threshold of 0 or below.
  for (int64_t n : {0, -1}) CHECK(why(Envelope(RootBody({&a}, n), {})) == "tuf.invalid");
  // CVE-2020-15163 and unsigned roots.
  CHECK(why(Envelope(RootBody({&a}, 1), {})) == "tuf.threshold");
  CHECK(why(Envelope(RootBody({&a}, 1), {&b})) == "tuf.threshold");
}

TEST_CASE("tuf: malformed metadata is refused and nothing falls over (CVE-2026-23991)",
          "[libtrust][tuf]") {
  Signer a = NewSigner();
  Value good = RootBody({&a}, 1);
  auto why = [&](auto change) {
    Value body = good;
    change(body);
    return base::ReasonOf(ParseMetadata(Envelope(body, {&a}), Role::kRoot).status());
  };
  CHECK(why([](Value&) {}).empty());
  CHECK(why([](Value& v) { v.Set("_type", "Root"); }) == "tuf.invalid");
  CHECK(why([](Value& v) { v.Set("version", 0); }) == "tuf.invalid");
  CHECK(why([](Value& v) { v.Set("version", true); }) == "tuf.invalid");
  CHECK(why([](Value& v) { v.Set("version", "1"); }) == "tuf.invalid");
  CHECK(why([](Value& v) { v.Set("version", Value()); }) == "tuf.invalid");
  CHECK(why([](Value& v) { v.Remove("expires"); }) == "tuf.invalid");
  CHECK(why([](Value& v) { v.Remove("spec_version"); }) == "tuf.invalid");
  for (const char* version : {"2.0.0", "1", "1.", "1.0.0.0", "1.a", "01.0", "1.0.0-rc"})
    CHECK(why([&](Value& v) { v.Set("spec_version", version); }) == "tuf.invalid");
  for (const char* expires :
       {"2036-01-01T00:00:00", "2036-01-01T00:00:00.5Z", "2036-01-01T00:00:00+00:00",
        "2036-01-01 00:00:00Z", "2036-13-01T00:00:00Z", "2036-02-30T00:00:00Z",
        "2036-01-01T24:00:00Z", "2036-01-01T00:00:60Z", "2036-01-01t00:00:00z", ""})
    CHECK(why([&](Value& v) { v.Set("expires", expires); }) == "tuf.invalid");
  CHECK(why([](Value& v) { v.FindMutable("roles")->Remove("snapshot"); }) == "tuf.invalid");
  CHECK(why([](Value& v) { v.Set("keys", Value()); }) == "tuf.invalid");
  CHECK(why([](Value& v) {
          Value* ids = v.FindMutable("roles")->FindMutable("root")->FindMutable("keyids");
          ids->Push(ids->items()[0]);
        }) == "tuf.invalid");
  // A key of a wrong length verifies nothing and breaks nothing.
  CHECK(why([&](Value& v) {
          v.FindMutable("keys")->FindMutable(a.keyid)->FindMutable("keyval")->Set("public", "00");
        }).empty());
  CHECK(why([&](Value& v) { v.FindMutable("keys")->Set(a.keyid, Value()); }) == "tuf.invalid");
  // Members not known here are signed over and kept.
  CHECK(why([](Value& v) { v.Set("x-more", 1); }).empty());
  for (const char* text : {"", "null", "[]", "{}", "{\"signed\":null,\"signatures\":null}",
                           "{\"signed\":{},\"signatures\":[]}"})
    CHECK_FALSE(ParseMetadata(text, Role::kRoot).ok());
}

TEST_CASE("tuf: an unknown hash algorithm is a mismatch, not a pass", "[libtrust][tuf]") {
  CHECK(CheckFile("x", 1, {{"sha256", std::string(base::Sha256("x").encoded())}}, "f").ok());
  CHECK_FALSE(CheckFile("x", 1, {{"md5", "9dd4e461268c8034f5c8564e155c67a6"}}, "f").ok());
  CHECK_FALSE(CheckFile("x", 1,
                        {{"sha256", std::string(base::Sha256("x").encoded())}, {"other", "00"}},
                        "f")
                  .ok());
  CHECK_FALSE(CheckFile("x", 2, {}, "f").ok());
  CHECK(CheckFile("x", -1, {}, "f").ok());
}

TEST_CASE("tuf: paths match patterns component by component", "[libtrust][tuf]") {
  struct Row {
    const char *pattern, *path;
    bool hit;
  };
  for (const Row& r : {Row{"a/*", "a/b", true},       Row{"a/*", "a/b/c", false},
                       Row{"*", "a", true},           Row{"*", "a/b", false},
                       Row{"a?c", "abc", true},       Row{"a?c", "ac", false},
                       Row{"*.tar", ".tar", true},    Row{"*.tar", "x.tar.gz", false},
                       Row{"[ab]x", "bx", true},      Row{"[!ab]x", "bx", false},
                       Row{"[!ab]x", "cx", true},     Row{"[a-c]", "b", true},
                       Row{"[", "[", true},           Row{"a\\*", "a*", false},
                       Row{"A", "a", false},          Row{"", "", true},
                       Row{"a*b*c", "aXXbYYc", true}, Row{"a*b*c", "aXXbYY", false},
                       Row{"?", "\xc3\xa9", true},    Row{"a/", "a", false}}) {
    INFO(r.pattern << " " << r.path);
    CHECK(MatchPattern(r.pattern, r.path) == r.hit);
  }
}

TEST_CASE("tuf: role names cannot lead out of the store (CVE-2021-41131, CVE-2026-24686)",
          "[libtrust][tuf]") {
  CHECK(FileName("../x") == "..%2Fx");
  CHECK(FileName("..") == "%2E%2E");
  CHECK(FileName(".") == "%2E");
  CHECK(FileName("a b?#%") == "a%20b%3F%23%25");
  CHECK(FileName("plain-1.0_x") == "plain-1.0_x");
}

}  // namespace
}  // namespace coaming::trust::tuf
