#include "base/stream/stream.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstring>

#include "base/core/error.h"
#include "base/stream/filter.h"
#include "base/stream/test_util.h"
#include "base/stream/threaded.h"
#include "catch2/catch_test_macros.hpp"

namespace coaming::base {
namespace {

using testing::Sample;

constexpr int64_t kBig = 1 << 30;

absl::StatusOr<std::string> All(Reader& r) { return ReadAll(r, kBig, "test"); }

std::unique_ptr<Reader> Mem(std::string_view bytes, size_t block = SIZE_MAX) {
  return std::make_unique<MemoryReader>(bytes, block);
}

// Fails with core.io after its bytes.
class BrokenReader final : public Reader {
 public:
  explicit BrokenReader(std::string bytes) : inner_(std::move(bytes)) {}
  absl::StatusOr<size_t> Read(std::span<char> out) override {
    absl::StatusOr<size_t> n = inner_.Read(out);
    if (n.ok() && *n == 0) return Fail("core.io") << "the cable was pulled";
    return n;
  }

 private:
  StringReader inner_;
};

TEST_CASE("stream: memory in, string out, whole or in pieces", "[base][stream]") {
  Op op;
  for (size_t block : {size_t{1}, size_t{7}, SIZE_MAX}) {
    const std::string bytes = Sample(1000);
    MemoryReader in(bytes, block);
    std::string out;
    StringWriter sink(&out);
    CHECK(*Copy(op, in, sink) == 1000);
    CHECK(out == bytes);
    char c;
    CHECK(*in.Read(std::span<char>(&c, 1)) == 0);
    MemoryReader again(bytes, block);
    char buffer[600];
    CHECK(*ReadFull(again, buffer) == 600);
    CHECK(*ReadFull(again, buffer) == 400);
    CHECK(*ReadFull(again, buffer) == 0);
  }
}

TEST_CASE("stream: ReadAll stops one byte past the limit", "[base][stream]") {
  MemoryReader exact("12345");
  CHECK(*ReadAll(exact, 5, "five") == "12345");
  MemoryReader more("123456");
  absl::Status status = ReadAll(more, 5, "five").status();
  CHECK(GetError(status).Detail("limit.name") == "five");
  Limits limits;
  limits.signature_bytes = 3;
  MemoryReader named("1234");
  CHECK(GetError(ReadAll(named, limits, &Limits::signature_bytes).status()).Detail("limit.name") ==
        "signature_bytes");
  MemoryReader empty("");
  CHECK(*ReadAll(empty, 0, "none") == "");
  const std::string large = Sample(100000);
  MemoryReader big(large, 333);
  CHECK(*ReadAll(big, 100000, "x") == large);
}

TEST_CASE("verifying reader: good bytes pass with and without a size", "[base][stream]") {
  for (size_t total : {size_t{0}, size_t{1}, size_t{1000}, kBlockBytes, kBlockBytes * 2 + 5}) {
    const std::string bytes = Sample(total);
    for (int64_t size : {int64_t{-1}, static_cast<int64_t>(total)}) {
      for (size_t block : {size_t{50000}, SIZE_MAX}) {
        VerifyingReader r(Mem(bytes, block), Sha256(bytes), size, "blob");
        CHECK(*All(r) == bytes);
        CHECK(r.verified());
        CHECK(r.count() == static_cast<int64_t>(total));
        char c;
        CHECK(*r.Read(std::span<char>(&c, 1)) == 0);
      }
    }
  }
}

TEST_CASE("verifying reader: the last block is not handed out before the check", "[base][stream]") {
  const std::string bytes = Sample(1000);
  std::string bad = bytes;
  bad[0] = static_cast<char>(bad[0] ^ 1);
  for (int64_t size : {int64_t{-1}, int64_t{1000}}) {
    VerifyingReader r(Mem(bad), Sha256(bytes), size, "layer 3");
    char buffer[4096];
    absl::StatusOr<size_t> n = r.Read(buffer);
    CHECK(ReasonOf(n.status()) == "digest.mismatch");
    CHECK(GetError(n.status()).message.find("layer 3: want sha256:") == 0);
    CHECK(ReasonOf(r.Read(buffer).status()) == "digest.mismatch");
    CHECK_FALSE(r.verified());
  }
  VerifyingReader shorter(Mem(bytes), Sha256(bytes), 1001, "b");
  CHECK(ReasonOf(All(shorter).status()) == "digest.size_mismatch");
  VerifyingReader longer(Mem(bytes), Sha256(bytes.substr(0, 999)), 999, "b");
  CHECK(ReasonOf(All(longer).status()) == "digest.size_mismatch");
  VerifyingReader unknown(Mem(bytes), *Digest::Parse("new+algo:abc"), -1, "b");
  CHECK(ReasonOf(All(unknown).status()) == "digest.unsupported");
  VerifyingReader broken(std::make_unique<BrokenReader>(bytes), Sha256(bytes), -1, "b");
  CHECK(ReasonOf(All(broken).status()) == "core.io");
}

TEST_CASE("filters: hash, tee, limit, section, and a hashing writer", "[base][stream]") {
  const std::string bytes = Sample(5000);
  Hasher h;
  std::string copy;
  StringWriter copy_to(&copy);
  auto hashing = std::make_unique<HashingReader>(Mem(bytes, 99), &h);
  HashingReader* tap = hashing.get();
  TeeReader tee(std::move(hashing), &copy_to);
  CHECK(*All(tee) == bytes);
  CHECK(copy == bytes);
  CHECK(tap->count() == 5000);
  CHECK(h.Finish() == Sha256(bytes));

  LimitReader fits(Mem(bytes), 5000, "test_limit", "x");
  CHECK(*All(fits) == bytes);
  LimitReader over(Mem(bytes), 4999, "test_limit", "x");
  CHECK(GetError(All(over).status()).Detail("limit.name") == "test_limit");

  MemoryReader whole(bytes);
  SectionReader first(&whole, 1000, "part");
  CHECK(*All(first) == bytes.substr(0, 1000));
  SectionReader second(&whole, 4000, "part");
  CHECK(*All(second) == bytes.substr(1000));
  SectionReader third(&whole, 1, "part");
  CHECK(ReasonOf(All(third).status()) == "digest.size_mismatch");

  Hasher wh;
  std::string out;
  StringWriter sink(&out);
  HashingWriter writer(&sink, &wh);
  REQUIRE(writer.Write("ab").ok());
  REQUIRE(writer.Write("c").ok());
  CHECK(writer.count() == 3);
  CHECK(wh.Finish() == Sha256("abc"));
}

class CountingSink final : public EventSink {
 public:
  int OnEvent(const Event& e) override {
    if (e.phase == "start") ++starts;
    if (e.phase == "done") ++dones, last = e.done;
    return stop ? 7 : 0;
  }
  int starts = 0, dones = 0;
  int64_t last = 0;
  bool stop = false;
};

TEST_CASE("progress reader: start and done once, and a listener can stop it", "[base][stream]") {
  const std::string bytes = Sample(5000);
  CountingSink sink;
  Op op;
  op.set_events(&sink);
  ProgressReader r(op, Mem(bytes, 10), "download", "layer", 5000);
  CHECK(*All(r) == bytes);
  CHECK(sink.starts == 1);
  CHECK(sink.dones == 1);
  CHECK(sink.last == 5000);
  sink.stop = true;
  ProgressReader stopped(op, Mem(bytes), "download", "layer", 5000);
  CHECK(ReasonOf(All(stopped).status()) == "core.cancelled");
}

TEST_CASE("fd reader and writer: files and pipes, cancel, broken pipe without a signal",
          "[base][stream]") {
  int fds[2];
  REQUIRE(pipe2(fds, O_CLOEXEC) == 0);
  Op op;
  {
    FdWriter w(op, UniqueFd(fds[1]), "pipe");
    REQUIRE(w.Write("hello").ok());
  }
  FdReader r(op, UniqueFd(fds[0]), "pipe");
  CHECK(*All(r) == "hello");

  REQUIRE(pipe2(fds, O_CLOEXEC) == 0);
  UniqueFd in(fds[0]), out(fds[1]);
  in.Reset();
  FdWriter broken(op, out.get(), "the pipe");
  absl::Status status = broken.Write("x");  // SIGPIPE would end this test
  CHECK(ReasonOf(status) == "core.io");
  CHECK(GetError(status).sys_errno == EPIPE);
  sigset_t pending;
  sigpending(&pending);
  CHECK(sigismember(&pending, SIGPIPE) == 0);

  REQUIRE(pipe2(fds, O_CLOEXEC) == 0);
  in.Reset(fds[0]);
  out.Reset(fds[1]);
  std::shared_ptr<Cancel> cancel = *Cancel::New();
  cancel->Fire();
  op.set_cancel(cancel.get());
  FdReader cancelled(op, in.get(), "pipe");
  char c;
  CHECK(ReasonOf(cancelled.Read(std::span<char>(&c, 1)).status()) == "core.cancelled");
  Op plain;
  FdReader bad(plain, -1, "nothing");
  CHECK(ReasonOf(bad.Read(std::span<char>(&c, 1)).status()) == "core.io");
}

TEST_CASE("threaded reader: same bytes, errors after them, and no thread if asked",
          "[base][stream]") {
  for (size_t total : {size_t{0}, size_t{1}, size_t{4096}, size_t{100000}, size_t{3000000}}) {
    const std::string bytes = Sample(total);
    for (bool threads : {true, false}) {
      auto r = NewThreadedReader(Mem(bytes, 5000),
                                 {.threads = threads, .blocks = 3, .block_bytes = 4096});
      CHECK(*All(*r) == bytes);
      char c;
      CHECK(*r->Read(std::span<char>(&c, 1)) == 0);
      auto broken = NewThreadedReader(std::make_unique<BrokenReader>(bytes), {.threads = threads});
      std::string got;
      absl::Status status;
      for (;;) {
        char buffer[1000];
        absl::StatusOr<std::string_view> block = broken->NextBlock(buffer);
        status = block.status();
        if (!block.ok() || block->empty()) break;
        got.append(*block);
      }
      CHECK(got == bytes);
      CHECK(ReasonOf(status) == "core.io");
      char again[10];
      CHECK(ReasonOf(broken->Read(again).status()) == "core.io");
    }
    auto left = NewThreadedReader(Mem(bytes, 5000), {.blocks = 2, .block_bytes = 4096});
    char some[10];
    CHECK(left->Read(some).ok());  // and is destroyed in the middle
  }
}

TEST_CASE("threaded reader: the thread has every signal blocked, this one is as before",
          "[base][stream]") {
  class MaskReader final : public Reader {
   public:
    explicit MaskReader(std::atomic<int>* open) : open_(open) {}
    absl::StatusOr<size_t> Read(std::span<char> out) override {
      sigset_t mask;
      pthread_sigmask(SIG_SETMASK, nullptr, &mask);
      int open = 0;
      for (int s = 1; s < NSIG; ++s) {
        if (s != SIGKILL && s != SIGSTOP && s != 32 && s != 33 && !sigismember(&mask, s)) ++open;
      }
      *open_ = open;
      return 0;
    }
    std::atomic<int>* open_;
  };
  sigset_t before, after;
  pthread_sigmask(SIG_SETMASK, nullptr, &before);
  std::atomic<int> open{-1};
  auto r = NewThreadedReader(std::make_unique<MaskReader>(&open));
  char c;
  CHECK(*r->Read(std::span<char>(&c, 1)) == 0);
  CHECK(open == 0);
  pthread_sigmask(SIG_SETMASK, nullptr, &after);
  for (int s = 1; s < NSIG; ++s) CHECK(sigismember(&before, s) == sigismember(&after, s));
}

}  // namespace
}  // namespace coaming::base
