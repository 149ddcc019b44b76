#include "libtrust/openpgp/report.h"

#include "base/core/clock.h"
#include "base/json/json.h"

namespace coaming::trust::openpgp {

using base::json::Value;

namespace {
std::string Time(int64_t seconds) { return base::FormatRfc3339(seconds * 1000000000); }
}  // namespace

std::string VerdictToJson(const Verdict& verdict) {
  Value out = Value::MakeObject();
  out.Set("schema", "coam.sig.verdict.v1");
  out.Set("ok", verdict.ok());
  out.Set("good", verdict.good);
  out.Set("required", verdict.required);
  Value& list = out.Set("signatures", Value::MakeArray());
  for (const SignatureResult& s : verdict.signatures) {
    Value one = Value::MakeObject();
    one.Set("status", StatusName(s.status));
    if (s.status != SignatureStatus::kGood) {
      one.Set("reason", StatusReason(s.status));
      one.Set("message", s.message);
    }
    if (!s.fingerprint.empty()) one.Set("fingerprint", s.fingerprint);
    if (!s.signer_fingerprint.empty()) one.Set("signer", s.signer_fingerprint);
    if (!s.key_id.empty()) one.Set("keyId", s.key_id);
    if (!s.user_ids.empty()) one.Set("userIds", s.user_ids);
    if (s.created != 0) one.Set("created", Time(s.created));
    if (s.expires != 0) one.Set("expires", Time(s.expires));
    if (!s.algorithm.empty()) one.Set("algorithm", s.algorithm);
    if (!s.hash.empty()) one.Set("hash", s.hash);
    if (s.text) one.Set("text", true);
    list.Push(std::move(one));
  }
  return base::json::Write(out);
}

std::string KeyringToJson(const Keyring& keys) {
  Value out = Value::MakeObject();
  out.Set("schema", "coam.sig.keyring.v1");
  Value& list = out.Set("keys", Value::MakeArray());
  for (const Certificate& c : keys.certificates()) {
    Value one = Value::MakeObject();
    one.Set("fingerprint", c.fingerprint());
    one.Set("keyId", c.key_id());
    one.Set("algorithm", c.algorithm());
    one.Set("created", Time(c.created()));
    std::vector<std::string> users;
    for (const std::string& user : c.user_ids()) users.push_back(Printable(user));
    one.Set("userIds", users);
    one.Set("subkeys", c.subkey_fingerprints());
    list.Push(std::move(one));
  }
  return base::json::Write(out);
}

}  // namespace coaming::trust::openpgp
