// Object is the base of all C handles: an atomic reference count and a virtual destructor.
//
// A handle that depends on another holds a Ref to it, so C callers may free in any order.
#ifndef COAMING_CAPI_SRC_OBJECT_H_
#define COAMING_CAPI_SRC_OBJECT_H_

#include <atomic>
#include <cstdint>
#include <utility>

namespace coaming::capi {

class Object {
 public:
  Object() = default;
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;
  virtual ~Object() = default;

  void AddRef() noexcept { count_.fetch_add(1, std::memory_order_relaxed); }
  void Drop() noexcept {
    if (count_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

 private:
  std::atomic<int32_t> count_{1};
};

// Ref is a counted pointer to an Object; may be null.
template <typename T>
class Ref {
 public:
  Ref() = default;
  // Adopt takes over the caller's reference; Share adds one of its own.
  static Ref Adopt(T* object) { return Ref(object); }
  static Ref Share(T* object) {
    if (object != nullptr) object->AddRef();
    return Ref(object);
  }
  Ref(const Ref& other) : Ref(Share(other.object_)) {}
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Ref& operator=(Ref other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Ref() {
    if (object_ != nullptr) object_->Drop();
  }
  T* get() const { return object_; }
  T* operator->() const { return object_; }
  T& operator*() const { return *object_; }
  explicit operator bool() const { return object_ != nullptr; }
  // Gives the reference to the caller.
  T* Release() { return std::exchange(object_, nullptr); }

 private:
  explicit Ref(T* object) : object_(object) {}
  T* object_ = nullptr;
};

template <typename T>
T* RefHandle(T* object) noexcept {
  if (object != nullptr) object->AddRef();
  return object;
}

template <typename T>
void FreeHandle(T* object) noexcept {
  if (object != nullptr) object->Drop();
}

// Busy marks a [single] object as in use for one call, so that a callback which calls back into it
// gets core.reentered instead of a deadlock or a data race.
class BusyFlag {
 public:
  bool Enter() { return !busy_.exchange(true, std::memory_order_acquire); }
  void Leave() { busy_.store(false, std::memory_order_release); }

 private:
  std::atomic<bool> busy_{false};
};

}  // namespace coaming::capi

#endif  // COAMING_CAPI_SRC_OBJECT_H_
