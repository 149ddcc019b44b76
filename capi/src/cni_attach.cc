// Operations and attachments of coaming/cni.h.
#include <memory>

#include "absl/strings/numbers.h"
#include "capi/src/call.h"
#include "capi/src/cni.h"
#include "capi/src/job.h"
#include "capi/src/options.h"
#include "libcni/conf/name_hash.h"

namespace base = coaming::base;
namespace capi = coaming::capi;
namespace cni = coaming::cni;

namespace {

constexpr coam_str kEmpty{"", 0};

// Reads "[HOSTIP:]HOSTPORT:PORT[/PROTOCOL]"; an IPv6 address is in brackets.
absl::StatusOr<cni::PortMapping> ReadPort(std::string_view text) {
  cni::PortMapping out;
  std::string_view rest = text;
  if (size_t slash = rest.rfind('/'); slash != rest.npos) {
    out.protocol = rest.substr(slash + 1);
    rest = rest.substr(0, slash);
  }
  size_t last = rest.rfind(':');
  bool good = last != rest.npos && absl::SimpleAtoi(rest.substr(last + 1), &out.container_port);
  if (good) {
    rest = rest.substr(0, last);
    size_t before = rest.rfind(':');
    std::string_view host = before == rest.npos ? std::string_view() : rest.substr(0, before);
    good = absl::SimpleAtoi(before == rest.npos ? rest : rest.substr(before + 1), &out.host_port);
    if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
      host = host.substr(1, host.size() - 2);
    }
    good = good && (before == rest.npos || cni::ParseIp(host).has_value());
    out.host_ip = host;
  }
  good = good && out.host_port > 0 && out.host_port < 65536 && out.container_port > 0 &&
         out.container_port < 65536 &&
         (out.protocol == "tcp" || out.protocol == "udp" || out.protocol == "sctp");
  if (good) return out;
  return base::Fail("core.invalid_argument")
         << "port \"" << text << "\" is not of the form [HOSTIP:]HOSTPORT:PORT[/tcp|udp|sctp]";
}

absl::StatusOr<cni::Runtime> ReadRuntime(const char* container_id, const char* netns,
                                         const coam_options* options) {
  COAM_ASSIGN_OR_RETURN(auto opt, capi::OptionReader::For("cni.attach", options));
  cni::Runtime out;
  out.container_id = container_id;
  out.netns = netns != nullptr ? netns : "";
  out.ifname = opt.String("ifname");
  out.args = opt.Map("arg");
  if (auto all = opt.MaybeString("capabilities")) {
    COAM_RETURN_IF_ERROR(out.capabilities.Merge(*all));
  }
  if (opt.Has("port")) {
    std::vector<cni::PortMapping> ports;
    for (const std::string& text : opt.List("port")) {
      COAM_ASSIGN_OR_RETURN(cni::PortMapping port, ReadPort(text));
      ports.push_back(std::move(port));
    }
    out.capabilities.SetPortMappings(ports);
  }
  if (opt.Has("ip")) out.capabilities.SetIps(opt.List("ip"));
  if (auto mac = opt.MaybeString("mac")) out.capabilities.SetMac(*mac);
  if (opt.Has("alias")) out.capabilities.SetAliases(opt.List("alias"));
  for (const auto& [name, json] : opt.Map("capability")) {
    COAM_RETURN_IF_ERROR(out.capabilities.Set(name, json));
  }
  return out;
}

// What every operation on an attachment is given, checked.
absl::StatusOr<cni::Runtime> Prepare(const coam_context* context, const coam_cni_client* client,
                                     const coam_cni_network* network, const char* container_id,
                                     const char* netns, const coam_options* options) {
  COAM_RETURN_IF_ERROR(capi::NotNull(context, "context"));
  COAM_RETURN_IF_ERROR(capi::NotNull(client, "client"));
  COAM_RETURN_IF_ERROR(capi::NotNull(network, "network"));
  COAM_RETURN_IF_ERROR(capi::NotNull(container_id, "container_id"));
  return ReadRuntime(container_id, netns, options);
}

// The same for operations without one.
absl::Status PrepareRun(const coam_context* context, const coam_cni_client* client,
                        const coam_options* options) {
  COAM_RETURN_IF_ERROR(capi::NotNull(context, "context"));
  COAM_RETURN_IF_ERROR(capi::NotNull(client, "client"));
  return capi::OptionReader::For("cni.run", options).status();
}

}  // namespace

coam_code coam_cni_add(coam_context* context, coam_cni_client* client,
                       const coam_cni_network* network, const char* container_id, const char* netns,
                       const coam_options* options, coam_cni_result** ret_result,
                       coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_ASSIGN_OR_RETURN(auto runtime,
                          Prepare(context, client, network, container_id, netns, options));
    COAM_RETURN_IF_ERROR(capi::NotNull(netns, "netns"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_result, "ret_result"));
    capi::Call call(context, options);
    COAM_ASSIGN_OR_RETURN(auto result,
                          client->client.AddNetworkList(call.op(), network->list, runtime));
    *ret_result = new coam_cni_result(std::move(result));
    return absl::OkStatus();
  });
}

coam_code coam_cni_del(coam_context* context, coam_cni_client* client,
                       const coam_cni_network* network, const char* container_id, const char* netns,
                       const coam_options* options, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_ASSIGN_OR_RETURN(auto runtime,
                          Prepare(context, client, network, container_id, netns, options));
    capi::Call call(context, options);
    return client->client.DelNetworkList(call.op(), network->list, runtime);
  });
}

coam_code coam_cni_check(coam_context* context, coam_cni_client* client,
                         const coam_cni_network* network, const char* container_id,
                         const char* netns, const coam_options* options, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_ASSIGN_OR_RETURN(auto runtime,
                          Prepare(context, client, network, container_id, netns, options));
    capi::Call call(context, options);
    return client->client.CheckNetworkList(call.op(), network->list, runtime);
  });
}

coam_code coam_cni_add_start(coam_context* context, coam_cni_client* client,
                             const coam_cni_network* network, const char* container_id,
                             const char* netns, const coam_options* options, coam_job** ret_job,
                             coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_ASSIGN_OR_RETURN(auto runtime,
                          Prepare(context, client, network, container_id, netns, options));
    COAM_RETURN_IF_ERROR(capi::NotNull(netns, "netns"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_job, "ret_job"));
    COAM_ASSIGN_OR_RETURN(
        *ret_job,
        capi::StartJob(
            "cni.attach", context, options,
            [client = capi::Ref<coam_cni_client>::Share(client), list = network->list,
             runtime = std::move(runtime)](const base::Op& op, const coam_options*)
                -> absl::StatusOr<capi::Ref<capi::Object>> {
              COAM_ASSIGN_OR_RETURN(auto result, client->client.AddNetworkList(op, list, runtime));
              return capi::Ref<capi::Object>::Adopt(new coam_cni_result(std::move(result)));
            }));
    return absl::OkStatus();
  });
}

coam_code coam_cni_add_finish(coam_job* job, coam_cni_result** ret_result, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(job, "job"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_result, "ret_result"));
    COAM_ASSIGN_OR_RETURN(auto* result, capi::FinishJob<coam_cni_result>(job, "cni.attach"));
    if (result == nullptr) {
      return base::Fail("core.invalid_argument") << "the job detaches and has no result";
    }
    *ret_result = result;
    return absl::OkStatus();
  });
}

coam_code coam_cni_del_start(coam_context* context, coam_cni_client* client,
                             const coam_cni_network* network, const char* container_id,
                             const char* netns, const coam_options* options, coam_job** ret_job,
                             coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_ASSIGN_OR_RETURN(auto runtime,
                          Prepare(context, client, network, container_id, netns, options));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_job, "ret_job"));
    COAM_ASSIGN_OR_RETURN(
        *ret_job,
        capi::StartJob("cni.attach", context, options,
                       [client = capi::Ref<coam_cni_client>::Share(client), list = network->list,
                        runtime = std::move(runtime)](const base::Op& op, const coam_options*)
                           -> absl::StatusOr<capi::Ref<capi::Object>> {
                         COAM_RETURN_IF_ERROR(client->client.DelNetworkList(op, list, runtime));
                         return capi::Ref<capi::Object>();
                       }));
    return absl::OkStatus();
  });
}

coam_code coam_cni_del_finish(coam_job* job, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(job, "job"));
    COAM_ASSIGN_OR_RETURN(auto* result, capi::JobResult(job, "cni.attach"));
    capi::FreeHandle(result);  // an ADD's result that nobody wants
    return absl::OkStatus();
  });
}

coam_code coam_cni_status(coam_context* context, coam_cni_client* client,
                          const coam_cni_network* network, const coam_options* options,
                          coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(PrepareRun(context, client, options));
    COAM_RETURN_IF_ERROR(capi::NotNull(network, "network"));
    capi::Call call(context, options);
    return client->client.StatusNetworkList(call.op(), network->list);
  });
}

coam_code coam_cni_gc(coam_context* context, coam_cni_client* client,
                      const coam_cni_network* network, const coam_options* options,
                      coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(context, "context"));
    COAM_RETURN_IF_ERROR(capi::NotNull(client, "client"));
    COAM_RETURN_IF_ERROR(capi::NotNull(network, "network"));
    COAM_ASSIGN_OR_RETURN(auto opt, capi::OptionReader::For("cni.gc", options));
    std::vector<cni::AttachmentId> valid;
    for (const std::string& text : opt.List("keep")) {
      size_t slash = text.find('/');
      if (slash == text.npos || slash == 0 || slash + 1 == text.size()) {
        return base::Fail("core.invalid_argument")
               << "\"" << text << "\" is not of the form CONTAINER/INTERFACE";
      }
      valid.push_back({text.substr(0, slash), text.substr(slash + 1)});
    }
    capi::Call call(context, options);
    return client->client.GcNetworkList(call.op(), network->list, valid);
  });
}

coam_code coam_cni_recover(coam_context* context, coam_cni_client* client,
                           const coam_options* options, int64_t* ret_count,
                           coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(PrepareRun(context, client, options));
    capi::Call call(context, options);
    COAM_ASSIGN_OR_RETURN(int count, client->client.Recover(call.op()));
    if (ret_count != nullptr) *ret_count = count;
    return absl::OkStatus();
  });
}

coam_code coam_cni_validate(coam_context* context, coam_cni_client* client,
                            const coam_cni_network* network, const coam_options* options,
                            coam_buf** ret_json, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(PrepareRun(context, client, options));
    COAM_RETURN_IF_ERROR(capi::NotNull(network, "network"));
    capi::Call call(context, options);
    COAM_ASSIGN_OR_RETURN(auto capabilities,
                          client->client.ValidateNetworkList(call.op(), network->list));
    if (ret_json != nullptr) *ret_json = new coam_buf(cni::NamesToJson(capabilities));
    return absl::OkStatus();
  });
}

coam_code coam_cni_plugin_versions(coam_context* context, coam_cni_client* client, const char* type,
                                   const coam_options* options, coam_buf** ret_json,
                                   coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(PrepareRun(context, client, options));
    COAM_RETURN_IF_ERROR(capi::NotNull(type, "type"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_json, "ret_json"));
    capi::Call call(context, options);
    COAM_ASSIGN_OR_RETURN(auto info, client->client.PluginVersions(call.op(), type));
    *ret_json = new coam_buf(info.ToJson());
    return absl::OkStatus();
  });
}

coam_code coam_cni_netns_id(const char* netns, coam_buf** ret_id, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(netns, "netns"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_id, "ret_id"));
    *ret_id = new coam_buf(cni::NetnsContainerId(netns));
    return absl::OkStatus();
  });
}

coam_code coam_cni_attachments_new(coam_context* context, coam_cni_client* client,
                                   const char* container_id, coam_cni_attachments** ret_attachments,
                                   coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(client, "client"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_attachments, "ret_attachments"));
    capi::Call call(context, nullptr);
    COAM_ASSIGN_OR_RETURN(auto list, client->client.cache().List(
                                         call.op(), container_id != nullptr ? container_id : ""));
    auto* out = new coam_cni_attachments;
    out->attachments = std::move(list);
    *ret_attachments = out;
    return absl::OkStatus();
  });
}

coam_code coam_cni_attachments_next(coam_cni_attachments* attachments,
                                    coam_cni_attachment** ret_attachment, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(attachments, "attachments"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_attachment, "ret_attachment"));
    *ret_attachment = attachments->next < attachments->attachments.size()
                          ? new coam_cni_attachment(attachments->attachments[attachments->next++])
                          : nullptr;
    return absl::OkStatus();
  });
}

coam_cni_attachments* coam_cni_attachments_ref(coam_cni_attachments* attachments) {
  return COAM_BOUNDARY_REF(attachments);
}
void coam_cni_attachments_free(coam_cni_attachments* attachments) {
  COAM_BOUNDARY_FREE(attachments);
}
coam_cni_attachment* coam_cni_attachment_ref(coam_cni_attachment* attachment) {
  return COAM_BOUNDARY_REF(attachment);
}
void coam_cni_attachment_free(coam_cni_attachment* attachment) { COAM_BOUNDARY_FREE(attachment); }

coam_str coam_cni_attachment_network(const coam_cni_attachment* attachment) {
  return COAM_BOUNDARY_VALUE(kEmpty, {
    return attachment != nullptr ? capi::View(attachment->attachment.network) : kEmpty;
  });
}

coam_str coam_cni_attachment_container(const coam_cni_attachment* attachment) {
  return COAM_BOUNDARY_VALUE(kEmpty, {
    return attachment != nullptr ? capi::View(attachment->attachment.runtime.container_id) : kEmpty;
  });
}

coam_str coam_cni_attachment_interface(const coam_cni_attachment* attachment) {
  return COAM_BOUNDARY_VALUE(kEmpty, {
    return attachment != nullptr ? capi::View(attachment->attachment.runtime.ifname) : kEmpty;
  });
}

coam_str coam_cni_attachment_netns(const coam_cni_attachment* attachment) {
  return COAM_BOUNDARY_VALUE(kEmpty, {
    return attachment != nullptr ? capi::View(attachment->attachment.runtime.netns) : kEmpty;
  });
}

coam_str coam_cni_attachment_config(const coam_cni_attachment* attachment) {
  return COAM_BOUNDARY_VALUE(kEmpty, {
    return attachment != nullptr ? capi::View(attachment->attachment.config_json) : kEmpty;
  });
}

coam_cni_result* coam_cni_attachment_result(const coam_cni_attachment* attachment) {
  return COAM_BOUNDARY_VALUE(nullptr, {
    if (attachment == nullptr || !attachment->attachment.result.has_value()) {
      return static_cast<coam_cni_result*>(nullptr);
    }
    return new coam_cni_result(*attachment->attachment.result);
  });
}

coam_code coam_cni_attachment_del(coam_context* context, coam_cni_client* client,
                                  const coam_cni_attachment* attachment,
                                  const coam_options* options, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(PrepareRun(context, client, options));
    COAM_RETURN_IF_ERROR(capi::NotNull(attachment, "attachment"));
    capi::Call call(context, options);
    return client->client.DelAttachment(call.op(), attachment->attachment);
  });
}
