unpack figlet
cd src
program figlet -include getopt.h '-D__BEGIN_DECLS=' '-D__END_DECLS=' -DTLF_FONTS '-DDEFAULTFONTDIR="/usr/share/figlet"' '-DDEFAULTFONTFILE="standard"' \
  figlet.c zipio.c crc.c inflate.c utf8.c
mkdir -p "$SHARE/usr/share/figlet"
cp fonts/standard.flf fonts/small.flf "$SHARE/usr/share/figlet/"
