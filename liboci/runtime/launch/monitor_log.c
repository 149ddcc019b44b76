/* The monitor's log: CRI lines ("TIME stdout F text"), rotated by size, reopened by name.
 * A line longer than the buffer is written in parts marked P; its last part is marked F. */
#include "liboci/runtime/launch/helper.h"

static struct {
  int dir, fd;
  const char *name;
  uint64_t max_size, max_files, size;
  size_t used; /* of `waiting` */
} log_file = {.dir = -1, .fd = -1};
static char waiting[65536];

static void log_name(char *to, const char *end, uint64_t number) {
  to = text_append(to, end, log_file.name);
  if (number) number_append(text_append(to, end, "."), end, (long)number);
}

long log_reopen(void) {
  struct statx st;
  log_flush();
  long fd = sys_openat(log_file.dir, log_file.name,
                       O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0640);
  if (fd < 0) return fd;
  long r = sys_statx((int)fd, "", AT_EMPTY_PATH, STATX_SIZE | STATX_TYPE, &st);
  if (r == 0 && (st.stx_mode & MODE_TYPE) != MODE_REG) r = -EINVAL;
  if (r < 0) {
    sys_close((int)fd);
    return r;
  }
  if (log_file.fd >= 0) sys_close(log_file.fd);
  log_file.fd = (int)fd;
  log_file.size = st.stx_size;
  return 0;
}

long log_open(int dir, const char *name, uint64_t max_size, uint64_t max_files) {
  log_file.dir = dir;
  log_file.name = name;
  log_file.max_size = max_size;
  log_file.max_files = max_files ? max_files : 1;
  return log_reopen();
}

void log_close(void) {
  if (log_file.fd >= 0) sys_close(log_file.fd);
  log_file.fd = -1;
}

static void rotate(void) {
  char from[300], to[300];
  log_flush();
  if (log_file.max_files == 1) {
    if (SYS2(__NR_ftruncate, log_file.fd, 0) == 0) log_file.size = 0;
    return;
  }
  for (uint64_t i = log_file.max_files - 1; i > 0; i--) {
    log_name(from, from + sizeof from, i - 1);
    log_name(to, to + sizeof to, i);
    SYS5(__NR_renameat2, log_file.dir, from, log_file.dir, to, 0);
  }
  log_reopen();
}

void log_flush(void) {
  const char *p = waiting;
  while (log_file.used > 0 && log_file.fd >= 0) {
    long n = sys_write(log_file.fd, p, log_file.used);
    if (n == -EINTR) continue;
    if (n <= 0) break; /* a full disk costs lines, not the container */
    p += n;
    log_file.used -= (size_t)n;
    log_file.size += (size_t)n;
  }
  log_file.used = 0;
}

static void append(const char *bytes, size_t size) {
  memcpy(waiting + log_file.used, bytes, size);
  log_file.used += size;
}

static void digits(char *to, int n, unsigned long value) {
  while (n-- > 0) {
    to[n] = (char)('0' + value % 10);
    value /= 10;
  }
}

/* Days since 1970 to a date of the Gregorian calendar, in eras of 400 years. */
static void stamp(char *to) {
  long now[2] = {0, 0};
  SYS2(__NR_clock_gettime, 0 /* CLOCK_REALTIME */, now);
  unsigned long days = (unsigned long)now[0] / 86400, second = (unsigned long)now[0] % 86400;
  unsigned long z = days + 719468, era = z / 146097, doe = z % 146097;
  unsigned long yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
  unsigned long doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
  unsigned long month = mp < 10 ? mp + 3 : mp - 9;
  memcpy(to, "0000-00-00T00:00:00.000000000Z", 31);
  digits(to, 4, yoe + era * 400 + (month <= 2));
  digits(to + 5, 2, month);
  digits(to + 8, 2, doy - (153 * mp + 2) / 5 + 1);
  digits(to + 11, 2, second / 3600);
  digits(to + 14, 2, second / 60 % 60);
  digits(to + 17, 2, second % 60);
  digits(to + 20, 9, (unsigned long)now[1]);
}

static void emit(struct log_line *line, char tag) {
  char time[31];
  size_t stream = text_length(line->stream), size = 30 + 1 + stream + 3 + line->used + 1;
  if (log_file.fd < 0) {
    line->used = 0;
    return;
  }
  if (log_file.used + size > sizeof waiting) log_flush();
  if (log_file.max_size && log_file.size + log_file.used > 0 &&
      log_file.size + log_file.used + size > log_file.max_size)
    rotate();
  stamp(time);
  append(time, 30);
  append(" ", 1);
  append(line->stream, stream);
  append(tag == 'F' ? " F " : " P ", 3);
  append(line->text, line->used);
  append("\n", 1);
  line->used = 0;
}

void log_bytes(struct log_line *line, const char *bytes, size_t size) {
  for (size_t i = 0; i < size; i++) {
    if (bytes[i] == '\n') {
      emit(line, 'F');
      continue;
    }
    if (line->used == sizeof line->text) emit(line, 'P');
    line->text[line->used++] = bytes[i];
  }
}

void log_end(struct log_line *line) {
  if (line->used > 0) emit(line, 'F');
}
