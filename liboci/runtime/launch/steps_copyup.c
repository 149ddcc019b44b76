/* tmpcopyup: a tmpfs that starts with what the root has at its place. It is filled while nobody can
 * reach it and mounted when it is complete. The root is hostile: every name is opened on its own
 * directory and no link is followed. */
#include "liboci/runtime/launch/helper.h"

#define MAX_DEPTH 64

struct directory_entry {
  uint64_t inode;
  int64_t offset;
  uint16_t length;
  uint8_t type;
  char name[];
};

struct times {
  int64_t seconds, nanoseconds;
};

static long set_times(int dir, const char *name, int flags, const struct statx *st) {
  struct times t[2] = {{st->stx_atime.tv_sec, st->stx_atime.tv_nsec},
                       {st->stx_mtime.tv_sec, st->stx_mtime.tv_nsec}};
  return SYS4(__NR_utimensat, dir, name, t, flags);
}

/* Owner, mode (which a change of owner strips) and times. */
static long set_like(int fd, const struct statx *st) {
  long r = SYS3(__NR_fchown, fd, st->stx_uid, st->stx_gid);
  if (r == 0) r = SYS2(__NR_fchmod, fd, st->stx_mode & 07777);
  return r == 0 ? set_times(fd, NULL, 0, st) : r;
}

static long copy_file(int from, int to, const char *name, const struct statx *st) {
  int in = (int)sys_openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
  if (in < 0) return in;
  int out = (int)sys_openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  long r = out;
  if (out >= 0) {
    do r = SYS4(__NR_sendfile, out, in, NULL, 1 << 30);
    while (r > 0 || r == -EINTR);
    if (r == 0) r = set_like(out, st);
    sys_close(out);
  }
  sys_close(in);
  return r;
}

static long copy_link(int from, int to, const char *name, const struct statx *st) {
  char text[4096];
  long n = SYS4(__NR_readlinkat, from, name, text, sizeof text - 1);
  if (n < 0) return n;
  text[n] = 0;
  long r = SYS3(__NR_symlinkat, text, to, name);
  if (r == 0) r = SYS5(__NR_fchownat, to, name, st->stx_uid, st->stx_gid, AT_SYMLINK_NOFOLLOW);
  return r == 0 ? set_times(to, name, AT_SYMLINK_NOFOLLOW, st) : r;
}

static long copy_node(int from, int to, const char *name, const struct statx *st) {
  uint64_t number = (uint64_t)(st->stx_rdev_minor & 0xff) | (uint64_t)st->stx_rdev_major << 8 |
                    (uint64_t)(st->stx_rdev_minor & 0xfff00) << 12;
  long r = SYS4(__NR_mknodat, to, name, st->stx_mode, number);
  (void)from;
  if (r == -EPERM) {
    note(r, "a device node was not copied up");
    return 0;
  }
  return r < 0 ? r : SYS5(__NR_fchownat, to, name, st->stx_uid, st->stx_gid, AT_SYMLINK_NOFOLLOW);
}

static long copy_tree(int from, int to, int depth);

static long copy_directory(int from, int to, const char *name, const struct statx *st, int depth) {
  long r = SYS3(__NR_mkdirat, to, name, 0700);
  if (r < 0) return r;
  int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  int in = (int)sys_openat(from, name, flags, 0);
  if (in < 0) return in;
  int out = (int)sys_openat(to, name, flags, 0);
  r = out;
  if (out >= 0) {
    r = copy_tree(in, out, depth + 1);
    if (r == 0) r = set_like(out, st);
    sys_close(out);
  }
  sys_close(in);
  return r;
}

static long copy_entry(int from, int to, const char *name, int depth) {
  struct statx st;
  long r = sys_statx(from, name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &st);
  if (r < 0) return r;
  switch (st.stx_mode & MODE_TYPE) {
    case MODE_DIR: return copy_directory(from, to, name, &st, depth);
    case MODE_REG: return copy_file(from, to, name, &st);
    case MODE_LNK: return copy_link(from, to, name, &st);
    default: return copy_node(from, to, name, &st);
  }
}

static long copy_tree(int from, int to, int depth) {
  char buffer[2048] __attribute__((aligned(8)));
  if (depth > MAX_DEPTH) return -ELOOP;
  for (;;) {
    long n = SYS3(__NR_getdents64, from, buffer, sizeof buffer);
    if (n <= 0) return n;
    for (long at = 0; at < n;) {
      const struct directory_entry *e = (const struct directory_entry *)(buffer + at);
      at += e->length;
      if (text_equal(e->name, ".") || text_equal(e->name, "..")) continue;
      long r = copy_entry(from, to, e->name, depth);
      if (r < 0) {
        if (!helper.text[0]) detail("copying up ", e->name);
        return r;
      }
    }
  }
}

/* Hands "a=b,c" to a new file system; commas in double quotes belong to a value. */
static long set_options(int fs, const char *data) {
  while (data && *data) {
    char option[1024];
    size_t n = 0;
    char *value = NULL;
    int quoted = 0;
    for (; *data && (quoted || *data != ','); data++) {
      if (*data == '"') {
        quoted = !quoted;
        continue;
      }
      if (n + 1 >= sizeof option) return -ENAMETOOLONG;
      option[n++] = *data;
    }
    option[n] = 0;
    if (*data == ',') data++;
    for (char *p = option; *p && !value; p++)
      if (*p == '=') *p = 0, value = p + 1;
    long r = !*option ? 0
             : value  ? SYS5(__NR_fsconfig, fs, FSCONFIG_SET_STRING, option, value, 0)
                      : SYS5(__NR_fsconfig, fs, FSCONFIG_SET_FLAG, option, NULL, 0);
    if (r < 0) {
      detail("the option ", option);
      return r;
    }
  }
  return 0;
}

static int new_tmpfs(const struct coam_step *s) {
  int fs = (int)SYS2(__NR_fsopen, "tmpfs", FSOPEN_CLOEXEC);
  if (fs < 0) return fs;
  long r = set_options(fs, plan_text(s->s[3]));
  if (r == 0) r = SYS5(__NR_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
  if (r == 0) r = SYS3(__NR_fsmount, fs, FSMOUNT_CLOEXEC, s->n[4] & ~(uint64_t)MOUNT_ATTR_RDONLY);
  sys_close(fs);
  return (int)r;
}

static int is_root_path(const char *p) {
  while (*p == '/') p++;
  return *p == 0;
}

long step_copy_up(const struct coam_step *s) {
  const char *path = plan_text(s->s[2]);
  struct statx st;
  int tree = new_tmpfs(s);
  if (tree < 0) return tree;
  int target = open_target(path, 1, s->flags);
  long r = target;
  if (target >= 0) {
    int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
    int from = (int)sys_openat(target, ".", flags, 0), to = (int)sys_openat(tree, ".", flags, 0);
    r = from < 0 ? from : to < 0 ? to : copy_tree(from, to, 0);
    if (r == 0) r = sys_statx(from, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &st);
    /* Its own mode and owner come from the options, or else from what it covers. */
    if (r == 0 && (s->flags & COAM_MOUNT_KEEP_MODE)) r = set_like(to, &st);
    if (from >= 0) sys_close(from);
    if (to >= 0) sys_close(to);
    if (r == 0) r = set_attributes(tree, s->n[4] & MOUNT_ATTR_RDONLY, 0, 0, 0);
    if (r == 0) r = set_attributes(tree, s->n[2], s->n[3], 0, AT_RECURSIVE);
    if (r == 0) r = put_tree(tree, target);
    if (r == 0) r = set_attributes(tree, 0, 0, s->n[1], (s->n[1] & MS_REC) ? AT_RECURSIVE : 0);
    sys_close(target);
  }
  forget_parent();
  if (r == 0 && is_root_path(path)) helper.root = tree; /* from here on that is the root */
  else sys_close(tree);
  return r;
}
