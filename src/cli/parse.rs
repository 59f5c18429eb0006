//! Reading the command line. The tree of all commands costs half a millisecond, more than the
//! clone of a container's process, so at first only those commands are put into it whose names are
//! among the words that were said. Nothing else could be meant, and what is wrong in its light is
//! looked at again with all of them, for the message and the help.

use std::ffi::OsString;

use clap::{Args, FromArgMatches, Parser};

use super::{Cli, CreateArgs, DeleteArgs, ExecArgs, Global, Id, KillArgs, RunArgs, UpdateArgs};

/// What makes a command's part of the tree.
type Arguments = fn(clap::Command) -> clap::Command;

/// The commands that engines give; the others take the long way.
const FREQUENT: [(&str, Arguments); 10] = [
    ("create", CreateArgs::augment_args),
    ("start", Id::augment_args),
    ("state", Id::augment_args),
    ("kill", KillArgs::augment_args),
    ("delete", DeleteArgs::augment_args),
    ("run", RunArgs::augment_args),
    ("exec", ExecArgs::augment_args),
    ("pause", Id::augment_args),
    ("resume", Id::augment_args),
    ("update", UpdateArgs::augment_args),
];

/// What `words` say, the first being the program's name.
pub fn parse(words: &[OsString]) -> Result<Cli, clap::Error> {
    short(words).or_else(|_| Cli::try_parse_from(words))
}

fn short(words: &[OsString]) -> Result<Cli, clap::Error> {
    let mut tree = Global::augment_args(clap::Command::new("megarun").disable_version_flag(true));
    for (name, arguments) in FREQUENT {
        if words.iter().any(|word| word == name) {
            tree = tree.subcommand(arguments(clap::Command::new(name)));
        }
    }
    let mut matches = tree.try_get_matches_from(words)?;
    Cli::from_arg_matches_mut(&mut matches)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        let line = line.split_whitespace().map(OsString::from);
        [OsString::from("megarun")]
            .into_iter()
            .chain(line)
            .collect()
    }

    #[test]
    fn frequent_commands_have_all_of_their_arguments() {
        let whole = Cli::command();
        let of = |command: &clap::Command| {
            let ids = command.get_arguments().map(|arg| format!("{arg:?}"));
            ids.collect::<Vec<_>>()
        };
        for (name, arguments) in FREQUENT {
            let known = whole.find_subcommand(name).unwrap();
            let short = arguments(clap::Command::new(name));
            assert_eq!(of(&short), of(known), "{name}");
        }
    }

    #[test]
    fn the_short_way_says_the_same() {
        for line in [
            "--log-format=json --log F --systemd-cgroup create --bundle U --pid-file P ID",
            "create --root R --bundle start create",
            "start delete",
            "--root kill start create",
            "delete --force ID",
            "kill ID",
            "run --detach ID",
            "exec --cwd / ID create --all -- --force",
            "update --memory 5m ID",
            "--version",
        ] {
            let short = short(&words(line)).unwrap_or_else(|e| panic!("{line}: {e}"));
            let long = Cli::try_parse_from(words(line)).unwrap();
            assert_eq!(format!("{short:?}"), format!("{long:?}"), "{line}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_in_the_light_of_all_commands() {
        for line in [
            "--help",
            "create --help",
            "help start",
            "creat ID",
            "create",
            "list -f x",
        ] {
            let error = parse(&words(line)).unwrap_err();
            let long = Cli::try_parse_from(words(line)).unwrap_err();
            assert_eq!(error.to_string(), long.to_string(), "{line}");
        }
        let help = parse(&words("--help")).unwrap_err().to_string();
        assert!(
            help.contains("features") && !help.contains("checkpoint"),
            "{help}"
        );
    }
}
