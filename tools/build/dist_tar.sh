#!/bin/bash
# dist_tar.sh OUT.tar.gz MANIFEST: lines "file<TAB>source<TAB>path<TAB>mode" or
# "link<TAB>target<TAB>path<TAB>-". The same input gives the same bytes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
while IFS=$'\t' read -r kind from to mode; do
  case $kind in
    file) install -D -m "$mode" "$from" "$work/$to" ;;
    link)
      mkdir -p "$work/$(dirname "$to")"
      ln -s "$from" "$work/$to"
      ;;
  esac
done <"$2"
find "$work" -type d -exec chmod 755 {} +
# The entries by name: the mode of the temporary folder itself must not land on a prefix.
(cd "$work" && find . -mindepth 1 -maxdepth 1 -printf '%P\0' | sort -z |
  tar --null --files-from=- --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -c) |
  gzip -9n >"$1"
