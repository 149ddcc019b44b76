// coam verify, coam sign, coam keys ...: OpenPGP signatures and the store of trusted keys.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "examples/coam/cli.h"
#include "examples/coam/commands.h"

namespace coam {
namespace {

using Keyring = Handle<coam_sig_keyring, coam_sig_keyring_free>;
using Verdict = Handle<coam_sig_verdict, coam_sig_verdict_free>;
using Key = Handle<coam_sig_key, coam_sig_key_free>;
using KeyStore = Handle<coam_sig_keystore, coam_sig_keystore_free>;
using Json = Handle<coam_json, coam_json_free>;

constexpr Flag kStoreFlags[] = {
    {"local-dir", 0, FlagKind::kValue, "DIR", "keys that changes go to (/etc/rkt/trustedkeys)"},
    {"system-dir", 0, FlagKind::kValue, "DIR", "the system's keys (/usr/lib/rkt/trustedkeys)"},
};

constexpr Flag kVerifyFlags[] = {
    {"key", 'k', FlagKind::kValue, "FILE", "public keys, armored or binary"},
    {"name", 0, FlagKind::kValue, "NAME", "use the trusted keys that count for this image name"},
    {"message", 0, FlagKind::kSwitch, "", "FILE is a signed message: print its content"},
    kStoreFlags[0],
    kStoreFlags[1],
};

constexpr Flag kSignFlags[] = {
    {"key", 'k', FlagKind::kValue, "FILE", "secret key, as gpg --export-secret-keys writes"},
    {"passphrase-file", 0, FlagKind::kValue, "FILE", "file with the key's passphrase"},
    {"output", 'o', FlagKind::kValue, "FILE", "where the signature goes (FILE.asc; - is stdout)"},
};

constexpr Flag kGenerateFlags[] = {
    {"output", 'o', FlagKind::kValue, "FILE", "where the secret key goes (mode 0600)"},
    {"public", 0, FlagKind::kValue, "FILE", "where the public key goes"},
    {"passphrase-file", 0, FlagKind::kValue, "FILE", "file with a passphrase to protect it"},
};

constexpr Flag kScopeFlags[] = {
    {"prefix", 0, FlagKind::kValue, "NAME", "for image names at and beneath this one"},
    {"root", 0, FlagKind::kSwitch, "", "for every image name"},
    {"yes", 'y', FlagKind::kSwitch, "", "do not ask"},
    kStoreFlags[0],
    kStoreFlags[1],
};

// Reads the first line of a small file, for passphrases; false after it has told why not.
bool ReadLine(Invocation& in, const std::string& path, std::string* line) {
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  char buffer[4096];
  ssize_t n = fd < 0 ? -1 : read(fd, buffer, sizeof buffer);
  if (fd >= 0) close(fd);
  if (n < 0) {
    in.Usage(path + ": " + std::strerror(errno));
    return false;
  }
  line->assign(buffer, static_cast<size_t>(n));
  std::memset(buffer, 0, sizeof buffer);
  line->erase(std::min(line->find_first_of("\r\n"), line->size()));
  return true;
}

bool WriteFile(const std::string& path, std::string_view bytes, mode_t mode) {
  if (path == "-") {
    Print(bytes);
    return true;
  }
  int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
  bool ok = fd >= 0 && fchmod(fd, mode) == 0;
  while (ok && !bytes.empty()) {
    ssize_t n = write(fd, bytes.data(), bytes.size());
    ok = n > 0;
    if (ok) bytes.remove_prefix(static_cast<size_t>(n));
  }
  if (fd >= 0 && close(fd) != 0) ok = false;
  if (!ok) Say("coam: " + path + ": " + std::strerror(errno));
  return ok;
}

int OpenStore(Invocation& in, KeyStore* store) {
  Error error;
  Options options = in.MakeOptions("sig.keystore");
  if (in.context() == nullptr || !options) return 2;
  if (coam_sig_keystore_open(in.context(), options.get(), Take(*store), Take(error)) != COAM_OK)
    return in.Fail(error);
  return 0;
}

int LoadKey(Invocation& in, Key* key) {
  if (!in.Has("key")) return in.Usage("--key names the secret key");
  std::string passphrase;
  if (in.Has("passphrase-file") && !ReadLine(in, in.Value("passphrase-file"), &passphrase))
    return 2;
  Error error;
  if (in.context() == nullptr) return 2;
  coam_code code = coam_sig_key_load(in.context(), in.Value("key").c_str(), passphrase.c_str(),
                                     Take(*key), Take(error));
  std::fill(passphrase.begin(), passphrase.end(), '\0');
  return code == COAM_OK ? 0 : in.Fail(error);
}

std::string Spaced(std::string_view fingerprint) {
  std::string out;
  for (size_t i = 0; i < fingerprint.size(); ++i) {
    if (i != 0 && i % 4 == 0) out += i * 2 == fingerprint.size() ? "  " : " ";
    out += static_cast<char>(fingerprint[i] >= 'a' ? fingerprint[i] - 32 : fingerprint[i]);
  }
  return out;
}

// Prints one line for each signature and answers by the verdict.
int Report(Invocation& in, const Verdict& verdict, const std::string& subject) {
  Error error;
  coam_code code = coam_sig_verdict_check(verdict.get(), subject.c_str(), Take(error));
  if (in.json()) {
    PrintLine(Text(coam_sig_verdict_json(verdict.get())));
  } else if (!in.quiet()) {
    for (size_t i = 0; i < coam_sig_verdict_count(verdict.get()); ++i) {
      std::string_view reason = Text(coam_sig_verdict_reason(verdict.get(), i));
      std::string line = reason.empty() ? "good signature" : "refused";
      if (coam_str key = coam_sig_verdict_fingerprint(verdict.get(), i); key.size > 0)
        line += " by " + Spaced(Text(key));
      if (coam_str user = coam_sig_verdict_user(verdict.get(), i); user.size > 0)
        line += " (" + std::string(Text(user)) + ")";
      if (!reason.empty())
        line += ": " + std::string(Text(coam_sig_verdict_message(verdict.get(), i)));
      Say(line);
    }
  }
  return code == COAM_OK ? 0 : in.Fail(error);
}

int Verify(Invocation& in) {
  if (in.Has("key") == in.Has("name")) return in.Usage("give one of --key and --name");
  Error error;
  Keyring keys;
  if (in.context() == nullptr) return 2;
  if (in.Has("key")) {
    if (coam_sig_keyring_load(in.context(), in.Value("key").c_str(), Take(keys), Take(error)) !=
        COAM_OK)
      return in.Fail(error);
  } else {
    KeyStore store;
    if (int code = OpenStore(in, &store)) return code;
    if (coam_sig_keystore_keyring(in.context(), store.get(), in.Value("name").c_str(), Take(keys),
                                  Take(error)) != COAM_OK)
      return in.Fail(error);
    if (coam_sig_keyring_count(keys.get()) == 0) {
      Say("coam: no key is trusted for " + in.Value("name"));
      Say("hint: trust the publisher's key with 'coam keys trust --prefix=NAME FILE'");
      return coam_reason_exit_code(coam_reason_find("sig.no_keys"));
    }
  }
  Options options = in.MakeOptions("sig.verify");
  if (!options) return 2;
  Verdict verdict;
  const std::string& data = in.args[0];
  if (in.Has("message")) {
    std::string message;
    if (in.args.size() > 1) return in.Usage("a signed message has no separate signature");
    if (!in.ReadFile(data, &message)) return 1;
    Buf content;
    if (coam_sig_verify_message(in.context(), keys.get(), message.data(), message.size(),
                                options.get(), Take(content), Take(verdict),
                                Take(error)) != COAM_OK)
      return in.Fail(error, data);
    int code = Report(in, verdict, data);
    if (code == 0 && content && !in.json()) Print(Text(content));
    return code;
  }
  std::string signature = in.args.size() > 1 ? in.args[1] : data + ".asc";
  if (coam_sig_verify_file(in.context(), keys.get(), signature.c_str(), data.c_str(), options.get(),
                           Take(verdict), Take(error)) != COAM_OK)
    return in.Fail(error, data);
  return Report(in, verdict, data);
}

int Sign(Invocation& in) {
  Key key;
  if (int code = LoadKey(in, &key)) return code;
  Options options = in.MakeOptions("sig.sign");
  if (!options) return 2;
  Error error;
  Buf made;
  const std::string& path = in.args[0];
  std::string mode = in.Value("mode", "detached");
  coam_code code;
  if (mode == "detached") {
    code = coam_sig_sign_file(in.context(), key.get(), path.c_str(), options.get(), Take(made),
                              Take(error));
  } else {
    std::string data;
    if (!in.ReadFile(path, &data)) return 1;
    code = coam_sig_sign(in.context(), key.get(), data.data(), data.size(), options.get(),
                         Take(made), Take(error));
  }
  if (code != COAM_OK) return in.Fail(error, path);
  std::string output = in.Value("output", path == "-" ? "-" : path + ".asc");
  return WriteFile(output, Text(made), 0644) ? 0 : 1;
}

int KeysGenerate(Invocation& in) {
  if (!in.Has("output")) return in.Usage("--output names the file for the secret key");
  std::string passphrase;
  if (in.Has("passphrase-file") && !ReadLine(in, in.Value("passphrase-file"), &passphrase))
    return 2;
  Options options = in.MakeOptions("sig.generate");
  if (in.context() == nullptr || !options) return 2;
  Error error;
  Key key;
  Keyring keys;
  Buf secret;
  bool made = coam_sig_key_generate(in.context(), in.args[0].c_str(), options.get(), Take(key),
                                    Take(error)) == COAM_OK;
  made = made && coam_sig_key_public(key.get(), Take(keys), Take(error)) == COAM_OK &&
         coam_sig_key_export(key.get(), passphrase.c_str(), Take(secret), Take(error)) == COAM_OK;
  std::fill(passphrase.begin(), passphrase.end(), '\0');
  if (!made) return in.Fail(error);
  if (!WriteFile(in.Value("output"), Text(secret), 0600)) return 1;
  std::string_view armored = Text(coam_sig_keyring_armored(keys.get()));
  if (in.Has("public") && !WriteFile(in.Value("public"), armored, 0644)) return 1;
  PrintLine(Text(coam_sig_key_fingerprint(key.get())));
  return 0;
}

int KeysShow(Invocation& in) {
  Error error;
  Keyring keys;
  if (in.context() == nullptr) return 2;
  if (coam_sig_keyring_load(in.context(), in.args[0].c_str(), Take(keys), Take(error)) != COAM_OK)
    return in.Fail(error);
  if (in.json()) {
    PrintLine(Text(coam_sig_keyring_json(keys.get())));
  } else {
    Print(Text(coam_sig_keyring_review(keys.get())));
  }
  return 0;
}

int KeysList(Invocation& in) {
  KeyStore store;
  if (int code = OpenStore(in, &store)) return code;
  Error error;
  Buf listed;
  Json json;
  if (coam_sig_keystore_list(in.context(), store.get(), Take(listed), Take(error)) != COAM_OK)
    return in.Fail(error);
  if (in.json()) {
    PrintLine(Text(listed));
    return 0;
  }
  if (coam_json_parse(coam_buf_data(listed.get()), coam_buf_size(listed.get()), Take(json),
                      Take(error)) != COAM_OK)
    return in.Fail(error);
  Table table({"PREFIX", "FINGERPRINT", "PLACE", "USER"});
  for (size_t i = 0; i < coam_json_count(json.get(), "/keys"); ++i) {
    std::string at = "/keys/" + std::to_string(i);
    std::string prefix(Text(coam_json_text(json.get(), (at + "/prefix").c_str())));
    bool local = coam_json_int(json.get(), (at + "/local").c_str(), 0) == 1;
    bool masked = coam_json_int(json.get(), (at + "/masked").c_str(), 0) == 1;
    table.Row({prefix.empty() ? "(all names)" : prefix,
               std::string(Text(coam_json_text(json.get(), (at + "/fingerprint").c_str()))),
               masked  ? "masked"
               : local ? "local"
                       : "system",
               std::string(Text(coam_json_text(json.get(), (at + "/userIds/0").c_str())))});
  }
  Print(table.Render());
  return 0;
}

// Asks on the terminal; without one the answer is no, with advice.
bool Confirm(std::string_view question) {
  if (isatty(0) != 1) {
    Say("coam: there is no terminal to ask on");
    Say("hint: check the fingerprint and give --yes");
    return false;
  }
  for (;;) {
    Say(question);
    std::string answer;
    char c;
    while (read(0, &c, 1) == 1 && c != '\n') answer += c;
    if (answer == "yes" || answer == "y") return true;
    if (answer == "no" || answer == "n" || answer.empty()) return false;
  }
}

int KeysTrust(Invocation& in) {
  if (in.Has("prefix") == in.Has("root")) return in.Usage("give one of --prefix and --root");
  Error error;
  Keyring keys;
  KeyStore store;
  if (in.context() == nullptr) return 2;
  if (coam_sig_keyring_load(in.context(), in.args[0].c_str(), Take(keys), Take(error)) != COAM_OK)
    return in.Fail(error);
  if (int code = OpenStore(in, &store)) return code;
  std::string review(Text(coam_sig_keyring_review(keys.get())));
  while (!review.empty() && review.back() == '\n') review.pop_back();
  Say(review);
  if (!in.Has("yes") && !Confirm("Are you sure you want to trust this key (yes/no)?")) {
    Say("not trusted");
    return 1;
  }
  std::string prefix = in.Value("prefix");
  if (coam_sig_keystore_add(in.context(), store.get(), in.Has("root") ? nullptr : prefix.c_str(),
                            keys.get(), Take(error)) != COAM_OK)
    return in.Fail(error);
  return 0;
}

// mask and remove differ in one call.
template <auto kCall>
int Change(Invocation& in) {
  if (in.Has("prefix") == in.Has("root")) return in.Usage("give one of --prefix and --root");
  KeyStore store;
  if (int code = OpenStore(in, &store)) return code;
  Error error;
  std::string prefix = in.Value("prefix");
  if (kCall(in.context(), store.get(), in.Has("root") ? nullptr : prefix.c_str(),
            in.args[0].c_str(), Take(error)) != COAM_OK)
    return in.Fail(error);
  return 0;
}

constexpr Command kCommands[] = {
    {.words = "verify",
     .usage = "FILE [SIGNATURE]",
     .summary = "Check a file against a detached OpenPGP signature (FILE.asc)",
     .family = "sig.verify",
     .flags = kVerifyFlags,
     .examples = "coam verify --key=pubkeys.gpg hello.aci\n"
                 "coam verify --name=example.com/hello hello.aci hello.aci.asc",
     .min_args = 1,
     .max_args = 2,
     .run = Verify},
    {.words = "sign",
     .usage = "FILE",
     .summary = "Sign a file with an OpenPGP key",
     .family = "sig.sign",
     .flags = kSignFlags,
     .examples = "coam sign --key=secret.asc hello.aci\n"
                 "coam sign --key=secret.asc --mode=cleartext --output=- notes.txt",
     .min_args = 1,
     .max_args = 1,
     .run = Sign},
    {.words = "keys generate",
     .usage = "USER-ID",
     .summary = "Make an OpenPGP key and print its fingerprint",
     .family = "sig.generate",
     .flags = kGenerateFlags,
     .examples = "coam keys generate --output=secret.asc --public=pubkeys.gpg "
                 "'Ann <ann@example.com>'\n"
                 "coam keys generate --type=rsa3072 --expires=8760h --output=secret.asc Ann",
     .min_args = 1,
     .max_args = 1,
     .run = KeysGenerate},
    {.words = "keys show",
     .usage = "FILE",
     .summary = "Show the fingerprints and identities in a public key file",
     .examples = "coam keys show pubkeys.gpg\ncoam keys show --format=json pubkeys.gpg",
     .min_args = 1,
     .max_args = 1,
     .run = KeysShow},
    {.words = "keys list",
     .summary = "List the trusted keys",
     .flags = kStoreFlags,
     .examples = "coam keys list\ncoam keys list --local-dir=./keys --format=json",
     .run = KeysList},
    {.words = "keys trust",
     .usage = "FILE",
     .summary = "Trust the keys in a file for image names",
     .flags = kScopeFlags,
     .examples = "coam keys trust --prefix=example.com/hello pubkeys.gpg\n"
                 "coam keys trust --root --yes pubkeys.gpg",
     .min_args = 1,
     .max_args = 1,
     .run = KeysTrust},
    {.words = "keys mask",
     .usage = "FINGERPRINT",
     .summary = "Hide a key of the system's directory",
     .flags = kScopeFlags,
     .examples = "coam keys mask --root 0123456789abcdef0123456789abcdef01234567\n"
                 "coam keys mask --prefix=example.com 0123456789abcdef0123456789abcdef01234567",
     .min_args = 1,
     .max_args = 1,
     .run = Change<coam_sig_keystore_mask>},
    {.words = "keys remove",
     .usage = "FINGERPRINT",
     .summary = "Take a local key, or a mask, away",
     .flags = kScopeFlags,
     .examples = "coam keys remove --root 0123456789abcdef0123456789abcdef01234567\n"
                 "coam keys remove --prefix=example.com 0123456789abcdef0123456789abcdef01234567",
     .min_args = 1,
     .max_args = 1,
     .run = Change<coam_sig_keystore_remove>},
};

}  // namespace

std::span<const Command> SigCommands() { return kCommands; }

}  // namespace coam
