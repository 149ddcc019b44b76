// coam pull, push, copy, unpack, inspect, tags, list, digest, tree, build, gc, remove, login, logout.
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "examples/coam/cli.h"
#include "examples/coam/commands.h"
#include "examples/coam/notary_shared.h"

namespace coam {
namespace {

using Image = Handle<coam_oci_image, coam_oci_image_free>;
using Json = Handle<coam_json, coam_json_free>;

constexpr Flag kStoreFlag = {"store", 0, FlagKind::kValue, "DIR",
                             "layout for names without a transport"};
constexpr Flag kStoreFlags[] = {kStoreFlag};
constexpr Flag kTrustFlags[] = {
    kStoreFlag,
    {"content-trust", 0, FlagKind::kValue, "URL", "notary-server that must have signed the tag"},
    {"trust-dir", 0, FlagKind::kValue, "DIR", "its keys and metadata (~/.docker/trust)"},
};
constexpr Flag kUnpackFlags[] = {
    kStoreFlag,
    {"rootfs-only", 0, FlagKind::kSwitch, "", "the directory is the root file system itself"},
    {"replace", 0, FlagKind::kSwitch, "", "replace what is at the directory's place"},
    {"rootless", 0, FlagKind::kSwitch, "", "everything belongs to the caller; no devices"},
    {"uid-map", 0, FlagKind::kList, "CONTAINER:HOST[:SIZE]", "map owners"},
    {"gid-map", 0, FlagKind::kList, "CONTAINER:HOST[:SIZE]", "map groups"},
};
constexpr Flag kInspectFlags[] = {
    kStoreFlag,
    {"raw", 0, FlagKind::kSwitch, "", "the exact bytes that the name points to"},
    {"config", 0, FlagKind::kSwitch, "", "the exact bytes of the config"},
};
constexpr Flag kTreeFlags[] = {
    kStoreFlag,
    {"artifact-type", 0, FlagKind::kValue, "TYPE", "only artifacts of this type"},
};
constexpr Flag kLoginFlags[] = {
    {"username", 'u', FlagKind::kValue, "NAME", "the user"},
    {"password-stdin", 0, FlagKind::kSwitch, "", "read the password from standard input"},
};

std::string DefaultStore() {
  if (geteuid() == 0) return "/var/lib/coaming/images";
  const char* data = getenv("XDG_DATA_HOME");
  if (data != nullptr && data[0] == '/') return std::string(data) + "/coaming/images";
  const char* home = getenv("HOME");
  return std::string(home != nullptr ? home : "") + "/.local/share/coaming/images";
}

std::string Store(const Invocation& in) { return in.Value("store", DefaultStore()); }

// Where an image is: as it stands, or a name in the store.
std::string Locate(const Invocation& in, const std::string& text) {
  const size_t colon = text.find(':');
  const std::string word = text.substr(0, colon);
  const bool transport =
      colon != std::string::npos && coam_has_feature(("oci.transport." + word).c_str()) == 1;
  if (transport) return text;
  return "oci:" + Store(in) + ":" + text;
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

std::string Member(const Json& json, const char* pointer) {
  return std::string(Text(coam_json_text(json.get(), pointer)));
}

// With --content-trust, the name with the digest that is signed for its tag; and the short name that it
// was asked for by.
int Trusted(Invocation& in, std::string* name, std::string* asked) {
  if (!in.Has("content-trust") || name->rfind("docker://", 0) != 0) return 0;
  Notary notary;
  if (int code = OpenTrust(in, *name, &notary)) return code;
  const Options run = in.MakeOptions("notary.run");
  Error error;
  Buf found, parsed;
  if (coam_notary_resolve(notary.get(), name->c_str(), run.get(), Take(found), Take(error)) !=
          COAM_OK ||
      coam_oci_name_parse(name->c_str(), Take(parsed), Take(error)) != COAM_OK)
    return in.Fail(error, *name);
  *asked = Member(Parse(parsed), "/familiar");
  *name = Text(found);
  return 0;
}

int Pull(Invocation& in) {
  if (in.context() == nullptr) return 2;
  Options options = in.MakeOptions("oci.pull");
  if (!options) return 2;
  std::string layout = in.args.size() > 1 ? in.args[1] : Store(in), name;
  if (layout.rfind("oci:", 0) == 0) layout.erase(0, 4);
  if (const size_t colon = layout.find(':'); colon != std::string::npos) {
    name = layout.substr(colon + 1);
    layout.resize(colon);
  }
  std::string from = in.args[0], asked;
  if (int code = Trusted(in, &from, &asked)) return code;
  if (name.empty()) name = asked;
  Image image;
  Error error;
  if (coam_oci_pull(in.context(), from.c_str(), layout.c_str(), name.c_str(), options.get(),
                    Take(image), Take(error)) != COAM_OK) {
    return in.Fail(error, in.args[0]);
  }
  if (in.json()) {
    PrintLine(Text(coam_oci_image_json(image.get())));
  } else {
    PrintLine(Text(coam_oci_image_digest(image.get())));
  }
  in.PrintNotes();
  return 0;
}

int CopyTo(Invocation& in, std::string from, const std::string& to) {
  if (in.context() == nullptr) return 2;
  std::string asked;
  if (int code = Trusted(in, &from, &asked)) return code;
  Options options = in.MakeOptions("oci.copy");
  if (!options) return 2;
  Buf result;
  Error error;
  if (coam_oci_copy(in.context(), from.c_str(), to.c_str(), options.get(), Take(result),
                    Take(error)) != COAM_OK) {
    return in.Fail(error, in.args[0]);
  }
  if (in.Has("content-trust") && to.rfind("docker://", 0) == 0) {
    Notary notary;
    if (int code = OpenTrust(in, to, &notary)) return code;
    const Options run = in.MakeOptions("notary.run");
    const Json copied = Parse(result);
    Buf roles;
    Say("Signing and pushing trust metadata");
    if (coam_notary_sign(notary.get(), to.c_str(), Member(copied, "/digest").c_str(),
                         coam_json_int(copied.get(), "/size", 0), run.get(), Take(roles),
                         Take(error)) != COAM_OK)
      return in.Fail(error, to);
    Say("Successfully signed " + to.substr(9));
  }
  if (in.json()) {
    PrintLine(Text(result));
  } else {
    PrintLine(Member(Parse(result), "/digest"));
  }
  in.PrintNotes();
  return 0;
}

int Copy(Invocation& in) { return CopyTo(in, Locate(in, in.args[0]), Locate(in, in.args[1])); }

int Push(Invocation& in) {
  std::string to = in.args.back();
  if (to.rfind("docker://", 0) != 0) to = "docker://" + to;
  return CopyTo(in, Locate(in, in.args[0]), to);
}

// Opens the image of the first argument.
int Open(Invocation& in, Image* image) {
  if (in.context() == nullptr) return 2;
  Options options = in.MakeOptions("oci.open");
  if (!options) return 2;
  Error error;
  const std::string name = Locate(in, in.args[0]);
  if (coam_oci_open(in.context(), name.c_str(), options.get(), Take(*image), Take(error)) !=
      COAM_OK) {
    return in.Fail(error, in.args[0]);
  }
  return 0;
}

int Unpack(Invocation& in) {
  Image image;
  if (int code = Open(in, &image)) return code;
  Options options = in.MakeOptions("oci.unpack");
  if (!options) return 2;
  Buf result;
  Error error;
  if (coam_oci_image_unpack(image.get(), in.context(), in.args[1].c_str(), options.get(),
                            Take(result), Take(error)) != COAM_OK) {
    return in.Fail(error, in.args[0]);
  }
  PrintLine(in.json() ? std::string(Text(result)) : Member(Parse(result), "/rootfs"));
  in.PrintNotes();
  return 0;
}

int Inspect(Invocation& in) {
  Image image;
  if (int code = Open(in, &image)) return code;
  if (in.Has("raw")) {
    Print(Text(coam_oci_image_index(image.get())));
    return 0;
  }
  if (in.Has("config")) {
    Print(Text(coam_oci_image_config(image.get())));
    return 0;
  }
  if (in.json()) {
    PrintLine(Text(coam_oci_image_json(image.get())));
    return 0;
  }
  Json json;
  Error error;
  const coam_str text = coam_oci_image_json(image.get());
  if (coam_json_parse(text.data, text.size, Take(json), Take(error)) != COAM_OK) {
    return in.Fail(error, in.args[0]);
  }
  const auto line = [&](const char* label, const std::string& value) {
    if (!value.empty()) PrintLine(std::string(label) + value);
  };
  const auto list = [&](const std::string& pointer) {
    std::string out;
    for (size_t i = 0; i < coam_json_count(json.get(), pointer.c_str()); ++i) {
      const std::string item = pointer + "/" + std::to_string(i);
      out += (i > 0 ? " " : "") + JsonQuote(Text(coam_json_text(json.get(), item.c_str())));
    }
    return out;
  };
  line("Name:         ", Member(json, "/name"));
  line("Digest:       ", Member(json, "/digest"));
  line("Index:        ", Member(json, "/indexDigest"));
  line("Media type:   ", Member(json, "/mediaType"));
  line("Platform:     ", Member(json, "/platform"));
  line("Created:      ", Member(json, "/created"));
  line("User:         ", Member(json, "/user"));
  line("Entrypoint:   ", list("/entrypoint"));
  line("Cmd:          ", list("/cmd"));
  line("Env:          ", list("/env"));
  line("Directory:    ", Member(json, "/workingDir"));
  line("Ports:        ", list("/exposedPorts"));
  const size_t layers = coam_json_count(json.get(), "/layers");
  for (size_t i = 0; i < layers; ++i) {
    const std::string at = "/layers/" + std::to_string(i);
    PrintLine("Layer:        " + Member(json, (at + "/digest").c_str()) + " " +
              HumanBytes(coam_json_int(json.get(), (at + "/size").c_str(), 0)));
  }
  return 0;
}

int PrintNames(Invocation& in, const std::string& name) {
  if (in.context() == nullptr) return 2;
  Options options = in.MakeOptions("oci.registry");
  if (!options) return 2;
  Buf result;
  Error error;
  if (coam_oci_list(in.context(), name.c_str(), options.get(), Take(result), Take(error)) !=
      COAM_OK) {
    return in.Fail(error, name);
  }
  if (in.json()) {
    PrintLine(Text(result));
    return 0;
  }
  const Json json = Parse(result);
  for (size_t i = 0; i < coam_json_count(json.get(), "/names"); ++i) {
    PrintLine(Member(json, ("/names/" + std::to_string(i)).c_str()));
  }
  return 0;
}

int Tags(Invocation& in) {
  std::string name = in.args[0];
  if (name.rfind("docker://", 0) != 0) name = "docker://" + name;
  return PrintNames(in, name);
}

int List(Invocation& in) {
  std::string layout = in.args.empty() ? Store(in) : in.args[0];
  const size_t colon = layout.find(':');
  return PrintNames(in, colon == std::string::npos ? "oci:" + layout : layout);
}

int Digest(Invocation& in) {
  if (in.context() == nullptr) return 2;
  Options options = in.MakeOptions("oci.registry");
  if (!options) return 2;
  Buf digest;
  Error error;
  if (coam_oci_resolve(in.context(), Locate(in, in.args[0]).c_str(), options.get(), Take(digest),
                       Take(error)) != COAM_OK) {
    return in.Fail(error, in.args[0]);
  }
  PrintLine(Text(digest));
  return 0;
}

int Tree(Invocation& in) {
  if (in.context() == nullptr) return 2;
  Options options = in.MakeOptions("oci.registry");
  if (!options) return 2;
  Buf result;
  Error error;
  if (coam_oci_referrers(in.context(), Locate(in, in.args[0]).c_str(),
                         in.Value("artifact-type").c_str(), options.get(), Take(result),
                         Take(error)) != COAM_OK) {
    return in.Fail(error, in.args[0]);
  }
  if (in.json()) {
    PrintLine(Text(result));
    return 0;
  }
  const Json json = Parse(result);
  PrintLine(Member(json, "/name"));
  const size_t count = coam_json_count(json.get(), "/descriptors");
  for (size_t i = 0; i < count; ++i) {
    const std::string at = "/descriptors/" + std::to_string(i);
    PrintLine(std::string(i + 1 < count ? "|-- " : "`-- ") +
              Member(json, (at + "/artifactType").c_str()) + " " +
              Member(json, (at + "/digest").c_str()));
  }
  return 0;
}

int Build(Invocation& in) {
  if (in.context() == nullptr) return 2;
  Options options = in.MakeOptions("oci.build");
  if (!options) return 2;
  const bool tree = in.args.size() > 1;
  Buf digest;
  Error error;
  if (coam_oci_build(in.context(), tree ? in.args[0].c_str() : nullptr,
                     Locate(in, in.args.back()).c_str(), options.get(), Take(digest),
                     Take(error)) != COAM_OK) {
    return in.Fail(error, in.args.back());
  }
  PrintLine(Text(digest));
  in.PrintNotes();
  return 0;
}

int Gc(Invocation& in) {
  if (in.context() == nullptr) return 2;
  Options options = in.MakeOptions("oci.gc");
  if (!options) return 2;
  const std::string layout = in.args.empty() ? Store(in) : in.args[0];
  Buf result;
  Error error;
  if (coam_oci_gc(in.context(), layout.c_str(), options.get(), Take(result), Take(error)) !=
      COAM_OK) {
    return in.Fail(error, layout);
  }
  if (in.json()) {
    PrintLine(Text(result));
    return 0;
  }
  const Json json = Parse(result);
  for (size_t i = 0; i < coam_json_count(json.get(), "/removed"); ++i) {
    PrintLine(Member(json, ("/removed/" + std::to_string(i)).c_str()));
  }
  Say(Member(json, "/blobs") + " blobs, " + HumanBytes(coam_json_int(json.get(), "/bytes", 0)) +
      (in.Has("dry-run") ? " would be freed" : " freed"));
  return 0;
}

int Remove(Invocation& in) {
  if (in.context() == nullptr) return 2;
  Options options = in.MakeOptions("oci.registry");
  if (!options) return 2;
  Error error;
  if (coam_oci_remove(in.context(), Locate(in, in.args[0]).c_str(), options.get(), Take(error)) !=
      COAM_OK) {
    return in.Fail(error, in.args[0]);
  }
  return 0;
}

std::string ReadPassword() {
  std::string out;
  char block[1024];
  ssize_t n;
  while (out.size() < 65536 && (n = read(0, block, sizeof block)) > 0) {
    out.append(block, static_cast<size_t>(n));
  }
  while (!out.empty() && (out.back() == '\n' || out.back() == '\r')) out.pop_back();
  return out;
}

int Login(Invocation& in) {
  if (in.context() == nullptr) return 2;
  if (!in.Has("username") || !in.Has("password-stdin")) {
    return in.Usage("give --username, and the password by --password-stdin");
  }
  // By descriptor, so that no secret is ever an argument.
  const std::string secret = in.Value("username") + ":" + ReadPassword();
  const int fd = memfd_create("credentials", MFD_CLOEXEC);
  if (fd < 0 || write(fd, secret.data(), secret.size()) != static_cast<ssize_t>(secret.size()) ||
      lseek(fd, 0, SEEK_SET) != 0) {
    return in.Usage("no place to keep the password for a moment");
  }
  in.given["creds-fd"] = {std::to_string(fd)};
  Options options = in.MakeOptions("oci.registry");
  if (!options) return 2;
  Error error;
  const coam_code code =
      coam_oci_login(in.context(), in.args[0].c_str(), options.get(), Take(error));
  close(fd);
  if (code != COAM_OK) return in.Fail(error, in.args[0]);
  Say("logged in to " + in.args[0]);
  return 0;
}

int Logout(Invocation& in) {
  if (in.context() == nullptr) return 2;
  int32_t removed = 0;
  Error error;
  if (coam_oci_logout(in.context(), in.args[0].c_str(), in.Value("authfile").c_str(), &removed,
                      Take(error)) != COAM_OK) {
    return in.Fail(error, in.args[0]);
  }
  Say(removed == 1 ? "logged out of " + in.args[0] : "there was no login to " + in.args[0]);
  return 0;
}

constexpr Command kCommands[] = {
    {.words = "pull",
     .usage = "IMAGE [LAYOUT[:NAME]]",
     .summary = "Fetch an image into a layout (default: the store)",
     .family = "oci.pull",
     .flags = kTrustFlags,
     .examples =
         "coam pull docker://quay.io/org/app:1.4\ncoam pull docker://busybox ./layout:bb\n"
         "coam pull --content-trust=https://notary.example docker://registry.example/app:1.4",
     .min_args = 1,
     .max_args = 2,
     .run = Pull},
    {.words = "push",
     .usage = "IMAGE docker://HOST/REPOSITORY[:TAG]",
     .summary = "Send an image to a registry",
     .family = "oci.copy",
     .flags = kTrustFlags,
     .examples = "coam push oci:layout:bb docker://127.0.0.1:5000/bb:1\n"
                 "coam push --authfile auth.json app:1 docker://quay.io/org/app:1",
     .min_args = 2,
     .max_args = 2,
     .run = Push},
    {.words = "copy",
     .usage = "FROM TO",
     .summary = "Copy an image between registries, layouts, archives and directories",
     .family = "oci.copy",
     .flags = kTrustFlags,
     .examples = "coam copy --all docker://alpine:3 oci:layout:alpine\n"
                 "coam copy oci:layout:alpine oci-archive:alpine.tar",
     .min_args = 2,
     .max_args = 2,
     .run = Copy},
    {.words = "unpack",
     .usage = "IMAGE DIR",
     .summary = "Unpack an image to a bundle, straight from where it is",
     .family = "oci.open",
     .flags = kUnpackFlags,
     .examples = "coam unpack docker://quay.io/org/app:1.4 /run/app\n"
                 "coam unpack --rootfs-only oci:layout:bb rootfs",
     .min_args = 2,
     .max_args = 2,
     .run = Unpack},
    {.words = "inspect",
     .usage = "IMAGE",
     .summary = "Show an image's manifest and config",
     .family = "oci.open",
     .flags = kInspectFlags,
     .examples = "coam inspect docker://busybox\ncoam inspect --raw oci:layout:bb",
     .min_args = 1,
     .max_args = 1,
     .run = Inspect},
    {.words = "tags",
     .usage = "docker://HOST/REPOSITORY",
     .summary = "List the tags of a repository",
     .family = "oci.registry",
     .examples = "coam tags docker://quay.io/org/app\ncoam tags --format=json quay.io/org/app",
     .min_args = 1,
     .max_args = 1,
     .run = Tags},
    {.words = "images",
     .usage = "[LAYOUT]",
     .summary = "List the names in a layout (default: the store)",
     .family = "oci.registry",
     .flags = kStoreFlags,
     .examples = "coam images\ncoam images ./layout",
     .max_args = 1,
     .run = List},
    {.words = "digest",
     .usage = "IMAGE",
     .summary = "Show the digest that a name points to",
     .family = "oci.registry",
     .flags = kStoreFlags,
     .examples = "coam digest docker://busybox:1.36\ncoam digest oci:layout:bb",
     .min_args = 1,
     .max_args = 1,
     .run = Digest},
    {.words = "tree",
     .usage = "IMAGE",
     .summary = "Show the artifacts that refer to an image",
     .family = "oci.registry",
     .flags = kTreeFlags,
     .examples = "coam tree docker://quay.io/org/app:1\n"
                 "coam tree --artifact-type application/spdx+json docker://quay.io/org/app:1",
     .min_args = 1,
     .max_args = 1,
     .run = Tree},
    {.words = "build",
     .usage = "[TREE] oci:LAYOUT[:NAME]",
     .summary = "Make an image of a directory",
     .family = "oci.build",
     .flags = kStoreFlags,
     .examples = "coam build --entrypoint /hello tree oci:layout:hello\n"
                 "coam build --base hello --label a=b oci:layout:hello2",
     .min_args = 1,
     .max_args = 2,
     .run = Build},
    {.words = "gc",
     .usage = "[LAYOUT]",
     .summary = "Remove the blobs of a layout that no name reaches",
     .family = "oci.gc",
     .flags = kStoreFlags,
     .examples = "coam gc ./layout\ncoam gc --dry-run",
     .max_args = 1,
     .run = Gc},
    {.words = "remove",
     .usage = "IMAGE",
     .summary = "Take a name out of a layout, or a manifest out of a registry",
     .family = "oci.registry",
     .flags = kStoreFlags,
     .examples = "coam remove oci:layout:bb\ncoam remove docker://127.0.0.1:5000/bb@sha256:...",
     .min_args = 1,
     .max_args = 1,
     .run = Remove},
    {.words = "login",
     .usage = "HOST",
     .summary = "Check credentials for a registry and keep them in a file",
     .family = "oci.registry",
     .flags = kLoginFlags,
     .examples = "coam login --authfile auth.json -u me --password-stdin quay.io < secret\n"
                 "coam login --authfile auth.json -u me --password-stdin 127.0.0.1:5000 < secret",
     .min_args = 1,
     .max_args = 1,
     .run = Login},
    {.words = "logout",
     .usage = "HOST",
     .summary = "Forget the credentials for a registry",
     .family = "oci.registry",
     .examples = "coam logout --authfile auth.json quay.io\n"
                 "coam logout --authfile auth.json 127.0.0.1:5000",
     .min_args = 1,
     .max_args = 1,
     .run = Logout},
};

}  // namespace

std::span<const Command> OciCommands() { return kCommands; }

}  // namespace coam
