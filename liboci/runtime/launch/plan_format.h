/* The wire form of a launch plan, shared by the host (C++) and the helper coaming-launch (C).
 *
 * A plan is one block: header, step records, then bytes that steps point at by offset. Every record
 * has the same size; what its numbers and strings mean is said beside each operation. Numbers are
 * append-only. The host seals the block; the helper still checks every offset once. Strings end in
 * NUL; offset 0 means none. Descriptors are named by slot: number = header.fd_base + slot.
 */
#ifndef COAMING_LIBOCI_RUNTIME_LAUNCH_PLAN_FORMAT_H_
#define COAMING_LIBOCI_RUNTIME_LAUNCH_PLAN_FORMAT_H_

#include <stdint.h>

#define COAM_PLAN_MAGIC 0x31504c43u /* "CLP1" */
#define COAM_PLAN_VERSION 1u

enum { COAM_SLOT_SYNC = 0, COAM_SLOT_PLAN = 1, COAM_SLOT_LISTEN = 2, COAM_SLOT_FIRST = 3 };
#define COAM_NO_SLOT 0xffffffffffffffffull

struct coam_plan_header {
  uint32_t magic, version;
  uint32_t size; /* of the whole block */
  uint32_t nsteps;
  uint32_t fd_base; /* descriptors below belong to the program */
  uint32_t nslots;
  uint32_t reserved[2];
};

struct coam_step {
  uint32_t op;
  uint32_t flags;
  uint64_t n[6];
  uint32_t s[4];
};

enum coam_op {
  COAM_OP_NONE = 0,
  /* Namespaces and ids */
  COAM_OP_JOIN = 1,        /* n0 slot of the namespace, n1 CLONE_NEW* type */
  COAM_OP_JOIN_PIDFD = 2,  /* n0 slot of the pidfd, n1 CLONE_NEW* set */
  COAM_OP_UNSHARE = 3,     /* n0 CLONE_NEW* set */
  COAM_OP_CLONE = 4,       /* n0 CLONE_NEW* set: goes on in a sibling, child of the host */
  COAM_OP_WAIT_MAPS = 5,   /* host writes the id maps, answers 'm' */
  COAM_OP_SET_IDS = 6,     /* n0 uid, n1 gid: all three of each; flags 1: drop groups */
  COAM_OP_WAIT_CGROUP = 7, /* waits for 'c': the host has attached this process */
  COAM_OP_WAIT_HOST = 8,   /* reports NAMESPACES, waits for 'h': host-side hooks are done;
                              flags 1: with a netlink socket of the container's network */
  COAM_OP_SETSID = 9,
  COAM_OP_KEYRING = 10,  /* s0 name of the new session keyring */
  COAM_OP_DUMPABLE = 11, /* n0 value */
  COAM_OP_MONITOR = 12,  /* n0 CLONE_NEW* set: goes on in a child of a monitor, which stays. n1 slot
                               of the first of COAM_MONITOR_SLOTS descriptors; n2 bytes of a log file
                               (0: any), n3 files; s0 name of the log; flags COAM_MONITOR_* */
  /* Root and mounts */
  COAM_OP_PROPAGATION = 20, /* n0 MS_* on "/" of the process */
  COAM_OP_ROOT = 21,        /* s0 path; or n0 slot of a detached tree; n1 MS_* propagation of it;
                               flags 1: attached over "/" */
  COAM_OP_MOUNT = 22,       /* s0 type, s1 source, s2 target, s3 data; n0 MS_*, n1 propagation,
                               n2 recursive attr set, n3 recursive attr clear */
  COAM_OP_BIND = 23,        /* s1 source (or n5 slot of a detached tree), s2 target; n0 attr set,
                               n1 attr clear, n2 recursive set, n3 recursive clear,
                               n4 propagation; flags COAM_BIND_* */
  COAM_OP_REMOUNT = 24,     /* s2 target, s3 data; n0 MS_* */
  COAM_OP_MASK = 25,        /* s2 target */
  COAM_OP_READONLY = 26,    /* s2 target */
  COAM_OP_MKNOD = 27,       /* s2 path; n0 mode with type, n1 dev_t, n2 uid, n3 gid */
  COAM_OP_BIND_NODE = 28,   /* s1 host path (or n0 slot of a detached node), s2 path: a device
                               bound instead of made */
  COAM_OP_SYMLINK = 29,     /* s1 text, s2 path */
  COAM_OP_CONSOLE = 30,     /* n0 rows, n1 columns, n2 uid; sends the master */
  COAM_OP_PIVOT = 31,       /* flags 1: MS_MOVE and chroot instead; 2: the old root shares
                               mounts with the host */
  COAM_OP_ROOT_PROPAGATION = 32, /* n0 MS_* on the new root, after the pivot */
  COAM_OP_ROOT_READONLY = 33,
  COAM_OP_TMPCOPYUP = 34, /* s2 target, s3 options of a tmpfs; n1 propagation, n2 recursive attr
                             set, n3 recursive attr clear, n4 attr; what lay there is copied up */
  COAM_OP_MKDIR = 35,     /* s2 path; n0 mode; flags 1: with what is above it (0755), and if it
                               cannot be made that is for whoever needs it to say */
  /* Settings of the process and its namespaces */
  COAM_OP_PROC_WRITE = 50,  /* s1 path below the host's /proc, s2 value */
  COAM_OP_HOSTNAME = 51,    /* s1 name */
  COAM_OP_DOMAINNAME = 52,  /* s1 name */
  COAM_OP_RLIMIT = 53,      /* n0 resource, n1 soft, n2 hard */
  COAM_OP_SCHEDULER = 54,   /* s1 struct sched_attr, n0 size */
  COAM_OP_IOPRIO = 55,      /* n0 value */
  COAM_OP_AFFINITY = 56,    /* s1 mask, n0 size */
  COAM_OP_MEMPOLICY = 57,   /* n0 mode with flags, s1 mask, n1 bits */
  COAM_OP_PERSONALITY = 58, /* n0 persona */
  COAM_OP_UMASK = 59,       /* n0 */
  COAM_OP_LABEL_EXEC = 60,  /* s1 file below /proc/self, s2 value; n0 slot of the host's /proc */
  COAM_OP_LOOPBACK = 61,    /* sets lo up in the current network namespace */
  /* Privileges */
  COAM_OP_BOUNDING = 70, /* n0 mask of capabilities kept */
  COAM_OP_USER = 71,     /* n0 uid, n1 gid, n2 count of groups, s1 uint32 array; flags 1: no
                               setgroups. Pipes that are 0, 1 and 2 become the user's, who may
                               so open them by name. */
  COAM_OP_CAPS = 72,     /* n0 effective, n1 permitted, n2 inheritable, n3 ambient */
  COAM_OP_NO_NEW_PRIVS = 73,
  COAM_OP_SECCOMP = 74, /* s1 sock_filter array, n0 count, n1 flags; flags 1: has a listener */
  /* Program */
  COAM_OP_CHDIR = 90, /* s1 path; flags 1: a refusal is left to the next CHDIR, which
                               does nothing if this one worked */
  COAM_OP_HOOK = 91,  /* s0 path, s1 argv, s2 environment, s3 state text; n0 seconds or 0,
                               n1 count argv, n2 count environment, n3 length, n4 offset of pid;
                               flags 1: the environment is the program's */
  COAM_OP_READY = 92, /* flags 1: reports READY, waits for 'k', then for a connection
                               to COAM_SLOT_LISTEN that says 'g'; else waits for 'g' */
  COAM_OP_EXEC = 93,  /* s1 argv, n1 count, s2 environment, n2 count, s3 PATH; flags 1:
                               LISTEN_PID= of the environment gets this process's pid */
  COAM_OP_PAUSE = 94,
  COAM_OP_LOOKUP = 95, /* s1 argv[0], s3 PATH: finds the program, as the user it will run as */
  COAM_OP_HOME = 96 /* n0 uid: HOME becomes what the container's /etc/passwd says of it, or "/" */
};

/* Flags of MOUNT and BIND. */
#define COAM_BIND_RECURSIVE 1u
#define COAM_BIND_NO_CREATE 2u /* target must exist */
#define COAM_BIND_OPTIONAL 4u  /* a missing source is skipped */
#define COAM_MOUNT_PLAIN 8u    /* the target itself must not be a symbolic link (proc, sysfs) */
#define COAM_MOUNT_ON_PROC 16u /* the target may lie on procfs */
#define COAM_BIND_SOURCE_NOFOLLOW 32u
#define COAM_BIND_TARGET_NOFOLLOW 64u
#define COAM_BIND_COPY_SYMLINK 128u /* a source that is a link is made again, not mounted */
#define COAM_MOUNT_KEEP_MODE 256u   /* tmpfs: the mode of the directory that it covers */

/* What a monitor has to do, and its descriptors, in the order of their slots. */
#define COAM_MONITOR_LOG 1u    /* LOG_DIR is there, s0 names the file */
#define COAM_MONITOR_ATTACH 2u /* ATTACH listens */
#define COAM_MONITOR_IN 4u     /* IN is the writing end of the program's input */
#define COAM_MONITOR_OUT 8u    /* OUT, ERR are the reading ends of its output */
#define COAM_MONITOR_ERR 16u
#define COAM_MONITOR_TERMINAL 32u /* the master comes from COAM_OP_CONSOLE */
#define COAM_MONITOR_NOTIFY 64u   /* NOTIFY is bound, NOTIFY_HOST connected */
#define COAM_MONITOR_TWO_STAGE 128u
enum {
  COAM_MONITOR_STATE_DIR = 0,
  COAM_MONITOR_LOG_DIR = 1,
  COAM_MONITOR_ATTACH_FD = 2,
  COAM_MONITOR_IN_FD = 3,
  COAM_MONITOR_OUT_FD = 4,
  COAM_MONITOR_ERR_FD = 5,
  COAM_MONITOR_NOTIFY_FD = 6,
  COAM_MONITOR_NOTIFY_HOST_FD = 7,
  COAM_MONITOR_SLOTS = 8
};
/* The monitor's attach socket, SOCK_SEQPACKET; each packet starts with one of these bytes.
 * To the monitor: */
#define COAM_ATTACH_OUTPUT 'o' /* send me what is written from now on */
#define COAM_ATTACH_INPUT 'i'  /* the rest is for the program's input */
#define COAM_ATTACH_CLOSE 'c'  /* the input ends here */
#define COAM_ATTACH_SIZE 'w'   /* uint16 rows, columns */
#define COAM_ATTACH_REOPEN 'r' /* opens the log anew by its name */
/* From it: 1 and 2 carry output; 0 int32 errno of the last o, w or r; 3 int32 wait status: the end. */
#define COAM_ATTACH_REPLY 0
#define COAM_ATTACH_END 3
#define COAM_ATTACH_MAX 16384 /* bytes after the first one */

/* Helper -> host, SOCK_SEQPACKET: this record, then `size` bytes; descriptors by SCM_RIGHTS. */
enum coam_report_kind {
  COAM_REPORT_ERROR = 1, /* value = errno; text = what exactly, or empty */
  COAM_REPORT_CHILD = 2, /* value = pid in the caller's view; fd = its pidfd */
  COAM_REPORT_MAPS = 3,
  COAM_REPORT_NAMESPACES = 4,
  COAM_REPORT_READY = 5,
  COAM_REPORT_CONSOLE = 6, /* fd = master; text = its name in the container */
  COAM_REPORT_SECCOMP = 7, /* fd = listener */
  COAM_REPORT_NOTE = 8,    /* value = errno; done, but: text */
  COAM_REPORT_MONITOR = 9  /* value = pid, fd = pidfd of the monitor */
};
struct coam_report {
  uint32_t kind;
  uint32_t step;
  int32_t value;
  uint32_t size;
};
#define COAM_REPORT_MAX 2048

#endif /* COAMING_LIBOCI_RUNTIME_LAUNCH_PLAN_FORMAT_H_ */
