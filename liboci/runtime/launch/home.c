/* HOME from the container's own /etc/passwd, which is hostile: whatever cannot be read is no entry. */
#include "liboci/runtime/launch/helper.h"

#define MAX_PASSWD (1 << 20)

/* The number in field `p` up to ':', or ~0 for what is none. */
static uint64_t number_in(const char *p, const char *end) {
  uint64_t n = 0;
  if (p == end || *p == ':') return ~0ull;
  for (; p < end && *p != ':'; p++) {
    if (*p < '0' || *p > '9' || n > 0xffffffffull) return ~0ull;
    n = n * 10 + (uint64_t)(*p - '0');
  }
  return n;
}

/* name:password:uid:gid:comment:HOME:shell, in one line. */
static int take_line(const char *p, const char *end, uint64_t uid) {
  const char *field[6];
  int n = 0;
  field[n++] = p;
  for (; p < end && n < 6; p++)
    if (*p == ':') field[n++] = p + 1;
  if (n < 6 || number_in(field[2], end) != uid) return 0;
  char *to = helper.home + 5;
  const char *limit = helper.home + sizeof helper.home - 1;
  for (p = field[5]; p < end && *p != ':'; p++) {
    if (to == limit) return 0;
    *to++ = *p;
  }
  *to = 0;
  return to > helper.home + 5;
}

void find_home(uint64_t uid) {
  text_append(helper.home, helper.home + sizeof helper.home, "HOME=/");
  struct open_how how = {O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0, RESOLVE_NO_MAGICLINKS};
  int fd = (int)SYS4(__NR_openat2, AT_FDCWD, "/etc/passwd", &how, sizeof how);
  if (fd < 0) return;
  struct statx st;
  if (sys_statx(fd, "", AT_EMPTY_PATH, STATX_TYPE | STATX_SIZE, &st) == 0 &&
      (st.stx_mode & MODE_TYPE) == MODE_REG && st.stx_size > 0 && st.stx_size <= MAX_PASSWD) {
    long map = sys6(__NR_mmap, 0, (long)st.stx_size, 3 /* PROT_READ | PROT_WRITE */,
                    0x22 /* private, anonymous */, -1, 0);
    if (map > 0 || map <= -4096) {
      char *text = (char *)map;
      size_t size = 0;
      /* Read, not mapped: a file that shrinks meanwhile must not raise SIGBUS. */
      for (long n; size < st.stx_size; size += (size_t)n) {
        n = sys_read(fd, text + size, st.stx_size - size);
        if (n <= 0) break;
      }
      for (char *p = text, *end = text + size; p < end;) {
        char *line = p;
        while (p < end && *p != '\n') p++;
        if (take_line(line, p, uid)) break;
        text_append(helper.home, helper.home + sizeof helper.home, "HOME=/");
        p++;
      }
      SYS2(__NR_munmap, map, st.stx_size);
    }
  }
  sys_close(fd);
}
