// LogSink takes what the library has to say beside its results. Default: nobody listens.
//
// An error that is returned is not logged above debug as well. Threads: a sink is called on
// whatever thread works; the C ABI queues records so that host code runs only inside host calls.
#ifndef COAMING_BASE_CORE_LOG_H_
#define COAMING_BASE_CORE_LOG_H_

#include <initializer_list>
#include <string_view>
#include <utility>

namespace coaming::base {

enum class LogLevel : int { kDebug = 0, kInfo = 1, kWarning = 2, kError = 3 };

using LogFields = std::initializer_list<std::pair<std::string_view, std::string_view>>;

class LogSink {
 public:
  virtual ~LogSink() = default;
  virtual void Write(LogLevel level, std::string_view component, std::string_view message,
                     LogFields fields) = 0;
};

// Log writes to `sink` unless it is null.
inline void Log(LogSink* sink, LogLevel level, std::string_view component, std::string_view message,
                LogFields fields = {}) {
  if (sink != nullptr) sink->Write(level, component, message, fields);
}

}  // namespace coaming::base

#endif  // COAMING_BASE_CORE_LOG_H_
