// Read by the thread sanitizer's runtime as a program starts.

extern "C" __attribute__((visibility("default"))) const char* __tsan_default_suppressions();

// Abseil's mutex tells the sanitizer what it orders, and hides its inside from it; the semaphore that a
// sleeping thread waits on is the one part of the inside that shows, without the order it is used in.
extern "C" const char* __tsan_default_suppressions() {
  return "race:synchronization_internal::Waiter::\n"
         "race:AbslInternalPerThreadSem\n";
}
