// The option families of coaming/aci.h and how they are read.
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/core/status_macros.h"
#include "capi/src/aci.h"
#include "capi/src/modules.h"

namespace coaming::capi {
namespace {

using enum OptionType;

constexpr OptionRow kStoreRows[] = {
    {"dir", kPath, "/var/lib/rkt/cas", "1.0", "where images are kept"},
};
constexpr OptionRow kImportRows[] = {
    {"latest", kBool, "false", "1.0", "win over others when no version is asked for"},
    {"want-id", kString, "", "1.0", "the ID that the image must have"},
    {"strict", kBool, "false", "1.0", "refuse isolators that the specification does not name"},
};
constexpr OptionRow kGcRows[] = {
    {"grace-period", kDuration, "24h", "1.0", "how long an image must have been unused"},
    {"dry-run", kBool, "false", "1.0", "only tell what would go"},
    {"keep-tree", kList, "", "1.0", "ID of a rendered tree that is in use"},
};
constexpr OptionRow kExportRows[] = {
    {"overwrite", kBool, "false", "1.0", "replace an existing file"},
};
constexpr OptionRow kRenderRows[] = {
    {"overwrite", kBool, "false", "1.0", "replace an existing directory"},
    {"rootfs-only", kBool, "false", "1.0", "make the directory itself the root"},
    {"dependencies", kBool, "true", "1.0", "put the images it depends on beneath"},
    {"keep-owner", kBool, "true", "1.0", "keep owners; without privilege they are the caller's"},
};
constexpr OptionRow kClientRows[] = {
    {"ca-file", kPath, "", "1.0", "file of CA certificates that count beside the system's"},
    {"ca-dir", kPath, "", "1.0", "directory of CA certificates"},
    {"only-these-cas", kBool, "false", "1.0", "the system's CA certificates do not count"},
    {"insecure-tls", kBool, "false", "1.0", "take any certificate"},
    {"resolve", kList, "", "1.0", "HOST:PORT:ADDRESS[:PORT]: connect there instead"},
    {"user-agent", kString, "coaming/1.0", "1.0", "what servers are told"},
    {"https-proxy", kString, "", "1.0", "proxy for https URLs"},
    {"http-proxy", kString, "", "1.0", "proxy for http URLs"},
    {"no-proxy", kString, "", "1.0", "hosts that need no proxy, with commas"},
};
// Where and how to ask; the beginning of several families.
#define COAM_ACI_DISCOVERY_ROWS                                                           \
  {"allow-http", kBool, "false", "1.0", "plain http where https fails, and http URLs"},   \
      {"insecure-tls", kBool, "false", "1.0", "take any certificate"},                    \
      {"port", kInt, "0", "1.0", "port of the pages instead of 443"},                     \
      {"simple", kBool, "false", "1.0", "try https://NAME-VERSION-OS-ARCH.aci first"}, {  \
    "header", kList, "", "1.0", "HOST NAME=VALUE: a header for one host, over https only" \
  }
constexpr OptionRow kDiscoverRows[] = {
    COAM_ACI_DISCOVERY_ROWS,
    {"images", kBool, "true", "1.0", "look for the image"},
    {"keys", kBool, "false", "1.0", "look for public keys"},
    {"host-labels", kBool, "true", "1.0", "fill in this machine's os and arch"},
};
constexpr OptionRow kFetchRows[] = {
    COAM_ACI_DISCOVERY_ROWS,
    {"pull-policy", kString, "update", "1.0", "never (store only), new (store first) or update"},
    {"insecure-image", kBool, "false", "1.0", "do not ask for a signature"},
    {"signature", kPath, "", "1.0", "file with the signature instead of fetching it"},
    {"dependencies", kBool, "true", "1.0", "fetch what the image depends on as well"},
    {"strict", kBool, "false", "1.0", "refuse isolators that the specification does not name"},
};
#undef COAM_ACI_DISCOVERY_ROWS
constexpr OptionRow kInspectRows[] = {
    {"strict", kBool, "false", "1.0", "refuse isolators that the specification does not name"},
};
constexpr OptionRow kValidateRows[] = {
    {"type", kString, "", "1.0", "appimage, layout or manifest (default: by what it is)"},
    {"strict", kBool, "false", "1.0", "refuse isolators that the specification does not name"},
};
constexpr OptionRow kBuildRows[] = {
    {"compression", kString, "gzip", "1.0", "gzip, xz, bzip2 or none"},
    {"owner-root", kBool, "false", "1.0", "give all files to root"},
    {"overwrite", kBool, "false", "1.0", "replace an existing file"},
    {"clamp-mtime", kInt, "-1", "1.0", "latest time of a file, in seconds since 1970"},
};
constexpr OptionRow kBeginRows[] = {
    {"start", kPath, "", "1.0", "image, tar of a root file system or directory to begin with"},
};
constexpr OptionRow kEditRows[] = {
    {"manifest", kBytes, "", "1.0", "a whole manifest to begin with"},
    {"name", kString, "", "1.0", "name of the image"},
    {"label", kMap, "", "1.0", "label, NAME=VALUE"},
    {"annotation", kMap, "", "1.0", "annotation, NAME=VALUE"},
    {"exec", kList, "", "1.0", "program and arguments, one an entry"},
    {"user", kString, "", "1.0", "user to run as"},
    {"group", kString, "", "1.0", "group to run as"},
    {"supplementary-gid", kList, "", "1.0", "further group ID"},
    {"working-directory", kPath, "", "1.0", "directory to run in"},
    {"environment", kMap, "", "1.0", "variable, NAME=VALUE"},
    {"mount", kList, "", "1.0", "mount point, NAME,path=PATH[,readOnly=true]"},
    {"port", kList, "", "1.0", "port, NAME,protocol=tcp,port=80[,count=N][,socketActivated=true]"},
    {"isolator", kMap, "", "1.0", "isolator, NAME=JSON; replaces those of that name"},
    {"isolator-words", kList, "", "1.0", "isolator as in resource/cpu,limit=500m; is added"},
    {"capability-retain", kList, "", "1.0", "capability to keep; all others go"},
    {"capability-remove", kList, "", "1.0", "capability to take away"},
    {"seccomp-mode", kString, "", "1.0", "retain or remove, and ,errno=NAME"},
    {"seccomp-call", kList, "", "1.0", "system call or wildcard of the seccomp set"},
    {"dependency", kList, "", "1.0", "NAME[,imageid=ID][,size=N][,LABEL=VALUE...]"},
    {"pre-start", kList, "", "1.0", "words of the pre-start handler"},
    {"post-stop", kList, "", "1.0", "words of the post-stop handler"},
    {"path-whitelist", kList, "", "1.0", "path that stays when others go"},
    {"remove-label", kList, "", "1.0", "label to take away"},
    {"remove-annotation", kList, "", "1.0", "annotation to take away"},
    {"remove-environment", kList, "", "1.0", "variable to take away"},
    {"remove-mount", kList, "", "1.0", "mount point to take away, by name or path"},
    {"remove-port", kList, "", "1.0", "port to take away, by name or number"},
    {"remove-isolator", kList, "", "1.0", "isolator to take away"},
    {"remove-dependency", kList, "", "1.0", "dependency to take away"},
    {"history", kString, "", "1.0", "words kept as annotation coreos.com/acbuild/command-N"},
};

constexpr OptionFamily kFamilies[] = {
    {"aci.store", "where images are kept", kStoreRows},
    {"aci.import", "putting a file into the store", kImportRows},
    {"aci.gc", "removing what is unused", kGcRows},
    {"aci.export", "writing an image out", kExportRows},
    {"aci.verify", "reading the store again", {}},
    {"aci.render", "putting an image's root together", kRenderRows},
    {"aci.tree", "a shared rendered tree", {}},
    {"aci.client", "the HTTP side", kClientRows},
    {"aci.discover", "asking where an image is", kDiscoverRows},
    {"aci.fetch", "fetching an image", kFetchRows},
    {"aci.inspect", "reading an image file", kInspectRows},
    {"aci.validate", "checking a file or directory", kValidateRows},
    {"aci.build", "making an image file", kBuildRows},
    {"aci.begin", "beginning a build", kBeginRows},
    {"aci.edit", "changing an image manifest", kEditRows},
};

constexpr const char* kFeatures[] = {
    "aci.build",  "aci.discovery.meta", "aci.discovery.simple", "aci.fetch.resume",
    "aci.render", "aci.store",          "aci.validate"};

absl::Status OneOf(std::string_view key, std::string_view value, std::string_view choices) {
  return base::Fail("core.invalid_argument")
         << "option " << key << " is \"" << value << "\", not one of " << choices;
}

}  // namespace

Module AciModule() { return {"aci", kFamilies, kFeatures}; }

aci::ClientOptions ReadAciClient(const OptionReader& opt) {
  aci::ClientOptions out;
  out.ca_file = opt.String("ca-file");
  out.ca_dir = opt.String("ca-dir");
  out.only_these_cas = opt.Bool("only-these-cas");
  out.insecure_tls = opt.Bool("insecure-tls");
  out.resolve = opt.List("resolve");
  out.user_agent = opt.String("user-agent");
  out.https_proxy = opt.String("https-proxy");
  out.http_proxy = opt.String("http-proxy");
  out.no_proxy = opt.String("no-proxy");
  return out;
}

absl::StatusOr<aci::DiscoveryOptions> ReadAciDiscovery(const OptionReader& opt) {
  aci::DiscoveryOptions out;
  out.allow_http = opt.Bool("allow-http");
  out.insecure_tls = opt.Bool("insecure-tls");
  const int64_t port = opt.Int("port");
  if (port < 0 || port > 65535) {
    return base::Fail("core.invalid_argument") << "port " << port << " is not in 0..65535";
  }
  out.port = static_cast<uint16_t>(port);
  out.simple = opt.Bool("simple");
  for (const std::string& text : opt.List("header")) {
    const size_t blank = text.find(' ');
    const size_t eq = text.find('=', blank == std::string::npos ? 0 : blank);
    if (blank == std::string::npos || eq == std::string::npos) {
      // The text may hold a secret: it is not shown.
      return base::Fail("core.invalid_argument") << "a header is not HOST NAME=VALUE";
    }
    out.headers.push_back(
        {text.substr(0, blank), text.substr(blank + 1, eq - blank - 1), text.substr(eq + 1)});
  }
  return out;
}

absl::StatusOr<aci::FetchOptions> ReadAciFetch(const OptionReader& opt) {
  aci::FetchOptions out;
  COAM_ASSIGN_OR_RETURN(out.discovery, ReadAciDiscovery(opt));
  const std::string policy = opt.String("pull-policy");
  if (policy == "never") {
    out.pull = aci::PullPolicy::kNever;
  } else if (policy == "new") {
    out.pull = aci::PullPolicy::kNew;
  } else if (policy == "update") {
    out.pull = aci::PullPolicy::kUpdate;
  } else {
    return OneOf("pull-policy", policy, "never, new, update");
  }
  out.insecure_no_signature = opt.Bool("insecure-image");
  out.signature_file = opt.String("signature");
  out.with_dependencies = opt.Bool("dependencies");
  out.strict = opt.Bool("strict");
  return out;
}

absl::StatusOr<aci::BuildOptions> ReadAciBuild(const OptionReader& opt) {
  aci::BuildOptions out;
  const std::string compression = opt.String("compression");
  if (compression == "gzip") {
    out.compression = aci::Compression::kGzip;
  } else if (compression == "xz") {
    out.compression = aci::Compression::kXz;
  } else if (compression == "bzip2") {
    out.compression = aci::Compression::kBzip2;
  } else if (compression == "none") {
    out.compression = aci::Compression::kNone;
  } else {
    return OneOf("compression", compression, "gzip, xz, bzip2, none");
  }
  out.owner_root = opt.Bool("owner-root");
  out.overwrite = opt.Bool("overwrite");
  out.clamp_mtime = opt.Int("clamp-mtime");
  return out;
}

absl::StatusOr<aci::ManifestEdit> ReadAciEdit(const OptionReader& opt) {
  aci::ManifestEdit out;
  const auto text = [&](std::string_view key, std::optional<std::string>* to) {
    if (opt.Has(key)) *to = opt.String(key);
  };
  const auto list = [&](std::string_view key, std::optional<std::vector<std::string>>* to) {
    if (opt.Has(key)) *to = opt.List(key);
  };
  out.replace = opt.String("manifest");
  text("name", &out.name);
  text("user", &out.user);
  text("group", &out.group);
  text("working-directory", &out.working_directory);
  list("exec", &out.exec);
  list("supplementary-gid", &out.supplementary_gids);
  list("pre-start", &out.pre_start);
  list("post-stop", &out.post_stop);
  list("path-whitelist", &out.path_whitelist);
  out.labels = opt.Map("label");
  out.annotations = opt.Map("annotation");
  out.environment = opt.Map("environment");
  out.mounts = opt.List("mount");
  out.ports = opt.List("port");
  out.isolators = opt.Map("isolator");
  out.isolator_words = opt.List("isolator-words");
  out.dependencies = opt.List("dependency");
  out.capabilities_retain = opt.List("capability-retain");
  out.capabilities_remove = opt.List("capability-remove");
  out.seccomp_mode = opt.String("seccomp-mode");
  out.seccomp_set = opt.List("seccomp-call");
  out.remove_labels = opt.List("remove-label");
  out.remove_annotations = opt.List("remove-annotation");
  out.remove_environment = opt.List("remove-environment");
  out.remove_mounts = opt.List("remove-mount");
  out.remove_ports = opt.List("remove-port");
  out.remove_isolators = opt.List("remove-isolator");
  out.remove_dependencies = opt.List("remove-dependency");
  return out;
}

}  // namespace coaming::capi
