#include "examples/coam/progress.h"

#include <unistd.h>

#include <algorithm>
#include <string>

#include "examples/coam/cli.h"

namespace coam {
namespace {

constexpr size_t kNameWidth = 28;
constexpr int kBarWidth = 24;

// "sha256:0123…" and long paths keep their telling end.
std::string Short(std::string_view subject) {
  const size_t colon = subject.find(':');
  if (colon != std::string_view::npos && subject.size() - colon > 32 &&
      subject.find('/') == std::string_view::npos) {
    return std::string(subject.substr(colon + 1, 12));
  }
  if (subject.size() <= kNameWidth) return std::string(subject);
  return "..." + std::string(subject.substr(subject.size() - (kNameWidth - 3)));
}

std::string Padded(std::string text, size_t width) {
  if (text.size() < width) text.append(width - text.size(), ' ');
  return text;
}

std::string Amount(const coam_event* event) {
  const int64_t done = coam_event_done(event), total = coam_event_total(event);
  const bool bytes = Text(coam_event_unit(event)) == "bytes";
  const auto number = [&](int64_t n) { return bytes ? HumanBytes(n) : std::to_string(n); };
  if (done <= 0 && total <= 0) return "";
  std::string out = number(done);
  if (total > 0 && total != done) out += " of " + number(total);
  if (!bytes && !Text(coam_event_unit(event)).empty()) {
    out += ' ';
    out += Text(coam_event_unit(event));
  }
  return out;
}

std::string Bar(int64_t done, int64_t total) {
  const int full = static_cast<int>(std::clamp<double>(
      static_cast<double>(done) / static_cast<double>(total) * kBarWidth, 0, kBarWidth));
  return "[" + std::string(full, '#') + std::string(kBarWidth - full, '.') + "] ";
}

std::string Json(const coam_event* event) {
  std::string out =
      "{\"schema\":\"coam.event.v1\",\"kind\":" + JsonQuote(Text(coam_event_kind(event)));
  out += ",\"phase\":" + JsonQuote(Text(coam_event_phase(event)));
  out += ",\"subject\":" + JsonQuote(Text(coam_event_subject(event)));
  out += ",\"done\":" + std::to_string(coam_event_done(event));
  out += ",\"total\":" + std::to_string(coam_event_total(event));
  out += ",\"unit\":" + JsonQuote(Text(coam_event_unit(event)));
  out += ",\"text\":" + JsonQuote(Text(coam_event_text(event)));
  return out + "}";
}

}  // namespace

bool Progress::Choose(std::string_view name, Style* style) {
  if (name == "auto") {
    *style = isatty(STDERR_FILENO) == 1 ? Style::kTty : Style::kPlain;
  } else if (name == "tty") {
    *style = Style::kTty;
  } else if (name == "plain") {
    *style = Style::kPlain;
  } else if (name == "json") {
    *style = Style::kJson;
  } else if (name == "none") {
    *style = Style::kNone;
  } else {
    return false;
  }
  return true;
}

int32_t Progress::Callback(void* user, const coam_event* event) {
  static_cast<Progress*>(user)->Show(event);
  return 0;
}

void Progress::Show(const coam_event* event) {
  if (style_ == Style::kNone) return;
  if (style_ == Style::kJson) {
    Say(Json(event));
    return;
  }
  const std::string_view phase = Text(coam_event_phase(event));
  const std::string_view text = Text(coam_event_text(event));
  const std::string kind(Text(coam_event_kind(event)));
  if (style_ == Style::kPlain) {
    if (phase == "progress") return;
    if (phase == "start" && coam_event_total(event) > 0) return;  // the end says it all
    std::string line = kind + " " + Short(Text(coam_event_subject(event)));
    if (phase == "start") line += " ...";
    if (const std::string amount = Amount(event); !amount.empty()) line += ": " + amount;
    if (!text.empty()) line += ": " + std::string(text);
    Say(line);
    return;
  }
  const std::string subject = kind + " " + Short(Text(coam_event_subject(event)));
  auto line = std::find_if(lines_.begin(), lines_.end(),
                           [&](const Line& l) { return l.subject == subject; });
  if (line == lines_.end()) line = lines_.insert(lines_.end(), Line{subject, ""});
  line->text.clear();
  if (phase != "done" && coam_event_total(event) > 0) {
    line->text = Bar(coam_event_done(event), coam_event_total(event));
  }
  line->text += Amount(event);
  if (!text.empty()) line->text += (line->text.empty() ? "" : "  ") + std::string(text);
  if (phase == "done" && line->text.empty()) line->text = "done";
  Redraw();
}

void Progress::Redraw() {
  std::string out;
  if (drawn_ > 0) out += "\x1b[" + std::to_string(drawn_) + "A";
  for (const Line& line : lines_) {
    out += "\r\x1b[K" + Padded(line.subject, kNameWidth + 10) + " " + line.text + "\n";
  }
  drawn_ = lines_.size();
  [[maybe_unused]] const ssize_t n = write(STDERR_FILENO, out.data(), out.size());
}

void Progress::Close() {
  lines_.clear();
  drawn_ = 0;
}

}  // namespace coam
