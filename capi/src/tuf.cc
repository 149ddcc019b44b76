// The client of coaming/tuf.h and its option families.
#include <coaming/tuf.h>

#include <memory>
#include <mutex>
#include <string>

#include "capi/src/boundary.h"
#include "capi/src/call.h"
#include "capi/src/job.h"
#include "capi/src/modules.h"
#include "capi/src/options.h"
#include "libtrust/client/tuf_client.h"
#include "libtrust/tuf/report.h"

namespace base = coaming::base;
namespace capi = coaming::capi;
namespace trust = coaming::trust;
namespace tuf = coaming::trust::tuf;

namespace coaming::capi {
namespace {

constexpr OptionRow kClientRows[] = {
    {"metadata-url", OptionType::kString, "", "1.0", "where the repository's metadata are"},
    {"targets-url", OptionType::kString, "", "1.0", "where the targets are"},
    {"prefix-targets", OptionType::kBool, "true", "1.0",
     "in repositories with consistent snapshots targets are named by their hash"},
    {"max-root-updates", OptionType::kInt, "256", "1.0", "most new root versions in one refresh"},
    {"max-delegations", OptionType::kInt, "32", "1.0", "most roles visited for one target"},
    {"root-bytes", OptionType::kSize, "512000", "1.0", "largest root metadata"},
    {"timestamp-bytes", OptionType::kSize, "16384", "1.0", "largest timestamp metadata"},
    {"snapshot-bytes", OptionType::kSize, "2000000", "1.0",
     "largest snapshot metadata if the timestamp gives no length"},
    {"targets-bytes", OptionType::kSize, "5000000", "1.0",
     "largest targets metadata if the snapshot gives no length"},
    {"allow-http", OptionType::kBool, "false", "1.0", "fetch over plain http too"},
    {"ca-file", OptionType::kPath, "", "1.0", "further CA certificates, as PEM"},
    {"tls-verify", OptionType::kBool, "true", "1.0", "check certificates"},
    {"resolve", OptionType::kList, "", "1.0",
     "HOST:PORT:ADDRESS to connect to instead of asking DNS"},
    {"http-proxy", OptionType::kString, "", "1.0", "proxy for http"},
    {"https-proxy", OptionType::kString, "", "1.0", "proxy for https"},
    {"no-proxy", OptionType::kString, "", "1.0",
     "hosts, domains and networks without a proxy, by commas"},
};

constexpr OptionRow kDownloadRows[] = {
    {"as", OptionType::kString, "", "1.0", "name of the file in the directory"},
};

constexpr OptionRow kInitRows[] = {
    {"root-key", OptionType::kList, "", "1.0", "public key of root, as PEM text"},
    {"targets-key", OptionType::kList, "", "1.0", "public key of targets, as PEM text"},
    {"snapshot-key", OptionType::kList, "", "1.0", "public key of snapshot, as PEM text"},
    {"timestamp-key", OptionType::kList, "", "1.0", "public key of timestamp, as PEM text"},
    {"threshold", OptionType::kMap, "", "1.0", "ROLE=NUMBER of signatures wanted; 1 if not given"},
    {"root-days", OptionType::kInt, "365", "1.0", "life of root in days"},
    {"targets-days", OptionType::kInt, "90", "1.0", "life of targets in days"},
    {"snapshot-days", OptionType::kInt, "7", "1.0", "life of snapshot in days"},
    {"timestamp-days", OptionType::kInt, "1", "1.0", "life of timestamp in days"},
    {"consistent-snapshot", OptionType::kBool, "true", "1.0", "keep every version of each file"},
    {"time", OptionType::kInt, "0", "1.0", "now, in seconds since 1970; 0: the clock's"},
};

constexpr OptionRow kDelegateRows[] = {
    {"key", OptionType::kList, "", "1.0", "public key of the delegated role, as PEM text"},
    {"path", OptionType::kList, "", "1.0", "pattern of target paths, like team/*"},
    {"hash-prefix", OptionType::kList, "", "1.0", "prefix of the SHA-256 of target paths, in hex"},
    {"bits", OptionType::kInt, "0", "1.0", "delegate to 2^BITS hashed bins instead"},
    {"threshold", OptionType::kInt, "1", "1.0", "signatures wanted"},
    {"terminating", OptionType::kBool, "false", "1.0", "no other role is asked for these paths"},
    {"days", OptionType::kInt, "90", "1.0", "life of the delegated role in days"},
    {"time", OptionType::kInt, "0", "1.0", "now, in seconds since 1970; 0: the clock's"},
};

constexpr OptionFamily kFamilies[] = {
    {"tuf.client", "a TUF repository and its limits", kClientRows},
    {"tuf.run", "refreshing and searching", {}},
    {"tuf.download", "downloading a target", kDownloadRows},
    {"tuf.init", "the keys and lives of a new repository", kInitRows},
    {"tuf.delegate", "a delegation", kDelegateRows},
};

constexpr const char* kFeatures[] = {"tuf.client", "tuf.repository"};

}  // namespace

Module TufModule() { return {"tuf", kFamilies, kFeatures}; }

}  // namespace coaming::capi

struct coam_tuf_client : capi::Object {
  coam_tuf_client(capi::Ref<coam_context> c, std::unique_ptr<trust::TufClient> t)
      : context(std::move(c)), client(std::move(t)) {}
  capi::Ref<coam_context> context;
  std::mutex mutex;  // guards client
  std::unique_ptr<trust::TufClient> client;
};

namespace {

absl::StatusOr<trust::TufClientOptions> ReadClient(const capi::OptionReader& opt,
                                                   const char* metadata_dir) {
  trust::TufClientOptions out;
  out.metadata_dir = metadata_dir;
  out.updater.metadata_url = opt.String("metadata-url");
  out.updater.targets_url = opt.String("targets-url");
  out.updater.prefix_targets_with_hash = opt.Bool("prefix-targets");
  int64_t roots = opt.Int("max-root-updates"), delegations = opt.Int("max-delegations");
  if (roots < 1 || roots > 100000 || delegations < 1 || delegations > 100000)
    return base::Fail("core.invalid_argument") << "max-root-updates or max-delegations is out of "
                                                  "range";
  out.updater.max_root_updates = static_cast<int>(roots);
  out.updater.max_delegations = static_cast<int>(delegations);
  out.updater.root_bytes = opt.Int("root-bytes");
  out.updater.timestamp_bytes = opt.Int("timestamp-bytes");
  out.updater.snapshot_bytes = opt.Int("snapshot-bytes");
  out.updater.targets_bytes = opt.Int("targets-bytes");
  out.allow_http = opt.Bool("allow-http");
  if (out.updater.metadata_url.empty())
    return base::Fail("core.invalid_argument") << "the option metadata-url is missing";
  return out;
}

absl::StatusOr<std::string> Download(coam_tuf_client* client, const std::string& path,
                                     const std::string& directory, const std::string& as,
                                     const base::Op& op) {
  const std::lock_guard<std::mutex> lock(client->mutex);
  COAM_ASSIGN_OR_RETURN(auto got, client->client->Download(path, directory, op, as));
  return got.path;
}

}  // namespace

coam_code coam_tuf_client_open(coam_context* context, const char* metadata_dir, const void* root,
                               size_t root_size, const coam_options* options,
                               coam_tuf_client** ret_client, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(context, "context"));
    COAM_RETURN_IF_ERROR(capi::NotNull(metadata_dir, "metadata_dir"));
    COAM_RETURN_IF_ERROR(capi::NotNull(root, "root"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_client, "ret_client"));
    COAM_ASSIGN_OR_RETURN(auto opt, capi::OptionReader::For("tuf.client", options));
    COAM_ASSIGN_OR_RETURN(auto settings, ReadClient(opt, metadata_dir));
    trust::WebOptions web;
    web.ca_file = opt.String("ca-file");
    web.tls_verify = opt.Bool("tls-verify");
    web.resolve = opt.List("resolve");
    web.http_proxy = opt.String("http-proxy");
    web.https_proxy = opt.String("https-proxy");
    web.no_proxy = opt.String("no-proxy");
    COAM_ASSIGN_OR_RETURN(
        auto client, trust::TufClient::Open(
                         web, settings, std::string(static_cast<const char*>(root), root_size)));
    *ret_client = new coam_tuf_client(capi::Ref<coam_context>::Share(context), std::move(client));
    return absl::OkStatus();
  });
}

coam_tuf_client* coam_tuf_client_ref(coam_tuf_client* client) { return COAM_BOUNDARY_REF(client); }
void coam_tuf_client_free(coam_tuf_client* client) { COAM_BOUNDARY_FREE(client); }

coam_code coam_tuf_refresh(coam_tuf_client* client, const coam_options* options,
                           coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(client, "client"));
    COAM_ASSIGN_OR_RETURN(auto opt, capi::OptionReader::For("tuf.run", options));
    capi::Call call(client->context.get(), opt.options());
    const std::lock_guard<std::mutex> lock(client->mutex);
    return client->client->Refresh(call.op());
  });
}

coam_code coam_tuf_find(coam_tuf_client* client, const char* path, const coam_options* options,
                        coam_buf** ret_json, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(client, "client"));
    COAM_RETURN_IF_ERROR(capi::NotNull(path, "path"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_json, "ret_json"));
    COAM_ASSIGN_OR_RETURN(auto opt, capi::OptionReader::For("tuf.run", options));
    capi::Call call(client->context.get(), opt.options());
    const std::lock_guard<std::mutex> lock(client->mutex);
    COAM_ASSIGN_OR_RETURN(tuf::TargetFile target, client->client->Find(path, call.op()));
    *ret_json = new coam_buf(tuf::TargetToJson(target));
    return absl::OkStatus();
  });
}

coam_code coam_tuf_download(coam_tuf_client* client, const char* path, const char* directory,
                            const coam_options* options, coam_buf** ret_path,
                            coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(client, "client"));
    COAM_RETURN_IF_ERROR(capi::NotNull(path, "path"));
    COAM_RETURN_IF_ERROR(capi::NotNull(directory, "directory"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_path, "ret_path"));
    COAM_ASSIGN_OR_RETURN(auto opt, capi::OptionReader::For("tuf.download", options));
    capi::Call call(client->context.get(), opt.options());
    COAM_ASSIGN_OR_RETURN(std::string got,
                          Download(client, path, directory, opt.String("as"), call.op()));
    *ret_path = new coam_buf(std::move(got));
    return absl::OkStatus();
  });
}

coam_code coam_tuf_download_start(coam_tuf_client* client, const char* path, const char* directory,
                                  const coam_options* options, coam_job** ret_job,
                                  coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(client, "client"));
    COAM_RETURN_IF_ERROR(capi::NotNull(path, "path"));
    COAM_RETURN_IF_ERROR(capi::NotNull(directory, "directory"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_job, "ret_job"));
    COAM_ASSIGN_OR_RETURN(auto opt, capi::OptionReader::For("tuf.download", options));
    COAM_ASSIGN_OR_RETURN(
        *ret_job, capi::StartJob(
                      "tuf.download", client->context.get(), options,
                      [client = capi::Ref<coam_tuf_client>::Share(client), path = std::string(path),
                       directory = std::string(directory), as = opt.String("as")](
                          const base::Op& op,
                          const coam_options*) -> absl::StatusOr<capi::Ref<capi::Object>> {
                        COAM_ASSIGN_OR_RETURN(std::string got,
                                              Download(client.get(), path, directory, as, op));
                        return capi::Ref<capi::Object>::Adopt(new coam_buf(std::move(got)));
                      }));
    return absl::OkStatus();
  });
}

coam_code coam_tuf_download_finish(coam_job* job, coam_buf** ret_path, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(job, "job"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_path, "ret_path"));
    COAM_ASSIGN_OR_RETURN(*ret_path, capi::FinishJob<coam_buf>(job, "tuf.download"));
    return absl::OkStatus();
  });
}

coam_code coam_tuf_state(coam_tuf_client* client, coam_buf** ret_json, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(client, "client"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_json, "ret_json"));
    const std::lock_guard<std::mutex> lock(client->mutex);
    *ret_json = new coam_buf(tuf::StateToJson(client->client->trusted()));
    return absl::OkStatus();
  });
}
