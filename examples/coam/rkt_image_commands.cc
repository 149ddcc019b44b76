// rkt fetch and rkt image ...: words, flags, tables and exit codes of rkt 1.30.
#include <algorithm>
#include <string>
#include <vector>

#include "examples/coam/aci_shared.h"
#include "examples/coam/commands.h"

namespace coam {
namespace {

using enum FlagKind;

constexpr int kFailed = 254;

constexpr Flag kFetchFlags[] = {
    {"full", 0, kSwitch, "", "print the full image ID"},
    {"signature", 0, kValue, "FILE", "signature of the image"},
    {"pull-policy", 0, kValue, "new|never|update", "when to ask the network (default update)"},
    {"no-store", 0, kSwitch, "", "as --pull-policy=update"},
    {"store-only", 0, kSwitch, "", "as --pull-policy=never"},
};
constexpr Flag kListFlags[] = {
    {"fields", 0, kValue, "FIELD,...", "id, name, size, importtime, lastused"},
    {"sort", 0, kValue, "FIELD,...", "name, importtime, lastused, size (default importtime)"},
    {"order", 0, kValue, "asc|desc", "order of the first sort field"},
    {"full", 0, kSwitch, "", "long output"},
    {"no-legend", 0, kSwitch, "", "no header"},
};
constexpr Flag kGcFlags[] = {
    {"grace-period", 0, kValue, "TIME", "how long an image must have been unused (24h)"},
    {"dry-run", 0, kSwitch, "", "only tell what would go"},
};
constexpr Flag kOverwriteFlags[] = {
    {"overwrite", 0, kSwitch, "", "replace what is there"},
};
constexpr Flag kExtractFlags[] = {
    {"overwrite", 0, kSwitch, "", "replace an existing directory"},
    {"rootfs-only", 0, kSwitch, "", "only the root file system"},
};
constexpr Flag kManifestFlags[] = {
    {"pretty-print", 0, kSwitch, "", "indented (the default; --pretty-print=false for one line)"},
};

int Fetch(Invocation& in) {
  const AciStore store = OpenImageStore(in);
  const SigKeyStore keys = OpenTrustedKeys(in);
  if (!store || !keys) return kFailed;
  const AciClient client = OpenImageClient(in, keys.get());
  if (!client) return kFailed;
  SetReview(in, client.get());
  for (const std::string& image : in.args) {
    std::string id;
    const int code =
        FetchImage(in, client.get(), store.get(), image, in.Value("signature"), "update", &id);
    if (code != 0) return code;
    PrintLine(in.Has("full") ? id : id.substr(0, 7 + 64));
  }
  return 0;
}

struct Image {
  std::string id, name;
  int64_t size = 0, imported = 0, used = 0;
};

// -1, 0 or 1 by one field.
int Compare(const Image& a, const Image& b, const std::string& field) {
  const auto three = [](auto x, auto y) { return x < y ? -1 : x > y ? 1 : 0; };
  if (field == "name") return a.name.compare(b.name);
  if (field == "size") return three(a.size, b.size);
  if (field == "lastused") return three(a.used, b.used);
  return three(a.imported, b.imported);
}

int List(Invocation& in) {
  const AciStore store = OpenImageStore(in);
  if (!store) return kFailed;
  Error error;
  Buf json;
  if (coam_aci_store_list(store.get(), Take(json), Take(error)) != COAM_OK) return in.Fail(error);
  const JsonDoc doc = ParseJson(in, json);
  if (!doc) return kFailed;
  std::vector<Image> images;
  for (size_t i = 0; i < coam_json_count(doc.get(), "/images"); ++i) {
    const std::string at = "/images/" + std::to_string(i);
    Image image;
    image.id = JsonText(doc, at + "/id");
    image.name = JsonText(doc, at + "/name");
    if (const std::string v = JsonText(doc, at + "/version"); !v.empty()) image.name += ":" + v;
    image.size = coam_json_int(doc.get(), (at + "/size").c_str(), 0);
    image.imported = coam_json_int(doc.get(), (at + "/importTimeNs").c_str(), 0);
    image.used = coam_json_int(doc.get(), (at + "/lastUsedNs").c_str(), 0);
    images.push_back(std::move(image));
  }
  std::vector<std::string> fields =
      SplitAt(Lower(in.Value("fields", "id,name,size,importtime,lastused")), ',');
  const std::vector<std::string> sort = SplitAt(Lower(in.Value("sort", "importtime")), ',');
  for (const std::string& field : sort) {
    if (field != "name" && field != "importtime" && field != "lastused" && field != "size") {
      return in.Usage("--sort: no field '" + field + "'");
    }
  }
  const std::string order = Lower(in.Value("order", "asc"));
  if (order != "asc" && order != "desc") return in.Usage("--order: wrong sort order");
  std::stable_sort(images.begin(), images.end(), [&](const Image& a, const Image& b) {
    for (const std::string& field : sort) {
      const int c = Compare(a, b, field);
      if (c != 0) return order == "asc" ? c < 0 : c > 0;
    }
    return false;
  });

  if (const std::string format = in.Value("format"); format == "json" || format == "json-pretty") {
    const std::string nl = format == "json" ? "" : "\n", tab = format == "json" ? "" : "\t";
    const std::string colon = format == "json" ? ":" : ": ";
    std::string out = "[";
    for (const Image& image : images) {
      out += (out.size() > 1 ? "," : "") + nl + tab + "{" + nl + tab + tab + "\"id\"" + colon +
             JsonQuote(image.id) + "," + nl + tab + tab + "\"name\"" + colon +
             JsonQuote(image.name) + "," + nl + tab + tab + "\"import_time\"" + colon +
             std::to_string(image.imported) + "," + nl + tab + tab + "\"last_used_time\"" + colon +
             std::to_string(image.used) + "," + nl + tab + tab + "\"size\"" + colon +
             std::to_string(image.size) + nl + tab + "}";
    }
    PrintLine(out + (images.empty() ? "" : nl) + "]");
    return 0;
  }

  const bool full = in.Has("full");
  const auto cells = [&](const Image* image) {
    std::vector<std::string> row;
    for (const std::string& field : fields) {
      if (field == "id") {
        row.push_back(image == nullptr ? "ID" : full ? image->id : image->id.substr(0, 7 + 12));
      } else if (field == "name") {
        row.push_back(image == nullptr ? "NAME" : image->name);
      } else if (field == "size") {
        row.push_back(image == nullptr ? "SIZE"
                      : full           ? std::to_string(image->size)
                                       : GoBytes(image->size));
      } else if (field == "importtime") {
        row.push_back(image == nullptr ? "IMPORT TIME"
                      : full           ? GoTime(image->imported)
                                       : GoAgo(image->imported));
      } else if (field == "lastused") {
        row.push_back(image == nullptr ? "LAST USED"
                      : full           ? GoTime(image->used)
                                       : GoAgo(image->used));
      }
    }
    return row;
  };
  for (const std::string& field : fields) {
    if (field != "id" && field != "name" && field != "size" && field != "importtime" &&
        field != "lastused") {
      return in.Usage("--fields: no field '" + field + "'");
    }
  }
  Table table(cells(nullptr), 0);
  for (const Image& image : images) table.Row(cells(&image));
  Print(table.Render(!in.Has("no-legend")));
  return 0;
}

int Remove(Invocation& in) {
  const AciStore store = OpenImageStore(in);
  if (!store) return kFailed;
  int done = 0, failed = 0;
  for (const std::string& image : in.args) {
    Error error;
    Buf id;
    if (coam_aci_store_resolve(store.get(), image.c_str(), Take(id), Take(error)) != COAM_OK) {
      in.Fail(error, "rm: " + image);
      ++failed;
      continue;
    }
    const std::string key(Text(id));
    if (coam_aci_store_remove(store.get(), key.c_str(), Take(error)) != COAM_OK) {
      in.Fail(error, "rm: error removing aci for image \"" + image + "\"");
      ++failed;
      continue;
    }
    PrintLine("successfully removed aci for image: \"" + key.substr(0, 7 + 64) + "\"");
    ++done;
  }
  if (done > 0) Say("rm: " + std::to_string(done) + " image(s) successfully removed");
  if (failed > 0) Say("rm: " + std::to_string(failed) + " image(s) cannot be removed");
  // rkt ends with 0 for an image it does not have; a failure is never a success here.
  return failed > 0 ? kFailed : 0;
}

int Gc(Invocation& in) {
  const AciStore store = OpenImageStore(in);
  Options options = in.MakeOptions("aci.gc");
  if (!store || !options) return kFailed;
  Error error;
  Buf json;
  if (coam_aci_store_gc(store.get(), in.context(), options.get(), Take(json), Take(error)) !=
      COAM_OK) {
    return in.Fail(error, "gc");
  }
  const JsonDoc doc = ParseJson(in, json);
  for (size_t i = 0; doc && i < coam_json_count(doc.get(), ""); ++i) {
    const std::string id = JsonText(doc, "/" + std::to_string(i));
    Say(id.substr(0, 5) == "deps-" ? "gc: removed treestore \"" + id + "\""
                                   : "gc: removed image \"" + id.substr(0, 7 + 64) + "\"");
  }
  return 0;
}

int CatManifest(Invocation& in) {
  const AciStore store = OpenImageStore(in);
  if (!store) return kFailed;
  Error error;
  Buf json;
  const int32_t pretty = in.Value("pretty-print", "true") == "false" ? 0 : 1;
  if (coam_aci_store_manifest(store.get(), in.args[0].c_str(), pretty, Take(json), Take(error)) !=
      COAM_OK) {
    return in.Fail(error, "cannot get image manifest");
  }
  PrintLine(Text(json));
  return 0;
}

int Export(Invocation& in) {
  const AciStore store = OpenImageStore(in);
  Options options = in.MakeOptions("aci.export");
  if (!store || !options) return kFailed;
  Error error;
  if (coam_aci_store_export(store.get(), in.context(), in.args[0].c_str(), in.args[1].c_str(),
                            options.get(), Take(error)) != COAM_OK) {
    if (coam_error_code(error.get()) == COAM_ALREADY_EXISTS) {
      Say("export: output ACI file exists (try --overwrite)");
      return kFailed;
    }
    return in.Fail(error, "export");
  }
  return 0;
}

// extract and render differ in the images beneath only.
int Unpack(Invocation& in, bool dependencies) {
  const AciStore store = OpenImageStore(in);
  Options options = in.MakeOptions("aci.render");
  if (!store || !options) return kFailed;
  if (!SetOption(in, options, "dependencies", dependencies ? "true" : "false")) return kFailed;
  std::string target = in.args[1];
  while (target.size() > 1 && target.back() == '/') target.pop_back();
  if (target == "/") {
    Say("rkt: this would delete your root filesystem. Refusing.");
    return kFailed;
  }
  Error error;
  if (coam_aci_store_render(store.get(), in.context(), in.args[0].c_str(), target.c_str(),
                            options.get(), Take(error)) != COAM_OK) {
    if (coam_error_code(error.get()) == COAM_ALREADY_EXISTS) {
      Say("rkt: output directory exists (try --overwrite)");
      return kFailed;
    }
    return in.Fail(error, in.args[0]);
  }
  in.PrintNotes();
  return 0;
}

int Extract(Invocation& in) { return Unpack(in, false); }
int Render(Invocation& in) { return Unpack(in, true); }

int Verify(Invocation& in) {
  const AciStore store = OpenImageStore(in);
  if (!store) return kFailed;
  int code = 0;
  for (const std::string& image : in.args) {
    Error error;
    Options options = in.MakeOptions("aci.verify");
    if (!options) return kFailed;
    if (coam_aci_store_verify(store.get(), in.context(), image.c_str(), options.get(),
                              Take(error)) != COAM_OK) {
      // Damage is a failure here; rkt repairs a tree and ends with 0.
      code = in.Fail(error, "verify: " + image);
      continue;
    }
    PrintLine("successfully verified checksum for image: \"" + image + "\"");
  }
  return code;
}

constexpr Command kCommands[] = {
    {.words = "fetch",
     .usage = "IMAGE...",
     .summary = "Fetch images and their dependencies into the store",
     .flags = kFetchFlags,
     .examples = "rkt fetch example.com/hello:0.0.1\nrkt fetch --insecure-options=image ./x.aci",
     .min_args = 1,
     .max_args = -1,
     .run = Fetch},
    {.words = "image list",
     .summary = "List the images of the store",
     .flags = kListFlags,
     .examples = "rkt image list\nrkt image list --fields=id,name --no-legend",
     .run = List},
    {.words = "image rm",
     .usage = "IMAGE...",
     .summary = "Remove images by ID or name",
     .examples = "rkt image rm sha512-fa1cb92dc276\nrkt image rm example.com/hello:0.0.1",
     .min_args = 1,
     .max_args = -1,
     .run = Remove},
    {.words = "image gc",
     .summary = "Remove images and trees that nobody uses",
     .flags = kGcFlags,
     .examples = "rkt image gc\nrkt image gc --grace-period=0s",
     .run = Gc},
    {.words = "image cat-manifest",
     .usage = "IMAGE",
     .summary = "Print an image's manifest",
     .flags = kManifestFlags,
     .examples = "rkt image cat-manifest example.com/hello\n"
                 "rkt image cat-manifest --pretty-print=false sha512-fa",
     .min_args = 1,
     .max_args = 1,
     .run = CatManifest},
    {.words = "image export",
     .usage = "IMAGE FILE",
     .summary = "Write an image to a file, not packed",
     .flags = kOverwriteFlags,
     .examples = "rkt image export example.com/hello hello.aci\n"
                 "rkt image export --overwrite sha512-fa hello.aci",
     .min_args = 2,
     .max_args = 2,
     .run = Export},
    {.words = "image extract",
     .usage = "IMAGE DIR",
     .summary = "Unpack an image without the images it depends on",
     .flags = kExtractFlags,
     .examples = "rkt image extract example.com/hello hello\n"
                 "rkt image extract --rootfs-only sha512-fa root",
     .min_args = 2,
     .max_args = 2,
     .run = Extract},
    {.words = "image render",
     .usage = "IMAGE DIR",
     .summary = "Put an image together with the images it depends on",
     .flags = kExtractFlags,
     .examples = "rkt image render example.com/hello hello\n"
                 "rkt image render --overwrite --rootfs-only example.com/hello root",
     .min_args = 2,
     .max_args = 2,
     .run = Render},
    {.words = "image verify",
     .usage = "IMAGE...",
     .summary = "Compare stored images and their trees with their hashes",
     .examples = "rkt image verify example.com/hello\nrkt image verify sha512-fa",
     .min_args = 1,
     .max_args = -1,
     .run = Verify},
};

}  // namespace

std::span<const Command> RktImageCommands() { return kCommands; }

}  // namespace coam
