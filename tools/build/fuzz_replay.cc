// Replays the files named on the command line through a fuzz target, without libFuzzer. Each file
// counts as one test case in Bazel's XML; a crash is the failure. The empty input always runs.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

// A heap copy of exact size, so that the address sanitizer sees one byte too far.
void RunOne(const std::string& bytes) {
  uint8_t* copy = static_cast<uint8_t*>(std::malloc(bytes.size() ? bytes.size() : 1));
  if (!bytes.empty()) std::memcpy(copy, bytes.data(), bytes.size());
  LLVMFuzzerTestOneInput(copy, bytes.size());
  std::free(copy);
}

std::string Escaped(const std::string& text) {
  std::string out;
  for (char c : text) {
    if (c == '<') {
      out += "&lt;";
    } else if (c == '&') {
      out += "&amp;";
    } else if (c == '"') {
      out += "&quot;";
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> names = {"(empty)"};
  RunOne("");
  for (int i = 1; i < argc; ++i) {
    std::ifstream in(argv[i], std::ios::binary);
    if (!in) {
      std::fprintf(stderr, "cannot read %s\n", argv[i]);
      return 1;
    }
    std::fprintf(stderr, "%s\n", argv[i]);
    RunOne(std::string(std::istreambuf_iterator<char>(in), {}));
    names.push_back(argv[i]);
  }
  if (const char* xml = std::getenv("XML_OUTPUT_FILE")) {
    std::ofstream out(xml);
    out << "<testsuites><testsuite name=\"corpus\" tests=\"" << names.size() << "\">\n";
    for (const std::string& name : names) out << "<testcase name=\"" << Escaped(name) << "\"/>\n";
    out << "</testsuite></testsuites>\n";
  }
  return 0;
}
