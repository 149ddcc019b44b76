#include "examples/coam/aci_shared.h"

#include <time.h>
#include <unistd.h>

#include <cctype>
#include <cstdio>
#include <filesystem>

#include "examples/coam/rkt_auth.h"
#include "examples/coam/rkt_pod.h"

namespace coam {

AciStore OpenImageStore(Invocation& in) {
  Error error;
  AciStore store;
  Options options = NewOptions(in, "aci.store");
  if (!options) return nullptr;
  if (!SetOption(in, options, "dir", in.Value("dir", "/var/lib/rkt") + "/cas")) return nullptr;
  if (coam_aci_store_open(options.get(), Take(store), Take(error)) != COAM_OK) {
    in.Fail(error, "cannot open store");
    return nullptr;
  }
  return store;
}

SigKeyStore OpenTrustedKeys(Invocation& in) {
  Error error;
  SigKeyStore keys;
  Options options = NewOptions(in, "sig.keystore");
  if (!options) return nullptr;
  if (!SetOption(in, options, "local-dir", in.Value("local-config", "/etc/rkt") + "/trustedkeys") ||
      !SetOption(in, options, "system-dir",
                 in.Value("system-config", "/usr/lib/rkt") + "/trustedkeys")) {
    return nullptr;
  }
  if (coam_sig_keystore_open(in.context(), options.get(), Take(keys), Take(error)) != COAM_OK) {
    in.Fail(error, "cannot open the keystore");
    return nullptr;
  }
  return keys;
}

AciClient OpenImageClient(Invocation& in, coam_sig_keystore* keys) {
  Error error;
  AciClient client;
  Options options = in.MakeOptions("aci.client");
  if (!options) return nullptr;
  if (Insecure(in, "tls") && !SetOption(in, options, "insecure-tls", "true")) return nullptr;
  // The usual variables name the proxies; the library itself reads no environment.
  for (const auto& [key, names] : {std::pair<const char*, std::vector<const char*>>{
                                       "https-proxy", {"HTTPS_PROXY", "https_proxy"}},
                                   {"http-proxy", {"http_proxy"}},
                                   {"no-proxy", {"NO_PROXY", "no_proxy"}}}) {
    for (const char* name : names) {
      const char* value = getenv(name);
      if (value == nullptr || in.Has(key)) continue;
      if (!SetOption(in, options, key, value)) return nullptr;
      break;
    }
  }
  if (coam_aci_client_new(options.get(), keys, Take(client), Take(error)) != COAM_OK) {
    in.Fail(error);
    return nullptr;
  }
  return client;
}

bool Insecure(const Invocation& in, std::string_view word) {
  const bool run = word == "capabilities" || word == "paths" || word == "seccomp";
  for (const std::string& list : in.Values("insecure-options")) {
    for (const std::string& given : SplitAt(list, ',')) {
      if (given == word || given == "all") return true;
      if (given == "all-fetch" && !run) return true;
      if (given == "all-run" && run) return true;
    }
  }
  return false;
}

int FetchImage(Invocation& in, coam_aci_client* client, coam_aci_store* store,
               const std::string& image, const std::string& signature, const std::string& policy,
               std::string* id) {
  // The --port of rkt run is a port of the pod, not the one that discovery asks on.
  auto port = in.given.extract("port");
  Options options = in.MakeOptions("aci.fetch");
  if (!port.empty()) in.given.insert(std::move(port));
  if (!options) return in.personality->usage_exit;
  std::string pull = in.Value("pull-policy", policy);
  if (in.Has("no-store")) pull = "update";
  if (in.Has("store-only")) pull = "never";
  bool ok = SetOption(in, options, "pull-policy", pull);
  if (!signature.empty()) ok = ok && SetOption(in, options, "signature", signature);
  if (Insecure(in, "image")) ok = ok && SetOption(in, options, "insecure-image", "true");
  if (Insecure(in, "tls")) ok = ok && SetOption(in, options, "insecure-tls", "true");
  if (Insecure(in, "http")) ok = ok && SetOption(in, options, "allow-http", "true");
  ok = ok && SetAuthHeaders(in, options);
  if (!ok) return in.personality->usage_exit;
  Error error;
  Buf json;
  if (coam_aci_fetch(client, store, in.context(), image.c_str(), options.get(), Take(json),
                     Take(error)) != COAM_OK) {
    return in.Fail(error, image);
  }
  in.PrintNotes();
  const JsonDoc doc = ParseJson(in, json);
  if (!doc) return 1;
  *id = JsonText(doc, "/image/id");
  return 0;
}

int EnsureImage(Invocation& in, const std::string& image, const std::string& signature,
                std::string* id) {
  const AciStore store = OpenImageStore(in);
  const SigKeyStore keys = OpenTrustedKeys(in);
  const AciClient client = OpenImageClient(in, keys.get());
  if (!store || !keys || !client) return 254;
  SetReview(in, client.get());
  return FetchImage(in, client.get(), store.get(), image, signature, "new", id);
}

namespace {

int32_t Review(void* user, const char* prefix, const char* url, const coam_sig_keyring* keys) {
  Invocation& in = *static_cast<Invocation*>(user);
  const std::string name = "\"" + std::string(url) + "\" for prefix \"" + prefix + "\"";
  if (in.Has("trust-keys-from-https") && std::string_view(url).substr(0, 8) == "https://") {
    Say("keys: trusting " + name + " without fingerprint review");
    return 0;
  }
  Say("prefix: \"" + std::string(prefix) + "\"\nkey: \"" + url + "\"");
  Say(Text(coam_sig_keyring_review(keys)));
  if (isatty(STDIN_FILENO) != 0) {
    return AskYes("Are you sure you want to trust this key (yes/no)?") ? 0 : 1;
  }
  Say("To trust the key for \"" + std::string(prefix) + "\", do one of the following:");
  Say(" - call rkt with --trust-keys-from-https");
  Say(" - run: rkt trust --prefix \"" + std::string(prefix) + "\"");
  return 1;
}

}  // namespace

void SetReview(Invocation& in, coam_aci_client* client) {
  coam_aci_client_set_review(client, Review, &in, nullptr);
}

Options NewOptions(Invocation& in, const char* family) {
  Error error;
  Options options;
  if (coam_options_new(family, Take(options), Take(error)) != COAM_OK) {
    in.Fail(error);
    return nullptr;
  }
  coam_options_set_cancel(options.get(), in.cancel());
  return options;
}

bool SetOption(Invocation& in, const Options& options, const char* key, const std::string& value) {
  Error error;
  if (coam_options_set(options.get(), key, value.c_str(), Take(error)) == COAM_OK) return true;
  in.Fail(error);
  return false;
}

JsonDoc ParseJson(Invocation& in, const Buf& text) {
  Error error;
  JsonDoc doc;
  if (coam_json_parse(coam_buf_data(text.get()), coam_buf_size(text.get()), Take(doc),
                      Take(error)) != COAM_OK) {
    in.Fail(error);
  }
  return doc;
}

std::string JsonText(const JsonDoc& doc, const std::string& pointer) {
  return std::string(Text(coam_json_text(doc.get(), pointer.c_str())));
}

std::vector<std::string> SplitAt(std::string_view text, char separator) {
  std::vector<std::string> out;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(separator, at), text.size());
    if (end > at) out.emplace_back(text.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

std::string Lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

std::string GoBytes(int64_t bytes) {
  const char* const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 10) return std::to_string(bytes) + " B";
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < std::size(units)) {
    value /= 1024;
    ++unit;
  }
  // Rounded to a tenth, which is shown below ten only.
  const int64_t tenths = static_cast<int64_t>(value * 10 + 0.5);
  if (tenths < 100) {
    return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " " + units[unit];
  }
  return std::to_string((tenths + 5) / 10) + " " + units[unit];
}

std::string GoAgo(int64_t ns) {
  const int64_t seconds = time(nullptr) - ns / 1'000'000'000;
  struct Step {
    int64_t size;
    const char* name;
  };
  for (const Step& step : {Step{365 * 86400, "year"},
                           {30 * 86400, "month"},
                           {7 * 86400, "week"},
                           {86400, "day"},
                           {3600, "hour"},
                           {60, "minute"},
                           {1, "second"}}) {
    const int64_t count = seconds / step.size;
    if (count < 1) continue;
    return std::to_string(count) + " " + step.name + (count > 1 ? "s" : "") + " ago";
  }
  return "now";
}

std::string GoTime(int64_t ns) {
  const time_t seconds = ns / 1'000'000'000;
  tm parts{};
  gmtime_r(&seconds, &parts);
  char text[64];
  strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts);
  char out[96];
  std::snprintf(out, sizeof out, "%s.%03d +0000 UTC", text,
                static_cast<int>(ns / 1'000'000 % 1000));
  return out;
}

void RemoveTree(const std::string& path) {
  std::error_code ignored;
  std::filesystem::remove_all(path, ignored);
}

bool AskYes(const std::string& question) {
  for (;;) {
    Say(question);
    std::string line;
    char c = 0;
    ssize_t n;
    while ((n = read(STDIN_FILENO, &c, 1)) == 1 && c != '\n') line += c;
    if (line == "yes" || line == "y") return true;
    if (line == "no" || line == "n" || n <= 0) return false;
    Say("Please enter 'yes' or 'no'");
  }
}

}  // namespace coam
