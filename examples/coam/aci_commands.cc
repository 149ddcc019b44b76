// coam discover and coam aci ...: App Container images.
#include <string>

#include "examples/coam/aci_shared.h"
#include "examples/coam/commands.h"

namespace coam {
namespace {

using enum FlagKind;

constexpr Flag kClientFlags[] = {
    {"ca-file", 0, kValue, "FILE", "CA certificates that count beside the system's"},
    {"resolve", 0, kList, "HOST:PORT:ADDRESS[:PORT]", "connect there instead"},
};
constexpr Flag kStoreFlags[] = {
    {"dir", 0, kValue, "DIR", "where images are kept, below DIR/cas (/var/lib/rkt)"},
};
constexpr Flag kFetchFlags[] = {
    {"dir", 0, kValue, "DIR", "where images are kept, below DIR/cas (/var/lib/rkt)"},
    {"local-config", 0, kValue, "DIR", "trusted keys and credentials are below it (/etc/rkt)"},
    {"system-config", 0, kValue, "DIR", "the system's own (/usr/lib/rkt)"},
    {"insecure-options", 0, kList, "WORD,...", "image, tls, http"},
    {"trust-keys-from-https", 0, kSwitch, "", "take keys that discovery finds over https"},
    {"ca-file", 0, kValue, "FILE", "CA certificates that count beside the system's"},
    {"resolve", 0, kList, "HOST:PORT:ADDRESS[:PORT]", "connect there instead"},
};

// A document: as it is with --format=json, else by `people`.
int PrintDocument(Invocation& in, const Buf& json, void (*people)(const JsonDoc&)) {
  if (in.json()) {
    PrintLine(Text(json));
    return 0;
  }
  const JsonDoc doc = ParseJson(in, json);
  if (!doc) return 1;
  people(doc);
  return 0;
}

void PrintSteps(const JsonDoc& doc) {
  for (size_t i = 0; i < coam_json_count(doc.get(), "/steps"); ++i) {
    const std::string at = "/steps/" + std::to_string(i);
    Say(std::string(coam_json_int(doc.get(), (at + "/keys").c_str(), 0) != 0 ? "keys   "
                                                                             : "images ") +
        JsonText(doc, at + "/url") + ": " + JsonText(doc, at + "/outcome"));
  }
}

int Discover(Invocation& in) {
  const AciClient client = OpenImageClient(in, nullptr);
  Options options = in.MakeOptions("aci.discover");
  if (!client || !options) return 1;
  Error error;
  Buf json;
  if (coam_aci_discover(client.get(), in.context(), in.args[0].c_str(), options.get(), Take(json),
                        Take(error)) != COAM_OK) {
    return in.Fail(error, in.args[0]);
  }
  return PrintDocument(in, json, [](const JsonDoc& doc) {
    PrintSteps(doc);
    for (size_t i = 0; i < coam_json_count(doc.get(), "/endpoints"); ++i) {
      const std::string at = "/endpoints/" + std::to_string(i);
      PrintLine("image      " + JsonText(doc, at + "/aci"));
      PrintLine("signature  " + JsonText(doc, at + "/asc"));
    }
    for (size_t i = 0; i < coam_json_count(doc.get(), "/keys"); ++i) {
      PrintLine("keys       " + JsonText(doc, "/keys/" + std::to_string(i)));
    }
  });
}

void PrintInfo(const JsonDoc& doc) {
  PrintLine("id           " + JsonText(doc, "/id"));
  PrintLine("name         " + JsonText(doc, "/name"));
  for (size_t i = 0; i < coam_json_count(doc.get(), "/labels"); ++i) {
    const std::string at = "/labels/" + std::to_string(i);
    PrintLine("label        " + JsonText(doc, at + "/name") + "=" + JsonText(doc, at + "/value"));
  }
  PrintLine("compression  " + JsonText(doc, "/compression"));
  PrintLine("size         " + HumanBytes(coam_json_int(doc.get(), "/size", 0)));
  PrintLine("entries      " + JsonText(doc, "/rootfsEntries"));
}

int Inspect(Invocation& in) {
  Options options = in.MakeOptions("aci.inspect");
  if (!options) return 2;
  Error error;
  Buf json;
  if (coam_aci_inspect(in.context(), in.args[0].c_str(), options.get(), Take(json), Take(error)) !=
      COAM_OK) {
    return in.Fail(error, in.args[0]);
  }
  in.PrintNotes();
  return PrintDocument(in, json, PrintInfo);
}

int Build(Invocation& in) {
  Options options = in.MakeOptions("aci.build");
  if (!options) return 2;
  Error error;
  Buf json;
  if (coam_aci_build(in.context(), in.args[0].c_str(), in.args[1].c_str(), options.get(),
                     Take(json), Take(error)) != COAM_OK) {
    return in.Fail(error, in.args[0]);
  }
  in.PrintNotes();
  return PrintDocument(in, json, PrintInfo);
}

int Validate(Invocation& in) {
  int code = 0;
  for (const std::string& path : in.args) {
    Options options = in.MakeOptions("aci.validate");
    if (!options) return 2;
    Error error;
    Buf kind;
    if (coam_aci_validate(in.context(), path.c_str(), options.get(), Take(kind), Take(error)) !=
        COAM_OK) {
      code = in.Fail(error, path);
      continue;
    }
    PrintLine(path + ": valid " + std::string(Text(kind)));
  }
  return code;
}

int Edit(Invocation& in) {
  Options edit = in.MakeOptions("aci.edit");
  Options options = NewOptions(in, "aci.build");
  if (!edit || !options || !SetOption(in, options, "overwrite", "true")) return 2;
  Error error;
  Buf json;
  if (coam_aci_patch(in.context(), in.args[0].c_str(), in.args[0].c_str(), edit.get(),
                     options.get(), Take(json), Take(error)) != COAM_OK) {
    return in.Fail(error, in.args[0]);
  }
  return PrintDocument(in, json, PrintInfo);
}

int Fetch(Invocation& in) {
  const AciStore store = OpenImageStore(in);
  const SigKeyStore keys = OpenTrustedKeys(in);
  if (!store || !keys) return 1;
  const AciClient client = OpenImageClient(in, keys.get());
  if (!client) return 1;
  SetReview(in, client.get());
  for (const std::string& image : in.args) {
    std::string id;
    const int code = FetchImage(in, client.get(), store.get(), image, "", "update", &id);
    if (code != 0) return code;
    PrintLine(id);
  }
  return 0;
}

int Render(Invocation& in) {
  const AciStore store = OpenImageStore(in);
  Options options = in.MakeOptions("aci.render");
  if (!store || !options) return 1;
  Error error;
  if (coam_aci_store_render(store.get(), in.context(), in.args[0].c_str(), in.args[1].c_str(),
                            options.get(), Take(error)) != COAM_OK) {
    return in.Fail(error, in.args[0]);
  }
  in.PrintNotes();
  return 0;
}

int Import(Invocation& in) {
  const AciStore store = OpenImageStore(in);
  Options options = in.MakeOptions("aci.import");
  if (!store || !options) return 1;
  Error error;
  Buf id;
  if (coam_aci_store_import(store.get(), in.context(), in.args[0].c_str(), options.get(), Take(id),
                            Take(error)) != COAM_OK) {
    return in.Fail(error, in.args[0]);
  }
  in.PrintNotes();
  PrintLine(Text(id));
  return 0;
}

constexpr Command kCommands[] = {
    {.words = "discover",
     .usage = "NAME",
     .summary = "Find where an App Container image and its keys are, telling each step",
     .family = "aci.discover",
     .flags = kClientFlags,
     .examples =
         "coam discover example.com/hello:0.0.1\ncoam discover --keys=true example.com/hello",
     .min_args = 1,
     .max_args = 1,
     .run = Discover},
    {.words = "aci inspect",
     .usage = "FILE",
     .summary = "Read an image file to its end: ID, name, labels",
     .family = "aci.inspect",
     .examples = "coam aci inspect hello.aci\ncoam aci inspect --format=json hello.aci",
     .min_args = 1,
     .max_args = 1,
     .run = Inspect},
    {.words = "aci build",
     .usage = "LAYOUT FILE",
     .summary = "Make an image file of a directory with manifest and rootfs",
     .family = "aci.build",
     .examples =
         "coam aci build layout hello.aci\ncoam aci build --compression=xz layout hello.aci",
     .min_args = 2,
     .max_args = 2,
     .run = Build},
    {.words = "aci validate",
     .usage = "FILE...",
     .summary = "Check images, layouts and manifests",
     .family = "aci.validate",
     .examples = "coam aci validate hello.aci\ncoam aci validate --strict=true manifest.json",
     .min_args = 1,
     .max_args = -1,
     .run = Validate},
    {.words = "aci edit",
     .usage = "FILE",
     .summary = "Change the manifest of an image file in place",
     .family = "aci.edit",
     .examples = "coam aci edit --name=example.com/b hello.aci\n"
                 "coam aci edit --label=version=2 --remove-port=http hello.aci",
     .min_args = 1,
     .max_args = 1,
     .run = Edit},
    {.words = "aci fetch",
     .usage = "IMAGE...",
     .summary = "Fetch, verify and store images with what they depend on",
     .family = "aci.fetch",
     .flags = kFetchFlags,
     .examples = "coam aci fetch example.com/hello:0.0.1\n"
                 "coam aci fetch --pull-policy=new https://example.com/hello.aci",
     .min_args = 1,
     .max_args = -1,
     .run = Fetch},
    {.words = "aci import",
     .usage = "FILE",
     .summary = "Put an image file into the store, unverified",
     .family = "aci.import",
     .flags = kStoreFlags,
     .examples = "coam aci import hello.aci\ncoam aci import --dir=/tmp/rkt hello.aci",
     .min_args = 1,
     .max_args = 1,
     .run = Import},
    {.words = "aci render",
     .usage = "IMAGE DIR",
     .summary = "Put an image's root together in a directory",
     .family = "aci.render",
     .flags = kStoreFlags,
     .examples = "coam aci render example.com/hello root\n"
                 "coam aci render --rootfs-only=true sha512-fa root",
     .min_args = 2,
     .max_args = 2,
     .run = Render},
};

}  // namespace

std::span<const Command> AciCommands() { return kCommands; }

}  // namespace coam
