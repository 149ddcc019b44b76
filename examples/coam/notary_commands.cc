// The words of `notary`, the client of Notary v1: its flags, files, variables and answers.
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "examples/coam/cli.h"
#include "examples/coam/commands.h"
#include "examples/coam/notary_shared.h"

namespace coam {
namespace {

constexpr Flag kPublish = {"publish", 'p', FlagKind::kSwitch, "", "publish at once"};
constexpr Flag kRoles = {"roles", 'r', FlagKind::kList, "ROLE", "delegation roles, by commas"};
constexpr Flag kPublishFlags[] = {kPublish};
constexpr Flag kInitFlags[] = {
    kPublish,
    {"rootkey", 0, FlagKind::kValue, "FILE", "root key to begin with, PEM"},
    {"rootcert", 0, FlagKind::kValue, "FILE", "certificate of that or another root key, PEM"},
};
constexpr Flag kCustom = {"custom", 0, FlagKind::kValue, "FILE", "JSON to sign beside it"};
constexpr Flag kAddFlags[] = {kPublish, kRoles, kCustom};
constexpr Flag kHashFlags[] = {
    kPublish,
    kRoles,
    kCustom,
    {"sha256", 0, FlagKind::kValue, "HEX", "hash of the target"},
    {"sha512", 0, FlagKind::kValue, "HEX", "hash of the target"},
};
constexpr Flag kRemoveFlags[] = {kPublish, kRoles};
constexpr Flag kListFlags[] = {kRoles};
constexpr Flag kVerifyFlags[] = {
    {"input", 'i', FlagKind::kValue, "FILE", "read from FILE instead of standard input"},
    {"output", 'o', FlagKind::kValue, "FILE", "write to FILE instead of standard output"},
    {"quiet", 'q', FlagKind::kSwitch, "", "write nothing but errors"},
};
constexpr Flag kResetFlags[] = {
    {"number", 'n', FlagKind::kList, "N", "of a change, as status shows it"},
    {"all", 0, FlagKind::kSwitch, "", "all changes"},
};
constexpr Flag kDeleteFlags[] = {
    {"remote", 0, FlagKind::kSwitch, "", "on the server too"},
};
int Init(Invocation& in) {
  const std::string gun = in.args[0];
  std::string key, cert;
  if (in.Has("rootkey") && !in.ReadFile(in.Value("rootkey"), &key)) return 1;
  if (in.Has("rootcert") && !in.ReadFile(in.Value("rootcert"), &cert)) return 1;
  return RunNotary(in, [&](coam_notary* n, Error& error) -> coam_code {
    const Options options = in.MakeOptions("notary.init");
    if (!key.empty()) {
      Buf imported;
      const coam_code code =
          coam_notary_key_import(n, key.c_str(), "root", nullptr, Take(imported), Take(error));
      if (code != COAM_OK) return code;
      if (!SetOption(in, options, "root-key", JsonText(ParseJson(in, imported), "/ids/0")))
        return COAM_INTERNAL;
    }
    if (!cert.empty() && !SetOption(in, options, "root-cert", cert)) return COAM_INTERNAL;
    const coam_code code = coam_notary_init(n, gun.c_str(), options.get(), Take(error));
    return FinishNotary(in, n, gun, code, "", error);
  });
}

coam_code Add(Invocation& in, coam_notary* n, const Options& options, Error& error) {
  const std::string gun = in.args[0], name = in.args[1];
  for (const std::string& role : SplitList(in.Values("roles")))
    if (!SetOption(in, options, "role", role)) return COAM_INTERNAL;
  std::string custom;
  if (in.Has("custom") &&
      (!in.ReadFile(in.Value("custom"), &custom) || !SetOption(in, options, "custom", custom)))
    return COAM_INTERNAL;
  const coam_code code = coam_notary_add(n, gun.c_str(), name.c_str(), options.get(), Take(error));
  return FinishNotary(
      in, n, gun, code,
      "Addition of target \"" + name + "\" to repository \"" + gun + "\" staged for next publish.",
      error);
}

int AddFile(Invocation& in) {
  // The options have keys of the same names as flags that mean something else here.
  const std::string file = in.args[2];
  return RunNotary(in, [&](coam_notary* n, Error& error) -> coam_code {
    const Options options = NewOptions(in, "notary.add");
    if (!options || !SetOption(in, options, "file", file)) return COAM_INTERNAL;
    return Add(in, n, options, error);
  });
}

int AddHash(Invocation& in) {
  if (!in.Has("sha256") && !in.Has("sha512")) return in.Usage("give --sha256 or --sha512");
  return RunNotary(in, [&](coam_notary* n, Error& error) -> coam_code {
    const Options options = NewOptions(in, "notary.add");
    if (!options || !SetOption(in, options, "length", in.args[2])) return COAM_INTERNAL;
    for (const char* hash : {"sha256", "sha512"})
      if (in.Has(hash) && !SetOption(in, options, "hash", std::string(hash) + "=" + in.Value(hash)))
        return COAM_INTERNAL;
    return Add(in, n, options, error);
  });
}

int Remove(Invocation& in) {
  const std::string gun = in.args[0], name = in.args[1];
  return RunNotary(in, [&](coam_notary* n, Error& error) -> coam_code {
    const Options options = in.MakeOptions("notary.add");
    for (const std::string& role : SplitList(in.Values("roles")))
      if (!SetOption(in, options, "role", role)) return COAM_INTERNAL;
    const coam_code code =
        coam_notary_remove(n, gun.c_str(), name.c_str(), options.get(), Take(error));
    return FinishNotary(in, n, gun, code,
                        "Removal of " + name + " from " + gun + " staged for next publish.", error);
  });
}

int List(Invocation& in) {
  return RunNotary(in, [&](coam_notary* n, Error& error) -> coam_code {
    const Options options = in.MakeOptions("notary.target");
    for (const std::string& role : SplitList(in.Values("roles")))
      if (!SetOption(in, options, "role", role)) return COAM_INTERNAL;
    Buf text;
    const coam_code code =
        coam_notary_list(n, in.args[0].c_str(), options.get(), Take(text), Take(error));
    if (code != COAM_OK) return code;
    if (in.json()) {
      PrintLine(Text(text));
      return COAM_OK;
    }
    const JsonDoc json = ParseJson(in, text);
    const size_t count = coam_json_count(json.get(), "/targets");
    if (count == 0) Print("\nNo targets present in this repository.\n\n");
    Table table({"NAME", "DIGEST", "SIZE (BYTES)", "ROLE"}, 4);
    table.Row({"----", "------", "------------", "----"});
    for (size_t i = 0; i < count; ++i) {
      const std::string at = "/targets/" + std::to_string(i);
      table.Row({JsonText(json, at + "/name"), JsonText(json, at + "/hashes/sha256"),
                 JsonText(json, at + "/length"), JsonText(json, at + "/role")});
    }
    if (count > 0) Print(table.Render());
    return COAM_OK;
  });
}

int Lookup(Invocation& in) {
  return RunNotary(in, [&](coam_notary* n, Error& error) -> coam_code {
    Buf text;
    const Options options = in.MakeOptions("notary.target");
    const coam_code code = coam_notary_lookup(n, in.args[0].c_str(), in.args[1].c_str(),
                                              options.get(), Take(text), Take(error));
    if (code != COAM_OK) return code;
    const JsonDoc json = ParseJson(in, text);
    PrintLine(in.json() ? std::string(Text(text))
                        : JsonText(json, "/name") + " sha256:" + JsonText(json, "/hashes/sha256") +
                              " " + JsonText(json, "/length"));
    return COAM_OK;
  });
}

int Verify(Invocation& in) {
  // The bytes may come from a pipe, so they are kept until they are known to be right.
  std::string bytes;
  if (!in.ReadFile(in.Value("input", "-"), &bytes)) return 1;
  const int fd = memfd_create("input", MFD_CLOEXEC);
  if (fd < 0 || write(fd, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()))
    return in.Usage("no place to keep the input");
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  const int code = RunNotary(in, [&](coam_notary* n, Error& error) {
    const Options options = in.MakeOptions("notary.target");
    return coam_notary_verify(n, in.args[0].c_str(), in.args[1].c_str(), path.c_str(),
                              options.get(), Take(error));
  });
  close(fd);
  if (code != 0 || in.Has("quiet")) return code;
  if (in.Has("output")) return WriteTextFile(in.Value("output"), bytes, 0644) ? 0 : 1;
  Print(bytes);
  return 0;
}

int Status(Invocation& in) {
  return RunNotary(in, [&](coam_notary* n, Error& error) -> coam_code {
    const std::string gun = in.args[0];
    Buf text;
    const coam_code code = coam_notary_staged(n, gun.c_str(), Take(text), Take(error));
    if (code != COAM_OK) return code;
    if (in.json()) {
      PrintLine(Text(text));
      return COAM_OK;
    }
    const JsonDoc json = ParseJson(in, text);
    const size_t count = coam_json_count(json.get(), "/changes");
    PrintLine(count == 0 ? "No unpublished changes for " + gun
                         : "Unpublished changes for " + gun + ":\n");
    Table table({"#", "ACTION", "SCOPE", "TYPE", "PATH"}, 4);
    table.Row({"-", "------", "-----", "----", "----"});
    for (size_t i = 0; i < count; ++i) {
      const std::string at = "/changes/" + std::to_string(i);
      table.Row({std::to_string(i), JsonText(json, at + "/action"), JsonText(json, at + "/role"),
                 JsonText(json, at + "/type"), JsonText(json, at + "/path")});
    }
    if (count > 0) Print(table.Render());
    return COAM_OK;
  });
}

int Reset(Invocation& in) {
  const std::vector<std::string> numbers = SplitList(in.Values("number"));
  if (numbers.empty() == !in.Has("all"))
    return in.Usage("Must specify changes to reset with -n or the --all flag");
  return RunNotary(in, [&](coam_notary* n, Error& error) -> coam_code {
    const char* gun = in.args[0].c_str();
    coam_code code = numbers.empty() ? coam_notary_unstage(n, gun, -1, Take(error)) : COAM_OK;
    // From the last on, so that the places of the others stay.
    std::vector<long> places;
    for (const std::string& number : numbers) places.push_back(strtol(number.c_str(), nullptr, 10));
    std::sort(places.rbegin(), places.rend());
    for (size_t i = 0; i < places.size() && code == COAM_OK; ++i)
      code = coam_notary_unstage(n, gun, places[i], Take(error));
    if (code == COAM_OK)
      PrintLine("Successfully reset specified changes for repository " + in.args[0]);
    return code;
  });
}

int Publish(Invocation& in) {
  return RunNotary(in, [&](coam_notary* n, Error& error) {
    PrintLine("Pushing changes to " + in.args[0]);
    const Options options = in.MakeOptions("notary.run");
    const coam_code code = coam_notary_publish(n, in.args[0].c_str(), options.get(), Take(error));
    if (code == COAM_OK) PrintLine("Successfully published changes for repository " + in.args[0]);
    return code;
  });
}

int Delete(Invocation& in) {
  const std::string gun = in.args[0];
  return RunNotary(in, [&](coam_notary* n, Error& error) {
    PrintLine("Deleting trust data for repository " + gun);
    const Options options = in.MakeOptions("notary.run");
    const coam_code code =
        coam_notary_delete(n, gun.c_str(), in.Has("remote") ? 1 : 0, options.get(), Take(error));
    if (code == COAM_OK)
      PrintLine(std::string("Successfully deleted local") +
                (in.Has("remote") ? " and remote" : "") + " trust data for repository " + gun);
    return code;
  });
}

int Witness(Invocation& in) {
  const std::string gun = in.args[0];
  return RunNotary(in, [&](coam_notary* n, Error& error) {
    coam_code code = COAM_OK;
    std::string listed;
    for (size_t i = 1; i < in.args.size() && code == COAM_OK; ++i) {
      code = coam_notary_witness(n, gun.c_str(), in.args[i].c_str(), Take(error));
      listed += "\n\t- " + in.args[i];
    }
    return FinishNotary(in, n, gun, code,
                        "The following roles were successfully marked for witnessing on the next "
                        "publish:" +
                            listed,
                        error);
  });
}

constexpr Command kCommands[] = {
    {.words = "init",
     .usage = "GUN",
     .summary = "Begin a repository: keys and first metadata, here only",
     .flags = kInitFlags,
     .examples = "notary init -p registry.example/app\n"
                 "notary init --rootkey=root.pem --rootcert=root.crt registry.example/app",
     .min_args = 1,
     .max_args = 1,
     .run = Init},
    {.words = "add",
     .usage = "GUN TARGET FILE",
     .summary = "Stage a target with the hashes of a file",
     .flags = kAddFlags,
     .examples = "notary add registry.example/app v1 app.tar\n"
                 "notary add -p -r targets/releases registry.example/app v1 app.tar",
     .min_args = 3,
     .max_args = 3,
     .run = AddFile},
    {.words = "addhash",
     .usage = "GUN TARGET SIZE",
     .summary = "Stage a target with hashes that are given",
     .flags = kHashFlags,
     .examples = "notary addhash registry.example/app v1 527 --sha256=6f4c...\n"
                 "notary addhash -p registry.example/app v1 527 --sha512=91ab...",
     .min_args = 3,
     .max_args = 3,
     .run = AddHash},
    {.words = "remove",
     .usage = "GUN TARGET",
     .summary = "Stage the removal of a target",
     .flags = kRemoveFlags,
     .examples = "notary remove -p registry.example/app v1\n"
                 "notary remove -r targets/releases registry.example/app v1",
     .min_args = 2,
     .max_args = 2,
     .run = Remove},
    {.words = "list",
     .usage = "GUN",
     .summary = "List the targets of a repository",
     .flags = kListFlags,
     .examples = "notary list registry.example/app\n"
                 "notary list -r targets/releases,targets registry.example/app",
     .min_args = 1,
     .max_args = 1,
     .run = List},
    {.words = "lookup",
     .usage = "GUN TARGET",
     .summary = "Show the hash and size of a target",
     .examples = "notary lookup registry.example/app v1\n"
                 "notary lookup --format=json registry.example/app v1",
     .min_args = 2,
     .max_args = 2,
     .run = Lookup},
    {.words = "verify",
     .usage = "GUN TARGET",
     .summary = "Compare standard input with a target and pass it on if it is right",
     .flags = kVerifyFlags,
     .examples = "curl -s URL | notary verify registry.example/app v1 > app.tar\n"
                 "notary verify -q -i app.tar registry.example/app v1",
     .min_args = 2,
     .max_args = 2,
     .run = Verify},
    {.words = "status",
     .usage = "GUN",
     .summary = "List what is staged",
     .examples = "notary status registry.example/app\nnotary status -d dir registry.example/app",
     .min_args = 1,
     .max_args = 1,
     .run = Status},
    {.words = "reset",
     .usage = "GUN",
     .summary = "Drop staged changes",
     .flags = kResetFlags,
     .examples =
         "notary reset --all registry.example/app\nnotary reset -n 0,2 registry.example/app",
     .min_args = 1,
     .max_args = 1,
     .run = Reset},
    {.words = "publish",
     .usage = "GUN",
     .summary = "Sign what is staged and upload it",
     .examples = "notary publish registry.example/app\n"
                 "notary publish -s https://notary.example registry.example/app",
     .min_args = 1,
     .max_args = 1,
     .run = Publish},
    {.words = "delete",
     .usage = "GUN",
     .summary = "Remove the trust data of a repository, not its keys",
     .flags = kDeleteFlags,
     .examples = "notary delete registry.example/app\nnotary delete --remote registry.example/app",
     .min_args = 1,
     .max_args = 1,
     .run = Delete},
    {.words = "witness",
     .usage = "GUN ROLE...",
     .summary = "Have roles signed again as they stand",
     .flags = kPublishFlags,
     .examples = "notary witness registry.example/app targets/releases\n"
                 "notary witness -p registry.example/app targets/a targets/b",
     .min_args = 2,
     .max_args = -1,
     .run = Witness},
};

constexpr Flag kNotaryFlags[] = {
    {"server", 's', FlagKind::kValue, "URL", "the notary-server"},
    {"trustDir", 'd', FlagKind::kValue, "DIR", "keys and metadata (~/.notary)"},
    {"configFile", 'c', FlagKind::kValue, "FILE", "settings as JSON (~/.notary/config.json)"},
    {"tlscacert", 0, FlagKind::kValue, "FILE", "CA certificates of the server, PEM"},
    {"tlscert", 0, FlagKind::kValue, "FILE", "certificate of this client, PEM"},
    {"tlskey", 0, FlagKind::kValue, "FILE", "key of this client, PEM"},
    {"verbose", 'v', FlagKind::kSwitch, "", "accepted"},
    {"debug", 'D', FlagKind::kSwitch, "", "accepted"},
};

}  // namespace

std::span<const Flag> NotaryFlags() { return kNotaryFlags; }

// All words of `notary`: those about targets, then those about roles and keys.
std::span<const Command> NotaryCommands() {
  static const std::vector<Command> all = [] {
    std::vector<Command> out(std::begin(kCommands), std::end(kCommands));
    const std::span<const Command> keys = NotaryKeyCommands();
    out.insert(out.end(), keys.begin(), keys.end());
    return out;
  }();
  return all;
}

}  // namespace coam
