set -e
mkdir -p /made/copied /made/linked /made/pointing /made/changed
cp /usr/bin/toybox /made/copied/echo
ln /usr/bin/toybox /made/linked/echo
ln -s ../../usr/bin/toybox /made/pointing/echo
cp /usr/bin/toybox /made/changed/echo
printf x >> /made/changed/echo
