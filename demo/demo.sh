#!/usr/bin/env bash
# The demo: real programs, linked and signed, as a container; what it allows and what it refuses, all live.
# `make demo` builds what this needs. Ends with one line that everything held, or fails at the first thing that did not.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

MEGARUN_BIN=${MEGARUN_BIN:?run make demo} MEGABIN_BIN=${MEGABIN_BIN:?run make demo}
[ "$(id -u)" = 0 ] || { echo "demo: error: containers need root; run: sudo make demo" >&2; exit 1; }

WORK=$(mktemp -d /run/megarun-demo.XXXXXX)
ID=demo
started=$SECONDS checks=0 swapper=
if [ -t 1 ]; then
  bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'
else
  bold='' dim='' green='' red='' plain=''
fi

# Commands read as one would type them; these say which programs and settings they mean.
cat >"$WORK/config.toml" <<EOF
trust = ["$WORK/keys"]
audit = "$WORK/audit.jsonl"
EOF
megarun() { "$MEGARUN_BIN" --root "$WORK/state" --config "$WORK/config.toml" "$@"; }
megabin() { "$MEGABIN_BIN" "$@"; }

finish() {
  local code=$?
  [ -z "$swapper" ] || kill "$swapper" 2>/dev/null || true
  for id in $ID tampered; do megarun delete --force "$id" >/dev/null 2>&1 || true; done
  rm -rf "$WORK"
  [ $code = 0 ] || printf '%s\n' "${red}demo: FAILED: not everything held${plain}" >&2
}
trap finish EXIT

title() { printf '\n%s\n' "${bold}== $* ==${plain}"; }
note() { printf '%s\n' "${dim}# $*${plain}"; }
fail() { printf '%s\n' "${red}demo: $*${plain}" >&2; exit 1; }
shown() {
  local word line='$'
  for word; do
    [[ $word =~ ^[A-Za-z0-9_./=:,+%@-]+$ ]] || word="'$word'"
    line+=" ${word//"$WORK"\//}"
  done
  printf '%s\n' "$bold$line$plain"
}

# try COMMAND...: shows it, its output (kept in $output) and its exit code (in $code).
try() {
  shown "$@"
  code=0
  "$@" >"$WORK/output" 2>&1 </dev/null || code=$?
  output=$(tr -d '\0' <"$WORK/output")
  [ -z "$output" ] || printf '%s\n' "${output//"$WORK"\//}"
}

# holds PATTERN COMMAND...: it succeeds and says so.
holds() {
  local pattern=$1
  shift
  try "$@"
  [ $code = 0 ] || fail "expected success, got exit code $code"
  [[ $output =~ $pattern ]] || fail "expected output that matches: $pattern"
  checks=$((checks + 1))
}

# refused PATTERN COMMAND...: it fails, and says why.
refused() {
  local pattern=$1
  shift
  try "$@"
  [ $code != 0 ] || fail "expected a refusal, but it ran"
  printf '%s\n' "${green}(refused, exit code $code)${plain}"
  [[ $output =~ $pattern ]] || fail "expected a message that matches: $pattern"
  checks=$((checks + 1))
}

title "Link real programs into one module, and sign it"
holds '' megabin keygen --key-id demo --out "$WORK/keys"
holds 'signed by demo' megabin build guests/recipes/demo.toml -o "$WORK/toolbox" --key "$WORK/keys/demo.key"
holds '' megabin verify "$WORK/toolbox" --trust "$WORK/keys"
holds '' megabin bundle "$WORK/toolbox" -o "$WORK/bundle" --writable --env PATH=/usr/bin -- /usr/bin/9sleep 3600
rootfs=$WORK/bundle/rootfs

title "A container of it"
note "the first create on a machine compiles the module; later ones take the result from /var/cache/megarun"
holds '' megarun create --bundle "$WORK/bundle" $ID
holds '"created"' megarun state $ID
holds '' megarun start $ID
holds '"running"' megarun state $ID
holds 'poem.txt' megarun exec $ID ls -la /data
holds '2:The tide' megarun exec $ID grep -n moon /data/poem.txt
holds 'alpha' megarun exec $ID sort -u /data/words.txt
holds 'BARBARA|barbara' megarun exec $ID 9sed -n s/barbara/BARBARA/p /data/visits.txt
holds '"Grace"' megarun exec $ID jq -c 'map(.name)' /data/people.json
holds 'hello' megarun exec $ID gofmt /data/messy.go
holds '3, 12' megarun exec $ID python3 -c 'import sys; print("CPython", sys.version_info[:3], "sum", sum(range(1000)))'
holds 'signed report' megarun exec $ID report
note "an agent calls a tool by its name in the manifest"
holds 'cliffs' megarun exec --tool search_tool $ID cliffs /data/poem.txt

title "A modified program"
cp -p "$rootfs/usr/bin/ls" "$WORK/ls.signed"
try sed -i '$ a one more line' "$rootfs/usr/bin/ls"
signed=$(sha256sum <"$WORK/ls.signed" | cut -c1-64) found=$(sha256sum <"$rootfs/usr/bin/ls" | cut -c1-64)
refused 'permission denied|modified' megarun exec $ID ls -la /data
[[ $output == *"$signed"* && $output == *"$found"* ]] || fail "the message must name both digests: $signed and $found"
try cp -p "$WORK/ls.signed" "$rootfs/usr/bin/ls"
holds 'poem.txt' megarun exec $ID ls /data

title "A script swapped between hash and open"
note "one process swaps the script for another, thousands of times, while it is executed 25 times"
cp -p "$rootfs/usr/bin/report" "$WORK/report.signed"
printf 'print("EVIL: unsigned code ran")\n' >"$WORK/report.evil"
chmod +x "$WORK/report.evil"
(
  while :; do
    cp -p "$WORK/report.evil" "$rootfs/usr/bin/.new" && mv "$rootfs/usr/bin/.new" "$rootfs/usr/bin/report"
    cp -p "$WORK/report.signed" "$rootfs/usr/bin/.new" && mv "$rootfs/usr/bin/.new" "$rootfs/usr/bin/report"
  done
) &
swapper=$!
shown megarun exec $ID report
ran=0 denied=0
for _ in $(seq 25); do
  code=0
  output=$(megarun exec $ID report 2>&1 </dev/null) || code=$?
  case $output in
  *EVIL*) fail "unsigned code ran" ;;
  *"signed report"*) [ $code = 0 ] || fail "exit code $code"; ran=$((ran + 1)) ;;
  *[Pp]ermission\ denied*) denied=$((denied + 1)) ;;
  *) fail "unexpected: $output" ;;
  esac
done
kill "$swapper"
wait "$swapper" 2>/dev/null || true
swapper=
printf '%s\n' "25 times: $ran ran the signed bytes, $denied were denied, 0 ran the other ones"
checks=$((checks + 1))
note "and for certain: the script is swapped while its interpreter runs, after the hash"
cp -p "$WORK/report.signed" "$rootfs/usr/bin/report"
mkfifo "$rootfs/data/wait"
shown megarun exec $ID report /data/wait
megarun exec $ID report /data/wait >"$WORK/late" 2>&1 </dev/null &
late=$!
# Opening the fifo for writing returns when the script has opened it for reading.
exec 8>"$rootfs/data/wait"
shown cp "$WORK/report.evil" "$rootfs/usr/bin/report"
cp "$WORK/report.evil" "$rootfs/usr/bin/report"
printf '08:00 swapped\n' >&8
exec 8>&-
wait "$late" || fail "the signed script did not finish: $(cat "$WORK/late")"
cat "$WORK/late"
grep -q 'signed report' "$WORK/late" && ! grep -q EVIL "$WORK/late" || fail "the signed bytes did not run"
checks=$((checks + 1))
refused 'denied' megarun exec $ID report
cp -p "$WORK/report.signed" "$rootfs/usr/bin/report"
rm -f "$rootfs/data/wait" "$rootfs/usr/bin/.new"

title "A program that is not in the manifest"
try cp /bin/true "$rootfs/usr/bin/backdoor"
refused 'backdoor.*|denied' megarun exec $ID backdoor
refused 'not found' megarun exec $ID no-such-program

title "A system call outside a program's rights"
note "the manifest lets python3 read and write, not remove; rm may"
refused 'Errno 76|not permitted|Capabilities' megarun exec $ID python3 -c 'import os; os.remove("/data/words.txt")'
[ -e "$rootfs/data/words.txt" ] || fail "the file was removed"
holds '' megarun exec $ID rm /data/words.txt
[ ! -e "$rootfs/data/words.txt" ] || fail "rm did not remove the file"

title "Tampered with before create"
tamper() { rm -rf "$WORK/tampered"; cp -a "$WORK/bundle" "$WORK/tampered"; }
tamper
size=$(stat -c %s "$WORK/tampered/container.wasm")
note "one bit of container.wasm, in the middle"
byte=$(od -An -tu1 -j $((size / 2)) -N1 "$WORK/tampered/container.wasm")
printf "\\x$(printf %x $((byte ^ 1)))" | dd of="$WORK/tampered/container.wasm" bs=1 seek=$((size / 2)) conv=notrunc status=none
refused 'container' megarun create --bundle "$WORK/tampered" tampered
tamper
note "one word of manifest.json: a program is given another path"
sed -i 's#"/usr/bin/gofmt"#"/usr/bin/gofmx"#' "$WORK/tampered/manifest.json"
! cmp -s "$WORK/bundle/manifest.json" "$WORK/tampered/manifest.json" || fail "the manifest was not changed"
refused 'signature' megarun create --bundle "$WORK/tampered" tampered
refused 'exist|not found|no container' megarun state tampered

title "The end"
holds '' megarun kill $ID KILL
for _ in $(seq 100); do
  megarun state $ID | grep -q '"stopped"' && break
  sleep 0.05
done
holds '"stopped"' megarun state $ID
holds '' megarun delete $ID
refused 'exist|not found|no container' megarun state $ID
# Each denial once: those of the race, the modified program, the swapped script, the unknown program.
denials=$(grep -cE '"(unknown|modified)"' "$WORK/audit.jsonl" || true)
[ "$denials" = $((denied + 3)) ] || fail "the audit has $denials denials, not $((denied + 3))"
note "the audit has $(wc -l <"$WORK/audit.jsonl") decisions, $denials of them denials; the last one:"
tail -n 1 "$WORK/audit.jsonl"

printf '\n%s\n' "${green}${bold}demo: everything held: $checks checks in $((SECONDS - started)) s${plain}"
