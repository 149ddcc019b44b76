step 2 "Sign it and publish it"
explain "A key made by gpg signs the image; nginx serves image, signature and key over HTTPS, and" \
  "its pages tell in two meta tags where they lie. The certificate is of an authority of our own."
export GNUPGHOME=$work/gnupg
publisher='Hello Publisher <hello@example.com>'
must_quietly gpg --batch --quiet --passphrase '' --quick-generate-key "$publisher" ed25519 sign never
must_quietly gpg --batch --armor --detach-sign hello.aci
must_quietly gpg --batch --armor --output www/pubkeys.gpg --export "$publisher"
fingerprint=$(gpg --batch --with-colons --list-keys "$publisher" 2>/dev/null | awk -F: '$1 == "fpr" { print $10; exit }')
make_authority
image=hello-0.0.1-linux-amd64
mkdir -p www/images/example.com
cp hello.aci "www/images/example.com/$image.aci"
cp hello.aci.asc "www/images/example.com/$image.aci.asc"
cat >www/index.html <<'END'
<!DOCTYPE html>
<html><head>
<meta name="ac-discovery" content="example.com https://example.com/images/{name}-{version}-{os}-{arch}.{ext}">
<meta name="ac-discovery-pubkeys" content="example.com https://example.com/pubkeys.gpg">
</head><body>Containers of example.com</body></html>
END
show cat www/index.html
grep meta www/index.html | sed 's/^/     /'
start_nginx
ok "https://example.com/hello answers for those who know the authority and the address"
