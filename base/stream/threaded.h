// ThreadedReader runs its source (read, hash, inflate) on a thread of its own, ahead of the consumer by
// a bounded ring of blocks, so that two cores share one pipeline.
//
//   auto blob = std::make_unique<VerifyingReader>(...);
//   COAM_ASSIGN_OR_RETURN(auto plain, NewDecompressor(kGzip, std::move(blob)));
//   auto tar_bytes = NewThreadedReader(std::move(plain));   // consume on this thread
//
// The thread blocks all signals and calls no host code: nothing in the source may emit events or call
// a host's callback. Errors reach the consumer after the bytes that came before them. If no thread can
// be made, or `threads` is false, the source is read on the calling thread and nothing else changes.
// Destruction stops the thread at its next block and joins it: a source that can wait for ever must
// watch a Cancel. Threads: [single] for the consumer. Limits: blocks * block_bytes of memory.
#ifndef COAMING_BASE_STREAM_THREADED_H_
#define COAMING_BASE_STREAM_THREADED_H_

#include <cstddef>
#include <memory>

#include "base/stream/stream.h"

namespace coaming::base {

struct ThreadedOptions {
  bool threads = true;
  size_t blocks = 8;
  size_t block_bytes = kBlockBytes;
};

std::unique_ptr<Reader> NewThreadedReader(std::unique_ptr<Reader> source,
                                          const ThreadedOptions& options = {});

}  // namespace coaming::base

#endif  // COAMING_BASE_STREAM_THREADED_H_
