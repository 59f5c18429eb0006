# toybox's commands once more, each a program of its own, as its scripts/single.sh builds them: tNAME.
COMMANDS=(ascii base64 basename cal cat cksum comm count cp cut date dirname dos2unix du echo expand expr factor false
  file fmt fold head hexdump link ln mkdir mv nl od paste printenv printf readlink rev rm rmdir seq sha1sum sha256sum
  split stat strings tac tail tee test touch truncate uniq unlink uudecode uuencode wc)
OPTIONS=()
. "$GUESTS/toybox.sh"
objects ../o "${TOYBOX[@]}" -- "${toys[@]}" "${library[@]}"

# main.c lists the commands that generated/newtoys.h names: here one, and no multiplexer.
single() {
  local folder=single/$1
  mkdir -p "$folder/generated"
  sed '/#include "toys.h"/a #undef CFG_TOYBOX\n#define CFG_TOYBOX 0\n#undef USE_TOYBOX\n#define USE_TOYBOX(...)' main.c >"$folder/main.c"
  grep -E "(NEW|OLD)TOY\($1," generated/newtoys.h >"$folder/generated/newtoys.h"
  program "t$1" "${TOYBOX[@]}" "$folder/main.c" -Wl,--start-lib ../o/*.o -Wl,--end-lib
}
each single "${COMMANDS[@]}"
