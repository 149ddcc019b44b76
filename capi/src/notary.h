// The handle of coaming/notary.h.
#ifndef COAMING_CAPI_SRC_NOTARY_H_
#define COAMING_CAPI_SRC_NOTARY_H_

#include <coaming/notary.h>

#include <initializer_list>
#include <memory>
#include <string>
#include <utility>

#include "capi/src/boundary.h"
#include "capi/src/call.h"
#include "capi/src/options.h"
#include "libtrust/client/notary_client.h"

struct coam_notary : coaming::capi::Object {
  coam_notary(coaming::capi::Ref<coam_context> c, std::unique_ptr<coaming::trust::NotaryClient> n)
      : context(std::move(c)), client(std::move(n)) {}
  ~coam_notary() override {
    if (user_free != nullptr) user_free(user);
  }
  coaming::capi::Ref<coam_context> context;
  coaming::capi::BusyFlag busy;
  std::unique_ptr<coaming::trust::NotaryClient> client;
  coam_notary_passphrase_fn ask = nullptr;
  void* user = nullptr;
  void (*user_free)(void*) = nullptr;
};

namespace coaming::capi {

// WithNotary runs body(client, op) unless the object is in use or one of `texts` is null.
template <typename Body>
absl::Status WithNotary(coam_notary* notary, std::initializer_list<const char*> texts,
                        const coam_options* options, Body body) {
  COAM_RETURN_IF_ERROR(NotNull(notary, "notary"));
  for (const char* text : texts) COAM_RETURN_IF_ERROR(NotNull(text, "text"));
  const Call call(notary->context.get(), options);
  if (!notary->busy.Enter())
    return base::Fail("core.reentered") << "a call on this trust directory is under way";
  const absl::Status s = body(*notary->client, call.op());
  notary->busy.Leave();
  return s;
}

}  // namespace coaming::capi

#endif  // COAMING_CAPI_SRC_NOTARY_H_
