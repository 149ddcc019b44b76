// Changes, publications and private keys of coaming/notary.h.
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "capi/src/notary.h"
#include "capi/src/sig.h"
#include "libtrust/notary/change.h"

namespace base = coaming::base;
namespace capi = coaming::capi;
namespace notary = coaming::trust::notary;
namespace trust = coaming::trust;

namespace {

std::string OrEmpty(const char* text) { return text == nullptr ? "" : text; }

std::vector<std::string> RolesOr(const capi::OptionReader& opt) {
  std::vector<std::string> roles = opt.List("role");
  if (roles.empty()) roles.push_back(std::string(notary::kTargets));
  return roles;
}

absl::Status StageFor(coam_notary* handle, const char* gun, const coam_options* options,
                      const std::vector<notary::Change>& changes) {
  return capi::WithNotary(handle, {gun}, options, [&](trust::NotaryClient& c, const base::Op& op) {
    return c.Stage(gun, changes, op);
  });
}

absl::StatusOr<notary::FileMeta> ReadTarget(const capi::OptionReader& opt, const base::Op& op) {
  notary::FileMeta out;
  if (opt.Has("file")) {
    COAM_ASSIGN_OR_RETURN(out, trust::NotaryClient::HashFile(opt.String("file"), op));
  } else {
    out.length = opt.Int("length");
    for (const auto& [name, hex] : opt.Map("hash")) {
      COAM_ASSIGN_OR_RETURN(base::Digest d, base::Digest::Parse(absl::StrCat(name, ":", hex)));
      out.hashes[name] = d.Bytes();
    }
    if (out.length < 0 || out.hashes.empty())
      return base::Fail("core.invalid_argument") << "a target needs a file, or a length and a hash";
  }
  if (opt.Has("custom")) {
    COAM_ASSIGN_OR_RETURN(out.custom, notary::ParseCustom(opt.String("custom")));
  }
  return out;
}

bool IsWildcard(std::string_view role) {
  return role.size() > 2 && role.substr(role.size() - 2) == "/*";
}

}  // namespace

coam_code coam_notary_init(coam_notary* handle, const char* gun, const coam_options* options,
                           coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_ASSIGN_OR_RETURN(auto opt, capi::OptionReader::For("notary.init", options));
    const trust::NotaryInit init{opt.List("root-key"), opt.List("root-cert"),
                                 opt.Bool("server-snapshot")};
    return capi::WithNotary(
        handle, {gun}, options,
        [&](trust::NotaryClient& c, const base::Op& op) { return c.Init(gun, init, op); });
  });
}

coam_code coam_notary_add(coam_notary* handle, const char* gun, const char* name,
                          const coam_options* options, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_ASSIGN_OR_RETURN(auto opt, capi::OptionReader::For("notary.add", options));
    return capi::WithNotary(handle, {gun, name}, options,
                            [&](trust::NotaryClient& c, const base::Op& op) -> absl::Status {
                              COAM_ASSIGN_OR_RETURN(notary::FileMeta meta, ReadTarget(opt, op));
                              std::vector<notary::Change> changes;
                              for (const std::string& role : RolesOr(opt))
                                changes.push_back(notary::AddTarget(role, name, meta));
                              return c.Stage(gun, changes, op);
                            });
  });
}

coam_code coam_notary_remove(coam_notary* handle, const char* gun, const char* name,
                             const coam_options* options, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(name, "name"));
    COAM_ASSIGN_OR_RETURN(auto opt, capi::OptionReader::For("notary.add", options));
    std::vector<notary::Change> changes;
    for (const std::string& role : RolesOr(opt))
      changes.push_back({"delete", role, "target", name, ""});
    return StageFor(handle, gun, options, changes);
  });
}

coam_code coam_notary_delegate(coam_notary* handle, const char* gun, const char* role,
                               const coam_options* options, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(role, "role"));
    COAM_ASSIGN_OR_RETURN(auto opt, capi::OptionReader::For("notary.delegation", options));
    if (!notary::IsDelegation(role))
      return base::Fail("notary.role") << "\"" << role << "\" is no role beneath targets";
    notary::DelegationChange keys, paths;
    for (const std::string& pem : opt.List("key")) {
      COAM_ASSIGN_OR_RETURN(keys.add_keys.emplace_back(), notary::KeyOfPem(pem));
    }
    paths.add_paths = opt.List("path");
    if (opt.Bool("all-paths")) paths.add_paths = {""};
    // As the Go client: one change for the keys, which may make the role, one for the paths.
    std::vector<notary::Change> changes;
    if (!keys.add_keys.empty()) {
      keys.threshold = 1;
      changes.push_back({"create", role, "delegation", "", notary::WriteDelegationChange(keys)});
    }
    if (!paths.add_paths.empty())
      changes.push_back({"create", role, "delegation", "", notary::WriteDelegationChange(paths)});
    if (changes.empty())
      return base::Fail("core.invalid_argument") << role << ": neither a key nor a path is given";
    return StageFor(handle, gun, options, changes);
  });
}

coam_code coam_notary_undelegate(coam_notary* handle, const char* gun, const char* role,
                                 const coam_options* options, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(role, "role"));
    COAM_ASSIGN_OR_RETURN(auto opt, capi::OptionReader::For("notary.delegation", options));
    if (!notary::IsDelegation(role) && !IsWildcard(role))
      return base::Fail("notary.role") << "\"" << role << "\" is no role beneath targets";
    notary::DelegationChange what;
    what.remove_keys = opt.List("key-id");
    what.remove_paths = opt.List("path");
    what.clear_paths = opt.Bool("all-paths");
    notary::Change change{"delete", role, "delegation", "", ""};
    if (!what.remove_keys.empty() || !what.remove_paths.empty() || what.clear_paths) {
      change.action = "update";
      change.data = notary::WriteDelegationChange(what);
    } else if (IsWildcard(role)) {
      return base::Fail("core.invalid_argument") << role << ": a purge needs the ids of keys";
    }
    return StageFor(handle, gun, options, {change});
  });
}

coam_code coam_notary_witness(coam_notary* handle, const char* gun, const char* role,
                              coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(role, "role"));
    if (role != notary::kTargets && !notary::IsDelegation(role))
      return base::Fail("notary.role") << "\"" << role << "\" holds no targets";
    return StageFor(handle, gun, nullptr, {{"update", role, "witness", "", ""}});
  });
}

coam_code coam_notary_staged(coam_notary* handle, const char* gun, coam_buf** ret_json,
                             coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_json, "ret_json"));
    return capi::WithNotary(handle, {gun}, nullptr,
                            [&](trust::NotaryClient& c, const base::Op&) -> absl::Status {
                              COAM_ASSIGN_OR_RETURN(auto changes, c.Staged(gun));
                              *ret_json = new coam_buf(notary::ChangesToJson(gun, changes));
                              return absl::OkStatus();
                            });
  });
}

coam_code coam_notary_unstage(coam_notary* handle, const char* gun, int64_t index,
                              coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    std::vector<int64_t> indices;
    if (index != -1) indices.push_back(index);
    return capi::WithNotary(handle, {gun}, nullptr, [&](trust::NotaryClient& c, const base::Op&) {
      return c.Unstage(gun, indices);
    });
  });
}

coam_code coam_notary_publish(coam_notary* handle, const char* gun, const coam_options* options,
                              coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::OptionReader::For("notary.run", options).status());
    return capi::WithNotary(
        handle, {gun}, options,
        [&](trust::NotaryClient& c, const base::Op& op) { return c.Publish(gun, op); });
  });
}

coam_code coam_notary_rotate(coam_notary* handle, const char* gun, const char* role,
                             const coam_options* options, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_ASSIGN_OR_RETURN(auto opt, capi::OptionReader::For("notary.rotate", options));
    return capi::WithNotary(
        handle, {gun, role}, options, [&](trust::NotaryClient& c, const base::Op& op) {
          return c.Rotate(gun, role, opt.Bool("server"), opt.List("key-id"), op);
        });
  });
}

coam_code coam_notary_delete(coam_notary* handle, const char* gun, int32_t remote,
                             const coam_options* options, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::OptionReader::For("notary.run", options).status());
    return capi::WithNotary(
        handle, {gun}, options,
        [&](trust::NotaryClient& c, const base::Op& op) { return c.Delete(gun, remote != 0, op); });
  });
}

coam_code coam_notary_keys(coam_notary* handle, coam_buf** ret_json, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_json, "ret_json"));
    return capi::WithNotary(handle, {}, nullptr,
                            [&](trust::NotaryClient& c, const base::Op&) -> absl::Status {
                              COAM_ASSIGN_OR_RETURN(auto keys, c.keys().List());
                              *ret_json = new coam_buf(trust::NotaryKeysToJson(keys));
                              return absl::OkStatus();
                            });
  });
}

coam_code coam_notary_key_generate(coam_notary* handle, const char* role, const char* gun,
                                   coam_buf** ret_json, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_json, "ret_json"));
    return capi::WithNotary(
        handle, {role}, nullptr, [&](trust::NotaryClient& c, const base::Op&) -> absl::Status {
          COAM_ASSIGN_OR_RETURN(notary::Key key, c.keys().Create(role, OrEmpty(gun)));
          *ret_json = new coam_buf(trust::NotaryKeyToJson(key, role, OrEmpty(gun)));
          return absl::OkStatus();
        });
  });
}

coam_code coam_notary_key_import(coam_notary* handle, const char* pem, const char* role,
                                 const char* gun, coam_buf** ret_json, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_json, "ret_json"));
    return capi::WithNotary(
        handle, {pem}, nullptr, [&](trust::NotaryClient& c, const base::Op&) -> absl::Status {
          COAM_ASSIGN_OR_RETURN(auto ids, c.keys().Import(pem, OrEmpty(role), OrEmpty(gun)));
          *ret_json = new coam_buf(trust::NotaryImportedToJson(ids));
          return absl::OkStatus();
        });
  });
}

coam_code coam_notary_key_export(coam_notary* handle, const char* key_id, const char* gun,
                                 coam_buf** ret_pem, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_pem, "ret_pem"));
    return capi::WithNotary(
        handle, {}, nullptr, [&](trust::NotaryClient& c, const base::Op&) -> absl::Status {
          std::vector<std::string> ids;
          if (key_id != nullptr) ids.push_back(key_id);
          COAM_ASSIGN_OR_RETURN(std::string pem, c.keys().Export(ids, OrEmpty(gun)));
          *ret_pem = new capi::SecretBuf(pem);
          trust::WipeString(&pem);
          return absl::OkStatus();
        });
  });
}

coam_code coam_notary_key_protect(coam_notary* handle, const char* key_id, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    return capi::WithNotary(
        handle, {key_id}, nullptr,
        [&](trust::NotaryClient& c, const base::Op&) { return c.keys().ChangePassphrase(key_id); });
  });
}

coam_code coam_notary_key_remove(coam_notary* handle, const char* key_id, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    return capi::WithNotary(
        handle, {key_id}, nullptr,
        [&](trust::NotaryClient& c, const base::Op&) { return c.keys().Remove(key_id); });
  });
}
