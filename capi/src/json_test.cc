#include <coaming/json.h>

#include <cstring>
#include <string>

#include "catch2/catch_test_macros.hpp"

namespace {

std::string Text(coam_str s) { return std::string(s.data, s.size); }

coam_json* Parse(const char* text) {
  coam_json* json = nullptr;
  REQUIRE(coam_json_parse(text, std::strlen(text), &json, nullptr) == COAM_OK);
  return json;
}

TEST_CASE("json: values are found by RFC 6901 pointers", "[capi]") {
  coam_json* json = Parse(R"({"a":[{"n":12,"t":true}],"x/y":"s","~":1.0,"":"empty","e":[]})");
  CHECK(std::string(coam_json_type(json, "")) == "object");
  CHECK(coam_json_count(json, "") == 5);
  CHECK(coam_json_int(json, "/a/0/n", -1) == 12);
  CHECK(coam_json_int(json, "/a/0/t", -1) == 1);
  CHECK(Text(coam_json_text(json, "/x~1y")) == "s");
  CHECK(Text(coam_json_text(json, "/~0")) == "1.0");
  CHECK(Text(coam_json_text(json, "/")) == "empty");
  CHECK(Text(coam_json_key(json, "/a/0", 1)) == "t");
  for (const char* none : {"/a/1", "/a/00", "/a/-1", "/b", "a", "/a/0/n/x", "/a/0/n/"}) {
    INFO(none);
    CHECK(std::string(coam_json_type(json, none)).empty());
    CHECK(coam_json_int(json, none, -7) == -7);
  }
  coam_json_free(json);
}

TEST_CASE("json: what is no JSON is refused with its reason", "[capi]") {
  coam_json* json = nullptr;
  coam_error* error = nullptr;
  CHECK(coam_json_parse("{\"a\":1,\"a\":2}", 13, &json, &error) == COAM_DATA_LOSS);
  CHECK(Text(coam_error_reason(error)) == "json.duplicate_key");
  coam_error_free(error);
  CHECK(coam_json_parse("[", 1, &json, nullptr) == COAM_DATA_LOSS);
  CHECK(json == nullptr);
}

}  // namespace
