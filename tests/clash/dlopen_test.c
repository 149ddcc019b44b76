/* Loads libcoaming.so among OpenSSL, Protobuf, RE2 and Abseil, before and after them, globally and
 * locally, and unloads it: nothing of it stays mapped. */
#include <coaming/core.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const kStrangers[] = {"libcrypto.so.3",
                                         "libssl.so.3",
                                         "libprotobuf.so.32",
                                         "libre2.so.9",
                                         "libabsl_strings.so.20220623",
                                         "libabsl_status.so.20220623"};

static int Mapped(const char *name) {
  char line[4096];
  int found = 0;
  FILE *maps = fopen("/proc/self/maps", "re");
  if (maps == NULL) exit(9);
  while (fgets(line, sizeof line, maps) != NULL) found |= strstr(line, name) != NULL;
  fclose(maps);
  return found;
}

static void Strangers(int flags) {
  size_t i;
  for (i = 0; i < sizeof kStrangers / sizeof kStrangers[0]; ++i) {
    if (dlopen(kStrangers[i], flags) == NULL) {
      fprintf(stderr, "%s\n", dlerror());
      exit(2);
    }
  }
}

static int Use(void *so) {
  typedef coam_code (*context_new)(const coam_options *, coam_context **, coam_error **);
  typedef void (*context_free)(coam_context *);
  coam_context *context = NULL;
  context_new make;
  context_free drop;
  *(void **)&make = dlsym(so, "coam_context_new");
  *(void **)&drop = dlsym(so, "coam_context_free");
  if (make == NULL || drop == NULL) return 3;
  if (make(NULL, &context, NULL) != COAM_OK) return 4;
  drop(context);
  return 0;
}

int main(int argc, char **argv) {
  int round, code;
  if (argc != 2) return 1;
  for (round = 0; round < 4; ++round) {
    void *so = dlopen(argv[1], RTLD_NOW | (round % 2 ? RTLD_GLOBAL : RTLD_LOCAL));
    if (so == NULL) {
      fprintf(stderr, "%s\n", dlerror());
      return 5;
    }
    code = Use(so);
    if (code != 0) return code;
    if (round >= 1) Strangers(RTLD_NOW | RTLD_GLOBAL);
    code = Use(so);
    if (code != 0) return code;
    if (!Mapped("libcoaming.so")) return 6;
    if (dlclose(so) != 0) return 7;
    if (Mapped("libcoaming.so")) {
      fprintf(stderr, "round %d: libcoaming.so stays mapped after dlclose\n", round);
      return 8;
    }
  }
  return 0;
}
