/* The container's terminal: a pty of its own devpts, its master sent to the host. */
#include "liboci/runtime/launch/helper.h"

#define TIOCSPTLCK 0x40045431
#define TIOCGPTN 0x80045430
#define TIOCGPTPEER 0x5441
#define TIOCSCTTY 0x540E
#define TIOCSWINSZ 0x5414

long step_console(const struct coam_step *s) {
  struct statx st;
  int zero = 0, number = 0;
  long r;
  /* An exec has no root descriptor: its own root is the container's by now. */
  if (helper.root < 0) {
    helper.root = (int)sys_openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    if (helper.root < 0) return helper.root;
  }
  int master = in_root("/dev/pts/ptmx", O_RDWR | O_NOCTTY);
  if (master < 0) {
    detail("/dev/pts/ptmx", NULL);
    return master;
  }
  r = sys_statx(master, "", AT_EMPTY_PATH, STATX_TYPE, &st);
  if (r < 0) return r;
  if ((st.stx_mode & MODE_TYPE) != MODE_CHR || st.stx_rdev_major != 5 || st.stx_rdev_minor != 2) {
    detail("/dev/pts/ptmx is not the terminal multiplexer", NULL);
    return -ENODEV;
  }
  if ((r = sys_ioctl(master, TIOCSPTLCK, &zero)) < 0) return r;
  if ((r = sys_ioctl(master, TIOCGPTN, &number)) < 0) return r;
  /* The peer comes from the master itself, not from a path that the root could redirect. */
  int peer = (int)sys_ioctl(master, TIOCGPTPEER, (void *)(long)(O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (peer < 0) return peer;
  if (s->n[0] | s->n[1]) {
    unsigned short size[4] = {(unsigned short)s->n[0], (unsigned short)s->n[1], 0, 0};
    if ((r = sys_ioctl(master, TIOCSWINSZ, size)) < 0) return r;
  }
  r = SYS3(__NR_fchown, peer, s->n[2], -1);
  if (r < 0 && r != -EPERM && r != -EINVAL) return r;
  if (s->flags & 1) {
    const char *name;
    int dev = parent_in_root("/dev/console", &name);
    if (dev < 0) return dev;
    r = sys_openat(dev, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_WRONLY, 0620);
    if (r >= 0) sys_close((int)r);
    if (r < 0 && r != -EEXIST) return r;
    int target = (int)sys_openat(dev, name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
    if (target < 0) return target;
    int tree = (int)sys_open_tree(peer, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (tree < 0) return tree;
    r = sys_statx(target, "", AT_EMPTY_PATH, STATX_TYPE, &st);
    if (r == 0 && (st.stx_mode & MODE_TYPE) == MODE_LNK) {
      detail("/dev/console is a symbolic link", NULL);
      r = -ELOOP;
    }
    if (r == 0)
      r = sys_move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
    sys_close(tree);
    sys_close(target);
    if (r < 0) return r;
  }
  char name[32];
  number_append(text_append(name, name + sizeof name, "/dev/pts/"), name + sizeof name, number);
  r = (s->flags & 2) ? report_to(helper.monitor, COAM_REPORT_CONSOLE, 0, name, master)
                     : report(COAM_REPORT_CONSOLE, 0, name, master);
  sys_close(master);
  if (r < 0) return r;
  if ((r = sys_ioctl(peer, TIOCSCTTY, 0)) < 0) return r;
  for (int i = 0; i < 3; i++)
    if ((r = sys_dup3(peer, i, 0)) < 0) return r;
  sys_close(peer);
  return 0;
}
