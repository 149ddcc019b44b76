#include "examples/coam/terminal.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>

namespace coam {
namespace {

// Copies what is there; false at the end of the stream.
bool CopySome(int from, int to) {
  char buffer[4096];
  const ssize_t n = read(from, buffer, sizeof buffer);
  if (n < 0) return errno == EINTR || errno == EAGAIN;
  if (n == 0) return false;
  for (ssize_t done = 0; done < n;) {
    const ssize_t w = write(to, buffer + done, static_cast<size_t>(n - done));
    if (w < 0 && errno != EINTR) return false;
    if (w > 0) done += w;
  }
  return true;
}

// Takes the window size over; cheap, so it is asked for at each turn.
void CopySize(int master, winsize* last) {
  winsize now{};
  if (ioctl(STDIN_FILENO, TIOCGWINSZ, &now) != 0) return;
  if (now.ws_row == last->ws_row && now.ws_col == last->ws_col) return;
  *last = now;
  ioctl(master, TIOCSWINSZ, &now);
}

}  // namespace

void RelayTerminal(int master, int exit_fd) {
  termios saved{};
  const bool raw = tcgetattr(STDIN_FILENO, &saved) == 0;
  if (raw) {
    termios mode = saved;
    cfmakeraw(&mode);
    tcsetattr(STDIN_FILENO, TCSADRAIN, &mode);
  }
  // What goes to a file or a pipe has the program's own line ends, as with runc.
  if (termios mode{}; isatty(STDOUT_FILENO) == 0 && tcgetattr(master, &mode) == 0) {
    mode.c_oflag &= ~static_cast<tcflag_t>(ONLCR);
    tcsetattr(master, TCSANOW, &mode);
  }
  winsize size{};
  bool input = true, ended = false;
  for (;;) {
    CopySize(master, &size);
    pollfd fds[3] = {{master, POLLIN, 0},
                     {input ? STDIN_FILENO : -1, POLLIN, 0},
                     {ended ? -1 : exit_fd, POLLIN, 0}};
    // After the end only what is still on its way is waited for.
    const int n = poll(fds, 3, ended ? 100 : 250);
    if (n < 0 && errno != EINTR) break;
    if (n == 0 && ended) break;
    if ((fds[1].revents & (POLLIN | POLLHUP)) != 0) input = CopySome(STDIN_FILENO, master);
    if ((fds[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0 && !CopySome(master, STDOUT_FILENO)) {
      break;  // the other side is closed (EIO)
    }
    if (fds[2].revents != 0) ended = true;
  }
  if (raw) tcsetattr(STDIN_FILENO, TCSADRAIN, &saved);
  close(master);
}

}  // namespace coam
