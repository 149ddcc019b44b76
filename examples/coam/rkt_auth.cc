#include "examples/coam/rkt_auth.h"

#include <dirent.h>

#include <algorithm>
#include <map>

#include "examples/coam/aci_shared.h"

namespace coam {
namespace {

std::string Base64(std::string_view in) {
  static constexpr char kDigits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < in.size(); i += 3) {
    uint32_t word = 0;
    for (size_t j = 0; j < 3; ++j) {
      word = word << 8 | (i + j < in.size() ? static_cast<unsigned char>(in[i + j]) : 0);
    }
    for (size_t j = 0; j < 4; ++j) {
      out += i + j > in.size() ? '=' : kDigits[word >> (18 - 6 * j) & 63];
    }
  }
  return out;
}

}  // namespace

std::vector<std::string> ConfigFiles(const Invocation& in, const std::string& kind) {
  std::vector<std::string> out;
  for (const std::string& base : {in.Value("system-config", "/usr/lib/rkt"),
                                  in.Value("local-config", "/etc/rkt"), in.Value("user-config")}) {
    if (base.empty()) continue;
    const std::string path = base + "/" + kind;
    DIR* dir = opendir(path.c_str());
    if (dir == nullptr) continue;
    std::vector<std::string> names;
    while (const dirent* entry = readdir(dir)) {
      const std::string_view name = entry->d_name;
      if (name.size() > 5 && name.substr(name.size() - 5) == ".json") names.emplace_back(name);
    }
    closedir(dir);
    std::sort(names.begin(), names.end());
    for (const std::string& name : names) out.push_back(path + "/" + name);
  }
  return out;
}

bool SetAuthHeaders(Invocation& in, const Options& options) {
  std::map<std::string, std::string> headers;  // by domain; later files win
  for (const std::string& path : ConfigFiles(in, "auth.d")) {
    std::string text;
    if (!in.ReadFile(path, &text)) return false;
    Error error;
    JsonDoc doc;
    if (coam_json_parse(text.data(), text.size(), Take(doc), Take(error)) != COAM_OK) {
      in.Fail(error, path);
      return false;
    }
    if (JsonText(doc, "/rktKind") == "dockerAuth") continue;
    if (JsonText(doc, "/rktKind") != "auth" || JsonText(doc, "/rktVersion") != "v1") {
      Say("rkt: " + path + ": rktKind or rktVersion is not one this program knows");
      return false;
    }
    const std::string type = JsonText(doc, "/type");
    std::string value;
    if (type == "basic") {
      value = "Basic " + Base64(JsonText(doc, "/credentials/user") + ":" +
                                JsonText(doc, "/credentials/password"));
    } else if (type == "oauth") {
      value = "Bearer " + JsonText(doc, "/credentials/token");
    } else {
      Say("rkt: " + path + ": authentication of type " + type + " is not supported");
      return false;
    }
    for (size_t i = 0; i < coam_json_count(doc.get(), "/domains"); ++i) {
      headers[JsonText(doc, "/domains/" + std::to_string(i))] = value;
    }
  }
  for (const auto& [domain, value] : headers) {
    if (!SetOption(in, options, "header", domain + " Authorization=" + value)) return false;
  }
  return true;
}

}  // namespace coam
