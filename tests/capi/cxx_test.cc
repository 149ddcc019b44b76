#include <coaming/cxx.hpp>

#include "catch2/catch_test_macros.hpp"

namespace {

TEST_CASE("cxx: a failed call throws with reason, code and hint", "[capi]") {
  coaming::Options options("context");
  options.Set("limits.layers", 4);
  try {
    options.Set("limits.layers", "many");
    FAIL("nothing was thrown");
  } catch (const coaming::Error &error) {
    CHECK(error.code() == COAM_INVALID_ARGUMENT);
    CHECK(error.reason() == "core.invalid_argument");
    CHECK(std::string(error.what()).find("limits.layers") != std::string::npos);
  }
}

TEST_CASE("cxx: handles count references", "[capi]") {
  coaming::Handle<coam_cancel> cancel;
  coaming::Call(coam_cancel_new, cancel.Out());
  coaming::Handle<coam_cancel> copy = cancel;
  cancel = coaming::Handle<coam_cancel>();
  CHECK_FALSE(cancel);
  coam_cancel_fire(copy.get());
  CHECK(coam_cancel_fired(copy.get()) == 1);
}

}  // namespace
