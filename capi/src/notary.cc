// The trust directory of coaming/notary.h, its option families, and what is read.
#include "capi/src/notary.h"

#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "capi/src/modules.h"
#include "liboci/reference/reference.h"

namespace base = coaming::base;
namespace capi = coaming::capi;
namespace notary = coaming::trust::notary;
namespace oci = coaming::oci;
namespace trust = coaming::trust;

namespace coaming::capi {
namespace {

using enum OptionType;

constexpr OptionRow kOpenRows[] = {
    {"server", kString, "", "1.0", "URL of the notary-server"},
    {"trust-dir", kPath, "", "1.0", "directory of keys and metadata, like ~/.docker/trust"},
    {"pin-cert", kList, "", "1.0", "GUN=ID or PREFIX*=ID: root certificates to trust, by key id"},
    {"pin-ca", kList, "", "1.0", "PREFIX=FILE: the authority of root certificates, PEM"},
    {"tofu", kBool, "true", "1.0", "trust the first root of a name that no pin speaks of"},
    {"creds-fd", kFd, "", "1.0", "descriptor to read USER:PASSWORD from"},
    {"allow-http", kBool, "false", "1.0", "speak plain http to the server"},
    {"ca-file", kPath, "", "1.0", "further CA certificates, as PEM"},
    {"client-cert", kPath, "", "1.0", "certificate of this client, as PEM"},
    {"client-key", kPath, "", "1.0", "key of this client, as PEM"},
    {"tls-verify", kBool, "true", "1.0", "check certificates"},
    {"resolve", kList, "", "1.0", "HOST:PORT:ADDRESS to connect to instead of asking DNS"},
    {"http-proxy", kString, "", "1.0", "proxy for http"},
    {"https-proxy", kString, "", "1.0", "proxy for https"},
    {"no-proxy", kString, "", "1.0", "hosts, domains and networks without a proxy, by commas"},
};

constexpr OptionRow kTargetRows[] = {
    {"role", kList, "", "1.0", "role to ask, in order of priority (targets and all beneath)"},
    {"released", kBool, "false", "1.0", "docker's view: targets/releases, then targets itself"},
};

constexpr OptionRow kAddRows[] = {
    {"role", kList, "", "1.0", "role to sign in (targets)"},
    {"file", kPath, "", "1.0", "file whose length and hashes are signed"},
    {"length", kInt, "-1", "1.0", "or its length in bytes"},
    {"hash", kMap, "", "1.0", "and hashes, sha256=HEX or sha512=HEX"},
    {"custom", kString, "", "1.0", "JSON to sign beside it"},
};

constexpr OptionRow kInitRows[] = {
    {"root-key", kList, "", "1.0", "id of a root key (the first there is, or a new one)"},
    {"root-cert", kList, "", "1.0", "certificate of a root key, as PEM text (made if not given)"},
    {"server-snapshot", kBool, "false", "1.0", "the server holds the snapshot key"},
};

constexpr OptionRow kDelegationRows[] = {
    {"key", kList, "", "1.0", "public key or certificate, as PEM text"},
    {"key-id", kList, "", "1.0", "id of a key to take away"},
    {"path", kList, "", "1.0", "prefix of names that the role may sign"},
    {"all-paths", kBool, "false", "1.0", "all names; when taking away, all paths"},
};

constexpr OptionRow kRotateRows[] = {
    {"server", kBool, "false", "1.0", "the server holds the new key"},
    {"key-id", kList, "", "1.0", "id of a private key to use (a new one is made)"},
};

constexpr OptionFamily kFamilies[] = {
    {"notary.open", "a notary-server and a trust directory", kOpenRows},
    {"notary.run", "a call that asks the server", {}},
    {"notary.target", "which roles speak of a target", kTargetRows},
    {"notary.add", "a target to sign", kAddRows},
    {"notary.init", "the keys of a new repository", kInitRows},
    {"notary.delegation", "keys and paths of a delegated role", kDelegationRows},
    {"notary.rotate", "the keys that replace a role's", kRotateRows},
};

constexpr const char* kFeatures[] = {"notary.client"};

constexpr size_t kPassphraseBytes = 4096;

}  // namespace

Module NotaryModule() { return {"notary", kFamilies, kFeatures}; }

}  // namespace coaming::capi

namespace {

// "KEY=VALUE" of an option that may come often.
absl::StatusOr<std::pair<std::string, std::string>> SplitPin(const std::string& text) {
  const size_t at = text.find('=');
  if (at == std::string::npos || at == 0 || at + 1 == text.size())
    return base::Fail("core.invalid_argument") << "a pin is not NAME=VALUE: " << text;
  return std::pair(text.substr(0, at), text.substr(at + 1));
}

absl::StatusOr<trust::NotaryOptions> ReadOpen(const capi::OptionReader& opt) {
  trust::NotaryOptions out;
  out.trust_dir = opt.String("trust-dir");
  out.access.url = opt.String("server");
  out.access.allow_http = opt.Bool("allow-http");
  out.credentials_fd = static_cast<int>(opt.Int("creds-fd"));
  for (const std::string& pin : opt.List("pin-cert")) {
    COAM_ASSIGN_OR_RETURN(auto entry, SplitPin(pin));
    out.pins.certificates[entry.first].push_back(entry.second);
  }
  for (const std::string& pin : opt.List("pin-ca")) {
    COAM_ASSIGN_OR_RETURN(auto entry, SplitPin(pin));
    out.authority_files[entry.first] = entry.second;
  }
  out.pins.trust_on_first_use = opt.Bool("tofu");
  out.web.ca_file = opt.String("ca-file");
  out.web.client_cert = opt.String("client-cert");
  out.web.client_key = opt.String("client-key");
  out.web.tls_verify = opt.Bool("tls-verify");
  out.web.resolve = opt.List("resolve");
  out.web.http_proxy = opt.String("http-proxy");
  out.web.https_proxy = opt.String("https-proxy");
  out.web.no_proxy = opt.String("no-proxy");
  if (out.trust_dir.empty())
    return base::Fail("core.invalid_argument") << "the option trust-dir is missing";
  return out;
}

absl::StatusOr<trust::SecretBytes> AskHost(const coam_notary& notary,
                                           const trust::PassphraseRequest& request) {
  trust::SecretBytes out(capi::kPassphraseBytes);
  if (out.empty()) return base::Fail("core.no_memory") << "ask for a passphrase";
  const int32_t answer =
      notary.ask(notary.user, request.key_id.c_str(), request.role.c_str(), request.create ? 1 : 0,
                 request.attempt, out.data(), out.size() - 1);
  if (answer != 0)
    return base::Fail("sig.passphrase") << "no passphrase for the " << request.role << " key "
                                        << request.key_id.substr(0, 7) << " was given";
  out.Truncate(std::char_traits<char>::length(out.data()));
  return out;
}

absl::StatusOr<oci::Reference> ReadImage(std::string_view image) {
  if (absl::StartsWith(image, "docker://")) image.remove_prefix(9);
  return oci::Reference::Parse(image);
}

struct Roles {
  std::vector<std::string> list;
  bool only_named = false;
};

absl::StatusOr<Roles> ReadRoles(const coam_options* options) {
  COAM_ASSIGN_OR_RETURN(auto opt, capi::OptionReader::For("notary.target", options));
  Roles out{opt.List("role"), opt.Bool("released")};
  if (out.only_named && out.list.empty()) out.list = notary::kReleaseRoles;
  return out;
}

absl::StatusOr<notary::Named> Lookup(trust::NotaryClient& client, const std::string& gun,
                                     const std::string& name, const Roles& roles,
                                     const base::Op& op) {
  COAM_ASSIGN_OR_RETURN(notary::Collection now, client.Update(gun, op));
  auto found = now.Find(name, roles.list, roles.only_named);
  if (found) return *std::move(found);
  return base::Fail("notary.no_target") << "No valid trust data for " << name << " in " << gun;
}

}  // namespace

coam_code coam_notary_open(coam_context* context, const coam_options* options,
                           coam_notary** ret_notary, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(context, "context"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_notary, "ret_notary"));
    COAM_ASSIGN_OR_RETURN(auto opt, capi::OptionReader::For("notary.open", options));
    COAM_ASSIGN_OR_RETURN(trust::NotaryOptions settings, ReadOpen(opt));
    COAM_ASSIGN_OR_RETURN(auto client, trust::NotaryClient::Open(std::move(settings)));
    *ret_notary = new coam_notary(capi::Ref<coam_context>::Share(context), std::move(client));
    return absl::OkStatus();
  });
}

coam_notary* coam_notary_ref(coam_notary* notary) { return COAM_BOUNDARY_REF(notary); }
void coam_notary_free(coam_notary* notary) { COAM_BOUNDARY_FREE(notary); }

void coam_notary_set_passphrase(coam_notary* notary, coam_notary_passphrase_fn fn, void* user,
                                void (*user_free)(void* user)) {
  COAM_BOUNDARY_VALUE(0, {
    if (notary == nullptr) return 0;
    if (notary->user_free != nullptr) notary->user_free(notary->user);
    notary->ask = fn;
    notary->user = user;
    notary->user_free = user_free;
    notary->client->keys().set_passphrases(
        fn == nullptr ? trust::Passphrases() : [notary](const trust::PassphraseRequest& r) {
          return AskHost(*notary, r);
        });
    return 0;
  });
}

coam_code coam_notary_list(coam_notary* notary, const char* gun, const coam_options* options,
                           coam_buf** ret_json, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_json, "ret_json"));
    COAM_ASSIGN_OR_RETURN(Roles roles, ReadRoles(options));
    return capi::WithNotary(
        notary, {gun}, options, [&](trust::NotaryClient& c, const base::Op& op) -> absl::Status {
          COAM_ASSIGN_OR_RETURN(notary::Collection now, c.Update(gun, op));
          *ret_json =
              new coam_buf(notary::TargetsToJson(now, now.List(roles.list, roles.only_named)));
          return absl::OkStatus();
        });
  });
}

coam_code coam_notary_lookup(coam_notary* notary, const char* gun, const char* name,
                             const coam_options* options, coam_buf** ret_json,
                             coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_json, "ret_json"));
    COAM_ASSIGN_OR_RETURN(Roles roles, ReadRoles(options));
    return capi::WithNotary(notary, {gun, name}, options,
                            [&](trust::NotaryClient& c, const base::Op& op) -> absl::Status {
                              COAM_ASSIGN_OR_RETURN(notary::Named t,
                                                    Lookup(c, gun, name, roles, op));
                              *ret_json = new coam_buf(notary::TargetToJson(t));
                              return absl::OkStatus();
                            });
  });
}

coam_code coam_notary_verify(coam_notary* notary, const char* gun, const char* name,
                             const char* file, const coam_options* options,
                             coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_ASSIGN_OR_RETURN(Roles roles, ReadRoles(options));
    return capi::WithNotary(notary, {gun, name, file}, options,
                            [&](trust::NotaryClient& c, const base::Op& op) -> absl::Status {
                              COAM_ASSIGN_OR_RETURN(notary::Named t,
                                                    Lookup(c, gun, name, roles, op));
                              return trust::NotaryClient::VerifyFile(t, file, op);
                            });
  });
}

coam_code coam_notary_state(coam_notary* notary, const char* gun, const coam_options* options,
                            coam_buf** ret_json, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_json, "ret_json"));
    COAM_RETURN_IF_ERROR(capi::OptionReader::For("notary.run", options).status());
    return capi::WithNotary(notary, {gun}, options,
                            [&](trust::NotaryClient& c, const base::Op& op) -> absl::Status {
                              COAM_ASSIGN_OR_RETURN(notary::Collection now, c.Update(gun, op));
                              *ret_json = new coam_buf(notary::StateToJson(now));
                              return absl::OkStatus();
                            });
  });
}

coam_code coam_notary_resolve(coam_notary* notary, const char* image, const coam_options* options,
                              coam_buf** ret_name, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(image, "image"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_name, "ret_name"));
    COAM_RETURN_IF_ERROR(capi::OptionReader::For("notary.run", options).status());
    COAM_ASSIGN_OR_RETURN(oci::Reference reference, ReadImage(image));
    return capi::WithNotary(
        notary, {}, options, [&](trust::NotaryClient& c, const base::Op& op) -> absl::Status {
          std::string digest = reference.digest.str();
          if (digest.empty()) {
            COAM_ASSIGN_OR_RETURN(notary::Named t, Lookup(c, reference.Name(), reference.tag,
                                                          {notary::kReleaseRoles, true}, op));
            auto sha256 = t.meta.hashes.find("sha256");
            if (sha256 == t.meta.hashes.end())
              return base::Fail("notary.no_target")
                     << "No valid trust data for " << reference.tag << ": no sha256 is signed";
            digest = base::Digest::FromBytes(base::DigestAlgorithm::kSha256, sha256->second).str();
          }
          *ret_name = new coam_buf(absl::StrCat("docker://", reference.Name(), "@", digest));
          return absl::OkStatus();
        });
  });
}

namespace {

// Runs one of the two calls that change a repository at once and tells the roles.
template <typename Body>
absl::Status ChangeImage(coam_notary* notary, const char* image, const coam_options* options,
                         coam_buf** ret_json, Body body) {
  COAM_RETURN_IF_ERROR(capi::NotNull(image, "image"));
  COAM_RETURN_IF_ERROR(capi::NotNull(ret_json, "ret_json"));
  COAM_RETURN_IF_ERROR(capi::OptionReader::For("notary.run", options).status());
  COAM_ASSIGN_OR_RETURN(oci::Reference reference, ReadImage(image));
  return capi::WithNotary(
      notary, {}, options, [&](trust::NotaryClient& c, const base::Op& op) -> absl::Status {
        COAM_ASSIGN_OR_RETURN(std::vector<std::string> roles, body(c, reference, op));
        *ret_json = new coam_buf(notary::SignedRolesToJson(reference.Name(), reference.tag, roles));
        return absl::OkStatus();
      });
}

}  // namespace

coam_code coam_notary_sign(coam_notary* notary, const char* image, const char* digest, int64_t size,
                           const coam_options* options, coam_buf** ret_json,
                           coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(digest, "digest"));
    COAM_ASSIGN_OR_RETURN(base::Digest d, base::Digest::Parse(digest));
    if (!d.verifiable() || size < 0)
      return base::Fail("core.invalid_argument") << "digest or size of " << digest;
    notary::FileMeta meta;
    meta.length = size;
    meta.hashes[std::string(d.algorithm())] = d.Bytes();
    return ChangeImage(notary, image, options, ret_json,
                       [&](trust::NotaryClient& c, const oci::Reference& r, const base::Op& op) {
                         return c.Sign(r.Name(), r.tag, meta, op);
                       });
  });
}

coam_code coam_notary_revoke(coam_notary* notary, const char* image, const coam_options* options,
                             coam_buf** ret_json, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(image, "image"));
    // A name without a tag means all of them here, not "latest".
    const std::string_view text(image);
    const bool all = text.find(':', text.rfind('/') + 1) == std::string_view::npos;
    return ChangeImage(notary, image, options, ret_json,
                       [&](trust::NotaryClient& c, const oci::Reference& r, const base::Op& op) {
                         return c.Revoke(r.Name(), all ? "" : r.tag, op);
                       });
  });
}
