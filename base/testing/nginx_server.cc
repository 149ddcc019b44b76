// Debian's nginx over HTTPS on loopback, with certificates made by openssl for this run.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "base/testing/environment.h"
#include "base/testing/http_server.h"

namespace coaming::base::testing {
namespace {

int FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  int port = 0;
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
      getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0) {
    port = ntohs(address.sin_port);
  }
  close(fd);
  return port;
}

bool Connects(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  const bool ok = connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  close(fd);
  return ok;
}

}  // namespace

NginxServer::NginxServer(std::string root, std::vector<std::string> names, std::string extra) {
  const std::string nginx = ProgramPath("nginx");
  if (nginx.empty() || ProgramPath("openssl").empty()) {
    why_ = "needs nginx and openssl";
    return;
  }
  char name[] = "/tmp/coam-nginx-XXXXXX";
  if (mkdtemp(name) == nullptr) {
    why_ = "no temporary directory";
    return;
  }
  dir_ = name;
  port_ = FreePort();
  std::string alt;
  for (const std::string& n : names) {
    absl::StrAppend(&alt, alt.empty() ? "" : ",",
                    n.find_first_not_of("0123456789.") == n.npos ? "IP:" : "DNS:", n);
  }
  std::ofstream(dir_ + "/server.ext") << "subjectAltName=" << alt << "\n";
  std::ofstream(dir_ + "/client.ext") << "extendedKeyUsage=clientAuth\n";
  const std::string ec = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
  std::string output;
  const int made =
      Shell(absl::StrCat("cd ", dir_, " && openssl req -x509 ", ec,
                         " -keyout ca.key -out ca.pem -days 2 -subj /CN=coaming-test-ca"
                         " -addext basicConstraints=critical,CA:TRUE"
                         " && for n in server client; do openssl req ",
                         ec,
                         " -keyout $n.key -out $n.csr -subj /CN=$n"
                         " && openssl x509 -req -in $n.csr -CA ca.pem -CAkey ca.key -CAcreateserial"
                         " -days 2 -extfile $n.ext -out $n.pem; done"),
            &output);
  if (made != 0) {
    why_ = "openssl failed: " + output;
    return;
  }
  std::ofstream(dir_ + "/nginx.conf")
      << "daemon off; master_process off; pid " << dir_ << "/pid; error_log " << dir_
      << "/error.log;\nevents { worker_connections 256; }\nhttp { access_log off;"
      << " client_body_temp_path " << dir_ << "/body; proxy_temp_path " << dir_
      << "/proxy; fastcgi_temp_path " << dir_ << "/f; uwsgi_temp_path " << dir_
      << "/u; scgi_temp_path " << dir_ << "/s;\nserver { listen 127.0.0.1:" << port_
      << " ssl http2; ssl_certificate " << dir_ << "/server.pem; ssl_certificate_key " << dir_
      << "/server.key; ssl_client_certificate " << dir_ << "/ca.pem; root " << root << ";\n"
      << extra << "\n} }\n";
  const std::string conf = dir_ + "/nginx.conf";
  pid_ = fork();
  if (pid_ == 0) {
    const std::string prefix = dir_ + "/";
    const std::string log = dir_ + "/start.log";
    if (freopen(log.c_str(), "w", stderr) == nullptr) _exit(1);
    execl(nginx.c_str(), "nginx", "-p", prefix.c_str(), "-c", conf.c_str(),
          static_cast<char*>(nullptr));
    _exit(127);
  }
  for (int i = 0; i < 500 && !Connects(port_); ++i) {
    if (waitpid(pid_, nullptr, WNOHANG) == pid_) {
      pid_ = 0;
      std::ifstream log(dir_ + "/start.log");
      why_ = "nginx ended: " + std::string(std::istreambuf_iterator<char>(log), {});
      return;
    }
    const timespec pause{0, 10'000'000};
    nanosleep(&pause, nullptr);
  }
}

NginxServer::~NginxServer() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  std::error_code ignored;
  if (!dir_.empty()) std::filesystem::remove_all(dir_, ignored);
}

}  // namespace coaming::base::testing
