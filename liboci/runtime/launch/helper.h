/* What the files of coaming-launch share. One thread, no heap, no C library. */
#ifndef COAMING_LIBOCI_RUNTIME_LAUNCH_HELPER_H_
#define COAMING_LIBOCI_RUNTIME_LAUNCH_HELPER_H_

#include "liboci/runtime/launch/plan_format.h"
#include "liboci/runtime/launch/sys.h"

#define MODE_TYPE 0170000
#define MODE_DIR 0040000
#define MODE_REG 0100000
#define MODE_CHR 0020000
#define MODE_LNK 0120000
#define MODE_FIFO 0010000

struct helper {
  const struct coam_plan_header *plan;
  const struct coam_step *steps;
  uint32_t step;       /* the one being carried out */
  int root;            /* the container's root, -1 before COAM_OP_ROOT */
  int mask_dir;        /* a mounted empty directory to clone, or -1 */
  int in_directory;    /* CHDIR has worked */
  int monitor;         /* the monitor's end of its child's socket, -1 if there is none */
  const char *program; /* found by COAM_OP_LOOKUP */
  char program_buffer[4096];
  char home[1024]; /* "HOME=...", set by COAM_OP_HOME, or empty */
  char text[1024]; /* detail of the failure, or empty */
};
extern struct helper helper;

/* A step returns 0 or -errno. */
typedef long (*step_function)(const struct coam_step *step);

/* main.c */
int slot_fd(uint64_t slot);
const char *plan_text(uint32_t offset); /* NULL for 0 */
long report(uint32_t kind, int32_t value, const char *text, int fd);
long report_to(int socket, uint32_t kind, int32_t value, const char *text, int fd);
void note(long negative_errno, const char *text);
void detail(const char *a, const char *b);
long wait_for(char want);

/* path.c: everything below the container's root, never out of it */
int in_root(const char *path, uint64_t flags);
int ensure_in_root(const char *path, int directory);
int parent_in_root(const char *path, const char **name);
void forget_parent(void);

/* steps_mounts.c: a place in the root to mount on, and detached trees */
int open_target(const char *path, int directory, unsigned flags);
long set_attributes(int fd, uint64_t set, uint64_t clear, uint64_t propagation, unsigned at_flags);
long put_tree(int tree, int target);

/* text.c */
void *memset(void *to, int value, size_t size);
void *memcpy(void *to, const void *from, size_t size);
size_t text_length(const char *s);
int text_equal(const char *a, const char *b);
char *text_append(char *to, const char *end, const char *s);
char *number_append(char *to, const char *end, long value);

/* steps_*.c */
long step_namespaces(const struct coam_step *step);
long step_mounts(const struct coam_step *step);
long step_copy_up(const struct coam_step *step);
long step_settings(const struct coam_step *step);
long step_privileges(const struct coam_step *step);
long step_program(const struct coam_step *step);
long step_console(const struct coam_step *step);
long step_hook(const struct coam_step *step);
long step_monitor(const struct coam_step *step);
char **plan_vector(uint32_t offset, uint64_t count); /* NULL-ended words, or NULL */
/* The same for an environment; HOME is added when COAM_OP_HOME has found one. */
char **plan_environment(uint32_t offset, uint64_t count);
void find_home(uint64_t uid); /* home.c */

/* monitor.c, monitor_log.c */
__attribute__((noreturn)) void monitor_main(const struct coam_step *step, int channel, long child);
struct log_line {
  const char *stream; /* "stdout" */
  char text[16384];
  size_t used;
};
long log_open(int dir, const char *name, uint64_t max_size, uint64_t max_files);
long log_reopen(void);
void log_close(void);
void log_bytes(struct log_line *line, const char *bytes, size_t size);
void log_end(struct log_line *line); /* what has no line end yet */
void log_flush(void);

#endif /* COAMING_LIBOCI_RUNTIME_LAUNCH_HELPER_H_ */
