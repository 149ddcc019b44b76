// Attachment is one connection to the monitor of a container: what the program writes from now on, and
// a way to its input.
//
//   COAM_ASSIGN_OR_RETURN(auto attachment, container->Attach(op));
//   COAM_RETURN_IF_ERROR(attachment->Send(op, "ls\n"));
//   for (;;) { WaitFd(op, attachment->poll_fd(), POLLIN); piece = attachment->Next(); ... }
//
// Several may be attached at once; each gets everything. One that leaves more than about a megabyte
// unread is let go of (run.monitor): a reader never holds the container up. Destroying detaches and
// ends nothing. Ownership: owns its socket. Threads: [single], but Send may run beside Next.
#ifndef COAMING_LIBOCI_RUNTIME_ATTACH_H_
#define COAMING_LIBOCI_RUNTIME_ATTACH_H_

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/core/op.h"
#include "base/core/unique_fd.h"
#include "liboci/runtime/executor.h"

namespace coaming::run {

class Attachment {
 public:
  ~Attachment();
  // Readable when Next has something. Borrowed.
  int poll_fd() const { return fd_.get(); }

  struct Piece {
    enum class Kind { kNothing, kOutput, kError, kEnd };
    Kind kind = Kind::kNothing;
    std::string bytes;                 // of kOutput and kError; a terminal has output only
    std::optional<ExitStatus> status;  // of kEnd
  };
  // Next never waits: kNothing when there is nothing now, kEnd for ever once the container has ended.
  // Errors: run.monitor (let go of, or the monitor was killed).
  absl::StatusOr<Piece> Next();
  // Send writes to the program's input and waits while it takes nothing. Errors: run.monitor,
  // core.cancelled, core.deadline_exceeded.
  absl::Status Send(const base::Op& op, std::string_view bytes);
  // CloseInput ends the input, for every writer; on a terminal it types the end-of-file character.
  absl::Status CloseInput(const base::Op& op);

 private:
  friend class Container;
  explicit Attachment(base::UniqueFd fd);
  base::UniqueFd fd_;
  bool ended_ = false;
};

}  // namespace coaming::run

#endif  // COAMING_LIBOCI_RUNTIME_ATTACH_H_
