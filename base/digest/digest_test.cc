#include "base/digest/digest.h"

#include <cstdio>
#include <map>
#include <string>
#include <unordered_set>

#include "base/core/error.h"
#include "base/digest/hasher.h"
#include "catch2/catch_test_macros.hpp"

namespace coaming::base {
namespace {

const std::string kHex64(64, 'a'), kHex96(96, '0'), kHex128(128, 'f');

TEST_CASE("digest: registered algorithms want their exact lower-case hex", "[base][digest]") {
  CHECK(Digest::Parse("sha256:" + kHex64).ok());
  CHECK(Digest::Parse("sha384:" + kHex96).ok());
  CHECK(Digest::Parse("sha512:" + kHex128).ok());
  CHECK(Digest::Parse("blake3:" + kHex64).ok());
  for (const std::string& text : {std::string(""),
                                  std::string("sha256"),
                                  std::string("sha256:"),
                                  ":" + kHex64,
                                  "sha256:" + kHex64 + "a",
                                  "sha256:" + kHex64.substr(1),
                                  "sha256:" + std::string(64, 'A'),
                                  "sha256:" + std::string(64, 'g'),
                                  "sha512:" + kHex64,
                                  "blake3:" + kHex96,
                                  "SHA256:" + kHex64,
                                  "sha256::" + kHex64,
                                  "sha256:" + kHex64 + "\n",
                                  " sha256:" + kHex64,
                                  std::string("a..b:x"),
                                  std::string("a+:x"),
                                  std::string("+a:x"),
                                  std::string("a:b/c"),
                                  std::string("a:.."),
                                  std::string("a:b:c"),
                                  std::string("a\0:x", 4),
                                  "a:" + std::string(600, 'x')}) {
    INFO(text);
    CHECK(ReasonOf(Digest::Parse(text).status()) == "digest.invalid");
  }
}

TEST_CASE("digest: an unknown algorithm that fits the grammar is valid but not verifiable",
          "[base][digest]") {
  for (const char* text : {"multihash+base58:QmRZxt2b1FVZPNqd8hsiykDL3TdBDeTSPX9Kv46HmX4Gx8",
                           "sha256+b64u:LCa0a2j_xo_5m0U8HTBBNBNCLXBkg7-g-YpeiGJm564",
                           "a.b-c_d:x=", "tarsum.v1+sha256:abc"}) {
    absl::StatusOr<Digest> d = Digest::Parse(text);
    REQUIRE(d.ok());
    CHECK_FALSE(d->verifiable());
    CHECK(d->Bytes().empty());
    CHECK(d->str() == text);
    CHECK(ReasonOf(CheckDigest(*d, "x", "blob")) == "digest.unsupported");
  }
  CHECK(Digest::Parse("sha256:" + kHex64)->verifiable());
  CHECK_FALSE(Digest::Parse("sha1:" + std::string(40, '0'))->verifiable());
}

TEST_CASE("digest: parts, order, hash and raw bytes", "[base][digest]") {
  Digest d = *Digest::Parse("sha256:" + kHex64);
  CHECK(d.algorithm() == "sha256");
  CHECK(d.encoded() == kHex64);
  CHECK(d.algorithm_id() == DigestAlgorithm::kSha256);
  CHECK(d.Short() == "aaaaaaaaaaaa");
  CHECK(d.Bytes() == std::string(32, '\xaa'));
  CHECK(Digest::FromBytes(DigestAlgorithm::kSha256, d.Bytes()) == d);
  CHECK(Digest::FromBytes(DigestAlgorithm::kSha256, "short").empty());
  CHECK(Digest().empty());
  CHECK(Digest().algorithm().empty());
  CHECK(Digest().encoded().empty());
  CHECK_FALSE(Digest() == d);
  CHECK(d < *Digest::Parse("sha512:" + kHex128));
  std::unordered_set<Digest> set = {d, d};
  CHECK(set.size() == 1);
}

TEST_CASE("digest: hex in both directions", "[base][digest]") {
  CHECK(HexEncode(std::string("\x00\xff\x10", 3)) == "00ff10");
  CHECK(HexDecode("00Ff10") == std::string("\x00\xff\x10", 3));
  CHECK_FALSE(HexDecode("0"));
  CHECK_FALSE(HexDecode("0g"));
  CHECK(IsLowerHex("09af"));
  CHECK_FALSE(IsLowerHex("0F"));
}

TEST_CASE("hasher: known answers of FIPS 180", "[base][digest]") {
  CHECK(HashBytes(DigestAlgorithm::kSha1, "abc").encoded() ==
        "a9993e364706816aba3e25717850c26c9cd0d89d");
  CHECK(HashBytes(DigestAlgorithm::kSha224, "abc").encoded() ==
        "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7");
  CHECK(Sha256("abc").str() ==
        "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(Sha256("").encoded() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

std::string FromTool(const std::string& tool, const std::string& bytes) {
  const std::string command =
      "head -c " + std::to_string(bytes.size()) + " /dev/zero | tr '\\0' x | " + tool;
  FILE* pipe = popen(command.c_str(), "r");
  char line[200] = {};
  if (pipe != nullptr) {
    if (fgets(line, sizeof line, pipe) == nullptr) line[0] = 0;
    pclose(pipe);
  }
  const std::string text(line);
  return text.substr(0, text.find(' '));
}

TEST_CASE("hasher: odd splits give what coreutils give, and a copy carries the state",
          "[base][digest]") {
  const std::map<DigestAlgorithm, std::string> tools = {{DigestAlgorithm::kSha1, "sha1sum"},
                                                        {DigestAlgorithm::kSha224, "sha224sum"},
                                                        {DigestAlgorithm::kSha256, "sha256sum"},
                                                        {DigestAlgorithm::kSha384, "sha384sum"},
                                                        {DigestAlgorithm::kSha512, "sha512sum"}};
  for (const auto& [algorithm, tool] : tools) {
    for (size_t size : {0, 1, 63, 64, 65, 127, 128, 129, 1000, 100003}) {
      const std::string bytes(size, 'x');
      Hasher h(algorithm);
      for (size_t at = 0, step = 1; at < size; at += step, step = step * 3 % 4099) {
        h.Update(std::string_view(bytes).substr(at, step));
      }
      Hasher copy = h;
      const std::string want = FromTool(tool, bytes);
      CHECK(h.Finish().encoded() == want);
      CHECK(copy.Finish().encoded() == want);
      h.Update(bytes);  // it has started over
      CHECK(h.Finish().encoded() == want);
    }
  }
}

TEST_CASE("hasher: a mismatch names subject and both digests", "[base][digest]") {
  Digest want = Sha256("good");
  CHECK(CheckDigest(want, "good", "layer 1").ok());
  absl::Status status = CheckDigest(want, "bad", "layer 1");
  Error e = GetError(status);
  CHECK(e.reason == "digest.mismatch");
  CHECK(e.message.find("layer 1: want sha256:") == 0);
  CHECK(e.Detail("digest.got") == Sha256("bad").str());
}

}  // namespace
}  // namespace coaming::base
