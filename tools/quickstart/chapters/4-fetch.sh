step 4 "Fetch the image by its name"
explain "Discovery finds image and signature; the signature is checked over the bytes as they come," \
  "and only then does the image appear in the store, named by the digest of its content."
must rkt fetch --progress=plain --full example.com/hello:0.0.1
image_id=$(grep -o 'sha512-[0-9a-f]\{128\}' out | tail -n 1)
same "the image ID" "$image_id" "sha512-$(gzip -dc hello.aci 2>/dev/null | sha512sum | cut -d' ' -f1)"
