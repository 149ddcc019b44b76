step 8 "What must not run does not come in"
published=www/images/example.com/$image
explain "One byte of the image is changed on the server:"
printf 'x' | dd of="$published.aci" bs=1 seek=1000 conv=notrunc status=none
refused 'does not fit' rkt fetch example.com/hello:0.0.1

explain "" "The image is as it was, but signed by a key that nobody trusts:"
cp hello.aci "$published.aci"
must_quietly gpg --batch --quiet --passphrase '' --quick-generate-key \
  'Somebody <else@example.org>' ed25519 sign never
must_quietly gpg --batch --yes --armor --local-user else@example.org \
  --output "$published.aci.asc" --detach-sign hello.aci
refused 'not trusted' rkt fetch example.com/hello:0.0.1

explain "" "There is no signature at all:"
rm "$published.aci.asc"
refused 'signature' rkt fetch example.com/hello:0.0.1
[ -z "$(rkt image list --no-legend)" ] || fail "a refused image is in the store"
ok "the store is empty"
GNUPGHOME=$work/gnupg gpgconf --kill all
stop_servers
nothing_left
