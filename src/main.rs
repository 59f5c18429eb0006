//! The megarun OCI runtime.

#![cfg_attr(not(test), no_main)]

mod bundle;
mod cli;
mod commands;
mod config;
mod container;
#[cfg_attr(test, allow(dead_code))]
mod entry;
mod failure;
mod init;
mod lifecycle;
mod report;
mod sandbox;
mod seccomp;
mod stats;
mod sys;
mod systemd;

use clap::error::ErrorKind;

use lifecycle::inherited::Inherited;

/// Does what the command line says, or what another megarun says. Returns the exit code.
#[cfg_attr(test, allow(dead_code))]
fn run() -> u8 {
    const FAILURE: u8 = 1;
    if let Some(request) = std::env::var_os(init::request::VARIABLE) {
        return init::main(&request.to_string_lossy());
    }
    #[cfg(feature = "documents")]
    if let Some(written) = documents() {
        return written;
    }
    let words: Vec<_> = std::env::args_os().collect();
    let cli = match cli::parse(&words) {
        Ok(cli) => cli,
        Err(error) => {
            // Help is no error; a command line that is wrong has exit code 1, as crun's and runc's.
            let help = matches!(
                error.kind(),
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
            );
            let _ = error.print();
            return if help { 0 } else { FAILURE };
        }
    };
    if cli.global.version {
        println!("{}", version());
        return 0;
    }
    // Before anything is opened, and takes one of their numbers.
    let inherited = match cli.preserved().map(Inherited::take).transpose() {
        Ok(inherited) => inherited.unwrap_or_default(),
        Err(error) => {
            eprintln!("megarun: {error}");
            return FAILURE;
        }
    };
    if let Err(error) = report::set_up(
        cli.global.log.as_deref(),
        cli.global.log_format,
        cli.global.debug,
    ) {
        eprintln!("megarun: {error}");
        return FAILURE;
    }
    match commands::run(cli, &inherited) {
        Ok(code) => code,
        Err(error) => {
            report::error(&error.to_string());
            error.exit_code()
        }
    }
}

/// `documents DIR`: manual pages and completions.
#[cfg(feature = "documents")]
fn documents() -> Option<u8> {
    let mut args = std::env::args_os().skip(1);
    args.next().filter(|word| word == "documents")?;
    let dir = args.next()?;
    let command = <cli::Cli as clap::CommandFactory>::command();
    Some(match documents::write(&command, dir.as_ref()) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("megarun: writing documents: {error}");
            1
        }
    })
}

/// The lines that engines read from `--version`.
fn version() -> String {
    format!(
        "megarun version {}\nspec: 1.0.2\nvkernel: {}\n+CAP +SECCOMP +SYSTEMD +MEGABINARY",
        env!("CARGO_PKG_VERSION"),
        megabinary::VKERNEL_VERSION
    )
}
