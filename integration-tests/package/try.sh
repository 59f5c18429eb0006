#!/usr/bin/env bash
# Installs the package on a clean Debian and runs an image with podman there, as docs/engines.md says:
#
#   try.sh PACKAGE MEGABIN MODULE DIR    MODULE is toybox; DIR keeps the clean Debian for the next time
#
# Everything happens in namespaces that end with it.
set -euo pipefail

die() { printf '%s\n' "package: error: $*" >&2; exit 1; }

if [ "${1:-}" != --inside ]; then
  [ $# = 4 ] || die "usage: try.sh PACKAGE MEGABIN MODULE DIR"
  [ "$(id -u)" = 0 ] || die "a chroot needs root"
  package=$(realpath "$1") megabin=$(realpath "$2") module=$(realpath "$3")
  mkdir -p "$4"
  dir=$(realpath "$4")
  if ! [ -e "$dir/ready" ]; then
    rm -rf "$dir/root"
    debootstrap --variant=minbase --include=podman,conmon,containernetworking-plugins bookworm "$dir/root" >"$dir/log" 2>&1 ||
      die "debootstrap: $(tail -n 1 "$dir/log")"
    touch "$dir/ready"
  fi
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  printf 'name = "toolbox"\nversion = "1.0"\n[[binary]]\npath = "/bin/echo"\nmodule = "%s"\n' "$module" >"$work/recipe.toml"
  "$megabin" keygen --key-id demo --out "$work/keys" >/dev/null
  "$megabin" build --key "$work/keys/demo.key" "$work/recipe.toml" -o "$work/toolbox" >/dev/null
  "$megabin" image "$work/toolbox" --tag localhost/toolbox:1.0 -o "$work/toolbox.tar" -- echo moon >/dev/null
  cp "$package" "$work/megarun.deb"
  timeout 120 unshare --mount --pid --net --fork --kill-child "$0" --inside "$dir/root" "$work"
  echo "package: works"
  exit 0
fi

root=$2 work=$3
mount --make-rprivate /
umount /sys/fs/cgroup/unified 2>/dev/null || true
# What is installed is gone with the namespace: the next run finds a clean Debian again.
mount -t tmpfs tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay overlay -o "lowerdir=$root,upperdir=/mnt/upper,workdir=/mnt/work" /mnt/root
root=/mnt/root
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero full random urandom tty; do
  touch "$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
mount -t tmpfs tmpfs "$root/run"
# podman's own overlays do not go on another.
mkdir -p "$root/var/lib/containers" "$root/tmp/given"
mount -t tmpfs tmpfs "$root/var/lib/containers"
mount --bind "$work" "$root/tmp/given"
# Limits that a host without CAP_SYS_RESOURCE can set.
chroot "$root" /bin/bash -euo pipefail -c '
run() { podman --runtime megarun run --rm --network none --ulimit nofile=20000:20000 --ulimit nproc=20000:20000 "$@"; }
cd /tmp/given
dpkg -i megarun.deb >/dev/null
podman load -q -i toolbox.tar >/dev/null
! run localhost/toolbox:1.0 2>refused || { echo "it runs without a trusted key"; exit 1; }
grep -q "demo" refused
install -D -m 0644 keys/demo.pem /etc/megarun/trust/demo.pem
[ "$(run localhost/toolbox:1.0)" = moon ]
code=0; run localhost/toolbox:1.0 nosuch 2>/dev/null || code=$?
[ "$code" = 127 ]
[ -s /usr/share/man/man1/megarun-create.1 ] && bash -n /usr/share/bash-completion/completions/megarun
echo "# changed" >>/etc/megarun/config.toml
dpkg -r megarun >/dev/null
grep -q "# changed" /etc/megarun/config.toml
'
