#include "examples/coam/cli.h"

#include "catch2/catch_test_macros.hpp"
#include "examples/coam/parse.h"

namespace coam {
namespace {

constexpr Flag kRunFlags[] = {
    {"net", 0, FlagKind::kValue, "NAME", "network"},
    {"volume", 'v', FlagKind::kList, "SPEC", "volume"},
    {"interactive", 'i', FlagKind::kSwitch, "", "terminal"},
};

std::span<const Command> TestCommands() {
  static constexpr Command kCommands[] = {
      {.words = "image", .usage = "", .summary = "Images", .hidden = true},
      {.words = "half one", .summary = "One"},
      {.words = "half two", .summary = "Two"},
      {.words = "image list", .summary = "List images", .family = "context", .max_args = -1},
      {.words = "run",
       .usage = "IMAGE [CMD...]",
       .summary = "Run",
       .flags = kRunFlags,
       .max_args = -1,
       .pass_rest = true},
  };
  return kCommands;
}

constexpr Personality kTest{.name = "test", .summary = "Test", .commands = TestCommands};
constexpr Personality kGo{
    .name = "go", .summary = "Go", .commands = TestCommands, .go_flags = true};

Parsed Read(std::vector<std::string> words, Invocation* in, const Personality& p = kTest) {
  return Parse(p, words, in);
}

TEST_CASE("cli: the longest command wins and its flags are known after it", "[coam]") {
  Invocation in;
  const Parsed parsed = Read({"image", "list", "--limits.layers=3", "a", "--", "--b"}, &in);
  REQUIRE(parsed.error.empty());
  CHECK(parsed.command->words == "image list");
  CHECK(in.Value("limits.layers") == "3");
  CHECK(in.args == std::vector<std::string>{"a", "--b"});
}

TEST_CASE("cli: what follows the image of run belongs to the program", "[coam]") {
  Invocation in;
  const Parsed parsed =
      Read({"run", "-iv", "x", "--net", "host", "--volume=y", "image", "ls", "--net", "-l"}, &in);
  REQUIRE(parsed.error.empty());
  CHECK(in.Has("interactive"));
  CHECK(in.Values("volume") == std::vector<std::string>{"x", "y"});
  CHECK(in.Value("net") == "host");
  CHECK(in.args == std::vector<std::string>{"image", "ls", "--net", "-l"});
}

TEST_CASE("cli: wrong command lines say what is wrong", "[coam]") {
  Invocation in;
  CHECK(Read({"nope"}, &in).error == "unknown command 'nope'");
  CHECK(Read({"image"}, &in).error.empty());
  CHECK(Read({"half"}, &in).error == "unknown command 'half'; there are: half one, half two");
  CHECK(Read({"run", "--nope=1"}, &in).error == "unknown flag '--nope'");
  CHECK(Read({"run", "--net"}, &in).error == "flag '--net' wants a value");
  CHECK(Read({"run", "-z"}, &in).error == "unknown flag '-z' in '-z'");
  CHECK(Read({"run", "-net=x"}, &in).error == "unknown flag '-n' in '-net=x'");
}

TEST_CASE("cli: Go's single dash and switches set to false", "[coam]") {
  Invocation in;
  REQUIRE(Read({"run", "-net=x", "-interactive=false", "image"}, &in, kGo).error.empty());
  CHECK(in.Value("net") == "x");
  CHECK_FALSE(in.Has("interactive"));
}

TEST_CASE("cli: help lists flags of the command, the family and all commands", "[coam]") {
  const std::string help = CommandHelp(kTest, TestCommands()[3]);
  CHECK(help.find("--limits.layers=SIZE") != std::string::npos);
  CHECK(help.find("(default 512)") != std::string::npos);
  CHECK(help.find("--timeout=TIME") != std::string::npos);
}

TEST_CASE("cli: every command of every personality has words, summary and a function", "[coam]") {
  for (const Personality& personality : Personalities()) {
    for (const Command& command : personality.commands()) {
      INFO(personality.name << " " << command.words);
      CHECK(command.run != nullptr);
      CHECK_FALSE(command.summary.empty());
      CHECK(command.summary.back() != '.');
      if (personality.name == "coam" && !command.hidden) CHECK_FALSE(command.examples.empty());
    }
  }
}

TEST_CASE("cli: tables align and sizes read well", "[coam]") {
  Table table({"A", "LONG"});
  table.Row({"wide cell", "x"});
  CHECK(table.Render() == "A          LONG\nwide cell  x\n");
  CHECK(table.Render(false) == "wide cell  x\n");
  table.Row({"short", ""});
  CHECK(table.Render(false) == "wide cell  x\nshort\n");
  CHECK(HumanBytes(1023) == "1023 B");
  CHECK(HumanBytes(1536) == "1.5 KiB");
  CHECK(JsonQuote("a\"\n") == "\"a\\\"\\u000a\"");
}

}  // namespace
}  // namespace coam
