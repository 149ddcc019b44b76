// The handles of coaming/cni.h; shared by cni.cc and cni_attach.cc.
#ifndef COAMING_CAPI_SRC_CNI_H_
#define COAMING_CAPI_SRC_CNI_H_

#include <coaming/cni.h>

#include <string>
#include <utility>
#include <vector>

#include "capi/src/boundary.h"
#include "libcni/invoke/client.h"

struct coam_cni_client : coaming::capi::Object {
  coam_cni_client(coaming::cni::ClientOptions options, std::vector<std::string> dirs)
      : client(std::move(options)), conf_dirs(std::move(dirs)) {}
  coaming::cni::Client client;
  const std::vector<std::string> conf_dirs;
};

struct coam_cni_network : coaming::capi::Object {
  explicit coam_cni_network(coaming::cni::NetworkList l) : list(std::move(l)) {}
  const coaming::cni::NetworkList list;
};

struct coam_cni_networks : coaming::capi::Object {
  std::vector<coaming::cni::NetworkList> networks;
  size_t next = 0;
};

struct coam_cni_result : coaming::capi::Object {
  explicit coam_cni_result(coaming::cni::Result r);
  const coaming::cni::Result result;
  const std::string json;
  const std::string pretty;
  std::vector<std::string> addresses;  // as text, for views
  std::vector<std::string> gateways;
};

struct coam_cni_attachment : coaming::capi::Object {
  explicit coam_cni_attachment(coaming::cni::CachedAttachment a) : attachment(std::move(a)) {}
  const coaming::cni::CachedAttachment attachment;
};

struct coam_cni_attachments : coaming::capi::Object {
  std::vector<coaming::cni::CachedAttachment> attachments;
  size_t next = 0;
};

#endif  // COAMING_CAPI_SRC_CNI_H_
