#include "liboci/runtime/net_devices.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/core/unique_fd.h"

namespace coaming::run::internal {

namespace {

// One request: the header's place, a fixed body, attributes.
class Message {
 public:
  template <typename Body>
  Message(uint16_t type, uint16_t flags, const Body& body) : bytes_(NLMSG_HDRLEN, '\0') {
    head_.nlmsg_type = type;
    head_.nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
    bytes_.append(reinterpret_cast<const char*>(&body), sizeof body);
    Align();
  }
  void Add(uint16_t type, std::string_view value) {
    nlattr a = {static_cast<uint16_t>(NLA_HDRLEN + value.size()), type};
    bytes_.append(reinterpret_cast<const char*>(&a), sizeof a);
    bytes_.append(value);
    Align();
  }
  void AddNumber(uint16_t type, uint32_t value) {
    Add(type, std::string_view(reinterpret_cast<const char*>(&value), sizeof value));
  }
  std::string_view Finish() {
    head_.nlmsg_len = static_cast<uint32_t>(bytes_.size());
    memcpy(bytes_.data(), &head_, sizeof head_);
    return bytes_;
  }

 private:
  void Align() { bytes_.resize(NLMSG_ALIGN(bytes_.size()), '\0'); }
  nlmsghdr head_ = {};
  std::string bytes_;
};

// Ask sends one request and hands every answer to `each` until the kernel has said all. 0 or errno.
int Ask(int socket, Message message, const std::function<void(std::string_view)>& each = {}) {
  std::string_view request = message.Finish();
  ssize_t n;
  do n = send(socket, request.data(), request.size(), 0);
  while (n < 0 && errno == EINTR);
  if (n < 0) return errno;
  std::vector<char> buffer(32768);
  for (;;) {
    do n = recv(socket, buffer.data(), buffer.size(), MSG_TRUNC);
    while (n < 0 && errno == EINTR);
    if (n < 0) return errno;
    if (static_cast<size_t>(n) > buffer.size()) return EMSGSIZE;
    std::string_view rest(buffer.data(), static_cast<size_t>(n));
    while (rest.size() >= sizeof(nlmsghdr)) {
      nlmsghdr head;
      memcpy(&head, rest.data(), sizeof head);
      if (head.nlmsg_len < NLMSG_HDRLEN || head.nlmsg_len > rest.size()) return EPROTO;
      std::string_view body = rest.substr(NLMSG_HDRLEN, head.nlmsg_len - NLMSG_HDRLEN);
      rest.remove_prefix(std::min<size_t>(NLMSG_ALIGN(head.nlmsg_len), rest.size()));
      if (head.nlmsg_type == NLMSG_DONE) return 0;
      if (head.nlmsg_type == NLMSG_ERROR) {
        int error = 0;
        if (body.size() >= sizeof error) memcpy(&error, body.data(), sizeof error);
        return -error;
      }
      if (each) each(body);
    }
  }
}

// Calls `each` for the attributes behind a fixed body.
template <typename Body>
void Attributes(std::string_view message,
                const std::function<void(uint16_t, std::string_view)>& each) {
  if (message.size() < NLMSG_ALIGN(sizeof(Body))) return;
  message.remove_prefix(NLMSG_ALIGN(sizeof(Body)));
  while (message.size() >= NLA_HDRLEN) {
    nlattr a;
    memcpy(&a, message.data(), sizeof a);
    if (a.nla_len < NLA_HDRLEN || a.nla_len > message.size()) return;
    each(a.nla_type & NLA_TYPE_MASK, message.substr(NLA_HDRLEN, a.nla_len - NLA_HDRLEN));
    message.remove_prefix(std::min<size_t>(NLA_ALIGN(a.nla_len), message.size()));
  }
}

// Name and index of every interface.
int Links(int socket, std::map<std::string, int>* links) {
  links->clear();
  return Ask(socket, Message(RTM_GETLINK, NLM_F_DUMP, ifinfomsg{}), [&](std::string_view m) {
    ifinfomsg info;
    if (m.size() < sizeof info) return;
    memcpy(&info, m.data(), sizeof info);
    Attributes<ifinfomsg>(m, [&](uint16_t type, std::string_view value) {
      if (type == IFLA_IFNAME)
        (*links)[std::string(value.substr(0, value.find('\0')))] = info.ifi_index;
    });
  });
}

struct Address {
  ifaddrmsg head = {};
  std::vector<std::pair<uint16_t, std::string>> attributes;
};

// The addresses that belong to the interface itself and not to the moment.
int PermanentAddresses(int socket, int index, std::vector<Address>* addresses) {
  return Ask(socket, Message(RTM_GETADDR, NLM_F_DUMP, ifaddrmsg{}), [&](std::string_view m) {
    Address a;
    if (m.size() < sizeof a.head) return;
    memcpy(&a.head, m.data(), sizeof a.head);
    if (static_cast<int>(a.head.ifa_index) != index || a.head.ifa_scope != RT_SCOPE_UNIVERSE)
      return;
    uint32_t flags = a.head.ifa_flags;
    Attributes<ifaddrmsg>(m, [&](uint16_t type, std::string_view value) {
      if (type == IFA_FLAGS && value.size() == sizeof flags)
        memcpy(&flags, value.data(), sizeof flags);
      if (type == IFA_LOCAL || type == IFA_ADDRESS || type == IFA_BROADCAST || type == IFA_FLAGS ||
          type == IFA_RT_PRIORITY)
        a.attributes.emplace_back(type, value);
    });
    if (flags & IFA_F_PERMANENT) addresses->push_back(std::move(a));
  });
}

absl::Status Fail(int error, const std::string& device, std::string_view doing) {
  return base::FailErrno("run.network", error).Detail("net.device", device)
         << "linux.netDevices[" << device << "]: " << doing;
}

absl::Status Move(int host, int container, int network, int index, const std::string& device,
                  const std::string& name) {
  std::vector<Address> addresses;
  if (int error = PermanentAddresses(host, index, &addresses); error != 0)
    return Fail(error, device, "reading its addresses");
  std::map<std::string, int> before, after;
  if (int error = Links(container, &before); error != 0)
    return Fail(error, device, "listing the container's devices");
  // The kernel would move it first and then fail to rename it.
  if (before.count(name) != 0)
    return Fail(EEXIST, device, absl::StrCat("the container has a device ", name));
  ifinfomsg info = {};
  info.ifi_index = index;
  Message move(RTM_NEWLINK, NLM_F_ACK, info);
  move.AddNumber(IFLA_NET_NS_FD, static_cast<uint32_t>(network));
  move.Add(IFLA_IFNAME, std::string_view(name.c_str(), name.size() + 1));
  if (int error = Ask(host, std::move(move)); error != 0)
    return Fail(error, device, absl::StrCat("moving it into the container as ", name));
  if (int error = Links(container, &after); error != 0)
    return Fail(error, device, "finding it in the container");
  int there = 0;
  for (const auto& [found, number] : after)
    if (before.count(found) == 0) there = number;
  for (const Address& a : addresses) {
    ifaddrmsg head = a.head;
    head.ifa_index = static_cast<uint32_t>(there);
    Message add(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, head);
    for (const auto& [type, value] : a.attributes) add.Add(type, value);
    int error = Ask(container, std::move(add));
    if (error != 0 && error != EEXIST) return Fail(error, device, "giving it back its addresses");
  }
  ifinfomsg up = {};
  up.ifi_index = there;
  up.ifi_flags = up.ifi_change = IFF_UP;
  if (int error = Ask(container, Message(RTM_NEWLINK, NLM_F_ACK, up)); error != 0)
    return Fail(error, device, "setting it up");
  return absl::OkStatus();
}

}  // namespace

absl::Status MoveNetDevices(const std::map<std::string, NetDevice>& devices, int container) {
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (fd < 0) return base::FailErrno("run.network", errno) << "making a netlink socket";
  COAM_ASSIGN_OR_RETURN(base::UniqueFd host, base::HighFd(fd));
  int ns = ioctl(container, SIOCGSKNS);
  if (ns < 0) return base::FailErrno("run.network", errno) << "finding the container's network";
  COAM_ASSIGN_OR_RETURN(base::UniqueFd network, base::HighFd(ns));
  fcntl(network.get(), F_SETFD, FD_CLOEXEC);
  std::map<std::string, int> links;
  if (int error = Links(host.get(), &links); error != 0)
    return base::FailErrno("run.network", error) << "listing the host's network devices";
  for (const auto& [device, options] : devices) {
    auto found = links.find(device);
    if (found == links.end()) return Fail(ENODEV, device, "the host has no such network device");
    COAM_RETURN_IF_ERROR(Move(host.get(), container, network.get(), found->second, device,
                              options.name.empty() ? device : options.name));
  }
  return absl::OkStatus();
}

}  // namespace coaming::run::internal
