// Where keys and passphrases are while they are used, and after: a child opens a protected key with a
// planted passphrase, signs and exports, and searches its own memory. What a core file would hold (every
// mapping but those marked "dd" in smaps) never shows the secret; when all is freed nothing does.
// The child knows what it looks for only under a mask, so that it does not find its own question.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <vector>

#include "base/core/error.h"
#include "libtrust/openpgp/certificate_data.h"
#include "libtrust/openpgp/sign.h"
#include "libtrust/openpgp/test_gpg_home.h"

namespace coaming::trust::openpgp {
namespace {

constexpr char kMask = 0x5a;

std::string Masked(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(c ^ kMask);
  return out;
}

struct Found {
  int dumped = 0;  // in memory that a core file holds
  int hidden = 0;  // in memory left out of it
  std::string where;
};

// Scanner searches the memory of this process. Its buffer is its own mapping, and not searched.
class Scanner {
 public:
  Scanner()
      : buffer_(static_cast<char*>(
            mmap(nullptr, kBuffer, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))) {
    madvise(buffer_, kBuffer, MADV_DONTDUMP);
  }
  ~Scanner() { munmap(buffer_, kBuffer); }
  Scanner(const Scanner&) = delete;
  Scanner& operator=(const Scanner&) = delete;

  Found Search(const std::string& masked) {
    Found out;
    int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    REQUIRE(mem >= 0);
    std::ifstream smaps("/proc/self/smaps");
    uint64_t begin = 0, end = 0;
    bool readable = false;
    std::string mapping;
    for (std::string line; std::getline(smaps, line);) {
      uint64_t a = 0, b = 0;
      char flags[8] = {};
      if (sscanf(line.c_str(), "%lx-%lx %7s", &a, &b, flags) == 3) {
        mapping = line;
        begin = a;
        end = b;
        readable = flags[0] == 'r' && line.find("[v") == std::string::npos;
      } else if (line.rfind("VmFlags:", 0) == 0 && readable) {
        int n = Count(mem, begin, end, masked);
        const bool hidden = line.find(" dd") != std::string::npos;
        (hidden ? out.hidden : out.dumped) += n;
        if (n != 0 && !hidden) out.where += mapping + "\n";
      }
    }
    close(mem);
    memset(buffer_, 0, kBuffer);
    return out;
  }

 private:
  static constexpr size_t kBuffer = 1 << 20;

  int Count(int mem, uint64_t begin, uint64_t end, const std::string& masked) {
    int n = 0;
    const uint64_t own = reinterpret_cast<uint64_t>(buffer_);
    while (begin < end) {
      if (begin >= own && begin < own + kBuffer) {
        begin = own + kBuffer;
        continue;
      }
      uint64_t stop = begin < own && own < end ? own : end;
      size_t want = std::min<uint64_t>(kBuffer, stop - begin);
      ssize_t got = pread(mem, buffer_, want, static_cast<off_t>(begin));
      if (got <= 0) break;
      for (ssize_t i = 0; i < got; ++i) buffer_[i] = static_cast<char>(buffer_[i] ^ kMask);
      std::string_view text(buffer_, static_cast<size_t>(got));
      for (size_t at = text.find(masked); at != text.npos; at = text.find(masked, at + 1)) ++n;
      if (static_cast<size_t>(got) < want || begin + want == stop)
        begin += static_cast<size_t>(got);
      else begin += want - masked.size() + 1;
    }
    return n;
  }
  char* buffer_;
};

// Reads a file without leaving its bytes anywhere else.
SecretBytes ReadUnmasked(const std::string& path) {
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  REQUIRE(fd >= 0);
  SecretBytes out(4096);
  ssize_t n = read(fd, out.data(), out.size());
  close(fd);
  REQUIRE(n > 0);
  for (ssize_t i = 0; i < n; ++i) out.data()[i] = static_cast<char>(out.data()[i] ^ kMask);
  out.Truncate(static_cast<size_t>(n));
  return out;
}

std::string ReadAll(const std::string& path) {
  std::ifstream f(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(f), {});
}

// The numbers of the first secret key packet of a file without protection: usage octet, then MPIs.
std::string SecretPart(std::string_view file) {
  std::vector<internal::SecretPacket> secrets;
  auto read = internal::ReadCertificates(file, &secrets);
  REQUIRE(read.ok());
  REQUIRE_FALSE(secrets.empty());
  return secrets[0].secret_part;
}

TEST_CASE("secrets: the child that searches itself", "[.child]") {
  const char* place = getenv("COAM_TEST_SECRETS");
  if (place == nullptr) SKIP("run by the test below");
  const std::string dir = place;
  const std::string protected_key = ReadAll(dir + "/key.asc");
  const std::string masked_passphrase = ReadAll(dir + "/passphrase");
  std::vector<std::string> needles = {masked_passphrase};
  for (const char* name : {"forward", "backward"}) needles.push_back(ReadAll(dir + "/" + name));
  Scanner scanner;
  const int64_t now = std::time(nullptr);
  auto searches = [&](bool alive) {
    for (size_t i = 0; i < needles.size(); ++i) {
      INFO("needle " << i << (alive ? ", in use" : ", after use"));
      Found found = scanner.Search(needles[i]);
      INFO(found.where);
      CHECK(found.dumped == 0);
      // In use the passphrase and the key are seen, so the search can see; afterwards they are gone.
      if (!alive) CHECK(found.hidden == 0);
      else if (i < 2) CHECK(found.hidden > 0);
    }
  };
  {
    SecretBytes passphrase = ReadUnmasked(dir + "/passphrase");
    auto wrong = SecretKey::FromBytes(protected_key, "no");
    CHECK(base::HasReason(wrong.status(), "sig.passphrase"));
    auto key = SecretKey::FromBytes(protected_key, passphrase.view());
    REQUIRE(key.ok());
    CHECK(key->SignDetached("data", {.time = now}).ok());
    CHECK(key->SignInline("data", {.time = now}).ok());
    {
      auto again = key->Export(passphrase.view());
      REQUIRE(again.ok());
      auto open = key->Export("", false);
      REQUIRE(open.ok());
    }
    searches(true);
  }
  searches(false);
}

TEST_CASE("secrets: keys and passphrases stay out of core files and are gone after use",
          "[libtrust][openpgp]") {
  KeyType type = GENERATE(KeyType::kEd25519, KeyType::kEcdsaP256, KeyType::kRsa);
  INFO(KeyTypeName(type));
  GpgHome home;
  // No literal of this program is the passphrase.
  std::string passphrase = "planted ";
  for (char c : RandomBytes(12)) passphrase += static_cast<char>('a' + (c & 15));
  auto key = SecretKey::Generate(
      {.user_id = "Ann", .type = type, .rsa_bits = 2048, .created = std::time(nullptr) - 100});
  REQUIRE(key.ok());
  auto exported = key->Export(passphrase);
  REQUIRE(exported.ok());
  // 16 bytes out of the middle of the secret number, as it is stored and as little-endian words.
  auto plain = key->Export("", /*armor=*/false);
  REQUIRE(plain.ok());
  std::string body = SecretPart(plain->view());
  REQUIRE(body.size() >= 34);
  std::string needle = body.substr(body.size() < 100 ? 11 : 60, 16),
              backward(needle.rbegin(), needle.rend());
  home.Write("key.asc", std::string(exported->view()));
  home.Write("passphrase", Masked(passphrase));
  home.Write("forward", Masked(needle));
  home.Write("backward", Masked(backward));
  char self[4096] = {};
  REQUIRE(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
  std::string said;
  int status = home.Run("env -u BAZEL_TEST -u XML_OUTPUT_FILE COAM_TEST_SECRETS=. '" +
                            std::string(self) + "' 'secrets: the child that searches itself'",
                        &said);
  INFO(said);
  CHECK(status == 0);
  CHECK(said.find(passphrase) == std::string::npos);
}

}  // namespace
}  // namespace coaming::trust::openpgp
