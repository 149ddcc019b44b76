// Holds flaws.tsv to what it says: every flaw that we know of has a row, and every row names a test, or a
// case of a table of cases, that is there.
#include <catch2/catch_test_macros.hpp>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace {

// A source file with its adjacent string literals joined, as the compiler sees them.
std::string Source(const std::string& path) {
  std::ifstream f(path, std::ios::binary);
  std::string text(std::istreambuf_iterator<char>(f), {}), out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') {
      size_t next = text.find_first_not_of(" \n", i + 1);
      if (next != std::string::npos && next > i + 1 && text[next] == '"' &&
          text.find('\n', i) < next) {
        i = next;
        continue;
      }
    }
    out += text[i];
  }
  return out;
}

std::vector<std::string> Columns(const std::string& line) {
  std::vector<std::string> out;
  for (size_t at = 0;;) {
    size_t tab = line.find('\t', at);
    out.push_back(line.substr(at, tab - at));
    if (tab == std::string::npos) return out;
    at = tab + 1;
  }
}

// What the trackers of the tools like ours have on record, and the audits.
constexpr const char* kKnown[] = {
    "CVE-2018-12020",        "CVE-2019-14855",     "CVE-2020-6173",       "CVE-2020-6174",
    "CVE-2020-15093",        "CVE-2020-15163",     "CVE-2021-41131",      "CVE-2022-29173",
    "CVE-2022-34903",        "CVE-2022-35929",     "CVE-2022-36056",      "CVE-2023-25656",
    "CVE-2023-33957",        "CVE-2023-33958",     "CVE-2023-33959",      "CVE-2023-46737",
    "CVE-2024-29902",        "CVE-2024-29903",     "CVE-2024-47534",      "CVE-2025-2885",
    "CVE-2025-2886",         "CVE-2025-2887",      "CVE-2025-2888",       "CVE-2025-30258",
    "CVE-2025-47934",        "CVE-2025-68972",     "CVE-2025-68973",      "CVE-2026-6966",
    "CVE-2026-6967",         "CVE-2026-6968",      "CVE-2026-22703",      "CVE-2026-23991",
    "CVE-2026-23992",        "CVE-2026-24686",     "GHSA-77hh-43cm-v8j6", "GHSA-9pfj-pjv5-22gj",
    "cached-delegated-role", "decompression-bomb", "key-id-collision",    "RNP-session-key",
    "x-crypto-first-only",   "x-crypto-no-expiry", "notary-tofu",         "notary-freeze",
};

TEST_CASE("flaws: each that other tools had has a test here, and the table names it truly",
          "[libtrust]") {
  std::ifstream table("libtrust/flaws.tsv");
  REQUIRE(table);
  std::set<std::string> rows;
  std::map<std::string, std::string> sources;
  for (std::string line; std::getline(table, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::vector<std::string> c = Columns(line);
    INFO(line);
    REQUIRE(c.size() == 4);
    CHECK(rows.insert(c[0]).second);
    CHECK_FALSE(c[1].empty());
    std::string& source = sources[c[2]];
    if (source.empty()) source = Source("libtrust/" + c[2]);
    CHECK(source.find("\"" + c[3]) != std::string::npos);
  }
  for (const char* flaw : kKnown) {
    INFO(flaw);
    CHECK(rows.count(flaw) == 1);
  }
}

}  // namespace
