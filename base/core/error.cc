#include "base/core/error.h"

#include <cstring>

#include "absl/strings/cord.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"

namespace coaming::base {
namespace {

constexpr std::string_view kPayloadUrl = "coaming.error";

constexpr ReasonInfo kReasons[] = {
#include "base/core/reasons.inc"
};

// The payload is a list of length-prefixed fields: an Error must survive inside absl::Status, which
// keeps bytes only.
void PutField(std::string* out, std::string_view field) {
  absl::StrAppend(out, field.size(), ":", field);
}

bool TakeField(std::string_view* in, std::string_view* field) {
  const size_t colon = in->find(':');
  size_t size = 0;
  if (colon == std::string_view::npos || !absl::SimpleAtoi(in->substr(0, colon), &size) ||
      size > in->size() - colon - 1) {
    return false;
  }
  *field = in->substr(colon + 1, size);
  in->remove_prefix(colon + 1 + size);
  return true;
}

std::string Encode(const Error& error) {
  std::string out;
  PutField(&out, absl::StrCat(static_cast<int>(error.code)));
  PutField(&out, error.reason);
  PutField(&out, error.message);
  PutField(&out, error.hint);
  PutField(&out, absl::StrCat(error.sys_errno));
  PutField(&out, absl::StrCat(error.details.size()));
  for (const auto& [key, value] : error.details) {
    PutField(&out, key);
    PutField(&out, value);
  }
  PutField(&out, error.cause ? Encode(*error.cause) : std::string());
  return out;
}

bool Decode(std::string_view in, Error* error) {
  std::string_view field;
  int code = 0;
  size_t details = 0;
  if (!TakeField(&in, &field) || !absl::SimpleAtoi(field, &code)) return false;
  error->code = static_cast<absl::StatusCode>(code);
  if (!TakeField(&in, &field)) return false;
  error->reason = field;
  if (!TakeField(&in, &field)) return false;
  error->message = field;
  if (!TakeField(&in, &field)) return false;
  error->hint = field;
  if (!TakeField(&in, &field) || !absl::SimpleAtoi(field, &error->sys_errno)) return false;
  if (!TakeField(&in, &field) || !absl::SimpleAtoi(field, &details)) return false;
  for (size_t i = 0; i < details; ++i) {
    std::string_view key, value;
    if (!TakeField(&in, &key) || !TakeField(&in, &value)) return false;
    error->details.emplace_back(key, value);
  }
  if (!TakeField(&in, &field)) return false;
  if (!field.empty()) {
    auto cause = std::make_shared<Error>();
    if (!Decode(field, cause.get())) return false;
    error->cause = std::move(cause);
  }
  return true;
}

// Messages are one line: a name taken from hostile input must not forge a second one.
std::string OneLine(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      absl::StrAppend(&out, "\\x", absl::Hex(byte, absl::kZeroPad2));
    } else {
      out += c;
    }
  }
  return out;
}

void AppendJsonString(std::string* out, std::string_view text) {
  *out += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      *out += '\\';
      *out += c;
    } else if (byte < 0x20) {
      absl::StrAppend(out, "\\u", absl::Hex(byte, absl::kZeroPad4));
    } else {
      *out += c;
    }
  }
  *out += '"';
}

}  // namespace

const ReasonInfo* FindReason(std::string_view name) {
  for (const ReasonInfo& row : kReasons) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

const ReasonInfo* ReasonAt(size_t index) {
  return index < std::size(kReasons) ? &kReasons[index] : nullptr;
}

std::string_view Error::Detail(std::string_view key) const {
  for (const auto& [name, value] : details) {
    if (name == key) return value;
  }
  return {};
}

Error GetError(const absl::Status& status) {
  Error error;
  if (auto payload = status.GetPayload(kPayloadUrl); payload.has_value()) {
    if (Decode(std::string(*payload), &error)) return error;
    error = Error();
  }
  error.code = status.code();
  error.reason = "core.internal";
  error.message = OneLine(status.message());
  if (const ReasonInfo* row = FindReason(error.reason)) error.hint = row->hint;
  return error;
}

std::string ReasonOf(const absl::Status& status) {
  return status.ok() ? std::string() : GetError(status).reason;
}

bool HasReason(const absl::Status& status, std::string_view reason) {
  return !status.ok() && GetError(status).reason == reason;
}

absl::Status ToStatus(const Error& error) {
  absl::Status status(error.code, absl::StrCat(error.reason, ": ", error.message));
  status.SetPayload(kPayloadUrl, absl::Cord(Encode(error)));
  return status;
}

ErrorMaker::ErrorMaker(std::string_view reason, int sys_errno) {
  const ReasonInfo* row = FindReason(reason);
  if (row == nullptr) {
    row = FindReason("core.internal");
    error_.details.emplace_back("unknown.reason", reason);
  }
  error_.reason = row->name;
  error_.code = row->code;
  error_.hint = row->hint;
  error_.sys_errno = sys_errno;
}

ErrorMaker&& ErrorMaker::Cause(const absl::Status& status) && {
  if (!status.ok()) error_.cause = std::make_shared<Error>(GetError(status));
  return std::move(*this);
}

absl::Status ErrorMaker::Build() const {
  Error error = error_;
  error.message = OneLine(error.message);
  if (error.sys_errno != 0) absl::StrAppend(&error.message, ": ", ErrnoText(error.sys_errno));
  return ToStatus(error);
}

ErrorMaker Fail(std::string_view reason) { return ErrorMaker(reason, 0); }

ErrorMaker FailErrno(std::string_view reason, int sys_errno) {
  return ErrorMaker(reason, sys_errno);
}

ErrorMaker FailLimit(std::string_view limit_name, int64_t limit) {
  return ErrorMaker("core.limit", 0).Detail("limit.name", limit_name).Detail("limit.value", limit);
}

absl::Status Wrap(const absl::Status& status, std::string_view context) {
  if (status.ok()) return status;
  Error error = GetError(status);
  error.message = absl::StrCat(OneLine(context), ": ", error.message);
  return ToStatus(error);
}

std::string ErrnoText(int sys_errno) {
  if (const char* text = strerrordesc_np(sys_errno); text != nullptr) return text;
  return absl::StrCat("errno ", sys_errno);
}

std::string ErrorToJson(const Error& error) {
  std::string out = "{\"code\":";
  AppendJsonString(&out, absl::StatusCodeToString(error.code));
  out += ",\"reason\":";
  AppendJsonString(&out, error.reason);
  out += ",\"message\":";
  AppendJsonString(&out, error.message);
  out += ",\"hint\":";
  AppendJsonString(&out, error.hint);
  absl::StrAppend(&out, ",\"errno\":", error.sys_errno, ",\"details\":{");
  for (size_t i = 0; i < error.details.size(); ++i) {
    if (i > 0) out += ',';
    AppendJsonString(&out, error.details[i].first);
    out += ':';
    AppendJsonString(&out, error.details[i].second);
  }
  out += '}';
  if (error.cause) absl::StrAppend(&out, ",\"cause\":", ErrorToJson(*error.cause));
  out += '}';
  return out;
}

}  // namespace coaming::base
