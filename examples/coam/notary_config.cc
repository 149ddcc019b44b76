// How `notary` finds its server, its directory and its pins: flags, config.json, the environment.
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "examples/coam/notary_shared.h"

namespace coam {
namespace {

std::string Home() {
  const char* home = getenv("HOME");
  return home == nullptr ? "" : home;
}

std::string Expand(const std::string& path) {
  return path.rfind("~/", 0) == 0 ? Home() + path.substr(1) : path;
}

// Settings of config.json, whose paths are beside it.
struct Config {
  JsonDoc json;
  std::string dir;

  std::string Text(const std::string& pointer) const { return JsonText(json, pointer); }
  std::string Path(const std::string& pointer) const {
    const std::string path = Expand(Text(pointer));
    return path.empty() || path[0] == '/' ? path : dir + "/" + path;
  }
};

int ReadConfig(Invocation& in, Config* out) {
  const std::string path = in.Value("configFile", Home() + "/.notary/config.json");
  if (!in.Has("configFile") && access(path.c_str(), R_OK) != 0) return 0;
  std::string text;
  if (!in.ReadFile(path, &text)) return 1;
  Error error;
  if (coam_json_parse(text.data(), text.size(), Take(out->json), Take(error)) != COAM_OK)
    return in.Fail(error, path);
  const size_t slash = path.rfind('/');
  out->dir = slash == std::string::npos ? "." : path.substr(0, slash);
  return 0;
}

// A list or a single text at a pointer.
std::vector<std::string> ConfigList(const Config& config, const std::string& pointer) {
  std::vector<std::string> out;
  const size_t count = coam_json_count(config.json.get(), pointer.c_str());
  for (size_t i = 0; i < count; ++i) out.push_back(config.Text(pointer + "/" + std::to_string(i)));
  return out;
}

std::string EscapePointer(std::string_view key) {
  std::string out;
  for (char c : key) {
    if (c == '~') {
      out += "~0";
    } else if (c == '/') {
      out += "~1";
    } else {
      out += c;
    }
  }
  return out;
}

bool ApplyConfig(Invocation& in, const Config& config, const Options& options) {
  if (!config.json) return true;
  const coam_json* json = config.json.get();
  for (size_t i = 0; i < coam_json_count(json, "/trust_pinning/certs"); ++i) {
    const std::string gun(Text(coam_json_key(json, "/trust_pinning/certs", i)));
    for (const std::string& id : ConfigList(config, "/trust_pinning/certs/" + EscapePointer(gun)))
      if (!SetOption(in, options, "pin-cert", gun + "=" + id)) return false;
  }
  for (size_t i = 0; i < coam_json_count(json, "/trust_pinning/ca"); ++i) {
    const std::string gun(Text(coam_json_key(json, "/trust_pinning/ca", i)));
    const std::string file = config.Path("/trust_pinning/ca/" + EscapePointer(gun));
    if (!SetOption(in, options, "pin-ca", gun + "=" + file)) return false;
  }
  return coam_json_int(json, "/trust_pinning/disable_tofu", 0) == 0 ||
         SetOption(in, options, "tofu", "false");
}

std::string Decode64(std::string_view text) {
  std::string out;
  unsigned bits = 0;
  int have = 0;
  for (char c : text) {
    const int v = c >= 'A' && c <= 'Z'   ? c - 'A'
                  : c >= 'a' && c <= 'z' ? c - 'a' + 26
                  : c >= '0' && c <= '9' ? c - '0' + 52
                  : c == '+'             ? 62
                  : c == '/'             ? 63
                                         : -1;
    if (v < 0) break;
    bits = bits << 6 | static_cast<unsigned>(v);
    if ((have += 6) >= 8) out += static_cast<char>(bits >> (have -= 8) & 0xff);
  }
  return out;
}

// NOTARY_AUTH holds base64 of USER:PASSWORD; it goes on by a descriptor. -1: none.
int Credentials() {
  const char* value = getenv("NOTARY_AUTH");
  if (value == nullptr || *value == 0) return -1;
  std::string secret = Decode64(value);
  const int fd = memfd_create("credentials", MFD_CLOEXEC);
  const bool ok = fd >= 0 &&
                  write(fd, secret.data(), secret.size()) == static_cast<ssize_t>(secret.size()) &&
                  lseek(fd, 0, SEEK_SET) == 0;
  explicit_bzero(secret.data(), secret.size());
  return ok ? fd : -1;
}

}  // namespace

int OpenAsNotary(Invocation& in, Notary* out) {
  Config config;
  if (int code = ReadConfig(in, &config)) return code;
  const Options options = in.MakeOptions("notary.open");
  if (!options) return 2;
  const auto choose = [&](const char* flag, const char* pointer, const std::string& fallback) {
    if (in.Has(flag)) return Expand(in.Value(flag));
    const std::string set =
        std::string(flag) == "server" ? config.Text(pointer) : config.Path(pointer);
    return set.empty() ? fallback : set;
  };
  const struct {
    const char *option, *flag, *pointer;
    std::string fallback;
  } rows[] = {
      {"server", "server", "/remote_server/url", "https://notary-server:4443"},
      {"trust-dir", "trustDir", "/trust_dir", Home() + "/.notary"},
      {"ca-file", "tlscacert", "/remote_server/root_ca", ""},
      {"client-cert", "tlscert", "/remote_server/tls_client_cert", ""},
      {"client-key", "tlskey", "/remote_server/tls_client_key", ""},
  };
  for (const auto& row : rows) {
    const std::string value = choose(row.flag, row.pointer, row.fallback);
    if (!value.empty() && !SetOption(in, options, row.option, value)) return 2;
  }
  if (coam_json_int(config.json.get(), "/remote_server/skipTLSVerify", 0) != 0 &&
      !SetOption(in, options, "tls-verify", "false"))
    return 2;
  if (!ApplyConfig(in, config, options)) return 2;
  const int login = Credentials();
  if (login >= 0 && !SetOption(in, options, "creds-fd", std::to_string(login))) return 2;
  const int code = OpenNotary(in, options, "", out);
  if (login >= 0) close(login);
  return code;
}

coam_code FinishNotary(Invocation& in, coam_notary* notary, const std::string& gun,
                       coam_code staged, const std::string& text, Error& error) {
  if (staged != COAM_OK) return staged;
  if (!text.empty()) PrintLine(text);
  if (!in.Has("publish")) return COAM_OK;
  PrintLine("Auto-publishing changes to " + gun);
  const Options options = in.MakeOptions("notary.run");
  const coam_code code = coam_notary_publish(notary, gun.c_str(), options.get(), Take(error));
  if (code == COAM_OK) PrintLine("Successfully published changes for repository " + gun);
  return code;
}

}  // namespace coam
