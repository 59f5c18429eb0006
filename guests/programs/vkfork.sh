# What tests fork: a program that asks for all that is promised, and one that takes its time.
. "$GUESTS/vkernel.sh"
. "$GUESTS/binaryen.sh"
cc "$GUESTS/../libvkernel/tests/fork.c" "$GUESTS/../libvkernel/tests/leaf.c" "${LDFLAGS[@]}" -o fork.wasm
forking fork.wasm "$WASM/vkfork.wasm"
cc "$GUESTS/../libvkernel/tests/time.c" "${LDFLAGS[@]}" -o time.wasm
forking time.wasm "$WASM/vktime.wasm"
