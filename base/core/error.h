// Errors as data: every failure in coaming is an absl::Status that carries an Error payload.
//
// An Error says what happened (code and reason), to what (message), why (message, errno, details,
// cause) and what to do next (hint). Reasons are the dotted names of capi/abi/reasons.tsv; the code
// and the default hint come from that table, so a code can never disagree with its reason.
//
//   if (got != want)
//     return base::Fail("oci.digest_mismatch") << "layer " << want << ": the bytes hash to " << got;
//   if (fd < 0)
//     return base::FailErrno("core.io", errno) << "open " << path;
//
// Ownership: everything is a value. Threads: [immutable] once built. Messages are one line without a
// trailing stop; they never hold secrets (tokens, passwords, query strings).
#ifndef COAMING_BASE_CORE_ERROR_H_
#define COAMING_BASE_CORE_ERROR_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

namespace coaming::base {

// One row of capi/abi/reasons.tsv.
struct ReasonInfo {
  std::string_view name;          // "oci.digest_mismatch"
  absl::StatusCode code;          // what callers branch on for policy
  std::string_view since;         // "1.0"
  std::string_view meaning;       // one sentence for the reference
  std::string_view hint;          // default hint; may be empty
  std::string_view python_class;  // "DigestMismatchError"
  int exit_code;                  // of the tools
};

// FindReason returns the table's row for `name`, or nullptr if the table has none.
const ReasonInfo* FindReason(std::string_view name);
// ReasonAt returns row `index` in the table's order, or nullptr past its end.
const ReasonInfo* ReasonAt(size_t index);

// The payload of a failed absl::Status.
struct Error {
  absl::StatusCode code = absl::StatusCode::kInternal;
  std::string reason;   // a name of reasons.tsv
  std::string message;  // one line, names the subject, no trailing stop
  std::string hint;     // imperative; may be empty
  int sys_errno = 0;    // 0 if no system call failed
  std::vector<std::pair<std::string, std::string>> details;  // {"http.status", "401"}, ...
  std::shared_ptr<const Error> cause;                        // what lay beneath, or null

  // Detail returns the value of `key`, or an empty view if it is not set.
  std::string_view Detail(std::string_view key) const;
};

// GetError takes the Error out of a failed status; a status that did not come from a maker below
// (Abseil's own) becomes reason "core.internal" with its message. Undefined for an OK status.
Error GetError(const absl::Status& status);
// ReasonOf is GetError(status).reason without the copy of the rest; "" for an OK status.
std::string ReasonOf(const absl::Status& status);
// HasReason is true if the status failed for `reason` ("oci.digest_mismatch").
bool HasReason(const absl::Status& status, std::string_view reason);
// ToStatus turns an Error into a status.
absl::Status ToStatus(const Error& error);

// ErrorMaker builds a failed status; it converts to absl::Status and any absl::StatusOr<T>.
class ErrorMaker {
 public:
  ErrorMaker(std::string_view reason, int sys_errno);
  explicit ErrorMaker(Error error) : error_(std::move(error)) {}

  ErrorMaker&& operator<<(const absl::AlphaNum& piece) && {
    absl::StrAppend(&error_.message, piece);
    return std::move(*this);
  }
  // Replaces the hint of the table.
  ErrorMaker&& Hint(std::string_view hint) && {
    error_.hint = hint;
    return std::move(*this);
  }
  ErrorMaker&& Detail(std::string_view key, const absl::AlphaNum& value) && {
    error_.details.emplace_back(key, value.Piece());
    return std::move(*this);
  }
  // Keeps the failure beneath; its errno and details stay readable through the chain.
  ErrorMaker&& Cause(const absl::Status& status) &&;

  operator absl::Status() const { return Build(); }  // NOLINT: implicit on purpose
  template <typename T>
  operator absl::StatusOr<T>() const {  // NOLINT: implicit on purpose
    return Build();
  }

 private:
  absl::Status Build() const;
  Error error_;
};

// Fail starts an error of `reason`, which must be in reasons.tsv (tests/layering reads every call).
ErrorMaker Fail(std::string_view reason);
// FailErrno is Fail with the errno of a failed system call, whose text ends the message:
// "open /x: No such file or directory".
ErrorMaker FailErrno(std::string_view reason, int sys_errno);
// FailLimit is reason "core.limit" with the detail limit.name; the caller adds the subject.
ErrorMaker FailLimit(std::string_view limit_name, int64_t limit);
// Wrap puts "context: " before the message and keeps reason, hint, details and cause.
// An OK status stays OK.
absl::Status Wrap(const absl::Status& status, std::string_view context);

// ErrnoText is strerror without locale or static buffers ("No such file or directory").
std::string ErrnoText(int sys_errno);
// ErrorToJson renders one error and its causes as a JSON object.
std::string ErrorToJson(const Error& error);

}  // namespace coaming::base

#endif  // COAMING_BASE_CORE_ERROR_H_
