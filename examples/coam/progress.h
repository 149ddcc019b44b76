// Progress of a command on stderr: a bar on a terminal, lines elsewhere, JSON on request.
#ifndef COAMING_EXAMPLES_COAM_PROGRESS_H_
#define COAMING_EXAMPLES_COAM_PROGRESS_H_

#include <coaming/core.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace coam {

class Progress {
 public:
  enum class Style { kNone, kTty, kPlain, kJson };

  explicit Progress(Style style) : style_(style) {}
  ~Progress() { Close(); }
  // The style that --progress=auto|tty|plain|json|none and the terminal ask for; false if unknown.
  static bool Choose(std::string_view name, Style* style);

  void Show(const coam_event* event);
  // Leaves the cursor below what was drawn.
  void Close();
  // The callback for coam_options_set_events; `user` is a Progress.
  static int32_t Callback(void* user, const coam_event* event);

 private:
  struct Line {
    std::string subject, text;
  };
  void Redraw();
  Style style_;
  std::vector<Line> lines_;  // on a terminal: one a subject, in order of first news
  size_t drawn_ = 0;
};

}  // namespace coam

#endif  // COAMING_EXAMPLES_COAM_PROGRESS_H_
