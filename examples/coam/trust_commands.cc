// coam trust ...: the words of `docker trust`, about signed tags, their signers and the keys.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "examples/coam/cli.h"
#include "examples/coam/commands.h"
#include "examples/coam/notary_shared.h"

namespace coam {
namespace {

using Image = Handle<coam_oci_image, coam_oci_image_free>;

constexpr Flag kServer = {"content-trust", 0, FlagKind::kValue, "URL",
                          "trust server (DOCKER_CONTENT_TRUST_SERVER, else the registry's host)"};
constexpr Flag kTrustDir = {"trust-dir", 0, FlagKind::kValue, "DIR",
                            "keys and metadata (~/.docker/trust)"};
constexpr Flag kInspectFlags[] = {
    {"pretty", 0, FlagKind::kSwitch, "", "for people"},
};
constexpr Flag kSignFlags[] = {kServer, kTrustDir};
constexpr Flag kGenerateFlags[] = {
    kTrustDir,
    {"dir", 0, FlagKind::kValue, "DIR", "where NAME.pub goes (.)"},
};
constexpr Flag kLoadFlags[] = {
    kTrustDir,
    {"name", 0, FlagKind::kValue, "NAME", "name of the key (signer)"},
};
constexpr Flag kAddFlags[] = {
    {"key", 0, FlagKind::kList, "FILE", "public key of the signer, PEM"},
};

std::string WithoutTransport(const std::string& image) {
  return image.rfind("docker://", 0) == 0 ? image.substr(9) : image;
}

// "registry.example/app" of an image's name, with everything written out.
bool GunOf(Invocation& in, const std::string& image, std::string* gun, std::string* tag) {
  Buf text;
  Error error;
  const std::string name = "docker://" + WithoutTransport(image);
  if (coam_oci_name_parse(name.c_str(), Take(text), Take(error)) != COAM_OK) {
    in.Fail(error, image);
    return false;
  }
  const JsonDoc json = ParseJson(in, text);
  *gun = JsonText(json, "/host") + "/" + JsonText(json, "/repository");
  const bool tagged = WithoutTransport(image).find(':', image.rfind('/') + 1) != std::string::npos;
  *tag = tagged ? JsonText(json, "/tag") : "";
  return true;
}

struct Tag {
  std::string name, digest;
  std::vector<std::string> signers;
};
struct Keys {
  std::string name;
  std::vector<std::string> ids;
};

std::string Quoted(const std::vector<std::string>& list) {
  std::string out;
  for (const std::string& item : list) out += (out.empty() ? "" : ",") + JsonQuote(item);
  return out;
}

std::string Joined(const std::vector<std::string>& list) {
  std::string out;
  for (const std::string& item : list) out += (out.empty() ? "" : ", ") + item;
  return out;
}

// Calls `each` with the pointer of every target that one role (or docker's view) names.
template <typename Each>
coam_code ForTargets(Invocation& in, coam_notary* n, const std::string& gun,
                     const std::string& role, Error& error, Each each) {
  const Options options = NewOptions(in, "notary.target");
  if (!options) return COAM_INTERNAL;
  const char* key = role.empty() ? "released" : "role";
  if (!SetOption(in, options, key, role.empty() ? "true" : role)) return COAM_INTERNAL;
  Buf text;
  const coam_code code = coam_notary_list(n, gun.c_str(), options.get(), Take(text), Take(error));
  if (code != COAM_OK) return code;
  const JsonDoc json = ParseJson(in, text);
  for (size_t i = 0; i < coam_json_count(json.get(), "/targets"); ++i)
    each(json, "/targets/" + std::to_string(i));
  return COAM_OK;
}

// What `docker trust inspect` tells of a repository.
struct Report {
  std::string gun;
  std::vector<Tag> tags;
  std::vector<Keys> signers, administrators;

  coam_code Fill(Invocation& in, coam_notary* n, const std::string& only_tag, Error& error) {
    coam_code code =
        ForTargets(in, n, gun, "", error, [&](const JsonDoc& j, const std::string& at) {
          if (!only_tag.empty() && JsonText(j, at + "/name") != only_tag) return;
          tags.push_back({JsonText(j, at + "/name"), JsonText(j, at + "/hashes/sha256"), {}});
        });
    if (code != COAM_OK) return code;
    Buf text;
    code = coam_notary_state(n, gun.c_str(), nullptr, Take(text), Take(error));
    if (code != COAM_OK) return code;
    const JsonDoc json = ParseJson(in, text);
    for (size_t i = 0; i < coam_json_count(json.get(), "/roles"); ++i) {
      const std::string at = "/roles/" + std::to_string(i), role = JsonText(json, at + "/role");
      Keys keys;
      for (size_t k = 0; k < coam_json_count(json.get(), (at + "/keys").c_str()); ++k)
        keys.ids.push_back(JsonText(json, at + "/keys/" + std::to_string(k) + "/id"));
      if (role == "root" || role == "targets") {
        keys.name = role == "root" ? "Root" : "Repository";
        administrators.push_back(std::move(keys));
      } else if (role.rfind("targets/", 0) == 0 && role != "targets/releases") {
        keys.name = role.substr(8);
        signers.push_back(std::move(keys));
      }
    }
    for (const Keys& signer : signers) {
      code = ForTargets(in, n, gun, "targets/" + signer.name, error,
                        [&](const JsonDoc& j, const std::string& at) {
                          for (Tag& tag : tags)
                            if (tag.name == JsonText(j, at + "/name") &&
                                tag.digest == JsonText(j, at + "/hashes/sha256"))
                              tag.signers.push_back(signer.name);
                        });
      if (code != COAM_OK) return code;
    }
    for (Tag& tag : tags)
      if (tag.signers.empty()) tag.signers.push_back("Repo Admin");
    return COAM_OK;
  }

  std::string Json(const std::string& name) const {
    const auto keys = [](const std::vector<Keys>& list) {
      std::string out;
      for (const Keys& k : list) {
        out +=
            std::string(out.empty() ? "" : ",") + "{\"Name\":" + JsonQuote(k.name) + ",\"Keys\":[";
        for (size_t i = 0; i < k.ids.size(); ++i)
          out += std::string(i == 0 ? "" : ",") + "{\"ID\":" + JsonQuote(k.ids[i]) + "}";
        out += "]}";
      }
      return out;
    };
    std::string signed_tags;
    for (const Tag& t : tags)
      signed_tags += std::string(signed_tags.empty() ? "" : ",") +
                     "{\"SignedTag\":" + JsonQuote(t.name) + ",\"Digest\":" + JsonQuote(t.digest) +
                     ",\"Signers\":[" + Quoted(t.signers) + "]}";
    return "{\"Name\":" + JsonQuote(name) + ",\"SignedTags\":[" + signed_tags + "],\"Signers\":[" +
           keys(signers) + "],\"AdministrativeKeys\":[" + keys(administrators) + "]}";
  }

  void PrintPretty(const std::string& name) const {
    if (tags.empty()) {
      Print("\nNo signatures for " + name + "\n\n");
    } else {
      Print("\nSignatures for " + name + "\n\n");
      Table table({"SIGNED TAG", "DIGEST", "SIGNERS"}, 3);
      for (const Tag& t : tags) table.Row({t.name, t.digest, Joined(t.signers)});
      Print(table.Render());
    }
    if (!signers.empty()) {
      Print("\nList of signers and their keys for " + name + "\n\n");
      Table table({"SIGNER", "KEYS"}, 3);
      for (const Keys& k : signers) {
        std::vector<std::string> shortened;
        for (const std::string& id : k.ids) shortened.push_back(id.substr(0, 12));
        table.Row({k.name, Joined(shortened)});
      }
      Print(table.Render());
    }
    Print("\nAdministrative keys for " + name + "\n\n");
    for (auto k = administrators.rbegin(); k != administrators.rend(); ++k)
      PrintLine("  " + k->name + " Key:\t" + Joined(k->ids));
  }
};

int Inspect(Invocation& in) {
  std::string json;
  for (const std::string& image : in.args) {
    Report report;
    std::string tag;
    Notary notary;
    Error error;
    if (!GunOf(in, image, &report.gun, &tag)) return 2;
    if (int code = OpenTrust(in, image, &notary)) return code;
    if (report.Fill(in, notary.get(), tag, error) != COAM_OK)
      return !error ? 1 : in.Fail(error, "no signatures or cannot access " + image);
    if (in.Has("pretty")) {
      report.PrintPretty(image);
    } else {
      json += (json.empty() ? "" : ",") + report.Json(image);
    }
  }
  if (!in.Has("pretty")) PrintLine("[" + json + "]");
  in.PrintNotes();
  return 0;
}

int Sign(Invocation& in) {
  const std::string image = "docker://" + WithoutTransport(in.args[0]);
  const Options open = in.MakeOptions("oci.open");
  if (in.context() == nullptr || !open) return 2;
  Error error;
  Image found;
  Buf roles;
  // The login is read once: what a tag points to and its size come from one look.
  if (coam_oci_open(in.context(), image.c_str(), open.get(), Take(found), Take(error)) != COAM_OK)
    return in.Fail(error, in.args[0]);
  const std::string name(Text(coam_oci_image_json(found.get())));
  JsonDoc json;
  if (coam_json_parse(name.data(), name.size(), Take(json), Take(error)) != COAM_OK)
    return in.Fail(error, in.args[0]);
  std::string points_to = JsonText(json, "/indexDigest");
  if (points_to.empty()) points_to = JsonText(json, "/digest");
  const int64_t size = static_cast<int64_t>(coam_oci_image_index(found.get()).size);
  Notary notary;
  if (int code = OpenTrust(in, in.args[0], &notary)) return code;
  const Options run = in.MakeOptions("notary.run");
  Say("Signing and pushing trust metadata for " + in.args[0]);
  if (coam_notary_sign(notary.get(), image.c_str(), points_to.c_str(), size, run.get(), Take(roles),
                       Take(error)) != COAM_OK)
    return in.Fail(error, "failed to sign " + in.args[0]);
  PrintLine(in.json() ? std::string(Text(roles)) : "Successfully signed " + in.args[0]);
  in.PrintNotes();
  return 0;
}

int Revoke(Invocation& in) {
  Notary notary;
  if (int code = OpenTrust(in, in.args[0], &notary)) return code;
  const Options run = in.MakeOptions("notary.run");
  Error error;
  Buf roles;
  if (coam_notary_revoke(notary.get(), in.args[0].c_str(), run.get(), Take(roles), Take(error)) !=
      COAM_OK)
    return in.Fail(error, in.args[0]);
  PrintLine(in.json() ? std::string(Text(roles))
                      : "Successfully deleted signature for " + in.args[0]);
  return 0;
}

bool IsSignerName(const std::string& name) {
  if (name.empty() || name[0] == '-' || name[0] == '_') return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

int KeyGenerate(Invocation& in) {
  const std::string name = in.args[0];
  if (!IsSignerName(name))
    return in.Usage("key name \"" + name +
                    "\" must start with lowercase alphanumeric characters and can include \"-\" "
                    "or \"_\" after the first character");
  Notary notary;
  if (int code = OpenTrust(in, "", &notary)) return code;
  Error error;
  Buf made;
  if (coam_notary_key_generate(notary.get(), name.c_str(), nullptr, Take(made), Take(error)) !=
      COAM_OK)
    return in.Fail(error, name);
  const std::string path = in.Value("dir", ".") + "/" + name + ".pub";
  if (!WriteTextFile(path, JsonText(ParseJson(in, made), "/public"), 0644)) return 1;
  PrintLine("Successfully generated and loaded private key. Corresponding public key available: " +
            path);
  return 0;
}

int KeyLoad(Invocation& in) {
  std::string pem;
  struct stat st {};
  if (stat(in.args[0].c_str(), &st) == 0 && (st.st_mode & 077) != 0)
    return in.Usage("private key file " + in.args[0] +
                    " must not be readable or writable by others");
  if (!in.ReadFile(in.args[0], &pem)) return 1;
  Notary notary;
  if (int code = OpenTrust(in, "", &notary)) return code;
  Error error;
  Buf ids;
  const coam_code code =
      coam_notary_key_import(notary.get(), pem.c_str(), in.Value("name", "signer").c_str(), nullptr,
                             Take(ids), Take(error));
  std::fill(pem.begin(), pem.end(), '\0');
  if (code != COAM_OK) return in.Fail(error, in.args[0]);
  PrintLine("Successfully imported key from " + in.args[0]);
  return 0;
}

// Stages a change of targets/NAME and targets/releases of each repository and publishes it.
template <typename Stage>
int ForSigner(Invocation& in, Stage stage) {
  const std::string name = in.args[0];
  if (name == "releases" || !IsSignerName(name))
    return in.Usage("signer name \"" + name +
                    "\" must start with lowercase alphanumeric characters and can include \"-\" "
                    "or \"_\" after the first character; releases is a reserved name");
  for (size_t i = 1; i < in.args.size(); ++i) {
    std::string gun, tag;
    Notary notary;
    Error error;
    if (!GunOf(in, in.args[i], &gun, &tag)) return 2;
    if (int code = OpenTrust(in, in.args[i], &notary)) return code;
    const Options run = in.MakeOptions("notary.run");
    coam_code code = stage(notary.get(), gun, "targets/" + name, error);
    if (code == COAM_OK)
      code = coam_notary_publish(notary.get(), gun.c_str(), run.get(), Take(error));
    if (code != COAM_OK) return error ? in.Fail(error, in.args[i]) : 1;
  }
  return 0;
}

int SignerAdd(Invocation& in) {
  std::vector<std::string> pems;
  for (const std::string& file : in.Values("key"))
    if (!in.ReadFile(file, &pems.emplace_back())) return 1;
  if (pems.empty()) return in.Usage("path to a public key must be provided using the --key flag");
  const int code =
      ForSigner(in,
                [&](coam_notary* n, const std::string& gun, const std::string& role,
                    Error& error) -> coam_code {
                  for (const std::string& target : {role, std::string("targets/releases")}) {
                    const Options options = NewOptions(in, "notary.delegation");
                    if (!options || !SetOption(in, options, "all-paths", "true"))
                      return COAM_INTERNAL;
                    for (const std::string& pem : pems)
                      if (!SetOption(in, options, "key", pem)) return COAM_INTERNAL;
                    const coam_code code = coam_notary_delegate(n, gun.c_str(), target.c_str(),
                                                                options.get(), Take(error));
                    if (code != COAM_OK) return code;
                  }
                  return COAM_OK;
                });
  if (code == 0)
    for (size_t i = 1; i < in.args.size(); ++i)
      PrintLine("Successfully added signer: " + in.args[0] + " to " + in.args[i]);
  return code;
}

int SignerRemove(Invocation& in) {
  const int code = ForSigner(
      in,
      [&](coam_notary* n, const std::string& gun, const std::string& role,
          Error& error) -> coam_code {
        // The signer's keys leave targets/releases too, and the role itself goes.
        Buf text;
        coam_code code = coam_notary_state(n, gun.c_str(), nullptr, Take(text), Take(error));
        if (code != COAM_OK) return code;
        const JsonDoc json = ParseJson(in, text);
        const Options options = NewOptions(in, "notary.delegation");
        if (!options) return COAM_INTERNAL;
        size_t keys = 0;
        for (size_t i = 0; i < coam_json_count(json.get(), "/roles"); ++i) {
          const std::string at = "/roles/" + std::to_string(i);
          if (JsonText(json, at + "/role") != role) continue;
          keys = coam_json_count(json.get(), (at + "/keys").c_str());
          for (size_t k = 0; k < keys; ++k)
            if (!SetOption(in, options, "key-id",
                           JsonText(json, at + "/keys/" + std::to_string(k) + "/id")))
              return COAM_INTERNAL;
        }
        code = coam_notary_undelegate(n, gun.c_str(), role.c_str(), nullptr, Take(error));
        if (code == COAM_OK && keys > 0)
          code = coam_notary_undelegate(n, gun.c_str(), "targets/releases", options.get(),
                                        Take(error));
        return code;
      });
  if (code == 0)
    for (size_t i = 1; i < in.args.size(); ++i)
      PrintLine("Successfully removed " + in.args[0] + " from " + in.args[i]);
  return code;
}

constexpr Command kCommands[] = {
    {.words = "trust inspect",
     .usage = "IMAGE[:TAG]...",
     .summary = "Show the signed tags, signers and keys of repositories",
     .family = "notary.open",
     .flags = kInspectFlags,
     .examples = "coam trust inspect --pretty registry.example/app\n"
                 "coam trust inspect --server=https://notary.example registry.example/app:1.4",
     .min_args = 1,
     .max_args = -1,
     .run = Inspect},
    {.words = "trust sign",
     .usage = "IMAGE:TAG",
     .summary = "Sign what a tag of a registry points to",
     .family = "oci.open",
     .flags = kSignFlags,
     .examples = "coam trust sign registry.example/app:1.4\n"
                 "coam trust sign --content-trust=https://notary.example registry.example/app:1.4",
     .min_args = 1,
     .max_args = 1,
     .run = Sign},
    {.words = "trust revoke",
     .usage = "IMAGE[:TAG]",
     .summary = "Take the signatures of a tag, or of all tags, away",
     .family = "notary.open",
     .examples = "coam trust revoke registry.example/app:1.4\n"
                 "coam trust revoke --server=https://notary.example registry.example/app",
     .min_args = 1,
     .max_args = 1,
     .run = Revoke},
    {.words = "trust key generate",
     .usage = "NAME",
     .summary = "Make a signer's key and write its public half to NAME.pub",
     .flags = kGenerateFlags,
     .examples = "coam trust key generate alice\ncoam trust key generate --dir=keys alice",
     .min_args = 1,
     .max_args = 1,
     .run = KeyGenerate},
    {.words = "trust key load",
     .usage = "FILE",
     .summary = "Take a signer's private key",
     .flags = kLoadFlags,
     .examples = "coam trust key load --name=alice alice.pem\ncoam trust key load key.pem",
     .min_args = 1,
     .max_args = 1,
     .run = KeyLoad},
    {.words = "trust signer add",
     .usage = "NAME IMAGE...",
     .summary = "Let a signer sign all tags of repositories",
     .family = "notary.open",
     .flags = kAddFlags,
     .examples = "coam trust signer add --key=alice.pub alice registry.example/app\n"
                 "coam trust signer add --key=a.pub --key=b.pub ci registry.example/app",
     .min_args = 2,
     .max_args = -1,
     .run = SignerAdd},
    {.words = "trust signer remove",
     .usage = "NAME IMAGE...",
     .summary = "Take a signer from repositories",
     .family = "notary.open",
     .examples = "coam trust signer remove alice registry.example/app\n"
                 "coam trust signer remove ci registry.example/app registry.example/web",
     .min_args = 2,
     .max_args = -1,
     .run = SignerRemove},
};

}  // namespace

std::span<const Command> TrustCommands() { return kCommands; }

}  // namespace coam
