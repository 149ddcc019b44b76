// Secret keys, signing and the key store of coaming/sig.h.
#include "base/core/clock.h"
#include "capi/src/sig.h"
#include "libtrust/client/files.h"

namespace base = coaming::base;
namespace capi = coaming::capi;
namespace trust = coaming::trust;
namespace openpgp = coaming::trust::openpgp;

namespace {

constexpr coam_str kEmpty{"", 0};

struct KeyKind {
  std::string_view name;
  trust::KeyType type;
  int bits;
};
constexpr KeyKind kKinds[] = {
    {"ed25519", trust::KeyType::kEd25519, 0},    {"rsa2048", trust::KeyType::kRsa, 2048},
    {"rsa3072", trust::KeyType::kRsa, 3072},     {"rsa4096", trust::KeyType::kRsa, 4096},
    {"nistp256", trust::KeyType::kEcdsaP256, 0}, {"nistp384", trust::KeyType::kEcdsaP384, 0},
    {"nistp521", trust::KeyType::kEcdsaP521, 0},
};

struct SignSettings {
  openpgp::SignOptions options;
  std::string mode;
};

absl::StatusOr<SignSettings> ReadSign(const coam_options* options) {
  COAM_ASSIGN_OR_RETURN(auto opt, capi::OptionReader::For("sig.sign", options));
  SignSettings out;
  out.mode = opt.String("mode");
  if (out.mode != "detached" && out.mode != "inline" && out.mode != "cleartext") {
    return base::Fail("core.invalid_argument")
           << "mode \"" << out.mode << "\" is not detached, inline or cleartext";
  }
  out.options.armor = opt.Bool("armor");
  out.options.text = opt.Bool("text");
  out.options.valid_s = opt.Int("expires") / 1000;
  out.options.time = capi::NowSeconds(opt.Int("time"));
  if (auto hash = opt.MaybeString("hash")) {
    out.options.hash = base::FindDigestAlgorithm(*hash);
    if (out.options.hash == base::DigestAlgorithm::kUnknown) {
      return base::Fail("core.invalid_argument")
             << "hash \"" << *hash << "\" is not sha256, sha384 or sha512";
    }
  }
  return out;
}

// A prefix of C: NULL means all names, "" is a mistake.
struct Scope {
  std::string prefix;
  bool root;
};
Scope ReadScope(const char* prefix) {
  return prefix == nullptr ? Scope{"", true} : Scope{prefix, false};
}

}  // namespace

coam_code coam_sig_key_generate(coam_context* context, const char* user_id,
                                const coam_options* options, coam_sig_key** ret_key,
                                coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(context, "context"));
    COAM_RETURN_IF_ERROR(capi::NotNull(user_id, "user_id"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_key, "ret_key"));
    COAM_ASSIGN_OR_RETURN(auto opt, capi::OptionReader::For("sig.generate", options));
    std::string name = opt.String("type");
    const KeyKind* kind = nullptr;
    for (const KeyKind& k : kKinds)
      if (k.name == name) kind = &k;
    if (kind == nullptr)
      return base::Fail("core.invalid_argument") << "key type \"" << name << "\" is not offered";
    openpgp::GenerateOptions how;
    how.user_id = user_id;
    how.type = kind->type;
    how.rsa_bits = kind->bits;
    how.created = capi::NowSeconds(opt.Int("time"));
    how.valid_s = opt.Int("expires") / 1000;
    how.signing_subkey = opt.Bool("signing-subkey");
    COAM_ASSIGN_OR_RETURN(auto key, openpgp::SecretKey::Generate(how));
    *ret_key = new coam_sig_key(std::move(key));
    return absl::OkStatus();
  });
}

coam_code coam_sig_key_parse(coam_context* context, const void* data, size_t size,
                             const char* passphrase, coam_sig_key** ret_key,
                             coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(context, "context"));
    COAM_RETURN_IF_ERROR(capi::NotNull(data, "data"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_key, "ret_key"));
    COAM_ASSIGN_OR_RETURN(auto key, openpgp::SecretKey::FromBytes(
                                        capi::Bytes(data, size),
                                        passphrase != nullptr ? passphrase : "", &context->limits));
    *ret_key = new coam_sig_key(std::move(key));
    return absl::OkStatus();
  });
}

coam_code coam_sig_key_load(coam_context* context, const char* path, const char* passphrase,
                            coam_sig_key** ret_key, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(context, "context"));
    COAM_RETURN_IF_ERROR(capi::NotNull(path, "path"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_key, "ret_key"));
    capi::Call call(context, nullptr);
    COAM_ASSIGN_OR_RETURN(
        auto key, trust::ReadSecretKey(path, passphrase != nullptr ? passphrase : "", call.op()));
    *ret_key = new coam_sig_key(std::move(key));
    return absl::OkStatus();
  });
}

coam_sig_key* coam_sig_key_ref(coam_sig_key* key) { return COAM_BOUNDARY_REF(key); }
void coam_sig_key_free(coam_sig_key* key) { COAM_BOUNDARY_FREE(key); }

coam_str coam_sig_key_fingerprint(const coam_sig_key* key) {
  return COAM_BOUNDARY_VALUE(
      kEmpty, { return key != nullptr ? capi::View(key->key.fingerprint()) : kEmpty; });
}

coam_code coam_sig_key_public(const coam_sig_key* key, coam_sig_keyring** ret_keyring,
                              coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(key, "key"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_keyring, "ret_keyring"));
    openpgp::Keyring keys;
    keys.Add(key->key.certificate());
    *ret_keyring = new coam_sig_keyring(std::move(keys));
    return absl::OkStatus();
  });
}

coam_code coam_sig_key_export(const coam_sig_key* key, const char* passphrase,
                              coam_buf** ret_armored, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(key, "key"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_armored, "ret_armored"));
    COAM_ASSIGN_OR_RETURN(auto text, key->key.Export(passphrase != nullptr ? passphrase : ""));
    *ret_armored = new capi::SecretBuf(text.view());
    return absl::OkStatus();
  });
}

coam_code coam_sig_key_revoke(const coam_sig_key* key, int32_t reason, const char* text,
                              int64_t time, coam_buf** ret_armored, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(key, "key"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_armored, "ret_armored"));
    COAM_ASSIGN_OR_RETURN(std::string armored,
                          key->key.RevocationCertificate(reason, text != nullptr ? text : "",
                                                         capi::NowSeconds(time)));
    *ret_armored = new coam_buf(std::move(armored));
    return absl::OkStatus();
  });
}

coam_code coam_sig_sign(coam_context* context, const coam_sig_key* key, const void* data,
                        size_t size, const coam_options* options, coam_buf** ret_signature,
                        coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(context, "context"));
    COAM_RETURN_IF_ERROR(capi::NotNull(key, "key"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_signature, "ret_signature"));
    COAM_ASSIGN_OR_RETURN(auto how, ReadSign(options));
    std::string_view bytes = capi::Bytes(data, size);
    absl::StatusOr<std::string> made =
        how.mode == "inline"      ? key->key.SignInline(bytes, how.options)
        : how.mode == "cleartext" ? key->key.SignCleartext(bytes, how.options)
                                  : key->key.SignDetached(bytes, how.options);
    COAM_RETURN_IF_ERROR(made.status());
    *ret_signature = new coam_buf(*std::move(made));
    return absl::OkStatus();
  });
}

coam_code coam_sig_sign_file(coam_context* context, const coam_sig_key* key, const char* path,
                             const coam_options* options, coam_buf** ret_signature,
                             coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(context, "context"));
    COAM_RETURN_IF_ERROR(capi::NotNull(key, "key"));
    COAM_RETURN_IF_ERROR(capi::NotNull(path, "path"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_signature, "ret_signature"));
    COAM_ASSIGN_OR_RETURN(auto how, ReadSign(options));
    if (how.mode != "detached")
      return base::Fail("core.invalid_argument") << "a file is signed with mode detached only";
    capi::Call call(context, options);
    COAM_ASSIGN_OR_RETURN(std::string made,
                          trust::SignFile(key->key, path, how.options, call.op()));
    *ret_signature = new coam_buf(std::move(made));
    return absl::OkStatus();
  });
}

coam_code coam_sig_keystore_open(coam_context* context, const coam_options* options,
                                 coam_sig_keystore** ret_keystore, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(context, "context"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_keystore, "ret_keystore"));
    COAM_ASSIGN_OR_RETURN(auto opt, capi::OptionReader::For("sig.keystore", options));
    COAM_ASSIGN_OR_RETURN(auto local, trust::KeyDirectory::Open(opt.String("local-dir")));
    COAM_ASSIGN_OR_RETURN(auto system, trust::KeyDirectory::Open(opt.String("system-dir")));
    *ret_keystore = new coam_sig_keystore(std::move(local), std::move(system));
    return absl::OkStatus();
  });
}

coam_sig_keystore* coam_sig_keystore_ref(coam_sig_keystore* keystore) {
  return COAM_BOUNDARY_REF(keystore);
}
void coam_sig_keystore_free(coam_sig_keystore* keystore) { COAM_BOUNDARY_FREE(keystore); }

coam_code coam_sig_keystore_add(coam_context* context, coam_sig_keystore* keystore,
                                const char* prefix, const coam_sig_keyring* keyring,
                                coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(context, "context"));
    COAM_RETURN_IF_ERROR(capi::NotNull(keystore, "keystore"));
    COAM_RETURN_IF_ERROR(capi::NotNull(keyring, "keyring"));
    capi::Call call(context, nullptr);
    Scope scope = ReadScope(prefix);
    const std::lock_guard<std::mutex> lock(keystore->mutex);
    return keystore->store.Add(scope.prefix, scope.root, keyring->armored, call.op()).status();
  });
}

coam_code coam_sig_keystore_mask(coam_context* context, coam_sig_keystore* keystore,
                                 const char* prefix, const char* fingerprint,
                                 coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(context, "context"));
    COAM_RETURN_IF_ERROR(capi::NotNull(keystore, "keystore"));
    COAM_RETURN_IF_ERROR(capi::NotNull(fingerprint, "fingerprint"));
    Scope scope = ReadScope(prefix);
    const std::lock_guard<std::mutex> lock(keystore->mutex);
    return keystore->store.Mask(scope.prefix, scope.root, fingerprint);
  });
}

coam_code coam_sig_keystore_remove(coam_context* context, coam_sig_keystore* keystore,
                                   const char* prefix, const char* fingerprint,
                                   coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(context, "context"));
    COAM_RETURN_IF_ERROR(capi::NotNull(keystore, "keystore"));
    COAM_RETURN_IF_ERROR(capi::NotNull(fingerprint, "fingerprint"));
    Scope scope = ReadScope(prefix);
    const std::lock_guard<std::mutex> lock(keystore->mutex);
    return keystore->store.Remove(scope.prefix, scope.root, fingerprint);
  });
}

coam_code coam_sig_keystore_list(coam_context* context, coam_sig_keystore* keystore,
                                 coam_buf** ret_json, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(context, "context"));
    COAM_RETURN_IF_ERROR(capi::NotNull(keystore, "keystore"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_json, "ret_json"));
    capi::Call call(context, nullptr);
    const std::lock_guard<std::mutex> lock(keystore->mutex);
    COAM_ASSIGN_OR_RETURN(auto keys, keystore->store.List(call.op()));
    *ret_json = new coam_buf(trust::KeysToJson(keys));
    return absl::OkStatus();
  });
}

coam_code coam_sig_keystore_keyring(coam_context* context, coam_sig_keystore* keystore,
                                    const char* name, coam_sig_keyring** ret_keyring,
                                    coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(context, "context"));
    COAM_RETURN_IF_ERROR(capi::NotNull(keystore, "keystore"));
    COAM_RETURN_IF_ERROR(capi::NotNull(name, "name"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_keyring, "ret_keyring"));
    capi::Call call(context, nullptr);
    const std::lock_guard<std::mutex> lock(keystore->mutex);
    COAM_ASSIGN_OR_RETURN(auto keys, keystore->store.KeyringFor(name, call.op()));
    *ret_keyring = new coam_sig_keyring(std::move(keys));
    return absl::OkStatus();
  });
}

coam_code coam_sig_keystore_verify_file(coam_context* context, coam_sig_keystore* keystore,
                                        const char* name, const char* signature_path,
                                        const char* data_path, const coam_options* options,
                                        coam_sig_verdict** ret_verdict, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(context, "context"));
    COAM_RETURN_IF_ERROR(capi::NotNull(keystore, "keystore"));
    COAM_RETURN_IF_ERROR(capi::NotNull(name, "name"));
    COAM_RETURN_IF_ERROR(capi::NotNull(signature_path, "signature_path"));
    COAM_RETURN_IF_ERROR(capi::NotNull(data_path, "data_path"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_verdict, "ret_verdict"));
    COAM_ASSIGN_OR_RETURN(auto how, capi::ReadSigVerify(options));
    capi::Call call(context, options);
    capi::TimedOp timed(call.op(), how.time);
    // Only reading the keys is under the lock: the events of hashing run the host's code.
    openpgp::Keyring keys;
    {
      const std::lock_guard<std::mutex> lock(keystore->mutex);
      COAM_ASSIGN_OR_RETURN(keys, keystore->store.KeyringFor(name, timed.op()));
    }
    if (keys.empty()) return base::Fail("sig.no_keys") << "no key is trusted for " << name;
    COAM_ASSIGN_OR_RETURN(
        auto verdict, trust::VerifyFile(signature_path, data_path, keys, how.policy, timed.op()));
    *ret_verdict = new coam_sig_verdict(std::move(verdict));
    return absl::OkStatus();
  });
}
