#!/bin/bash
# boringssl_prefix.sh SYMBOLS OUTDIR: the two headers by which BoringSSL renames its own symbols
# when BORINGSSL_PREFIX is defined. SYMBOLS is `nm -g --defined-only` of its unprefixed archive.
set -euo pipefail
for kind in "" _asm; do
  {
    echo "#define BORINGSSL_ADD_PREFIX_INNER(a, b) a ## _ ## b"
    echo "#define BORINGSSL_ADD_PREFIX(a, b) BORINGSSL_ADD_PREFIX_INNER(a, b)"
    while read -r symbol; do
      echo "#define $symbol BORINGSSL_ADD_PREFIX(BORINGSSL_PREFIX, $symbol)"
    done <"$1"
  } >"$2/boringssl_prefix_symbols$kind.h"
done
