// One process with OpenSSL 3, Debian's Protobuf, RE2 and Abseil, and with us: all answer before and
// after our calls, each with its own code.
#include <absl/container/flat_hash_map.h>
#include <absl/status/status.h>
#include <absl/strings/cord.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <coaming/coaming.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <re2/re2.h>

#include <cstdio>
#include <cstring>
#include <string>

#include "tests/clash/stranger.pb.h"

#define EXPECT(condition)                                          \
  do {                                                             \
    if (!(condition)) {                                            \
      std::fprintf(stderr, "line %d: %s\n", __LINE__, #condition); \
      failed = true;                                               \
    }                                                              \
  } while (0)

namespace {

bool failed = false;

void Strangers() {
  EXPECT(std::strncmp(OpenSSL_version(OPENSSL_VERSION), "OpenSSL 3", 9) == 0);
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  EXPECT(EVP_Digest("abc", 3, digest, &size, EVP_sha256(), nullptr) == 1);
  EXPECT(size == 32 && digest[0] == 0xba && digest[31] == 0xad);
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  EXPECT(context != nullptr);
  SSL_CTX_free(context);

  coaming::third_party::Probe probe;
  probe.set_name("x");
  probe.mutable_at()->set_seconds(7);
  EXPECT(probe.GetDescriptor()->full_name() == "coaming.third_party.Probe");
  EXPECT(probe.DebugString().find("seconds: 7") != std::string::npos);

  EXPECT(RE2::FullMatch("abc", "a(b+)c"));
  absl::flat_hash_map<std::string, int> map = {{"a", 1}};
  EXPECT(map.at("a") == 1);
  EXPECT(absl::StrCat("a", 1) == "a1");
  EXPECT(absl::StrFormat("%d", 5) == "5");
  EXPECT(absl::NotFoundError("x").ToString() == "NOT_FOUND: x");
  EXPECT(absl::Cord("abc").size() == 3);
}

void Ours() {
  COAM_AUTO(coam_context) context = nullptr;
  COAM_AUTO(coam_error) error = nullptr;
  COAM_AUTO(coam_options) options = nullptr;
  EXPECT(coam_context_new(nullptr, &context, &error) == COAM_OK);
  EXPECT(coam_options_new("no.such.family", &options, &error) == COAM_NOT_FOUND);
  EXPECT(std::string(coam_error_reason(error).data) == "core.not_found");
  EXPECT(coam_version_number() == COAM_VERSION_NUMBER);
}

}  // namespace

int main() {
  Strangers();
  Ours();
  Strangers();
  Ours();
  return failed ? 1 : 0;
}
