// Attacks by holders of some keys, and by mirrors with old files that were once signed: the flaws that
// TUF clients had (libtrust/flaws.tsv).
#include <catch2/catch_test_macros.hpp>
#include <map>

#include "base/core/error.h"
#include "libtrust/tuf/test_metadata.h"
#include "libtrust/tuf/trusted_set.h"

namespace coaming::trust::tuf {
namespace {

using base::json::Value;

constexpr int64_t kNow = 1800000000;
constexpr const char* kLater = "2036-01-01T00:00:00Z";

Value Body(const char* type, int64_t version, const char* expires = kLater) {
  Value body = Value::MakeObject();
  body.Set("_type", type);
  body.Set("spec_version", "1.0.34");
  body.Set("version", version);
  body.Set("expires", expires);
  return body;
}

Value Meta(const std::map<std::string, int64_t>& versions) {
  Value meta = Value::MakeObject();
  for (const auto& [name, version] : versions) {
    Value one = Value::MakeObject();
    one.Set("version", version);
    meta.Set(name, one);
  }
  return meta;
}

// One key holds every top-level role.
struct Repo {
  Signer key = NewSigner();
  std::string Root() const { return Envelope(RootBody({&key}, 1), {&key}); }
  std::string Timestamp(int64_t version, int64_t snapshot) const {
    Value body = Body("timestamp", version);
    body.Set("meta", Meta({{"snapshot.json", snapshot}}));
    return Envelope(body, {&key});
  }
  std::string Snapshot(int64_t version, const Value& meta) const {
    Value body = Body("snapshot", version);
    body.Set("meta", meta);
    return Envelope(body, {&key});
  }
};

std::string TargetsFile(int64_t version, const Signer& by, const char* expires = kLater) {
  Value body = Body("targets", version, expires);
  body.Set("targets", Value::MakeObject());
  return Envelope(body, {&by});
}

// Targets that give "team" to `to`.
Value Delegating(const Signer& to, const char* name = "team") {
  Value body = Body("targets", 1);
  body.Set("targets", Value::MakeObject());
  Value& delegations = body.Set("delegations", Value::MakeObject());
  delegations.Set("keys", Value::MakeObject()).Set(to.keyid, to.key);
  Value role = Value::MakeObject();
  role.Set("name", name);
  Value ids = Value::MakeArray();
  ids.Push(to.keyid);
  role.Set("keyids", ids);
  role.Set("threshold", 1);
  role.Set("terminating", false);
  Value paths = Value::MakeArray();
  paths.Push("*");
  role.Set("paths", paths);
  delegations.Set("roles", Value::MakeArray()).Push(std::move(role));
  return body;
}

std::string Why(const absl::Status& status) { return base::ReasonOf(status); }

TEST_CASE("tuf attack: an older timestamp, snapshot or role is a rollback (CVE-2022-29173)",
          "[libtrust][tuf]") {
  Repo repo;
  auto set = TrustedSet::New(repo.Root(), kNow);
  REQUIRE(set.ok());
  CHECK(Why(set->UpdateTimestamp(repo.Timestamp(5, 2))).empty());
  CHECK(Why(set->UpdateTimestamp(repo.Timestamp(4, 2))) == "tuf.rollback");
  CHECK(Why(set->UpdateTimestamp(repo.Timestamp(6, 1))) == "tuf.rollback");
  CHECK(set->timestamp()->version == 5);
  // The copy kept from before is older than what the timestamp names, but it remembers.
  CHECK(Why(set->UpdateSnapshot(repo.Snapshot(1, Meta({{"targets.json", 5}, {"team.json", 3}})),
                                /*trusted=*/true)) == "tuf.version");
  auto next = [&](const std::map<std::string, int64_t>& meta) {
    TrustedSet copy = *set;
    return Why(copy.UpdateSnapshot(repo.Snapshot(2, Meta(meta)), /*trusted=*/false));
  };
  CHECK(next({{"targets.json", 4}, {"team.json", 3}}) == "tuf.rollback");
  CHECK(next({{"targets.json", 5}, {"team.json", 2}}) == "tuf.rollback");
  CHECK(next({{"targets.json", 5}}) == "tuf.rollback");
  CHECK(next({{"targets.json", 5}, {"team.json", 3}}).empty());
}

TEST_CASE("tuf attack: a delegated role is judged for each delegator it is reached through",
          "[libtrust][tuf]") {
  Repo repo;
  Signer team = NewSigner(), other = NewSigner();
  auto set = TrustedSet::New(repo.Root(), kNow);
  REQUIRE(set.ok());
  REQUIRE(set->UpdateTimestamp(repo.Timestamp(1, 1)).ok());
  REQUIRE(
      set->UpdateSnapshot(repo.Snapshot(1, Meta({{"targets.json", 1}, {"team.json", 1}})), false)
          .ok());
  auto a = ParseMetadata(Envelope(Delegating(team), {}), Role::kTargets);
  auto b = ParseMetadata(Envelope(Delegating(other), {}), Role::kTargets);
  REQUIRE(a.ok());
  REQUIRE(b.ok());
  std::string bytes = TargetsFile(1, team);
  CHECK(set->ReadDelegated(bytes, "team", *a, "a").ok());
  CHECK(Why(set->ReadDelegated(bytes, "team", *b, "b").status()) == "tuf.threshold");
  CHECK(set->ReadDelegated(bytes, "team", *a, "a").ok());
  // The key of a top-level role speaks for no delegated one.
  CHECK(Why(set->ReadDelegated(TargetsFile(1, repo.key), "team", *a, "a").status()) ==
        "tuf.threshold");
}

TEST_CASE("tuf attack: version, length, hash and expiry of a delegated role count (CVE-2026-6967)",
          "[libtrust][tuf]") {
  Repo repo;
  Signer team = NewSigner();
  auto delegator = ParseMetadata(Envelope(Delegating(team), {}), Role::kTargets);
  REQUIRE(delegator.ok());
  const std::string good = TargetsFile(2, team);
  auto why = [&](auto change, const std::string& bytes) {
    Value meta = Meta({{"targets.json", 1}, {"team.json", 2}});
    change(*meta.FindMutable("team.json"));
    auto set = TrustedSet::New(repo.Root(), kNow);
    REQUIRE(set.ok());
    REQUIRE(set->UpdateTimestamp(repo.Timestamp(1, 1)).ok());
    REQUIRE(set->UpdateSnapshot(repo.Snapshot(1, meta), false).ok());
    return Why(set->ReadDelegated(bytes, "team", *delegator, "targets").status());
  };
  auto as_is = [](Value&) {};
  auto hash = [](Value& m, const std::string& of) {
    m.Set("hashes", Value::MakeObject()).Set("sha256", std::string(base::Sha256(of).encoded()));
  };
  CHECK(why(as_is, good).empty());
  CHECK(why(as_is, TargetsFile(1, team)) == "tuf.version");
  CHECK(why(as_is, TargetsFile(3, team)) == "tuf.version");
  CHECK(why(as_is, TargetsFile(2, team, "2027-01-15T07:59:59Z")) == "tuf.expired");
  CHECK(why([&](Value& m) { hash(m, good); }, good).empty());
  CHECK(why([&](Value& m) { hash(m, "else"); }, good) == "tuf.mismatch");
  CHECK(why([&](Value& m) { m.Set("length", static_cast<int64_t>(good.size()) - 1); }, good) ==
        "tuf.mismatch");
  // Not in the snapshot: nobody vouches for its version.
  CHECK(Why([&] {
          auto set = TrustedSet::New(repo.Root(), kNow);
          REQUIRE(set->UpdateTimestamp(repo.Timestamp(1, 1)).ok());
          REQUIRE(set->UpdateSnapshot(repo.Snapshot(1, Meta({{"targets.json", 1}})), false).ok());
          return set->ReadDelegated(good, "team", *delegator, "targets").status();
        }()) == "tuf.not_found");
}

TEST_CASE("tuf attack: a delegated role cannot take a top-level role's name (GHSA-77hh-43cm-v8j6)",
          "[libtrust][tuf]") {
  Signer team = NewSigner();
  for (const char* name : {"root", "timestamp", "snapshot", "targets", ""})
    CHECK(Why(ParseMetadata(Envelope(Delegating(team, name), {}), Role::kTargets).status()) ==
          "tuf.invalid");
  Value twice = Delegating(team);
  Value* roles = twice.FindMutable("delegations")->FindMutable("roles");
  roles->Push(Value(roles->items()[0]));
  CHECK(Why(ParseMetadata(Envelope(twice, {}), Role::kTargets).status()) == "tuf.invalid");
}

}  // namespace
}  // namespace coaming::trust::tuf
