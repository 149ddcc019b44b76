#include "base/testing/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace coaming::base::testing {
namespace {

// Reads until `needle`, or `want` bytes when it is empty. False at the end or when stopped.
class Connection {
 public:
  Connection(int fd, int stop) : fd_(fd), stop_(stop) {}

  bool Fill() {
    pollfd p[2] = {{fd_, POLLIN, 0}, {stop_, POLLIN, 0}};
    if (poll(p, 2, -1) < 0 || p[1].revents != 0) return false;
    char block[16 << 10];
    const ssize_t n = recv(fd_, block, sizeof block, 0);
    if (n <= 0) return false;
    buffer.append(block, static_cast<size_t>(n));
    return true;
  }
  bool Until(std::string_view needle, std::string* out) {
    size_t at;
    while ((at = buffer.find(needle)) == std::string::npos) {
      if (buffer.size() > (1 << 20) || !Fill()) return false;
      if (buffer[0] == 0x16) return false;  // TLS is spoken to us: hang up
    }
    *out = buffer.substr(0, at);
    buffer.erase(0, at + needle.size());
    return true;
  }
  bool Exactly(size_t n, std::string* out) {
    while (buffer.size() < n) {
      if (!Fill()) return false;
    }
    *out = buffer.substr(0, n);
    buffer.erase(0, n);
    return true;
  }
  std::string buffer;

 private:
  int fd_, stop_;
};

bool ReadBody(Connection& c, ServerRequest* r) {
  if (absl::EqualsIgnoreCase(r->headers.Get("Transfer-Encoding"), "chunked")) {
    for (;;) {
      std::string line, chunk;
      if (!c.Until("\r\n", &line)) return false;
      size_t n = 0;
      if (!absl::SimpleHexAtoi(line, &n)) return false;
      if (!c.Exactly(n + 2, &chunk)) return false;
      if (n == 0) return true;
      r->body.append(chunk, 0, n);
    }
  }
  size_t length = 0;
  if (!absl::SimpleAtoi(r->headers.Get("Content-Length"), &length)) return true;
  return c.Exactly(length, &r->body);
}

void ApplyRange(const ServerRequest& request, ServerReply* reply) {
  const std::string_view range = request.headers.Get("Range");
  int64_t first = 0;
  const int64_t total = static_cast<int64_t>(reply->body.size());
  if (!reply->ranges || reply->status != 200 || !absl::StartsWith(range, "bytes=") ||
      !absl::EndsWith(range, "-") || !absl::SimpleAtoi(range.substr(6, range.size() - 7), &first)) {
    return;
  }
  const std::string_view tag = request.headers.Get("If-Range");
  if (!tag.empty() && tag != reply->headers.Get("ETag")) return;
  if (first >= total) {
    reply->status = 416;
    reply->headers.Set("Content-Range", absl::StrCat("bytes */", total));
    reply->body.clear();
    return;
  }
  reply->status = 206;
  reply->headers.Set("Content-Range", absl::StrCat("bytes ", first, "-", total - 1, "/", total));
  reply->body.erase(0, static_cast<size_t>(first));
}

}  // namespace

HttpServer::HttpServer(Handler handler) : handler_(std::move(handler)) {
  listener_.Reset(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  stop_.Reset(eventfd(0, EFD_CLOEXEC));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      listen(listener_.get(), 64) != 0 ||
      getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw std::runtime_error("cannot listen on 127.0.0.1");
  }
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { Accept(); });
}

HttpServer::~HttpServer() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = write(stop_.get(), &one, sizeof one);
  acceptor_.join();
  for (std::thread& t : threads_) t.join();
}

std::string HttpServer::url(std::string_view target) const {
  return absl::StrCat("http://127.0.0.1:", port_, target);
}

std::vector<ServerRequest> HttpServer::requests() const {
  std::lock_guard<std::mutex> lock(mu_);
  return requests_;
}

void HttpServer::Accept() {
  for (;;) {
    pollfd p[2] = {{listener_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
    if (poll(p, 2, -1) < 0 && errno != EINTR) return;
    if (p[1].revents != 0) return;
    if (p[0].revents == 0) continue;
    const int fd = accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) continue;
    const int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    ++connections_;
    threads_.emplace_back([this, fd] {
      Serve(fd);
      close(fd);
    });
  }
}

bool HttpServer::SendAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    pollfd p[2] = {{fd, POLLOUT, 0}, {stop_.get(), POLLIN, 0}};
    if (poll(p, 2, -1) < 0 || p[1].revents != 0) return false;
    const ssize_t n = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

void HttpServer::Serve(int fd) {
  Connection c(fd, stop_.get());
  for (;;) {
    std::string block;
    if (!c.Until("\r\n\r\n", &block)) return;
    ServerRequest request;
    std::string_view rest = block;
    const size_t eol = std::min(rest.find("\r\n"), rest.size());
    const std::string_view line = rest.substr(0, eol);
    const size_t a = line.find(' '), b = line.rfind(' ');
    if (a == std::string_view::npos || b <= a) return;
    request.method = line.substr(0, a);
    request.target = line.substr(a + 1, b - a - 1);
    rest.remove_prefix(std::min(eol + 2, rest.size()));
    while (!rest.empty()) {
      const size_t end = std::min(rest.find("\r\n"), rest.size());
      const std::string_view field = rest.substr(0, end);
      const size_t colon = field.find(':');
      if (colon != std::string_view::npos) {
        request.headers.Add(field.substr(0, colon),
                            absl::StripAsciiWhitespace(field.substr(colon + 1)));
      }
      rest.remove_prefix(std::min(end + 2, rest.size()));
    }
    if (!ReadBody(c, &request)) return;
    {
      std::lock_guard<std::mutex> lock(mu_);
      requests_.push_back(request);
    }
    ServerReply reply;
    handler_(request, reply);
    if (!reply.raw.empty()) {
      SendAll(fd, reply.raw);
      return;
    }
    ApplyRange(request, &reply);
    std::string head = absl::StrCat("HTTP/1.1 ", reply.status, " X\r\n");
    for (const auto& [name, value] : reply.headers.list()) {
      absl::StrAppend(&head, name, ": ", value, "\r\n");
    }
    if (reply.chunked) {
      absl::StrAppend(&head, "Transfer-Encoding: chunked\r\n");
    } else if (!reply.headers.Has("Content-Length")) {
      absl::StrAppend(&head, "Content-Length: ", reply.body.size(), "\r\n");
    }
    absl::StrAppend(&head, "\r\n");
    std::string body = request.method == "HEAD" ? "" : reply.body;
    if (reply.chunked) {
      body = absl::StrCat(absl::Hex(body.size()), "\r\n", body,
                          body.empty() ? "\r\n" : "\r\n0\r\n\r\n");
    }
    if (reply.cut_after >= 0) body = body.substr(0, static_cast<size_t>(reply.cut_after));
    if (reply.stall_after >= 0) body = body.substr(0, static_cast<size_t>(reply.stall_after));
    if (!SendAll(fd, head) || !SendAll(fd, body)) return;
    if (reply.stall_after >= 0) {
      // Until the server is stopped or the peer goes away.
      while (c.Fill()) {
      }
      return;
    }
    if (reply.cut_after >= 0) return;
  }
}

}  // namespace coaming::base::testing
