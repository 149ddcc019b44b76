// Handles and option readers of coaming/aci.h.
#ifndef COAMING_CAPI_SRC_ACI_H_
#define COAMING_CAPI_SRC_ACI_H_

#include <coaming/aci.h>

#include <memory>
#include <string>
#include <utility>

#include "capi/src/boundary.h"
#include "capi/src/call.h"
#include "capi/src/options.h"
#include "capi/src/sig.h"
#include "libaci/client/client.h"
#include "libaci/image/build.h"
#include "libaci/render/tree_store.h"
#include "libaci/schema/edit.h"
#include "libaci/store/store.h"

struct coam_aci_store : coaming::capi::Object {
  explicit coam_aci_store(std::unique_ptr<coaming::aci::ImageStore> s) : store(std::move(s)) {}
  const std::unique_ptr<coaming::aci::ImageStore> store;
};

struct coam_aci_tree : coaming::capi::Object {
  coam_aci_tree(coaming::capi::Ref<coam_aci_store> s, coaming::aci::TreeStore::Tree t)
      : store(std::move(s)), tree(std::move(t)) {}
  const coaming::capi::Ref<coam_aci_store> store;
  const coaming::aci::TreeStore::Tree tree;
};

struct coam_aci_client : coaming::capi::Object {
  coam_aci_client(std::unique_ptr<coaming::aci::Client> c, coam_sig_keystore* k)
      : client(std::move(c)), keystore(coaming::capi::Ref<coam_sig_keystore>::Share(k)) {}
  ~coam_aci_client() override {
    if (user_free != nullptr) user_free(user);
  }
  const std::unique_ptr<coaming::aci::Client> client;
  const coaming::capi::Ref<coam_sig_keystore> keystore;  // may be null
  coam_aci_review_fn review = nullptr;
  void* user = nullptr;
  void (*user_free)(void*) = nullptr;
};

struct coam_aci_builder : coaming::capi::Object {
  explicit coam_aci_builder(std::unique_ptr<coaming::aci::BuildContext> c)
      : context(std::move(c)) {}
  std::unique_ptr<coaming::aci::BuildContext> context;  // null once ended
};

namespace coaming::capi {

aci::ClientOptions ReadAciClient(const OptionReader& opt);
// The family's keys allow-http, insecure-tls, port, simple and header.
absl::StatusOr<aci::DiscoveryOptions> ReadAciDiscovery(const OptionReader& opt);
absl::StatusOr<aci::FetchOptions> ReadAciFetch(const OptionReader& opt);
absl::StatusOr<aci::BuildOptions> ReadAciBuild(const OptionReader& opt);
absl::StatusOr<aci::ManifestEdit> ReadAciEdit(const OptionReader& opt);

}  // namespace coaming::capi

#endif  // COAMING_CAPI_SRC_ACI_H_
