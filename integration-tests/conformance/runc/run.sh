#!/usr/bin/env bash
# Runs one file of the suite and prints what came of it, as TAP. Root, in pid and mount namespaces of its own: what its
# tests leave behind ends and goes with them, but for cgroups and loop devices, which are removed here.
#
#   run.sh DIR FILE RUNTIME    DIR as build.sh has made it, the name of a .bats file, a name or path
set -uo pipefail

suite=$1/tests/integration
# A path: the suite has a function of the name runc.
runtime=$(type -P "$3") || exit 1
# Tests look for the place through user namespaces, and sockets have short names.
export TMPDIR=/media
mount -t tmpfs tmpfs $TMPDIR || exit 1
# The suite starts its recvtty and does not wait until that listens: a fast runtime on a busy host is there first.
export RUNC=$TMPDIR/runtime
cat >$RUNC <<WRAPPER
#!/bin/sh
previous=
for word; do
  if [ "\$previous" = --console-socket ] && ! [ -S "\$word" ]; then
    for _ in \$(seq 100); do
      sleep 0.05
      [ ! -S "\$word" ] || break
    done
  fi
  previous=\$word
done
exec "$runtime" "\$@"
WRAPPER
chmod +x $RUNC
# crun gives that of the host to the container's user.
mknod -m 666 $TMPDIR/null c 1 3 && mount --bind $TMPDIR/null /dev/null
# Tests make directories for controllers that the host has not, which would be on its own tmpfs.
mkdir $TMPDIR/cgroup && mount -t tmpfs tmpfs $TMPDIR/cgroup || exit 1
for hierarchy in /sys/fs/cgroup/*; do
  mkdir "$TMPDIR/cgroup/${hierarchy##*/}"
  mountpoint -q "$hierarchy" && mount --bind "$hierarchy" "$TMPDIR/cgroup/${hierarchy##*/}"
done
mount --move $TMPDIR/cgroup /sys/fs/cgroup || exit 1
# crun writes there as if it were cgroup v2, which the tests' room has taken away.
mount -t tmpfs tmpfs /sys/fs/cgroup/unified 2>/dev/null

# The runtime's own default has a container's id in its name, and other suites' containers have other ids.
left() {
  find /sys/fs/cgroup -mindepth 2 -maxdepth 2 -type d \
    \( -name runc-cgroups-integration-test -o -name 'test_*' -o -name test -o -name 'testbusybox*' -o -name 'ct[0-9]' \
    -o -name 'megarun-test*' -o -name 'megarun-ct[0-9]' \)
}
# A frozen process does not even die.
clear_cgroups() {
  local dir try
  for try in {1..20}; do
    left | while read -r dir; do
      find "$dir" -name freezer.state -exec sh -c 'echo THAWED >"$1"' sh {} \; 2>/dev/null
      find "$dir" -name cgroup.procs -exec cat {} + 2>/dev/null | grep -vx 0 | xargs -r kill -9 2>/dev/null
      find "$dir" -depth -type d -exec rmdir {} + 2>/dev/null
    done
    [ -n "$(left)" ] || return 0
    sleep 0.1
  done
}
clear_loops() {
  losetup -nO NAME,BACK-FILE 2>/dev/null | while read -r device file; do
    case $file in $TMPDIR/*) losetup -d "$device" ;; esac
  done
}

clear_cgroups
cd "$suite" || exit 1
tap=$TMPDIR/tap
: >"$tap"
# Some tests want a controlling terminal.
script -qec "exec bats --tap $2 >$tap 2>&1" /dev/null </dev/null >/dev/null 2>&1 &
# All tests may be done long before bats is, which waits for what a failed one has left running.
done_all() { awk '/^1\.\./ { plan = substr($0, 4) + 0 } /^(not )?ok / { n++ } END { exit !(plan && n >= plan) }' "$tap"; }
# And one that hangs ends its file: the longest test takes six seconds.
lines=0 since=$SECONDS
while kill -0 $! 2>/dev/null && ! done_all && [ $((SECONDS - since)) -lt 20 ] && [ $SECONDS -lt 50 ]; do
  now=$(wc -l <"$tap")
  [ "$now" = $lines ] || lines=$now since=$SECONDS
  sleep 0.05
done
cat "$tap"
# All but this shell, which is process 1 here.
kill -9 -1 2>/dev/null
clear_cgroups
clear_loops
