step 5 "Run it, connected and limited"
explain "A pod with namespaces and a cgroup of its own, on a bridge network by Debian's CNI plugins;" \
  "port 8080 of the host leads to the port that the image calls http."
mkdir -p etc/net.d
cat >etc/net.d/10-quick.conflist <<END
{ "cniVersion": "0.4.0", "name": "quick", "plugins": [
  { "type": "bridge", "bridge": "coamq0", "isGateway": true, "ipMasq": true,
    "ipam": { "type": "host-local", "dataDir": "$work/leases",
              "ranges": [[{ "subnet": "10.88.7.0/24" }]] } },
  { "type": "portmap", "capabilities": { "portMappings": true }, "snat": true } ] }
END
show rkt run --net=quick --port=http:8080 --uuid-file-save=uuid example.com/hello:0.0.1 '&'
rkt run --net=quick --port=http:8080 --uuid-file-save=uuid example.com/hello:0.0.1 \
  >pod.out 2>&1 </dev/null &
pod=$!
until_true 20 answer 8080 || { sed 's/^/     /' pod.out; fail "port 8080 does not answer"; }
uuid=$(cat uuid)
show curl http://127.0.0.1:8080/
sed 's/^/     /' answer
same "the answer" "$(cat answer)" "hello from a container"
app_pid=$(rkt status --format=json "$uuid" | jq -r '.apps[0].pid')
own_namespaces "$app_pid" pid mnt uts ipc net cgroup
memory=$(cgroup_value "$app_pid" memory memory.limit_in_bytes memory.max)
[ "$memory" -le 64000000 ] && [ "$memory" -gt 63000000 ] || fail "the memory limit is $memory"
ok "the kernel holds it to $memory bytes of memory (the manifest says 64M)"
cpu=$(cgroup_value "$app_pid" cpu cpu.cfs_quota_us cpu.max)
same "its CPU time in 100 ms" "${cpu%% *}" 25000
