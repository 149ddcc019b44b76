step 6 "Look, enter, stop, collect"
short=${uuid:0:8}
must rkt list
said "^$short[[:space:]]+hello[[:space:]]+example.com/hello:0.0.1[[:space:]]+running"
must rkt status "$short"
said '^state=running$'
said '^networks=quick:ip4=10\.88\.7\.'
must rkt enter "$short" /bin/busybox ps
said '^ +1 .*serve'
if grep -q nginx out; then fail "it sees the host's processes"; fi
ok "inside, the server is process 1, and nothing of the host is seen"
must rkt enter "$short" /bin/busybox hostname
said "^rkt-$uuid$"
must rkt stop "$short"
wait "$pod" || fail "the pod ended with $?"
pod=
ok "it stopped by itself when it was asked to, with exit code 0"
must rkt status "$short"
said '^app-hello=0$'
must rkt gc --grace-period=0s
[ -z "$(rkt list --no-legend)" ] || fail "there are still pods"
must rkt image list
said 'example.com/hello:0.0.1'
must rkt image rm example.com/hello:0.0.1
[ -z "$(rkt image list --no-legend)" ] || fail "there are still images"
[ -z "$(find rkt -name '*.aci' -o -size +64k -type f)" ] || fail "files of the image are left"
nothing_left
