// Discovery and fetching of coaming/aci.h.
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "capi/src/aci.h"
#include "capi/src/job.h"

namespace aci = coaming::aci;
namespace base = coaming::base;
namespace capi = coaming::capi;

namespace {

constexpr char kFetch[] = "aci.fetch";

// The host's callback as the reviewer of discovered keys.
aci::KeyStoreTrust::Review MakeReview(const coam_aci_client* client) {
  if (client->review == nullptr) return nullptr;
  return [client](const aci::KeyOffer& offer) -> absl::Status {
    auto keyring = capi::Ref<coam_sig_keyring>::Adopt(new coam_sig_keyring(*offer.keys));
    const int32_t answer =
        client->review(client->user, offer.prefix.c_str(), offer.url.c_str(), keyring.get());
    if (answer == 0) return absl::OkStatus();
    return base::Fail("aci.no_key").Detail("callback.code", answer)
           << "the keys at " << offer.url << " were not accepted for " << offer.prefix;
  };
}

// One fetch; `review` is left out in jobs, whose thread never runs host code.
absl::StatusOr<std::string> Fetch(const coam_aci_client& client, aci::ImageStore& store,
                                  const std::string& image, const coam_options* options,
                                  aci::KeyStoreTrust::Review review, const base::Op& op) {
  COAM_ASSIGN_OR_RETURN(const auto opt, capi::OptionReader::For(kFetch, options));
  COAM_ASSIGN_OR_RETURN(const aci::FetchOptions fetch, capi::ReadAciFetch(opt));
  std::unique_ptr<aci::KeyStoreTrust> trust;
  if (client.keystore) {
    trust = std::make_unique<aci::KeyStoreTrust>(client.keystore->store, client.keystore->mutex,
                                                 client.client.get(), fetch.discovery,
                                                 std::move(review));
  }
  aci::Fetcher fetcher(store, client.client->transport(), trust.get());
  COAM_ASSIGN_OR_RETURN(const aci::Fetched fetched, fetcher.Fetch(image, fetch, op));
  return aci::FetchedJson(fetched);
}

}  // namespace

coam_code coam_aci_client_new(const coam_options* options, coam_sig_keystore* keystore,
                              coam_aci_client** ret_client, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_client, "ret_client"));
    COAM_ASSIGN_OR_RETURN(const auto opt, capi::OptionReader::For("aci.client", options));
    COAM_ASSIGN_OR_RETURN(auto client, aci::Client::New(capi::ReadAciClient(opt)));
    *ret_client = new coam_aci_client(std::move(client), keystore);
    return absl::OkStatus();
  });
}

coam_aci_client* coam_aci_client_ref(coam_aci_client* client) { return COAM_BOUNDARY_REF(client); }
void coam_aci_client_free(coam_aci_client* client) { COAM_BOUNDARY_FREE(client); }

void coam_aci_client_set_review(coam_aci_client* client, coam_aci_review_fn fn, void* user,
                                void (*user_free)(void* user)) {
  COAM_BOUNDARY_VALUE(0, {
    if (client == nullptr) return 0;
    if (client->user_free != nullptr) client->user_free(client->user);
    client->review = fn;
    client->user = user;
    client->user_free = user_free;
    return 0;
  });
}

coam_code coam_aci_discover(coam_aci_client* client, coam_context* context, const char* name,
                            const coam_options* options, coam_buf** ret_json,
                            coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(client, "client"));
    COAM_RETURN_IF_ERROR(capi::NotNull(name, "name"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_json, "ret_json"));
    COAM_ASSIGN_OR_RETURN(const auto opt, capi::OptionReader::For("aci.discover", options));
    COAM_ASSIGN_OR_RETURN(const aci::DiscoveryOptions discovery, capi::ReadAciDiscovery(opt));
    COAM_ASSIGN_OR_RETURN(aci::AppName app, aci::AppName::Parse(name));
    if (opt.Bool("host-labels")) app.FillHostLabels();
    const capi::Call call(context, options);
    std::vector<aci::Step> steps;
    std::vector<aci::Endpoint> endpoints;
    std::vector<std::string> keys;
    if (opt.Bool("images")) {
      COAM_ASSIGN_OR_RETURN(endpoints, aci::DiscoverEndpoints(app, client->client->transport(),
                                                              discovery, call.op(), &steps));
    }
    if (opt.Bool("keys")) {
      COAM_ASSIGN_OR_RETURN(
          keys, aci::DiscoverKeys(app, client->client->transport(), discovery, call.op(), &steps));
    }
    *ret_json = new coam_buf(aci::DiscoveryJson(app, endpoints, keys, steps));
    return absl::OkStatus();
  });
}

coam_code coam_aci_download_keys(coam_aci_client* client, coam_context* context, const char* url,
                                 const coam_options* options, coam_buf** ret_keys,
                                 coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(client, "client"));
    COAM_RETURN_IF_ERROR(capi::NotNull(url, "url"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_keys, "ret_keys"));
    COAM_ASSIGN_OR_RETURN(const auto opt, capi::OptionReader::For("aci.discover", options));
    COAM_ASSIGN_OR_RETURN(const aci::DiscoveryOptions discovery, capi::ReadAciDiscovery(opt));
    const capi::Call call(context, options);
    COAM_ASSIGN_OR_RETURN(std::string bytes,
                          client->client->DownloadKeys(url, discovery, call.op()));
    *ret_keys = new coam_buf(std::move(bytes));
    return absl::OkStatus();
  });
}

coam_code coam_aci_fetch(coam_aci_client* client, coam_aci_store* store, coam_context* context,
                         const char* image, const coam_options* options, coam_buf** ret_json,
                         coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(client, "client"));
    COAM_RETURN_IF_ERROR(capi::NotNull(store, "store"));
    COAM_RETURN_IF_ERROR(capi::NotNull(image, "image"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_json, "ret_json"));
    COAM_RETURN_IF_ERROR(capi::OptionReader::For(kFetch, options).status());
    const capi::Call call(context, options);
    COAM_ASSIGN_OR_RETURN(std::string json, Fetch(*client, *store->store, image, options,
                                                  MakeReview(client), call.op()));
    *ret_json = new coam_buf(std::move(json));
    return absl::OkStatus();
  });
}

coam_code coam_aci_fetch_start(coam_aci_client* client, coam_aci_store* store,
                               coam_context* context, const char* image,
                               const coam_options* options, coam_job** ret_job,
                               coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(client, "client"));
    COAM_RETURN_IF_ERROR(capi::NotNull(store, "store"));
    COAM_RETURN_IF_ERROR(capi::NotNull(image, "image"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_job, "ret_job"));
    COAM_RETURN_IF_ERROR(capi::OptionReader::For(kFetch, options).status());
    COAM_ASSIGN_OR_RETURN(
        *ret_job, capi::StartJob(
                      kFetch, context, options,
                      [client = capi::Ref<coam_aci_client>::Share(client),
                       store = capi::Ref<coam_aci_store>::Share(store), image = std::string(image)](
                          const base::Op& op,
                          const coam_options* own) -> absl::StatusOr<capi::Ref<capi::Object>> {
                        COAM_ASSIGN_OR_RETURN(std::string json, Fetch(*client, *store->store, image,
                                                                      own, nullptr, op));
                        return capi::Ref<capi::Object>::Adopt(new coam_buf(std::move(json)));
                      }));
    return absl::OkStatus();
  });
}

coam_code coam_aci_fetch_finish(coam_job* job, coam_buf** ret_json, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(job, "job"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_json, "ret_json"));
    COAM_ASSIGN_OR_RETURN(*ret_json, capi::FinishJob<coam_buf>(job, kFetch));
    return absl::OkStatus();
  });
}
