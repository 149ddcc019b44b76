// runc: the name runc alone, as a small static program on libcoaming-run.
#include "examples/coam/cli.h"
#include "examples/coam/commands.h"

namespace coam {

std::span<const Personality> Personalities() { return {&RuncPersonality(), 1}; }

}  // namespace coam

int main(int argc, char** argv) {
  if (argc < 1) return 2;
  return coam::RunPersonality(coam::RuncPersonality(), {argv + 1, static_cast<size_t>(argc - 1)});
}
