// coam cni ..., and the words of cnitool, which takes its settings from the environment.
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "examples/coam/cli.h"
#include "examples/coam/commands.h"

namespace coam {
namespace {

using Client = Handle<coam_cni_client, coam_cni_client_free>;
using Network = Handle<coam_cni_network, coam_cni_network_free>;
using Networks = Handle<coam_cni_networks, coam_cni_networks_free>;
using Result = Handle<coam_cni_result, coam_cni_result_free>;
using Attachment = Handle<coam_cni_attachment, coam_cni_attachment_free>;
using Attachments = Handle<coam_cni_attachments, coam_cni_attachments_free>;

constexpr Flag kClientFlags[] = {
    {"plugin-dir", 0, FlagKind::kList, "DIR", "directory of plugins (/opt/cni/bin, /usr/lib/cni)"},
    {"conf-dir", 0, FlagKind::kList, "DIR", "directory of configurations (/etc/cni/net.d)"},
    {"cache-dir", 0, FlagKind::kValue, "DIR", "where results are kept (/var/lib/cni)"},
    {"env", 0, FlagKind::kList, "NAME=VALUE", "variable for plugins beside CNI_*"},
    {"exact", 0, FlagKind::kSwitch, "", "do as the reference client does"},
    {"in-process", 0, FlagKind::kSwitch, "", "run the built-in plugins without programs"},
};

constexpr Flag kAttachFlags[] = {
    {"id", 0, FlagKind::kValue, "ID", "container id (made from the namespace's path)"},
    kClientFlags[0],
    kClientFlags[1],
    kClientFlags[2],
    kClientFlags[3],
    kClientFlags[4],
    kClientFlags[5],
};

std::string Absolute(const std::string& path) {
  if (path.empty() || path[0] == '/') return path;
  char here[PATH_MAX];
  if (getcwd(here, sizeof here) == nullptr) return path;
  return std::string(here) + "/" + path;
}

// What a command works with: a client, a network, perhaps a container.
struct Job {
  explicit Job(Invocation& i) : in(i) {}

  // Each returns 0, or the exit code after it has told why.
  int Open(bool with_network) {
    if (in.context() == nullptr) return 2;
    Options options = in.MakeOptions("cni.client");
    if (!options) return 2;
    if (coam_cni_client_new(in.context(), options.get(), Take(client), Take(error)) != COAM_OK) {
      return in.Fail(error);
    }
    return with_network ? Load(in.args[0]) : 0;
  }

  int Load(const std::string& name) {
    coam_code code;
    if (name.find('/') != std::string::npos) {  // a file
      code = coam_cni_network_load_file(in.context(), name.c_str(), Take(network), Take(error));
    } else {
      Options options = in.MakeOptions("cni.load");
      if (!options) return 2;
      code = coam_cni_network_load(in.context(), client.get(), name.c_str(), options.get(),
                                   Take(network), Take(error));
    }
    return code == COAM_OK ? 0 : in.Fail(error, name);
  }

  int OpenContainer() {
    if (int code = Open(true)) return code;
    if (in.args.size() > 1) netns = Absolute(in.args[1]);
    id = in.Value("id");
    if (!id.empty()) return 0;
    if (netns.empty()) return in.Usage("without a namespace --id is needed");
    Buf made;
    if (coam_cni_netns_id(netns.c_str(), Take(made), Take(error)) != COAM_OK) {
      return in.Fail(error);
    }
    id = Text(made);
    return 0;
  }

  int Done(coam_code code) { return code == COAM_OK ? 0 : in.Fail(error, Subject()); }

  std::string Subject() const {
    return network ? std::string(Text(coam_cni_network_name(network.get()))) : std::string();
  }

  Invocation& in;
  Error error;
  Client client;
  Network network;
  std::string netns;
  std::string id;
};

int Add(Invocation& in) {
  Job job(in);
  if (int code = job.OpenContainer()) return code;
  Options options = in.MakeOptions("cni.attach");
  if (!options) return 2;
  Result result;
  if (coam_cni_add(in.context(), job.client.get(), job.network.get(), job.id.c_str(),
                   job.netns.c_str(), options.get(), Take(result), Take(job.error)) != COAM_OK) {
    return in.Fail(job.error, job.Subject());
  }
  PrintLine(Text(coam_cni_result_json_pretty(result.get())));
  return 0;
}

int Del(Invocation& in) {
  Job job(in);
  if (int code = job.OpenContainer()) return code;
  Options options = in.MakeOptions("cni.attach");
  if (!options) return 2;
  const coam_code code =
      coam_cni_del(in.context(), job.client.get(), job.network.get(), job.id.c_str(),
                   job.netns.c_str(), options.get(), Take(job.error));
  return job.Done(code);
}

int Check(Invocation& in) {
  Job job(in);
  if (int code = job.OpenContainer()) return code;
  Options options = in.MakeOptions("cni.attach");
  if (!options) return 2;
  const coam_code code =
      coam_cni_check(in.context(), job.client.get(), job.network.get(), job.id.c_str(),
                     job.netns.c_str(), options.get(), Take(job.error));
  return job.Done(code);
}

int Status(Invocation& in) {
  Job job(in);
  if (int code = job.Open(true)) return code;
  Options options = in.MakeOptions("cni.run");
  if (!options) return 2;
  const coam_code code = coam_cni_status(in.context(), job.client.get(), job.network.get(),
                                         options.get(), Take(job.error));
  return job.Done(code);
}

int Gc(Invocation& in) {
  Job job(in);
  if (int code = job.Open(true)) return code;
  Options options = in.MakeOptions("cni.gc");
  if (!options) return 2;
  const coam_code code = coam_cni_gc(in.context(), job.client.get(), job.network.get(),
                                     options.get(), Take(job.error));
  return job.Done(code);
}

int Recover(Invocation& in) {
  Job job(in);
  if (int code = job.Open(false)) return code;
  Options options = in.MakeOptions("cni.run");
  if (!options) return 2;
  int64_t count = 0;
  if (coam_cni_recover(in.context(), job.client.get(), options.get(), &count, Take(job.error)) !=
      COAM_OK) {
    return in.Fail(job.error);
  }
  PrintLine(std::to_string(count));
  return 0;
}

int Validate(Invocation& in) {
  Job job(in);
  if (int code = job.Open(true)) return code;
  Options options = in.MakeOptions("cni.run");
  if (!options) return 2;
  Buf capabilities;
  if (coam_cni_validate(in.context(), job.client.get(), job.network.get(), options.get(),
                        Take(capabilities), Take(job.error)) != COAM_OK) {
    return in.Fail(job.error);
  }
  PrintLine(Text(capabilities));
  return 0;
}

int Versions(Invocation& in) {
  Job job(in);
  if (int code = job.Open(false)) return code;
  Options options = in.MakeOptions("cni.run");
  if (!options) return 2;
  Buf versions;
  if (coam_cni_plugin_versions(in.context(), job.client.get(), in.args[0].c_str(), options.get(),
                               Take(versions), Take(job.error)) != COAM_OK) {
    return in.Fail(job.error);
  }
  PrintLine(Text(versions));
  return 0;
}

std::string Plugins(const coam_cni_network* network) {
  std::string out;
  for (size_t i = 0; i < coam_cni_network_plugin_count(network); ++i) {
    if (i > 0) out += '+';
    out += Text(coam_cni_network_plugin_type(network, i));
  }
  return out;
}

int List(Invocation& in) {
  Job job(in);
  if (int code = job.Open(false)) return code;
  Options options = in.MakeOptions("cni.load");
  if (!options) return 2;
  Networks all;
  if (coam_cni_networks_new(in.context(), job.client.get(), options.get(), Take(all),
                            Take(job.error)) != COAM_OK) {
    return in.Fail(job.error);
  }
  Table table({"NETWORK", "VERSION", "PLUGINS", "FILE"});
  std::string json = "{\"schema\":\"coam.cni.list.v1\",\"networks\":[";
  for (bool first = true;; first = false) {
    Network network;
    if (coam_cni_networks_next(all.get(), Take(network), Take(job.error)) != COAM_OK) {
      return in.Fail(job.error);
    }
    if (!network) break;
    const std::string name(Text(coam_cni_network_name(network.get())));
    const std::string version(Text(coam_cni_network_version(network.get())));
    const std::string path(Text(coam_cni_network_path(network.get())));
    table.Row({name, version, Plugins(network.get()), path});
    json += (first ? "" : ",") + std::string("{\"name\":") + JsonQuote(name) +
            ",\"cniVersion\":" + JsonQuote(version) + ",\"plugins\":[";
    for (size_t i = 0; i < coam_cni_network_plugin_count(network.get()); ++i) {
      json += (i > 0 ? "," : "") + JsonQuote(Text(coam_cni_network_plugin_type(network.get(), i)));
    }
    json += "],\"path\":" + JsonQuote(path) + "}";
  }
  if (in.json()) {
    PrintLine(json + "]}");
  } else {
    Print(table.Render());
  }
  return 0;
}

int Attached(Invocation& in) {
  Job job(in);
  if (int code = job.Open(false)) return code;
  Attachments all;
  if (coam_cni_attachments_new(in.context(), job.client.get(),
                               in.args.empty() ? nullptr : in.args[0].c_str(), Take(all),
                               Take(job.error)) != COAM_OK) {
    return in.Fail(job.error);
  }
  Table table({"CONTAINER", "INTERFACE", "NETWORK", "ADDRESSES", "NAMESPACE"});
  std::string json = "{\"schema\":\"coam.cni.attached.v1\",\"attachments\":[";
  for (bool first = true;; first = false) {
    Attachment one;
    if (coam_cni_attachments_next(all.get(), Take(one), Take(job.error)) != COAM_OK) {
      return in.Fail(job.error);
    }
    if (!one) break;
    Result result(coam_cni_attachment_result(one.get()));
    std::string addresses;
    for (size_t i = 0; i < coam_cni_result_ip_count(result.get()); ++i) {
      addresses +=
          (i > 0 ? "," : "") + std::string(Text(coam_cni_result_ip_address(result.get(), i)));
    }
    const std::string id(Text(coam_cni_attachment_container(one.get())));
    const std::string ifname(Text(coam_cni_attachment_interface(one.get())));
    const std::string network(Text(coam_cni_attachment_network(one.get())));
    const std::string netns(Text(coam_cni_attachment_netns(one.get())));
    table.Row({id, ifname, network, addresses, netns});
    json += (first ? "" : ",") + std::string("{\"container\":") + JsonQuote(id) +
            ",\"interface\":" + JsonQuote(ifname) + ",\"network\":" + JsonQuote(network) +
            ",\"netns\":" + JsonQuote(netns) + ",\"result\":" +
            (result ? std::string(Text(coam_cni_result_json(result.get()))) : "null") + "}";
  }
  if (in.json()) {
    PrintLine(json + "]}");
  } else {
    Print(table.Render());
  }
  return 0;
}

constexpr Command kCniCommands[] = {
    {.words = "cni add",
     .usage = "NETWORK NETNS",
     .summary = "Attach a container to a network and print the result",
     .family = "cni.attach",
     .flags = kAttachFlags,
     .examples = "coam cni add web /run/netns/c1 --id c1 --port 8080:80\n"
                 "coam cni add ./web.conflist /run/netns/c1 --plugin-dir /usr/lib/cni",
     .min_args = 2,
     .max_args = 2,
     .run = Add},
    {.words = "cni del",
     .usage = "NETWORK [NETNS]",
     .summary = "Detach a container from a network",
     .family = "cni.attach",
     .flags = kAttachFlags,
     .examples = "coam cni del web /run/netns/c1 --id c1\ncoam cni del web --id c1",
     .min_args = 1,
     .max_args = 2,
     .run = Del},
    {.words = "cni check",
     .usage = "NETWORK NETNS",
     .summary = "Ask the plugins whether an attachment is as it was made",
     .family = "cni.attach",
     .flags = kAttachFlags,
     .examples = "coam cni check web /run/netns/c1 --id c1\n"
                 "coam cni check web /run/netns/c1 --id c1 --ifname eth1",
     .min_args = 2,
     .max_args = 2,
     .run = Check},
    {.words = "cni status",
     .usage = "NETWORK",
     .summary = "Ask the plugins whether the network would serve a container now",
     .family = "cni.run",
     .flags = kClientFlags,
     .examples = "coam cni status web\ncoam cni status web --conf-dir ./net.d",
     .min_args = 1,
     .max_args = 1,
     .run = Status},
    {.words = "cni gc",
     .usage = "NETWORK",
     .summary = "Remove every attachment of a network that is not kept",
     .family = "cni.gc",
     .flags = kClientFlags,
     .examples = "coam cni gc web --keep c1/eth0 --keep c2/eth0\ncoam cni gc web",
     .min_args = 1,
     .max_args = 1,
     .run = Gc},
    {.words = "cni list",
     .summary = "List the networks of the configuration directories",
     .family = "cni.load",
     .flags = kClientFlags,
     .examples = "coam cni list\ncoam cni list --conf-dir ./net.d --format=json",
     .run = List},
    {.words = "cni attached",
     .usage = "[CONTAINER]",
     .summary = "List what is attached",
     .flags = kClientFlags,
     .examples = "coam cni attached\ncoam cni attached c1 --format=json",
     .max_args = 1,
     .run = Attached},
    {.words = "cni recover",
     .summary = "Undo what a crash left half attached",
     .family = "cni.run",
     .flags = kClientFlags,
     .examples = "coam cni recover\ncoam cni recover --cache-dir /run/cni",
     .run = Recover},
    {.words = "cni validate",
     .usage = "NETWORK",
     .summary = "Check that a network's plugins are there and speak its version",
     .family = "cni.run",
     .flags = kClientFlags,
     .examples = "coam cni validate web\ncoam cni validate ./web.conflist",
     .min_args = 1,
     .max_args = 1,
     .run = Validate},
    {.words = "cni versions",
     .usage = "PLUGIN",
     .summary = "Ask a plugin which versions it speaks",
     .family = "cni.run",
     .flags = kClientFlags,
     .examples = "coam cni versions bridge\ncoam cni versions bridge --plugin-dir /opt/cni/bin",
     .min_args = 1,
     .max_args = 1,
     .run = Versions},
};

// ---- cnitool ------------------------------------------------------------------------------------

std::string Env(const char* name, const char* fallback) {
  const char* value = getenv(name);
  return value != nullptr && *value != 0 ? value : fallback;
}

void Split(std::string_view text, char by, std::vector<std::string>* out) {
  while (!text.empty()) {
    size_t end = text.find(by);
    if (end != 0) out->emplace_back(text.substr(0, end));
    if (end == text.npos) return;
    text.remove_prefix(end + 1);
  }
}

// Puts cnitool's environment into the flags that the commands read.
void FromEnvironment(Invocation& in) {
  Split(Env("CNI_PATH", ""), ':', &in.given["plugin-dir"]);
  if (in.given["plugin-dir"].empty()) in.given.erase("plugin-dir");
  in.given["conf-dir"] = {Env("NETCONFPATH", "/etc/cni/net.d")};
  in.given["ifname"] = {Env("CNI_IFNAME", "eth0")};
  in.given["quiet"] = {"true"};
  in.given["exact"] = {"true"};
  // Its plugins see the whole environment; PATH is what they need of it.
  in.given["env"] = {"PATH=" + Env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")};
  if (std::string args = Env("CAP_ARGS", ""); !args.empty()) in.given["capabilities"] = {args};
  if (std::string args = Env("CNI_ARGS", ""); !args.empty()) Split(args, ';', &in.given["arg"]);
}

int CnitoolAdd(Invocation& in) {
  FromEnvironment(in);
  return Add(in);
}
int CnitoolCheck(Invocation& in) {
  FromEnvironment(in);
  return Check(in);
}
int CnitoolDel(Invocation& in) {
  FromEnvironment(in);
  return Del(in);
}
int CnitoolGc(Invocation& in) {
  FromEnvironment(in);
  return Gc(in);
}
int CnitoolStatus(Invocation& in) {
  FromEnvironment(in);
  return Status(in);
}

constexpr std::string_view kCnitoolExamples =
    "NETCONFPATH=./net.d CNI_PATH=/usr/lib/cni cnitool add web /run/netns/c1\n"
    "CAP_ARGS='{\"portMappings\":[{\"hostPort\":8080,\"containerPort\":80}]}' cnitool add web "
    "/run/netns/c1";

constexpr Command kCnitoolCommands[] = {
    {.words = "add",
     .usage = "NETWORK NETNS",
     .summary = "Attach a namespace and print the result",
     .examples = kCnitoolExamples,
     .min_args = 2,
     .max_args = -1,
     .run = CnitoolAdd},
    {.words = "check",
     .usage = "NETWORK NETNS",
     .summary = "Check an attachment",
     .examples = kCnitoolExamples,
     .min_args = 2,
     .max_args = -1,
     .run = CnitoolCheck},
    {.words = "del",
     .usage = "NETWORK NETNS",
     .summary = "Detach a namespace",
     .examples = kCnitoolExamples,
     .min_args = 2,
     .max_args = -1,
     .run = CnitoolDel},
    {.words = "gc",
     .usage = "NETWORK NETNS",
     .summary = "Remove every attachment of a network",
     .examples = kCnitoolExamples,
     .min_args = 2,
     .max_args = -1,
     .run = CnitoolGc},
    {.words = "status",
     .usage = "NETWORK NETNS",
     .summary = "Ask whether a network is ready",
     .examples = kCnitoolExamples,
     .min_args = 2,
     .max_args = -1,
     .run = CnitoolStatus},
};

}  // namespace

std::span<const Command> CniCommands() { return kCniCommands; }
std::span<const Command> CnitoolCommands() { return kCnitoolCommands; }

}  // namespace coam
