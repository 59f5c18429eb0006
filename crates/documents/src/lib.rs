//! Manual pages and shell completions of a command line, for packages. The programs link it only
//! with the feature `documents`, with which they are not shipped.

use std::io;
use std::path::Path;

use clap::Command;
use clap_complete::Shell;

/// Writes `man1/*.1` with a page for each subcommand, and `bash/`, `zsh/` and `fish/` with the
/// completions under the names that the shells look for.
///
/// # Errors
///
/// Those of the file system.
pub fn write(command: &Command, dir: &Path) -> io::Result<()> {
    let name = command.get_name().to_owned();
    let man = dir.join("man1");
    std::fs::create_dir_all(&man)?;
    clap_mangen::generate_to(command.clone(), &man)?;
    for (shell, folder, file) in [
        (Shell::Bash, "bash", name.clone()),
        (Shell::Zsh, "zsh", format!("_{name}")),
        (Shell::Fish, "fish", format!("{name}.fish")),
    ] {
        let folder = dir.join(folder);
        std::fs::create_dir_all(&folder)?;
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut command.clone(), &name, &mut text);
        std::fs::write(folder.join(file), text)?;
    }
    Ok(())
}
