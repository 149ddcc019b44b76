// Each third party is there, links beside all the others, and answers with the version we mean.
#include <archive.h>
#include <bzlib.h>
#include <curl/curl.h>
#include <isa-l/crc.h>
#include <libdeflate.h>
#include <libmnl/libmnl.h>
#include <libxml/HTMLparser.h>
#include <lzma.h>
#include <microhttpd.h>
#include <nftables/libnftables.h>
#include <rapidjson/reader.h>
#include <seccomp.h>
#include <zlib.h>
#include <zstd.h>

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"
#include "catch2/catch_test_macros.hpp"
#include "openssl/curve25519.h"
#include "openssl/sha.h"
#include "re2/re2.h"
#include "third_party/third_party_test.pb.h"

TEST_CASE("Abseil uses the standard types and an inline namespace of ours", "[third_party]") {
  STATIC_REQUIRE(std::is_same_v<absl::string_view, std::string_view>);
  STATIC_REQUIRE(std::is_same_v<absl::optional<int>, std::optional<int>>);
  const std::string name = typeid(absl::Status).name();
  CHECK(name.find("coaming_absl") != std::string::npos);
  CHECK(absl::StrCat("a", 1, std::string_view("b")) == "a1b");
}

TEST_CASE("BoringSSL is ours by name and knows SHA-256", "[third_party]") {
#ifndef BORINGSSL_PREFIX
  FAIL("BORINGSSL_PREFIX is not defined: symbols could meet another OpenSSL");
#endif
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>("abc"), 3, digest);
  CHECK(digest[0] == 0xba);
  CHECK(digest[31] == 0xad);
  unsigned char pub[32], priv[64], seed[32] = {1}, sig[64];
  ED25519_keypair_from_seed(pub, priv, seed);
  REQUIRE(ED25519_sign(sig, digest, sizeof digest, priv) == 1);
  CHECK(ED25519_verify(digest, sizeof digest, sig, pub) == 1);
  sig[3] ^= 1;
  CHECK(ED25519_verify(digest, sizeof digest, sig, pub) == 0);
}

TEST_CASE("Protobuf generates lite messages with well-known types", "[third_party]") {
  coaming::third_party::Probe probe;
  STATIC_REQUIRE(std::is_base_of_v<google::protobuf::MessageLite, coaming::third_party::Probe>);
  probe.set_name("x");
  probe.mutable_at()->set_seconds(5);
  coaming::third_party::Probe back;
  REQUIRE(back.ParseFromString(probe.SerializeAsString()));
  CHECK(back.at().seconds() == 5);
  CHECK_FALSE(back.ParseFromString("\xff\xff"));
}

TEST_CASE("RE2 knows the Unicode tables that Debian leaves out of the tarball", "[third_party]") {
  CHECK(RE2::FullMatch("Ünï", "\\p{L}+"));
  CHECK(RE2::FullMatch("STRASSE", "(?i)strasse"));
  CHECK_FALSE(RE2::FullMatch("a1", "[[:alpha:]]+"));
}

TEST_CASE("the libraries of the system link and answer", "[third_party]") {
  CHECK(std::string(curl_version()).find("GnuTLS") != std::string::npos);
  CHECK(archive_version_number() >= 3006002);
  CHECK(seccomp_version()->major == 2);
  CHECK(ZSTD_versionNumber() >= 10504);
  CHECK(std::string(zlibVersion()) == ZLIB_VERSION);
  CHECK(lzma_version_number() >= 50000000);
  CHECK(std::string(BZ2_bzlibVersion()).substr(0, 2) == "1.");
  unsigned char bytes[] = "123456789";
  CHECK(crc32_gzip_refl(0, bytes, 9) == 0xcbf43926u);
  CHECK(libdeflate_crc32(0, bytes, 9) == 0xcbf43926u);
  CHECK(mnl_nlmsg_size(0) == MNL_NLMSG_HDRLEN);
  nft_ctx* nft = nft_ctx_new(NFT_CTX_DEFAULT);
  CHECK(nft != nullptr);
  nft_ctx_free(nft);
  htmlDocPtr doc = htmlReadMemory("<p>x", 4, nullptr, nullptr, HTML_PARSE_NOERROR);
  CHECK(doc != nullptr);
  xmlFreeDoc(doc);
  CHECK(std::string(MHD_get_version()).substr(0, 2) == "0.");
  CHECK(std::string(CLI11_VERSION).substr(0, 2) == "2.");
  rapidjson::Reader reader;
  rapidjson::StringStream stream("{\"a\":1}");
  rapidjson::BaseReaderHandler<> handler;
  CHECK(!reader.Parse(stream, handler).IsError());
}
