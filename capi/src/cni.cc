// Clients, networks, results and the option families of coaming/cni.h.
#include "capi/src/cni.h"

#include <string_view>

#include "capi/src/call.h"
#include "capi/src/modules.h"
#include "capi/src/options.h"
#include "libcni/conf/conf.h"
#include "libcni/plugins/builtin.h"

namespace base = coaming::base;
namespace capi = coaming::capi;
namespace cni = coaming::cni;

namespace coaming::capi {
namespace {

constexpr OptionRow kClientRows[] = {
    {"plugin-dir", OptionType::kList, "", "1.0",
     "directory of plugins, absolute; searched in order (default /opt/cni/bin, /usr/lib/cni)"},
    {"conf-dir", OptionType::kList, "", "1.0",
     "directory of network configurations; the first that has a network wins (default "
     "/etc/cni/net.d)"},
    {"cache-dir", OptionType::kPath, "/var/lib/cni", "1.0", "where results are kept"},
    {"env", OptionType::kMap, "", "1.0",
     "variable for plugins beside CNI_*; none given: a PATH of the system's directories"},
    {"rollback", OptionType::kBool, "true", "1.0", "undo an ADD that fails"},
    {"rollback-time", OptionType::kDuration, "30s", "1.0", "time for undoing"},
    {"continue-delete", OptionType::kBool, "true", "1.0",
     "run every plugin's DEL even if one fails"},
    {"exact", OptionType::kBool, "false", "1.0",
     "do as the reference client does, without rollback and with its stdin"},
    {"in-process", OptionType::kBool, "false", "1.0",
     "run loopback, bridge, ptp, host-local and portmap without programs"},
};

constexpr OptionRow kLoadRows[] = {
    {"strict", OptionType::kBool, "false", "1.0", "fail on a file that cannot be read or parsed"},
};

constexpr OptionRow kAttachRows[] = {
    {"ifname", OptionType::kString, "eth0", "1.0", "name of the interface in the container"},
    {"arg", OptionType::kMap, "", "1.0", "an argument of CNI_ARGS, KEY=VALUE"},
    {"capability", OptionType::kMap, "", "1.0",
     "a capability argument, NAME=JSON; given to plugins that declare it"},
    {"capabilities", OptionType::kString, "", "1.0",
     "capability arguments as one JSON object, set before the others"},
    {"port", OptionType::kList, "", "1.0",
     "a port to forward, [HOSTIP:]HOSTPORT:PORT[/tcp|udp|sctp] (capability portMappings)"},
    {"ip", OptionType::kList, "", "1.0", "an address to ask for (capability ips)"},
    {"mac", OptionType::kString, "", "1.0", "a MAC address to ask for (capability mac)"},
    {"alias", OptionType::kList, "", "1.0", "a name to be known by (capability aliases)"},
};

constexpr OptionRow kGcRows[] = {
    {"keep", OptionType::kList, "", "1.0", "an attachment that is alive, CONTAINER/INTERFACE"},
};

constexpr OptionFamily kFamilies[] = {
    {"cni.client", "where plugins, configurations and results are", kClientRows},
    {"cni.load", "reading network configurations", kLoadRows},
    {"cni.attach", "attaching and detaching a container", kAttachRows},
    {"cni.gc", "garbage collection of a network", kGcRows},
    {"cni.run", "running plugins without an attachment", {}},
};

constexpr const char* kFeatures[] = {"cni.cache", "cni.invoke", "cni.spec.1.1.0"};

}  // namespace

Module CniModule() { return {"cni", kFamilies, kFeatures}; }

}  // namespace coaming::capi

namespace {

constexpr coam_str kEmpty{"", 0};

const base::Limits& LimitsOf(const coam_context* context) {
  static constexpr base::Limits kDefaults;
  return context != nullptr ? context->limits : kDefaults;
}

}  // namespace

coam_cni_result::coam_cni_result(cni::Result r)
    : result(std::move(r)),
      json(cni::WriteResult(result)),
      pretty(cni::WriteResult(result, /*pretty=*/true)) {
  for (const cni::IpConfig& ip : result.ips) {
    addresses.push_back(ip.address.ToString());
    gateways.push_back(ip.gateway.ToString());
  }
}

coam_code coam_cni_client_new(coam_context* context, const coam_options* options,
                              coam_cni_client** ret_client, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(context, "context"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_client, "ret_client"));
    COAM_ASSIGN_OR_RETURN(auto opt, capi::OptionReader::For("cni.client", options));
    cni::ClientOptions client;
    client.plugin_dirs = opt.List("plugin-dir");
    if (client.plugin_dirs.empty()) client.plugin_dirs = {"/opt/cni/bin", "/usr/lib/cni"};
    std::vector<std::string> conf_dirs = opt.List("conf-dir");
    if (conf_dirs.empty()) conf_dirs = {"/etc/cni/net.d"};
    client.cache_dir = opt.String("cache-dir");
    if (opt.Has("env")) client.env = opt.Map("env");
    client.rollback = opt.Bool("rollback");
    client.rollback_ms = opt.Int("rollback-time");
    client.continue_delete = opt.Bool("continue-delete");
    client.exact = opt.Bool("exact");
    if (opt.Bool("in-process")) client.builtins = &cni::Builtins();
    for (const std::string& dir : client.plugin_dirs) {
      if (dir.empty() || dir[0] != '/' || dir.find(':') != dir.npos) {
        return base::Fail("core.invalid_argument")
               << "plugin directory \"" << dir << "\" must be absolute and without ':'";
      }
    }
    *ret_client = new coam_cni_client(std::move(client), std::move(conf_dirs));
    return absl::OkStatus();
  });
}

coam_cni_client* coam_cni_client_ref(coam_cni_client* client) { return COAM_BOUNDARY_REF(client); }
void coam_cni_client_free(coam_cni_client* client) { COAM_BOUNDARY_FREE(client); }

coam_code coam_cni_network_load(coam_context* context, coam_cni_client* client, const char* name,
                                const coam_options* options, coam_cni_network** ret_network,
                                coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(client, "client"));
    COAM_RETURN_IF_ERROR(capi::NotNull(name, "name"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_network, "ret_network"));
    COAM_ASSIGN_OR_RETURN(auto opt, capi::OptionReader::For("cni.load", options));
    capi::Call call(context, options);
    COAM_ASSIGN_OR_RETURN(auto list, cni::LoadNetwork(call.op(), client->conf_dirs, name,
                                                      {.strict = opt.Bool("strict")}));
    *ret_network = new coam_cni_network(std::move(list));
    return absl::OkStatus();
  });
}

coam_code coam_cni_network_load_file(coam_context* context, const char* path,
                                     coam_cni_network** ret_network, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(path, "path"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_network, "ret_network"));
    capi::Call call(context, nullptr);
    COAM_ASSIGN_OR_RETURN(auto list, cni::LoadNetworkFile(call.op(), path));
    *ret_network = new coam_cni_network(std::move(list));
    return absl::OkStatus();
  });
}

coam_code coam_cni_network_parse(coam_context* context, const void* json, size_t size,
                                 coam_cni_network** ret_network, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(json, "json"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_network, "ret_network"));
    std::string_view text(static_cast<const char*>(json), size);
    COAM_ASSIGN_OR_RETURN(auto list, cni::ParseNetwork(text, LimitsOf(context)));
    *ret_network = new coam_cni_network(std::move(list));
    return absl::OkStatus();
  });
}

coam_cni_network* coam_cni_network_ref(coam_cni_network* network) {
  return COAM_BOUNDARY_REF(network);
}
void coam_cni_network_free(coam_cni_network* network) { COAM_BOUNDARY_FREE(network); }

coam_str coam_cni_network_name(const coam_cni_network* network) {
  return COAM_BOUNDARY_VALUE(
      kEmpty, { return network != nullptr ? capi::View(network->list.name) : kEmpty; });
}

coam_str coam_cni_network_version(const coam_cni_network* network) {
  return COAM_BOUNDARY_VALUE(
      kEmpty, { return network != nullptr ? capi::View(network->list.cni_version) : kEmpty; });
}

coam_str coam_cni_network_json(const coam_cni_network* network) {
  return COAM_BOUNDARY_VALUE(
      kEmpty, { return network != nullptr ? capi::View(network->list.json) : kEmpty; });
}

coam_str coam_cni_network_path(const coam_cni_network* network) {
  return COAM_BOUNDARY_VALUE(
      kEmpty, { return network != nullptr ? capi::View(network->list.path) : kEmpty; });
}

size_t coam_cni_network_plugin_count(const coam_cni_network* network) {
  return COAM_BOUNDARY_VALUE(
      size_t{0}, { return network != nullptr ? network->list.plugins.size() : size_t{0}; });
}

coam_str coam_cni_network_plugin_type(const coam_cni_network* network, size_t index) {
  return COAM_BOUNDARY_VALUE(kEmpty, {
    if (network == nullptr || index >= network->list.plugins.size()) return kEmpty;
    return capi::View(network->list.plugins[index].type);
  });
}

coam_code coam_cni_networks_new(coam_context* context, coam_cni_client* client,
                                const coam_options* options, coam_cni_networks** ret_networks,
                                coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(client, "client"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_networks, "ret_networks"));
    COAM_ASSIGN_OR_RETURN(auto opt, capi::OptionReader::For("cni.load", options));
    capi::Call call(context, options);
    COAM_ASSIGN_OR_RETURN(auto set, cni::LoadAllNetworks(call.op(), client->conf_dirs));
    for (const cni::Problem& problem : set.problems) {
      if (opt.Bool("strict")) return base::Wrap(problem.status, problem.path);
      call.op().AddNote("cni.conf.skipped", problem.path, base::GetError(problem.status).message);
    }
    auto* out = new coam_cni_networks;
    out->networks = std::move(set.networks);
    *ret_networks = out;
    return absl::OkStatus();
  });
}

coam_code coam_cni_networks_next(coam_cni_networks* networks, coam_cni_network** ret_network,
                                 coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(networks, "networks"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_network, "ret_network"));
    *ret_network = networks->next < networks->networks.size()
                       ? new coam_cni_network(networks->networks[networks->next++])
                       : nullptr;
    return absl::OkStatus();
  });
}

coam_cni_networks* coam_cni_networks_ref(coam_cni_networks* networks) {
  return COAM_BOUNDARY_REF(networks);
}
void coam_cni_networks_free(coam_cni_networks* networks) { COAM_BOUNDARY_FREE(networks); }

coam_code coam_cni_result_parse(coam_context* context, const void* json, size_t size,
                                const char* fallback_version, coam_cni_result** ret_result,
                                coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(json, "json"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_result, "ret_result"));
    std::string_view text(static_cast<const char*>(json), size);
    COAM_ASSIGN_OR_RETURN(
        auto result, cni::ParseResult(text, fallback_version != nullptr ? fallback_version : "",
                                      LimitsOf(context)));
    *ret_result = new coam_cni_result(std::move(result));
    return absl::OkStatus();
  });
}

coam_code coam_cni_result_convert(const coam_cni_result* result, const char* version,
                                  coam_cni_result** ret_result, coam_error** ret_error) {
  return COAM_BOUNDARY(ret_error, {
    COAM_RETURN_IF_ERROR(capi::NotNull(result, "result"));
    COAM_RETURN_IF_ERROR(capi::NotNull(version, "version"));
    COAM_RETURN_IF_ERROR(capi::NotNull(ret_result, "ret_result"));
    COAM_ASSIGN_OR_RETURN(auto converted, cni::ConvertResult(result->result, version));
    *ret_result = new coam_cni_result(std::move(converted));
    return absl::OkStatus();
  });
}

coam_cni_result* coam_cni_result_ref(coam_cni_result* result) { return COAM_BOUNDARY_REF(result); }
void coam_cni_result_free(coam_cni_result* result) { COAM_BOUNDARY_FREE(result); }

coam_str coam_cni_result_json(const coam_cni_result* result) {
  return COAM_BOUNDARY_VALUE(kEmpty,
                             { return result != nullptr ? capi::View(result->json) : kEmpty; });
}

coam_str coam_cni_result_json_pretty(const coam_cni_result* result) {
  return COAM_BOUNDARY_VALUE(kEmpty,
                             { return result != nullptr ? capi::View(result->pretty) : kEmpty; });
}

coam_str coam_cni_result_version(const coam_cni_result* result) {
  return COAM_BOUNDARY_VALUE(
      kEmpty, { return result != nullptr ? capi::View(result->result.cni_version) : kEmpty; });
}

size_t coam_cni_result_interface_count(const coam_cni_result* result) {
  return COAM_BOUNDARY_VALUE(
      size_t{0}, { return result != nullptr ? result->result.interfaces.size() : size_t{0}; });
}

namespace {

coam_str InterfaceText(const coam_cni_result* result, size_t index,
                       std::string cni::Interface::*member) {
  if (result == nullptr || index >= result->result.interfaces.size()) return kEmpty;
  return capi::View(result->result.interfaces[index].*member);
}

}  // namespace

coam_str coam_cni_result_interface_name(const coam_cni_result* result, size_t index) {
  return COAM_BOUNDARY_VALUE(kEmpty,
                             { return InterfaceText(result, index, &cni::Interface::name); });
}

coam_str coam_cni_result_interface_mac(const coam_cni_result* result, size_t index) {
  return COAM_BOUNDARY_VALUE(kEmpty,
                             { return InterfaceText(result, index, &cni::Interface::mac); });
}

coam_str coam_cni_result_interface_sandbox(const coam_cni_result* result, size_t index) {
  return COAM_BOUNDARY_VALUE(kEmpty,
                             { return InterfaceText(result, index, &cni::Interface::sandbox); });
}

size_t coam_cni_result_ip_count(const coam_cni_result* result) {
  return COAM_BOUNDARY_VALUE(size_t{0},
                             { return result != nullptr ? result->addresses.size() : size_t{0}; });
}

coam_str coam_cni_result_ip_address(const coam_cni_result* result, size_t index) {
  return COAM_BOUNDARY_VALUE(kEmpty, {
    if (result == nullptr || index >= result->addresses.size()) return kEmpty;
    return capi::View(result->addresses[index]);
  });
}

coam_str coam_cni_result_ip_gateway(const coam_cni_result* result, size_t index) {
  return COAM_BOUNDARY_VALUE(kEmpty, {
    if (result == nullptr || index >= result->gateways.size()) return kEmpty;
    return capi::View(result->gateways[index]);
  });
}

int64_t coam_cni_result_ip_interface(const coam_cni_result* result, size_t index) {
  return COAM_BOUNDARY_VALUE(int64_t{-1}, {
    if (result == nullptr || index >= result->result.ips.size()) return int64_t{-1};
    return result->result.ips[index].interface.value_or(-1);
  });
}
