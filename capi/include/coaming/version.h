/* coaming/version.h: the version of these headers and of the library that is loaded.
 *
 * Semantic versions of the C ABI. The soname stays libcoaming.so.1 for the life of version 1.
 */
#ifndef COAMING_VERSION_H_
#define COAMING_VERSION_H_

#include <coaming/export.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define COAM_VERSION_MAJOR 1
#define COAM_VERSION_MINOR 0
#define COAM_VERSION_MICRO 0
/* 0xMMmmpp of these headers. */
#define COAM_VERSION_NUMBER 0x010000
#define COAM_VERSION_STRING "1.0.0"

/* coam_version_number returns 0xMMmmpp of the library that is loaded; compare it with
 * COAM_VERSION_NUMBER to see whether header and library disagree. Any thread. Cannot fail. */
COAM_API uint32_t coam_version_number(void);

/* coam_version_string returns "1.0.0" of the library that is loaded. Static. Any thread. */
COAM_API const char *coam_version_string(void);

/* coam_build_details returns one line for bug reports: versions of coaming and of each library it
 * was built with, and its features. Static. Any thread. */
COAM_API const char *coam_build_details(void);

#ifdef __cplusplus
}
#endif

#endif /* COAMING_VERSION_H_ */
