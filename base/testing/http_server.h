// HttpServer is a real HTTP/1.1 server on 127.0.0.1 for tests: raw sockets and a thread, so that it can
// misbehave in any way a peer can. For TLS put nginx in front, or use NginxServer.
//
//   HttpServer server([](const ServerRequest& r, ServerReply& reply) { reply.body = "hello"; });
//   transport->FetchBytes(op, {.url = server.url("/x"), .allow_http = true}, ...);
#ifndef COAMING_BASE_TESTING_HTTP_SERVER_H_
#define COAMING_BASE_TESTING_HTTP_SERVER_H_

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/core/unique_fd.h"
#include "base/http/headers.h"

namespace coaming::base::testing {

struct ServerRequest {
  std::string method, target, body;  // target: "/path?query"
  HttpHeaders headers;
};

struct ServerReply {
  int status = 200;
  HttpHeaders headers;
  std::string body;
  int64_t cut_after = -1;    // close the connection after so many body bytes
  int64_t stall_after = -1;  // send so many body bytes, then hang until the server is stopped
  bool ranges = false;       // honour Range and If-Range
  bool chunked = false;
  std::string raw;  // not empty: sent instead of everything, then the connection is closed
};

class HttpServer {
 public:
  using Handler = std::function<void(const ServerRequest&, ServerReply&)>;
  explicit HttpServer(Handler handler);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;

  int port() const { return port_; }
  std::string url(std::string_view target) const;  // "http://127.0.0.1:PORT/target"
  std::vector<ServerRequest> requests() const;
  int connections() const { return connections_; }

 private:
  void Accept();
  void Serve(int fd);
  bool SendAll(int fd, std::string_view bytes);

  Handler handler_;
  UniqueFd listener_, stop_;
  int port_ = 0;
  std::atomic<int> connections_{0};
  mutable std::mutex mu_;
  std::vector<ServerRequest> requests_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

// NginxServer runs Debian's nginx on loopback over HTTPS with a CA of its own (made by openssl).
class NginxServer {
 public:
  // Serves `root`; `names` go into the certificate. `extra` is put into the server block.
  NginxServer(std::string root, std::vector<std::string> names, std::string extra = "");
  ~NginxServer();
  NginxServer(const NginxServer&) = delete;
  bool ok() const { return pid_ > 0; }
  const std::string& why() const { return why_; }  // why it is not ok
  int port() const { return port_; }
  std::string ca_file() const { return dir_ + "/ca.pem"; }
  // A client certificate signed by the same CA.
  std::string client_certificate_file() const { return dir_ + "/client.pem"; }
  std::string client_key_file() const { return dir_ + "/client.key"; }

 private:
  std::string dir_, why_;
  int pid_ = 0;
  int port_ = 0;
};

}  // namespace coaming::base::testing

#endif  // COAMING_BASE_TESTING_HTTP_SERVER_H_
