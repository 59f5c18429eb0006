#!/usr/bin/env bash
# Prepares runc's integration tests from Debian's source package, once: the helper programs with Debian's Go, and the
# images from Debian's busybox.
#
#   build.sh DIR    DIR/runc/tests/integration/*.bats, which ask the runtime that $RUNC names
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=../source.sh
source "$here/../source.sh"

version=1.1.5+ds1
sha256=e936cc563c4557178b3416aa1bb9e8231c53011beb8df67adedbfbaba4eacce7

[ $# = 1 ] || die "usage: build.sh DIR"
once "$1" "$0" "$here/get-images.sh"

source=$dir/gopath/src/github.com/opencontainers/runc
fetch_source "$dir" bookworm runc $version "1+deb12u1" $sha256 "$source"
ln -s gopath/src/github.com/opencontainers/runc "$dir/runc"
export GO111MODULE=off GOPATH=$dir/gopath:/usr/share/gocode GOCACHE=$dir/cache GOFLAGS=
# sd-helper is left out: it makes slices of systemd, which the suite is not run with.
for helper in recvtty seccompagent; do
  (cd "$source/contrib/cmd/$helper" && go build -tags seccomp -o $helper .)
done
rm -rf "$dir/cache"

# The root of the busybox image, from the package.
root=$dir/root
mkdir -p "$root"/{bin,dev,etc,home,root,tmp,usr/sbin,var/spool/mail,var/www}
chmod 1777 "$root/tmp"
install -m 0755 "$(command -v busybox)" "$root/bin/busybox"
"$root/bin/busybox" --list | while read -r applet; do
  [ -e "$root/bin/$applet" ] || ln "$root/bin/busybox" "$root/bin/$applet"
done
cat >"$root/etc/passwd" <<'PASSWD'
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
bin:x:2:2:bin:/bin:/bin/false
sys:x:3:3:sys:/dev:/bin/false
sync:x:4:100:sync:/bin:/bin/sync
mail:x:8:8:mail:/var/spool/mail:/bin/false
www-data:x:33:33:www-data:/var/www:/bin/false
operator:x:37:37:Operator:/var:/bin/false
nobody:x:65534:65534:nobody:/home:/bin/false
PASSWD
cat >"$root/etc/group" <<'GROUP'
root:x:0:
daemon:x:1:
bin:x:2:
sys:x:3:
adm:x:4:
tty:x:5:
disk:x:6:
wheel:x:10:root
utmp:x:43:
users:x:100:
nobody:x:65534:
GROUP
images=$source/tests/integration/testdata
tar -C "$root" -cf "$images/busybox.tar" .
# Of a Debian the tests want ldconfig alone, which is static.
mkdir -p "$root/sbin" "$root/lib" "$root/usr/lib"
install -m 0755 /sbin/ldconfig "$root/sbin/ldconfig"
tar -C "$root" -cf "$images/debian.tar" .
rm -rf "$root"
install -m 0755 "$here/get-images.sh" "$source/tests/integration/"
built
