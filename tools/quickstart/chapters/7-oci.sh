step 7 "The same by OCI's specifications"
explain "Pulled from the registry, every digest checked, unpacked to a bundle, and run; its network" \
  "namespace joins the same bridge between creation and start."
must coam pull --progress=plain docker://127.0.0.1:5000/hello:1 pulled:hello
pulled=$(jq -r '.manifests[0].digest' pulled/index.json)
served=$(curl -fsSI -H 'Accept: application/vnd.oci.image.manifest.v1+json' \
  http://127.0.0.1:5000/v2/hello/manifests/1 | tr -d '\r' |
  awk 'tolower($1) == "docker-content-digest:" { print $2 }')
same "the digest" "$pulled" "$served"
must coam unpack oci:pulled:hello bundle
[ -x bundle/rootfs/serve ] && [ -s bundle/config.json ] || fail "the bundle is not complete"
must coam create --bundle=bundle --pid-file=hello.pid hello
hello_pid=$(cat hello.pid)
must coam cni add --id=hello --port=8081:80/tcp quick "/proc/$hello_pid/ns/net"
must coam start hello
until_true 10 answer 8081 || fail "port 8081 does not answer"
show curl http://127.0.0.1:8081/
sed 's/^/     /' answer
same "the answer" "$(cat answer)" "hello from a container"
must coam state hello
same "the state" "$(jq -r .status out)" running
own_namespaces "$hello_pid" pid mnt uts ipc net
must coam cni del --id=hello --port=8081:80/tcp quick "/proc/$hello_pid/ns/net"
must coam kill hello
until_true 10 test ! -e "/proc/$hello_pid/ns/net" || fail "it does not stop"
must coam delete hello
explain "" "Or in one word, for a program that ends by itself:"
jq '.process.args = ["/bin/busybox", "cat", "/www/index.html"]' bundle/config.json >config.new
mv config.new bundle/config.json
must coam run --bundle=bundle hello
same "what it printed" "$(cat out)" "hello from a container"
rm -rf bundle
nothing_left
