#include "examples/coam/notary_shared.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace coam {
namespace {

std::string Environment(const char* name) {
  const char* value = getenv(name);
  return value == nullptr ? "" : value;
}

// The variables that notary and docker read, for a key's role.
std::string PassphraseFromEnvironment(const std::string& role) {
  struct Row {
    const char *role, *notary, *docker;
  };
  constexpr Row kRows[] = {
      {"root", "NOTARY_ROOT_PASSPHRASE", "DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE"},
      {"targets", "NOTARY_TARGETS_PASSPHRASE", "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE"},
      {"snapshot", "NOTARY_SNAPSHOT_PASSPHRASE", "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE"},
      // "delegation", or the name of a signer.
      {"", "NOTARY_DELEGATION_PASSPHRASE", "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE"},
  };
  for (const Row& row : kRows) {
    if (*row.role != 0 && role != row.role) continue;
    const std::string value = Environment(row.notary);
    return value.empty() ? Environment(row.docker) : value;
  }
  return "";
}

// Reads a line from the terminal without showing it.
bool ReadHidden(int terminal, const std::string& prompt, std::string* out) {
  termios saved{};
  if (tcgetattr(terminal, &saved) != 0) return false;
  termios quiet = saved;
  quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
  if (write(terminal, prompt.data(), prompt.size()) < 0 ||
      tcsetattr(terminal, TCSAFLUSH, &quiet) != 0)
    return false;
  char c = 0;
  ssize_t n;
  while ((n = read(terminal, &c, 1)) == 1 && c != '\n') *out += c;
  tcsetattr(terminal, TCSAFLUSH, &saved);
  return write(terminal, "\n", 1) == 1 && n == 1;
}

int32_t AskPassphrase(void*, const char* key_id, const char* role, int32_t create, int32_t attempt,
                      char* passphrase, size_t size) {
  std::string text = PassphraseFromEnvironment(role);
  if (!text.empty() && attempt > 0) return 1;  // it would be wrong again
  if (text.empty()) {
    const int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (terminal < 0) return 1;
    const std::string what = std::string(role) + " key with ID " + std::string(key_id, 7);
    if (attempt > 0) Say("Passphrase incorrect. Please retry.");
    std::string again;
    const bool ok =
        ReadHidden(
            terminal,
            (create != 0 ? "Enter passphrase for new " : "Enter passphrase for ") + what + ": ",
            &text) &&
        (create == 0 || (ReadHidden(terminal, "Repeat passphrase for new " + what + ": ", &again) &&
                         text == again));
    close(terminal);
    explicit_bzero(again.data(), again.size());
    if (!ok) {
      if (create != 0) Say("The passphrases do not match.");
      return 1;
    }
  }
  const bool fits = text.size() < size;
  if (fits) memcpy(passphrase, text.c_str(), text.size() + 1);
  explicit_bzero(text.data(), text.size());
  return fits ? 0 : 1;
}

// The registry's host in an image's name, as docker tells it from a name on Docker Hub.
std::string RegistryOf(std::string image) {
  if (image.rfind("docker://", 0) == 0) image.erase(0, 9);
  const size_t slash = image.find('/');
  const std::string first = slash == std::string::npos ? "" : image.substr(0, slash);
  if (first == "localhost" || first.find_first_of(".:") != std::string::npos) return first;
  return "";
}

}  // namespace

int OpenNotary(Invocation& in, const Options& options, std::string_view subject, Notary* out) {
  if (in.context() == nullptr || !options) return 2;
  Error error;
  if (coam_notary_open(in.context(), options.get(), Take(*out), Take(error)) != COAM_OK)
    return in.Fail(error, subject);
  coam_notary_set_passphrase(out->get(), AskPassphrase, nullptr, nullptr);
  return 0;
}

int OpenTrust(Invocation& in, const std::string& image, Notary* out) {
  // A registry's login is read from its descriptor once, and not for the trust server.
  auto login = in.given.extract("creds-fd");
  const Options options = in.MakeOptions("notary.open");
  if (!login.empty()) in.given.insert(std::move(login));
  if (!options) return 2;
  std::string server = in.Value("content-trust", in.Value("server"));
  if (server.empty()) server = Environment("DOCKER_CONTENT_TRUST_SERVER");
  if (server.empty() && !RegistryOf(image).empty()) server = "https://" + RegistryOf(image);
  if (server.empty() && !image.empty())
    return in.Usage("name the trust server with --server or DOCKER_CONTENT_TRUST_SERVER");
  std::string dir = in.Value("trust-dir");
  if (dir.empty()) {
    const std::string config = Environment("DOCKER_CONFIG");
    dir = (config.empty() ? Environment("HOME") + "/.docker" : config) + "/trust";
  }
  if (!SetOption(in, options, "server", server) || !SetOption(in, options, "trust-dir", dir))
    return 2;
  return OpenNotary(in, options, image, out);
}

std::vector<std::string> SplitList(const std::vector<std::string>& values) {
  std::vector<std::string> out;
  for (const std::string& value : values) {
    size_t at = 0;
    for (;;) {
      const size_t comma = value.find(',', at);
      out.push_back(value.substr(at, comma == std::string::npos ? comma : comma - at));
      if (comma == std::string::npos) break;
      at = comma + 1;
    }
  }
  return out;
}

bool WriteTextFile(const std::string& path, std::string_view bytes, unsigned mode) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
  bool ok = fd >= 0 && fchmod(fd, mode) == 0 &&
            write(fd, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size());
  if (fd >= 0 && close(fd) != 0) ok = false;
  if (!ok) Say("coam: " + path + ": " + std::strerror(errno));
  return ok;
}

}  // namespace coam
