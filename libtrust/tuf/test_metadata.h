// Test help: TUF metadata by hand, signed by whom the test likes.
#ifndef COAMING_LIBTRUST_TUF_TEST_METADATA_H_
#define COAMING_LIBTRUST_TUF_TEST_METADATA_H_

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <utility>
#include <vector>

#include "base/digest/hasher.h"
#include "base/json/json.h"
#include "libtrust/tuf/repository.h"

namespace coaming::trust::tuf {

inline Signer NewSigner(KeyType type = KeyType::kEd25519) {
  auto key = PrivateKey::Generate(type, 2048);
  REQUIRE(key.ok());
  auto signer = MakeSigner(*std::move(key));
  REQUIRE(signer.ok());
  return *std::move(signer);
}

// Builds an envelope around `body`, signed by the signers.
inline std::string Envelope(const base::json::Value& body,
                            const std::vector<const Signer*>& signers, bool twice = false) {
  auto canonical = base::json::WriteCanonical(body);
  REQUIRE(canonical.ok());
  using base::json::Value;
  Value out = Value::MakeObject();
  Value& list = out.Set("signatures", Value::MakeArray());
  for (const Signer* s : signers) {
    for (int i = 0; i < (twice ? 2 : 1); ++i) {
      Value one = Value::MakeObject();
      one.Set("keyid", s->keyid);
      one.Set("sig", base::HexEncode(*s->sign(*canonical)));
      list.Push(std::move(one));
    }
  }
  out.Set("signed", body);
  return base::json::Write(out);
}

inline base::json::Value RootBody(const std::vector<const Signer*>& keys, int64_t threshold) {
  using base::json::Value;
  Value body = Value::MakeObject();
  body.Set("_type", "root");
  body.Set("spec_version", "1.0.34");
  body.Set("version", 1);
  body.Set("expires", "2036-01-01T00:00:00Z");
  Value& objects = body.Set("keys", Value::MakeObject());
  Value ids = Value::MakeArray();
  for (const Signer* s : keys) {
    objects.Set(s->keyid, s->key);
    ids.Push(s->keyid);
  }
  Value& roles = body.Set("roles", Value::MakeObject());
  for (const char* name : {"root", "timestamp", "snapshot", "targets"}) {
    Value role = Value::MakeObject();
    role.Set("keyids", ids);
    role.Set("threshold", threshold);
    roles.Set(name, role);
  }
  return body;
}

}  // namespace coaming::trust::tuf

#endif  // COAMING_LIBTRUST_TUF_TEST_METADATA_H_
