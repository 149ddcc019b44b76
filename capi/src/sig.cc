// Public keys, verdicts and verification of coaming/sig.h, and its option families.
#include "capi/src/sig.h"

#include "capi/src/job.h"
#include "capi/src/modules.h"
#include "libtrust/client/files.h"
#include "libtrust/openpgp/report.h"

namespace base = coaming::base;
namespace capi = coaming::capi;
namespace trust = coaming::trust;
namespace openpgp = coaming::trust::openpgp;

namespace coaming::capi {
namespace {

constexpr OptionRow kVerifyRows[] = {
    {"time", OptionType::kInt, "0", "1.0", "judge as of this time, in seconds since 1970; 0: now"},
    {"required", OptionType::kInt, "1", "1.0", "good signatures wanted, by different keys"},
    {"min-rsa-bits", OptionType::kInt, "2048", "1.0", "smallest RSA key that counts"},
    {"allow-dsa", OptionType::kBool, "false", "1.0", "take DSA keys too (legacy)"},
    {"require-alive-now", OptionType::kBool, "false", "1.0",
     "the signer's key must also be alive now, not only when it signed"},
    {"allow-direct-keys", OptionType::kBool, "false", "1.0",
     "take version 4 keys without a user id"},
    {"sha1-before", OptionType::kInt, "1675209600", "1.0",
     "self-signatures with SHA-1 count if older than this time; 0: never"},
};

constexpr OptionRow kGenerateRows[] = {
    {"type", OptionType::kString, "ed25519", "1.0",
     "ed25519, rsa2048, rsa3072, rsa4096, nistp256, nistp384 or nistp521"},
    {"expires", OptionType::kDuration, "0", "1.0", "life of the key; 0: for ever"},
    {"time", OptionType::kInt, "0", "1.0", "when it is made, in seconds since 1970; 0: now"},
    {"signing-subkey", OptionType::kBool, "false", "1.0",
     "sign with a subkey and certify with the primary"},
};

constexpr OptionRow kSignRows[] = {
    {"mode", OptionType::kString, "detached", "1.0", "detached, inline or cleartext"},
    {"armor", OptionType::kBool, "true", "1.0", "write text instead of binary"},
    {"text", OptionType::kBool, "false", "1.0", "sign text regardless of its line ends"},
    {"hash", OptionType::kString, "", "1.0", "sha256, sha384 or sha512; empty: what fits the key"},
    {"expires", OptionType::kDuration, "0", "1.0", "life of the signature; 0: for ever"},
    {"time", OptionType::kInt, "0", "1.0", "when it is made, in seconds since 1970; 0: now"},
};

constexpr OptionRow kKeystoreRows[] = {
    {"local-dir", OptionType::kPath, "/etc/rkt/trustedkeys", "1.0",
     "directory of keys that changes go to"},
    {"system-dir", OptionType::kPath, "/usr/lib/rkt/trustedkeys", "1.0",
     "directory of keys that came with the system"},
};

constexpr OptionFamily kFamilies[] = {
    {"sig.verify", "judging OpenPGP signatures", kVerifyRows},
    {"sig.generate", "making an OpenPGP key", kGenerateRows},
    {"sig.sign", "signing with an OpenPGP key", kSignRows},
    {"sig.keystore", "where trusted keys are", kKeystoreRows},
};

constexpr const char* kFeatures[] = {"sig.keystore", "sig.openpgp", "sig.openpgp.v6"};

}  // namespace

Module SigModule() { return {"sig", kFamilies, kFeatures}; }

absl::StatusOr<SigVerify> ReadSigVerify(const coam_options* options) {
  COAM_ASSIGN_OR_RETURN(auto opt, OptionReader::For("sig.verify", options));
  SigVerify out;
  out.time = opt.Int("time");
  int64_t required = opt.Int("required");
  int64_t bits = opt.Int("min-rsa-bits");
  if (required < 1 || required > 1000 || bits < 1024 || bits > 16384 || out.time < 0) {
    return base::Fail("core.invalid_argument") << "time, required or min-rsa-bits is out of range";
  }
  out.policy.required = static_cast<int>(required);
  out.policy.min_rsa_bits = static_cast<int>(bits);
  out.policy.allow_dsa = opt.Bool("allow-dsa");
  out.policy.require_alive_now = opt.Bool("require-alive-now");
  out.policy.allow_direct_key_v4 = opt.Bool("allow-direct-keys");
  out.policy.sha1_self_signatures_before = opt.Int("sha1-before");
  return out;
}

int64_t NowSeconds(int64_t time) {
  return time != 0 ? time : base::SystemClock().RealtimeNs() / 1000000000;
}

}  // namespace coaming::capi

namespace {

constexpr coam_str kEmpty{"", 0};

const openpgp::SignatureResult* At(const coam_sig_verdict* verdict, size_t index) {
  if (verdict == nullptr || index >= verdict->verdict.signatures.size()) return nullptr;
  return &verdict->verdict.signatures[index];
}

}  // namespace

coam_sig_keyring::coam_sig_keyring(openpgp::Keyring k)
    : keys(std::move(k)),
      review(openpgp::ReviewText(keys)),
      armored(keys.empty() ? "" : keys.Armored()),
      json(openpgp::KeyringToJson(keys)) {}

coam_sig_verdict::coam_sig_verdict(openpgp::Verdict v)
    : verdict(std::move(v)), json(openpgp::VerdictToJson(verdict)) {}

coam_code coam_sig_keyring_parse(coam_context* context, const void* data, size_t size,
                                 coam_sig_keyring** ret_keyring, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(context, "context"));
    COAM_RETURN_IF_ERROR(capi::NotNull(data, "data"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_keyring, "ret_keyring"));
    COAM_ASSIGN_OR_RETURN(auto keys,
                          openpgp::Keyring::FromBytes(capi::Bytes(data, size), &context->limits));
    *ret_keyring = new coam_sig_keyring(std::move(keys));
    return absl::OkStatus();
  });
}

coam_code coam_sig_keyring_load(coam_context* context, const char* path,
                                coam_sig_keyring** ret_keyring, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(context, "context"));
    COAM_RETURN_IF_ERROR(capi::NotNull(path, "path"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_keyring, "ret_keyring"));
    capi::Call call(context, nullptr);
    COAM_ASSIGN_OR_RETURN(auto keys, trust::ReadKeyring(path, call.op()));
    *ret_keyring = new coam_sig_keyring(std::move(keys));
    return absl::OkStatus();
  });
}

coam_sig_keyring* coam_sig_keyring_ref(coam_sig_keyring* keyring) {
  return COAM_BOUNDARY_REF(keyring);
}
void coam_sig_keyring_free(coam_sig_keyring* keyring) { COAM_BOUNDARY_FREE(keyring); }

size_t coam_sig_keyring_count(const coam_sig_keyring* keyring) {
  return COAM_BOUNDARY_VALUE(0, { return keyring != nullptr ? keyring->keys.size() : size_t{0}; });
}

coam_str coam_sig_keyring_fingerprint(const coam_sig_keyring* keyring, size_t index) {
  return COAM_BOUNDARY_VALUE(kEmpty, {
    if (keyring == nullptr || index >= keyring->keys.size()) return kEmpty;
    return capi::View(keyring->keys.certificates()[index].fingerprint());
  });
}

coam_str coam_sig_keyring_review(const coam_sig_keyring* keyring) {
  return COAM_BOUNDARY_VALUE(kEmpty,
                             { return keyring != nullptr ? capi::View(keyring->review) : kEmpty; });
}

coam_str coam_sig_keyring_armored(const coam_sig_keyring* keyring) {
  return COAM_BOUNDARY_VALUE(
      kEmpty, { return keyring != nullptr ? capi::View(keyring->armored) : kEmpty; });
}

coam_str coam_sig_keyring_json(const coam_sig_keyring* keyring) {
  return COAM_BOUNDARY_VALUE(kEmpty,
                             { return keyring != nullptr ? capi::View(keyring->json) : kEmpty; });
}

coam_sig_verdict* coam_sig_verdict_ref(coam_sig_verdict* verdict) {
  return COAM_BOUNDARY_REF(verdict);
}
void coam_sig_verdict_free(coam_sig_verdict* verdict) { COAM_BOUNDARY_FREE(verdict); }

coam_code coam_sig_verdict_check(const coam_sig_verdict* verdict, const char* subject,
                                 coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(verdict, "verdict"));
    return verdict->verdict.ToStatus(subject != nullptr ? subject : "the data");
  });
}

int64_t coam_sig_verdict_good(const coam_sig_verdict* verdict) {
  return COAM_BOUNDARY_VALUE(
      0, { return verdict != nullptr ? int64_t{verdict->verdict.good} : int64_t{0}; });
}

size_t coam_sig_verdict_count(const coam_sig_verdict* verdict) {
  return COAM_BOUNDARY_VALUE(
      0, { return verdict != nullptr ? verdict->verdict.signatures.size() : size_t{0}; });
}

coam_str coam_sig_verdict_reason(const coam_sig_verdict* verdict, size_t index) {
  return COAM_BOUNDARY_VALUE(kEmpty, {
    const openpgp::SignatureResult* s = At(verdict, index);
    return s != nullptr ? capi::ViewStatic(openpgp::StatusReason(s->status)) : kEmpty;
  });
}

coam_str coam_sig_verdict_message(const coam_sig_verdict* verdict, size_t index) {
  return COAM_BOUNDARY_VALUE(kEmpty, {
    const openpgp::SignatureResult* s = At(verdict, index);
    return s != nullptr ? capi::View(s->message) : kEmpty;
  });
}

coam_str coam_sig_verdict_fingerprint(const coam_sig_verdict* verdict, size_t index) {
  return COAM_BOUNDARY_VALUE(kEmpty, {
    const openpgp::SignatureResult* s = At(verdict, index);
    return s != nullptr ? capi::View(s->fingerprint) : kEmpty;
  });
}

coam_str coam_sig_verdict_signer(const coam_sig_verdict* verdict, size_t index) {
  return COAM_BOUNDARY_VALUE(kEmpty, {
    const openpgp::SignatureResult* s = At(verdict, index);
    return s != nullptr ? capi::View(s->signer_fingerprint) : kEmpty;
  });
}

coam_str coam_sig_verdict_user(const coam_sig_verdict* verdict, size_t index) {
  return COAM_BOUNDARY_VALUE(kEmpty, {
    const openpgp::SignatureResult* s = At(verdict, index);
    return s != nullptr && !s->user_ids.empty() ? capi::View(s->user_ids[0]) : kEmpty;
  });
}

int64_t coam_sig_verdict_created(const coam_sig_verdict* verdict, size_t index) {
  return COAM_BOUNDARY_VALUE(0, {
    const openpgp::SignatureResult* s = At(verdict, index);
    return s != nullptr ? s->created : int64_t{0};
  });
}

coam_str coam_sig_verdict_json(const coam_sig_verdict* verdict) {
  return COAM_BOUNDARY_VALUE(kEmpty,
                             { return verdict != nullptr ? capi::View(verdict->json) : kEmpty; });
}

coam_code coam_sig_verify(coam_context* context, const coam_sig_keyring* keyring,
                          const void* signature, size_t signature_size, const void* data,
                          size_t size, const coam_options* options, coam_sig_verdict** ret_verdict,
                          coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(context, "context"));
    COAM_RETURN_IF_ERROR(capi::NotNull(keyring, "keyring"));
    COAM_RETURN_IF_ERROR(capi::NotNull(signature, "signature"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_verdict, "ret_verdict"));
    COAM_ASSIGN_OR_RETURN(auto how, capi::ReadSigVerify(options));
    capi::Call call(context, options);
    capi::TimedOp timed(call.op(), how.time);
    COAM_ASSIGN_OR_RETURN(
        auto verdict,
        openpgp::VerifyDetached(capi::Bytes(signature, signature_size), capi::Bytes(data, size),
                                keyring->keys, how.policy, timed.op()));
    *ret_verdict = new coam_sig_verdict(std::move(verdict));
    return absl::OkStatus();
  });
}

coam_code coam_sig_verify_file(coam_context* context, const coam_sig_keyring* keyring,
                               const char* signature_path, const char* data_path,
                               const coam_options* options, coam_sig_verdict** ret_verdict,
                               coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(context, "context"));
    COAM_RETURN_IF_ERROR(capi::NotNull(keyring, "keyring"));
    COAM_RETURN_IF_ERROR(capi::NotNull(signature_path, "signature_path"));
    COAM_RETURN_IF_ERROR(capi::NotNull(data_path, "data_path"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_verdict, "ret_verdict"));
    COAM_ASSIGN_OR_RETURN(auto how, capi::ReadSigVerify(options));
    capi::Call call(context, options);
    capi::TimedOp timed(call.op(), how.time);
    COAM_ASSIGN_OR_RETURN(auto verdict, trust::VerifyFile(signature_path, data_path, keyring->keys,
                                                          how.policy, timed.op()));
    *ret_verdict = new coam_sig_verdict(std::move(verdict));
    return absl::OkStatus();
  });
}

coam_code coam_sig_verify_file_start(coam_context* context, coam_sig_keyring* keyring,
                                     const char* signature_path, const char* data_path,
                                     const coam_options* options, coam_job** ret_job,
                                     coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(context, "context"));
    COAM_RETURN_IF_ERROR(capi::NotNull(keyring, "keyring"));
    COAM_RETURN_IF_ERROR(capi::NotNull(signature_path, "signature_path"));
    COAM_RETURN_IF_ERROR(capi::NotNull(data_path, "data_path"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_job, "ret_job"));
    COAM_ASSIGN_OR_RETURN(auto how, capi::ReadSigVerify(options));
    COAM_ASSIGN_OR_RETURN(
        *ret_job,
        capi::StartJob(
            "sig.verify", context, options,
            [keys = keyring->keys, how, signature = std::string(signature_path),
             data = std::string(data_path)](const base::Op& op, const coam_options*)
                -> absl::StatusOr<capi::Ref<capi::Object>> {
              capi::TimedOp timed(op, how.time);
              COAM_ASSIGN_OR_RETURN(
                  auto verdict, trust::VerifyFile(signature, data, keys, how.policy, timed.op()));
              return capi::Ref<capi::Object>::Adopt(new coam_sig_verdict(std::move(verdict)));
            }));
    return absl::OkStatus();
  });
}

coam_code coam_sig_verify_file_finish(coam_job* job, coam_sig_verdict** ret_verdict,
                                      coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(job, "job"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_verdict, "ret_verdict"));
    COAM_ASSIGN_OR_RETURN(*ret_verdict, capi::FinishJob<coam_sig_verdict>(job, "sig.verify"));
    return absl::OkStatus();
  });
}

coam_code coam_sig_verify_message(coam_context* context, const coam_sig_keyring* keyring,
                                  const void* message, size_t size, const coam_options* options,
                                  coam_buf** ret_content, coam_sig_verdict** ret_verdict,
                                  coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(context, "context"));
    COAM_RETURN_IF_ERROR(capi::NotNull(keyring, "keyring"));
    COAM_RETURN_IF_ERROR(capi::NotNull(message, "message"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_content, "ret_content"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_verdict, "ret_verdict"));
    COAM_ASSIGN_OR_RETURN(auto how, capi::ReadSigVerify(options));
    capi::Call call(context, options);
    capi::TimedOp timed(call.op(), how.time);
    std::string_view bytes = capi::Bytes(message, size);
    bool cleartext = bytes.find("-----BEGIN PGP SIGNED MESSAGE-----") != bytes.npos;
    COAM_ASSIGN_OR_RETURN(
        auto opened, cleartext
                         ? openpgp::VerifyCleartext(bytes, keyring->keys, how.policy, timed.op())
                         : openpgp::VerifyInline(bytes, keyring->keys, how.policy, timed.op(),
                                                 context->limits.manifest_bytes));
    auto verdict = std::make_unique<coam_sig_verdict>(std::move(opened.verdict));
    *ret_content = verdict->verdict.ok() ? new coam_buf(std::move(opened.content)) : nullptr;
    *ret_verdict = verdict.release();
    return absl::OkStatus();
  });
}

coam_code coam_sig_verifier_new(coam_context* context, const coam_sig_keyring* keyring,
                                const void* signature, size_t signature_size,
                                const coam_options* options, coam_sig_verifier** ret_verifier,
                                coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(context, "context"));
    COAM_RETURN_IF_ERROR(capi::NotNull(keyring, "keyring"));
    COAM_RETURN_IF_ERROR(capi::NotNull(signature, "signature"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_verifier, "ret_verifier"));
    COAM_ASSIGN_OR_RETURN(auto how, capi::ReadSigVerify(options));
    COAM_ASSIGN_OR_RETURN(
        auto verifier,
        openpgp::DetachedVerifier::New(capi::Bytes(signature, signature_size), keyring->keys,
                                       how.policy, capi::NowSeconds(how.time), &context->limits));
    *ret_verifier = new coam_sig_verifier(std::move(verifier));
    return absl::OkStatus();
  });
}

coam_code coam_sig_verifier_update(coam_sig_verifier* verifier, const void* data, size_t size,
                                   coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(verifier, "verifier"));
    if (verifier->verifier == nullptr)
      return base::Fail("core.state") << "the verifier has given its verdict";
    verifier->verifier->Update(capi::Bytes(data, size));
    return absl::OkStatus();
  });
}

coam_code coam_sig_verifier_finish(coam_sig_verifier* verifier, coam_sig_verdict** ret_verdict,
                                   coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(verifier, "verifier"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_verdict, "ret_verdict"));
    if (verifier->verifier == nullptr)
      return base::Fail("core.state") << "the verifier has given its verdict";
    *ret_verdict = new coam_sig_verdict(verifier->verifier->Finish());
    verifier->verifier.reset();
    return absl::OkStatus();
  });
}

int32_t coam_sig_verifier_known(const coam_sig_verifier* verifier) {
  return COAM_BOUNDARY_VALUE(0, {
    return verifier != nullptr && verifier->verifier != nullptr && verifier->verifier->MaybeKnown()
               ? int32_t{1}
               : int32_t{0};
  });
}

coam_sig_verifier* coam_sig_verifier_ref(coam_sig_verifier* verifier) {
  return COAM_BOUNDARY_REF(verifier);
}
void coam_sig_verifier_free(coam_sig_verifier* verifier) { COAM_BOUNDARY_FREE(verifier); }
