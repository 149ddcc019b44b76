/* See witness.c. */
#ifndef COAMING_TESTS_CAPI_WITNESS_H_
#define COAMING_TESTS_CAPI_WITNESS_H_

#define WITNESS_FDS 1024

struct witness {
  char umask[16], blocked[32], ignored[32], caught[32], no_new_privs[8], threads[16];
  char uid[64], gid[64], cwd[4096], locale[512];
  unsigned long environment, limits, handlers;
  int subreaper, dumpable, priority;
  char fds[WITNESS_FDS]; /* 0 closed, 1 inheritable, 2 close-on-exec */
};

void witness_before(struct witness *w, const char *name, int *seen);
void witness_after(const struct witness *before, const char *name);

#endif /* COAMING_TESTS_CAPI_WITNESS_H_ */
