// What curl opens, made close-on-exec: curl 7.88 does so for none of its descriptors, and a host that
// execs while a session lives would hand them on.
//
// Threads: any. Not covered: the socket pair of curl's resolver thread, which lives as long as one
// name is looked up.
#ifndef COAMING_BASE_HTTP_CURL_DESCRIPTORS_H_
#define COAMING_BASE_HTTP_CURL_DESCRIPTORS_H_

#include <curl/curl.h>

namespace coaming::base {

// OpenCurlSocket is a CURLOPT_OPENSOCKETFUNCTION: close-on-exec from birth, never 0, 1 or 2.
curl_socket_t OpenCurlSocket(void* unused, curlsocktype purpose, struct curl_sockaddr* address);

// MarkWakeupPair makes the pair behind curl_multi_wakeup close-on-exec. `multi` is new and nobody
// else's. The pair is told from sockets of the host by what only it can do: it fills and empties at
// curl's word. Best effort: where it is not found nothing is changed.
void MarkWakeupPair(CURLM* multi);

}  // namespace coaming::base

#endif  // COAMING_BASE_HTTP_CURL_DESCRIPTORS_H_
