// Test help: a throw-away GnuPG home, and running gpg, gpgv and sqv in it.
#ifndef COAMING_LIBTRUST_OPENPGP_TEST_GPG_HOME_H_
#define COAMING_LIBTRUST_OPENPGP_TEST_GPG_HOME_H_

#include <stdlib.h>
#include <sys/wait.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>

namespace coaming::trust::openpgp {

class GpgHome {
 public:
  GpgHome() {
    char dir[] = "/tmp/coam-gpg-XXXXXX";
    if (mkdtemp(dir) != nullptr) dir_ = dir;
  }
  ~GpgHome() {
    Run("gpgconf --kill all");
    (void)!system(("rm -rf '" + dir_ + "'").c_str());
  }
  GpgHome(const GpgHome&) = delete;
  GpgHome& operator=(const GpgHome&) = delete;

  static bool Have(const std::string& tool) {
    return system(("command -v " + tool + " >/dev/null 2>&1").c_str()) == 0;
  }

  std::string Path(const std::string& name) const { return dir_ + "/" + name; }
  // Run runs a shell command in the home; out gets stdout and stderr. Returns the exit status.
  int Run(const std::string& command, std::string* out = nullptr) const {
    std::string line = "cd '" + dir_ + "' && export GNUPGHOME='" + dir_ + "' LC_ALL=C; { " +
                       command + " ; } 2>&1 </dev/null";
    FILE* p = popen(line.c_str(), "r");
    if (p == nullptr) return -1;
    std::string text;
    char buf[4096];
    size_t n;
    while ((n = fread(buf, 1, sizeof(buf), p)) > 0) text.append(buf, n);
    int status = pclose(p);
    if (out != nullptr) *out = text;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  int Gpg(const std::string& arguments, std::string* out = nullptr) const {
    return Run(
        "gpg --batch --yes --quiet --no-tty --pinentry-mode loopback --passphrase '' " + arguments,
        out);
  }
  std::string Read(const std::string& name) const {
    std::ifstream f(Path(name), std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(f), {});
  }
  void Write(const std::string& name, const std::string& bytes) const {
    std::ofstream f(Path(name), std::ios::binary);
    f << bytes;
  }

 private:
  std::string dir_;
};

}  // namespace coaming::trust::openpgp

#endif  // COAMING_LIBTRUST_OPENPGP_TEST_GPG_HOME_H_
