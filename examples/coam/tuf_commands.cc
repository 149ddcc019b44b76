// coam tuf ...: both sides of The Update Framework.
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "examples/coam/cli.h"
#include "examples/coam/commands.h"

namespace coam {
namespace {

using Client = Handle<coam_tuf_client, coam_tuf_client_free>;
using Repository = Handle<coam_tuf_repository, coam_tuf_repository_free>;

constexpr int64_t kDay = 86400;

constexpr Flag kClientFlags[] = {
    {"root", 0, FlagKind::kValue, "FILE", "root metadata that is trusted from the start"},
    {"dir", 'd', FlagKind::kValue, "DIR", "where metadata are kept"},
    {"output", 'o', FlagKind::kValue, "DIR", "where targets go (.)"},
};
constexpr Flag kDirFlag = {"dir", 'd', FlagKind::kValue, "DIR", "the repository's directory (.)"};
constexpr Flag kRoleFlag = {"role", 0, FlagKind::kValue, "ROLE", "the role (targets)"};
constexpr Flag kRepoFlags[] = {kDirFlag};
constexpr Flag kInitFlags[] = {
    kDirFlag,
    {"root", 0, FlagKind::kList, "FILE", "public key of root, PEM"},
    {"targets", 0, FlagKind::kList, "FILE", "public key of targets, PEM"},
    {"snapshot", 0, FlagKind::kList, "FILE", "public key of snapshot, PEM"},
    {"timestamp", 0, FlagKind::kList, "FILE", "public key of timestamp, PEM"},
};
constexpr Flag kAddFlags[] = {
    kDirFlag,
    kRoleFlag,
    {"custom", 0, FlagKind::kValue, "JSON", "an object to sign beside the file"},
};
constexpr Flag kRemoveFlags[] = {kDirFlag, kRoleFlag};
constexpr Flag kDelegateFlags[] = {
    kDirFlag,
    kRoleFlag,
    {"key-file", 0, FlagKind::kList, "FILE", "public key of the delegated role, PEM"},
};
constexpr Flag kSignFlags[] = {
    kDirFlag,
    {"key", 'k', FlagKind::kValue, "FILE", "private key, PEM"},
    {"passphrase-file", 0, FlagKind::kValue, "FILE", "file with the key's passphrase"},
    {"signature", 0, FlagKind::kValue, "FILE", "instead of a key: a signature made elsewhere"},
    {"keyid", 0, FlagKind::kValue, "ID", "of the key that made it"},
};
constexpr Flag kDaysFlags[] = {
    kDirFlag,
    {"days", 0, FlagKind::kValue, "N", "life in days (snapshot 7, timestamp 1)"},
};
constexpr Flag kKeyFlags[] = {
    {"type", 0, FlagKind::kValue, "TYPE", "ed25519, ecdsa or rsa (ed25519)"},
    {"output", 'o', FlagKind::kValue, "FILE",
     "where the private key goes; the public one is FILE.pub"},
    {"passphrase-file", 0, FlagKind::kValue, "FILE", "file with a passphrase to protect it"},
};

bool WriteFile(const std::string& path, std::string_view bytes, mode_t mode) {
  int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
  bool ok = fd >= 0 && fchmod(fd, mode) == 0 &&
            write(fd, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size());
  if (fd >= 0 && close(fd) != 0) ok = false;
  if (!ok) Say("coam: " + path + ": " + std::strerror(errno));
  return ok;
}

bool ReadPassphrase(Invocation& in, std::string* out) {
  if (!in.Has("passphrase-file")) return true;
  if (!in.ReadFile(in.Value("passphrase-file"), out)) return false;
  out->erase(std::min(out->find_first_of("\r\n"), out->size()));
  return true;
}

int64_t Days(Invocation& in, int64_t fallback) {
  std::string text = in.Value("days");
  int64_t days = 0;
  for (char c : text) days = c >= '0' && c <= '9' ? days * 10 + (c - '0') : -1000000;
  return time(nullptr) + (text.empty() || days <= 0 ? fallback : days) * kDay;
}

// ---- the client ----

int OpenClient(Invocation& in, Client* client) {
  if (!in.Has("root") || !in.Has("dir")) return in.Usage("--root and --dir are needed");
  std::string root;
  if (!in.ReadFile(in.Value("root"), &root)) return 1;
  Options options = in.MakeOptions("tuf.client");
  if (in.context() == nullptr || !options) return 2;
  Error error;
  if (coam_tuf_client_open(in.context(), in.Value("dir").c_str(), root.data(), root.size(),
                           options.get(), Take(*client), Take(error)) != COAM_OK)
    return in.Fail(error);
  return 0;
}

int Update(Invocation& in) {
  Client client;
  if (int code = OpenClient(in, &client)) return code;
  Error error;
  Options options = in.MakeOptions("tuf.run");
  if (!options) return 2;
  if (coam_tuf_refresh(client.get(), options.get(), Take(error)) != COAM_OK) return in.Fail(error);
  for (const std::string& name : in.args) {
    Options how = in.MakeOptions("tuf.download");
    Buf path;
    if (!how) return 2;
    if (coam_tuf_download(client.get(), name.c_str(), in.Value("output", ".").c_str(), how.get(),
                          Take(path), Take(error)) != COAM_OK)
      return in.Fail(error, name);
    PrintLine(Text(path));
  }
  if (in.args.empty()) {
    Buf state;
    if (coam_tuf_state(client.get(), Take(state), Take(error)) != COAM_OK) return in.Fail(error);
    PrintLine(Text(state));
  }
  return 0;
}

int Find(Invocation& in) {
  Client client;
  if (int code = OpenClient(in, &client)) return code;
  Error error;
  Options options = in.MakeOptions("tuf.run");
  Buf found;
  if (!options) return 2;
  if (coam_tuf_find(client.get(), in.args[0].c_str(), options.get(), Take(found), Take(error)) !=
      COAM_OK)
    return in.Fail(error);
  PrintLine(Text(found));
  return 0;
}

// ---- the repository ----

// Edit opens the repository, runs `body` and tells of a failure.
template <typename Body>
int Edit(Invocation& in, Body body) {
  Repository repository;
  Error error;
  if (in.context() == nullptr) return 2;
  if (coam_tuf_repository_open(in.context(), in.Value("dir", ".").c_str(), Take(repository),
                               Take(error)) != COAM_OK)
    return in.Fail(error);
  coam_code code = body(repository.get(), error);
  return code == COAM_OK ? 0 : in.Fail(error);
}

bool AddFiles(Invocation& in, const Options& options, const char* key,
              const std::vector<std::string>& files) {
  for (const std::string& file : files) {
    std::string pem;
    if (!in.ReadFile(file, &pem)) return false;
    if (coam_options_set(options.get(), key, pem.c_str(), nullptr) != COAM_OK) return false;
  }
  return true;
}

int Init(Invocation& in) {
  Options options = in.MakeOptions("tuf.init");
  if (!options) return 2;
  for (const char* role : {"root", "targets", "snapshot", "timestamp"})
    if (!AddFiles(in, options, (std::string(role) + "-key").c_str(), in.Values(role))) return 1;
  return Edit(in, [&](coam_tuf_repository* r, Error& error) {
    return coam_tuf_repository_init(r, options.get(), Take(error));
  });
}

int Add(Invocation& in) {
  std::string custom = in.Value("custom"), role = in.Value("role", "targets");
  return Edit(in, [&](coam_tuf_repository* r, Error& error) {
    return coam_tuf_repository_add_target(r, role.c_str(), in.args[0].c_str(), in.args[1].c_str(),
                                          custom.empty() ? nullptr : custom.c_str(), Take(error));
  });
}

int Remove(Invocation& in) {
  std::string role = in.Value("role", "targets");
  return Edit(in, [&](coam_tuf_repository* r, Error& error) {
    return coam_tuf_repository_remove_target(r, role.c_str(), in.args[0].c_str(), Take(error));
  });
}

int Delegate(Invocation& in) {
  Options options = in.MakeOptions("tuf.delegate");
  if (!options || !AddFiles(in, options, "key", in.Values("key-file"))) return 2;
  std::string role = in.Value("role", "targets");
  return Edit(in, [&](coam_tuf_repository* r, Error& error) {
    return coam_tuf_repository_delegate(r, role.c_str(), in.args[0].c_str(), options.get(),
                                        Take(error));
  });
}

int Undelegate(Invocation& in) {
  std::string role = in.Value("role", "targets");
  return Edit(in, [&](coam_tuf_repository* r, Error& error) {
    return coam_tuf_repository_remove_delegation(r, role.c_str(), in.args[0].c_str(), Take(error));
  });
}

int KeyAdd(Invocation& in) {
  std::string pem;
  if (!in.ReadFile(in.args[1], &pem)) return 1;
  return Edit(in, [&](coam_tuf_repository* r, Error& error) {
    return coam_tuf_repository_add_key(r, in.args[0].c_str(), pem.c_str(), Take(error));
  });
}

int KeyRemove(Invocation& in) {
  return Edit(in, [&](coam_tuf_repository* r, Error& error) {
    return coam_tuf_repository_remove_key(r, in.args[0].c_str(), in.args[1].c_str(), Take(error));
  });
}

int Threshold(Invocation& in) {
  int64_t number = 0;
  for (char c : in.args[1]) number = c >= '0' && c <= '9' ? number * 10 + (c - '0') : -1000000;
  return Edit(in, [&](coam_tuf_repository* r, Error& error) {
    return coam_tuf_repository_set_threshold(r, in.args[0].c_str(), number, Take(error));
  });
}

int Expiry(Invocation& in) {
  return Edit(in, [&](coam_tuf_repository* r, Error& error) {
    return coam_tuf_repository_set_expiry(r, in.args[0].c_str(), Days(in, 90), Take(error));
  });
}

int Snapshot(Invocation& in) {
  return Edit(in, [&](coam_tuf_repository* r, Error& error) {
    coam_code code = coam_tuf_repository_snapshot(r, Days(in, 7), nullptr, Take(error));
    return code;
  });
}

int Timestamp(Invocation& in) {
  return Edit(in, [&](coam_tuf_repository* r, Error& error) {
    return coam_tuf_repository_timestamp(r, Days(in, 1), nullptr, Take(error));
  });
}

int Export(Invocation& in) {
  return Edit(in, [&](coam_tuf_repository* r, Error& error) {
    Buf bytes;
    coam_code code =
        coam_tuf_repository_to_be_signed(r, in.args[0].c_str(), Take(bytes), Take(error));
    if (code == COAM_OK) Print(Text(bytes));
    return code;
  });
}

int Sign(Invocation& in) {
  std::string key, passphrase, signature;
  if (in.Has("key") == in.Has("signature"))
    return in.Usage("give one of --key and --signature (with --keyid)");
  if (in.Has("signature") && !in.Has("keyid")) return in.Usage("--signature needs --keyid");
  if (in.Has("key") && !in.ReadFile(in.Value("key"), &key)) return 1;
  if (in.Has("signature") && !in.ReadFile(in.Value("signature"), &signature)) return 1;
  if (!ReadPassphrase(in, &passphrase)) return 1;
  int code = Edit(in, [&](coam_tuf_repository* r, Error& error) {
    for (const std::string& role : in.args) {
      coam_code one = in.Has("key") ? coam_tuf_repository_sign(r, role.c_str(), key.c_str(),
                                                               passphrase.c_str(), Take(error))
                                    : coam_tuf_repository_add_signature(
                                          r, role.c_str(), in.Value("keyid").c_str(),
                                          signature.data(), signature.size(), Take(error));
      if (one != COAM_OK) return one;
    }
    return coam_code{COAM_OK};
  });
  std::fill(key.begin(), key.end(), '\0');
  std::fill(passphrase.begin(), passphrase.end(), '\0');
  return code;
}

int Show(Invocation& in) {
  return Edit(in, [&](coam_tuf_repository* r, Error& error) {
    Buf state;
    coam_code code = coam_tuf_repository_state(r, Take(state), Take(error));
    if (code == COAM_OK) PrintLine(Text(state));
    return code;
  });
}

int Publish(Invocation& in) {
  return Edit(in, [&](coam_tuf_repository* r, Error& error) {
    return coam_tuf_repository_publish(r, Take(error));
  });
}

int Check(Invocation& in) {
  return Edit(in, [&](coam_tuf_repository* r, Error& error) {
    return coam_tuf_repository_verify(r, 0, Take(error));
  });
}

int KeyGenerate(Invocation& in) {
  if (!in.Has("output")) return in.Usage("--output names the file for the private key");
  std::string passphrase;
  if (!ReadPassphrase(in, &passphrase)) return 1;
  Error error;
  Buf secret, pub, id;
  if (in.context() == nullptr) return 2;
  coam_code code = coam_tuf_key_generate(in.context(), in.Value("type", "ed25519").c_str(),
                                         passphrase.c_str(), Take(secret), Take(pub), Take(error));
  std::fill(passphrase.begin(), passphrase.end(), '\0');
  if (code != COAM_OK) return in.Fail(error);
  std::string path = in.Value("output");
  if (!WriteFile(path, Text(secret), 0600) || !WriteFile(path + ".pub", Text(pub), 0644)) return 1;
  if (coam_tuf_key_id(std::string(Text(pub)).c_str(), Take(id), Take(error)) != COAM_OK)
    return in.Fail(error);
  PrintLine(Text(id));
  return 0;
}

constexpr Command kCommands[] = {
    {.words = "tuf update",
     .usage = "[TARGET...]",
     .summary = "Refresh the metadata of a TUF repository and download targets",
     .family = "tuf.client",
     .flags = kClientFlags,
     .examples =
         "coam tuf update --root=root.json --dir=meta --metadata-url=https://u.example/metadata "
         "--targets-url=https://u.example/targets app.tar\n"
         "coam tuf update --root=root.json --dir=meta --metadata-url=https://u.example/metadata",
     .max_args = -1,
     .run = Update},
    {.words = "tuf find",
     .usage = "TARGET",
     .summary = "Show what is signed about a target",
     .family = "tuf.client",
     .flags = kClientFlags,
     .examples =
         "coam tuf find --root=root.json --dir=meta --metadata-url=https://u.example/m app.tar\n"
         "coam tuf find --root=root.json --dir=meta --metadata-url=https://u.example/m a/b",
     .min_args = 1,
     .max_args = 1,
     .run = Find},
    {.words = "tuf key generate",
     .summary = "Make a key for a TUF repository and print its id",
     .flags = kKeyFlags,
     .examples = "coam tuf key generate --output=root.key\n"
                 "coam tuf key generate --type=ecdsa --passphrase-file=pass --output=targets.key",
     .run = KeyGenerate},
    {.words = "tuf init",
     .summary = "Stage the first version of a repository's roles",
     .family = "tuf.init",
     .flags = kInitFlags,
     .examples =
         "coam tuf init --root=root.key.pub --targets=t.key.pub --snapshot=o.key.pub "
         "--timestamp=o.key.pub\n"
         "coam tuf init --dir=repo --root=a.pub --root=b.pub --threshold=root=2 --targets=t.pub "
         "--snapshot=o.pub --timestamp=o.pub",
     .run = Init},
    {.words = "tuf add",
     .usage = "TARGET FILE",
     .summary = "Add or replace a target",
     .flags = kAddFlags,
     .examples = "coam tuf add app.tar build/app.tar\ncoam tuf add --role=team team/a a.bin",
     .min_args = 2,
     .max_args = 2,
     .run = Add},
    {.words = "tuf remove",
     .usage = "TARGET",
     .summary = "Remove a target",
     .flags = kRemoveFlags,
     .examples = "coam tuf remove app.tar\ncoam tuf remove --role=team team/a",
     .min_args = 1,
     .max_args = 1,
     .run = Remove},
    {.words = "tuf delegate",
     .usage = "NAME",
     .summary = "Delegate target paths to a role",
     .family = "tuf.delegate",
     .flags = kDelegateFlags,
     .examples = "coam tuf delegate --key-file=team.pub --path='team/*' team\n"
                 "coam tuf delegate --key-file=bins.pub --bits=8 bin",
     .min_args = 1,
     .max_args = 1,
     .run = Delegate},
    {.words = "tuf undelegate",
     .usage = "NAME",
     .summary = "Take a delegation back",
     .flags = kRemoveFlags,
     .examples = "coam tuf undelegate team\ncoam tuf undelegate --role=team sub",
     .min_args = 1,
     .max_args = 1,
     .run = Undelegate},
    {.words = "tuf key add",
     .usage = "ROLE FILE",
     .summary = "Let a key sign a role",
     .flags = kRepoFlags,
     .examples = "coam tuf key add root new.key.pub\ncoam tuf key add --dir=repo targets t2.pub",
     .min_args = 2,
     .max_args = 2,
     .run = KeyAdd},
    {.words = "tuf key remove",
     .usage = "ROLE KEYID",
     .summary = "Take a key from a role",
     .flags = kRepoFlags,
     .examples = "coam tuf key remove root 4e777de0...\ncoam tuf key remove targets 4e777de0...",
     .min_args = 2,
     .max_args = 2,
     .run = KeyRemove},
    {.words = "tuf threshold",
     .usage = "ROLE NUMBER",
     .summary = "Set how many keys must sign a role",
     .flags = kRepoFlags,
     .examples = "coam tuf threshold root 2\ncoam tuf threshold --dir=repo targets 1",
     .min_args = 2,
     .max_args = 2,
     .run = Threshold},
    {.words = "tuf expire",
     .usage = "ROLE",
     .summary = "Give a role a new life of --days",
     .flags = kDaysFlags,
     .examples = "coam tuf expire --days=90 targets\ncoam tuf expire --days=365 root",
     .min_args = 1,
     .max_args = 1,
     .run = Expiry},
    {.words = "tuf snapshot",
     .summary = "Stage a new snapshot if one is needed",
     .flags = kDaysFlags,
     .examples = "coam tuf snapshot\ncoam tuf snapshot --days=30",
     .run = Snapshot},
    {.words = "tuf timestamp",
     .summary = "Stage a new timestamp if one is needed",
     .flags = kDaysFlags,
     .examples = "coam tuf timestamp\ncoam tuf timestamp --days=2",
     .run = Timestamp},
    {.words = "tuf export",
     .usage = "ROLE",
     .summary = "Write the bytes that a role's keys must sign",
     .flags = kRepoFlags,
     .examples = "coam tuf export root > root.tbs\ncoam tuf export --dir=repo targets > t.tbs",
     .min_args = 1,
     .max_args = 1,
     .run = Export},
    {.words = "tuf sign",
     .usage = "ROLE...",
     .summary = "Sign staged roles, or attach a signature",
     .flags = kSignFlags,
     .examples = "coam tuf sign --key=root.key root\n"
                 "coam tuf sign --keyid=4e777de0... --signature=root.sig root",
     .min_args = 1,
     .max_args = -1,
     .run = Sign},
    {.words = "tuf show",
     .summary = "Show what is staged and whose signatures are missing",
     .flags = kRepoFlags,
     .examples = "coam tuf show\ncoam tuf show --dir=repo",
     .run = Show},
    {.words = "tuf publish",
     .summary = "Publish what is staged, if all have signed",
     .flags = kRepoFlags,
     .examples = "coam tuf publish\ncoam tuf publish --dir=repo",
     .run = Publish},
    {.words = "tuf verify",
     .summary = "Check a published repository as a client would",
     .flags = kRepoFlags,
     .examples = "coam tuf verify\ncoam tuf verify --dir=repo",
     .run = Check},
};

}  // namespace

std::span<const Command> TufCommands() { return kCommands; }

}  // namespace coam
