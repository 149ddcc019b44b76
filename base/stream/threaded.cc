#include "base/stream/threaded.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"

namespace coaming::base {
namespace {

class ThreadedReader final : public Reader {
 public:
  ThreadedReader(std::unique_ptr<Reader> source, const ThreadedOptions& options)
      : source_(std::move(source)),
        block_bytes_(std::max<size_t>(options.block_bytes, 4096)),
        blocks_(std::max<size_t>(options.blocks, 2)) {}

  ~ThreadedReader() override {
    {
      absl::MutexLock lock(&mutex_);
      stop_ = true;
    }
    if (started_) pthread_join(thread_, nullptr);
  }

  // False if no thread can be made: then the source is still untouched.
  bool Start() {
    for (Block& block : blocks_) {
      block.data.reset(new (std::nothrow) char[block_bytes_]);
      if (block.data == nullptr) return false;
    }
    sigset_t all, old;
    sigfillset(&all);
    if (pthread_sigmask(SIG_SETMASK, &all, &old) != 0) return false;  // the thread inherits it
    started_ = pthread_create(&thread_, nullptr, &ThreadedReader::Main, this) == 0;
    pthread_sigmask(SIG_SETMASK, &old, nullptr);
    return started_;
  }

  std::unique_ptr<Reader> TakeSource() { return std::move(source_); }

  absl::StatusOr<size_t> Read(std::span<char> out) override {
    COAM_RETURN_IF_ERROR(Refill());
    const size_t n = std::min(out.size(), current_.size());
    if (n != 0) std::memcpy(out.data(), current_.data(), n);
    current_.remove_prefix(n);
    return n;
  }

  absl::StatusOr<std::string_view> NextBlock(std::span<char> scratch) override {
    COAM_RETURN_IF_ERROR(Refill());
    return std::exchange(current_, {});
  }

 private:
  struct Block {
    std::unique_ptr<char[]> data;
    size_t size = 0;
  };

  bool RoomOrStop() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return stop_ || filled_ - taken_ < blocks_.size();
  }
  bool FilledOrDone() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return done_ || filled_ > taken_;
  }

  // Makes current_ the next filled block; empty only at the end.
  absl::Status Refill() {
    if (!current_.empty()) return absl::OkStatus();
    absl::MutexLock lock(&mutex_);
    if (holding_) {  // give the block before back to the worker
      holding_ = false;
      ++taken_;
    }
    mutex_.Await(absl::Condition(this, &ThreadedReader::FilledOrDone));
    if (filled_ == taken_) return status_;
    const Block& block = blocks_[taken_ % blocks_.size()];
    current_ = std::string_view(block.data.get(), block.size);
    holding_ = true;
    return absl::OkStatus();
  }

  static void* Main(void* self) {
    static_cast<ThreadedReader*>(self)->Work();
    return nullptr;
  }

  void Work() {
    for (;;) {
      Block* block;
      {
        absl::MutexLock lock(&mutex_);
        mutex_.Await(absl::Condition(this, &ThreadedReader::RoomOrStop));
        if (stop_) return;
        block = &blocks_[filled_ % blocks_.size()];
      }
      size_t size = 0;
      absl::Status status = Fill(block, &size);
      absl::MutexLock lock(&mutex_);
      block->size = size;
      if (size != 0) ++filled_;
      if (!status.ok() || size < block_bytes_) {
        status_ = std::move(status);
        done_ = true;
        return;
      }
    }
  }

  // Fills a whole block unless the source ends or fails. Host memory running out must not unwind
  // through a thread's start.
  absl::Status Fill(Block* block, size_t* size) {
    try {
      while (*size < block_bytes_) {
        absl::StatusOr<size_t> n =
            source_->Read(std::span<char>(block->data.get() + *size, block_bytes_ - *size));
        if (!n.ok()) return n.status();
        if (*n == 0) break;
        *size += *n;
      }
      return absl::OkStatus();
    } catch (const std::bad_alloc&) {
      return Fail("core.no_memory") << "no memory left while reading ahead";
    }
  }

  std::unique_ptr<Reader> source_;  // the worker's alone while it runs
  const size_t block_bytes_;
  std::vector<Block>
      blocks_;  // entries [taken_, filled_) are the consumer's, the rest the worker's
  pthread_t thread_{};
  bool started_ = false;
  std::string_view current_;  // the consumer's
  bool holding_ = false;      // the consumer's: current_ came from blocks_[taken_]

  absl::Mutex mutex_;
  size_t filled_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t taken_ ABSL_GUARDED_BY(mutex_) = 0;
  bool done_ ABSL_GUARDED_BY(mutex_) = false;
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);  // good once done_
};

}  // namespace

std::unique_ptr<Reader> NewThreadedReader(std::unique_ptr<Reader> source,
                                          const ThreadedOptions& options) {
  if (!options.threads) return source;
  auto reader = std::make_unique<ThreadedReader>(std::move(source), options);
  if (!reader->Start()) return reader->TakeSource();
  return reader;
}

}  // namespace coaming::base
