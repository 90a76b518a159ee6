#!/usr/bin/env bash
# down.sh [--purge] - stop what up.sh started below
# $OSLAB_DIR (default /var/tmp/oslab), by recorded pid only.  --purge also
# removes the state directory.
set -uo pipefail
DIR=${OSLAB_DIR:-/var/tmp/oslab}
[ -d "$DIR/pid" ] || { echo "nothing at $DIR" >&2; exit 0; }

ours() { # PID STARTTIME: still the process that up.sh started?
  [ -n "${2:-}" ] && [ "$(awk '{sub(/.*\) /,""); print $20}' "/proc/$1/stat" 2>/dev/null)" = "$2" ]
}
# Guests first: libvirt owns their qemu processes.
if [ -S "$DIR/run/libvirt-sock" ] && command -v virsh >/dev/null; then
  uri="qemu+unix:///system?socket=$DIR/run/libvirt-sock"
  for d in $(timeout 10 virsh -c "$uri" list --name 2>/dev/null); do timeout 10 virsh -c "$uri" destroy "$d" >/dev/null 2>&1; done
fi
stop() { # NAME: TERM the whole session, KILL after ten seconds
  local name=$1 pid t; { read -r pid t <"$DIR/pid/$name.pid"; } 2>/dev/null || return
  if ours "$pid" "$t"; then
    kill -TERM -- "-$pid" 2>/dev/null || kill -TERM "$pid" 2>/dev/null
    for _ in $(seq 50); do ours "$pid" "$t" || break; sleep 0.2; done
    kill -KILL -- "-$pid" 2>/dev/null
  fi
  rm -f "$DIR/pid/$name.pid"
}
for n in nova-compute nova-scheduler nova-conductor nova-api-os-compute cinder-volume cinder-scheduler \
         cinder-api glance-api neutron-server placement keystone libvirtd; do stop $n & done
wait
for n in rabbitmq epmd mariadb; do stop $n & done
wait
awk -v d="$DIR/nfs/" 'index($2,d)==1{print $2}' /proc/mounts | while read -r m; do /bin/umount "$m" || /bin/umount -l "$m"; done
[ "${1:-}" = --purge ] && rm -rf --one-file-system "$DIR"
exit 0
