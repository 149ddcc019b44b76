#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "liboci/reference/reference.h"
#include "liboci/spec/image/image_spec.h"
#include "liboci/store/layout_rep.h"

namespace coaming::oci {
namespace {

constexpr std::string_view kLayoutFile = R"({"imageLayoutVersion":"1.0.0"})";

}  // namespace

absl::StatusOr<Index> Layout::Rep::ReadIndex(const base::Op& op) const {
  Index empty;
  empty.media_type = media::kIndex;
  absl::StatusOr<const base::Dir*> open = Directory();
  if (!open.ok()) return create ? absl::StatusOr<Index>(empty) : open.status();
  absl::StatusOr<std::string> text =
      (*open)->ReadFile("index.json", op.limits().manifest_bytes, "manifest_bytes");
  if (!text.ok()) {
    if (!base::HasReason(text.status(), "core.not_found")) return text.status();
    if (create) return empty;
    return base::Fail("oci.layout") << path << " is not an image layout: it has no index.json";
  }
  absl::StatusOr<Index> index = ParseIndex(*text, "", op.limits());
  if (!index.ok()) return base::Wrap(index.status(), absl::StrCat(path, "/index.json"));
  return index;
}

absl::Status Layout::Rep::WriteIndexFile(const base::Op& op, const Index& index) {
  COAM_ASSIGN_OR_RETURN(const base::Dir* open, Writable(op));
  COAM_ASSIGN_OR_RETURN(bool marked, open->Exists("oci-layout"));
  if (!marked) {
    COAM_RETURN_IF_ERROR(open->WriteFile(op, "oci-layout", kLayoutFile, {.sync = true}));
  }
  return open->WriteFile(op, "index.json", WriteIndex(index), {.mode = 0644, .sync = true});
}

absl::StatusOr<std::vector<Descriptor>> Layout::List(const base::Op& op) const {
  COAM_ASSIGN_OR_RETURN(Index index, rep_->ReadIndex(op));
  return std::move(index.manifests);
}

absl::StatusOr<Descriptor> Layout::Find(const base::Op& op, std::string_view name) const {
  COAM_ASSIGN_OR_RETURN(std::vector<Descriptor> all, List(op));
  if (name.empty()) {
    if (all.size() == 1) return all[0];
    if (all.empty()) return base::Fail("oci.not_found") << rep_->path << " holds no image";
    return base::Fail("oci.ambiguous")
           << rep_->path << " holds " << all.size() << " images, and no name was given";
  }
  for (const Descriptor& d : all) {
    if (d.RefName() == name) return d;
  }
  std::string_view digest = name;
  if (digest.starts_with('@')) digest.remove_prefix(1);
  for (const Descriptor& d : all) {
    if (d.digest.str() == digest) return d;
  }
  std::string names;
  for (size_t i = 0; i < all.size() && i < 8; ++i) {
    std::string_view have = all[i].RefName();
    if (!have.empty()) absl::StrAppend(&names, names.empty() ? "" : ", ", have.substr(0, 100));
  }
  return base::Fail("oci.not_found") << "no image called " << name << " in " << rep_->path
                                     << (names.empty() ? std::string(", which has no names")
                                                       : absl::StrCat("; it has ", names));
}

absl::Status Layout::SetName(const base::Op& op, std::string_view name, Descriptor descriptor) {
  if (!name.empty() && !IsRefName(name)) {
    return base::Fail("oci.reference")
           << "\"" << name.substr(0, 200) << "\" cannot be a name in an image layout";
  }
  COAM_ASSIGN_OR_RETURN(const base::Dir* dir, rep_->Writable(op));
  COAM_ASSIGN_OR_RETURN(base::FileLock lock,
                        base::FileLock::Acquire(op, *dir, kNameLock, base::LockMode::kExclusive));
  COAM_ASSIGN_OR_RETURN(Index index, rep_->ReadIndex(op));
  auto& list = index.manifests;
  list.erase(std::remove_if(list.begin(), list.end(),
                            [&](const Descriptor& d) {
                              if (!name.empty() && d.RefName() == name) return true;
                              return d.digest == descriptor.digest && d.RefName().empty();
                            }),
             list.end());
  if (!name.empty()) SetPair(&descriptor.annotations, kRefNameAnnotation, name);
  list.push_back(std::move(descriptor));
  return rep_->WriteIndexFile(op, index);
}

absl::Status Layout::RemoveName(const base::Op& op, std::string_view name) {
  COAM_RETURN_IF_ERROR(rep_->Directory().status());
  COAM_ASSIGN_OR_RETURN(const base::Dir* dir, rep_->Writable(op));
  COAM_ASSIGN_OR_RETURN(base::FileLock lock,
                        base::FileLock::Acquire(op, *dir, kNameLock, base::LockMode::kExclusive));
  COAM_ASSIGN_OR_RETURN(Descriptor found, Find(op, name));
  COAM_ASSIGN_OR_RETURN(Index index, rep_->ReadIndex(op));
  auto& list = index.manifests;
  list.erase(std::remove_if(list.begin(), list.end(),
                            [&](const Descriptor& d) {
                              return d.digest == found.digest && d.RefName() == found.RefName();
                            }),
             list.end());
  return rep_->WriteIndexFile(op, index);
}

}  // namespace coaming::oci
