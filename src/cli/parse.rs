//! Reading the command line. Clap's tree of all commands costs more than the clone of a container's
//! process, so what engines say again and again is read here by itself: whole names of options, each
//! once, of the commands of a container's life. Whatever else is said, and all that is wrong, clap
//! reads, and its is every message.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use super::{
    CgroupManager, Cli, Command, CreateArgs, DeleteArgs, ExecArgs, Global, Id, KillArgs, RunArgs,
};
use crate::report::Format;

/// What `words` say, the first being the program's name.
pub fn parse(words: &[OsString]) -> Result<Cli, clap::Error> {
    match plain(words) {
        Some(cli) => Ok(cli),
        None => Cli::try_parse_from(words),
    }
}

/// The same where it is said plainly.
fn plain(words: &[OsString]) -> Option<Cli> {
    let words = words.iter().skip(1).map(|word| word.to_str());
    let words: Vec<&str> = words.collect::<Option<_>>()?;
    let mut reader = Reader {
        words: &words,
        seen: Vec::new(),
    };
    let mut global = Global {
        root: None,
        log: None,
        log_format: Format::Text,
        debug: false,
        systemd_cgroup: false,
        cgroup_manager: CgroupManager::Cgroupfs,
        rootless: "auto".to_owned(),
        criu: None,
        node_config: None,
        version: false,
        usage: None,
    };
    let name = reader.positional(&mut global)??;
    let both = &mut global;
    let command = match name {
        "create" => Command::Create(create(reader, both)?),
        "start" => Command::Start(id(reader, both)?),
        "state" => Command::State(id(reader, both)?),
        "kill" => Command::Kill(kill(reader, both)?),
        "delete" => Command::Delete(delete(reader, both)?),
        "run" => Command::Run(run(reader, both)?),
        "pause" => Command::Pause(id(reader, both)?),
        "resume" => Command::Resume(id(reader, both)?),
        "exec" => Command::Exec(exec(reader, both)?),
        _ => return None,
    };
    Some(Cli {
        global,
        command: Some(command),
    })
}

fn create(mut reader: Reader<'_>, global: &mut Global) -> Option<CreateArgs> {
    let mut args = nothing_of_create();
    args.id = reader.only(&mut Both(&mut args, global))?;
    Some(args)
}

fn nothing_of_create() -> CreateArgs {
    CreateArgs {
        bundle: PathBuf::from("."),
        spec_file: None,
        console_socket: None,
        pid_file: None,
        preserve_fds: 0,
        no_new_keyring: false,
        no_pivot: false,
        no_subreaper: false,
        id: String::new(),
    }
}

fn run(mut reader: Reader<'_>, global: &mut Global) -> Option<RunArgs> {
    let mut args = RunArgs {
        detach: false,
        keep: false,
        create: nothing_of_create(),
    };
    args.create.id = reader.only(&mut Both(&mut args, global))?;
    Some(args)
}

fn id(mut reader: Reader<'_>, global: &mut Global) -> Option<Id> {
    let id = reader.only(&mut Both(&mut NoOptions, global))?;
    Some(Id { id })
}

fn kill(mut reader: Reader<'_>, global: &mut Global) -> Option<KillArgs> {
    let mut args = KillArgs {
        all: false,
        regex: false,
        id: String::new(),
        signal: String::new(),
    };
    let options = &mut Both(&mut args, global);
    let id = reader.positional(options)??;
    let signal = reader.positional(options)?;
    if signal.is_some() {
        reader.end(options)?;
    }
    (args.id, args.signal) = (id.to_owned(), signal.unwrap_or("TERM").to_owned());
    Some(args)
}

fn delete(mut reader: Reader<'_>, global: &mut Global) -> Option<DeleteArgs> {
    let mut args = DeleteArgs {
        force: false,
        regex: false,
        id: String::new(),
    };
    args.id = reader.only(&mut Both(&mut args, global))?;
    Some(args)
}

fn exec(mut reader: Reader<'_>, global: &mut Global) -> Option<ExecArgs> {
    let mut args = ExecArgs {
        process: None,
        tool: None,
        cwd: None,
        env: Vec::new(),
        user: None,
        additional_gids: Vec::new(),
        cap: Vec::new(),
        apparmor: None,
        process_label: None,
        no_new_privs: false,
        cgroup: Vec::new(),
        ignore_paused: false,
        tty: false,
        detach: false,
        console_socket: None,
        pid_file: None,
        preserve_fds: 0,
        id: String::new(),
        args: Vec::new(),
    };
    let options = &mut Both(&mut args, global);
    let id = reader.positional(options)??;
    // From its name on, all of it is the program's.
    let program = reader.positional(options)?;
    args.id = id.to_owned();
    let program = program.into_iter().chain(reader.words.iter().copied());
    args.args = program.map(str::to_owned).collect();
    // Either the process is in the file or in the words.
    let in_words = args.cwd.is_some() || !args.args.is_empty();
    (args.process.is_none() || !in_words).then_some(args)
}

/// Where an option's value goes.
enum Place<'a> {
    Flag(&'a mut bool),
    Path(&'a mut PathBuf),
    MaybePath(&'a mut Option<PathBuf>),
    Descriptors(&'a mut u32),
    LogFormat(&'a mut Format),
}

trait Options {
    /// The place of the option of this name, where it is one of those that are read here.
    fn place(&mut self, name: &str) -> Option<Place<'_>>;
}

impl Options for Global {
    fn place(&mut self, name: &str) -> Option<Place<'_>> {
        Some(match name {
            "root" => Place::MaybePath(&mut self.root),
            "log" => Place::MaybePath(&mut self.log),
            "log-format" => Place::LogFormat(&mut self.log_format),
            "debug" => Place::Flag(&mut self.debug),
            "systemd-cgroup" => Place::Flag(&mut self.systemd_cgroup),
            "config" => Place::MaybePath(&mut self.node_config),
            _ => return None,
        })
    }
}

/// Of a command that has none of its own.
struct NoOptions;

impl Options for NoOptions {
    fn place(&mut self, _: &str) -> Option<Place<'_>> {
        None
    }
}

impl Options for CreateArgs {
    fn place(&mut self, name: &str) -> Option<Place<'_>> {
        Some(match name {
            "bundle" => Place::Path(&mut self.bundle),
            "console-socket" => Place::MaybePath(&mut self.console_socket),
            "config" => Place::MaybePath(&mut self.spec_file),
            "pid-file" => Place::MaybePath(&mut self.pid_file),
            "preserve-fds" => Place::Descriptors(&mut self.preserve_fds),
            "no-new-keyring" => Place::Flag(&mut self.no_new_keyring),
            "no-pivot" => Place::Flag(&mut self.no_pivot),
            _ => return None,
        })
    }
}

impl Options for RunArgs {
    fn place(&mut self, name: &str) -> Option<Place<'_>> {
        Some(match name {
            "detach" => Place::Flag(&mut self.detach),
            "keep" => Place::Flag(&mut self.keep),
            _ => return self.create.place(name),
        })
    }
}

impl Options for KillArgs {
    fn place(&mut self, name: &str) -> Option<Place<'_>> {
        (name == "all").then_some(Place::Flag(&mut self.all))
    }
}

impl Options for DeleteArgs {
    fn place(&mut self, name: &str) -> Option<Place<'_>> {
        (name == "force").then_some(Place::Flag(&mut self.force))
    }
}

impl Options for ExecArgs {
    fn place(&mut self, name: &str) -> Option<Place<'_>> {
        Some(match name {
            "process" => Place::MaybePath(&mut self.process),
            "cwd" => Place::MaybePath(&mut self.cwd),
            "tty" => Place::Flag(&mut self.tty),
            "detach" => Place::Flag(&mut self.detach),
            "console-socket" => Place::MaybePath(&mut self.console_socket),
            "pid-file" => Place::MaybePath(&mut self.pid_file),
            "preserve-fds" => Place::Descriptors(&mut self.preserve_fds),
            _ => return None,
        })
    }
}

/// A command's own options and the global ones, which may come after its name too but for one.
struct Both<'a, A>(&'a mut A, &'a mut Global);

impl<A: Options> Options for Both<'_, A> {
    fn place(&mut self, name: &str) -> Option<Place<'_>> {
        let own = self.0.place(name);
        own.or_else(|| (name != "config").then(|| self.1.place(name))?)
    }
}

/// What has not been read yet, and the names of options that have been.
struct Reader<'a> {
    words: &'a [&'a str],
    seen: Vec<&'a str>,
}

impl<'a> Reader<'a> {
    /// Takes options up to the next word that is none. `None` where something is not plain.
    fn positional(&mut self, options: &mut impl Options) -> Option<Option<&'a str>> {
        while let Some(word) = self.next() {
            if !word.starts_with('-') {
                // Clap has a say where it is empty.
                return (!word.is_empty()).then_some(Some(word));
            }
            let option = word.strip_prefix("--")?;
            let (name, value) = match option.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (option, None),
            };
            let place = options.place(name)?;
            if self.seen.contains(&name) {
                return None;
            }
            self.seen.push(name);
            self.put(place, value)?;
        }
        Some(None)
    }

    fn put(&mut self, place: Place<'_>, said: Option<&'a str>) -> Option<()> {
        if let Place::Flag(flag) = place {
            *flag = true;
            return said.is_none().then_some(());
        }
        let value = said.or_else(|| self.next())?;
        if value.is_empty() || value.starts_with('-') {
            return None;
        }
        match place {
            Place::Flag(_) => {}
            Place::Path(path) => *path = value.into(),
            Place::MaybePath(path) => *path = Some(value.into()),
            Place::Descriptors(number) => {
                *number = value.parse().ok().filter(|number| *number <= 1024)?;
            }
            Place::LogFormat(format) => *format = Format::from_str(value, false).ok()?,
        }
        Some(())
    }

    /// The one word that is no option.
    fn only(&mut self, options: &mut impl Options) -> Option<String> {
        let word = self.positional(options)??;
        self.end(options)?;
        Some(word.to_owned())
    }

    /// Only options are left.
    fn end(&mut self, options: &mut impl Options) -> Option<()> {
        self.positional(options)?.is_none().then_some(())
    }

    fn next(&mut self) -> Option<&'a str> {
        let (first, rest) = self.words.split_first()?;
        self.words = rest;
        Some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        let line = line.split_whitespace().map(OsString::from);
        [OsString::from("megarun")]
            .into_iter()
            .chain(line)
            .collect()
    }

    fn assert_same(line: &str) {
        let plain = plain(&words(line)).unwrap_or_else(|| panic!("not plain: {line}"));
        let clap = Cli::try_parse_from(words(line)).unwrap();
        assert_eq!(format!("{plain:?}"), format!("{clap:?}"), "{line}");
    }

    #[test]
    fn what_engines_say_is_plain_and_means_the_same() {
        for line in [
            "--log-format=json --log F --systemd-cgroup create --bundle U --pid-file P ID",
            "--log-format=json --log F --systemd-cgroup create --bundle U --pid-file P --console-socket S --preserve-fds 2 ID",
            "--root R/NS --log B/log.json --log-format json create --bundle B --pid-file P ID",
            "--root R/NS --log B/log.json --log-format json create --bundle B --no-pivot --console-socket S --pid-file P ID",
            "create --root R --bundle start create",
            "create ID --no-new-keyring --config C --debug",
            "--config C run --detach ID",
            "start delete",
            "--root kill start create",
            "--root R state ID",
            "delete --force ID",
            "delete ID --force",
            "kill ID",
            "kill ID 15",
            "kill --all ID KILL",
            "--log-format=json --log F exec --pid-file P --process F --detach --tty --console-socket S ID",
            "--root R exec --process F --console-socket S --detach --pid-file P ID",
            "exec ID /bin/true",
            "run ID",
            "--systemd-cgroup run --detach --keep --bundle U --pid-file P ID",
            "pause ID",
            "--root R resume ID",
            "exec --cwd / ID create --all -- --force -x=1",
            "exec ID",
        ] {
            assert_same(line);
        }
    }

    /// Every line of some words, plain or not: what is read here is what clap reads.
    #[test]
    fn whatever_is_plain_means_the_same() {
        let said = [
            "create",
            "start",
            "kill",
            "delete",
            "exec",
            "run",
            "--keep",
            "ID",
            "--",
            "-f",
            "--force",
            "--all",
            "--root",
            "--root=R",
            "--log-format",
            "json",
            "--bundle=B",
            "--config=C",
            "--preserve-fds=3",
            "--preserve-fds=2000",
            "--process",
            "--cwd=/",
            "--version",
            "--rootless=true",
            "-",
            "",
        ];
        let mut plainly = 0;
        let mut check = |line: &[&str]| {
            let line: Vec<_> = ["megarun"].iter().chain(line).map(OsString::from).collect();
            let Some(plain) = plain(&line) else { return };
            plainly += 1;
            match Cli::try_parse_from(&line) {
                Ok(clap) => assert_eq!(format!("{plain:?}"), format!("{clap:?}"), "{line:?}"),
                Err(error) => panic!("{line:?}: {error}"),
            }
        };
        for first in said {
            for second in said {
                check(&[first, second]);
                for third in said {
                    check(&[first, second, third]);
                    for fourth in said {
                        check(&[first, second, third, fourth]);
                    }
                }
            }
        }
        assert!(plainly > 500, "{plainly}");
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
