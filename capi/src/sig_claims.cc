// Trust policies, simple signing and cosign's signatures by key of coaming/sig.h.
#include "capi/src/sig.h"
#include "libtrust/keys/keys.h"
#include "libtrust/policy/policy.h"
#include "libtrust/policy/simple_signing.h"

namespace capi = coaming::capi;
namespace trust = coaming::trust;
namespace openpgp = coaming::trust::openpgp;

coam_code coam_sig_policy_parse(coam_context* context, const void* data, size_t size,
                                coam_buf** ret_json, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(context, "context"));
    COAM_RETURN_IF_ERROR(capi::NotNull(data, "data"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_json, "ret_json"));
    COAM_ASSIGN_OR_RETURN(const auto policy, trust::TrustPolicy::Parse(capi::Bytes(data, size)));
    *ret_json = new coam_buf(policy.ToJson());
    return absl::OkStatus();
  });
}

coam_code coam_sig_claim_sign(coam_context* context, const coam_sig_key* key, const char* digest,
                              const char* reference, coam_buf** ret_signature,
                              coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(context, "context"));
    COAM_RETURN_IF_ERROR(capi::NotNull(key, "key"));
    COAM_RETURN_IF_ERROR(capi::NotNull(digest, "digest"));
    COAM_RETURN_IF_ERROR(capi::NotNull(reference, "reference"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_signature, "ret_signature"));
    COAM_ASSIGN_OR_RETURN(std::string made,
                          trust::SignClaim(key->key, digest, reference, capi::NowSeconds(0)));
    *ret_signature = new coam_buf(std::move(made));
    return absl::OkStatus();
  });
}

coam_code coam_sig_claim_verify(coam_context* context, const coam_sig_keyring* keyring,
                                const void* signature, size_t size, const coam_options* options,
                                coam_buf** ret_json, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(context, "context"));
    COAM_RETURN_IF_ERROR(capi::NotNull(keyring, "keyring"));
    COAM_RETURN_IF_ERROR(capi::NotNull(signature, "signature"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_json, "ret_json"));
    COAM_ASSIGN_OR_RETURN(auto how, capi::ReadSigVerify(options));
    capi::Call call(context, options);
    capi::TimedOp timed(call.op(), how.time);
    COAM_ASSIGN_OR_RETURN(
        const openpgp::Message message,
        openpgp::VerifyInline(capi::Bytes(signature, size), keyring->keys, how.policy, timed.op()));
    COAM_RETURN_IF_ERROR(message.verdict.ToStatus("the signature"));
    COAM_ASSIGN_OR_RETURN(const trust::SignedClaim claim,
                          trust::ParseClaim(message.content, trust::kAtomicSignature));
    const openpgp::SignatureResult* signer = message.verdict.Signer();
    *ret_json =
        new coam_buf(trust::ClaimToJson(claim, signer == nullptr ? "" : signer->fingerprint));
    return absl::OkStatus();
  });
}

coam_code coam_sig_cosign_sign(coam_context* context, const void* key, size_t key_size,
                               const char* passphrase, const char* digest, const char* reference,
                               coam_buf** ret_payload, coam_buf** ret_signature,
                               coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(context, "context"));
    COAM_RETURN_IF_ERROR(capi::NotNull(key, "key"));
    COAM_RETURN_IF_ERROR(capi::NotNull(digest, "digest"));
    COAM_RETURN_IF_ERROR(capi::NotNull(reference, "reference"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_payload, "ret_payload"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_signature, "ret_signature"));
    COAM_ASSIGN_OR_RETURN(const auto secret,
                          trust::PrivateKey::FromPem(capi::Bytes(key, key_size),
                                                     passphrase == nullptr ? "" : passphrase));
    COAM_ASSIGN_OR_RETURN(const auto made, trust::SignCosignClaim(secret, digest, reference));
    auto payload = std::make_unique<coam_buf>(made.payload);
    *ret_signature = new coam_buf(made.signature);
    *ret_payload = payload.release();
    return absl::OkStatus();
  });
}

coam_code coam_sig_cosign_verify(coam_context* context, const void* key, size_t key_size,
                                 const void* payload, size_t payload_size, const char* signature,
                                 coam_buf** ret_json, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(context, "context"));
    COAM_RETURN_IF_ERROR(capi::NotNull(key, "key"));
    COAM_RETURN_IF_ERROR(capi::NotNull(payload, "payload"));
    COAM_RETURN_IF_ERROR(capi::NotNull(signature, "signature"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_json, "ret_json"));
    std::vector<trust::PublicKey> keys(1);
    COAM_ASSIGN_OR_RETURN(keys[0], trust::PublicKey::FromPem(capi::Bytes(key, key_size)));
    COAM_ASSIGN_OR_RETURN(const trust::SignedClaim claim,
                          trust::VerifyCosign(capi::Bytes(payload, payload_size), signature, keys));
    *ret_json = new coam_buf(trust::ClaimToJson(claim, ""));
    return absl::OkStatus();
  });
}
