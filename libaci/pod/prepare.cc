// Opening the pods' directory, and preparing a pod: manifest and rendered apps.
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "libaci/pod/pod_rep.h"
#include "libaci/render/render.h"

namespace coaming::aci {

Pods::Pods(std::unique_ptr<Rep> rep) : rep_(std::move(rep)) {}
Pods::~Pods() = default;

absl::StatusOr<std::shared_ptr<Pods>> Pods::Open(const PodsOptions& options) {
  if (geteuid() != 0) {
    return base::Fail("core.permission").Hint("run as root")
           << "cannot run as unprivileged user: pods need root";
  }
  auto rep = std::make_unique<Rep>();
  rep->options = options;
  COAM_ASSIGN_OR_RETURN(rep->root, base::Dir::OpenOrMake(absl::StrCat(options.dir, "/pods"), 0750));
  COAM_ASSIGN_OR_RETURN(rep->store, ImageStore::Open(absl::StrCat(options.dir, "/cas")));
  return std::shared_ptr<Pods>(new Pods(std::move(rep)));
}

absl::StatusOr<std::string> Pods::Prepare(const base::Op& op, const PodRequest& request) {
  COAM_ASSIGN_OR_RETURN(const PodManifest manifest, MakePodManifest(op, *rep_->store, request));
  COAM_ASSIGN_OR_RETURN(PodDir pod, PodDir::Create(rep_->root, NewUuid()));
  COAM_RETURN_IF_ERROR(pod.Move(rep_->root, "prepare"));
  COAM_RETURN_IF_ERROR(pod.dir().MakeDirs("apps", 0755).status());
  for (const RuntimeApp& app : manifest.apps) {
    COAM_RETURN_IF_ERROR(op.Check());
    COAM_RETURN_IF_ERROR(op.Emit({"prepare", "start", app.name, 0, -1, "", app.image.name}));
    COAM_ASSIGN_OR_RETURN(const ImageLock lock, rep_->store->Lock(app.image.id));
    COAM_RETURN_IF_ERROR(rep_->store->Touch(app.image.id));
    COAM_RETURN_IF_ERROR(
        base::Wrap(RenderImage(*rep_->store, app.image.id,
                               absl::StrCat(pod.path(), "/apps/", app.name), {}, op),
                   absl::StrCat("render app ", app.name)));
    COAM_RETURN_IF_ERROR(op.Emit({"prepare", "done", app.name, 0, -1, "", app.image.name}));
  }
  COAM_RETURN_IF_ERROR(
      pod.dir().WriteFile(op, kManifestFile, manifest.ToJson(), {.mode = 0644, .sync = true}));
  COAM_RETURN_IF_ERROR(pod.Move(rep_->root, "prepared"));
  return pod.uuid();
}

}  // namespace coaming::aci
