#include "base/core/error.h"

#include <cerrno>

#include "catch2/catch_test_macros.hpp"

namespace coaming::base {
namespace {

absl::StatusOr<int> Failing() { return Fail("digest.mismatch") << "blob " << 7 << " differs"; }

TEST_CASE("error: a maker takes code and hint from the table", "[base][core]") {
  const absl::Status status = Failing().status();
  CHECK(status.code() == absl::StatusCode::kDataLoss);
  const Error error = GetError(status);
  CHECK(error.reason == "digest.mismatch");
  CHECK(error.message == "blob 7 differs");
  CHECK_FALSE(error.hint.empty());
  CHECK(HasReason(status, "digest.mismatch"));
}

TEST_CASE("error: errno, details, hint and cause survive inside a status", "[base][core]") {
  const absl::Status beneath = FailErrno("core.io", ENOENT).Detail("path", "/x") << "open /x";
  const absl::Status status =
      Fail("core.not_found").Hint("look again").Cause(beneath).Detail("a:b", "1:2\n") << "image x";
  const Error error = GetError(status);
  CHECK(error.hint == "look again");
  CHECK(error.Detail("a:b") == "1:2\n");
  REQUIRE(error.cause);
  CHECK(error.cause->sys_errno == ENOENT);
  CHECK(error.cause->message == "open /x: No such file or directory");
  CHECK(error.cause->Detail("path") == "/x");
}

TEST_CASE("error: wrapping keeps the reason and puts the context first", "[base][core]") {
  const absl::Status status = Wrap(Failing().status(), "pull a/b");
  CHECK(GetError(status).message == "pull a/b: blob 7 differs");
  CHECK(ReasonOf(status) == "digest.mismatch");
  CHECK(Wrap(absl::OkStatus(), "x").ok());
}

TEST_CASE("error: control characters of hostile names stay on one line", "[base][core]") {
  const absl::Status status = Fail("core.not_found") << "image a\nb\x1b[2J";
  CHECK(GetError(status).message == "image a\\x0ab\\x1b[2J");
}

TEST_CASE("error: a reason that is not in the table is an internal fault", "[base][core]") {
  const absl::Status status = ErrorMaker("no.such_reason", 0) << "x";
  CHECK(status.code() == absl::StatusCode::kInternal);
  CHECK(GetError(status).Detail("unknown.reason") == "no.such_reason");
}

TEST_CASE("error: JSON form holds all members and the cause", "[base][core]") {
  const absl::Status status =
      Fail("core.limit").Cause(Fail("core.io") << "b\"c").Detail("limit.name", "layers") << "a";
  CHECK(ErrorToJson(GetError(status)).find("\"cause\":{\"code\":\"UNAVAILABLE\"") !=
        std::string::npos);
  CHECK(ErrorToJson(GetError(status)).find("\"message\":\"b\\\"c\"") != std::string::npos);
}

TEST_CASE("error: each row of the table is complete", "[base][core]") {
  size_t rows = 0;
  for (; const ReasonInfo* row = ReasonAt(rows); ++rows) {
    INFO(row->name);
    CHECK(FindReason(row->name) == row);
    CHECK_FALSE(row->meaning.empty());
    CHECK_FALSE(row->python_class.empty());
    CHECK(row->exit_code > 0);
  }
  CHECK(rows > 40);
}

}  // namespace
}  // namespace coaming::base
