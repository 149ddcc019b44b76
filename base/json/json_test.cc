#include "base/json/json.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "base/core/error.h"
#include "catch2/catch_test_macros.hpp"

namespace coaming::base::json {
namespace {

Value MustParse(std::string_view text) {
  absl::StatusOr<Value> v = Parse(text);
  INFO(text << " -> " << v.status().ToString());
  REQUIRE(v.ok());
  return *std::move(v);
}

std::string Reason(std::string_view text) { return ReasonOf(Parse(text).status()); }

TEST_CASE("json: a document keeps order, number text and exact source slices", "[base][json]") {
  const std::string text =
      " {\"b\" : [1, -0, 1.50e+2 ,\"x\\n\\u00e9\"] ,\t\"a\":{ \"n\" : null, \"t\":true,\"f\":false "
      "}}\n";
  Value v = MustParse(text);
  REQUIRE(v.is_object());
  CHECK(v.members()[0].key == "b");
  CHECK(v.members()[1].key == "a");
  CHECK(v.Source(text) == text.substr(1, text.size() - 2));
  const std::vector<Value>& items = v.Find("b")->items();
  CHECK(v.Find("b")->Source(text) == "[1, -0, 1.50e+2 ,\"x\\n\\u00e9\"]");
  CHECK(items[0].Source(text) == "1");
  CHECK(items[1].number_text() == "-0");
  CHECK(items[2].Source(text) == "1.50e+2");
  CHECK(items[2].number_text() == "1.50e+2");
  CHECK(items[3].Source(text) == "\"x\\n\\u00e9\"");
  CHECK(items[3].as_string() == "x\n\xc3\xa9");
  CHECK(v.Find("a")->Source(text) == "{ \"n\" : null, \"t\":true,\"f\":false }");
  CHECK(v.FindIn("a", "n")->Source(text) == "null");
  CHECK(v.FindIn("a", "t")->Source(text) == "true");
  CHECK(v.FindIn("a", "f")->Source(text) == "false");
  CHECK(v.FindIn("a", "f")->is_bool());
  CHECK(v.FindIn("a", "zzz") == nullptr);
  CHECK(v.Find("zzz") == nullptr);
}

TEST_CASE("json: integers are exact over 64 bits and nothing else is an integer", "[base][json]") {
  CHECK(MustParse("9223372036854775807").as_int64() == INT64_MAX);
  CHECK(MustParse("-9223372036854775808").as_int64() == INT64_MIN);
  CHECK_FALSE(MustParse("9223372036854775808").as_int64());
  CHECK(MustParse("18446744073709551615").as_uint64() == UINT64_MAX);
  CHECK_FALSE(MustParse("18446744073709551616").as_uint64());
  CHECK_FALSE(MustParse("-1").as_uint64());
  CHECK(MustParse("-0").as_uint64() == 0u);
  CHECK_FALSE(MustParse("1.0").as_int64());
  CHECK_FALSE(MustParse("1e2").as_int64());
  CHECK_FALSE(MustParse("\"1\"").as_int64());
  CHECK(MustParse("1e2").as_double() == 100.0);
  CHECK(MustParse("123456789012345678901234567890").number_text() ==
        "123456789012345678901234567890");
}

TEST_CASE("json: a duplicate key is refused in small and large objects", "[base][json]") {
  CHECK(Reason(R"({"a":1,"a":2})") == "json.duplicate_key");
  CHECK(Reason(R"([{"x":{"a":1,"\u0061":2}}])") == "json.duplicate_key");
  std::string big = "{";
  for (int i = 0; i < 40; ++i) big += "\"k" + std::to_string(i) + "\":1,";
  CHECK(Parse(big + "\"z\":1}").ok());
  absl::Status dup = Parse(big + "\n\"k7\":1}").status();
  CHECK(ReasonOf(dup) == "json.duplicate_key");
  CHECK(GetError(dup).Detail("json.line") == "2");
  CHECK(GetError(dup).message.find("\"k7\"") != std::string::npos);
  CHECK(Parse(R"({"a":1,"A":2})").ok());  // keys differ by case
}

TEST_CASE("json: what is not JSON is refused with its place", "[base][json]") {
  for (const char* text : {"",
                           " ",
                           "{",
                           "}",
                           "[1,]",
                           "{\"a\":1,}",
                           "{a:1}",
                           "{'a':1}",
                           "[1 2]",
                           "{\"a\" 1}",
                           "nul",
                           "NaN",
                           "Infinity",
                           "-",
                           "01",
                           "1.",
                           ".5",
                           "1e",
                           "+1",
                           "0x1",
                           "\"\t\"",
                           "\"\\x\"",
                           "\"\\u12g4\"",
                           "\"abc",
                           "[\"a\\",
                           "1 1",
                           "{} {}",
                           "// c\n1",
                           "[1]/**/",
                           "\"\x80\"",
                           "\"\xc0\xaf\"",
                           "\"\xed\xa0\x80\"",
                           "\"\xf4\x90\x80\x80\"",
                           "\"\\ud800\"",
                           "\"\\ud800x\"",
                           "\"\\udc00\"",
                           "\"a\\udfffb\"",
                           "\"\\ud800\\u0041\"",
                           "{\"\\udc00\":1}",
                           "\xef\xbb\xbf{}",
                           "1e400",
                           "tru\x65x",
                           "[\x01]"}) {
    INFO(text);
    absl::Status status = Parse(text).status();
    CHECK(ReasonOf(status) == "json.invalid");
    CHECK(GetError(status).message.find("line 1, column ") == 0);
  }
  CHECK(Reason(std::string_view("{}\0", 3)) == "json.invalid");
  CHECK(Reason(std::string_view("{}\0{}", 5)) == "json.invalid");
  CHECK(Reason(std::string_view("[\0]", 3)) == "json.invalid");
  CHECK(Reason(std::string_view("\"\0\"", 3)) == "json.invalid");
  Error e = GetError(Parse("{\n  \"a\": tru\n}").status());
  CHECK(e.Detail("json.line") == "2");
  CHECK(e.message.find("line 2, column ") == 0);
}

TEST_CASE("json: U+0000 stays in strings and keys", "[base][json]") {
  Value v = MustParse(R"({"a\u0000b":"c\u0000"})");
  CHECK(v.members()[0].key == std::string("a\0b", 3));
  CHECK(v.members()[0].value.as_string() == std::string("c\0", 2));
  CHECK(Write(v) == R"({"a\u0000b":"c\u0000"})");
}

TEST_CASE("json: depth, count and size are bounded", "[base][json]") {
  Limits limits;
  limits.json_depth = 3;
  CHECK(Parse("[[[1]]]", {.limits = &limits}).ok());
  absl::Status deep = Parse("[[[[1]]]]", {.limits = &limits}).status();
  CHECK(GetError(deep).Detail("limit.name") == "json_depth");
  CHECK(GetError(Parse(std::string(1000000, '[')).status()).Detail("limit.name") == "json_depth");
  limits.json_values = 4;
  CHECK(Parse("[1,2,3]", {.limits = &limits}).ok());
  CHECK(GetError(Parse("[1,2,3,4]", {.limits = &limits}).status()).Detail("limit.name") ==
        "json_values");
  limits.tuf_metadata_bytes = 10;
  absl::Status size =
      Parse("[1,2,3,4,5]", {.limits = &limits, .max_bytes = &Limits::tuf_metadata_bytes}).status();
  CHECK(GetError(size).Detail("limit.name") == "tuf_metadata_bytes");
}

TEST_CASE("json: writing gives the bytes that Go's encoding/json gives", "[base][json]") {
  Value v = Value::MakeObject();
  v.Set("a", "<&>\"\\\n\x01\x7f");
  v.Set("u", "\xe2\x80\xa8\xe2\x80\xa9\xff");
  v.Set("empty", Value::MakeArray());
  v.Set("none", Value::MakeObject());
  v.Set("list", std::vector<std::string>{"x", "y"});
  v.Set("n", 7).set_source(3, 1);
  // As json.MarshalIndent(x, "", "\t") writes it.
  CHECK(Write(v, {.indent = "\t", .escape = Escape::kGo}) ==
        "{\n\t\"a\": \"\\u003c\\u0026\\u003e\\\"\\\\\\n\\u0001\x7f\",\n"
        "\t\"u\": \"\\u2028\\u2029\\ufffd\",\n\t\"empty\": [],\n\t\"none\": {},\n"
        "\t\"list\": [\n\t\t\"x\",\n\t\t\"y\"\n\t],\n\t\"n\": 7\n}");
  CHECK(Write(v.Find("a")->as_string(), {.escape = Escape::kGoNoHtml}) ==
        "\"<&>\\\"\\\\\\n\\u0001\x7f\"");
  CHECK(Write(*v.Find("u")) == "\"\xe2\x80\xa8\xe2\x80\xa9\xef\xbf\xbd\"");
  CHECK(Write(v, {.sort_keys = true, .final_newline = true}).substr(0, 5) == "{\"a\":");
  Value nested = MustParse("[[1],{}]");
  CHECK(Write(nested, {.indent = "  ", .prefix = "> "}) ==
        "[\n>   [\n>     1\n>   ],\n>   {}\n> ]");
}

TEST_CASE("json: the canonical form sorts by bytes and escapes two characters only",
          "[base][json]") {
  Value v = MustParse(
      R"({"b":[true,null,"\n\/\"\\\u007f"],"a":-0,"\uffff":1,"\ud83d\ude00":123456789012345678901})");
  absl::StatusOr<std::string> text = WriteCanonical(v);
  REQUIRE(text.ok());
  CHECK(*text ==
        "{\"a\":0,\"b\":[true,null,\"\n/\\\"\\\\\x7f\"],\"\xef\xbf\xbf\":1,"
        "\"\xf0\x9f\x98\x80\":123456789012345678901}");
  CHECK(ReasonOf(WriteCanonical(MustParse("[1.5]")).status()) == "json.type");
  CHECK(ReasonOf(WriteCanonical(MustParse("[1e3]")).status()) == "json.type");
}

TEST_CASE("json: values copy deeply, move cheaply and compare", "[base][json]") {
  Value a = MustParse(R"({"x":[1,{"y":"z"}],"n":1})");
  Value b = a;
  CHECK(a == b);
  b.FindMutable("x")->Push("more");
  CHECK_FALSE(a == b);
  a = *a.Find("x");  // from a part of itself
  CHECK(a.is_array());
  CHECK(a.items()[1].Find("y")->as_string() == "z");
  Value c = std::move(b);
  CHECK(b.is_null());  // NOLINT: that is the promise
  CHECK(c.Remove("n"));
  CHECK_FALSE(c.Remove("n"));
  CHECK(Equivalent(MustParse(R"({"a":1,"b":2})"), MustParse(R"({"b":2,"a":1})")));
  CHECK_FALSE(MustParse(R"({"a":1,"b":2})") == MustParse(R"({"b":2,"a":1})"));
  CHECK(Write(Value::MakeDouble(0.1)) == "0.1");
  CHECK(Write(Value::MakeDouble(1e21)) == "1e+21");
  CHECK(Write(Value::MakeDouble(100000)) == "100000");
}

// Python's json is the oracle for what a document means.
TEST_CASE("json: parsing and canonical form agree with Python's json", "[base][json]") {
  std::vector<std::string> docs = {
      R"({"z":1,"a":[1,2,{"k":"v","é":"ü"}],"s":"line\nbreak\t\"q\" \\ \/ \u20ac \ud83d\ude00"})",
      R"([[],{},"",0,-1,12345678901234567890,true,false,null])", R"({"":{"":""}})"};
  std::string deep = "1";
  for (int i = 0; i < 60; ++i)
    deep = i % 2 ? "{\"k" + std::to_string(i) + "\":" + deep + "}" : "[" + deep + "]";
  docs.push_back(deep);
  std::string wide = "{";
  for (int i = 0; i < 500; ++i)
    wide += (i ? "," : "") + ("\"k" + std::to_string(i * 7919 % 500) + "\":" + std::to_string(i));
  docs.push_back(wide + "}");
  char dir[] = "/tmp/coam-json-XXXXXX";
  REQUIRE(mkdtemp(dir) != nullptr);
  const std::string in = std::string(dir) + "/in", out = std::string(dir) + "/out";
  for (const std::string& doc : docs) {
    std::ofstream(in, std::ios::binary) << doc;
    const std::string command =
        "python3 -c 'import json,sys;sys.stdout.buffer.write(json.dumps(json.load(open(\"" + in +
        "\",encoding=\"utf8\")),sort_keys=True,separators=(\",\",\":\"),ensure_ascii=False).encode("
        "))' >" +
        out;
    if (std::system(command.c_str()) != 0) SKIP("python3 is not here");
    std::ifstream got(out, std::ios::binary);
    const std::string want(std::istreambuf_iterator<char>(got), {});
    CHECK(Write(MustParse(doc), {.sort_keys = true}) == want);
  }
  std::remove(in.c_str());
  std::remove(out.c_str());
  std::remove(dir);
}

}  // namespace
}  // namespace coaming::base::json
