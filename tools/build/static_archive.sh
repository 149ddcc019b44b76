#!/bin/bash
# static_archive.sh OUT.a KEEP WHOLE... -- REST...: one object of everything, its symbols made local.
# Groups are resolved away (--force-group-allocation), or their local signatures would displace the
# caller's copies of the same templates.
set -euo pipefail
out=$1 keep=$2
shift 2
whole=()
while [ "$1" != -- ]; do
  whole+=("$1")
  shift
done
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ld.bfd -r --force-group-allocation -o "$work/coaming.o" \
  --whole-archive "${whole[@]}" --no-whole-archive --start-group "$@" --end-group
objcopy --wildcard --keep-global-symbol="$keep" --strip-unneeded "$work/coaming.o"
rm -f "$out"
ar rcsD "$out" "$work/coaming.o"
