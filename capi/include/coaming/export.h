/* coaming/export.h: how functions are exported and which of them this program wants to see.
 *
 * Define COAM_TARGET_VERSION (0xMMmmpp) before the first include to hide what came later.
 */
#ifndef COAMING_EXPORT_H_
#define COAMING_EXPORT_H_

#if defined(__GNUC__) || defined(__clang__)
#define COAM_API __attribute__((visibility("default")))
/* A call whose code must be looked at. */
#define COAM_CHECKED COAM_API __attribute__((warn_unused_result))
/* COAM_AUTO(coam_buf) b = NULL; frees b when it goes out of scope. */
#define COAM_AUTO(type) __attribute__((cleanup(type##_freep))) type *
#else
#define COAM_API
#define COAM_CHECKED
#endif

#ifndef COAM_TARGET_VERSION
#define COAM_TARGET_VERSION 0x010000
#endif

/* COAM_DEFINE_FREEP gives COAM_AUTO its clean-up function for one type. */
#ifdef __cplusplus
#define COAM_DEFINE_FREEP(type) \
  static inline void type##_freep(type **p) { \
    type##_free(*p); \
    *p = nullptr; \
  }
#else
#define COAM_DEFINE_FREEP(type) \
  static inline void type##_freep(type **p) { \
    type##_free(*p); \
    *p = NULL; \
  }
#endif

#endif /* COAMING_EXPORT_H_ */
