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

// gpg and gpgv tell by status lines. The exit status is no verdict: it is 0 for expired and revoked
// keys.
inline bool StatusIsGood(const std::string& said) {
  bool good = said.find("GNUPG:] GOODSIG") != std::string::npos;
  for (const char* no : {"EXPSIG", "EXPKEYSIG", "REVKEYSIG", "BADSIG", "ERRSIG", "NODATA"})
    if (said.find(std::string("GNUPG:] ") + no) != std::string::npos) good = false;
  return good;
}

// Accepts asks one tool about the files pub, sig and data. gpg reads the keyring as it is, as gpgv
// does: an import would drop what the case is about.
inline bool Accepts(const GpgHome& home, const std::string& tool, std::string* said) {
  if (tool == "sqv") return home.Run("timeout 20 sqv --keyring pub sig data", said) == 0;
  home.Run(tool == "gpgv"
               ? "timeout 20 gpgv --status-fd 1 --keyring ./pub sig data"
               : "timeout 20 gpg --batch --no-tty --no-autostart --no-auto-check-trustdb "
                 "--trust-model always --no-default-keyring --keyring ./pub "
                 "--status-fd 1 --verify sig data",
           said);
  return StatusIsGood(*said);
}

}  // namespace coaming::trust::openpgp

#endif  // COAMING_LIBTRUST_OPENPGP_TEST_GPG_HOME_H_
