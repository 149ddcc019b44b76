// Test help: a repository, a mirror of it and a client's store, all in memory.
#ifndef COAMING_LIBTRUST_TUF_TEST_MEMORY_H_
#define COAMING_LIBTRUST_TUF_TEST_MEMORY_H_

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/clock.h"
#include "base/core/error.h"
#include "base/core/op.h"
#include "base/stream/stream.h"
#include "libtrust/tuf/repository.h"
#include "libtrust/tuf/updater.h"

namespace coaming::trust::tuf {

inline constexpr int64_t kNow = 1800000000;
inline constexpr int64_t kDays = 86400;

class MemoryRepositoryStore final : public RepositoryStore {
 public:
  absl::StatusOr<std::optional<std::string>> Load(const std::string& name) override {
    auto it = files.find(name);
    if (it == files.end()) return std::optional<std::string>();
    return std::optional<std::string>(it->second);
  }
  absl::Status Save(const std::string& name, std::string_view bytes) override {
    files[name] = std::string(bytes);
    order.push_back(name);
    return absl::OkStatus();
  }
  absl::Status Remove(const std::string& name) override {
    files.erase(name);
    return absl::OkStatus();
  }
  std::map<std::string, std::string> files;
  std::vector<std::string> order;  // of saves
};

// Serves "m/NAME" from the public metadata and "t/NAME" from `targets`.
class MemoryFetcher final : public Fetcher {
 public:
  explicit MemoryFetcher(const std::map<std::string, std::string>& files) : files_(files) {}
  absl::StatusOr<std::string> Fetch(const std::string& url, int64_t max,
                                    const base::Op& op) override {
    requests.push_back(url);
    const auto& from = url.substr(0, 2) == "m/" ? files_ : targets;
    auto it = from.find(url.substr(2));
    if (it == from.end()) return base::Fail("http.not_found") << url;
    if (static_cast<int64_t>(it->second.size()) > max)
      return base::FailLimit("tuf_metadata_bytes", max) << url;
    return it->second;
  }
  absl::Status FetchTo(const std::string& url, int64_t max, base::Writer& sink,
                       const base::Op& op) override {
    auto bytes = Fetch(url, max, op);
    if (!bytes.ok()) return bytes.status();
    return sink.Write(*bytes);
  }
  std::map<std::string, std::string> targets;
  std::vector<std::string> requests;

 private:
  const std::map<std::string, std::string>& files_;
};

class MemoryStore final : public Store {
 public:
  absl::StatusOr<std::optional<std::string>> Load(const std::string& name, int64_t max) override {
    auto it = files.find(name);
    if (it == files.end()) return std::optional<std::string>();
    return std::optional<std::string>(it->second);
  }
  absl::Status Save(const std::string& name, std::string_view bytes) override {
    files[name] = std::string(bytes);
    return absl::OkStatus();
  }
  std::map<std::string, std::string> files;
};

class TestClock final : public base::Clock {
 public:
  int64_t MonotonicNs() const override { return 0; }
  int64_t RealtimeNs() const override { return now * 1000000000; }
  int64_t now = kNow;
};

}  // namespace coaming::trust::tuf

#endif  // COAMING_LIBTRUST_TUF_TEST_MEMORY_H_
