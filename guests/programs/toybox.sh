# toybox 0.8.9: one module, many commands, chosen by argv[0]. It holds the `ls -la` of the demo.
COMMANDS=(basename cal cat cksum comm cp cut date dirname du echo env expand false file find grep egrep fgrep head
  ln ls mkdir mv nl od paste printf pwd rm rmdir sed seq sleep sort split strings tail tee test touch true uniq unlink
  wc md5sum sha1sum sha256sum sha512sum mktemp base64 count factor fmt readlink rev stat tac truncate xxd yes printenv
  tr fold hexdump expr ascii uuencode uudecode link dos2unix unix2dos mcookie)
OPTIONS=()
. "$GUESTS/toybox.sh"
objects ../o "${TOYBOX[@]}" -- main.c "${toys[@]}" "${library[@]}"
program toybox ../o/*.o
