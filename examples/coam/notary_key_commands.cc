// The words of `notary` about delegated roles and private keys.
#include <algorithm>
#include <string>
#include <vector>

#include "examples/coam/cli.h"
#include "examples/coam/commands.h"
#include "examples/coam/notary_shared.h"

namespace coam {
namespace {

constexpr Flag kPublish = {"publish", 'p', FlagKind::kSwitch, "", "publish at once"};
constexpr Flag kPaths = {"paths", 0, FlagKind::kList, "PREFIX", "paths, by commas"};
constexpr Flag kAllPaths = {"all-paths", 0, FlagKind::kSwitch, "", "all paths"};
constexpr Flag kDelegateFlags[] = {kPublish, kPaths, kAllPaths};
constexpr Flag kUndelegateFlags[] = {
    kPublish,
    kPaths,
    kAllPaths,
    {"yes", 'y', FlagKind::kSwitch, "", "remove a whole role without asking"},
};
constexpr Flag kPurgeFlags[] = {
    kPublish,
    {"key", 0, FlagKind::kList, "ID", "key to take away"},
};
constexpr Flag kKeyRole = {"role", 'r', FlagKind::kValue, "ROLE", "role of the key"};
constexpr Flag kGenerateFlags[] = {
    kKeyRole,
    {"gun", 'g', FlagKind::kValue, "GUN", "repository of a targets or snapshot key"},
};
constexpr Flag kRotateFlags[] = {
    {"server-managed", 'r', FlagKind::kSwitch, "", "the server holds the new key"},
    {"key", 'k', FlagKind::kList, "ID", "key to use, by its id"},
};
constexpr Flag kImportFlags[] = {
    kKeyRole,
    {"gun", 'g', FlagKind::kValue, "GUN", "repository of a targets or snapshot key"},
};
constexpr Flag kKeyRemoveFlags[] = {
    {"yes", 'y', FlagKind::kSwitch, "", "do not ask"},
};
constexpr Flag kExportFlags[] = {
    {"output", 'o', FlagKind::kValue, "FILE", "where they go (standard output)"},
    {"gun", 0, FlagKind::kList, "GUN", "keys of these repositories"},
    {"key", 0, FlagKind::kList, "ID", "these keys"},
};

bool AddPaths(Invocation& in, const Options& options) {
  for (const std::string& path : SplitList(in.Values("paths")))
    if (!SetOption(in, options, "path", path)) return false;
  return true;
}

int Delegate(Invocation& in) {
  std::vector<std::string> pems;
  for (size_t i = 2; i < in.args.size(); ++i)
    if (!in.ReadFile(in.args[i], &pems.emplace_back())) return 1;
  const std::string gun = in.args[0], role = in.args[1];
  return RunNotary(in, [&](coam_notary* n, Error& error) -> coam_code {
    const Options options = in.MakeOptions("notary.delegation");
    for (const std::string& pem : pems)
      if (!SetOption(in, options, "key", pem)) return COAM_INTERNAL;
    if (!AddPaths(in, options)) return COAM_INTERNAL;
    const coam_code code =
        coam_notary_delegate(n, gun.c_str(), role.c_str(), options.get(), Take(error));
    return FinishNotary(in, n, gun, code,
                        "Addition of delegation role " + role + " to repository \"" + gun +
                            "\" staged for next publish.",
                        error);
  });
}

int Undelegate(Invocation& in) {
  const std::string gun = in.args[0], role = in.args[1];
  const bool whole = in.args.size() == 2 && !in.Has("paths") && !in.Has("all-paths");
  if (whole && !in.Has("yes"))
    return in.Usage("this removes " + role + " with all its keys and paths: confirm with --yes");
  return RunNotary(in, [&](coam_notary* n, Error& error) -> coam_code {
    const Options options = in.MakeOptions("notary.delegation");
    for (size_t i = 2; i < in.args.size(); ++i)
      if (!SetOption(in, options, "key-id", in.args[i])) return COAM_INTERNAL;
    if (!AddPaths(in, options)) return COAM_INTERNAL;
    const coam_code code =
        coam_notary_undelegate(n, gun.c_str(), role.c_str(), options.get(), Take(error));
    return FinishNotary(in, n, gun, code,
                        "Removal of delegation role " + role + " to repository \"" + gun +
                            "\" staged for next publish.",
                        error);
  });
}

int Purge(Invocation& in) {
  const std::string gun = in.args[0];
  return RunNotary(in, [&](coam_notary* n, Error& error) -> coam_code {
    const Options options = NewOptions(in, "notary.delegation");
    if (!options) return COAM_INTERNAL;
    for (const std::string& id : SplitList(in.Values("key")))
      if (!SetOption(in, options, "key-id", id)) return COAM_INTERNAL;
    const coam_code code =
        coam_notary_undelegate(n, gun.c_str(), "targets/*", options.get(), Take(error));
    return FinishNotary(
        in, n, gun, code,
        "Removal of keys from all delegations of \"" + gun + "\" staged for next publish.", error);
  });
}

int Delegations(Invocation& in) {
  return RunNotary(in, [&](coam_notary* n, Error& error) -> coam_code {
    Buf text;
    const Options options = in.MakeOptions("notary.run");
    const coam_code code =
        coam_notary_state(n, in.args[0].c_str(), options.get(), Take(text), Take(error));
    if (code != COAM_OK) return code;
    if (in.json()) {
      PrintLine(Text(text));
      return COAM_OK;
    }
    const JsonDoc json = ParseJson(in, text);
    Table table({"ROLE", "PATHS", "KEY IDS", "THRESHOLD"}, 4);
    table.Row({"----", "-----", "-------", "---------"});
    size_t shown = 0;
    for (size_t i = 0; i < coam_json_count(json.get(), "/roles"); ++i) {
      const std::string at = "/roles/" + std::to_string(i);
      if (JsonText(json, at + "/role").rfind("targets/", 0) != 0) continue;
      ++shown;
      const size_t paths = coam_json_count(json.get(), (at + "/paths").c_str()),
                   keys = coam_json_count(json.get(), (at + "/keys").c_str());
      for (size_t k = 0; k < std::max<size_t>({paths, keys, 1}); ++k) {
        std::string path;
        if (k < paths) path = JsonText(json, at + "/paths/" + std::to_string(k));
        if (k < paths && path.empty()) path = "\"\" <all paths>";
        table.Row({k == 0 ? JsonText(json, at + "/role") : "", path,
                   k < keys ? JsonText(json, at + "/keys/" + std::to_string(k) + "/id") : "",
                   k == 0 ? JsonText(json, at + "/threshold") : ""});
      }
    }
    Print(shown == 0 ? "\nNo delegations present in this repository.\n\n" : table.Render());
    return COAM_OK;
  });
}

int Keys(Invocation& in) {
  return RunNotary(in, [&](coam_notary* n, Error& error) -> coam_code {
    Buf text;
    const coam_code code = coam_notary_keys(n, Take(text), Take(error));
    if (code != COAM_OK) return code;
    if (in.json()) {
      PrintLine(Text(text));
      return COAM_OK;
    }
    const JsonDoc json = ParseJson(in, text);
    Table table({"ROLE", "GUN", "KEY ID"}, 4);
    table.Row({"----", "---", "------"});
    const size_t count = coam_json_count(json.get(), "/keys");
    for (size_t i = 0; i < count; ++i) {
      const std::string at = "/keys/" + std::to_string(i);
      table.Row(
          {JsonText(json, at + "/role"), JsonText(json, at + "/gun"), JsonText(json, at + "/id")});
    }
    Print(count == 0 ? "No signing keys found.\n" : table.Render());
    return COAM_OK;
  });
}

int Generate(Invocation& in) {
  const std::string type = in.args.empty() ? "ecdsa" : in.args[0];
  if (type != "ecdsa") return in.Usage("Algorithm not allowed, possible values are: ecdsa");
  const std::string role = in.Value("role", "root"), gun = in.Value("gun");
  return RunNotary(in, [&](coam_notary* n, Error& error) -> coam_code {
    Buf text;
    const coam_code code = coam_notary_key_generate(
        n, role.c_str(), gun.empty() ? nullptr : gun.c_str(), Take(text), Take(error));
    if (code == COAM_OK)
      PrintLine("Generated new ecdsa " + role +
                " key with keyID: " + JsonText(ParseJson(in, text), "/id"));
    return code;
  });
}

int Rotate(Invocation& in) {
  const std::string gun = in.args[0], role = in.args[1];
  return RunNotary(in, [&](coam_notary* n, Error& error) -> coam_code {
    const Options options = NewOptions(in, "notary.rotate");
    if (!options || !SetOption(in, options, "server", in.Has("server-managed") ? "true" : "false"))
      return COAM_INTERNAL;
    for (const std::string& value : SplitList(in.Values("key"))) {
      std::string id = value;
      if (id.find('.') != std::string::npos) {  // a file of a private key
        std::string pem;
        Buf imported;
        if (!in.ReadFile(value, &pem)) return COAM_INTERNAL;
        const coam_code code = coam_notary_key_import(n, pem.c_str(), role.c_str(), gun.c_str(),
                                                      Take(imported), Take(error));
        if (code != COAM_OK) return code;
        id = JsonText(ParseJson(in, imported), "/ids/0");
      }
      if (!SetOption(in, options, "key-id", id)) return COAM_INTERNAL;
    }
    const coam_code code =
        coam_notary_rotate(n, gun.c_str(), role.c_str(), options.get(), Take(error));
    if (code == COAM_OK) PrintLine("Successfully rotated " + role + " key for repository " + gun);
    return code;
  });
}

int Import(Invocation& in) {
  std::string pem;
  for (const std::string& file : in.args)
    if (!in.ReadFile(file, &pem)) return 1;
  const std::string role = in.Value("role"), gun = in.Value("gun");
  return RunNotary(in, [&](coam_notary* n, Error& error) -> coam_code {
    Buf ids;
    const coam_code code =
        coam_notary_key_import(n, pem.c_str(), role.empty() ? nullptr : role.c_str(),
                               gun.empty() ? nullptr : gun.c_str(), Take(ids), Take(error));
    std::fill(pem.begin(), pem.end(), '\0');
    if (code != COAM_OK) return code;
    const JsonDoc json = ParseJson(in, ids);
    for (size_t i = 0; i < coam_json_count(json.get(), "/ids"); ++i)
      PrintLine(JsonText(json, "/ids/" + std::to_string(i)));
    return COAM_OK;
  });
}

int Export(Invocation& in) {
  const std::vector<std::string> ids = SplitList(in.Values("key")),
                                 guns = SplitList(in.Values("gun"));
  std::string all;
  const int code = RunNotary(in, [&](coam_notary* n, Error& error) -> coam_code {
    const auto one = [&](const char* id, const char* gun) {
      Buf pem;
      const coam_code code = coam_notary_key_export(n, id, gun, Take(pem), Take(error));
      if (code == COAM_OK) all += Text(pem);
      return code;
    };
    if (ids.empty() && guns.empty()) return one(nullptr, nullptr);
    coam_code code = COAM_OK;
    for (size_t i = 0; i < ids.size() && code == COAM_OK; ++i) code = one(ids[i].c_str(), nullptr);
    for (size_t i = 0; i < guns.size() && code == COAM_OK; ++i)
      code = one(nullptr, guns[i].c_str());
    return code;
  });
  if (code != 0) return code;
  if (in.Has("output")) return WriteTextFile(in.Value("output"), all, 0600) ? 0 : 1;
  Print(all);
  return 0;
}

int Passwd(Invocation& in) {
  return RunNotary(in, [&](coam_notary* n, Error& error) {
    const coam_code code = coam_notary_key_protect(n, in.args[0].c_str(), Take(error));
    if (code == COAM_OK) PrintLine("Successfully updated passphrase for key ID: " + in.args[0]);
    return code;
  });
}

int RemoveKey(Invocation& in) {
  if (!in.Has("yes")) return in.Usage("the key cannot be had again: confirm with --yes");
  return RunNotary(in, [&](coam_notary* n, Error& error) {
    const coam_code code = coam_notary_key_remove(n, in.args[0].c_str(), Take(error));
    if (code == COAM_OK) PrintLine("Deleted " + in.args[0] + ".");
    return code;
  });
}

constexpr Command kCommands[] = {
    {.words = "delegation add",
     .usage = "GUN ROLE [PUBLIC-KEY.pem...]",
     .summary = "Stage keys and paths for a delegated role",
     .flags = kDelegateFlags,
     .examples = "notary delegation add -p registry.example/app targets/releases alice.pem "
                 "--all-paths\n"
                 "notary delegation add registry.example/app targets/qa --paths=qa/,rc/ bob.pem",
     .min_args = 2,
     .max_args = -1,
     .run = Delegate},
    {.words = "delegation remove",
     .usage = "GUN ROLE [KEYID...]",
     .summary = "Stage the removal of keys or paths, or of the role",
     .flags = kUndelegateFlags,
     .examples = "notary delegation remove -y registry.example/app targets/qa\n"
                 "notary delegation remove registry.example/app targets/releases 4e77...",
     .min_args = 2,
     .max_args = -1,
     .run = Undelegate},
    {.words = "delegation list",
     .usage = "GUN",
     .summary = "List the delegated roles",
     .examples = "notary delegation list registry.example/app\n"
                 "notary delegation list --format=json registry.example/app",
     .min_args = 1,
     .max_args = 1,
     .run = Delegations},
    {.words = "delegation purge",
     .usage = "GUN",
     .summary = "Stage the removal of keys from all delegations",
     .flags = kPurgeFlags,
     .examples = "notary delegation purge --key=4e77... registry.example/app\n"
                 "notary delegation purge -p --key=4e77...,91ab... registry.example/app",
     .min_args = 1,
     .max_args = 1,
     .run = Purge},
    {.words = "key list",
     .summary = "List the private keys",
     .examples = "notary key list\nnotary key list -d ~/.docker/trust",
     .run = Keys},
    {.words = "key generate",
     .usage = "[ecdsa]",
     .summary = "Make a private key",
     .flags = kGenerateFlags,
     .examples = "notary key generate\nnotary key generate --role=delegation",
     .max_args = 1,
     .run = Generate},
    {.words = "key rotate",
     .usage = "GUN ROLE",
     .summary = "Replace the key of root, targets, snapshot or timestamp",
     .flags = kRotateFlags,
     .examples = "notary key rotate registry.example/app snapshot -r\n"
                 "notary key rotate registry.example/app root",
     .min_args = 2,
     .max_args = 2,
     .run = Rotate},
    {.words = "key import",
     .usage = "FILE...",
     .summary = "Take private keys from PEM files",
     .flags = kImportFlags,
     .examples = "notary key import backup.pem\n"
                 "notary key import --role=delegation alice-key.pem",
     .min_args = 1,
     .max_args = -1,
     .run = Import},
    {.words = "key export",
     .summary = "Write private keys as PEM, protected as they are kept",
     .flags = kExportFlags,
     .examples = "notary key export -o backup.pem\nnotary key export --key=4e77...",
     .run = Export},
    {.words = "key passwd",
     .usage = "KEYID",
     .summary = "Change the passphrase of a private key",
     .examples = "notary key passwd 4e77...\nnotary key passwd -d ~/.docker/trust 4e77...",
     .min_args = 1,
     .max_args = 1,
     .run = Passwd},
    {.words = "key remove",
     .usage = "KEYID",
     .summary = "Delete a private key",
     .flags = kKeyRemoveFlags,
     .examples = "notary key remove -y 4e77...\nnotary key remove -y -d ~/.docker/trust 4e77...",
     .min_args = 1,
     .max_args = 1,
     .run = RemoveKey},
};

}  // namespace

std::span<const Command> NotaryKeyCommands() { return kCommands; }

}  // namespace coam
