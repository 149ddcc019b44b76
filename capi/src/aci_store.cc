// The store's functions of coaming/aci.h.
#include <string>
#include <utility>

#include "capi/src/aci.h"
#include "libaci/render/render.h"

namespace aci = coaming::aci;
namespace capi = coaming::capi;

namespace {

std::string TreeDir(const aci::ImageStore& store) { return store.root() + "/tree"; }

absl::Status Check(const coam_aci_store* store, const char* image) {
  COAM_RETURN_IF_ERROR(capi::NotNull(store, "store"));
  return capi::NotNull(image, "image");
}

// Gives a document to the caller.
absl::Status Give(absl::StatusOr<std::string> text, coam_buf** ret) {
  COAM_RETURN_IF_ERROR(text.status());
  *ret = new coam_buf(*std::move(text));
  return absl::OkStatus();
}

}  // namespace

coam_code coam_aci_store_open(const coam_options* options, coam_aci_store** ret_store,
                              coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_store, "ret_store"));
    COAM_ASSIGN_OR_RETURN(const auto opt, capi::OptionReader::For("aci.store", options));
    COAM_ASSIGN_OR_RETURN(auto store, aci::ImageStore::Open(opt.String("dir")));
    *ret_store = new coam_aci_store(std::move(store));
    return absl::OkStatus();
  });
}

coam_aci_store* coam_aci_store_ref(coam_aci_store* store) { return COAM_BOUNDARY_REF(store); }
void coam_aci_store_free(coam_aci_store* store) { COAM_BOUNDARY_FREE(store); }

coam_code coam_aci_store_resolve(coam_aci_store* store, const char* image, coam_buf** ret_id,
                                 coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(Check(store, image));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_id, "ret_id"));
    return Give(store->store->Resolve(image), ret_id);
  });
}

coam_code coam_aci_store_list(coam_aci_store* store, coam_buf** ret_json, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(store, "store"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_json, "ret_json"));
    COAM_ASSIGN_OR_RETURN(const auto records, store->store->List());
    return Give(aci::RecordsJson(records), ret_json);
  });
}

coam_code coam_aci_store_record(coam_aci_store* store, const char* image, coam_buf** ret_json,
                                coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(Check(store, image));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_json, "ret_json"));
    COAM_ASSIGN_OR_RETURN(const std::string id, store->store->Resolve(image));
    COAM_ASSIGN_OR_RETURN(const auto record, store->store->Record(id));
    return Give(aci::RecordJson(record), ret_json);
  });
}

coam_code coam_aci_store_manifest(coam_aci_store* store, const char* image, int32_t pretty,
                                  coam_buf** ret_json, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(Check(store, image));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_json, "ret_json"));
    COAM_ASSIGN_OR_RETURN(const std::string id, store->store->Resolve(image));
    COAM_ASSIGN_OR_RETURN(std::string json, store->store->ManifestJson(id));
    return Give(pretty != 0 ? aci::PrettyJson(json) : std::move(json), ret_json);
  });
}

coam_code coam_aci_store_import(coam_aci_store* store, coam_context* context, const char* path,
                                const coam_options* options, coam_buf** ret_id,
                                coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(store, "store"));
    COAM_RETURN_IF_ERROR(capi::NotNull(path, "path"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_id, "ret_id"));
    COAM_ASSIGN_OR_RETURN(const auto opt, capi::OptionReader::For("aci.import", options));
    const capi::Call call(context, options);
    aci::ImportOptions import;
    import.latest = opt.Bool("latest");
    import.want_id = opt.String("want-id");
    import.strict = opt.Bool("strict");
    import.source = path;
    COAM_ASSIGN_OR_RETURN(const auto record, store->store->ImportFile(path, import, call.op()));
    return Give(record.id, ret_id);
  });
}

coam_code coam_aci_store_remove(coam_aci_store* store, const char* image, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(Check(store, image));
    COAM_ASSIGN_OR_RETURN(const std::string id, store->store->Resolve(image));
    return store->store->Remove(id);
  });
}

coam_code coam_aci_store_gc(coam_aci_store* store, coam_context* context,
                            const coam_options* options, coam_buf** ret_json,
                            coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(store, "store"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_json, "ret_json"));
    COAM_ASSIGN_OR_RETURN(const auto opt, capi::OptionReader::For("aci.gc", options));
    const capi::Call call(context, options);
    const bool dry_run = opt.Bool("dry-run");
    COAM_ASSIGN_OR_RETURN(
        std::vector<std::string> gone,
        store->store->RemoveUnused(opt.Int("grace-period") / 1000, dry_run, call.op()));
    COAM_ASSIGN_OR_RETURN(auto trees, aci::TreeStore::Open(TreeDir(*store->store), *store->store));
    COAM_ASSIGN_OR_RETURN(std::vector<std::string> old,
                          trees->RemoveUnused(opt.List("keep-tree"), dry_run, call.op()));
    gone.insert(gone.end(), old.begin(), old.end());
    return Give(aci::StringsJson(gone), ret_json);
  });
}

coam_code coam_aci_store_export(coam_aci_store* store, coam_context* context, const char* image,
                                const char* path, const coam_options* options,
                                coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(Check(store, image));
    COAM_RETURN_IF_ERROR(capi::NotNull(path, "path"));
    COAM_ASSIGN_OR_RETURN(const auto opt, capi::OptionReader::For("aci.export", options));
    const capi::Call call(context, options);
    COAM_ASSIGN_OR_RETURN(const std::string id, store->store->Resolve(image));
    return store->store->Export(id, path, opt.Bool("overwrite"), call.op());
  });
}

coam_code coam_aci_store_verify(coam_aci_store* store, coam_context* context, const char* image,
                                const coam_options* options, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(Check(store, image));
    COAM_RETURN_IF_ERROR(capi::OptionReader::For("aci.verify", options).status());
    const capi::Call call(context, options);
    COAM_ASSIGN_OR_RETURN(const std::string id, store->store->Resolve(image));
    COAM_RETURN_IF_ERROR(store->store->Verify(id, call.op()));
    COAM_ASSIGN_OR_RETURN(auto trees, aci::TreeStore::Open(TreeDir(*store->store), *store->store));
    COAM_ASSIGN_OR_RETURN(const auto records, trees->List());
    for (const aci::TreeStore::Record& record : records) {
      if (record.image_id != id || !record.complete) continue;
      COAM_RETURN_IF_ERROR(trees->Verify(record.id, call.op()));
    }
    return absl::OkStatus();
  });
}

coam_code coam_aci_store_render(coam_aci_store* store, coam_context* context, const char* image,
                                const char* path, const coam_options* options,
                                coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(Check(store, image));
    COAM_RETURN_IF_ERROR(capi::NotNull(path, "path"));
    COAM_ASSIGN_OR_RETURN(const auto opt, capi::OptionReader::For("aci.render", options));
    const capi::Call call(context, options);
    COAM_ASSIGN_OR_RETURN(const std::string id, store->store->Resolve(image));
    aci::RenderOptions render;
    render.overwrite = opt.Bool("overwrite");
    render.rootfs_only = opt.Bool("rootfs-only");
    render.with_dependencies = opt.Bool("dependencies");
    render.keep_owner = opt.Bool("keep-owner");
    return aci::RenderImage(*store->store, id, path, render, call.op());
  });
}

coam_code coam_aci_store_tree(coam_aci_store* store, coam_context* context, const char* image,
                              const coam_options* options, coam_aci_tree** ret_tree,
                              coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(Check(store, image));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_tree, "ret_tree"));
    COAM_RETURN_IF_ERROR(capi::OptionReader::For("aci.tree", options).status());
    const capi::Call call(context, options);
    COAM_ASSIGN_OR_RETURN(const std::string id, store->store->Resolve(image));
    COAM_ASSIGN_OR_RETURN(auto trees, aci::TreeStore::Open(TreeDir(*store->store), *store->store));
    COAM_ASSIGN_OR_RETURN(auto tree, trees->Get(id, call.op()));
    *ret_tree = new coam_aci_tree(capi::Ref<coam_aci_store>::Share(store), std::move(tree));
    return absl::OkStatus();
  });
}

coam_aci_tree* coam_aci_tree_ref(coam_aci_tree* tree) { return COAM_BOUNDARY_REF(tree); }
void coam_aci_tree_free(coam_aci_tree* tree) { COAM_BOUNDARY_FREE(tree); }

coam_str coam_aci_tree_id(const coam_aci_tree* tree) {
  return COAM_BOUNDARY_VALUE((coam_str{"", 0}), {
    return tree == nullptr ? coam_str{"", 0} : capi::View(tree->tree.id);
  });
}

coam_str coam_aci_tree_root(const coam_aci_tree* tree) {
  return COAM_BOUNDARY_VALUE((coam_str{"", 0}), {
    return tree == nullptr ? coam_str{"", 0} : capi::View(tree->tree.rootfs);
  });
}
