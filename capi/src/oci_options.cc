#include "capi/src/oci_options.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "capi/src/modules.h"
#include "libtrust/client/image_signer.h"

namespace coaming::capi {
namespace {

using enum OptionType;

// What every call that may reach a registry takes.
#define COAM_REGISTRY_ROWS                                                                        \
  {"authfile", kPath, "", "1.0", "file of credentials, as docker's config.json"},                 \
      {"creds-fd", kFd, "", "1.0", "descriptor to read USER:PASSWORD from"},                      \
      {"helper-dir", kList, "", "1.0",                                                            \
       "directory of docker-credential-* programs that may be run"},                              \
      {"http-host", kList, "", "1.0", "host[:port] that may be spoken to without TLS; * is all"}, \
      {"ca-file", kPath, "", "1.0", "further CA certificates, as PEM"},                           \
      {"client-cert", kPath, "", "1.0", "certificate of this client, as PEM"},                    \
      {"client-key", kPath, "", "1.0", "key of this client, as PEM"},                             \
      {"tls-verify", kBool, "true", "1.0", "check certificates and want TLS"},                    \
      {"resolve", kList, "", "1.0", "HOST:PORT:ADDRESS to connect to instead of asking DNS"},     \
      {"http-proxy", kString, "", "1.0", "proxy for http"},                                       \
      {"https-proxy", kString, "", "1.0", "proxy for https"}, {                                   \
    "no-proxy", kString, "", "1.0", "hosts, domains and networks without a proxy, by commas"      \
  }

#define COAM_PLATFORM_ROW \
  { "platform", kString, "", "1.0", "os/architecture[/variant] to choose (default: the host's)" }

// What every call that uses an image takes, to be sure of it first.
#define COAM_TRUST_ROWS                                                                          \
  {"policy", kPath, "", "1.0", "policy.json that the image must satisfy; without, any will do"}, \
      {"policy-json", kString, "", "1.0", "text of such a policy instead of its path"}, {        \
    "registries-d", kPath, "", "1.0", "directory of registries.d files: where signatures are"    \
  }

constexpr OptionRow kRegistryRows[] = {COAM_REGISTRY_ROWS};

constexpr OptionRow kOpenRows[] = {COAM_PLATFORM_ROW, COAM_TRUST_ROWS, COAM_REGISTRY_ROWS};

constexpr OptionRow kPullRows[] = {
    COAM_PLATFORM_ROW,
    {"all", kBool, "false", "1.0", "all images of an index; the host's is then opened"},
    COAM_TRUST_ROWS,
    COAM_REGISTRY_ROWS,
};

constexpr OptionRow kCopyRows[] = {
    COAM_PLATFORM_ROW,
    {"all", kBool, "false", "1.0", "all images of an index, and the index"},
    {"additional-tag", kList, "", "1.0", "one more name for the image at its destination"},
    {"sign-by", kPath, "", "1.0", "OpenPGP secret key to sign the copy with (simple signing)"},
    {"sign-by-sigstore-private-key", kPath, "", "1.0",
     "private key in PEM to sign the copy with as cosign does"},
    {"sign-passphrase-file", kPath, "", "1.0", "file whose first line opens these keys"},
    {"sign-identity", kString, "", "1.0", "name that is signed (default: the destination's)"},
    {"chunk-size", kSize, "0", "1.0", "push blobs in pieces of this size; 0: each in one"},
    COAM_TRUST_ROWS,
    COAM_REGISTRY_ROWS,
};

constexpr OptionRow kUnpackRows[] = {
    {"rootfs-only", kBool, "false", "1.0", "the directory is the root file system itself"},
    {"replace", kBool, "false", "1.0", "replace what is at the directory's place"},
    {"uid-map", kList, "", "1.0", "CONTAINER:HOST[:SIZE] for owners"},
    {"gid-map", kList, "", "1.0", "CONTAINER:HOST[:SIZE] for groups"},
    {"rootless", kBool, "false", "1.0", "everything belongs to the caller; no devices"},
    {"xattrs", kBool, "true", "1.0", "set extended attributes"},
    {"devices", kBool, "true", "1.0", "make device nodes"},
};

constexpr OptionRow kLayerRows[] = {
    {"buffer", kSize, "131072", "1.0", "bytes read from the source at a time"},
};

constexpr OptionRow kGcRows[] = {
    {"dry-run", kBool, "false", "1.0", "only tell what would go"},
    {"partial-age", kDuration, "168h", "1.0", "how old a partial download may get"},
};

constexpr OptionRow kBuildRows[] = {
    {"base", kString, "", "1.0", "name in the same layout of an image to build on"},
    COAM_PLATFORM_ROW,
    {"entrypoint", kList, "", "1.0", "word of the program that the image runs"},
    {"cmd", kList, "", "1.0", "word of its arguments"},
    {"env", kMap, "", "1.0", "variable"},
    {"user", kString, "", "1.0", "user or uid, and :group"},
    {"working-dir", kString, "", "1.0", "directory to run in"},
    {"port", kList, "", "1.0", "port that it listens on, 80/tcp"},
    {"volume", kList, "", "1.0", "path that holds data"},
    {"label", kMap, "", "1.0", "label"},
    {"stop-signal", kString, "", "1.0", "signal that ends it"},
    {"author", kString, "", "1.0", "who made it"},
    {"created", kString, "", "1.0", "time of making, RFC 3339"},
    {"created-by", kString, "", "1.0", "command of the history entry"},
    {"annotation", kMap, "", "1.0", "annotation of the manifest"},
    {"compress", kString, "gzip", "1.0", "gzip, zstd or none"},
    {"level", kInt, "-1", "1.0", "of the compression; -1: its default"},
    {"prefix", kString, "", "1.0", "directory of the image that the tree goes to"},
    {"owner", kString, "", "1.0", "UID:GID of all files instead of their own"},
    {"mtime", kInt, "-1", "1.0", "latest time of a file, seconds since 1970"},
    {"uid-map", kList, "", "1.0", "CONTAINER:HOST[:SIZE] for owners"},
    {"gid-map", kList, "", "1.0", "CONTAINER:HOST[:SIZE] for groups"},
};

constexpr OptionFamily kFamilies[] = {
    {"oci.open", "open an image", kOpenRows},
    {"oci.pull", "copy an image into a layout and open it", kPullRows},
    {"oci.copy", "copy an image", kCopyRows},
    {"oci.unpack", "unpack an image to a bundle", kUnpackRows},
    {"oci.layer", "read a layer", kLayerRows},
    {"oci.registry", "ask a registry or layout", kRegistryRows},
    {"oci.gc", "collect unused blobs", kGcRows},
    {"oci.build", "make an image of a directory", kBuildRows},
};

constexpr const char* kFeatures[] = {
    "oci.transport.docker", "oci.transport.oci", "oci.transport.oci-archive",
    "oci.transport.dir",    "oci.unpack",        "oci.build"};

absl::Status ReadIds(const OptionReader& options, oci::IdMapping* ids) {
  for (const std::string& text : options.List("uid-map")) {
    COAM_ASSIGN_OR_RETURN(ids->uids.emplace_back(), oci::ParseIdRange(text));
  }
  for (const std::string& text : options.List("gid-map")) {
    COAM_ASSIGN_OR_RETURN(ids->gids.emplace_back(), oci::ParseIdRange(text));
  }
  return absl::OkStatus();
}

}  // namespace

Module OciModule() { return {"oci", kFamilies, kFeatures}; }

absl::StatusOr<oci::Web> OpenWeb(const base::Op& op, const OptionReader& options, bool threads) {
  oci::WebOptions web;
  web.authfile = options.String("authfile");
  web.credentials_fd = static_cast<int>(options.Int("creds-fd"));
  web.helper_dirs = options.List("helper-dir");
  web.http_hosts = options.List("http-host");
  web.ca_file = options.String("ca-file");
  web.client_cert = options.String("client-cert");
  web.client_key = options.String("client-key");
  web.tls_verify = options.Bool("tls-verify");
  web.resolve = options.List("resolve");
  web.http_proxy = options.String("http-proxy");
  web.https_proxy = options.String("https-proxy");
  web.no_proxy = options.String("no-proxy");
  web.threads = threads;
  return oci::MakeWeb(op, web);
}

absl::StatusOr<std::optional<oci::Platform>> ReadPlatform(const OptionReader& options) {
  std::optional<std::string> text = options.MaybeString("platform");
  if (!text.has_value()) return std::optional<oci::Platform>();
  COAM_ASSIGN_OR_RETURN(oci::Platform platform, oci::Platform::Parse(*text));
  return std::optional<oci::Platform>(std::move(platform));
}

absl::StatusOr<std::shared_ptr<const oci::ImageTrust>> ReadTrust(const base::Op& op,
                                                                 const OptionReader& options) {
  if (options.Has("registries-d") && !options.Has("policy") && !options.Has("policy-json") &&
      !options.Has("sign-by") && !options.Has("sign-by-sigstore-private-key")) {
    return base::Fail("core.invalid_argument")
           << "registries-d says where signatures are, but no policy asks for them";
  }
  return oci::ImageTrust::Load(op, {.policy_path = options.String("policy"),
                                    .policy_json = options.String("policy-json"),
                                    .registries_dir = options.String("registries-d")});
}

absl::StatusOr<oci::CopyOptions> ReadCopyOptions(const base::Op& op, const OptionReader& options) {
  oci::CopyOptions out;
  COAM_ASSIGN_OR_RETURN(out.trust, ReadTrust(op, options));
  COAM_ASSIGN_OR_RETURN(out.platform, ReadPlatform(options));
  out.all = options.Bool("all");
  if (out.all && out.platform.has_value()) {
    return base::Fail("core.invalid_argument") << "all images, or one of a platform: not both";
  }
  return out;
}

absl::Status ReadSigning(const base::Op& op, const OptionReader& options, const oci::ImageName& to,
                         oci::CopyOptions* out) {
  COAM_ASSIGN_OR_RETURN(
      out->sign,
      trust::LoadImageSigner({.openpgp_key = options.String("sign-by"),
                              .sigstore_key = options.String("sign-by-sigstore-private-key"),
                              .passphrase_file = options.String("sign-passphrase-file")},
                             op));
  if (!out->sign) return absl::OkStatus();
  out->sign_identity = options.String("sign-identity");
  if (out->sign_identity.empty()) {
    if (to.transport != "docker") {
      return base::Fail("core.invalid_argument")
             << to.ToString() << " has no name that could be signed; give sign-identity";
    }
    out->sign_identity = to.reference.ToString();
  }
  COAM_ASSIGN_OR_RETURN(out->stores, oci::LoadStores(op, options.String("registries-d")));
  return absl::OkStatus();
}

absl::StatusOr<oci::UnpackOptions> ReadUnpackOptions(const OptionReader& options) {
  oci::UnpackOptions out;
  out.rootfs_only = options.Bool("rootfs-only");
  out.replace = options.Bool("replace");
  out.xattrs = options.Bool("xattrs");
  out.devices = options.Bool("devices");
  out.ids.all_to_caller = options.Bool("rootless");
  COAM_RETURN_IF_ERROR(ReadIds(options, &out.ids));
  return out;
}

absl::StatusOr<oci::BuildOptions> ReadBuildOptions(const OptionReader& options) {
  oci::BuildOptions out;
  oci::ImageConfig& config = out.config;
  COAM_ASSIGN_OR_RETURN(std::optional<oci::Platform> platform, ReadPlatform(options));
  if (platform.has_value()) config.platform = *std::move(platform);
  config.created = options.String("created");
  config.author = options.String("author");
  oci::ContainerConfig& c = config.config;
  c.entrypoint = options.List("entrypoint");
  c.cmd = options.List("cmd");
  for (const auto& [key, value] : options.Map("env"))
    c.env.push_back(absl::StrCat(key, "=", value));
  c.user = options.String("user");
  c.working_dir = options.String("working-dir");
  c.exposed_ports = options.List("port");
  c.volumes = options.List("volume");
  c.labels = options.Map("label");
  c.stop_signal = options.String("stop-signal");
  out.created_by = options.String("created-by");
  out.annotations = options.Map("annotation");
  out.compression = options.String("compress");
  out.level = static_cast<int>(options.Int("level"));
  out.layer.prefix = options.String("prefix");
  COAM_RETURN_IF_ERROR(ReadIds(options, &out.layer.ids));
  if (options.Int("mtime") >= 0) out.layer.clamp_mtime = options.Int("mtime");
  if (std::optional<std::string> owner = options.MaybeString("owner")) {
    COAM_ASSIGN_OR_RETURN(oci::IdRange pair, oci::ParseIdRange(*owner));
    out.layer.uid = pair.container;
    out.layer.gid = pair.host;
  }
  return out;
}

}  // namespace coaming::capi
