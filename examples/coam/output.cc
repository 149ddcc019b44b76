// What the tool prints: tables, sizes, JSON strings.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "examples/coam/cli.h"

namespace coam {
namespace {

void WriteAll(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;  // nobody reads any more
    text.remove_prefix(static_cast<size_t>(n));
  }
}

}  // namespace

std::string Table::Render(bool legend) const {
  std::vector<size_t> widths;
  for (size_t r = legend ? 0 : 1; r < rows_.size(); ++r) {
    widths.resize(std::max(widths.size(), rows_[r].size()));
    for (size_t c = 0; c < rows_[r].size(); ++c) {
      widths[c] = std::max(widths[c], rows_[r][c].size());
    }
  }
  std::string out;
  for (size_t r = legend ? 0 : 1; r < rows_.size(); ++r) {
    const std::vector<std::string>& row = rows_[r];
    for (size_t c = 0; c < row.size(); ++c) {
      out += row[c];
      if (gap_ == 0) {
        // As Go's tabwriter with tab padding, minimal width 0, tab width 8.
        if (c + 1 < row.size()) {
          const size_t cell = (widths[c] + 8) / 8 * 8;
          out.append((cell - row[c].size() + 7) / 8, '\t');
        }
      } else if (c + 1 < row.size()) {
        const size_t cell = std::max(widths[c] + static_cast<size_t>(gap_), width_);
        out.append(cell - row[c].size(), ' ');
      }
    }
    // Empty cells at the end leave nothing behind, but where a program's own table is to be met.
    while (gap_ == 2 && width_ == 0 && out.ends_with(' ')) out.pop_back();
    out += '\n';
  }
  return out;
}

void Print(std::string_view text) { WriteAll(STDOUT_FILENO, text); }
void PrintLine(std::string_view text) { WriteAll(STDOUT_FILENO, std::string(text) + "\n"); }
void Say(std::string_view line) { WriteAll(STDERR_FILENO, std::string(line) + "\n"); }

std::string HumanBytes(int64_t bytes) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  size_t unit = 0;
  int64_t tenths = bytes * 10;
  if (bytes < 1024) return std::to_string(bytes) + " B";
  while (tenths >= 10240 && unit + 1 < std::size(kUnits)) {
    tenths = (tenths + 512) / 1024;
    ++unit;
  }
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " " + kUnits[unit];
}

std::string JsonQuote(std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20) {
      out += "\\u00";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      out += c;
    }
  }
  return out + "\"";
}

}  // namespace coam
