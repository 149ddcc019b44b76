// A C++ program outside the tree: a good call, and a refused one whose error is thrown.
#include <coaming/cxx.hpp>
#include <cstdio>

int main() {
  coaming::Options options("context");
  options.Set("limits.layers", "3");
  try {
    coaming::Options("no.such.family");
    return 1;
  } catch (const coaming::Error &error) {
    if (error.reason() != "core.not_found") return 2;
  }
  std::printf("coaming %s from C++\n", coam_version_string());
  return 0;
}
