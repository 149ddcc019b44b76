#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "libaci/discovery/app_name.h"
#include "libaci/render/render.h"

namespace coaming::aci {
namespace {

// "/a//b/./c/" becomes "a/b/c". Manifests with ".." do not get here: they do not validate.
std::string CleanListed(std::string_view path) {
  std::string out;
  for (std::string_view part : absl::StrSplit(path, '/')) {
    if (part.empty() || part == ".") continue;
    absl::StrAppend(&out, out.empty() ? "" : "/", part);
  }
  return out;
}

class Planner {
 public:
  Planner(const ImageSource& source, const base::Op& op) : source_(source), op_(op) {}

  absl::Status Visit(const std::string& id, int depth,
                     std::vector<std::vector<std::string>> whitelists) {
    COAM_RETURN_IF_ERROR(op_.Check());
    if (std::find(stack_.begin(), stack_.end(), id) != stack_.end()) {
      return base::Fail("aci.dependency_cycle")
             << "image " << id.substr(0, 23) << " depends on itself by way of "
             << stack_.back().substr(0, 23);
    }
    if (depth > op_.limits().dependency_depth) {
      return base::FailLimit("dependency_depth", op_.limits().dependency_depth)
             << ": dependencies of image " << stack_.front().substr(0, 23);
    }
    COAM_ASSIGN_OR_RETURN(ImageManifest manifest, source_.GetManifest(id));
    if (!manifest.path_whitelist.empty()) {
      std::vector<std::string> list;
      for (const std::string& path : manifest.path_whitelist) list.push_back(CleanListed(path));
      std::sort(list.begin(), list.end());
      whitelists.push_back(std::move(list));
    }
    stack_.push_back(id);
    for (const Dependency& dependency : manifest.dependencies) {
      COAM_ASSIGN_OR_RETURN(std::string below, source_.FindDependency(dependency));
      COAM_RETURN_IF_ERROR(Visit(below, depth + 1, whitelists));
    }
    stack_.pop_back();
    if (static_cast<int64_t>(steps.size()) > op_.limits().dependencies) {
      return base::FailLimit("dependencies", op_.limits().dependencies)
             << ": images to put together";
    }
    RenderStep step;
    step.id = id;
    step.depth = depth;
    step.whitelists = std::move(whitelists);
    steps.push_back(std::move(step));
    return absl::OkStatus();
  }

  std::vector<RenderStep> steps;

 private:
  const ImageSource& source_;
  const base::Op& op_;
  std::vector<std::string> stack_;
};

}  // namespace

absl::StatusOr<std::vector<RenderStep>> PlanRender(std::string_view id, const ImageSource& source,
                                                   const base::Op& op) {
  Planner planner(source, op);
  COAM_RETURN_IF_ERROR(planner.Visit(std::string(id), 0, {}));
  return std::move(planner.steps);
}

absl::StatusOr<ImageManifest> StoreSource::GetManifest(std::string_view id) const {
  return store_.Manifest(id);
}

absl::StatusOr<std::string> StoreSource::FindDependency(const Dependency& dependency) const {
  AppName app;
  app.name = dependency.image_name;
  app.labels = dependency.labels;
  if (dependency.image_id.empty()) {
    absl::StatusOr<std::string> id = store_.ResolveName(app.name, app.labels);
    if (!id.ok()) return base::Wrap(id.status(), absl::StrCat("dependency ", app.ToString()));
    return id;
  }
  absl::StatusOr<ImageRecord> record = store_.Record(dependency.image_id);
  if (!record.ok()) return base::Wrap(record.status(), absl::StrCat("dependency ", app.ToString()));
  if (record->name != app.name || !LabelsMatch(app.labels, record->labels)) {
    return base::Fail("aci.name_mismatch")
           << "dependency " << app.ToString() << " names image " << record->id.substr(0, 23)
           << ", which is " << record->name;
  }
  return record->id;
}

}  // namespace coaming::aci
