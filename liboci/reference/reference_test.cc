#include "liboci/reference/reference.h"

#include <random>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "base/core/error.h"
#include "re2/re2.h"

namespace coaming::oci {
namespace {

const std::string kDigest =
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

TEST_CASE("reference: the parts of a name follow Docker's rules", "[liboci][reference]") {
  struct Row {
    std::string text, host, repository, tag, digest, familiar;
  };
  const Row rows[] = {
      {"busybox", "docker.io", "library/busybox", "latest", "", "busybox:latest"},
      {"busybox:1.36", "docker.io", "library/busybox", "1.36", "", "busybox:1.36"},
      {"org/app", "docker.io", "org/app", "latest", "", "org/app:latest"},
      {"docker.io/busybox", "docker.io", "library/busybox", "latest", "", "busybox:latest"},
      {"index.docker.io/a/b", "docker.io", "a/b", "latest", "", "a/b:latest"},
      {"quay.io/org/app:1", "quay.io", "org/app", "1", "", "quay.io/org/app:1"},
      {"localhost/app", "localhost", "app", "latest", "", "localhost/app:latest"},
      {"localhost:5000/app", "localhost:5000", "app", "latest", "", "localhost:5000/app:latest"},
      {"127.0.0.1:5000/hello:1", "127.0.0.1:5000", "hello", "1", "", "127.0.0.1:5000/hello:1"},
      {"[::1]:5000/x/y", "[::1]:5000", "x/y", "latest", "", "[::1]:5000/x/y:latest"},
      {"a@" + kDigest, "docker.io", "library/a", "", kDigest, "a@" + kDigest},
      {"r.io/a:1@" + kDigest, "r.io", "a", "1", kDigest, "r.io/a:1@" + kDigest},
      {"foo/bar__baz/q--x.y", "docker.io", "foo/bar__baz/q--x.y", "latest", "",
       "foo/bar__baz/q--x.y:latest"},
      {"HOST/app", "HOST", "app", "latest", "", "HOST/app:latest"},
  };
  for (const Row& row : rows) {
    INFO(row.text);
    absl::StatusOr<Reference> r = Reference::Parse(row.text);
    REQUIRE(r.ok());
    CHECK(r->host == row.host);
    CHECK(r->repository == row.repository);
    CHECK(r->tag == row.tag);
    CHECK(r->digest.str() == row.digest);
    CHECK(r->Familiar() == row.familiar);
    CHECK(*Reference::Parse(r->ToString()) == *r);
    CHECK(*Reference::Parse(r->Familiar()) == *r);
  }
}

TEST_CASE("reference: what is outside the grammar is refused", "[liboci][reference]") {
  const std::string bad[] = {"",
                             ":",
                             "@",
                             "/",
                             "a/",
                             "/a",
                             "a//b",
                             "A",
                             "a/B",
                             "a:",
                             "a:-x",
                             "a:" + std::string(129, 'x'),
                             "a@sha256:abc",
                             "a@" + kDigest + "0",
                             "a@@" + kDigest,
                             "-a",
                             "a-",
                             "a..b",
                             "a___b",
                             "a._b",
                             "r.io:99999/a",
                             "r.io:0/a",
                             "r.io:x/a",
                             "r..io/a",
                             "-r.io/a",
                             "[::1/a",
                             "[]/a",
                             "[zz::]/a",
                             "a b",
                             "a\n",
                             "a\tb",
                             std::string("a\0b", 3),
                             "http://a/b",
                             "docker://a",
                             std::string(64, 'a'),
                             "r.io/" + std::string(256, 'a'),
                             "a/../b",
                             "a/./b",
                             "ä",
                             "a%2fb"};
  for (const std::string& text : bad) {
    INFO(text);
    absl::StatusOr<Reference> r = Reference::Parse(text);
    REQUIRE_FALSE(r.ok());
    CHECK(base::ReasonOf(r.status()) == "oci.reference");
    CHECK(base::GetError(r.status()).message.find('\n') == std::string::npos);
  }
}

TEST_CASE("reference: docker.io is asked at its own host", "[liboci][reference]") {
  CHECK(Reference::Parse("a")->ApiHost() == "registry-1.docker.io");
  CHECK(Reference::Parse("quay.io/a")->ApiHost() == "quay.io");
}

TEST_CASE("reference: the scanners agree with the grammar as a regular expression",
          "[liboci][reference]") {
  const RE2 repository(
      "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*)*");
  const RE2 tag("[A-Za-z0-9_][A-Za-z0-9._-]{0,127}");
  const RE2 ref_name(
      "[A-Za-z0-9]+(?:(?:[-._:@+]|--)[A-Za-z0-9]+)*"
      "(?:/[A-Za-z0-9]+(?:(?:[-._:@+]|--)[A-Za-z0-9]+)*)*");
  const RE2 host(
      "(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)"
      "(?:\\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*(?::[0-9]{1,5})?");
  std::mt19937 random(42);
  const std::string alphabet = "ab0Z.._--//:@+ ";
  int good = 0;
  for (int round = 0; round < 40000; ++round) {
    std::string text;
    size_t length = random() % 9;
    for (size_t i = 0; i < length; ++i) text.push_back(alphabet[random() % alphabet.size()]);
    INFO(text);
    CHECK(IsRepository(text) == RE2::FullMatch(text, repository));
    CHECK(IsTag(text) == RE2::FullMatch(text, tag));
    CHECK(IsRefName(text) == RE2::FullMatch(text, ref_name));
    bool is_host = IsRegistryHost(text);
    if (is_host) CHECK(RE2::FullMatch(text, host));
    // The port's value is the one thing that the expression does not look at.
    if (!is_host && RE2::FullMatch(text, host)) CHECK(RE2::FullMatch(text, ".*:0+"));
    good += IsRepository(text);
  }
  CHECK(good > 100);  // the alphabet hits the grammar often enough to mean something
}

TEST_CASE("reference: the referrers tag is cut and cleaned", "[liboci][reference]") {
  base::Digest plain = *base::Digest::Parse(kDigest);
  CHECK(ReferrersTag(plain) == "sha256-" + kDigest.substr(7));
  base::Digest odd = *base::Digest::Parse(
      "test+algorithm+using+algorithm+separators+and+lots+of+"
      "characters+to+excercise+the+limits:abc=def");
  std::string tag = ReferrersTag(odd);
  CHECK(tag == "test-algorithm-using-algorithm-s-abc-def");
  CHECK(IsTag(tag));
}

}  // namespace
}  // namespace coaming::oci
