// coam trust policy, coam trust claim: policies that images must satisfy, and the claims that signatures of images make.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>

#include "examples/coam/cli.h"
#include "examples/coam/commands.h"

namespace coam {
namespace {

using Keyring = Handle<coam_sig_keyring, coam_sig_keyring_free>;
using Key = Handle<coam_sig_key, coam_sig_key_free>;
using Json = Handle<coam_json, coam_json_free>;

constexpr Flag kClaimSignFlags[] = {
    {"key", 'k', FlagKind::kValue, "FILE", "secret key: OpenPGP, or with --cosign a PEM file"},
    {"passphrase-file", 0, FlagKind::kValue, "FILE", "file whose first line opens the key"},
    {"output", 'o', FlagKind::kValue, "FILE", "where the signature goes (default: stdout)"},
    {"cosign", 0, FlagKind::kValue, "FILE", "sign as cosign does; its payload goes to FILE"},
};
constexpr Flag kClaimVerifyFlags[] = {
    {"key", 'k', FlagKind::kValue, "FILE", "public keys: OpenPGP, or with --cosign a PEM file"},
    {"cosign", 0, FlagKind::kValue, "FILE", "the signature is cosign's, over the payload in FILE"},
};

bool WriteFile(const std::string& path, std::string_view bytes) {
  const int fd = path.empty() || path == "-"
                     ? dup(1)
                     : open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  bool ok = fd >= 0;
  while (ok && !bytes.empty()) {
    const ssize_t n = write(fd, bytes.data(), bytes.size());
    ok = n > 0;
    if (ok) bytes.remove_prefix(static_cast<size_t>(n));
  }
  if (fd >= 0 && close(fd) != 0) ok = false;
  if (!ok) Say("coam: " + path + ": " + std::strerror(errno));
  return ok;
}

Json Parse(const Buf& buf) {
  Json json;
  Error error;
  if (coam_json_parse(coam_buf_data(buf.get()), coam_buf_size(buf.get()), Take(json),
                      Take(error)) != COAM_OK) {
    json.reset();
  }
  return json;
}

std::string Member(const Json& json, const std::string& pointer) {
  return std::string(Text(coam_json_text(json.get(), pointer.c_str())));
}

int PolicyShow(Invocation& in) {
  std::string text;
  if (in.context() == nullptr) return 2;
  if (!in.ReadFile(in.args[0], &text)) return 1;
  Buf shown;
  Error error;
  if (coam_sig_policy_parse(in.context(), text.data(), text.size(), Take(shown), Take(error)) !=
      COAM_OK) {
    return in.Fail(error, in.args[0]);
  }
  PrintLine(Text(shown));
  return 0;
}

int PolicyCheck(Invocation& in) {
  if (in.context() == nullptr) return 2;
  Options options = in.MakeOptions("oci.open");
  if (!options) return 2;
  Buf decision;
  Error error;
  if (coam_oci_policy_explain(in.context(), in.args[0].c_str(), options.get(), Take(decision),
                              Take(error)) != COAM_OK) {
    return in.Fail(error, in.args[0]);
  }
  const Json json = Parse(decision);
  std::string refused;
  const size_t count = coam_json_count(json.get(), "/requirements");
  for (size_t i = 0; i < count && refused.empty(); ++i) {
    refused = Member(json, "/requirements/" + std::to_string(i) + "/reason");
  }
  const int code = refused.empty() ? 0 : coam_reason_exit_code(coam_reason_find(refused.c_str()));
  if (in.json()) {
    PrintLine(Text(decision));
    return code;
  }
  PrintLine("Image:        " + Member(json, "/image"));
  PrintLine("Digest:       " + Member(json, "/digest"));
  PrintLine("Rule:         " + Member(json, "/rule"));
  for (size_t i = 0; i < count; ++i) {
    const std::string at = "/requirements/" + std::to_string(i);
    const std::string why = Member(json, at + "/message");
    PrintLine("Requirement:  " + Member(json, at + "/type") +
              (why.empty() ? ": holds" : ": " + why));
  }
  PrintLine(std::string("Verdict:      ") + (refused.empty() ? "allowed" : "refused"));
  return code;
}

int ClaimSign(Invocation& in) {
  if (in.context() == nullptr) return 2;
  if (!in.Has("key")) return in.Usage("--key names the secret key");
  std::string passphrase;
  if (in.Has("passphrase-file") && !in.ReadFile(in.Value("passphrase-file"), &passphrase)) return 1;
  passphrase.resize(std::min(passphrase.find_first_of("\r\n"), passphrase.size()));
  const std::string path = in.Value("key");
  Error error;
  Buf payload, made;
  coam_code code;
  if (in.Has("cosign")) {
    std::string pem;
    if (!in.ReadFile(path, &pem)) return 1;
    code = coam_sig_cosign_sign(in.context(), pem.data(), pem.size(), passphrase.c_str(),
                                in.args[0].c_str(), in.args[1].c_str(), Take(payload), Take(made),
                                Take(error));
    std::fill(pem.begin(), pem.end(), '\0');
  } else {
    Key key;
    code =
        coam_sig_key_load(in.context(), path.c_str(), passphrase.c_str(), Take(key), Take(error));
    if (code == COAM_OK) {
      code = coam_sig_claim_sign(in.context(), key.get(), in.args[0].c_str(), in.args[1].c_str(),
                                 Take(made), Take(error));
    }
  }
  std::fill(passphrase.begin(), passphrase.end(), '\0');
  if (code != COAM_OK) return in.Fail(error, path);
  if (in.Has("cosign") && !WriteFile(in.Value("cosign"), Text(payload))) return 1;
  return WriteFile(in.Value("output"), Text(made)) ? 0 : 1;
}

int ClaimVerify(Invocation& in) {
  if (in.context() == nullptr) return 2;
  if (!in.Has("key")) return in.Usage("--key names the public keys");
  std::string signature;
  if (!in.ReadFile(in.args[0], &signature)) return 1;
  const std::string path = in.Value("key");
  Error error;
  Buf claim;
  coam_code code;
  if (in.Has("cosign")) {
    std::string pem, payload;
    if (!in.ReadFile(path, &pem) || !in.ReadFile(in.Value("cosign"), &payload)) return 1;
    signature.resize(std::min(signature.find_first_of("\r\n"), signature.size()));
    code = coam_sig_cosign_verify(in.context(), pem.data(), pem.size(), payload.data(),
                                  payload.size(), signature.c_str(), Take(claim), Take(error));
  } else {
    Options options = in.MakeOptions("sig.verify");
    if (!options) return 2;
    Keyring keys;
    code = coam_sig_keyring_load(in.context(), path.c_str(), Take(keys), Take(error));
    if (code == COAM_OK) {
      code = coam_sig_claim_verify(in.context(), keys.get(), signature.data(), signature.size(),
                                   options.get(), Take(claim), Take(error));
    }
  }
  if (code != COAM_OK) return in.Fail(error, in.args[0]);
  const Json json = Parse(claim);
  const std::string digest = Member(json, "/digest"), reference = Member(json, "/reference");
  if (digest != in.args[1] || (in.args.size() > 2 && reference != in.args[2])) {
    Say("coam: " + in.args[0] + ": the signature is good, but for " + reference + ", " + digest);
    Say("hint: do not use the image: the signature was made for something else");
    return coam_reason_exit_code(coam_reason_find("policy.signature"));
  }
  PrintLine(in.json() ? std::string(Text(claim)) : reference + " " + digest);
  return 0;
}

constexpr Command kCommands[] = {
    {.words = "trust policy show",
     .usage = "FILE",
     .summary = "Check a policy.json and show it with its defaults filled in",
     .examples = "coam trust policy show /etc/containers/policy.json\n"
                 "coam trust policy show - < policy.json",
     .min_args = 1,
     .max_args = 1,
     .run = PolicyShow},
    {.words = "trust policy check",
     .usage = "IMAGE",
     .summary = "Tell whether a policy takes an image, by which rule, and why not",
     .family = "oci.open",
     .examples = "coam trust policy check --policy policy.json docker://quay.io/org/app:1\n"
                 "coam trust policy check --policy policy.json --registries-d registries.d "
                 "docker://127.0.0.1:5000/app:1",
     .min_args = 1,
     .max_args = 1,
     .run = PolicyCheck},
    {.words = "trust claim sign",
     .usage = "DIGEST NAME",
     .summary = "Sign that a manifest's digest is an image of that name",
     .flags = kClaimSignFlags,
     .examples = "coam trust claim sign -k key.asc -o signature-1 sha256:... quay.io/org/app:1\n"
                 "coam trust claim sign -k key.pem --cosign payload.json -o payload.sig sha256:... "
                 "quay.io/org/app:1",
     .min_args = 2,
     .max_args = 2,
     .run = ClaimSign},
    {.words = "trust claim verify",
     .usage = "SIGNATURE DIGEST [NAME]",
     .summary = "Verify such a signature, for this digest and name",
     .family = "sig.verify",
     .flags = kClaimVerifyFlags,
     .examples = "coam trust claim verify -k pub.asc signature-1 sha256:... quay.io/org/app:1\n"
                 "coam trust claim verify -k pub.pem --cosign payload.json payload.sig sha256:...",
     .min_args = 2,
     .max_args = 3,
     .run = ClaimVerify},
};

}  // namespace

std::span<const Command> PolicyCommands() { return kCommands; }

}  // namespace coam
