#!/bin/bash
# fetch.sh PACKAGE VERSION VERSIONS.tsv DEST: unpacks a pinned Debian source package into DEST.
# Every file is named with its sha256 in versions.tsv; it is taken from the cache
# (COAMING_SOURCES, else ~/.cache/coaming/sources, shared by all output bases) or fetched by apt's
# own downloader from the archive this machine already uses. Nothing else of the machine is read.
set -euo pipefail
package=$1 version=$2 table=$3 dest=$4
cache=${COAMING_SOURCES:-${HOME:-/root}/.cache/coaming/sources}
mkdir -p "$cache"
exec 9>"$cache/.lock"
flock 9

matches() { [ -f "$1" ] && [ "$(sha256sum <"$1" | cut -d' ' -f1)" = "$2" ]; }

archives() {
  apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' |
    sed 's:/*$::' | sort -u
}

get() {  # pool file sha256
  local to="$cache/$2" from
  matches "$to" "$3" && return 0
  for from in $(archives); do
    rm -f "$to.part"
    if /usr/lib/apt/apt-helper -o APT::Sandbox::User=root download-file \
        "$from/$1/$2" "$to.part" "SHA256:$3" >"$cache/.log" 2>&1 && matches "$to.part" "$3"; then
      mv "$to.part" "$to"
      return 0
    fi
  done
  rm -f "$to.part"
  cat >&2 <<X
third_party: cannot get $2 (sha256 $3).
It is neither in $cache nor at $1 of the Debian archives of this machine:
$(archives | sed 's/^/  /')
Either put the file into $cache, or pin the version that Debian carries now
(apt-get source --download-only $package) in third_party/versions.tsv and WORKSPACE.
$(tail -3 "$cache/.log" 2>/dev/null)
X
  return 1
}

dsc=
while IFS=$'\t' read -r p v pool file sum; do
  if [ "$p" = "$package" ] && [ "$v" = "$version" ]; then
    get "$pool" "$file" "$sum"
    case $file in *.dsc) dsc=$file ;; esac
  fi
done <"$table"
if [ -z "$dsc" ]; then
  echo "third_party: $package $version has no .dsc row in versions.tsv" >&2
  exit 1
fi

rm -rf "$dest/.src"
(cd "$dest" && dpkg-source --no-check --no-copy -x "$cache/$dsc" .src) >"$dest/unpack.log" 2>&1 ||
  { cat "$dest/unpack.log" >&2; exit 1; }
# Their own BUILD files would cut our globs.
find "$dest/.src" \( -name BUILD -o -name BUILD.bazel -o -name WORKSPACE -o -name MODULE.bazel \
  -o -name WORKSPACE.bazel \) -delete
mv "$dest"/.src/* "$dest"/
rm -rf "$dest/.src" "$dest/unpack.log"
