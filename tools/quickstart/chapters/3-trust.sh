step 3 "Trust the publisher's key"
explain "The name leads to a page, the page to the key. Its fingerprint is what to compare, by" \
  "another way, with what the publisher says."
must rkt trust --prefix=example.com/hello --skip-fingerprint-review
shown=$(tr -d ' \n' <out | tr 'a-f' 'A-F')
[[ $shown == *"$fingerprint"* ]] || fail "the fingerprint that gpg tells, $fingerprint, is not shown"
ok "the fingerprint is the one that gpg made: $fingerprint"
[ -s "etc/trustedkeys/prefix.d/example.com/hello/${fingerprint,,}" ] ||
  fail "the key is not in the key store"
ok "the key counts for example.com/hello and below, and for nothing else"
