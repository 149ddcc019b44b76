#include "base/json/reader.h"

#include "base/core/error.h"
#include "base/json/json.h"
#include "catch2/catch_test_macros.hpp"

namespace coaming::base::json {
namespace thing {

struct Layer {
  std::string media_type;
  int64_t size = -1;
  std::optional<std::string> note;
};

void ReadJson(ObjectReader& r, Layer* out) {
  r.Required("mediaType", &out->media_type);
  r.Required("size", &out->size);
  r.Optional("note", &out->note);
  if (r.ok() && out->size < 0) r.Fail("size", "must not be negative");
}

struct Doc {
  std::string name = "default";
  std::vector<Layer> layers;
  std::optional<Layer> base;
  std::map<std::string, std::string> labels;
  std::map<std::string, Layer> by_name;
  StringPairs pairs;
  std::vector<std::vector<int32_t>> grid;
  bool on = false;
  uint32_t small = 0;
  uint64_t large = 0;
  double real = 0;
  Value raw;
  std::vector<Member> unknown;
};

void ReadJson(ObjectReader& r, Doc* out) {
  r.Optional("name", &out->name);
  r.Optional("layers", &out->layers);
  r.Optional("base", &out->base);
  r.Optional("labels", &out->labels);
  r.Optional("byName", &out->by_name);
  r.Optional("pairs", &out->pairs);
  r.Optional("grid", &out->grid);
  r.Optional("on", &out->on);
  r.Optional("small", &out->small);
  r.Optional("large", &out->large);
  r.Optional("real", &out->real);
  r.Optional("raw", &out->raw);
  out->unknown = r.Unknown();
}

}  // namespace thing

namespace {

absl::Status ReadDoc(std::string_view text, thing::Doc* out) {
  absl::StatusOr<Value> v = Parse(text);
  REQUIRE(v.ok());
  return Read(*v, "doc", out);
}

TEST_CASE("json reader: fields of every kind are read", "[base][json]") {
  thing::Doc d;
  absl::Status status = ReadDoc(
      R"({"name":null,"layers":[{"mediaType":"m","size":5},{"mediaType":"","size":0,"note":"n"}],
          "base":{"mediaType":"b","size":1},"labels":{"k":"v"},"byName":{"x":{"mediaType":"y","size":2}},
          "pairs":{"z":"1","a":"2"},"grid":[[1],[],[-2,3]],"on":true,"small":4294967295,
          "large":18446744073709551615,"real":1.5,"raw":{"any":[1]},"vendor":{"q":1},"more":null})",
      &d);
  INFO(status.ToString());
  REQUIRE(status.ok());
  CHECK(d.name == "default");
  REQUIRE(d.layers.size() == 2);
  CHECK(d.layers[0].size == 5);
  CHECK_FALSE(d.layers[0].note);
  CHECK(d.layers[1].note == "n");
  REQUIRE(d.base);
  CHECK(d.base->media_type == "b");
  CHECK(d.labels.at("k") == "v");
  CHECK(d.by_name.at("x").size == 2);
  CHECK(d.pairs == StringPairs{{"z", "1"}, {"a", "2"}});
  CHECK(d.grid == std::vector<std::vector<int32_t>>{{1}, {}, {-2, 3}});
  CHECK(d.on);
  CHECK(d.small == 4294967295u);
  CHECK(d.large == UINT64_MAX);
  CHECK(d.real == 1.5);
  CHECK(Write(d.raw) == R"({"any":[1]})");
  REQUIRE(d.unknown.size() == 2);
  CHECK(d.unknown[0].key == "vendor");
  Value again = Value::MakeObject();
  SetUnlessEmpty(&again, "name", d.name);
  SetUnlessEmpty(&again, "none", std::string());
  SetUnlessEmpty(&again, "pairs", d.pairs);
  SetUnlessEmpty(&again, "labels", d.labels);
  AppendMembers(&again, d.unknown);
  CHECK(
      Write(again) ==
      R"({"name":"default","pairs":{"z":"1","a":"2"},"labels":{"k":"v"},"vendor":{"q":1},"more":null})");
}

TEST_CASE("json reader: each failure names the path and both types", "[base][json]") {
  struct Row {
    const char* text;
    const char* message;
  };
  for (const Row& row : {
           Row{"[]", "doc: want an object, found an array"},
           Row{R"({"layers":{}})", "doc.layers: want an array, found an object"},
           Row{R"({"layers":[{"mediaType":"m","size":1},7]})",
               "doc.layers[1]: want an object, found a number"},
           Row{R"({"layers":[{"size":1}]})", "doc.layers[0].mediaType: is missing"},
           Row{R"({"layers":[{"mediaType":null,"size":1}]})",
               "doc.layers[0].mediaType: must not be null"},
           Row{R"({"layers":[{"mediaType":"m","size":"1"}]})",
               "doc.layers[0].size: want an integer, found a string"},
           Row{R"({"layers":[{"mediaType":"m","size":1.5}]})",
               "doc.layers[0].size: want an integer of 64 bits, found 1.5"},
           Row{R"({"layers":[{"mediaType":"m","size":-1}]})",
               "doc.layers[0].size: must not be negative"},
           Row{R"({"labels":{"a b":1}})", R"(doc.labels["a b"]: want a string, found a number)"},
           Row{R"({"byName":{"x":{}}})", "doc.byName.x.mediaType: is missing"},
           Row{R"({"grid":[[1,true]]})", "doc.grid[0][1]: want an integer, found a boolean"},
           Row{R"({"grid":[[2147483648]]})", "doc.grid[0][0]: 2147483648 does not fit 32 bits"},
           Row{R"({"small":-1})", "doc.small: -1 does not fit 32 bits without a sign"},
           Row{R"({"pairs":{"p":null}})", "doc.pairs.p: want a string, found null"},
       }) {
    thing::Doc d;
    absl::Status status = ReadDoc(row.text, &d);
    CHECK(ReasonOf(status) == "json.type");
    CHECK(GetError(status).message == row.message);
  }
}

TEST_CASE("json reader: the first failure sticks and keeps its reason", "[base][json]") {
  absl::StatusOr<Value> v = Parse(R"({"a":1})");
  ObjectReader r(*v, "x");
  r.FailWith("a", base::Fail("digest.invalid") << "no colon");
  std::string out = "kept";
  r.Required("b", &out);
  CHECK(ReasonOf(r.status()) == "digest.invalid");
  CHECK(GetError(r.status()).message == "x.a: no colon");
  CHECK(out == "kept");
}

}  // namespace
}  // namespace coaming::base::json
