// The comma forms of ports, mount points, mounts and volumes that command lines use.
#include <limits>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "libaci/schema/manifest.h"
#include "libaci/schema/pod_manifest.h"
#include "libaci/schema/types.h"

namespace coaming::aci {

absl::Status CheckVolumeValue(const Volume& volume);  // pod_json.cc

namespace {

absl::Status UnknownKey(std::string_view what, std::string_view key) {
  return base::Fail("core.invalid_argument")
         << "unknown " << what << " parameter \"" << key << "\"";
}

absl::Status TakeNumber(std::string_view what, std::string_view text, uint32_t max, uint32_t* out) {
  uint64_t value = 0;
  bool digits = !text.empty();
  for (char c : text) digits = digits && c >= '0' && c <= '9';
  if (!digits || !absl::SimpleAtoi(text, &value) || value > max) {
    return base::Fail("core.invalid_argument")
           << what << " \"" << text << "\" is not a number up to " << max;
  }
  *out = static_cast<uint32_t>(value);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<MountPoint> MountPoint::FromString(std::string_view text) {
  COAM_ASSIGN_OR_RETURN(KeyValues pairs, ParseKeyValues(text));
  MountPoint out;
  for (const auto& [key, value] : pairs) {
    if (key == "name") {
      COAM_RETURN_IF_ERROR(CheckAcName(value, "mount point name"));
      out.name = value;
    } else if (key == "path") {
      out.path = value;
    } else if (key == "readOnly") {
      COAM_ASSIGN_OR_RETURN(out.read_only, ParseBool(value, "readOnly"));
    } else {
      return UnknownKey("mount point", key);
    }
  }
  if (out.path.empty() || out.path[0] != '/') {
    return base::Fail("core.invalid_argument")
           << "mount point " << out.name << " needs path= with an absolute path";
  }
  return out;
}

absl::StatusOr<Port> Port::FromString(std::string_view text) {
  COAM_ASSIGN_OR_RETURN(KeyValues pairs, ParseKeyValues(text));
  Port out;
  for (const auto& [key, value] : pairs) {
    if (key == "name") {
      COAM_RETURN_IF_ERROR(CheckAcName(value, "port name"));
      out.name = value;
    } else if (key == "protocol") {
      out.protocol = value;
    } else if (key == "port") {
      COAM_RETURN_IF_ERROR(TakeNumber("port", value, 65535, &out.port));
    } else if (key == "count") {
      COAM_RETURN_IF_ERROR(TakeNumber("count", value, 65535, &out.count));
    } else if (key == "socketActivated") {
      COAM_ASSIGN_OR_RETURN(out.socket_activated, ParseBool(value, "socketActivated"));
    } else {
      return UnknownKey("port", key);
    }
  }
  if (out.count == 0) out.count = 1;
  if (out.protocol.empty()) {
    return base::Fail("core.invalid_argument") << "port " << out.name << " needs protocol=";
  }
  if (out.port == 0 || out.port + out.count > 65536) {
    return base::Fail("core.invalid_argument")
           << "port " << out.name << " needs port= in 1..65535, the end of its range too";
  }
  return out;
}

absl::StatusOr<Mount> Mount::FromString(std::string_view text) {
  COAM_ASSIGN_OR_RETURN(KeyValues pairs, ParseKeyValues(text, /*named=*/false));
  Mount out;
  for (const auto& [key, value] : pairs) {
    if (key == "volume") {
      COAM_RETURN_IF_ERROR(CheckAcName(value, "volume name"));
      out.volume = value;
    } else if (key == "target") {
      out.path = value;
    } else {
      return UnknownKey("mount", key);
    }
  }
  if (out.volume.empty() || out.path.empty() || out.path[0] != '/') {
    return base::Fail("core.invalid_argument")
           << "mount \"" << text << "\" is not volume=NAME,target=/absolute/path";
  }
  return out;
}

absl::StatusOr<Volume> Volume::FromString(std::string_view text) {
  COAM_ASSIGN_OR_RETURN(KeyValues pairs, ParseKeyValues(text));
  Volume out;
  std::string kind;
  bool empty_only = false;
  constexpr uint32_t kMaxId = std::numeric_limits<uint32_t>::max() - 1;
  for (const auto& [key, value] : pairs) {
    if (key == "name") {
      COAM_RETURN_IF_ERROR(CheckAcName(value, "volume name"));
      out.name = value;
    } else if (key == "kind") {
      kind = value;
    } else if (key == "source") {
      out.source = value;
    } else if (key == "readOnly") {
      COAM_ASSIGN_OR_RETURN(out.read_only, ParseBool(value, "readOnly"));
    } else if (key == "recursive") {
      COAM_ASSIGN_OR_RETURN(out.recursive, ParseBool(value, "recursive"));
    } else if (key == "mode") {
      out.mode = value;
      empty_only = true;
    } else if (key == "uid") {
      COAM_RETURN_IF_ERROR(TakeNumber("uid", value, kMaxId, &out.uid));
      empty_only = true;
    } else if (key == "gid") {
      COAM_RETURN_IF_ERROR(TakeNumber("gid", value, kMaxId, &out.gid));
      empty_only = true;
    } else {
      return UnknownKey("volume", key);
    }
  }
  if (kind == "host") {
    out.kind = Kind::kHost;
  } else if (kind != "empty") {
    return base::Fail("core.invalid_argument")
           << "volume " << out.name << " needs kind=host or kind=empty";
  }
  if (out.kind == Kind::kHost && empty_only) {
    return base::Fail("core.invalid_argument")
           << "volume " << out.name << ": mode, uid and gid are for kind=empty only";
  }
  if (absl::Status status = CheckVolumeValue(out); !status.ok()) {
    return base::Fail("core.invalid_argument") << base::GetError(status).message;
  }
  return out;
}

std::string Volume::ToString() const {
  std::string out = absl::StrCat(name, ",kind=", kind == Kind::kHost ? "host" : "empty");
  if (!source.empty()) absl::StrAppend(&out, ",source=", source);
  if (read_only) absl::StrAppend(&out, ",readOnly=", *read_only ? "true" : "false");
  if (recursive) absl::StrAppend(&out, ",recursive=", *recursive ? "true" : "false");
  if (kind == Kind::kEmpty) {
    if (mode != "0755") absl::StrAppend(&out, ",mode=", mode);
    if (uid != 0) absl::StrAppend(&out, ",uid=", uid);
    if (gid != 0) absl::StrAppend(&out, ",gid=", gid);
  }
  return out;
}

}  // namespace coaming::aci
