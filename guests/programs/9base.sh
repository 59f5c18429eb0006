# 9base 6: Plan 9's tools for Unix, each a program of its own. Installed as 9NAME beside toybox's.
unpack 9base
cd src
DEFINES=(-Os -DPLAN9PORT "-DPREFIX=\"/usr/local/plan9\"" -DF_SETLK=6 -DF_RDLCK=0 -DF_WRLCK=1)
# The library without sockets, which WASI preview 1 cannot open, and without processes.
lib=($(cd lib9 && sed -n '/^SECFILES/,/^all:/p' Makefile | grep -oE '[a-zA-Z0-9_/-]+\.o' | sed 's/\.o$//' |
  grep -vE '^(_p9dialparse|dial|announce|getnetconn|pipe|postnote|post9p|await|dirread|sendfd|readcons|rfork|sleep|386)$' | sed 's/$/.c/'))
cp "$GUESTS/programs/9base_port.c" lib9/port.c
(cd lib9 && objects ../lib.o "${DEFINES[@]}" -I. -Isec -- $(for f in "${lib[@]}"; do [ -e "$f" ] && echo "$f"; done) port.c)

sed -i 's/getline/ed_getline/g' ed/ed.c # wasi-libc has one too

# tool NAME: the program, linked with what it needs of the library. A few have a grammar.
tool() {
  cd "$1"
  shopt -s nullglob
  for grammar in *.y; do byacc -d -o y.tab.c "$grammar"; done
  program "9$1" "${DEFINES[@]}" -I. -I../lib9 -I../lib9/sec *.c -Wl,--start-lib ../lib.o/*.o -Wl,--end-lib
}
for name in basename cal cat cleanname cmp date dc dd ed factor fmt freq grep join look mtime pbd primes \
  read sed seq sha1sum sleep sort strings tail tee test touch tr unicode uniq unutf; do
  (tool "$name") &
  while [ "$(jobs -r | wc -l)" -ge "$JOBS" ]; do wait -n; done
done
wait
