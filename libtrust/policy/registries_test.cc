#include "libtrust/policy/registries.h"

#include <catch2/catch_test_macros.hpp>
#include <string>

#include "base/core/error.h"
#include "libtrust/policy/signature_blob.h"

namespace coaming::trust {
namespace {

TEST_CASE("registries.d: the narrowest scope that says something counts", "[libtrust][policy]") {
  SignatureStores stores;
  REQUIRE(stores
              .Add("a.yaml",
                   "# a comment\n"
                   "---\n"
                   "default-docker:\n"
                   "  lookaside: https://default.example/sigs/   # and one here\n"
                   "  sigstore-staging: file:///var/staging\n"
                   "\n"
                   "docker:\n"
                   "    quay.io:\n"
                   "        sigstore: 'file:///quay'\n"
                   "    \"quay.io/org\":\n"
                   "        use-sigstore-attachments: true\n"
                   "    host:5000/a/b: {}\n"
                   "    empty.example:\n")
              .ok());
  REQUIRE(stores.Add("b.yaml", R"({"docker":{"*.example.com":{"lookaside":"http://w"}}})").ok());
  SignatureStore s = stores.For("quay.io/org/app:1");
  CHECK(s.lookaside == "file:///quay");
  CHECK(s.staging == "file:///quay");
  CHECK(s.sigstore_attachments);
  s = stores.For("quay.io/other/app:1");
  CHECK(s.lookaside == "file:///quay");
  CHECK_FALSE(s.sigstore_attachments);
  s = stores.For("host:5000/a/b");
  CHECK(s.lookaside == "https://default.example/sigs");
  CHECK(s.staging == "file:///var/staging");
  CHECK(stores.For("eu.example.com/x").lookaside == "http://w");
  CHECK(SignatureStores().For("quay.io/org/app:1").lookaside.empty());
}

TEST_CASE("registries.d: what is not understood is refused with its line", "[libtrust][policy]") {
  for (const char* bad : {"docker",
                          "docker:\n  - a",
                          "docker:\n\ta: b",
                          "default-docker: [1]",
                          "docker: &a {}",
                          "docker:\n  a: |\n   text",
                          "a: b: c",
                          "docker: text",
                          "default-docker:\n  lookaside: ftp://x",
                          "default-docker:\n  lookaside: file://x",
                          "default-docker:\n  lookaside: {}",
                          "default-docker:\n  use-sigstore-attachments: maybe",
                          "a: 1\na: 2",
                          "a:\n    b: 1\n  c: 2",
                          "a: 'open",
                          "a: 'x' y",
                          "{",
                          "{\"docker\":1}",
                          "\"a\\n\": 1",
                          "a: 1\n  b: 2",
                          "docker:\n  a:\n    lookaside: true"}) {
    INFO(bad);
    SignatureStores stores;
    CHECK(base::HasReason(stores.Add("x.yaml", bad), "policy.invalid"));
  }
  SignatureStores stores;
  REQUIRE(stores.Add("a.yaml", "default-docker: {}\ndocker:\n  q.io: {}\n").ok());
  CHECK(base::HasReason(stores.Add("b.yaml", "default-docker: {}\n"), "policy.invalid"));
  CHECK(base::HasReason(stores.Add("c.yaml", "docker:\n  q.io: {}\n"), "policy.invalid"));
  std::string deep;
  for (int i = 0; i < 20; ++i) deep += std::string(i, ' ') + "a:\n";
  CHECK(base::HasReason(stores.Add("d.yaml", deep), "policy.invalid"));
}

TEST_CASE("signature files: each format comes back as it was written", "[libtrust][policy]") {
  const PolicySignature cosign{PolicySignature::Kind::kSigstore, "{\"a\":1}", "c2ln"};
  auto read = ReadSignatureBlob(WriteSignatureBlob(cosign));
  REQUIRE(read.ok());
  CHECK(read->kind == cosign.kind);
  CHECK(read->bytes == cosign.bytes);
  CHECK(read->signature == cosign.signature);
  const PolicySignature simple{PolicySignature::Kind::kSimpleSigning, "\x90 message", ""};
  CHECK(ReadSignatureBlob(WriteSignatureBlob(simple))->bytes == simple.bytes);
  CHECK(ReadSignatureBlob(std::string("\0simple-signing\n\x90", 17))->bytes == "\x90");
  for (std::string bad :
       {std::string(), std::string("text"), std::string("\0", 1), std::string("\0other\nx", 8),
        std::string("\0sigstore-json\n{}", 17), std::string("\0sigstore-json\n{", 16),
        std::string("\0simple-signing\nx", 17), std::string("\0simple-signing\n", 16)}) {
    CHECK(base::HasReason(ReadSignatureBlob(bad).status(), "policy.signature"));
  }
}

}  // namespace
}  // namespace coaming::trust
