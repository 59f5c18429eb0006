//! `megabin image`.

use std::path::PathBuf;

use crate::build::ROOTFS;
use crate::container::{Bodies, Folder};
use crate::image::{self, Architecture, Format, Process, Reference, Settings};

/// Write an image archive for podman, docker, containerd and registries
///
/// The image carries the container in `/.megabinary`, where `megarun` finds it. The archive is the
/// same, byte for byte, whenever and wherever it is made of the same container.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  megabin image toolbox -t toolbox:1.4 -o toolbox.tar -- ls -la /
  podman load -i toolbox.tar
  podman --runtime megarun run --rm localhost/toolbox:1.4")]
pub(super) struct Args {
    /// Folder of the container
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The image's name; without a registry it is of `localhost`
    #[arg(short, long, value_name = "NAME:TAG")]
    tag: Reference,
    /// The archive; one that is there is replaced
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Kind of archive
    #[arg(long, value_enum, default_value_t = Format::Oci)]
    format: Format,
    /// The machines whose engines take it; the code is the same for all
    #[arg(long, value_enum, default_value_t = Architecture::Amd64)]
    architecture: Architecture,
    /// Environment variable of the process; may be given several times
    #[arg(long, value_name = "K=V", value_parser = super::bundle::variable)]
    env: Vec<String>,
    /// Working directory of the process
    #[arg(long, value_name = "PATH", default_value = "/", value_parser = super::bundle::absolute)]
    cwd: String,
    /// User of the process [default: root]
    #[arg(
        long,
        value_name = "UID[:GID]",
        default_value = "",
        hide_default_value = true
    )]
    user: String,
    /// The program that the image runs unless told otherwise, and its arguments
    #[arg(last = true, value_name = "PATH ARGS")]
    args: Vec<String>,
}

pub(super) fn run(args: &Args) -> super::Outcome {
    let container = Folder::open(&args.folder)?.accept_unsigned(Bodies::Validated)?;
    let program = args.args.first().map(String::as_str);
    super::bundle::warn(&container, &args.folder.join(ROOTFS), program);
    let settings = Settings {
        reference: args.tag.clone(),
        format: args.format,
        architecture: args.architecture,
        process: Process {
            args: args.args.clone(),
            env: args.env.clone(),
            cwd: args.cwd.clone(),
            user: args.user.clone(),
        },
    };
    let id = image::write(&args.folder, &container, &settings, &args.output)?;
    super::print(format!("{}\n{id}\n", args.tag).as_bytes())
}
