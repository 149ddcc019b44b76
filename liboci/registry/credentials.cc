#include "liboci/registry/credentials.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/fs/file.h"
#include "base/json/json.h"
#include "base/process/process.h"

namespace coaming::oci {
namespace {

namespace json = base::json;

constexpr std::string_view kHubKey = "https://index.docker.io/v1/";
constexpr std::string_view kNoneText = "credentials not found in native keychain";

absl::Status Bad(std::string_view authfile, std::string_view why) {
  return base::Fail("oci.authfile") << "credentials file " << authfile << ": " << why;
}

// KeyHost turns a key of `auths` into what it stands for: "https://host/v1/" is "host".
std::string KeyHost(std::string_view key) {
  bool url = false;
  for (std::string_view scheme : {"https://", "http://"}) {
    if (!key.starts_with(scheme)) continue;
    key.remove_prefix(scheme.size());
    url = true;
    break;
  }
  if (url) key = key.substr(0, key.find('/'));
  while (key.ends_with('/')) key.remove_suffix(1);
  if (key == "index.docker.io" || key == "registry-1.docker.io") return "docker.io";
  return std::string(key);
}

absl::StatusOr<json::Value> ReadAuthfile(const base::Op& op, const std::string& authfile) {
  absl::StatusOr<std::string> text =
      base::ReadHostFile(op, authfile, op.limits().manifest_bytes, "manifest_bytes");
  if (!text.ok()) return text.status();
  absl::StatusOr<json::Value> doc = json::ParseObject(*text, {.limits = &op.limits()});
  // The parser's message may quote the text, which holds secrets: only the place is told.
  if (!doc.ok()) {
    return base::Fail("oci.authfile")
           << "credentials file " << authfile << " is no JSON object (line "
           << base::GetError(doc.status()).Detail("json.line") << ")";
  }
  return doc;
}

std::string Member(const json::Value& entry, std::string_view key) {
  const json::Value* v = entry.Find(key);
  return v != nullptr && v->is_string() ? v->as_string() : std::string();
}

absl::StatusOr<Credential> ReadEntry(const json::Value& entry, const std::string& authfile,
                                     std::string_view key) {
  Credential c;
  c.username = Member(entry, "username");
  c.password = Member(entry, "password");
  c.identity_token = Member(entry, "identitytoken");
  c.registry_token = Member(entry, "registrytoken");
  std::string auth = Member(entry, "auth");
  if (auth.empty()) return c;
  std::string plain;
  if (!absl::Base64Unescape(auth, &plain)) {
    return Bad(authfile, absl::StrCat("the entry of ", key, " is no base64"));
  }
  size_t colon = plain.find(':');
  if (colon == std::string::npos) {
    return Bad(authfile, absl::StrCat("the entry of ", key, " is not user:password"));
  }
  c.username = plain.substr(0, colon);
  c.password = plain.substr(colon + 1);
  while (!c.password.empty() && c.password.back() == '\0') c.password.pop_back();
  return c;
}

absl::StatusOr<Credential> AskHelper(const base::Op& op, const CredentialOptions& options,
                                     const std::string& name, std::string_view server) {
  if (options.helper_dirs.empty()) return Credential();
  if (name.empty() || name.find('/') != std::string::npos) {
    return Bad(options.authfile, "a credential helper's name holds a slash");
  }
  std::string program = absl::StrCat("docker-credential-", name);
  absl::StatusOr<std::string> path = base::FindProgram(program, options.helper_dirs);
  if (!path.ok()) return base::Wrap(path.status(), "credential helper");
  base::ProgramSpec spec;
  spec.program = *path;
  spec.argv = {program, "get"};
  spec.env = options.helper_env;
  spec.stdin_bytes = server;
  COAM_ASSIGN_OR_RETURN(base::ProgramResult result, base::RunProgram(op, spec));
  if (!result.status.ok()) {
    bool none = result.out.find(kNoneText) != std::string::npos ||
                result.err.find(kNoneText) != std::string::npos;
    if (none) return Credential();
    return base::Fail("oci.authfile")
           << "credential helper " << program << " failed: " << result.status.ToString();
  }
  absl::StatusOr<json::Value> doc = json::ParseObject(result.out, {.limits = &op.limits()});
  if (!doc.ok()) {
    return base::Fail("oci.authfile") << "credential helper " << program << " printed no JSON";
  }
  Credential c;
  c.username = Member(*doc, "Username");
  std::string secret = Member(*doc, "Secret");
  if (c.username == "<token>") {
    c.username.clear();
    c.identity_token = std::move(secret);
  } else {
    c.password = std::move(secret);
  }
  return c;
}

}  // namespace

absl::StatusOr<Credential> FindCredential(const base::Op& op, const CredentialOptions& options,
                                          const Reference& repository) {
  if (options.given.has_value()) {
    bool fits = options.given_host.empty() || options.given_host == repository.host ||
                KeyHost(options.given_host) == repository.host;
    if (fits) return *options.given;
  }
  if (options.authfile.empty()) return Credential();
  COAM_ASSIGN_OR_RETURN(json::Value doc, ReadAuthfile(op, options.authfile));
  // From the longest prefix of the name to the host alone.
  std::string server = repository.host == "docker.io" ? std::string(kHubKey) : repository.host;
  if (const json::Value* helper = doc.FindIn("credHelpers", repository.host);
      helper != nullptr && helper->is_string()) {
    return AskHelper(op, options, helper->as_string(), server);
  }
  std::string store = Member(doc, "credsStore");
  const json::Value* auths = doc.Find("auths");
  if (auths != nullptr && auths->is_object()) {
    std::string wanted = repository.Name();
    while (true) {
      for (const json::Member& m : auths->members()) {
        if (KeyHost(m.key) != wanted || !m.value.is_object()) continue;
        COAM_ASSIGN_OR_RETURN(Credential c, ReadEntry(m.value, options.authfile, m.key));
        if (!c.empty()) return c;
      }
      size_t slash = wanted.rfind('/');
      if (slash == std::string::npos) break;
      wanted.resize(slash);
    }
  }
  if (!store.empty()) return AskHelper(op, options, store, server);
  return Credential();
}

absl::Status SaveCredential(const base::Op& op, const std::string& authfile, std::string_view host,
                            std::string_view username, std::string_view password) {
  if (username.empty() || username.find(':') != std::string_view::npos) {
    return base::Fail("core.invalid_argument") << "a user name is not empty and has no colon";
  }
  absl::StatusOr<json::Value> doc = ReadAuthfile(op, authfile);
  if (base::HasReason(doc.status(), "core.not_found")) doc = json::Value::MakeObject();
  COAM_RETURN_IF_ERROR(doc.status());
  json::Value entry = json::Value::MakeObject();
  entry.Set("auth", absl::Base64Escape(absl::StrCat(username, ":", password)));
  json::Value auths = json::Value::MakeObject();
  if (const json::Value* have = doc->Find("auths"); have != nullptr && have->is_object()) {
    auths = *have;
  }
  auths.Set(host == "docker.io" ? kHubKey : host, std::move(entry));
  doc->Set("auths", std::move(auths));
  return base::WriteHostFile(op, authfile,
                             json::Write(*doc, {.indent = "\t", .final_newline = true}),
                             {.mode = 0600, .sync = true});
}

absl::StatusOr<bool> EraseCredential(const base::Op& op, const std::string& authfile,
                                     std::string_view host) {
  absl::StatusOr<json::Value> doc = ReadAuthfile(op, authfile);
  if (base::HasReason(doc.status(), "core.not_found")) return false;
  COAM_RETURN_IF_ERROR(doc.status());
  const json::Value* have = doc->Find("auths");
  if (have == nullptr || !have->is_object()) return false;
  json::Value auths = *have;
  bool erased = false;
  std::vector<std::string> keys;
  for (const json::Member& m : have->members()) {
    if (KeyHost(m.key) == host) keys.push_back(m.key);
  }
  for (const std::string& key : keys) erased |= auths.Remove(key);
  if (!erased) return false;
  doc->Set("auths", std::move(auths));
  COAM_RETURN_IF_ERROR(
      base::WriteHostFile(op, authfile, json::Write(*doc, {.indent = "\t", .final_newline = true}),
                          {.mode = 0600, .sync = true}));
  return true;
}

}  // namespace coaming::oci
