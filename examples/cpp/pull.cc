// pull: from a registry to a runnable bundle, with progress, in C++ on the C ABI.
//
//   pull docker://127.0.0.1:5000/hello:1 /run/hello
//
// The idiom: one template owns any handle, and `Out` is where a call puts it. No wrapper library and no
// exception is needed; <coaming/cxx.hpp> has the same with counting copies and errors that are thrown.
#include <coaming/oci.h>

#include <cstdint>
#include <cstdio>
#include <utility>

template <typename T, void (*kFree)(T *)>
class Owned {
 public:
  Owned() = default;
  Owned(Owned &&other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  ~Owned() { kFree(object_); }  // NULL is allowed
  Owned &operator=(Owned other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  T *get() const { return object_; }
  // For a call's result: what was owned before is freed first.
  T **Out() {
    kFree(std::exchange(object_, nullptr));
    return &object_;
  }

 private:
  T *object_ = nullptr;
};
using Context = Owned<coam_context, coam_context_free>;
using Error = Owned<coam_error, coam_error_free>;
using Image = Owned<coam_oci_image, coam_oci_image_free>;
using Options = Owned<coam_options, coam_options_free>;
using Text = Owned<coam_buf, coam_buf_free>;

// Comes on this thread, inside our own calls. `user` is what set_events got.
static int32_t Show(void *user, const coam_event *event) {
  auto *bytes = static_cast<int64_t *>(user);
  *bytes = coam_event_done(event) > *bytes ? coam_event_done(event) : *bytes;
  return 0;  // go on
}

static int Fail(const Error &error) {
  std::fprintf(stderr, "%s: %s\n", coam_error_reason(error.get()).data,
               coam_error_message(error.get()).data);
  if (coam_error_hint(error.get()).size > 0)
    std::fprintf(stderr, "hint: %s\n", coam_error_hint(error.get()).data);
  return coam_error_exit_code(error.get());
}

int main(int argc, char **argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: pull IMAGE DIRECTORY\n");
    return 2;
  }
  Error error;
  Context context;
  Options options;
  Image image;
  Text summary;
  int64_t largest = 0;
  if (coam_context_new(nullptr, context.Out(), error.Out()) != COAM_OK) return Fail(error);
  if (coam_oci_open(context.get(), argv[1], nullptr, image.Out(), error.Out()) != COAM_OK)
    return Fail(error);
  std::printf("%s\n", coam_oci_image_digest(image.get()).data);
  if (coam_options_new("oci.unpack", options.Out(), error.Out()) != COAM_OK) return Fail(error);
  coam_options_set_events(options.get(), Show, &largest, nullptr);
  if (coam_oci_image_unpack(image.get(), context.get(), argv[2], options.get(), summary.Out(),
                            error.Out()) != COAM_OK)
    return Fail(error);
  std::printf("%s\n%lld bytes of one thing at most\n",
              static_cast<const char *>(coam_buf_data(summary.get())),
              static_cast<long long>(largest));
  return 0;
}
