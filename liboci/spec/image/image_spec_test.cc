#include "liboci/spec/image/image_spec.h"

#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/core/error.h"

namespace coaming::oci {
namespace {

const std::string kHex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const std::string kConfigType = std::string(media::kConfig);

// Sub puts real digests where a test says @.
std::string Sub(std::string_view text) {
  return absl::StrReplaceAll(text, {{"@", "sha256:" + kHex}});
}

const char kDescriptor[] = R"("mediaType":"a/b","digest":"@","size":7)";

std::string ManifestWith(std::string_view members) {
  return Sub(absl::StrCat(R"({"schemaVersion":2,"config":{"mediaType":")", kConfigType,
                          R"(","digest":"@","size":2},"layers":[{)", kDescriptor, "}]", members,
                          "}"));
}

TEST_CASE("descriptor: each rule of the specification is enforced", "[liboci][spec]") {
  struct Row {
    const char* text;
    const char* reason;  // "" if it is good
  };
  const Row rows[] = {
      {R"({"mediaType":"application/vnd.x","digest":"@","size":0})", ""},
      {R"({"mediaType":"application","digest":"@","size":0})", "oci.manifest"},
      {R"({"mediaType":".foo/bar","digest":"@","size":0})", "oci.manifest"},
      {R"({"mediaType":"foo/.bar","digest":"@","size":0})", "oci.manifest"},
      {R"({"mediaType":"foo/","digest":"@","size":0})", "oci.manifest"},
      {R"({"mediaType":"a/b;c=d","digest":"@","size":0})", "oci.manifest"},
      {R"({"digest":"@","size":0})", "json.type"},
      {R"({"mediaType":null,"digest":"@","size":0})", "json.type"},
      {R"({"mediaType":"a/b","digest":"@"})", "json.type"},
      {R"({"mediaType":"a/b","digest":"@","size":"7"})", "json.type"},
      {R"({"mediaType":"a/b","digest":"@","size":-1})", "oci.manifest"},
      {R"({"mediaType":"a/b","digest":"@","size":1.5})", "json.type"},
      {R"({"mediaType":"a/b","digest":"@","size":9223372036854775808})", "json.type"},
      {R"({"mediaType":"a/b","digest":"@","size":9223372036854775807})", ""},
      {R"({"mediaType":"a/b","size":7})", "json.type"},
      {R"({"mediaType":"a/b","digest":":abc","size":7})", "digest.invalid"},
      {R"({"mediaType":"a/b","digest":"sha256:","size":7})", "digest.invalid"},
      {R"({"mediaType":"a/b","digest":"sha256:ABC","size":7})", "digest.invalid"},
      {R"({"mediaType":"a/b","digest":"SHA256:abc","size":7})", "digest.invalid"},
      {R"({"mediaType":"a/b","digest":"a++b:abc","size":7})", "digest.invalid"},
      {R"({"mediaType":"a/b","digest":"sha256:../../x","size":7})", "digest.invalid"},
      {R"({"mediaType":"a/b","digest":"multihash+base58:QmRZx","size":7})", ""},
      {R"({"mediaType":"a/b","digest":"@","size":7,"data":"aGVsbG8hIQ=="})", ""},
      {R"({"mediaType":"a/b","digest":"@","size":7,"data":"aGVsbG8hIQ"})", "oci.manifest"},
      {R"({"mediaType":"a/b","digest":"@","size":7,"data":"aGVs bG8hIQ=="})", "oci.manifest"},
      {R"({"mediaType":"a/b","digest":"@","size":8,"data":"aGVsbG8hIQ=="})", "oci.manifest"},
      {R"({"mediaType":"a/b","digest":"@","size":7,"annotations":{"":"x"}})", "oci.manifest"},
      {R"({"mediaType":"a/b","digest":"@","size":7,"annotations":{"a":1}})", "json.type"},
      {R"({"mediaType":"a/b","digest":"@","size":7,"annotations":null})", ""},
      {R"({"mediaType":"a/b","digest":"@","size":7,"platform":{"os":"linux"}})", "json.type"},
      {R"({"mediaType":"a/b","digest":"@","size":7,"size":8})", "json.duplicate_key"},
      {R"([])", "json.type"},
  };
  for (const Row& row : rows) {
    INFO(row.text);
    CHECK(base::ReasonOf(ParseDescriptor(Sub(row.text)).status()) == row.reason);
  }
}

TEST_CASE("manifest: a good one is read, and what is not known is kept", "[liboci][spec]") {
  std::string text = ManifestWith(R"(,"x-vendor":{"n":1.50},"annotations":{"b":"2","a":"1"})");
  absl::StatusOr<Manifest> m = ParseManifest(text);
  REQUIRE(m.ok());
  CHECK(m->media_type == media::kManifest);
  CHECK(m->layers.size() == 1);
  CHECK(m->IsImage());
  CHECK(m->annotations == StringPairs{{"b", "2"}, {"a", "1"}});
  CHECK(m->extra == Extra{{"x-vendor", R"({"n":1.50})"}});
  CHECK(WriteManifest(*m).find(R"("x-vendor":{"n":1.50})") != std::string::npos);
}

TEST_CASE("manifest: a document that could be two things is refused (CVE-2021-41190)",
          "[liboci][spec]") {
  std::string both = ManifestWith(R"(,"manifests":[])");
  CHECK(base::ReasonOf(ParseManifest(both).status()) == "oci.media_type");
  CHECK(base::ReasonOf(ParseIndex(both).status()) == "oci.media_type");
  CHECK(base::ReasonOf(DetectMediaType(both).status()) == "oci.media_type");
  std::string lies = ManifestWith(absl::StrCat(R"(,"mediaType":")", media::kIndex, "\""));
  CHECK(base::ReasonOf(ParseManifest(lies).status()) == "oci.media_type");
  CHECK(base::ReasonOf(ParseIndex(lies).status()) == "oci.media_type");
  CHECK(base::ReasonOf(DetectMediaType(lies).status()) == "oci.media_type");
  // Served as something else than it says.
  std::string oci = ManifestWith(absl::StrCat(R"(,"mediaType":")", media::kManifest, "\""));
  CHECK(ParseManifest(oci, media::kManifest).ok());
  CHECK(base::ReasonOf(ParseManifest(oci, media::kDockerManifest).status()) == "oci.media_type");
  CHECK(base::ReasonOf(ParseManifest(oci, media::kIndex).status()) == "oci.media_type");
  CHECK(base::ReasonOf(
            ParseIndex(R"({"schemaVersion":2,"manifests":[]})", media::kManifest).status()) ==
        "oci.media_type");
}

TEST_CASE("manifest: schema 1 is named as what it is", "[liboci][spec]") {
  const char text[] = R"({"schemaVersion":1,"name":"a","tag":"b","fsLayers":[],"history":[]})";
  CHECK(base::ReasonOf(ParseManifest(text).status()) == "oci.schema1");
  CHECK(base::ReasonOf(DetectMediaType(text).status()) == "oci.schema1");
  CHECK_FALSE(base::GetError(ParseManifest(text).status()).hint.empty());
}

TEST_CASE("manifest: other breaks of the specification", "[liboci][spec]") {
  CHECK(base::ReasonOf(ParseManifest("{}").status()) == "oci.manifest");
  CHECK(base::ReasonOf(ParseManifest(R"({"schemaVersion":3})").status()) == "oci.manifest");
  CHECK(base::ReasonOf(ParseManifest(R"({"schemaVersion":"2"})").status()) == "oci.manifest");
  CHECK(base::ReasonOf(ParseManifest(R"({"schemaVersion":2,"layers":[]})").status()) ==
        "json.type");
  CHECK(base::ReasonOf(ParseManifest(ManifestWith(R"(,"subject":"x")")).status()) == "json.type");
  CHECK(base::ReasonOf(ParseManifest(ManifestWith(R"(,"layers":[])")).status()) ==
        "json.duplicate_key");
  CHECK(base::ReasonOf(ParseManifest("\xef\xbb\xbf{}").status()) == "json.invalid");
  CHECK(base::ReasonOf(ParseManifest("").status()) == "json.invalid");
}

TEST_CASE("manifest: sizes are bounded", "[liboci][spec]") {
  base::Limits limits;
  limits.manifest_bytes = 100;
  absl::Status big = ParseManifest(ManifestWith(""), "", limits).status();
  CHECK(base::ReasonOf(big) == "core.limit");
  CHECK(base::GetError(big).Detail("limit.name") == "manifest_bytes");
  limits = base::Limits();
  limits.layers = 0;
  absl::Status many = ParseManifest(ManifestWith(""), "", limits).status();
  CHECK(base::GetError(many).Detail("limit.name") == "layers");
  std::string deep =
      ManifestWith(absl::StrCat(",\"x\":", std::string(1000, '['), std::string(1000, ']')));
  CHECK(base::GetError(ParseManifest(deep).status()).Detail("limit.name") == "json_depth");
}

TEST_CASE("index: platforms are read; null manifests count as none", "[liboci][spec]") {
  std::string text = Sub(absl::StrCat(R"({"schemaVersion":2,"manifests":[{)", kDescriptor,
                                      R"(,"platform":{"architecture":"arm","os":"linux",)"
                                      R"("variant":"v7"}}]})"));
  absl::StatusOr<Index> index = ParseIndex(text);
  REQUIRE(index.ok());
  CHECK(index->manifests[0].platform->ToString() == "linux/arm/v7");
  CHECK(ParseIndex(R"({"schemaVersion":2,"manifests":null})")->manifests.empty());
  CHECK_FALSE(ParseIndex(R"({"schemaVersion":2})").ok());
  // Written, an empty list stays a list.
  CHECK(
      WriteIndex(*ParseIndex(R"({"schemaVersion":2,"manifests":[]})")) ==
      R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]})");
}

TEST_CASE("config: the members are read, null means absent", "[liboci][spec]") {
  absl::StatusOr<ImageConfig> c = ParseImageConfig(Sub(R"({
    "architecture":"amd64","os":"linux","author":null,
    "config":{"User":"1:2","Env":["A=b","C=d=e"],"Cmd":null,"Entrypoint":["/x"],"Labels":null,
      "ExposedPorts":{"80/tcp":{},"53/udp":{}},"Volumes":{"/v":{}},"StopSignal":"SIGRTMIN+3",
      "Healthcheck":{"Test":["NONE"]}},
    "rootfs":{"type":"layers","diff_ids":["@"]},
    "history":[{"created_by":"x","empty_layer":true}],"docker_version":"1"})"));
  REQUIRE(c.ok());
  CHECK(c->config.user == "1:2");
  CHECK(c->config.env == std::vector<std::string>{"A=b", "C=d=e"});
  CHECK(c->config.cmd.empty());
  CHECK(c->config.exposed_ports == std::vector<std::string>{"80/tcp", "53/udp"});
  CHECK(c->diff_ids.size() == 1);
  CHECK(c->history[0].empty_layer);
  CHECK(c->extra == Extra{{"docker_version", R"("1")"}});
  std::string written = WriteImageConfig(*c);
  CHECK(WriteImageConfig(*ParseImageConfig(written)) == written);
}

TEST_CASE("config: bad ones are refused", "[liboci][spec]") {
  const char* bad[] = {
      R"({"architecture":"amd64","os":1,"rootfs":{"type":"layers","diff_ids":[]}})",
      R"({"architecture":"amd64","rootfs":{"type":"layers","diff_ids":[]}})",
      R"({"architecture":"amd64","os":"linux"})",
      R"({"architecture":"amd64","os":"linux","rootfs":{"type":"other","diff_ids":[]}})",
      R"({"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["x"]}})",
      R"({"architecture":"a","os":"b","config":{"User":1},"rootfs":{"type":"layers"}})",
      R"({"architecture":"a","os":"b","config":{"Env":7},"rootfs":{"type":"layers"}})",
      R"({"architecture":"a","os":"b","config":{"Env":["foo"]},"rootfs":{"type":"layers"}})",
      R"({"architecture":"a","os":"b","config":{"Env":["=x"]},"rootfs":{"type":"layers"}})",
      R"({"architecture":"a","os":"b","config":{"Volumes":["/v"]},"rootfs":{"type":"layers"}})",
      R"({"architecture":"a","os":"b","history":"x","rootfs":{"type":"layers"}})",
      "invalid json",
  };
  for (const char* text : bad) {
    INFO(text);
    CHECK_FALSE(ParseImageConfig(text).ok());
  }
}

TEST_CASE("media types: Docker's have OCI twins", "[liboci][spec]") {
  CHECK(OciMediaType(media::kDockerManifest) == media::kManifest);
  CHECK(OciMediaType(media::kDockerLayerGzip) == media::kLayerGzip);
  CHECK(OciMediaType("x/y") == "x/y");
  CHECK(KindOfMediaType(media::kDockerSchema1Signed) == MediaKind::kSchema1);
  CHECK(KindOfMediaType("application/json") == MediaKind::kUnknown);
}

}  // namespace
}  // namespace coaming::oci
