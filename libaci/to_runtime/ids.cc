// Users and groups of an app, by the image's own databases.
#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "libaci/to_runtime/to_runtime.h"

namespace coaming::aci {
namespace {

constexpr std::string_view kConverted = "appc.io/docker/";

struct Entry {
  std::string name, home, shell;
  uint32_t id = 0, gid = 0;
};

// Rows of passwd (seven fields) or group (four); malformed ones are skipped, as libc does.
std::vector<Entry> ReadDatabase(const RootView& root, std::string_view path, bool users) {
  std::vector<Entry> out;
  const absl::StatusOr<std::string> text = root.ReadFile(path);
  if (!text.ok()) return out;
  for (const std::string_view line : absl::StrSplit(*text, '\n')) {
    const std::vector<std::string_view> fields = absl::StrSplit(line, ':');
    Entry entry;
    if (fields.size() < 3 || fields[0].empty() || !absl::SimpleAtoi(fields[2], &entry.id)) continue;
    entry.name = fields[0];
    if (users) {
      if (fields.size() < 7 || !absl::SimpleAtoi(fields[3], &entry.gid)) continue;
      entry.home = fields[5];
      entry.shell = fields[6];
    }
    out.push_back(std::move(entry));
  }
  return out;
}

const Entry* FindEntry(const std::vector<Entry>& entries, std::string_view name) {
  const auto it =
      std::find_if(entries.begin(), entries.end(), [&](const Entry& e) { return e.name == name; });
  return it != entries.end() ? &*it : nullptr;
}

bool AllDigits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isdigit(static_cast<unsigned char>(c));
  });
}

bool IsConverted(const ImageManifest* image) {
  return image != nullptr &&
         std::any_of(image->annotations.begin(), image->annotations.end(),
                     [](const NameValue& a) { return a.name.rfind(kConverted, 0) == 0; });
}

absl::StatusOr<uint32_t> ReadNumber(std::string_view text, std::string_view what) {
  uint32_t id = 0;
  if (absl::SimpleAtoi(text, &id)) return id;
  return base::Fail("aci.user_unknown") << what << " " << text << " is too large a number";
}

}  // namespace

absl::StatusOr<Ids> ResolveIds(const App& app, const ImageManifest* image, const RootView& root) {
  const std::vector<Entry> users = ReadDatabase(root, "etc/passwd", /*users=*/true);
  const std::vector<Entry> groups = ReadDatabase(root, "etc/group", /*users=*/false);
  Ids out;
  out.extra = app.supplementary_gids;
  if (const Entry* user = FindEntry(users, app.user)) {
    out.uid = user->id;
  } else if (AllDigits(app.user)) {
    COAM_ASSIGN_OR_RETURN(out.uid, ReadNumber(app.user, "user"));
  } else if (!app.user.empty() && app.user[0] == '/') {
    COAM_ASSIGN_OR_RETURN(const auto owner, root.Owner(app.user));
    out.uid = owner.first;
  } else {
    return base::Fail("aci.user_unknown") << "user '" << app.user << "' is not in the image";
  }
  if (const Entry* group = FindEntry(groups, app.group)) {
    out.gid = group->id;
  } else if (AllDigits(app.group)) {
    COAM_ASSIGN_OR_RETURN(out.gid, ReadNumber(app.group, "group"));
  } else if (!app.group.empty() && app.group[0] == '/') {
    COAM_ASSIGN_OR_RETURN(const auto owner, root.Owner(app.group));
    out.gid = owner.second;
  } else if (IsConverted(image) && app.group == app.user) {
    out.gid = out.uid;  // docker2aci writes the user's name for a group that was not set
  } else {
    return base::Fail("aci.user_unknown") << "group '" << app.group << "' is not in the image";
  }
  for (const Entry& user : users) {
    if (user.id != out.uid) continue;
    out.user_name = user.name;
    out.home = user.home;
    out.shell = user.shell;
    break;
  }
  return out;
}

}  // namespace coaming::aci
