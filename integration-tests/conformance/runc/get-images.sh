#!/bin/bash
# In place of the suite's own, which downloads: says where build.sh has put the images.
images=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/testdata
echo "BUSYBOX_IMAGE=$images/busybox.tar"
echo "DEBIAN_IMAGE=$images/debian.tar"
