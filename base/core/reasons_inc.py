"""Turns capi/abi/reasons.tsv into the rows of base/core/reasons.inc."""
import sys

CODES = {
    "INVALID_ARGUMENT": "kInvalidArgument", "FAILED_PRECONDITION": "kFailedPrecondition",
    "NOT_FOUND": "kNotFound", "ALREADY_EXISTS": "kAlreadyExists",
    "PERMISSION_DENIED": "kPermissionDenied", "UNAUTHENTICATED": "kUnauthenticated",
    "DATA_LOSS": "kDataLoss", "ABORTED": "kAborted", "UNAVAILABLE": "kUnavailable",
    "DEADLINE_EXCEEDED": "kDeadlineExceeded", "CANCELLED": "kCancelled",
    "RESOURCE_EXHAUSTED": "kResourceExhausted", "OUT_OF_RANGE": "kOutOfRange",
    "UNIMPLEMENTED": "kUnimplemented", "INTERNAL": "kInternal",
}


def rows(path):
    seen = set()
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            line = line.rstrip("\n")
            if not line or line.startswith("#"):
                continue
            fields = line.split("\t")
            if len(fields) != 7:
                sys.exit(f"{path}:{number}: {len(fields)} columns, not 7")
            if fields[0] in seen:
                sys.exit(f"{path}:{number}: {fields[0]} stands twice")
            if fields[1] not in CODES:
                sys.exit(f"{path}:{number}: no code {fields[1]}")
            seen.add(fields[0])
            yield fields


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


for reason, code, since, meaning, hint, python_class, exit_code in rows(sys.argv[1]):
    print("{%s, absl::StatusCode::%s, %s, %s, %s, %s, %d}," % (
        quoted(reason), CODES[code], quoted(since), quoted(meaning), quoted(hint),
        quoted(python_class), int(exit_code)))
