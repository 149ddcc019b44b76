// run: run the container of a bundle and end with its exit code, in C++ on the C ABI.
//
//   run BUNDLE [ID]
//
// The idiom: one template owns any handle, and `Out` is where a call puts it. What is to happen at the end
// is part of the type: a Container is deleted, with all that still runs in it, on every way out.
#include <coaming/run.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>

template <typename T, void (*kFree)(T *)>
class Owned {
 public:
  Owned() = default;
  Owned(const Owned &) = delete;
  Owned &operator=(const Owned &) = delete;
  ~Owned() {
    if (object_ != nullptr) kFree(object_);
  }
  T *get() const { return object_; }
  // For a call's result; an owner takes one in its life, so that nothing is freed unseen.
  T **Out() { return &object_; }

 private:
  T *object_ = nullptr;
};
using Error = Owned<coam_error, coam_error_free>;
using Options = Owned<coam_options, coam_options_free>;
using Runtime = Owned<coam_run_runtime, coam_run_runtime_free>;

// Deleting a container ends what still runs in it; freeing the handle alone would not.
static void Remove(coam_run_container *container) {
  if (coam_run_container_delete(container, nullptr, /*force=*/1, nullptr, nullptr) != COAM_OK)
    std::fprintf(stderr, "run: the container could not be deleted\n");
  coam_run_container_free(container);
}
using Container = Owned<coam_run_container, Remove>;

static int Fail(const Error &error) {
  std::fprintf(stderr, "run: %s\n", coam_error_message(error.get()).data);
  if (coam_error_hint(error.get()).size > 0)
    std::fprintf(stderr, "hint: %s\n", coam_error_hint(error.get()).data);
  return coam_error_exit_code(error.get());
}

int main(int argc, char **argv) {
  if (argc < 2 || argc > 3) {
    std::fprintf(stderr, "usage: run BUNDLE [ID]\n");
    return 2;
  }
  const char *state = std::getenv("RUN_STATE");
  Error error;
  Options where, how;
  Runtime runtime;
  Container container;
  int32_t status = 0;
  coam_code code = coam_options_new("run.runtime", where.Out(), error.Out());
  if (code == COAM_OK)
    code = coam_options_set(where.get(), "state-root",
                            state != nullptr ? state : "/run/run-example", error.Out());
  if (code == COAM_OK) code = coam_run_runtime_new(where.get(), runtime.Out(), error.Out());
  if (code == COAM_OK) code = coam_options_new("run.create", how.Out(), error.Out());
  if (code == COAM_OK) code = coam_options_set(how.get(), "bundle", argv[1], error.Out());
  if (code != COAM_OK) return Fail(error);

  code = coam_run_container_run(runtime.get(), nullptr, argc > 2 ? argv[2] : "run-example",
                                how.get(), container.Out(), error.Out());
  if (code == COAM_OK)
    code = coam_run_container_wait(container.get(), nullptr, &status, nullptr, error.Out());
  if (code != COAM_OK) return Fail(error);
  return status;
}
