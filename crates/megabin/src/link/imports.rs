//! What a program may import, and with which type.

use std::fmt::Write;

use megabinary::capability::{HostCall, VKERNEL_MODULE, WASI_MODULE};
use wasmparser::{FuncType, Parser, Payload, ValType};

use super::error::{LinkError, Refusal};

/// Checks that `module.name` exists and has the type `found`.
pub(crate) fn check(module: &str, name: &str, found: &FuncType) -> Result<(), Refusal> {
    let unknown = |advice| Refusal::UnknownImport {
        module: module.to_owned(),
        name: name.to_owned(),
        advice,
    };
    if let Some(call) = HostCall::from_import(module, name).and_then(|calls| calls.iter().next()) {
        let Some(expected) = call.signature().and_then(signature) else {
            return Err(unknown(
                "the name is reserved, and this version of the virtual kernel does not provide it",
            ));
        };
        if *found == expected {
            return Ok(());
        }
        return Err(Refusal::ImportType {
            module: module.to_owned(),
            name: name.to_owned(),
            found: show(found),
            expected: show(&expected),
        });
    }
    match module {
        WASI_MODULE => Err(unknown("it is not part of WASI preview 1")),
        VKERNEL_MODULE => Err(unknown("see vkernel-abi.md for the functions there are")),
        "wasi_unstable" => Err(unknown(
            "preview 0 is too old; rebuild with a newer wasi-libc",
        )),
        "env" => Err(unknown(
            "the symbol was left undefined when the program was linked; link the library that \
             defines it, and drop --allow-undefined",
        )),
        _ if module.starts_with("wasi:") => {
            Err(unknown("it is preview 2 or newer; build for wasm32-wasip1"))
        }
        "wbg" | "__wbindgen_placeholder__" | "gojs" | "go" => Err(unknown(
            "the program was built for a browser; build for wasm32-wasip1",
        )),
        _ => Err(unknown(
            "programs may import only wasi_snapshot_preview1 and vkernel",
        )),
    }
}

/// Module and name of everything that the module `wasm` from `origin` imports, in its order. Reads
/// no further than the import section and judges nothing.
///
/// # Errors
/// Where `wasm` is no core module.
pub fn imports_of(origin: &str, wasm: &[u8]) -> Result<Vec<(String, String)>, LinkError> {
    let read = || -> Result<Vec<(String, String)>, Refusal> {
        super::input::check_header(wasm)?;
        for payload in Parser::new(0).parse_all(wasm) {
            match payload? {
                Payload::ImportSection(section) => {
                    return section
                        .into_imports()
                        .map(|i| i.map(|i| (i.module.to_owned(), i.name.to_owned())))
                        .collect::<Result<_, _>>()
                        .map_err(Refusal::from);
                }
                Payload::CodeSectionStart { .. } => break,
                _ => {}
            }
        }
        Ok(Vec::new())
    };
    read().map_err(|refusal| refusal.of(origin))
}

/// Reads a signature of the capability table: `iI>i`.
fn signature(text: &str) -> Option<FuncType> {
    let letters = |letters: &str| {
        letters
            .chars()
            .map(|c| if c == 'I' { ValType::I64 } else { ValType::I32 })
            .collect()
    };
    let (params, results): (_, Vec<ValType>) = text
        .split_once('>')
        .map(|(p, r)| (letters(p), letters(r)))?;
    Some(FuncType::new::<Vec<ValType>, _>(params, results))
}

/// A function type as messages and names show it: `(i32, i64) -> i32`.
pub(crate) fn show(ty: &FuncType) -> String {
    let list = |types: &[ValType]| {
        types
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let mut text = format!("({}) -> ", list(ty.params()));
    match ty.results() {
        [one] => write!(text, "{one}"),
        results => write!(text, "({})", list(results)),
    }
    .expect("a String takes any text");
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // A failed unwrap is a failed test.
mod tests {
    use super::*;

    #[test]
    fn wrong_types_and_unknown_names_are_named() {
        let ty = FuncType::new([ValType::I32], []);
        assert!(check(WASI_MODULE, "proc_exit", &ty).is_ok());
        let text = check(WASI_MODULE, "fd_write", &ty).unwrap_err().to_string();
        assert!(text.contains("(i32) -> ()"), "{text}");
        assert!(text.contains("(i32, i32, i32, i32) -> i32"), "{text}");
        for (module, name, part) in [
            (WASI_MODULE, "fd_frobnicate", "not part of WASI preview 1"),
            ("env", "fork", "left undefined"),
            (VKERNEL_MODULE, "statfs", "reserved"),
            ("wasi_unstable", "fd_write", "preview 0"),
            ("wasi:io/poll@0.2.0", "poll", "preview 2"),
        ] {
            let text = check(module, name, &ty).unwrap_err().to_string();
            assert!(text.contains(part) && text.contains(name), "{text}");
        }
    }
}
