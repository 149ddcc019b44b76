/* coaming/json.h: reads the JSON documents that other calls return, so that nobody scrapes text.
 *
 * Documents are parsed strictly (RFC 8259, no key twice, bounded by limits.json_*). Values are named by
 * JSON Pointers (RFC 6901): "" is the document, "/apps/0/name" a member of an item; in keys "~1" is a
 * slash and "~0" a tilde. A value that is not there is no error: the getters answer nothing.
 */
#ifndef COAMING_JSON_H_
#define COAMING_JSON_H_

#include <coaming/core.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A parsed document. [immutable] */
typedef struct coam_json coam_json;

/* coam_json_parse reads `size` bytes of `data` (copied) into *ret_json (new).
 * Errors: json.invalid, json.duplicate_key, core.limit. */
COAM_CHECKED coam_code coam_json_parse(const void *data, size_t size, coam_json **ret_json,
                                       coam_error **ret_error);
COAM_API coam_json *coam_json_ref(coam_json *json);
COAM_API void coam_json_free(coam_json *json);
COAM_DEFINE_FREEP(coam_json)
/* "null", "bool", "number", "string", "array", "object", or "" if there is no such value. Static. */
COAM_API const char *coam_json_type(const coam_json *json, const char *pointer);
/* Items of an array or members of an object; 0 for anything else. */
COAM_API size_t coam_json_count(const coam_json *json, const char *pointer);
/* The key of member `index` of an object, or an empty string. Borrowed. */
COAM_API coam_str coam_json_key(const coam_json *json, const char *pointer, size_t index);
/* A string, or the text of a number as it stands in the document; else an empty string. Borrowed. */
COAM_API coam_str coam_json_text(const coam_json *json, const char *pointer);
/* A whole number that fits, true as 1 and false as 0; else `fallback`. */
COAM_API int64_t coam_json_int(const coam_json *json, const char *pointer, int64_t fallback);

#ifdef __cplusplus
}
#endif

#endif /* COAMING_JSON_H_ */
