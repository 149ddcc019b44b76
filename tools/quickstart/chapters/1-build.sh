step 1 "Build an image from a program and a page"
explain "Debian's static busybox is the whole system; a page is what it serves. acbuild's words put" \
  "them into an App Container image (a tar of a manifest and a root file system)."
mkdir page
cat >page/index.html <<'END'
hello from a container
END
cat >serve <<'END'
#!/bin/sh
# Serves /www until it is told to stop.
trap 'exit 0' TERM INT
/bin/busybox httpd -f -p 80 -h /www &
wait
END
chmod 755 serve
echo '{"limit": "64M"}' >memory.json
echo '{"limit": "250m"}' >cpu.json
must_quietly acbuild begin
must_quietly acbuild set-name example.com/hello
must_quietly acbuild copy /bin/busybox /bin/busybox
must_quietly acbuild copy /bin/busybox /bin/sh
must_quietly acbuild copy serve /serve
must_quietly acbuild copy page /www
must_quietly acbuild set-exec -- /serve
must_quietly acbuild port add http tcp 80
must_quietly acbuild label add version 0.0.1
must_quietly acbuild label add os linux
must_quietly acbuild label add arch amd64
must_quietly acbuild annotation add authors 'Quick Start'
must_quietly acbuild isolator add resource/memory memory.json
must_quietly acbuild isolator add resource/cpu cpu.json
must_quietly acbuild write hello.aci
must_quietly acbuild end
must actool validate hello.aci
[ "$(tar -xOf hello.aci manifest | jq -r .name)" = example.com/hello ] ||
  fail "tar and jq read another name"
ok "hello.aci is an image of $(stat -c %s hello.aci) bytes, and tar can read it"

explain "" "The same content as an OCI image, pushed to a registry on loopback (docker-registry)."
start_registry
mkdir -p tree/bin
cp /bin/busybox tree/bin/busybox
cp /bin/busybox tree/bin/sh
cp serve tree/serve
cp -r page tree/www
must coam build --entrypoint=/serve --port=80/tcp --owner=0:0 tree oci:layout:hello
must coam push --progress=plain oci:layout:hello docker://127.0.0.1:5000/hello:1
curl -fsS http://127.0.0.1:5000/v2/hello/tags/list >out
said '"tags":\["1"\]'
ok "the registry lists hello:1"
