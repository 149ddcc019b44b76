/* Root, mounts, masks and device nodes. Targets are opened once, in the root, and mounted on by
 * descriptor: nothing is resolved twice. */
#include <linux/magic.h>

#include "liboci/runtime/launch/helper.h"

#define MS_TYPES (MS_SHARED | MS_SLAVE | MS_PRIVATE | MS_UNBINDABLE)

static long type_of(int fd, unsigned *mode) {
  struct statx st;
  long r = sys_statx(fd, "", AT_EMPTY_PATH, STATX_TYPE, &st);
  if (r == 0) *mode = st.stx_mode & MODE_TYPE;
  return r;
}

/* A hostile root may hold a link or mount that puts the target on procfs; runc's rule: only known
 * files there may be covered. */
static long check_not_proc(int fd, unsigned flags) {
  struct sys_statfs fs;
  if (flags & COAM_MOUNT_ON_PROC) return 0;
  long r = SYS2(__NR_fstatfs, fd, &fs);
  if (r < 0) return r;
  if (fs.type == PROC_SUPER_MAGIC) {
    detail("the target lies on procfs", NULL);
    return -EPERM;
  }
  return 0;
}

/* The target itself, even if it is a link; made if it is not there. */
static int open_target_nofollow(const char *path, int directory) {
  const char *name;
  int parent = parent_in_root(path, &name);
  if (parent < 0) return parent;
  int fd = (int)sys_openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
  if (fd != -ENOENT) return fd;
  long r = directory ? SYS3(__NR_mkdirat, parent, name, 0755)
                     : SYS4(__NR_mknodat, parent, name, MODE_REG | 0644, 0);
  return r < 0 ? (int)r : (int)sys_openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
}

int open_target(const char *path, int directory, unsigned flags) {
  int fd;
  if (flags & COAM_MOUNT_PLAIN) {
    const char *name;
    int parent = parent_in_root(path, &name);
    if (parent < 0) return parent;
    long r = SYS3(__NR_mkdirat, parent, name, 0755);
    if (r < 0 && r != -EEXIST && r != -EROFS) return (int)r;
    struct open_how how = {O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0,
                           RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH};
    fd = (int)SYS4(__NR_openat2, parent, name, &how, sizeof how);
    if (fd == -ELOOP) detail("the target is a symbolic link", NULL);
    return fd;
  }
  fd = (flags & COAM_BIND_TARGET_NOFOLLOW) ? open_target_nofollow(path, directory)
       : (flags & COAM_BIND_NO_CREATE)     ? in_root(path, O_PATH)
                                           : ensure_in_root(path, directory);
  if (fd < 0) return fd;
  long r = check_not_proc(fd, flags);
  if (r < 0) {
    sys_close(fd);
    return (int)r;
  }
  return fd;
}

long set_attributes(int fd, uint64_t set, uint64_t clear, uint64_t propagation, unsigned at_flags) {
  if ((set | clear | propagation) == 0) return 0;
  struct mount_attr attr = {set, clear, propagation & MS_TYPES, 0};
  return sys_mount_setattr(fd, at_flags, &attr);
}

long put_tree(int tree, int target) {
  return sys_move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

/* Propagation and recursive attributes of what now lies at `path`. */
static long after_mount(const struct coam_step *s, const char *path, uint64_t propagation,
                        uint64_t set, uint64_t clear) {
  if ((propagation | set | clear) == 0) return 0;
  (void)s;
  int fd = in_root(path, O_PATH);
  if (fd < 0) return fd;
  long r = set_attributes(fd, set, clear, 0, AT_RECURSIVE);
  if (r == 0) r = set_attributes(fd, 0, 0, propagation, (propagation & MS_REC) ? AT_RECURSIVE : 0);
  sys_close(fd);
  return r;
}

/* The options with the mode of what is covered behind them, if there is something to cover. */
static const char *with_mode(const char *path, const char *data, char *buffer, const char *end) {
  struct statx st;
  int fd = in_root(path, O_PATH | O_DIRECTORY);
  if (fd < 0) return data;
  long r = sys_statx(fd, "", AT_EMPTY_PATH, STATX_MODE, &st);
  sys_close(fd);
  if (r < 0) return data;
  char *p = buffer;
  if (data && *data) p = text_append(text_append(p, end, data), end, ",");
  p = text_append(p, end, "mode=");
  for (int shift = 9; shift >= 0; shift -= 3) {
    char digit[2] = {(char)('0' + (st.stx_mode >> shift & 7)), 0};
    p = text_append(p, end, digit);
  }
  return buffer;
}

static long step_mount(const struct coam_step *s) {
  const char *path = plan_text(s->s[2]), *data = plan_text(s->s[3]);
  char buffer[4096];
  if (s->flags & COAM_MOUNT_KEEP_MODE) data = with_mode(path, data, buffer, buffer + sizeof buffer);
  int target = open_target(path, 1, s->flags);
  if (target < 0) return target;
  long r = SYS1(__NR_fchdir, target);
  if (r == 0) r = sys_mount(plan_text(s->s[1]), ".", plan_text(s->s[0]), s->n[0], data);
  sys_close(target);
  forget_parent();
  return r < 0 ? r : after_mount(s, path, s->n[1], s->n[2], s->n[3]);
}

/* 1 if `source` is a link and `path` now is the same link. */
static long copy_symlink(const char *source, const char *path) {
  char text[4096], there[4096];
  long n = SYS4(__NR_readlinkat, AT_FDCWD, source, text, sizeof text - 1);
  if (n < 0) return n == -EINVAL ? 0 : n;
  text[n] = 0;
  const char *name;
  int parent = parent_in_root(path, &name);
  if (parent < 0) return parent;
  long r = SYS3(__NR_symlinkat, text, parent, name);
  if (r != -EEXIST) return r < 0 ? r : 1;
  n = SYS4(__NR_readlinkat, parent, name, there, sizeof there - 1);
  if (n >= 0) there[n] = 0;
  if (n >= 0 && text_equal(text, there)) return 1;
  detail("another file is where the link belongs", NULL);
  return -EEXIST;
}

static long step_bind(const struct coam_step *s) {
  const char *source = plan_text(s->s[1]), *path = plan_text(s->s[2]);
  unsigned rec = (s->flags & COAM_BIND_RECURSIVE) ? AT_RECURSIVE : 0, mode = 0;
  if (s->flags & COAM_BIND_SOURCE_NOFOLLOW) rec |= AT_SYMLINK_NOFOLLOW;
  if (s->flags & COAM_BIND_COPY_SYMLINK) {
    long copied = copy_symlink(source, path);
    if (copied != 0) return copied < 0 ? copied : 0;
  }
  int tree = s->n[5] != COAM_NO_SLOT
                 ? slot_fd(s->n[5])
                 : (int)sys_open_tree(AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | rec);
  if (tree == -ENOENT && (s->flags & COAM_BIND_OPTIONAL)) return 0;
  if (tree == -ENOENT) detail("the source does not exist", NULL);
  if (tree < 0) return tree;
  long r = type_of(tree, &mode);
  if (r == 0) r = set_attributes(tree, s->n[0], s->n[1], 0, 0);
  if (r == 0) r = set_attributes(tree, s->n[2], s->n[3], 0, AT_RECURSIVE);
  int target = r < 0 ? (int)r : open_target(path, mode == MODE_DIR, s->flags);
  if (target >= 0) {
    unsigned target_mode = 0;
    r = type_of(target, &target_mode);
    if (r == 0 && (mode == MODE_DIR) != (target_mode == MODE_DIR)) {
      detail(mode == MODE_DIR ? "the source is a directory, the target is not"
                              : "the target is a directory, the source is not",
             NULL);
      r = -ENOTDIR;
    }
    if (r == 0) r = put_tree(tree, target);
    if (r == 0 && s->n[4])
      r = set_attributes(tree, 0, 0, s->n[4], (s->n[4] & MS_REC) ? AT_RECURSIVE : 0);
    sys_close(target);
  } else {
    r = target;
  }
  sys_close(tree);
  forget_parent();
  return r;
}

static long step_remount(const struct coam_step *s) {
  int target = in_root(plan_text(s->s[2]), O_PATH);
  if (target < 0) return target;
  long r = SYS1(__NR_fchdir, target);
  if (r == 0) r = sys_mount(NULL, ".", NULL, MS_REMOUNT | s->n[0], plan_text(s->s[3]));
  sys_close(target);
  return r;
}

static int skipped(long r) { return r == -ENOENT || r == -ENOTDIR; }

/* The tree that hides a directory: one empty read-only tmpfs, cloned for each further path. */
static int empty_tree(void) {
  if (helper.mask_dir >= 0)
    return (int)sys_open_tree(helper.mask_dir, "",
                              AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  int fs = (int)SYS2(__NR_fsopen, "tmpfs", FSOPEN_CLOEXEC);
  if (fs < 0) return fs;
  SYS5(__NR_fsconfig, fs, FSCONFIG_SET_STRING, "nr_blocks", "1", 0);
  SYS5(__NR_fsconfig, fs, FSCONFIG_SET_STRING, "nr_inodes", "1", 0);
  long r = SYS5(__NR_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
  if (r == 0)
    r = SYS3(__NR_fsmount, fs, FSMOUNT_CLOEXEC,
             MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
  sys_close(fs);
  return (int)r;
}

/* A clone of the host's own /dev/null: checked, since a container may have replaced what it sees. */
static int null_tree(void) {
  struct statx st;
  int tree = (int)sys_open_tree(AT_FDCWD, "/dev/null", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  if (tree < 0) return tree;
  long r = sys_statx(tree, "", AT_EMPTY_PATH, STATX_TYPE, &st);
  if (r == 0 &&
      ((st.stx_mode & MODE_TYPE) != MODE_CHR || st.stx_rdev_major != 1 || st.stx_rdev_minor != 3)) {
    detail("the host's /dev/null is not the null device", NULL);
    r = -ENODEV;
  }
  if (r == 0) return tree;
  sys_close(tree);
  return (int)r;
}

static long step_mask(const struct coam_step *s) {
  int target = in_root(plan_text(s->s[2]), O_PATH);
  if (target < 0) return skipped(target) ? 0 : target;
  unsigned mode = 0;
  long r = type_of(target, &mode);
  if (r == 0) {
    int tree = mode == MODE_DIR ? empty_tree() : null_tree();
    r = tree < 0 ? tree : put_tree(tree, target);
    if (r == 0 && mode == MODE_DIR && helper.mask_dir < 0) helper.mask_dir = tree;
    else if (tree >= 0) sys_close(tree);
  }
  sys_close(target);
  return r;
}

static long step_readonly(const struct coam_step *s) {
  int target = in_root(plan_text(s->s[2]), O_PATH);
  if (target < 0) return skipped(target) ? 0 : target;
  int tree = (int)sys_open_tree(target, "",
                                AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
  long r = tree;
  if (tree >= 0) {
    r = set_attributes(tree, MOUNT_ATTR_RDONLY, 0, 0, AT_RECURSIVE);
    if (r == 0) r = put_tree(tree, target);
    sys_close(tree);
  }
  sys_close(target);
  return r;
}

static long step_mknod(const struct coam_step *s) {
  const char *name;
  unsigned mode = (unsigned)s->n[0];
  int parent = parent_in_root(plan_text(s->s[2]), &name);
  if (parent < 0) return parent;
  long r = SYS4(__NR_mknodat, parent, name, mode, s->n[1]);
  if (r == -EEXIST) {
    struct statx st;
    unsigned major = (unsigned)((s->n[1] >> 8) & 0xfff);
    unsigned minor = (unsigned)((s->n[1] & 0xff) | ((s->n[1] >> 12) & 0xfff00));
    r = sys_statx(parent, name, AT_SYMLINK_NOFOLLOW, STATX_TYPE, &st);
    if (r == 0 && (((st.stx_mode ^ mode) & MODE_TYPE) != 0 || st.stx_rdev_major != major ||
                   st.stx_rdev_minor != minor)) {
      detail("another file of that name exists", NULL);
      r = -EEXIST;
    }
  } else if (r == 0 && (s->n[2] | s->n[3]) != 0) {
    r = SYS5(__NR_fchownat, parent, name, s->n[2], s->n[3], AT_SYMLINK_NOFOLLOW);
  }
  return r;
}

static long step_bind_node(const struct coam_step *s) {
  int tree = s->n[0] != 0 ? slot_fd(s->n[0])
                          : (int)sys_open_tree(AT_FDCWD, plan_text(s->s[1]),
                                               OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  if (tree < 0) return tree;
  int target = ensure_in_root(plan_text(s->s[2]), 0);
  long r = target < 0 ? target : put_tree(tree, target);
  if (target >= 0) sys_close(target);
  sys_close(tree);
  return r;
}

static long step_symlink(const struct coam_step *s) {
  const char *name;
  int parent = parent_in_root(plan_text(s->s[2]), &name);
  if (parent < 0) return parent;
  long r = SYS3(__NR_symlinkat, plan_text(s->s[1]), parent, name);
  return r == -EEXIST ? 0 : r; /* the image's own stands */
}

static long step_root(const struct coam_step *s) {
  int tree = s->n[0] != COAM_NO_SLOT
                 ? slot_fd(s->n[0])
                 : (int)sys_open_tree(AT_FDCWD, plan_text(s->s[0]),
                                      OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
  if (tree < 0) return tree;
  unsigned mode = 0;
  long r = type_of(tree, &mode);
  if (r == 0 && mode != MODE_DIR) r = -ENOTDIR;
  if (r == 0 && s->n[1])
    r = set_attributes(tree, 0, 0, s->n[1], (s->n[1] & MS_REC) ? AT_RECURSIVE : 0);
  /* At its own path, where hooks of the host expect it; where that path cannot be walked, or its
   * mount must not become private, over "/" (lookups from "/" do not cross into it). */
  if (r == 0) {
    r = -EACCES;
    if (!(s->flags & 1))
      r = sys_move_mount(tree, "", AT_FDCWD, plan_text(s->s[0]), MOVE_MOUNT_F_EMPTY_PATH);
    if (r == -EACCES) r = sys_move_mount(tree, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH);
  }
  if (r == 0) helper.root = tree;
  return r;
}

static long step_pivot(const struct coam_step *s) {
  forget_parent();
  long r = SYS1(__NR_fchdir, helper.root);
  if (r < 0) return r;
  if (s->flags & 1) {
    r = sys_mount(".", "/", NULL, MS_MOVE, NULL);
    if (r == 0) r = SYS1(__NR_chroot, ".");
    return r < 0 ? r : SYS1(__NR_chdir, "/");
  }
  int old = -1;
  if (s->flags & 2) old = (int)sys_openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
  r = SYS2(__NR_pivot_root, ".", ".");
  if (r < 0) return r;
  if (old >= 0) {
    /* The old tree still shares with the host: unmounting it must not reach there. */
    r = SYS1(__NR_fchdir, old);
    if (r == 0) r = sys_mount(NULL, ".", NULL, MS_REC | MS_SLAVE, NULL);
    sys_close(old);
    if (r < 0) return r;
  }
  r = SYS2(__NR_umount2, ".", 2 /* MNT_DETACH */);
  return r < 0 ? r : SYS1(__NR_chdir, "/");
}

long step_mounts(const struct coam_step *s) {
  int fd;
  long r;
  const char *name;
  switch (s->op) {
    case COAM_OP_PROPAGATION: return sys_mount(NULL, "/", NULL, s->n[0], NULL);
    case COAM_OP_ROOT: return step_root(s);
    case COAM_OP_MOUNT: return step_mount(s);
    case COAM_OP_TMPCOPYUP: return step_copy_up(s);
    case COAM_OP_BIND: return step_bind(s);
    case COAM_OP_REMOUNT: return step_remount(s);
    case COAM_OP_MASK: return step_mask(s);
    case COAM_OP_READONLY: return step_readonly(s);
    case COAM_OP_MKNOD: return step_mknod(s);
    case COAM_OP_BIND_NODE: return step_bind_node(s);
    case COAM_OP_SYMLINK: return step_symlink(s);
    case COAM_OP_PIVOT: return step_pivot(s);
    case COAM_OP_ROOT_PROPAGATION:
      return set_attributes(helper.root, 0, 0, s->n[0], (s->n[0] & MS_REC) ? AT_RECURSIVE : 0);
    case COAM_OP_ROOT_READONLY: return set_attributes(helper.root, MOUNT_ATTR_RDONLY, 0, 0, 0);
    case COAM_OP_MKDIR:
      if (s->flags & 1) {
        fd = ensure_in_root(plan_text(s->s[2]), 1);
        if (fd >= 0) sys_close(fd);
        return 0;
      }
      fd = parent_in_root(plan_text(s->s[2]), &name);
      if (fd < 0) return fd;
      r = SYS3(__NR_mkdirat, fd, name, s->n[0]);
      return r == -EEXIST ? 0 : r;
    default: return -ENOSYS;
  }
}
