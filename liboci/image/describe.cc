#include "liboci/image/describe.h"

#include <utility>

#include "base/json/json.h"
#include "base/json/reader.h"
#include "liboci/spec/image/image_spec.h"

namespace coaming::oci {
namespace {

namespace json = base::json;

json::Value Start(std::string_view schema) {
  json::Value out = json::Value::MakeObject();
  out.Set("schema", schema);
  return out;
}

// The document that the specification's own writer makes.
json::Value Parsed(const std::string& text) {
  absl::StatusOr<json::Value> value = json::Parse(text);
  return value.ok() ? *std::move(value) : json::Value();
}

json::Value Strings(const std::vector<std::string>& list) {
  json::Value out = json::Value::MakeArray();
  for (const std::string& text : list) out.Push(text);
  return out;
}

json::Value Pairs(const StringPairs& pairs) {
  json::Value out = json::Value::MakeObject();
  for (const auto& [key, value] : pairs) out.Set(key, value);
  return out;
}

}  // namespace

std::string DescribeImage(const Image& image) {
  json::Value out = Start("coam.oci.image.v1");
  out.Set("name", image.name().ToString());
  out.Set("digest", image.descriptor().digest.str());
  out.Set("mediaType", image.descriptor().media_type);
  out.Set("indexDigest", image.root().digest == image.descriptor().digest
                             ? json::Value()
                             : json::Value(image.root().digest.str()));
  const Manifest& manifest = image.manifest();
  out.Set("artifactType", manifest.ArtifactType());
  out.Set("annotations", Pairs(manifest.annotations));
  json::Value layers = json::Value::MakeArray();
  int64_t size = manifest.config.size;
  for (size_t i = 0; i < manifest.layers.size(); ++i) {
    json::Value layer = Parsed(WriteDescriptor(manifest.layers[i]));
    if (i < image.config().diff_ids.size()) layer.Set("diffId", image.config().diff_ids[i].str());
    size += manifest.layers[i].size;
    layers.Push(std::move(layer));
  }
  out.Set("size", size);
  if (manifest.IsImage()) {
    const ImageConfig& c = image.config();
    out.Set("imageId", manifest.config.digest.str());
    out.Set("platform", c.platform.Normalized().ToString());
    out.Set("os", c.platform.os);
    out.Set("architecture", c.platform.architecture);
    out.Set("variant", c.platform.variant);
    out.Set("created", c.created);
    out.Set("author", c.author);
    out.Set("user", c.config.user);
    out.Set("env", Strings(c.config.env));
    out.Set("entrypoint", Strings(c.config.entrypoint));
    out.Set("cmd", Strings(c.config.cmd));
    out.Set("workingDir", c.config.working_dir);
    out.Set("exposedPorts", Strings(c.config.exposed_ports));
    out.Set("volumes", Strings(c.config.volumes));
    out.Set("labels", Pairs(c.config.labels));
    out.Set("stopSignal", c.config.stop_signal);
    json::Value history = json::Value::MakeArray();
    for (const History& h : c.history) {
      json::Value row = json::Value::MakeObject();
      row.Set("created", h.created);
      row.Set("createdBy", h.created_by);
      row.Set("comment", h.comment);
      row.Set("emptyLayer", h.empty_layer);
      history.Push(std::move(row));
    }
    out.Set("history", std::move(history));
  }
  out.Set("layers", std::move(layers));
  return json::Write(out);
}

std::string DescribeCopied(const Copied& copied) {
  json::Value out = Start("coam.oci.copy.v1");
  out.Set("digest", copied.descriptor.digest.str());
  out.Set("mediaType", copied.descriptor.media_type);
  out.Set("size", copied.descriptor.size);
  out.Set("blobsCopied", copied.blobs_copied);
  out.Set("blobsReused", copied.blobs_reused);
  out.Set("bytesCopied", copied.bytes_copied);
  return json::Write(out);
}

std::string DescribeUnpacked(const Unpacked& unpacked) {
  json::Value out = Start("coam.oci.unpack.v1");
  out.Set("rootfs", unpacked.rootfs);
  out.Set("config", unpacked.config_json);
  out.Set("layers", unpacked.layers);
  out.Set("entries", unpacked.entries);
  out.Set("bytes", unpacked.bytes);
  return json::Write(out);
}

std::string DescribeNames(const ImageName& name, const std::vector<std::string>& names) {
  json::Value out = Start("coam.oci.names.v1");
  out.Set("name", name.ToString());
  out.Set("names", Strings(names));
  return json::Write(out);
}

std::string DescribeDescriptors(const ImageName& name, const std::vector<Descriptor>& list) {
  json::Value out = Start("coam.oci.descriptors.v1");
  out.Set("name", name.ToString());
  json::Value descriptors = json::Value::MakeArray();
  for (const Descriptor& d : list) descriptors.Push(Parsed(WriteDescriptor(d)));
  out.Set("descriptors", std::move(descriptors));
  return json::Write(out);
}

std::string DescribeGc(const Layout::GcResult& result) {
  json::Value out = Start("coam.oci.gc.v1");
  out.Set("blobs", result.blobs);
  out.Set("bytes", result.bytes);
  out.Set("kept", result.kept);
  json::Value removed = json::Value::MakeArray();
  for (const base::Digest& digest : result.removed) removed.Push(digest.str());
  out.Set("removed", std::move(removed));
  return json::Write(out);
}

std::string DescribeName(const ImageName& name) {
  json::Value out = Start("coam.oci.reference.v1");
  out.Set("transport", name.transport);
  out.Set("path", name.path);
  out.Set("name", name.name);
  out.Set("host", name.reference.host);
  out.Set("repository", name.reference.repository);
  out.Set("tag", name.reference.tag);
  out.Set("digest", name.reference.digest.str());
  out.Set("familiar", name.transport == "docker" ? name.reference.Familiar() : name.name);
  out.Set("text", name.ToString());
  return json::Write(out);
}

}  // namespace coaming::oci
