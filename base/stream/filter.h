// Filters sit between a source and its consumer: they verify, hash, copy, limit or count what passes.
//
//   auto body = std::make_unique<base::VerifyingReader>(std::move(download), digest, size, "layer");
//   auto tap = std::make_unique<base::HashingReader>(std::move(inflated), &diff_id_hasher);
//
// Ownership: a filter owns its source (Borrow() lends). Threads: [single]. Limits: VerifyingReader
// holds back at most one block of 128 KiB.
#ifndef COAMING_BASE_STREAM_FILTER_H_
#define COAMING_BASE_STREAM_FILTER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/digest/digest.h"
#include "base/digest/hasher.h"
#include "base/stream/stream.h"

namespace coaming::base {

// VerifyingReader compares the whole of its source with a digest and a size. The end (0) is handed out
// only if both hold, and the last block only after they were checked: a consumer that saw the end has
// seen verified bytes, and one that holds back its own commit until then is safe.
// Errors: digest.mismatch; digest.size_mismatch (too many bytes are noticed at once);
// digest.unsupported if the digest cannot be verified here.
class VerifyingReader final : public Reader {
 public:
  // `size` -1: not known. `subject` names the bytes in errors.
  VerifyingReader(std::unique_ptr<Reader> source, Digest want, int64_t size,
                  std::string_view subject);
  absl::StatusOr<size_t> Read(std::span<char> out) override;
  int64_t count() const { return count_; }  // bytes read from the source
  // Verified is true once the source's end was seen and everything matched.
  bool verified() const { return verified_; }

 private:
  absl::StatusOr<size_t> ReadSized(std::span<char> out);
  absl::StatusOr<size_t> ReadUnsized(std::span<char> out);
  absl::StatusOr<size_t> Pull(std::span<char> out);
  absl::Status CheckEnd();
  absl::Status Failed(absl::Status status);

  std::unique_ptr<Reader> source_;
  Digest want_;
  int64_t size_;
  std::string subject_;
  Hasher hasher_;
  int64_t count_ = 0;
  bool verified_ = false;
  absl::Status failed_;
  std::string held_;       // read but not handed out (size not known)
  size_t held_taken_ = 0;  // of held_
  std::string ahead_;
};

// HashingReader feeds what passes to a borrowed hasher.
class HashingReader final : public Reader {
 public:
  HashingReader(std::unique_ptr<Reader> source, Hasher* hasher)
      : source_(std::move(source)), hasher_(hasher) {}
  absl::StatusOr<size_t> Read(std::span<char> out) override;
  absl::StatusOr<std::string_view> NextBlock(std::span<char> scratch) override;
  int64_t count() const { return count_; }

 private:
  std::unique_ptr<Reader> source_;
  Hasher* hasher_;
  int64_t count_ = 0;
};

// TeeReader writes what passes to a borrowed writer, and fails if that fails.
class TeeReader final : public Reader {
 public:
  TeeReader(std::unique_ptr<Reader> source, Writer* copy)
      : source_(std::move(source)), copy_(copy) {}
  absl::StatusOr<size_t> Read(std::span<char> out) override;

 private:
  std::unique_ptr<Reader> source_;
  Writer* copy_;
};

// LimitReader fails with core.limit (detail limit.name) once more than `max` bytes come.
class LimitReader final : public Reader {
 public:
  LimitReader(std::unique_ptr<Reader> source, int64_t max, std::string_view limit_name,
              std::string_view subject);
  absl::StatusOr<size_t> Read(std::span<char> out) override;

 private:
  std::unique_ptr<Reader> source_;
  int64_t left_, max_;
  std::string limit_name_, subject_;
};

// SectionReader ends after `size` bytes of a borrowed source, without touching what follows; a source
// that ends sooner is an error (digest.size_mismatch).
class SectionReader final : public Reader {
 public:
  SectionReader(Reader* source, int64_t size, std::string_view subject)
      : source_(source), left_(size), subject_(subject) {}
  absl::StatusOr<size_t> Read(std::span<char> out) override;

 private:
  Reader* source_;
  int64_t left_;
  std::string subject_;
};

// ProgressReader reports to the op's listener and asks the op at each block whether to go on. Only on
// the thread that made the call: put it above a ThreadedReader, never below.
class ProgressReader final : public Reader {
 public:
  ProgressReader(const Op& op, std::unique_ptr<Reader> source, std::string_view kind,
                 std::string_view subject, int64_t total);
  absl::StatusOr<size_t> Read(std::span<char> out) override;
  absl::StatusOr<std::string_view> NextBlock(std::span<char> scratch) override;

 private:
  absl::Status Account(size_t n);
  const Op& op_;
  std::unique_ptr<Reader> source_;
  ProgressMeter meter_;
  int64_t count_ = 0;
  bool started_ = false, finished_ = false;
};

// HashingWriter hashes and counts on the way down. Both ends are borrowed; `hasher` may be null.
class HashingWriter final : public Writer {
 public:
  HashingWriter(Writer* next, Hasher* hasher) : next_(next), hasher_(hasher) {}
  absl::Status Write(std::string_view bytes) override;
  absl::Status Close() override { return next_->Close(); }
  int64_t count() const { return count_; }

 private:
  Writer* next_;
  Hasher* hasher_;
  int64_t count_ = 0;
};

}  // namespace coaming::base

#endif  // COAMING_BASE_STREAM_FILTER_H_
