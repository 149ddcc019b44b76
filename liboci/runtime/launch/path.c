/* Paths below the container's root. Resolution is the kernel's (openat2, in root, no magic links);
 * what is missing is made component by component on descriptors, so that no racing rename or link
 * in a hostile root can lead outside. */
#include "liboci/runtime/launch/helper.h"

static int open_how(int dir, const char *path, uint64_t flags, uint64_t resolve) {
  struct open_how how = {flags | O_CLOEXEC, 0, resolve};
  long fd;
  int tries = 64;
  do fd = SYS4(__NR_openat2, dir, path, &how, sizeof how);
  while ((fd == -EAGAIN || fd == -EINTR) && --tries > 0);
  return (int)fd;
}

int in_root(const char *path, uint64_t flags) {
  return open_how(helper.root, path, flags, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

static int last_component(const char *p) {
  while (*p == '/') p++;
  return *p == 0;
}

/* Makes what is missing of `path` with mode 0755 (a file at the end: 0644) and opens it O_PATH. */
int ensure_in_root(const char *path, int directory) {
  int fd = in_root(path, O_PATH);
  if (fd != -ENOENT) return fd;
  int parent = in_root("/", O_PATH | O_DIRECTORY);
  if (parent < 0) return parent;
  char prefix[4096], name[256];
  size_t used = 0;
  const char *p = path;
  for (;;) {
    while (*p == '/') p++;
    if (*p == 0) return parent;
    size_t n = 0;
    while (p[n] && p[n] != '/') n++;
    if (n >= sizeof name || used + n + 2 > sizeof prefix) {
      sys_close(parent);
      return -ENAMETOOLONG;
    }
    memcpy(name, p, n);
    name[n] = 0;
    prefix[used++] = '/';
    memcpy(prefix + used, p, n);
    used += n;
    prefix[used] = 0;
    p += n;
    int last = last_component(p);
    int want_directory = !last || directory;
    fd = in_root(prefix, O_PATH | (want_directory ? O_DIRECTORY : 0));
    if (fd == -ENOENT) {
      long r;
      if (text_equal(name, "..")) {
        r = -ENOENT;
      } else if (want_directory) {
        r = SYS3(__NR_mkdirat, parent, name, 0755);
        if (r == -EEXIST) r = 0;
      } else {
        r = sys_openat(parent, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_WRONLY, 0644);
        if (r >= 0) sys_close((int)r);
        if (r >= 0 || r == -EEXIST) r = 0;
      }
      fd = r < 0 ? (int)r
                 : open_how(parent, name, O_PATH | O_NOFOLLOW | (want_directory ? O_DIRECTORY : 0),
                            RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);
    }
    sys_close(parent);
    if (fd < 0) return fd;
    parent = fd;
    if (last) return fd;
  }
}

static char parent_path[4096];
static int parent_fd = -1;

void forget_parent(void) {
  if (parent_fd >= 0) sys_close(parent_fd);
  parent_fd = -1;
}

/* Opens the directory that holds `path` (made if missing) and keeps it for the next call; `name` is
 * the last component. Borrowed. */
int parent_in_root(const char *path, const char **name) {
  size_t n = text_length(path), cut = n;
  while (cut > 0 && path[cut - 1] != '/') cut--;
  *name = path + cut;
  if (cut == n || cut >= sizeof parent_path || text_equal(*name, "..") || text_equal(*name, "."))
    return -EINVAL;
  char dir[4096];
  memcpy(dir, path, cut);
  dir[cut] = 0;
  if (parent_fd >= 0 && text_equal(dir, parent_path)) return parent_fd;
  forget_parent();
  int fd = ensure_in_root(cut ? dir : "/", 1);
  if (fd < 0) return fd;
  memcpy(parent_path, dir, cut + 1);
  return parent_fd = fd;
}
