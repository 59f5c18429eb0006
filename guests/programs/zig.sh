# In Zig: objcopy and objdump of the compiler's own, from its distribution on PyPI.
need python3 guests
python3 -m pip download --quiet --no-deps --dest . ziglang==0.17.1
python3 -m zipfile -e ziglang-*.whl wheel
zig=$PWD/wheel/ziglang/zig tools=$PWD/wheel/ziglang/lib/compiler
chmod +x "$zig"
export ZIG_GLOBAL_CACHE_DIR=$WORK/zig ZIG_LOCAL_CACHE_DIR=$WORK/zig

# Both take it that an address has 64 bits.
sed -i 's/readAllocAll(\(gpa\|allocator\), \(header\.size\|shstrtab_shdr\.sh_size\))/readAllocAll(\1, @intCast(\2))/
  s/dir_slice\[\([a-z_]*\) - \([a-z_]*\) \.\.\]/dir_slice[@intCast(\1 - \2) ..]/' "$tools"/obj{copy,dump}.zig
for tool in objcopy objdump; do
  "$zig" build-exe -target wasm32-wasi -OReleaseSmall -fstrip --stack 262144 --name $tool "-femit-bin=$WASM/z$tool.wasm" \
    "$tools/$tool.zig"
done
