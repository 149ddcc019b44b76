// Helpers of this package's tests: a shell command as an oracle, and bytes that look like a real tar.
#ifndef COAMING_BASE_STREAM_TEST_UTIL_H_
#define COAMING_BASE_STREAM_TEST_UTIL_H_

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

namespace coaming::base::testing {

// Through pipes `input` through a shell command and returns its output; "?failed" if it fails.
inline std::string Through(const std::string& command, const std::string& input) {
  char dir[] = "/tmp/coam-stream-XXXXXX";
  if (mkdtemp(dir) == nullptr) return "?failed";
  const std::string in = std::string(dir) + "/in", out = std::string(dir) + "/out";
  std::ofstream(in, std::ios::binary) << input;
  const int rc = std::system(("(" + command + ") <" + in + " >" + out + " 2>/dev/null").c_str());
  std::ifstream file(out, std::ios::binary);
  std::string text(std::istreambuf_iterator<char>(file), {});
  std::remove(in.c_str());
  std::remove(out.c_str());
  std::remove(dir);
  return rc == 0 ? text : "?failed";
}

// Pseudo-random bytes with repetitions, the same at each run.
inline std::string Sample(size_t size, uint32_t seed = 1) {
  std::string out;
  out.reserve(size + 64);
  uint32_t x = seed * 2654435761u + 1;
  while (out.size() < size) {
    x = x * 1664525u + 1013904223u;
    if ((x >> 28) < 6 && out.size() > 300) {
      const size_t length = 4 + (x >> 8) % 60, back = length + (x >> 12) % 200;
      const size_t from = out.size() - back;
      for (size_t i = 0; i < length; ++i) out += out[from + i];
    } else {
      out += static_cast<char>(x >> 24);
    }
  }
  out.resize(size);
  return out;
}

}  // namespace coaming::base::testing

#endif  // COAMING_BASE_STREAM_TEST_UTIL_H_
