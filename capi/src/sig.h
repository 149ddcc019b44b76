// Handles of coaming/sig.h.
#ifndef COAMING_CAPI_SRC_SIG_H_
#define COAMING_CAPI_SRC_SIG_H_

#include <coaming/sig.h>

#include <memory>
#include <mutex>
#include <string>

#include "capi/src/boundary.h"
#include "capi/src/call.h"
#include "capi/src/options.h"
#include "libtrust/client/key_directory.h"
#include "libtrust/keys/secret.h"
#include "libtrust/keystore/keystore.h"
#include "libtrust/openpgp/certificate.h"
#include "libtrust/openpgp/sign.h"
#include "libtrust/openpgp/verify.h"

struct coam_sig_keyring : coaming::capi::Object {
  explicit coam_sig_keyring(coaming::trust::openpgp::Keyring k);
  const coaming::trust::openpgp::Keyring keys;
  const std::string review, armored, json;
};

struct coam_sig_verdict : coaming::capi::Object {
  explicit coam_sig_verdict(coaming::trust::openpgp::Verdict v);
  const coaming::trust::openpgp::Verdict verdict;
  const std::string json;
};

struct coam_sig_verifier : coaming::capi::Object {
  explicit coam_sig_verifier(std::unique_ptr<coaming::trust::openpgp::DetachedVerifier> v)
      : verifier(std::move(v)) {}
  std::unique_ptr<coaming::trust::openpgp::DetachedVerifier> verifier;  // null once finished
};

struct coam_sig_key : coaming::capi::Object {
  explicit coam_sig_key(coaming::trust::openpgp::SecretKey k) : key(std::move(k)) {}
  const coaming::trust::openpgp::SecretKey key;
};

struct coam_sig_keystore : coaming::capi::Object {
  coam_sig_keystore(std::unique_ptr<coaming::trust::KeyDirectory> l,
                    std::unique_ptr<coaming::trust::KeyDirectory> s)
      : local(std::move(l)), system(std::move(s)), store(local.get(), system.get()) {}
  std::mutex mutex;  // guards the rest
  std::unique_ptr<coaming::trust::KeyDirectory> local, system;
  coaming::trust::KeyStore store;
};

namespace coaming::capi {

// SecretBuf is a coam_buf that is wiped when it is freed.
struct SecretBuf : coam_buf {
  explicit SecretBuf(std::string_view b) : coam_buf(std::string(b)) {}
  ~SecretBuf() override { trust::Wipe(const_cast<char*>(bytes.data()), bytes.size()); }
};

// FixedClock tells one time of day; the rest is the system's.
class FixedClock final : public base::Clock {
 public:
  explicit FixedClock(int64_t seconds) : seconds_(seconds) {}
  int64_t MonotonicNs() const override { return base::SystemClock().MonotonicNs(); }
  int64_t RealtimeNs() const override { return seconds_ * 1000000000; }

 private:
  int64_t seconds_;
};

// SigVerify is what the options of family "sig.verify" say.
struct SigVerify {
  trust::openpgp::Policy policy;
  int64_t time = 0;  // 0: now
};
absl::StatusOr<SigVerify> ReadSigVerify(const coam_options* options);

// TimedOp is an operation whose time of day the options may fix.
class TimedOp {
 public:
  TimedOp(const base::Op& op, int64_t time) : clock_(time), op_(op) {
    if (time != 0) op_.set_clock(&clock_);
  }
  const base::Op& op() const { return op_; }

 private:
  FixedClock clock_;
  base::Op op_;
};

int64_t NowSeconds(int64_t time);  // `time`, or now if it is 0

inline std::string_view Bytes(const void* data, size_t size) {
  return size == 0 ? std::string_view() : std::string_view(static_cast<const char*>(data), size);
}

}  // namespace coaming::capi

#endif  // COAMING_CAPI_SRC_SIG_H_
