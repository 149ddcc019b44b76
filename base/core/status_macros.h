// COAM_RETURN_IF_ERROR and COAM_ASSIGN_OR_RETURN: early return of a failed status.
#ifndef COAMING_BASE_CORE_STATUS_MACROS_H_
#define COAMING_BASE_CORE_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"

// Returns from the enclosing function if `expr`, an absl::Status, is not OK.
#define COAM_RETURN_IF_ERROR(expr)                                                     \
  do {                                                                                 \
    if (::absl::Status coam_status_ = (expr); !coam_status_.ok()) return coam_status_; \
  } while (0)

// COAM_ASSIGN_OR_RETURN(auto x, MakeX()); `lhs` may declare. Not for use in an unbraced if.
#define COAM_ASSIGN_OR_RETURN(lhs, expr) \
  COAM_ASSIGN_OR_RETURN_IMPL_(COAM_CONCAT_(coam_statusor_, __LINE__), lhs, expr)
#define COAM_ASSIGN_OR_RETURN_IMPL_(tmp, lhs, expr) \
  auto tmp = (expr);                                \
  if (!tmp.ok()) return std::move(tmp).status();    \
  lhs = *std::move(tmp)
#define COAM_CONCAT_(a, b) COAM_CONCAT_INNER_(a, b)
#define COAM_CONCAT_INNER_(a, b) a##b

#endif  // COAMING_BASE_CORE_STATUS_MACROS_H_
