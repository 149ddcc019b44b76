#include "libcni/invoke/failure.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/json/json.h"
#include "libcni/result/result_json.h"

namespace coaming::cni {
namespace {

using base::json::Value;

constexpr size_t kMaxMessage = 4096;
constexpr int kMaxDocuments = 16;

// The size of the first JSON object or array in `text`, which begins with its bracket; npos if it
// never ends.
size_t DocumentSize(std::string_view text) {
  int depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (quoted) {
      if (c == '\\') ++i;
      else if (c == '"') quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if (c == '}' || c == ']') {
      if (--depth == 0) return i + 1;
    }
  }
  return text.npos;
}

struct Found {
  uint64_t code = 0;
  std::string msg;
  std::string details;
};

std::optional<Found> AsError(const Value& value) {
  const Value* code = FindFolded(value, "code");
  const Value* msg = FindFolded(value, "msg");
  const Value* details = FindFolded(value, "details");
  if (code == nullptr && msg == nullptr) return std::nullopt;
  Found found;
  if (code != nullptr) {
    std::optional<uint64_t> number = code->as_uint64();
    if (!number.has_value()) return std::nullopt;
    found.code = *number;
  }
  if (msg != nullptr) {
    if (!msg->is_string()) return std::nullopt;
    found.msg = msg->as_string();
  }
  if (details != nullptr && details->is_string()) found.details = details->as_string();
  return found;
}

std::optional<Found> LastError(std::string_view out, const base::Limits& limits) {
  std::optional<Found> found;
  for (int i = 0; i < kMaxDocuments; ++i) {
    size_t start = out.find_first_not_of(" \t\r\n");
    if (start == out.npos) break;
    out.remove_prefix(start);
    if (out.front() != '{' && out.front() != '[') break;
    size_t size = DocumentSize(out);
    if (size == out.npos) break;
    auto value = base::json::Parse(out.substr(0, size), {.limits = &limits});
    if (!value.ok()) break;
    if (auto error = AsError(*value)) found = std::move(error);
    out.remove_prefix(size);
  }
  return found;
}

std::string HowItEnded(const PluginOutput& output) {
  return output.exit_signal != 0 ? absl::StrCat("was ended by signal ", output.exit_signal)
                                 : absl::StrCat("exited with status ", output.exit_status);
}

base::ErrorMaker Start(std::string_view reason, const PluginOutput& output) {
  base::ErrorMaker maker = base::Fail(reason);
  // The maker's words work in place and move nothing. NOLINTBEGIN(bugprone-use-after-move)
  std::move(maker).Detail("cni.plugin", output.plugin).Detail("cni.verb", output.verb);
  if (output.exit_signal != 0) {
    std::move(maker).Detail("exit.signal", output.exit_signal);
  } else {
    std::move(maker).Detail("exit.status", output.exit_status);
  }
  if (!output.err.empty()) std::move(maker).Detail("stderr", TailOf(output.err));
  return maker;
  // NOLINTEND(bugprone-use-after-move)
}

}  // namespace

std::string_view FailureReason(uint64_t code) {
  switch (code) {
    case 1: return "cni.plugin.version";
    case 2: return "cni.plugin.unsupported_field";
    case 3: return "cni.plugin.unknown_container";
    case 4: return "cni.plugin.environment";
    case 5: return "cni.plugin.io";
    case 6: return "cni.plugin.decode";
    case 7: return "cni.plugin.config";
    case 8: return "cni.plugin.netns";
    case 11: return "cni.plugin.try_again";
    case 50: return "cni.plugin.not_available";
    case 51: return "cni.plugin.limited";
    default: return "cni.plugin.failed";
  }
}

std::string TailOf(std::string_view text, size_t max_bytes) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  std::string out;
  if (text.size() > max_bytes) {
    text.remove_prefix(text.size() - max_bytes);
    while (!text.empty() && (text.front() & 0xc0) == 0x80) text.remove_prefix(1);
    out = "...";
  }
  // Runs of ordinary characters go through the JSON writer, which makes them valid UTF-8.
  auto special = [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\' || c == 0x7f;
  };
  for (size_t at = 0; at < text.size();) {
    size_t end = at;
    while (end < text.size() && !special(text[end])) ++end;
    if (end > at) {
      std::string quoted;
      base::json::AppendQuoted(text.substr(at, end - at), base::json::Escape::kMinimal, &quoted);
      out.append(quoted, 1, quoted.size() - 2);
    }
    if (end < text.size()) {
      char c = text[end++];
      out += c == '"' || c == '\\' ? c : c == '\n' || c == '\t' || c == '\r' ? ' ' : '?';
    }
    at = end;
  }
  return out;
}

absl::Status DecodeFailure(const PluginOutput& output, const base::Limits& limits) {
  std::optional<Found> found = LastError(output.out, limits);
  if (found.has_value()) {
    std::string msg = TailOf(found->msg, kMaxMessage);
    std::string details = TailOf(found->details, kMaxMessage);
    return Start(FailureReason(found->code), output)
               .Detail("cni.code", found->code)
               .Detail("cni.msg", msg)
               .Detail("cni.details", details)
           << output.plugin << " (" << output.verb
           << "): " << (msg.empty() ? HowItEnded(output) : msg) << (details.empty() ? "" : "; ")
           << details;
  }
  if (output.out.empty()) {
    std::string err = TailOf(output.err, 256);
    return Start("cni.plugin.exit", output)
           << output.plugin << " (" << output.verb << ") " << HowItEnded(output)
           << (err.empty() ? " and said nothing" : ": ") << err;
  }
  return Start("cni.plugin.output", output).Detail("stdout", TailOf(output.out))
         << output.plugin << " (" << output.verb << ") " << HowItEnded(output)
         << " and printed no error object: " << TailOf(output.out, 256);
}

}  // namespace coaming::cni
