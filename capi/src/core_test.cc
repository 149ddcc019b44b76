#include <coaming/core.h>
#include <poll.h>

#include <string>

#include "capi/src/boundary.h"
#include "capi/src/call.h"
#include "capi/src/job.h"
#include "capi/src/options.h"
#include "catch2/catch_test_macros.hpp"

namespace coaming::capi {
namespace {

std::string Text(coam_str s) { return std::string(s.data, s.size); }

struct Options {
  Options() { REQUIRE(coam_options_new("context", &o, nullptr) == COAM_OK); }
  ~Options() { coam_options_free(o); }
  coam_options* o = nullptr;
};

TEST_CASE("capi: a failed call fills the error and leaves the results", "[capi]") {
  auto* before = reinterpret_cast<coam_options*>(1);
  coam_options* options = before;
  coam_error* error = nullptr;
  CHECK(coam_options_new("no.such", &options, &error) == COAM_NOT_FOUND);
  CHECK(options == before);
  REQUIRE(error != nullptr);
  CHECK(Text(coam_error_reason(error)) == "core.not_found");
  CHECK(Text(coam_error_message(error)) == "no option family 'no.such'");
  CHECK(coam_error_exit_code(error) == 4);
  coam_buf* json = nullptr;
  REQUIRE(coam_error_to_json(error, &json, nullptr) == COAM_OK);
  CHECK(std::string(static_cast<const char*>(coam_buf_data(json))).find("NOT_FOUND") !=
        std::string::npos);
  coam_buf_free(json);
  coam_error_free(error);
}

TEST_CASE("capi: exceptions and bad allocations never cross the boundary", "[capi]") {
  coam_error* error = nullptr;
  CHECK(COAM_BOUNDARY(&error, { throw std::bad_alloc(); }) == COAM_RESOURCE_EXHAUSTED);
  CHECK(Text(coam_error_reason(error)) == "core.no_memory");
  coam_error_free(error);
  CHECK(COAM_BOUNDARY(&error, { throw 7; }) == COAM_INTERNAL);
  coam_error_free(error);
}

TEST_CASE("capi: options are checked when they are set", "[capi]") {
  Options options;
  coam_error* error = nullptr;
  CHECK(coam_options_set(options.o, "limits.layers", "12", nullptr) == COAM_OK);
  CHECK(Text(coam_options_get(options.o, "limits.layers", 0)) == "12");
  CHECK(coam_options_set(options.o, "limits.manifest_bytes", "2Mi", nullptr) == COAM_OK);
  CHECK(coam_options_set(options.o, "limits.layers", "many", &error) == COAM_INVALID_ARGUMENT);
  CHECK(Text(coam_error_message(error)).find("limits.layers") != std::string::npos);
  coam_error_free(error);
  CHECK(coam_options_set(options.o, "nonsense", "1", nullptr) == COAM_NOT_FOUND);
  coam_context* context = nullptr;
  REQUIRE(coam_context_new(options.o, &context, nullptr) == COAM_OK);
  CHECK(context->limits.layers == 12);
  CHECK(context->limits.manifest_bytes == 2 << 20);
  CHECK(context->limits.json_depth == base::Limits().json_depth);
  coam_context_free(context);
  CHECK(coam_options_set(options.o, "limits.layers", nullptr, nullptr) == COAM_OK);
  CHECK(Text(coam_options_get(options.o, "limits.layers", 0)) == "512");
}

TEST_CASE("capi: each key of each family has a type, a default that fits and help", "[capi]") {
  size_t keys = 0;
  for (size_t f = 0; const char* family = coam_options_family_at(f); ++f) {
    coam_options* o = nullptr;
    REQUIRE(coam_options_new(family, &o, nullptr) == COAM_OK);
    for (size_t k = 0; const coam_option* key = coam_options_key(family, k); ++k, ++keys) {
      const std::string name = Text(coam_option_name(key));
      INFO(family << " " << name);
      CHECK_FALSE(Text(coam_option_help(key)).empty());
      CHECK_FALSE(Text(coam_option_since(key)).empty());
      const std::string fallback = Text(coam_option_default(key));
      if (!fallback.empty()) {
        CHECK(coam_options_set(o, name.c_str(), fallback.c_str(), nullptr) == COAM_OK);
      }
    }
    coam_options_free(o);
  }
  CHECK(keys > 20);
}

int32_t Count(void* user, const coam_event* event) {
  CHECK(Text(coam_event_kind(event)) == "test");
  return ++*static_cast<int*>(user) == 3 ? 42 : 0;
}

TEST_CASE("capi: a job delivers events on the caller's thread and a stop code ends it", "[capi]") {
  Options options;
  int seen = 0;
  coam_options_set_events(options.o, Count, &seen, nullptr);
  auto job = StartJob("context", nullptr, options.o,
                      [](const base::Op& op, const coam_options*) -> absl::StatusOr<Ref<Object>> {
                        for (;;) {
                          COAM_RETURN_IF_ERROR(op.Check());
                          COAM_RETURN_IF_ERROR(op.Emit(base::Event{"test", "progress", "x"}));
                        }
                      });
  REQUIRE(job.ok());
  while (coam_job_done(*job) == 0) {
    pollfd p{coam_job_fd(*job), POLLIN, 0};
    REQUIRE(poll(&p, 1, 10'000) == 1);
    REQUIRE(coam_job_dispatch(*job, nullptr) == COAM_OK);
  }
  coam_error* error = nullptr;
  CHECK(coam_job_result(*job, &error) == COAM_CANCELLED);
  CHECK(Text(coam_error_detail(error, "callback.code")) == "42");
  coam_error_free(error);
  coam_job_free(*job);
}

TEST_CASE("capi: freeing a running job cancels it, and its user pointer is freed once", "[capi]") {
  static int freed;
  freed = 0;
  coam_options* o = nullptr;
  REQUIRE(coam_options_new("context", &o, nullptr) == COAM_OK);
  coam_options_set_events(
      o, [](void*, const coam_event*) -> int32_t { return 0; }, nullptr, [](void*) { ++freed; });
  auto job = StartJob("context", nullptr, o,
                      [](const base::Op& op, const coam_options*) -> absl::StatusOr<Ref<Object>> {
                        return base::WaitFd(op, -1, POLLIN);
                      });
  REQUIRE(job.ok());
  coam_options_free(o);
  CHECK(freed == 0);
  coam_job_free(*job);
  CHECK(freed == 1);
}

TEST_CASE("capi: versions, reasons and features answer", "[capi]") {
  CHECK(coam_version_number() == COAM_VERSION_NUMBER);
  CHECK(std::string(coam_build_details()).find("coaming 1.0.0") == 0);
  CHECK(coam_has_feature("core.jobs") == 1);
  CHECK(coam_has_feature("no.such") == 0);
  REQUIRE(coam_reason_find("core.forked") != nullptr);
  CHECK(coam_reason_code(coam_reason_find("core.forked")) == COAM_FAILED_PRECONDITION);
  CHECK(std::string(coam_code_name(COAM_UNAUTHENTICATED)) == "UNAUTHENTICATED");
}

}  // namespace
}  // namespace coaming::capi
