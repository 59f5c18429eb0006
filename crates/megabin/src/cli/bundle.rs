//! `megabin bundle`.

use std::path::{Path, PathBuf};

use megabinary::digest::Digest;
use megabinary::limits;

use crate::build::ROOTFS;
use crate::bundle::{self, Process};
use crate::container::{Bodies, Container, Folder};
use crate::rootfs::read_inside;

/// Write a complete OCI bundle: BUNDLE/config.json, rootfs/, container.wasm, manifest.json
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  megabin bundle toolbox -o bundle --env LANG=C -- /usr/bin/ls -la /
  megarun run --bundle bundle demo")]
pub(super) struct Args {
    /// Folder of the container
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Folder of the bundle; must not exist, or be empty
    #[arg(short, long, value_name = "BUNDLE")]
    output: PathBuf,
    /// Replace a bundle that is there
    #[arg(long)]
    force: bool,
    /// Environment variable of the process; may be given several times
    #[arg(long, value_name = "K=V", value_parser = variable)]
    env: Vec<String>,
    /// Working directory of the process
    #[arg(long, value_name = "PATH", default_value = "/", value_parser = absolute)]
    cwd: String,
    /// Give the process a terminal
    #[arg(long)]
    terminal: bool,
    /// Let the container write to its root file system
    #[arg(long)]
    writable: bool,
    /// The program in the root file system, and its arguments
    #[arg(last = true, required = true, value_name = "PATH ARGS")]
    args: Vec<String>,
}

pub(super) fn variable(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some((name, _)) if !name.is_empty() => Ok(text.to_owned()),
        _ => Err("it must be NAME=value".into()),
    }
}

pub(super) fn absolute(text: &str) -> Result<String, String> {
    if text.starts_with('/') {
        Ok(text.to_owned())
    } else {
        Err("it must be absolute".into())
    }
}

pub(super) fn run(args: &Args) -> super::Outcome {
    let container = Folder::open(&args.folder)?.accept_unsigned(Bodies::Validated)?;
    warn(
        &container,
        &args.folder.join(ROOTFS),
        args.args.first().map(String::as_str),
    );
    let process = Process {
        args: args.args.clone(),
        env: args.env.clone(),
        cwd: args.cwd.clone(),
        terminal: args.terminal,
        writable: args.writable,
    };
    bundle::write(&args.folder, &container, &process, &args.output, args.force)?;
    super::print(format!("{}\n", args.output.display()).as_bytes())
}

/// Says what will keep the container or its program from running.
pub(super) fn warn(container: &Container, rootfs: &Path, program: Option<&str>) {
    let manifest = container.megabinary.manifest();
    if manifest.signature.is_none() {
        super::warn("the container is not signed: nodes refuse it unless they allow unsigned ones");
    }
    let Some(program) = program else { return };
    // As the virtual kernel will: a path as it is, a name by the default PATH; then the digest.
    let candidates: Vec<String> = match program.contains('/') {
        true => vec![program.to_owned()],
        false => bundle::PATH
            .split(':')
            .map(|folder| format!("{folder}/{program}"))
            .collect(),
    };
    let read = |path: &String| read_inside(rootfs, Path::new(path), limits::CONTAINER_BYTES).ok();
    match candidates.iter().find_map(read) {
        None => super::warn(&format!(
            "there is no file {program} in the root file system"
        )),
        Some(bytes) if manifest.lookup(&Digest::of(&bytes)).is_none() => {
            super::warn(&format!(
                "the manifest does not name the file {program}: it will not start"
            ));
        }
        Some(_) => {}
    }
}
