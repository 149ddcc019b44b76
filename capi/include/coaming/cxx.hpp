// coaming/cxx.hpp: owning handles and errors for C++11 and later, over the C ABI and nothing else.
//
// The only C++ that is safe across the edge of a shared object: all of it is inline here.
//
//   coaming::Options options("oci.pull");
//   options.Set("platform", "linux/arm64");
//   coaming::Handle<coam_cancel> cancel;
//   coaming::Call(coam_cancel_new, cancel.Out());
//
// Call throws coaming::Error. A program without exceptions uses Handle alone and looks at codes.
#ifndef COAMING_CXX_HPP_
#define COAMING_CXX_HPP_

#include <coaming/coaming.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace coaming {

inline std::string Text(coam_str s) { return std::string(s.data, s.size); }

namespace internal {
template <typename T>
struct Traits;
}  // namespace internal

// COAMING_HANDLE names the functions that count a type.
#define COAMING_HANDLE(type) \
  namespace internal { \
  template <> \
  struct Traits<type> { \
    static type *Ref(type *p) { return p ? type##_ref(p) : p; } \
    static void Free(type *p) { type##_free(p); } \
  }; \
  }

COAMING_HANDLE(coam_error)
COAMING_HANDLE(coam_buf)
COAMING_HANDLE(coam_cancel)
COAMING_HANDLE(coam_context)
COAMING_HANDLE(coam_job)
COAMING_HANDLE(coam_notes)
COAMING_HANDLE(coam_options)

// Handle owns one reference. Copies count; moves do not.
template <typename T>
class Handle {
 public:
  Handle() : p_(nullptr) {}
  // Takes over a "new" result.
  explicit Handle(T *p) : p_(p) {}
  Handle(const Handle &other) : p_(internal::Traits<T>::Ref(other.p_)) {}
  Handle(Handle &&other) noexcept : p_(other.Release()) {}
  Handle &operator=(Handle other) noexcept {
    std::swap(p_, other.p_);
    return *this;
  }
  ~Handle() { internal::Traits<T>::Free(p_); }
  T *get() const { return p_; }
  explicit operator bool() const { return p_ != nullptr; }
  // Frees what it holds and gives the place for a new result.
  T **Out() {
    internal::Traits<T>::Free(p_);
    p_ = nullptr;
    return &p_;
  }
  T *Release() {
    T *p = p_;
    p_ = nullptr;
    return p;
  }

 private:
  T *p_;
};

// Error is a failed call as an exception; what() is the message.
class Error : public std::runtime_error {
 public:
  explicit Error(Handle<coam_error> error)
      : std::runtime_error(Text(coam_error_message(error.get()))), error_(std::move(error)) {}
  coam_code code() const { return coam_error_code(error_.get()); }
  std::string reason() const { return Text(coam_error_reason(error_.get())); }
  std::string hint() const { return Text(coam_error_hint(error_.get())); }
  std::string detail(const char *key) const { return Text(coam_error_detail(error_.get(), key)); }
  const coam_error *get() const { return error_.get(); }

 private:
  Handle<coam_error> error_;
};

// Call runs a C function with its error parameter last and throws what it reports:
//   coaming::Call(coam_options_set, options, "platform", "linux/arm64");
template <typename Function, typename... Args>
void Call(Function function, Args... args) {
  Handle<coam_error> error;
  if (function(args..., error.Out()) != COAM_OK) throw Error(std::move(error));
}

class Options {
 public:
  explicit Options(const char *family) { Call(coam_options_new, family, options_.Out()); }
  Options &Set(const char *key, const std::string &value) {
    Call(coam_options_set, options_.get(), key, value.c_str());
    return *this;
  }
  Options &Set(const char *key, int64_t value) {
    Call(coam_options_set_int, options_.get(), key, value);
    return *this;
  }
  Options &SetCancel(const Handle<coam_cancel> &cancel) {
    coam_options_set_cancel(options_.get(), cancel.get());
    return *this;
  }
  coam_options *get() const { return options_.get(); }

 private:
  Handle<coam_options> options_;
};

}  // namespace coaming

#endif  // COAMING_CXX_HPP_
