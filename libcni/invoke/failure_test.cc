#include "libcni/invoke/failure.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "catch2/catch_all.hpp"

namespace coaming::cni {
namespace {

absl::Status Decode(std::string_view out, std::string_view err = "", int status = 1,
                    int signal = 0) {
  return DecodeFailure({.plugin = "bridge",
                        .verb = "ADD",
                        .out = out,
                        .err = err,
                        .exit_status = status,
                        .exit_signal = signal},
                       base::Limits());
}

TEST_CASE("failure: every code of the specification has its reason", "[libcni][invoke]") {
  const std::pair<int, const char*> codes[] = {
      {1, "cni.plugin.version"},
      {2, "cni.plugin.unsupported_field"},
      {3, "cni.plugin.unknown_container"},
      {4, "cni.plugin.environment"},
      {5, "cni.plugin.io"},
      {6, "cni.plugin.decode"},
      {7, "cni.plugin.config"},
      {8, "cni.plugin.netns"},
      {11, "cni.plugin.try_again"},
      {50, "cni.plugin.not_available"},
      {51, "cni.plugin.limited"},
      {0, "cni.plugin.failed"},
      {9, "cni.plugin.failed"},
      {100, "cni.plugin.failed"},
      {999, "cni.plugin.failed"},
  };
  for (auto [code, reason] : codes) {
    INFO(code);
    auto status = Decode(absl::StrCat(R"({"cniVersion":"1.0.0","code":)", code,
                                      R"(,"msg":"no\nluck","details":"at all"})"),
                         "warning: x\n");
    REQUIRE(base::HasReason(status, reason));
    base::Error error = base::GetError(status);
    CHECK(error.message == "bridge (ADD): no luck; at all");
    CHECK(error.Detail("cni.code") == absl::StrCat(code));
    CHECK(error.Detail("cni.msg") == "no luck");
    CHECK(error.Detail("cni.details") == "at all");
    CHECK(error.Detail("cni.plugin") == "bridge");
    CHECK(error.Detail("cni.verb") == "ADD");
    CHECK(error.Detail("exit.status") == "1");
    CHECK(error.Detail("stderr") == "warning: x");
  }
}

TEST_CASE("failure: an error after a result counts, as old plugins print it", "[libcni][invoke]") {
  auto status = Decode(
      "{\n  \"cniVersion\": \"1.0.0\", \"dns\": {\"domain\": \"}{\"}\n}\n"
      "{\"code\": 8, \"msg\": \"same namespace\"}\n");
  CHECK(base::HasReason(status, "cni.plugin.netns"));
  status = Decode(R"({"code":5,"msg":"first"}{"code":11,"msg":"last"})");
  CHECK(base::HasReason(status, "cni.plugin.try_again"));
}

TEST_CASE("failure: without an error object the way it ended is told", "[libcni][invoke]") {
  auto status = Decode("", "", 3);
  CHECK(base::HasReason(status, "cni.plugin.exit"));
  CHECK(base::GetError(status).message == "bridge (ADD) exited with status 3 and said nothing");
  status = Decode("", "panic: \"x\"\ngoroutine 1\n", 2);
  CHECK(base::GetError(status).message ==
        "bridge (ADD) exited with status 2: panic: \"x\" goroutine 1");
  status = Decode("", "", 0, 9);
  CHECK(base::GetError(status).message == "bridge (ADD) was ended by signal 9 and said nothing");
  CHECK(base::GetError(status).Detail("exit.signal") == "9");
}

TEST_CASE("failure: garbage is told as garbage, in one printable line", "[libcni][invoke]") {
  for (const char* text : {"not json", "{", "[1]", "\"x\"", R"({"code":"1"})", R"({"code":-1})",
                           R"({"code":1.5,"msg":"x"})", R"({"msg":1})", "{}", "{}{}{", "\xff\x01",
                           R"({"cniVersion":"1.0.0"})", "]", "}{", "{\"a\": \"\\"}) {
    INFO(text);
    auto status = Decode(text);
    CHECK(base::HasReason(status, "cni.plugin.output"));
    for (char c : base::GetError(status).message) {
      CHECK(static_cast<unsigned char>(c) >= 0x20);
    }
  }
  auto status = Decode(std::string(1 << 20, '['));
  CHECK(base::HasReason(status, "cni.plugin.output"));
  CHECK(base::GetError(status).message.size() < 600);
}

TEST_CASE("failure: the tail of an output is bounded and valid UTF-8", "[libcni][invoke]") {
  CHECK(TailOf("a\nb\n\n") == "a b");
  CHECK(TailOf("a\x01z") == "a?z");
  CHECK(TailOf("a\"b\\c") == "a\"b\\c");
  CHECK(TailOf("\xff") == "\xef\xbf\xbd");
  CHECK(TailOf("0123456789", 4) == "...6789");
  CHECK(TailOf("\xc3\xa4\xc3\xa4\xc3\xa4", 3) == "...\xc3\xa4");
}

}  // namespace
}  // namespace coaming::cni
