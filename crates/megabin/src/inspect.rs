//! What a container holds: programs, sizes, sharing, rights. As text and as JSON.

use std::collections::BTreeSet;
use std::fmt::Write;

use megabinary::capability::SyscallSet;
use megabinary::manifest::Manifest;
use megabinary::section::{Program, Section};
use serde_json::{Value, json};
use wasmparser::{Parser, Payload};

use crate::container::Container;

/// Sizes of the parts of a module, in bytes.
#[derive(Debug, Default, Clone, Copy)]
struct Sizes {
    functions: u64,
    code: u64,
    data: u64,
    custom: u64,
}

/// The container as JSON, for machines.
pub fn json(container: &Container) -> Value {
    let manifest: &Manifest = container.megabinary.manifest();
    let section = &container.megabinary.module().section;
    let sizes = sizes(&container.wasm);
    let programs: Vec<Value> = section.programs.iter().map(program_json).collect();
    let targets: Vec<Value> = manifest
        .targets()
        .map(|(digest, target)| {
            let (path, tool) = names(manifest, &digest);
            json!({
                "digest": digest.to_string(),
                "path": path,
                "tool": tool,
                "entry_point": target.entry.as_str(),
                "args": target.args,
                "syscalls": set_names(&manifest.rights(&target)),
                "exec": target.overrides.exec.iter().map(|p| p.as_str()).collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({
        "container_id": manifest.container_id.to_string(),
        "name": manifest.name.as_ref().map(|n| n.as_str()),
        "version": manifest.version.as_str(),
        "vkernel_version": manifest.vkernel_version.to_string(),
        "key_id": manifest.signature.as_ref().map(|s| s.key_id.as_str()),
        "networking": manifest.policies.networking.as_str(),
        "exec": manifest.policies.exec.as_str(),
        "default_syscalls": set_names(&manifest.policies.default_syscalls),
        "imports": container
            .megabinary
            .module()
            .imports
            .iter()
            .map(|(module, name)| format!("{module}.{name}"))
            .collect::<Vec<_>>(),
        "sizes": {
            "module": container.wasm.len(),
            "manifest": container.manifest_json.len(),
            "functions": sizes.functions,
            "code": sizes.code,
            "data": sizes.data,
            "custom": sizes.custom,
            "images": image_total(section),
        },
        "programs": programs,
        "targets": targets,
    })
}

fn program_json(program: &Program) -> Value {
    json!({
        "name": program.name.as_str(),
        "entry_point": program.entry.as_str(),
        "min_pages": program.min_pages,
        "max_pages": program.max_pages,
        "image_bytes": image_bytes(program),
        "image_segments": program.segments.len(),
        "extra_exports": program
            .extra_exports
            .iter()
            .map(|(original, export)| json!({ "original": original, "export": export }))
            .collect::<Vec<_>>(),
    })
}

/// The container as text, for people.
pub fn text(container: &Container) -> String {
    let manifest: &Manifest = container.megabinary.manifest();
    let section = &container.megabinary.module().section;
    let mut out = String::new();
    head(&mut out, container, manifest);
    let mut rows = vec![row(["PROGRAM", "MEMORY", "IMAGE", "PIECES"])];
    for program in &section.programs {
        let max = program
            .max_pages
            .map_or("4 GiB".to_owned(), |p| bytes(p * 65_536));
        rows.push(row([
            program.name.as_str(),
            &format!("{} to {max}", bytes(program.min_pages * 65_536)),
            &bytes(image_bytes(program)),
            &program.segments.len().to_string(),
        ]));
    }
    table(&mut out, &rows);
    out.push('\n');
    let mut rows = vec![row(["RUNS AS", "PROGRAM", "DIGEST", "SYSCALLS"])];
    for (digest, target) in manifest.targets() {
        let (path, tool) = names(manifest, &digest);
        let program = section
            .program(target.entry)
            .map_or("?", |p| p.name.as_str());
        let mut what = path.map(str::to_owned).unwrap_or_default();
        if let Some(tool) = tool {
            let separator = if what.is_empty() { "" } else { ", " };
            let _ = write!(what, "{separator}tool {tool}");
        }
        let program = match target.args {
            [] => program.to_owned(),
            args => format!("{program} {}", args.join(" ")),
        };
        let short = digest
            .to_string()
            .chars()
            .skip("sha256:".len())
            .take(12)
            .collect::<String>();
        let rights = set_names(&manifest.rights(&target)).join(" ");
        rows.push(row([&what, &program, &short, &rights]));
    }
    rows[1..].sort();
    table(&mut out, &rows);
    out
}

fn head(out: &mut String, container: &Container, manifest: &Manifest) {
    let section = &container.megabinary.module().section;
    let sizes = sizes(&container.wasm);
    let name = manifest.name.as_ref().map_or("(no name)", |n| n.as_str());
    let signature = match &manifest.signature {
        Some(signature) => format!(
            "by `{}`, not checked here: see `megabin verify`",
            signature.key_id
        ),
        None => "none".to_owned(),
    };
    let images = image_total(section);
    let lines = [
        ("container", format!("{name} {}", manifest.version)),
        ("id", manifest.container_id.to_string()),
        ("signature", signature),
        ("needs vkernel", manifest.vkernel_version.to_string()),
        (
            "networking",
            manifest.policies.networking.as_str().to_owned(),
        ),
        ("exec", manifest.policies.exec.as_str().to_owned()),
        (
            "default rights",
            set_names(&manifest.policies.default_syscalls).join(" "),
        ),
        (
            "module",
            format!(
                "{} ({} functions in {}, data {}, names and map {})",
                bytes(container.wasm.len() as u64),
                sizes.functions,
                bytes(sizes.code),
                bytes(sizes.data),
                bytes(sizes.custom),
            ),
        ),
        (
            "images",
            format!(
                "{}, {} of it shared",
                bytes(images),
                bytes(images.saturating_sub(sizes.data))
            ),
        ),
    ];
    for (key, value) in lines {
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "{key:15} {}",
            if value.is_empty() { "-" } else { &value }
        );
    }
    out.push('\n');
}

fn names<'a>(
    manifest: &'a Manifest,
    digest: &megabinary::digest::Digest,
) -> (Option<&'a str>, Option<&'a str>) {
    let path = manifest.binaries.get(digest).map(|b| b.path.as_str());
    (
        path,
        manifest.agent_tools.get(digest).map(|t| t.name.as_str()),
    )
}

fn set_names(set: &SyscallSet) -> Vec<&'static str> {
    set.iter().map(|syscall| syscall.name()).collect()
}

fn image_bytes(program: &Program) -> u64 {
    program.segments.iter().map(|s| u64::from(s.len)).sum()
}

fn image_total(section: &Section) -> u64 {
    section.programs.iter().map(image_bytes).sum()
}

fn sizes(wasm: &[u8]) -> Sizes {
    let mut sizes = Sizes::default();
    for payload in Parser::new(0).parse_all(wasm).map_while(Result::ok) {
        match payload {
            Payload::CodeSectionStart { count, range, .. } => {
                sizes.functions = u64::from(count);
                sizes.code = range.len() as u64;
            }
            Payload::DataSection(section) => sizes.data = section.range().len() as u64,
            Payload::CustomSection(section) => sizes.custom += section.range().len() as u64,
            _ => {}
        }
    }
    sizes
}

/// A size as people read it.
pub(crate) fn bytes(n: u64) -> String {
    const UNITS: [&str; 4] = ["B", "KiB", "MiB", "GiB"];
    let mut unit = 0;
    let mut scaled = n as f64;
    while scaled >= 1024.0 && unit < UNITS.len() - 1 {
        scaled /= 1024.0;
        unit += 1;
    }
    if unit == 0 || scaled.fract() == 0.0 {
        format!("{scaled:.0} {}", UNITS[unit])
    } else {
        format!("{scaled:.1} {}", UNITS[unit])
    }
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.iter().map(|c| (*c).to_owned()).collect()
}

/// Columns as wide as their widest cell; the last one runs free.
fn table(out: &mut String, rows: &[Vec<String>]) {
    let columns: BTreeSet<usize> = rows.iter().map(Vec::len).collect();
    let columns = columns.last().copied().unwrap_or(0);
    let width = |c: usize| {
        rows.iter()
            .filter_map(|r| r.get(c))
            .map(|t| t.chars().count())
            .max()
    };
    for cells in rows {
        let mut line = String::new();
        for (c, cell) in cells.iter().enumerate() {
            let pad = if c + 1 == columns {
                0
            } else {
                width(c).unwrap_or(0) + 2
            };
            let _ = write!(line, "{cell:pad$}");
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn sizes_read_well() {
        let shown = [0, 1023, 1024, 1536, 65_536 << 16].map(super::bytes);
        assert_eq!(shown, ["0 B", "1023 B", "1 KiB", "1.5 KiB", "4 GiB"]);
    }
}
