// The terminal of whoever runs the tool, lent to a process with a terminal of its own.
#ifndef COAMING_EXAMPLES_COAM_TERMINAL_H_
#define COAMING_EXAMPLES_COAM_TERMINAL_H_

namespace coam {

// RelayTerminal copies between the tool's standard streams and `master` (owned, closed at the end)
// until the process behind `exit_fd` (borrowed; readable at its end) has ended and its output is
// drained. The tool's terminal is raw meanwhile, its size follows, and it is put back as it was.
void RelayTerminal(int master, int exit_fd);

}  // namespace coam

#endif  // COAMING_EXAMPLES_COAM_TERMINAL_H_
