# For the scripts in the folders beside it, which each build a suite.

die() { printf '%s\n' "conformance: error: $*" >&2; exit 1; }

# once DIR FILE...: makes $dir afresh for a build that depends on these files; ends the script where it is built already.
once() {
  mkdir -p "$1"
  dir=$(cd "$1" && pwd)
  shift
  stamp=$(cat "${BASH_SOURCE[0]}" "$@" | sha256sum | cut -d' ' -f1)
  [ "$(cat "$dir/stamp" 2>/dev/null)" != "$stamp" ] || exit 0
  rm -rf "$dir"
  mkdir "$dir"
}

# built: all of it is there.
built() { echo "$stamp" >"$dir/stamp"; }

# Sources of Debian packages, by apt with lists of its own, so that the host's stay as they are.
# fetch_source DIR SUITE PACKAGE VERSION REVISION SHA256 INTO: unpacks the upstream archive of that version into INTO.
fetch_source() {
  local dir=$1 suite=$2 package=$3 version=$4 revision=$5 sum=$6 into=$7 apt archive
  mkdir -p "$dir/lists/partial" "$into"
  echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian $suite main" \
    >"$dir/sources.list"
  apt=(-q -o Dir::Etc::SourceList="$dir/sources.list" -o Dir::Etc::SourceParts=/dev/null
    -o Dir::State::Lists="$dir/lists" -o APT::Sandbox::User=root)
  apt-get "${apt[@]}" update >"$dir/log" 2>&1 || die "no list of $suite's sources: $(tail -n 1 "$dir/log")"
  (cd "$dir" && apt-get "${apt[@]}" source --tar-only "$package=$version-$revision" >>"$dir/log" 2>&1) ||
    die "no source of $package $version: $(tail -n 1 "$dir/log")"
  archive=$dir/${package}_$version.orig.tar.xz
  echo "$sum  $archive" | sha256sum --check --quiet || die "$archive is not the one expected"
  tar -xf "$archive" -C "$into" --strip-components=1
  rm -rf "$dir/lists" "$archive"
}
