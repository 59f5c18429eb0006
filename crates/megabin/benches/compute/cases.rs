//! What is run: a guest each that computes, and what it computes.

/// A guest, the native program of the same source, its arguments, and what it reads.
pub type Case = (
    &'static str,
    &'static str,
    &'static [&'static str],
    fn() -> Vec<u8>,
);

pub const CASES: &[Case] = &[
    ("lua", "lua5.4", &["-"], || LUA.into()),
    ("mawk", "mawk", &[AWK], Vec::new),
    ("jq", "jq", &[JQ], || b"null".to_vec()),
    ("bzip2", "bzip2", &["-c"], || text(1_500_000)),
    ("zstd", "zstd", &["-c", "-9", "--single-thread"], || {
        text(3_000_000)
    }),
    ("lz4", "lz4", &["-c", "-9"], || text(3_000_000)),
    ("brotli", "brotli", &["-c", "-q", "6"], || text(1_000_000)),
    ("9sort", "/usr/lib/plan9/bin/sort", &[], || text(3_000_000)),
    ("9sha1sum", "/usr/lib/plan9/bin/sha1sum", &[], || {
        text(20_000_000)
    }),
    ("cmark", "cmark", &[], || text(1_500_000)),
    ("xxd", "xxd", &[], || text(3_000_000)),
    ("sqlite3", "sqlite3", &[":memory:"], || SQL.into()),
    ("toybox", "toybox", &["sha512sum"], || text(20_000_000)),
    ("gofmt", "gofmt", &[], go),
    ("uwc", "", &[], || text(20_000_000)),
];

const LUA: &str = "
local t = {}
for i = 1, 200000 do t[i] = (i * 7919) % 100003 end
table.sort(t)
local s = 0
for i = 1, 6000000 do s = (s * 31 + t[i % 200000 + 1]) % 1000003 end
local p = {}
for i = 1, 100000 do p[#p + 1] = tostring(i):reverse() end
print(s, #table.concat(p))";

const AWK: &str = "BEGIN { for (i = 0; i < 1500000; i++) { s = (s * 31 + i) % 1000003; a[i % 999] = s }
for (i = 0; i < 100000; i++) n += length(substr(\"abcdefghij\", i % 10 + 1) a[i % 999]); print s, n }";

const JQ: &str =
    "[range(150000) | {a: (. % 1000), b: tostring}] | group_by(.a) | map(length) | add";

const SQL: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400000)
SELECT sum(length(hex(i * 7919 % 10007))) FROM n;";

/// Words that repeat now and then, in lines; the same every time.
fn text(size: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(size + 16);
    let mut state = 1u64;
    while out.len() < size {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        let word = (state >> 33) % 5000;
        out.extend_from_slice(format!("{:x}", word * word).as_bytes());
        out.push(if word.is_multiple_of(11) { b'\n' } else { b' ' });
    }
    out.push(b'\n');
    out
}

/// A long program for a formatter.
fn go() -> Vec<u8> {
    let mut out = String::from("package main\n");
    for i in 0..6000 {
        out +=
            &format!("func f{i}(a int,b int) int {{\nif a>b {{ return a*{i}+b }}\nreturn b-a }}\n");
    }
    out.into_bytes()
}
