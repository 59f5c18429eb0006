//! What a container holds: programs, sizes, sharing, rights. As text and as JSON.

mod calls;
mod rights;
mod sharing;
mod table;

use std::fmt::Write;

use megabinary::capability::SyscallSet;
use megabinary::manifest::Manifest;
use megabinary::section::{Program, Section};
use serde_json::{Value, json};
use wasmparser::{Parser, Payload};

use crate::container::Container;

use rights::Legend;
use sharing::{Share, Sharing};
use table::{WIDTH, row, some, table, wrapped};

pub(crate) use table::bytes;

/// How many groups of programs that share functions are shown to people.
const GROUPS: usize = 10;

/// Room for what the lines at the head begin with: beside it a digest has its place in a line.
const KEYS: usize = 9;

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
    let sharing = Sharing::of(&container.wasm, section);
    let programs: Vec<Value> = section
        .programs
        .iter()
        .zip(&sharing.programs)
        .map(|(program, share)| program_json(program, share))
        .collect();
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
        "shared_code": sharing.json(section),
        "targets": targets,
    })
}

fn program_json(program: &Program, share: &Share) -> Value {
    json!({
        "name": program.name.as_str(),
        "entry_point": program.entry.as_str(),
        "min_pages": program.min_pages,
        "max_pages": program.max_pages,
        "functions": share.all.functions,
        "code_bytes": share.all.bytes,
        "shared_functions": share.shared.functions,
        "shared_code_bytes": share.shared.bytes,
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
    let sharing = Sharing::of(&container.wasm, section);
    let mut out = String::new();
    head(&mut out, container, manifest, &sharing);
    let mut rows = vec![row([
        "PROGRAM", "CODE", "SHARED", "MEMORY", "IMAGE", "PIECES",
    ])];
    for (program, share) in section.programs.iter().zip(&sharing.programs) {
        let max = program
            .max_pages
            .map_or("4 GiB".to_owned(), |p| bytes(p * 65_536));
        rows.push(row([
            program.name.as_str(),
            &bytes(share.all.bytes),
            &format!("{} %", share.shared.bytes * 100 / share.all.bytes.max(1)),
            &format!("{} to {max}", bytes(program.min_pages * 65_536)),
            &bytes(image_bytes(program)),
            &program.segments.len().to_string(),
        ]));
    }
    table(&mut out, &rows);
    out.push('\n');
    groups(&mut out, &sharing, section);
    let legend = Legend::of(manifest.targets().map(|(_, t)| manifest.rights(&t)));
    let mut rows = vec![row(["RUNS AS", "RIGHTS", "DIGEST", "PROGRAM"])];
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
        let rights = legend.label(&manifest.rights(&target));
        rows.push(row([&what, &rights, &short, &program]));
    }
    rows[1..].sort();
    table(&mut out, &rows);
    legend.write(&mut out);
    out
}

/// The groups of programs that save most by sharing.
fn groups(out: &mut String, sharing: &Sharing, section: &Section) {
    if sharing.groups.is_empty() {
        return;
    }
    let mut rows = vec![row(["SAVED", "FUNCTIONS", "CODE", "SHARED BY"])];
    for group in sharing.groups.iter().take(GROUPS) {
        let names = group.programs.iter();
        rows.push(row([
            &bytes(group.saved()),
            &group.amount.functions.to_string(),
            &bytes(group.amount.bytes),
            &some(names.map(|p| section.programs[*p].name.as_str())),
        ]));
    }
    table(out, &rows);
    if let Some(more) = sharing.groups.len().checked_sub(GROUPS + 1) {
        let rest: u64 = sharing.groups[GROUPS..].iter().map(|g| g.saved()).sum();
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{} more groups save {}", more + 1, bytes(rest));
    }
    out.push('\n');
}

fn head(out: &mut String, container: &Container, manifest: &Manifest, sharing: &Sharing) {
    let section = &container.megabinary.module().section;
    let sizes = sizes(&container.wasm);
    let name = manifest.name.as_ref().map_or("(no name)", |n| n.as_str());
    let signature = match &manifest.signature {
        Some(signature) => format!(
            "by `{}`, not checked here: see `megabin verify`",
            signature.key_id
        ),
        None => "no".to_owned(),
    };
    let images = image_total(section);
    let lines = [
        ("name", format!("{name} {}", manifest.version)),
        ("id", manifest.container_id.to_string()),
        ("signed", signature),
        ("vkernel", manifest.vkernel_version.to_string()),
        ("network", manifest.policies.networking.as_str().to_owned()),
        ("exec", manifest.policies.exec.as_str().to_owned()),
        (
            "all may",
            set_names(&manifest.policies.default_syscalls).join(" "),
        ),
        (
            "module",
            format!(
                "{}: {} functions in {}, data {}, names {}",
                bytes(container.wasm.len() as u64),
                sizes.functions,
                bytes(sizes.code),
                bytes(sizes.data),
                bytes(sizes.custom),
            ),
        ),
        (
            "shared",
            format!(
                "{} functions, {}, save {}",
                sharing.shared().functions,
                bytes(sharing.shared().bytes),
                bytes(sharing.saved()),
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
        let value = if value.is_empty() { "-" } else { &value };
        let mut key = key;
        for line in wrapped(value, WIDTH - KEYS) {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "{key:KEYS$}{line}");
            key = "";
        }
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
