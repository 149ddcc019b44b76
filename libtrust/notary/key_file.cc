#include "libtrust/notary/key_file.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/digest/digest.h"
#include "libtrust/notary/metadata.h"

namespace coaming::trust::notary {

using base::Fail;

namespace {
constexpr std::string_view kBegin = "-----BEGIN ", kEnd = "-----END ", kDashes = "-----";
}  // namespace

bool HasGun(std::string_view role) { return role == kTargets || role == kSnapshot; }

bool IsKeyId(std::string_view id) { return id.size() == 64 && base::IsLowerHex(id); }

absl::StatusOr<std::vector<KeyFile>> SplitKeyFiles(std::string_view text) {
  std::vector<KeyFile> out;
  for (size_t at = 0; (at = text.find(kBegin, at)) != std::string_view::npos;) {
    const size_t label = at + kBegin.size();
    const size_t label_end = text.find(kDashes, label);
    if (label_end == std::string_view::npos) break;
    const std::string_view type = text.substr(label, label_end - label);
    const std::string end = absl::StrCat(kEnd, type, kDashes);
    const size_t stop = text.find(end, label_end);
    if (stop == std::string_view::npos) break;
    const std::string_view block = text.substr(at, stop + end.size() - at);
    at = stop + end.size();
    if (!absl::EndsWith(type, "PRIVATE KEY")) continue;
    KeyFile file;
    file.encrypted = type == "ENCRYPTED PRIVATE KEY";
    for (std::string_view line : absl::StrSplit(block, '\n')) {
      const std::pair<std::string_view, std::string_view> header =
          absl::StrSplit(line, absl::MaxSplits(':', 1));
      const std::string_view value = absl::StripAsciiWhitespace(header.second);
      if (header.first == "role") file.role = value;
      if (header.first == "gun") file.gun = value;
      if (header.first == "path") file.path = value;
      if (header.first == "Proc-Type" && absl::StrContains(value, "ENCRYPTED"))
        file.encrypted = file.old = true;
    }
    file.pem = absl::StrCat(block, "\n");
    out.push_back(std::move(file));
  }
  if (out.empty()) return Fail("sig.key_invalid") << "there is no private key in the PEM text";
  return out;
}

std::string WithHeaders(std::string_view pem, std::string_view role, std::string_view gun,
                        std::string_view path) {
  std::string out;
  out.reserve(pem.size() + 1024);  // a secret is not to be left behind by growing
  bool first = true;
  for (std::string_view line : absl::StrSplit(absl::StripTrailingAsciiWhitespace(pem), '\n')) {
    line = absl::StripAsciiWhitespace(line);
    if (line.empty() || (!absl::StartsWith(line, kDashes) && absl::StrContains(line, ':')))
      continue;
    absl::StrAppend(&out, line, "\n");
    if (!first) continue;
    first = false;
    if (!gun.empty()) absl::StrAppend(&out, "gun: ", gun, "\n");
    if (!path.empty()) absl::StrAppend(&out, "path: ", path, "\n");
    if (!role.empty()) absl::StrAppend(&out, "role: ", role, "\n");
    if (!role.empty() || !gun.empty() || !path.empty()) absl::StrAppend(&out, "\n");
  }
  return out;
}

absl::StatusOr<std::string> WriteKeyFile(const PrivateKey& key, std::string_view role,
                                         std::string_view gun, std::string_view passphrase) {
  if (key.type() != KeyType::kRsa && OrderSize(key.type()) == 0)
    return Fail("sig.unsupported")
           << "a key file for " << KeyTypeName(key.type()) << ": want an ECDSA or RSA key";
  std::string pem;
  if (passphrase.empty()) {
    pem = PemOf("PRIVATE KEY", key.Pkcs8Der().view());
  } else {
    COAM_ASSIGN_OR_RETURN(pem, EncryptPkcs8Pem(key, passphrase, Pbkdf2Hmac::kSha1));
  }
  std::string out = WithHeaders(pem, role, HasGun(role) ? gun : "", "");
  WipeString(&pem);
  return out;
}

}  // namespace coaming::trust::notary
