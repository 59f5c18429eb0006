# 9base 6: Plan 9's tools for Unix, each a program of its own. Installed as 9NAME beside toybox's.
unpack 9base
cd src
DEFINES=(-Os -DPLAN9PORT "-DPREFIX=\"/usr/local/plan9\"" -DF_SETLK=6 -DF_RDLCK=0 -DF_WRLCK=1)
# The library without sockets, which WASI preview 1 cannot open, and without processes.
lib=($(cd lib9 && sed -n '/^SECFILES/,/^all:/p' Makefile | grep -oE '[a-zA-Z0-9_/-]+\.o' | sed 's/\.o$//' |
  grep -vE '^(_p9dialparse|dial|announce|getnetconn|pipe|postnote|post9p|await|dirread|sendfd|readcons|rfork|sleep|386)$' | sed 's/$/.c/'))
cp "$GUESTS/programs/9base_port.c" lib9/port.c
# Plan 9's OREAD, OWRITE, ORDWR are 0, 1, 2 as open's are elsewhere; in WASI those are bits of their own.
sed -i 's/(mode&3)|O_CREAT/access_mode(mode)|O_CREAT/; s/umode = rdwr;/umode = access_mode(rdwr);/' lib9/create.c lib9/open.c
sed -i '1i #include <fcntl.h>\n#define access_mode(m) (((m) & 3) == 0 ? O_RDONLY : ((m) & 3) == 1 ? O_WRONLY : O_RDWR)' \
  lib9/create.c lib9/open.c
(cd lib9 && objects ../lib.o "${DEFINES[@]}" -I. -Isec -- $(for f in "${lib[@]}"; do [ -e "$f" ] && echo "$f"; done) port.c)

sed -i 's/getline/ed_getline/g' ed/ed.c # wasi-libc has one too

# tool NAME: the program, linked with what it needs of the library. A few have a grammar.
tool() {
  cd "$1"
  shopt -s nullglob
  for grammar in *.y; do byacc -d -o y.tab.c "$grammar"; done
  program "9$1" "${DEFINES[@]}" -I. -I../lib9 -I../lib9/sec *.c -Wl,--start-lib ../lib.o/*.o -Wl,--end-lib
}
each tool basename cal cat cleanname cmp date dc dd ed factor fmt freq grep join look mtime pbd primes \
  read sed seq sha1sum sleep sort strings tail tee test touch tr unicode uniq unutf
