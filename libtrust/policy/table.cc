#include "libtrust/policy/table.h"

#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "libtrust/keys/keys.h"
#include "libtrust/openpgp/verify.h"
#include "libtrust/policy/simple_signing.h"

namespace coaming::trust {

using base::Fail;

namespace {

absl::Status Accept(const RequirementInput& in) { return absl::OkStatus(); }

absl::Status Reject(const RequirementInput& in) {
  return Fail("policy.rejected") << "the policy rejects it";
}

absl::Status CheckClaim(const RequirementInput& in, const SignedClaim& claim) {
  if (claim.manifest_digest != in.image.manifest_digest)
    return Fail("policy.signature") << "a signature is for the manifest " << claim.manifest_digest
                                    << ", not " << in.image.manifest_digest;
  if (!MatchesIdentity(in.requirement, claim.docker_reference, in.image))
    return Fail("policy.identity") << "a signature is for the name " << claim.docker_reference;
  return absl::OkStatus();
}

// Reads all keys that the requirement names, as bytes.
absl::StatusOr<std::vector<std::string>> ReadKeys(const RequirementInput& in) {
  std::vector<std::string> out = in.requirement.key_datas;
  for (const std::string& path : in.requirement.key_paths) {
    COAM_ASSIGN_OR_RETURN(std::string bytes, in.keys.ReadKey(path));
    out.push_back(std::move(bytes));
  }
  return out;
}

absl::Status Unsupported(const RequirementInput& in) {
  return Fail("policy.unsupported")
         << "the policy asks for " << in.requirement.unsupported << ", which is not supported here";
}

// Any good signature suffices; else the first failure of one that came furthest is told.
template <typename One>
absl::Status AnyOf(const RequirementInput& in, PolicySignature::Kind kind, One one) {
  absl::Status why;
  for (const PolicySignature& signature : in.signatures) {
    if (signature.kind != kind) continue;
    COAM_RETURN_IF_ERROR(in.op.Check());
    absl::Status status = one(signature);
    if (status.ok()) return status;
    bool further =
        base::HasReason(status, "policy.identity") || base::HasReason(status, "policy.signature");
    if (why.ok() || further) why = status;
  }
  if (why.ok()) return Fail("policy.unsigned") << "a signature is required and there is none";
  return why;
}

absl::Status SignedBy(const RequirementInput& in) {
  if (!in.requirement.unsupported.empty()) return Unsupported(in);
  COAM_ASSIGN_OR_RETURN(std::vector<std::string> files, ReadKeys(in));
  openpgp::Keyring keyring;
  for (const std::string& bytes : files) {
    COAM_ASSIGN_OR_RETURN(openpgp::Keyring keys,
                          openpgp::Keyring::FromBytes(bytes, &in.op.limits()));
    keyring.Add(keys);
  }
  return AnyOf(in, PolicySignature::Kind::kSimpleSigning,
               [&](const PolicySignature& signature) -> absl::Status {
                 COAM_ASSIGN_OR_RETURN(
                     openpgp::Message message,
                     openpgp::VerifyInline(signature.bytes, keyring, openpgp::Policy(), in.op));
                 COAM_RETURN_IF_ERROR(message.verdict.ToStatus("a signature"));
                 COAM_ASSIGN_OR_RETURN(SignedClaim claim,
                                       ParseClaim(message.content, kAtomicSignature));
                 return CheckClaim(in, claim);
               });
}

absl::Status SigstoreSigned(const RequirementInput& in) {
  if (!in.requirement.unsupported.empty()) return Unsupported(in);
  COAM_ASSIGN_OR_RETURN(std::vector<std::string> files, ReadKeys(in));
  std::vector<PublicKey> keys;
  for (const std::string& pem : files) {
    COAM_ASSIGN_OR_RETURN(PublicKey key, PublicKey::FromPem(pem));
    keys.push_back(std::move(key));
  }
  return AnyOf(in, PolicySignature::Kind::kSigstore,
               [&](const PolicySignature& signature) -> absl::Status {
                 COAM_ASSIGN_OR_RETURN(SignedClaim claim,
                                       VerifyCosign(signature.bytes, signature.signature, keys));
                 return CheckClaim(in, claim);
               });
}

constexpr RequirementRow kTable[] = {
    {Requirement::Kind::kAccept, "insecureAcceptAnything", Accept},
    {Requirement::Kind::kReject, "reject", Reject},
    {Requirement::Kind::kSignedBy, "signedBy", SignedBy},
    {Requirement::Kind::kSigstoreSigned, "sigstoreSigned", SigstoreSigned},
};

}  // namespace

const RequirementRow* FindRequirement(Requirement::Kind kind) {
  for (const RequirementRow& row : kTable)
    if (row.kind == kind) return &row;
  return &kTable[1];
}

}  // namespace coaming::trust
