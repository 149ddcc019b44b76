// LocaleGuard gives the calling thread, and no other, a UTF-8 character type for its life. libarchive
// converts names by the thread's locale; in "C" it would replace bytes above 127. Private.
#ifndef COAMING_BASE_ARCHIVE_LOCALE_GUARD_H_
#define COAMING_BASE_ARCHIVE_LOCALE_GUARD_H_

#include <locale.h>

namespace coaming::base::internal {

// Utf8Locale owns a locale object, or none if the system lacks C.UTF-8.
class Utf8Locale {
 public:
  Utf8Locale() : locale_(newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)) {
    if (locale_ == nullptr) locale_ = newlocale(LC_CTYPE_MASK, "C", nullptr);
  }
  ~Utf8Locale() {
    if (locale_ != nullptr) freelocale(locale_);
  }
  Utf8Locale(const Utf8Locale&) = delete;
  Utf8Locale& operator=(const Utf8Locale&) = delete;
  locale_t get() const { return locale_; }

 private:
  locale_t locale_;
};

class LocaleGuard {
 public:
  explicit LocaleGuard(locale_t locale) : old_(uselocale(locale)) {}
  ~LocaleGuard() { uselocale(old_); }
  LocaleGuard(const LocaleGuard&) = delete;
  LocaleGuard& operator=(const LocaleGuard&) = delete;
  locale_t old() const { return old_; }

 private:
  locale_t old_;  // never null: LC_GLOBAL_LOCALE if the thread had none of its own
};

}  // namespace coaming::base::internal

#endif  // COAMING_BASE_ARCHIVE_LOCALE_GUARD_H_
