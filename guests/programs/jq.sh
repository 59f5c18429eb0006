# jq 1.6 without its regular expression library.
unpack jq
cd src
echo '#define JQ_VERSION "1.6"' >src/version.h
sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/"/' -e 's/$/\\n"/' src/builtin.jq >src/builtin.inc
program jq -I. -DIEEE_8087 -D_GNU_SOURCE -DHAVE_MKTIME=1 -DHAVE_GMTIME_R=1 -DHAVE_STRPTIME=1 -DHAVE_TIMEGM=1 -DHAVE_ISATTY=1 \
  $(ls src/*.c | grep -vE '/inject_errors\.c$')
