#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/json/json.h"
#include "base/json/reader.h"
#include "liboci/spec/image/image_spec.h"

namespace coaming::oci {

namespace json = base::json;

namespace {

Extra ToExtra(const std::vector<json::Member>& members) {
  Extra out;
  for (const json::Member& m : members) out.emplace_back(m.key, json::Write(m.value));
  return out;
}

// Refuse is a break of the image specification, at its place in the document.
void Refuse(json::ObjectReader& r, std::string_view key, std::string_view why) {
  r.FailWith(key, base::Fail("oci.manifest") << why);
}

void ReadDigest(json::ObjectReader& r, std::string_view key, std::string_view text,
                base::Digest* out) {
  absl::StatusOr<base::Digest> digest = base::Digest::Parse(text);
  if (!digest.ok()) return r.FailWith(key, digest.status());
  *out = *std::move(digest);
}

void CheckAnnotations(json::ObjectReader& r, const StringPairs& annotations) {
  for (const auto& [key, value] : annotations) {
    if (key.empty()) return Refuse(r, "annotations", "an annotation has an empty name");
  }
}

// The names of a JSON object used as a set ({"80/tcp": {}}).
void ReadSet(json::ObjectReader& r, std::string_view key, std::vector<std::string>* out) {
  const json::Value* v = r.Raw(key);
  if (v == nullptr || v->is_null()) return;
  if (!v->is_object()) return r.Fail(key, "want an object");
  for (const json::Member& m : v->members()) out->push_back(m.key);
}

// The mediaType of the document itself against what it is read as.
void ReadOwnType(json::ObjectReader& r, MediaKind kind, std::string_view told, std::string* out) {
  std::string own;
  r.Optional("mediaType", &own);
  if (!r.ok()) return;
  if (!own.empty() && KindOfMediaType(own) != kind) {
    return r.FailWith("mediaType", base::Fail("oci.media_type")
                                       << "the document says it is " << own.substr(0, 200));
  }
  if (!told.empty() && KindOfMediaType(told) != kind) {
    return r.FailWith("", base::Fail("oci.media_type")
                              << "it is served as " << told.substr(0, 200));
  }
  if (!own.empty() && !told.empty() && own != told) {
    return r.FailWith("mediaType", base::Fail("oci.media_type") << "the document says it is " << own
                                                                << " and is served as " << told);
  }
  *out = !own.empty() ? own : std::string(told);
}

void RefuseMember(json::ObjectReader& r, std::string_view key, std::string_view what) {
  if (!r.ok() || !r.Has(key)) return;
  r.FailWith(key, base::Fail("oci.media_type") << "this member does not belong in " << what);
}

absl::Status CheckVersion(const json::Value& doc) {
  const json::Value* version = doc.Find("schemaVersion");
  std::optional<int64_t> number;
  if (version != nullptr) number = version->as_int64();
  if (number == 2) return absl::OkStatus();
  if (number == 1) {
    return base::Fail("oci.schema1") << "the manifest is of Docker's schema 1, which is obsolete";
  }
  return base::Fail("oci.manifest") << "schemaVersion is not 2";
}

absl::StatusOr<json::Value> ParseDocument(std::string_view text, const base::Limits& limits) {
  return json::ParseObject(text, {.limits = &limits, .max_bytes = &base::Limits::manifest_bytes});
}

}  // namespace

void ReadJson(json::ObjectReader& r, Platform* out) {
  r.Required("architecture", &out->architecture);
  r.Required("os", &out->os);
  r.Optional("os.version", &out->os_version);
  r.Optional("os.features", &out->os_features);
  r.Optional("variant", &out->variant);
}

void ReadJson(json::ObjectReader& r, Descriptor* out) {
  r.Required("mediaType", &out->media_type);
  if (r.ok() && !IsMediaType(out->media_type)) Refuse(r, "mediaType", "is no media type");
  std::string digest, data;
  r.Required("digest", &digest);
  if (r.ok()) ReadDigest(r, "digest", digest, &out->digest);
  r.Required("size", &out->size);
  if (r.ok() && out->size < 0) Refuse(r, "size", "is negative");
  r.Optional("urls", &out->urls);
  r.Optional("annotations", &out->annotations);
  CheckAnnotations(r, out->annotations);
  r.Optional("data", &data);
  if (r.ok() && !data.empty()) {
    // Base64 as RFC 4648 has it: padding included, nothing else.
    if (!absl::Base64Unescape(data, &out->data) || absl::Base64Escape(out->data) != data) {
      return Refuse(r, "data", "is no base64");
    }
    if (static_cast<int64_t>(out->data.size()) != out->size) {
      return Refuse(r, "data", "does not have the descriptor's size");
    }
  }
  r.Optional("artifactType", &out->artifact_type);
  r.Optional("platform", &out->platform);
  out->extra = ToExtra(r.Unknown());
}

void ReadJson(json::ObjectReader& r, History* out) {
  r.Optional("created", &out->created);
  r.Optional("author", &out->author);
  r.Optional("created_by", &out->created_by);
  r.Optional("comment", &out->comment);
  r.Optional("empty_layer", &out->empty_layer);
}

void ReadJson(json::ObjectReader& r, ContainerConfig* out) {
  r.Optional("User", &out->user);
  ReadSet(r, "ExposedPorts", &out->exposed_ports);
  r.Optional("Env", &out->env);
  if (r.ok()) {
    for (const std::string& env : out->env) {
      if (env.find('\0') != std::string::npos) return Refuse(r, "Env", "an entry holds a NUL byte");
      size_t equals = env.find('=');
      if (equals == 0 || equals == std::string::npos) {
        return Refuse(r, "Env", absl::StrCat("\"", env.substr(0, 60), "\" is not NAME=VALUE"));
      }
    }
  }
  r.Optional("Entrypoint", &out->entrypoint);
  r.Optional("Cmd", &out->cmd);
  ReadSet(r, "Volumes", &out->volumes);
  r.Optional("WorkingDir", &out->working_dir);
  r.Optional("Labels", &out->labels);
  r.Optional("StopSignal", &out->stop_signal);
  out->extra = ToExtra(r.Unknown());
}

namespace {

struct RootFs {
  std::string type;
  std::vector<std::string> diff_ids;
};

void ReadJson(json::ObjectReader& r, RootFs* out) {
  r.Required("type", &out->type);
  r.Optional("diff_ids", &out->diff_ids);
}

}  // namespace

void ReadJson(json::ObjectReader& r, ImageConfig* out) {
  r.Optional("created", &out->created);
  r.Optional("author", &out->author);
  ReadJson(r, &out->platform);
  r.Optional("config", &out->config);
  RootFs rootfs;
  r.Required("rootfs", &rootfs);
  if (r.ok() && rootfs.type != "layers") {
    Refuse(r, "rootfs",
           absl::StrCat("its type is \"", rootfs.type.substr(0, 60), "\", not layers"));
  }
  for (const std::string& text : rootfs.diff_ids) {
    if (!r.ok()) return;
    ReadDigest(r, "rootfs", text, &out->diff_ids.emplace_back());
  }
  r.Optional("history", &out->history);
  out->extra = ToExtra(r.Unknown());
}

absl::StatusOr<Manifest> ParseManifest(std::string_view text, std::string_view media_type,
                                       const base::Limits& limits) {
  COAM_ASSIGN_OR_RETURN(json::Value doc, ParseDocument(text, limits));
  json::ObjectReader r(doc, "manifest");
  Manifest out;
  if (media_type.empty() && !doc.Find("mediaType")) {
    COAM_ASSIGN_OR_RETURN(out.media_type, DetectMediaType(text, limits));
  }
  ReadOwnType(r, MediaKind::kManifest, media_type.empty() ? out.media_type : media_type,
              &out.media_type);
  if (r.ok()) COAM_RETURN_IF_ERROR(base::Wrap(CheckVersion(doc), "manifest"));
  (void)r.Raw("schemaVersion");
  RefuseMember(r, "manifests", "a manifest");
  RefuseMember(r, "fsLayers", "a manifest");
  r.Optional("artifactType", &out.artifact_type);
  r.Required("config", &out.config);
  // Bounded before it is read: each layer costs memory of its own.
  if (const json::Value* layers = doc.Find("layers");
      layers != nullptr && static_cast<int64_t>(layers->items().size()) > limits.layers) {
    return base::FailLimit("layers", limits.layers)
           << "the manifest has " << layers->size() << " layers";
  }
  r.Required("layers", &out.layers);
  r.Optional("subject", &out.subject);
  r.Optional("annotations", &out.annotations);
  CheckAnnotations(r, out.annotations);
  COAM_RETURN_IF_ERROR(r.status());
  out.extra = ToExtra(r.Unknown());
  return out;
}

absl::StatusOr<Index> ParseIndex(std::string_view text, std::string_view media_type,
                                 const base::Limits& limits) {
  COAM_ASSIGN_OR_RETURN(json::Value doc, ParseDocument(text, limits));
  json::ObjectReader r(doc, "index");
  Index out;
  ReadOwnType(r, MediaKind::kIndex, media_type, &out.media_type);
  if (out.media_type.empty()) out.media_type = media::kIndex;
  if (r.ok()) COAM_RETURN_IF_ERROR(base::Wrap(CheckVersion(doc), "index"));
  (void)r.Raw("schemaVersion");
  RefuseMember(r, "layers", "an index");
  RefuseMember(r, "config", "an index");
  RefuseMember(r, "fsLayers", "an index");
  r.Optional("artifactType", &out.artifact_type);
  // An old umoci wrote null for an empty list.
  if (const json::Value* manifests = doc.Find("manifests");
      manifests != nullptr && manifests->is_null()) {
    (void)r.Raw("manifests");
  } else {
    r.Required("manifests", &out.manifests);
  }
  r.Optional("subject", &out.subject);
  r.Optional("annotations", &out.annotations);
  CheckAnnotations(r, out.annotations);
  COAM_RETURN_IF_ERROR(r.status());
  out.extra = ToExtra(r.Unknown());
  return out;
}

absl::StatusOr<ImageConfig> ParseImageConfig(std::string_view text, const base::Limits& limits) {
  COAM_ASSIGN_OR_RETURN(json::Value doc, ParseDocument(text, limits));
  ImageConfig out;
  COAM_RETURN_IF_ERROR(json::Read(doc, "config", &out));
  return out;
}

absl::StatusOr<Descriptor> ParseDescriptor(std::string_view text, const base::Limits& limits) {
  COAM_ASSIGN_OR_RETURN(json::Value doc, ParseDocument(text, limits));
  Descriptor out;
  COAM_RETURN_IF_ERROR(json::Read(doc, "descriptor", &out));
  return out;
}

absl::StatusOr<std::string> DetectMediaType(std::string_view text, const base::Limits& limits) {
  COAM_ASSIGN_OR_RETURN(json::Value doc, ParseDocument(text, limits));
  COAM_RETURN_IF_ERROR(CheckVersion(doc));
  bool index = doc.Find("manifests") != nullptr;
  bool manifest = doc.Find("layers") != nullptr || doc.Find("config") != nullptr;
  if (index && manifest) {
    return base::Fail("oci.media_type") << "the document could be a manifest or an index";
  }
  if (const json::Value* own = doc.Find("mediaType"); own != nullptr && !own->is_null()) {
    if (!own->is_string()) return base::Fail("oci.manifest") << "mediaType is no string";
    MediaKind kind = KindOfMediaType(own->as_string());
    bool fits =
        (kind == MediaKind::kIndex && !manifest) || (kind == MediaKind::kManifest && !index);
    if (!fits) {
      return base::Fail("oci.media_type")
             << "the document says it is " << own->as_string().substr(0, 200)
             << ", which is no manifest or not what its members say";
    }
    return own->as_string();
  }
  if (index) return std::string(media::kIndex);
  if (!manifest) return base::Fail("oci.manifest") << "the document is no manifest";
  // Docker's documents may leave their own type out; the config tells.
  const json::Value* config_type = doc.FindIn("config", "mediaType");
  bool docker = config_type != nullptr && config_type->is_string() &&
                config_type->as_string() == media::kDockerConfig;
  return std::string(docker ? media::kDockerManifest : media::kManifest);
}

}  // namespace coaming::oci
