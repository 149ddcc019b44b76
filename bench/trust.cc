// What verifying costs: `trust verify KEYS SIGNATURE FILE` is a whole verifier as a small static program,
// `trust hash FILE` the hash loop that it cannot be faster than. bench/trust sets both beside gpgv and sqv.
#include <fcntl.h>

#include <cstdio>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "base/core/error.h"
#include "base/core/op.h"
#include "base/core/status_macros.h"
#include "base/digest/hasher.h"
#include "base/fs/file.h"
#include "base/stream/stream.h"
#include "libtrust/openpgp/verify.h"

namespace coaming {
namespace {

absl::Status Hash(const char* path, const base::Op& op) {
  COAM_ASSIGN_OR_RETURN(base::UniqueFd fd, base::OpenHostFile(path, O_RDONLY));
  base::FdReader reader(op, fd.get(), path);
  base::Hasher hasher(base::DigestAlgorithm::kSha256);
  std::string block(base::kBlockBytes, '\0');
  for (;;) {
    COAM_ASSIGN_OR_RETURN(size_t got, reader.Read(std::span<char>(block.data(), block.size())));
    if (got == 0) break;
    hasher.Update(std::string_view(block.data(), got));
  }
  std::printf("%s\n", base::HexEncode(hasher.FinishBytes()).c_str());
  return absl::OkStatus();
}

absl::Status Verify(const char* keys_path, const char* signature_path, const char* path,
                    const base::Op& op) {
  namespace openpgp = trust::openpgp;
  COAM_ASSIGN_OR_RETURN(
      std::string bytes,
      base::ReadHostFile(op, keys_path, op.limits().keyring_bytes, "keyring_bytes"));
  COAM_ASSIGN_OR_RETURN(openpgp::Keyring keys, openpgp::Keyring::FromBytes(bytes));
  COAM_ASSIGN_OR_RETURN(
      std::string signature,
      base::ReadHostFile(op, signature_path, op.limits().signature_bytes, "signature_bytes"));
  COAM_ASSIGN_OR_RETURN(base::UniqueFd fd, base::OpenHostFile(path, O_RDONLY));
  base::FdReader reader(op, fd.get(), path);
  COAM_ASSIGN_OR_RETURN(openpgp::Verdict verdict,
                        openpgp::VerifyDetached(signature, reader, keys, openpgp::Policy(), op));
  COAM_RETURN_IF_ERROR(verdict.ToStatus(path));
  std::printf("%s\n", verdict.Signer()->fingerprint.c_str());
  return absl::OkStatus();
}

int Main(int argc, char** argv) {
  base::Op op;
  std::string_view word = argc > 1 ? argv[1] : "";
  absl::Status status = base::Fail("core.invalid_argument")
                        << "usage: trust hash FILE | trust verify KEYS SIGNATURE FILE";
  if (word == "hash" && argc == 3) status = Hash(argv[2], op);
  if (word == "verify" && argc == 5) status = Verify(argv[2], argv[3], argv[4], op);
  if (status.ok()) return 0;
  std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
  return 1;
}

}  // namespace
}  // namespace coaming

int main(int argc, char** argv) { return coaming::Main(argc, argv); }
