#include "libtrust/client/files.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/fs/file.h"
#include "base/stream/filter.h"
#include "base/stream/stream.h"

namespace coaming::trust {

namespace {

// An open data file whose reading is told as progress.
struct DataFile {
  base::UniqueFd fd;
  int64_t size = -1;
};

absl::StatusOr<DataFile> OpenData(std::string_view path) {
  DataFile out;
  COAM_ASSIGN_OR_RETURN(out.fd, base::OpenHostFile(path, O_RDONLY));
  struct stat st;
  if (fstat(out.fd.get(), &st) == 0 && S_ISREG(st.st_mode)) out.size = st.st_size;
  if (out.size >= 0) (void)posix_fadvise(out.fd.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
  return out;
}

// MeteredReader counts what passes.
class MeteredReader final : public base::Reader {
 public:
  MeteredReader(base::Reader& source, base::ProgressMeter& meter)
      : source_(source), meter_(meter) {}
  absl::StatusOr<size_t> Read(std::span<char> out) override {
    auto got = source_.Read(out);
    if (got.ok() && *got > 0) {
      done_ += static_cast<int64_t>(*got);
      COAM_RETURN_IF_ERROR(meter_.Advance(done_));
    }
    return got;
  }

 private:
  base::Reader& source_;
  base::ProgressMeter& meter_;
  int64_t done_ = 0;
};

template <typename Body>
auto WithData(std::string_view path, std::string_view kind, const base::Op& op, Body body)
    -> decltype(body(std::declval<base::Reader&>())) {
  COAM_ASSIGN_OR_RETURN(DataFile file, OpenData(path));
  base::FdReader reader(op, file.fd.get(), path);
  base::ProgressMeter meter(op, kind, path, file.size, "bytes");
  COAM_RETURN_IF_ERROR(meter.Start());
  MeteredReader metered(reader, meter);
  auto out = body(metered);
  if (out.ok()) COAM_RETURN_IF_ERROR(meter.Finish());
  return out;
}

absl::StatusOr<std::string> ReadSignature(std::string_view path, const base::Op& op) {
  return base::ReadHostFile(op, path, op.limits().signature_bytes, "signature_bytes");
}

}  // namespace

absl::StatusOr<openpgp::Keyring> ReadKeyring(std::string_view path, const base::Op& op) {
  COAM_ASSIGN_OR_RETURN(std::string bytes,
                        base::ReadHostFile(op, path, op.limits().keyring_bytes, "keyring_bytes"));
  auto keys = openpgp::Keyring::FromBytes(bytes, &op.limits());
  if (!keys.ok()) return base::Wrap(keys.status(), path);
  return keys;
}

absl::StatusOr<openpgp::SecretKey> ReadSecretKey(std::string_view path, std::string_view passphrase,
                                                 const base::Op& op) {
  COAM_ASSIGN_OR_RETURN(std::string bytes,
                        base::ReadHostFile(op, path, op.limits().keyring_bytes, "keyring_bytes"));
  auto key = openpgp::SecretKey::FromBytes(bytes, passphrase, &op.limits());
  WipeString(&bytes);
  if (!key.ok()) return base::Wrap(key.status(), path);
  return key;
}

absl::StatusOr<openpgp::Verdict> VerifyFile(std::string_view signature_path,
                                            std::string_view data_path,
                                            const openpgp::Keyring& keys,
                                            const openpgp::Policy& policy, const base::Op& op) {
  COAM_ASSIGN_OR_RETURN(std::string signature, ReadSignature(signature_path, op));
  return WithData(data_path, "verify", op, [&](base::Reader& data) {
    return openpgp::VerifyDetached(signature, data, keys, policy, op);
  });
}

absl::StatusOr<openpgp::Verdict> VerifyFileFor(std::string_view image_name,
                                               std::string_view signature_path,
                                               std::string_view data_path, KeyStore& store,
                                               const openpgp::Policy& policy, const base::Op& op) {
  COAM_ASSIGN_OR_RETURN(std::string signature, ReadSignature(signature_path, op));
  return WithData(data_path, "verify", op, [&](base::Reader& data) {
    return store.Verify(image_name, signature, data, policy, op);
  });
}

absl::StatusOr<std::string> SignFile(const openpgp::SecretKey& key, std::string_view data_path,
                                     const openpgp::SignOptions& options, const base::Op& op) {
  return WithData(data_path, "sign", op,
                  [&](base::Reader& data) { return key.SignDetached(data, options, op); });
}

}  // namespace coaming::trust
