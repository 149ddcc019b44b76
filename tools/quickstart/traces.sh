# What a container could leave on a machine, as text that can be compared. Sourced by the story, which
# has mount, network and PID namespaces of its own, so that nothing else shows here.

mounts() { awk '{ print $5, $9 }' /proc/self/mountinfo | sort; }
# Namespaces in use by any process, and names that keep one without a process.
namespaces() {
  readlink /proc/[0-9]*/ns/{net,mnt,uts,ipc,pid,cgroup} 2>/dev/null | sort -u
  awk '$9 == "nsfs" || $8 == "nsfs" { print $5 }' /proc/self/mountinfo
}
# The servers of the story are not the containers'.
processes() {
  ps -eo args= | grep -vE '^(ps -eo|grep -|awk|sort|readlink|find|sed|nginx:|docker-reg|gpg-agent)' |
    sort
}
cgroups() {
  find /sys/fs/cgroup -type d \( -path '*/coaming' -o -path '*/coaming/*' \) 2>/dev/null | sort
}
# The bridge belongs to the network and stays as long as it does; a container's links do not.
links() { ip -o link | awk -F': ' '{ print $2 }' | cut -d@ -f1 | grep -v '^coamq0$' | sort; }
rules() { iptables-save -t nat 2>/dev/null | grep -E '^-A CNI-[0-9a-f]|^-A CNI-DN-' || true; }
leases() { find "$work/leases" -name '[0-9]*' 2>/dev/null | sort; }
# Places where nothing of the story belongs.
files() {
  # iptables keeps its lock file.
  find /run /tmp /dev/shm \( -path /run/prefix -o -path /run/story -o -path "$work" \) -prune -o \
    -type f ! -path /run/xtables.lock -print 2>/dev/null | sort
  find /var/lib/cni /var/lib/rkt /var/lib/coaming /etc/rkt /etc/cni -type f 2>/dev/null | sort
}

traces=(mounts namespaces processes cgroups links rules leases files)

remember() {
  local kind
  mkdir -p before
  for kind in "${traces[@]}"; do "$kind" >"before/$kind" || true; done
}
# nothing_left ignores only that others may remove files meanwhile.
nothing_left() {
  local kind
  for kind in "${traces[@]}"; do
    "$kind" >after || true
    if comm -13 "before/$kind" after | grep . >left; then
      fail "these $kind are left: $(tr '\n' ' ' <left)"
    fi
  done
  ok "nothing is left: ${traces[*]} are as before"
}
