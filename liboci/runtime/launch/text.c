/* The few routines that the compiler or the helper expects of a C library. */
#include "liboci/runtime/launch/helper.h"

void *memset(void *to, int value, size_t size) {
  unsigned char *p = to;
  while (size--) *p++ = (unsigned char)value;
  return to;
}

void *memcpy(void *to, const void *from, size_t size) {
  unsigned char *p = to;
  const unsigned char *q = from;
  while (size--) *p++ = *q++;
  return to;
}

size_t text_length(const char *s) {
  size_t n = 0;
  while (s[n]) n++;
  return n;
}

int text_equal(const char *a, const char *b) {
  while (*a && *a == *b) a++, b++;
  return *a == *b;
}

char *text_append(char *to, const char *end, const char *s) {
  while (*s && to + 1 < end) *to++ = *s++;
  *to = 0;
  return to;
}

char *number_append(char *to, const char *end, long value) {
  char digits[24];
  int n = 0;
  unsigned long v = value < 0 ? 0ul - (unsigned long)value : (unsigned long)value;
  if (value < 0) to = text_append(to, end, "-");
  do digits[n++] = (char)('0' + v % 10);
  while (v /= 10);
  while (n && to + 1 < end) *to++ = digits[--n];
  *to = 0;
  return to;
}
