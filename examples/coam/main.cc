// coam, and the names it answers to when it is called by a link of that name.
#include <cstring>

#include "examples/coam/cli.h"

int main(int argc, char** argv) {
  if (argc < 1) return 2;
  std::span<char*> words(argv + 1, static_cast<size_t>(argc - 1));
  const coam::Personality* personality = &coam::FindPersonality(argv[0]);
  // `coam rkt fetch ...` is the same as a link called rkt.
  if (personality == &coam::Personalities().front() && !words.empty() && words[0][0] != '-') {
    for (const coam::Personality& other : coam::Personalities().subspan(1)) {
      if (other.name == words[0] && other.name != "coam") {
        personality = &other;
        words = words.subspan(1);
        break;
      }
    }
  }
  return coam::RunPersonality(*personality, words);
}
