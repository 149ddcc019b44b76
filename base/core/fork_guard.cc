#include "base/core/fork_guard.h"

#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

#include <atomic>

#include "base/core/error.h"

namespace coaming::base {
namespace {

struct Page {
  const std::atomic<char>* alive = nullptr;  // reads zero in a fork; null if the kernel lacks it
  pid_t pid = 0;
};

Page MakePage() {
  Page page;
  page.pid = getpid();
  const auto size = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return page;
  if (madvise(memory, size, MADV_WIPEONFORK) != 0) {
    munmap(memory, size);
    return page;
  }
  auto* alive = static_cast<std::atomic<char>*>(memory);
  alive->store(1, std::memory_order_release);
  page.alive = alive;
  return page;
}

}  // namespace

bool InForkedChild() noexcept {
  static const Page page = MakePage();
  if (page.alive != nullptr) return page.alive->load(std::memory_order_acquire) == 0;
  return getpid() != page.pid;
}

absl::Status CheckNotForked() {
  if (!InForkedChild()) return absl::OkStatus();
  return Fail("core.forked") << "this process was forked from the one that loaded coaming";
}

}  // namespace coaming::base
