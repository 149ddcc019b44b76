// rkt trust, config and version, and the flags of rkt as a whole.
#include <unistd.h>

#include <string>
#include <vector>

#include "examples/coam/aci_shared.h"
#include "examples/coam/commands.h"
#include "examples/coam/rkt_auth.h"

namespace coam {
namespace {

using enum FlagKind;
using SigKeyring = Handle<coam_sig_keyring, coam_sig_keyring_free>;

constexpr int kFailed = 254;

constexpr Flag kRktFlags[] = {
    {"dir", 0, kValue, "DIR", "where images and pods are kept (/var/lib/rkt)"},
    {"local-config", 0, kValue, "DIR", "the machine's configuration (/etc/rkt)"},
    {"system-config", 0, kValue, "DIR", "the system's configuration (/usr/lib/rkt)"},
    {"user-config", 0, kValue, "DIR", "the user's configuration"},
    {"insecure-options", 0, kList, "WORD,...",
     "none, image, tls, http, pubkey, ondisk, capabilities, paths, seccomp, all-fetch, all-run, "
     "all"},
    {"trust-keys-from-https", 0, kSwitch, "", "take keys that discovery finds over https"},
    {"ca-file", 0, kValue, "FILE", "CA certificates that count beside the system's"},
    {"resolve", 0, kList, "HOST:PORT:ADDRESS[:PORT]", "connect there instead"},
    {"debug", 0, kSwitch, "", "print more"},
};

constexpr Flag kTrustFlags[] = {
    {"prefix", 0, kValue, "NAME", "trust the key for image names at and beneath this one"},
    {"root", 0, kSwitch, "", "trust the key for every image name"},
    {"insecure-allow-http", 0, kSwitch, "", "keys may come over plain http"},
    {"skip-fingerprint-review", 0, kSwitch, "", "do not ask"},
};
constexpr Flag kConfigFlags[] = {
    {"pretty-print", 0, kSwitch, "", "indented"},
};

bool IsUrl(const std::string& text) {
  return text.rfind("https://", 0) == 0 || text.rfind("http://", 0) == 0;
}

// The places where discovery says the keys of `prefix` are; empty after a failure that was told.
std::vector<std::string> FindKeys(Invocation& in, coam_aci_client* client,
                                  const std::string& prefix, bool allow_http) {
  Options options = in.MakeOptions("aci.discover");
  if (!options || !SetOption(in, options, "images", "false") ||
      !SetOption(in, options, "keys", "true") || !SetOption(in, options, "host-labels", "false") ||
      !SetOption(in, options, "allow-http", allow_http ? "true" : "false") ||
      !SetAuthHeaders(in, options)) {
    return {};
  }
  Error error;
  Buf json;
  if (coam_aci_discover(client, in.context(), prefix.c_str(), options.get(), Take(json),
                        Take(error)) != COAM_OK) {
    in.Fail(error, "trust: error determining key location");
    return {};
  }
  const JsonDoc doc = ParseJson(in, json);
  std::vector<std::string> out;
  for (size_t i = 0; doc && i < coam_json_count(doc.get(), "/keys"); ++i) {
    out.push_back(JsonText(doc, "/keys/" + std::to_string(i)));
  }
  return out;
}

// Reads the keys at a URL or in a file.
SigKeyring ReadKeys(Invocation& in, coam_aci_client* client, const std::string& location,
                    bool allow_http) {
  Error error;
  SigKeyring keys;
  if (!IsUrl(location)) {
    if (coam_sig_keyring_load(in.context(), location.c_str(), Take(keys), Take(error)) != COAM_OK) {
      in.Fail(error, "trust: " + location);
    }
    return keys;
  }
  Options options = in.MakeOptions("aci.discover");
  if (!options || !SetOption(in, options, "allow-http", allow_http ? "true" : "false")) {
    return nullptr;
  }
  Buf bytes;
  if (coam_aci_download_keys(client, in.context(), location.c_str(), options.get(), Take(bytes),
                             Take(error)) != COAM_OK) {
    in.Fail(error, "trust: error accessing the key " + location);
    return nullptr;
  }
  if (coam_sig_keyring_parse(in.context(), coam_buf_data(bytes.get()), coam_buf_size(bytes.get()),
                             Take(keys), Take(error)) != COAM_OK) {
    in.Fail(error, "trust: error reading the key " + location);
  }
  return keys;
}

int Trust(Invocation& in) {
  const std::string prefix = in.Value("prefix");
  const bool root = in.Has("root");
  if (prefix.empty() && !root) {
    if (in.args.empty()) return in.Usage("give --prefix=NAME, or --root and a key");
    Say("trust: aborting due to implicit unbounded trust (root domain)\n"
        "try '--prefix=NAME', or '--root' if keys of this publisher shall count for every image");
    return kFailed;
  }
  if (!prefix.empty() && root) {
    Say("trust: --root and --prefix usage mutually exclusive");
    return kFailed;
  }
  if (const size_t scheme = prefix.find("://"); scheme != std::string::npos) {
    Say("trust: --prefix must not contain a URL scheme, omit " + prefix.substr(0, scheme + 3));
    return kFailed;
  }
  const SigKeyStore store = OpenTrustedKeys(in);
  const AciClient client = OpenImageClient(in, store.get());
  if (!store || !client) return kFailed;
  const bool allow_http =
      in.Has("insecure-allow-http") || Insecure(in, "pubkey") || Insecure(in, "http");
  std::vector<std::string> locations = in.args;
  if (locations.empty()) locations = FindKeys(in, client.get(), prefix, allow_http);
  if (locations.empty()) return kFailed;

  for (const std::string& location : locations) {
    const SigKeyring keys = ReadKeys(in, client.get(), location, allow_http);
    if (!keys) return kFailed;
    const std::string what =
        "\"" + location + "\"" + (root ? "" : " for prefix \"" + prefix + "\"");
    Say("prefix: \"" + (root ? std::string("ROOT") : prefix) + "\"\nkey: \"" + location + "\"");
    PrintLine(Text(coam_sig_keyring_review(keys.get())));
    const bool from_https = location.rfind("https://", 0) == 0 && in.Has("trust-keys-from-https");
    if (in.Has("skip-fingerprint-review") || from_https) {
      PrintLine("Trusting " + what + " without fingerprint review.");
    } else if (isatty(STDIN_FILENO) == 0) {
      Say("To trust the key for \"" + prefix + "\", do one of the following:");
      Say(" - call rkt with --trust-keys-from-https");
      Say(" - run: rkt trust --prefix \"" + prefix + "\" on a terminal");
      Say(" - run: rkt trust --skip-fingerprint-review, having compared the fingerprint");
      return kFailed;
    } else if (!AskYes("Are you sure you want to trust this key (yes/no)?")) {
      Say("trust: not trusting \"" + location + "\"");
      return kFailed;
    } else {
      PrintLine("Trusting " + what + " after fingerprint review.");
    }
    Error error;
    if (coam_sig_keystore_add(in.context(), store.get(), root ? nullptr : prefix.c_str(),
                              keys.get(), Take(error)) != COAM_OK) {
      return in.Fail(error, "trust: error adding keys");
    }
    const std::string dir = in.Value("local-config", "/etc/rkt") + "/trustedkeys/" +
                            (root ? "root.d" : "prefix.d/" + prefix) + "/";
    for (size_t i = 0; i < coam_sig_keyring_count(keys.get()); ++i) {
      const std::string path = dir + std::string(Text(coam_sig_keyring_fingerprint(keys.get(), i)));
      PrintLine(root ? "Added root key at \"" + path + "\""
                     : "Added key for prefix \"" + prefix + "\" at \"" + path + "\"");
    }
  }
  return 0;
}

// The configuration files as they are, by stage; credentials are shown, as rkt does.
int Config(Invocation& in) {
  std::string entries;
  for (const char* kind : {"auth.d", "paths.d", "stage1.d"}) {
    for (const std::string& path : ConfigFiles(in, kind)) {
      std::string text;
      if (!in.ReadFile(path, &text)) return kFailed;
      Error error;
      JsonDoc doc;
      if (coam_json_parse(text.data(), text.size(), Take(doc), Take(error)) != COAM_OK) {
        return in.Fail(error, path);
      }
      while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
      entries += (entries.empty() ? "" : ",\n\t\t") + text;
    }
  }
  PrintLine("{\n\t\"stage0\": [" + (entries.empty() ? "" : "\n\t\t" + entries + "\n\t") + "]\n}");
  return 0;
}

int Version(Invocation&) {
  PrintLine("rkt Version: 1.30.0 (coaming " + std::string(coam_version_string()) + ")");
  PrintLine("appc Version: 0.8.11");
  PrintLine("Go Version: none");
#if defined(__x86_64__)
  PrintLine("Go OS/Arch: linux/amd64");
#elif defined(__aarch64__)
  PrintLine("Go OS/Arch: linux/arm64");
#else
  PrintLine("Go OS/Arch: linux/other");
#endif
  PrintLine("Features: -TPM -SDJOURNAL");
  return 0;
}

constexpr Command kCommands[] = {
    {.words = "trust",
     .usage = "[--prefix=NAME|--root] [KEY...]",
     .summary = "Trust a publisher's key for image names",
     .flags = kTrustFlags,
     .examples = "rkt trust --prefix=example.com/hello\n"
                 "rkt trust --prefix=example.com --skip-fingerprint-review pubkeys.gpg",
     .max_args = -1,
     .run = Trust},
    {.words = "config",
     .summary = "Print the configuration",
     .flags = kConfigFlags,
     .examples = "rkt config\nrkt --local-config=/tmp/rkt config",
     .run = Config},
    {.words = "version",
     .summary = "Print versions",
     .examples = "rkt version\nrkt --debug version",
     .run = Version},
};

}  // namespace

std::span<const Flag> RktFlags() { return kRktFlags; }

std::span<const Command> RktCommands() {
  static const std::vector<Command> all = [] {
    std::vector<Command> out;
    for (const std::span<const Command> part :
         {RktImageCommands(), std::span<const Command>(kCommands), RktRunCommands(),
          RktPodCommands()}) {
      out.insert(out.end(), part.begin(), part.end());
    }
    return out;
  }();
  return all;
}

}  // namespace coam
