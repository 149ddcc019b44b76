// The repository side of coaming/tuf.h.
#include <coaming/tuf.h>

#include <memory>
#include <mutex>
#include <string>

#include "absl/strings/numbers.h"
#include "base/core/clock.h"
#include "capi/src/boundary.h"
#include "capi/src/call.h"
#include "capi/src/options.h"
#include "capi/src/sig.h"
#include "libtrust/client/tuf_directory.h"

namespace base = coaming::base;
namespace capi = coaming::capi;
namespace trust = coaming::trust;
namespace tuf = coaming::trust::tuf;

struct coam_tuf_repository : capi::Object {
  coam_tuf_repository(capi::Ref<coam_context> c, std::unique_ptr<trust::TufDirectory> d)
      : context(std::move(c)), directory(std::move(d)) {}
  capi::Ref<coam_context> context;
  std::mutex mutex;  // guards directory
  std::unique_ptr<trust::TufDirectory> directory;
};

namespace {

constexpr int64_t kDay = 86400;

// Runs `body(tuf::Repository&)` under the lock, after checking the pointers.
template <typename Body>
absl::Status With(coam_tuf_repository* repository, std::initializer_list<const void*> pointers,
                  Body body) {
  COAM_RETURN_IF_ERROR(capi::NotNull(repository, "repository"));
  for (const void* pointer : pointers)
    COAM_RETURN_IF_ERROR(capi::NotNull(static_cast<const char*>(pointer), "text"));
  const std::lock_guard<std::mutex> lock(repository->mutex);
  return body(repository->directory->repository());
}

}  // namespace

coam_code coam_tuf_repository_open(coam_context* context, const char* directory,
                                   coam_tuf_repository** ret_repository, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(context, "context"));
    COAM_RETURN_IF_ERROR(capi::NotNull(directory, "directory"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_repository, "ret_repository"));
    capi::Call call(context, nullptr);
    COAM_ASSIGN_OR_RETURN(auto opened, trust::TufDirectory::Open(directory, call.op()));
    *ret_repository =
        new coam_tuf_repository(capi::Ref<coam_context>::Share(context), std::move(opened));
    return absl::OkStatus();
  });
}

coam_tuf_repository* coam_tuf_repository_ref(coam_tuf_repository* repository) {
  return COAM_BOUNDARY_REF(repository);
}
void coam_tuf_repository_free(coam_tuf_repository* repository) { COAM_BOUNDARY_FREE(repository); }

coam_code coam_tuf_repository_init(coam_tuf_repository* repository, const coam_options* options,
                                   coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(repository, "repository"));
    COAM_ASSIGN_OR_RETURN(auto opt, capi::OptionReader::For("tuf.init", options));
    tuf::InitOptions init;
    init.now_s = capi::NowSeconds(opt.Int("time"));
    init.root_days = opt.Int("root-days");
    init.targets_days = opt.Int("targets-days");
    init.snapshot_days = opt.Int("snapshot-days");
    init.timestamp_days = opt.Int("timestamp-days");
    init.consistent_snapshot = opt.Bool("consistent-snapshot");
    for (const auto& [role, text] : opt.Map("threshold")) {
      int64_t number;
      if (!absl::SimpleAtoi(text, &number))
        return base::Fail("core.invalid_argument") << "threshold of " << role << " is no number";
      init.thresholds[role] = number;
    }
    std::map<std::string, std::vector<std::string>> keys;
    for (const char* role : {"root", "targets", "snapshot", "timestamp"})
      keys[role] = opt.List(std::string(role) + "-key");
    const std::lock_guard<std::mutex> lock(repository->mutex);
    return repository->directory->Init(init, keys);
  });
}

coam_code coam_tuf_repository_add_key(coam_tuf_repository* repository, const char* role,
                                      const char* public_pem, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    return With(repository, {role, public_pem}, [&](tuf::Repository& r) -> absl::Status {
      COAM_ASSIGN_OR_RETURN(auto key, trust::KeyObjectOfPem(public_pem));
      return r.AddKey(role, key);
    });
  });
}

coam_code coam_tuf_repository_remove_key(coam_tuf_repository* repository, const char* role,
                                         const char* keyid, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    return With(repository, {role, keyid},
                [&](tuf::Repository& r) { return r.RemoveKey(role, keyid); });
  });
}

coam_code coam_tuf_repository_set_threshold(coam_tuf_repository* repository, const char* role,
                                            int64_t threshold, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    return With(repository, {role},
                [&](tuf::Repository& r) { return r.SetThreshold(role, threshold); });
  });
}

coam_code coam_tuf_repository_set_expiry(coam_tuf_repository* repository, const char* role,
                                         int64_t expires, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    return With(repository, {role}, [&](tuf::Repository& r) { return r.SetExpiry(role, expires); });
  });
}

coam_code coam_tuf_repository_add_target(coam_tuf_repository* repository, const char* role,
                                         const char* path, const char* file, const char* custom,
                                         coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(repository, "repository"));
    COAM_RETURN_IF_ERROR(capi::NotNull(role, "role"));
    COAM_RETURN_IF_ERROR(capi::NotNull(path, "path"));
    COAM_RETURN_IF_ERROR(capi::NotNull(file, "file"));
    capi::Call call(repository->context.get(), nullptr);
    const std::lock_guard<std::mutex> lock(repository->mutex);
    return repository->directory->AddTarget(role, path, file, custom != nullptr ? custom : "",
                                            call.op());
  });
}

coam_code coam_tuf_repository_remove_target(coam_tuf_repository* repository, const char* role,
                                            const char* path, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    return With(repository, {role, path},
                [&](tuf::Repository& r) { return r.RemoveTarget(role, path); });
  });
}

coam_code coam_tuf_repository_delegate(coam_tuf_repository* repository, const char* role,
                                       const char* name, const coam_options* options,
                                       coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_ASSIGN_OR_RETURN(auto opt, capi::OptionReader::For("tuf.delegate", options));
    return With(repository, {role, name}, [&](tuf::Repository& r) -> absl::Status {
      std::vector<base::json::Value> keys;
      for (const std::string& pem : opt.List("key")) {
        COAM_ASSIGN_OR_RETURN(auto key, trust::KeyObjectOfPem(pem));
        keys.push_back(std::move(key));
      }
      int64_t expires = capi::NowSeconds(opt.Int("time")) + opt.Int("days") * kDay;
      if (int64_t bits = opt.Int("bits"); bits != 0) {
        tuf::SuccinctRoles bins;
        bins.keys.threshold = opt.Int("threshold");
        bins.bit_length = bits > 0 && bits <= 32 ? static_cast<int>(bits) : 0;
        bins.name_prefix = name;
        return r.DelegateBins(role, bins, keys, expires);
      }
      tuf::DelegatedRole delegated;
      delegated.name = name;
      delegated.keys.threshold = opt.Int("threshold");
      delegated.terminating = opt.Bool("terminating");
      if (opt.Has("path")) delegated.paths = opt.List("path");
      if (opt.Has("hash-prefix")) delegated.path_hash_prefixes = opt.List("hash-prefix");
      return r.Delegate(role, delegated, keys, expires);
    });
  });
}

coam_code coam_tuf_repository_remove_delegation(coam_tuf_repository* repository, const char* role,
                                                const char* name, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    return With(repository, {role, name},
                [&](tuf::Repository& r) { return r.RemoveDelegation(role, name); });
  });
}

coam_code coam_tuf_repository_snapshot(coam_tuf_repository* repository, int64_t expires,
                                       int32_t* ret_changed, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    return With(repository, {}, [&](tuf::Repository& r) -> absl::Status {
      bool changed = false;
      COAM_RETURN_IF_ERROR(r.Snapshot(expires, &changed));
      if (ret_changed != nullptr) *ret_changed = changed ? 1 : 0;
      return absl::OkStatus();
    });
  });
}

coam_code coam_tuf_repository_timestamp(coam_tuf_repository* repository, int64_t expires,
                                        int32_t* ret_changed, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    return With(repository, {}, [&](tuf::Repository& r) -> absl::Status {
      bool changed = false;
      COAM_RETURN_IF_ERROR(r.Timestamp(expires, &changed));
      if (ret_changed != nullptr) *ret_changed = changed ? 1 : 0;
      return absl::OkStatus();
    });
  });
}

coam_code coam_tuf_repository_to_be_signed(coam_tuf_repository* repository, const char* role,
                                           coam_buf** ret_bytes, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    return With(repository, {role, ret_bytes}, [&](tuf::Repository& r) -> absl::Status {
      COAM_ASSIGN_OR_RETURN(std::string bytes, r.ToBeSigned(role));
      *ret_bytes = new coam_buf(std::move(bytes));
      return absl::OkStatus();
    });
  });
}

coam_code coam_tuf_repository_add_signature(coam_tuf_repository* repository, const char* role,
                                            const char* keyid, const void* signature, size_t size,
                                            coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    return With(repository, {role, keyid, signature}, [&](tuf::Repository& r) {
      return r.AddSignature(role, keyid, capi::Bytes(signature, size));
    });
  });
}

coam_code coam_tuf_repository_sign(coam_tuf_repository* repository, const char* role,
                                   const char* private_pem, const char* passphrase,
                                   coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(repository, "repository"));
    COAM_RETURN_IF_ERROR(capi::NotNull(role, "role"));
    COAM_RETURN_IF_ERROR(capi::NotNull(private_pem, "private_pem"));
    const std::lock_guard<std::mutex> lock(repository->mutex);
    return repository->directory->SignPem(role, private_pem,
                                          passphrase != nullptr ? passphrase : "");
  });
}

coam_code coam_tuf_repository_state(coam_tuf_repository* repository, coam_buf** ret_json,
                                    coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(repository, "repository"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_json, "ret_json"));
    const std::lock_guard<std::mutex> lock(repository->mutex);
    COAM_ASSIGN_OR_RETURN(std::string json, repository->directory->StateJson());
    *ret_json = new coam_buf(std::move(json));
    return absl::OkStatus();
  });
}

coam_code coam_tuf_repository_publish(coam_tuf_repository* repository, coam_error** ret_error) {
  return COAM_BOUNDARY(
      ret_error, { return With(repository, {}, [&](tuf::Repository& r) { return r.Publish(); }); });
}

coam_code coam_tuf_repository_verify(coam_tuf_repository* repository, int64_t time,
                                     coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    return With(repository, {},
                [&](tuf::Repository& r) { return r.Verify(capi::NowSeconds(time)); });
  });
}

coam_code coam_tuf_key_generate(coam_context* context, const char* type, const char* passphrase,
                                coam_buf** ret_private_pem, coam_buf** ret_public_pem,
                                coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(context, "context"));
    COAM_RETURN_IF_ERROR(capi::NotNull(type, "type"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_private_pem, "ret_private_pem"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_public_pem, "ret_public_pem"));
    COAM_ASSIGN_OR_RETURN(auto pair,
                          trust::GenerateTufKey(type, passphrase != nullptr ? passphrase : ""));
    auto secret = std::make_unique<capi::SecretBuf>(pair.private_pem);
    trust::WipeString(&pair.private_pem);
    *ret_public_pem = new coam_buf(std::move(pair.public_pem));
    *ret_private_pem = secret.release();
    return absl::OkStatus();
  });
}

coam_code coam_tuf_key_id(const char* public_pem, coam_buf** ret_keyid, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(public_pem, "public_pem"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_keyid, "ret_keyid"));
    COAM_ASSIGN_OR_RETURN(std::string id, trust::TufKeyId(public_pem));
    *ret_keyid = new coam_buf(std::move(id));
    return absl::OkStatus();
  });
}
