//! The command line: what may be said. What it means is in [`crate::commands`].
//!
//! Options are those of crun and runc, so that engines can use this program in their place.

mod limits;
mod parse;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::report;
pub use limits::{Limits, UpdateArgs};
pub use parse::parse;

/// OCI runtime whose containers execute only the signed programs of one WebAssembly module.
#[derive(Debug, Parser)]
#[command(name = "megarun", disable_version_flag = true, max_term_width = 100)]
pub struct Cli {
    /// Options of every command
    #[command(flatten)]
    pub global: Global,
    /// What to do
    #[command(subcommand)]
    pub command: Option<Command>,
}

impl Cli {
    /// How many descriptors from 3 up a new process is to get, where there is going to be one.
    pub fn preserved(&self) -> Option<u32> {
        match &self.command {
            Some(Command::Create(create)) => Some(create.preserve_fds),
            Some(Command::Run(run)) => Some(run.create.preserve_fds),
            Some(Command::Exec(exec)) => Some(exec.preserve_fds),
            _ => None,
        }
    }
}

/// Options of every command.
#[derive(Debug, Args)]
pub struct Global {
    /// Directory of the containers' state [default: /run/megarun, a user's $XDG_RUNTIME_DIR/megarun]
    #[arg(long, global = true, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// File to append log lines to
    #[arg(long, global = true, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// Form of the log lines
    #[arg(long, global = true, value_enum, default_value_t = report::Format::Text)]
    pub log_format: report::Format,
    /// Log more
    #[arg(long, global = true)]
    pub debug: bool,
    /// Make cgroups through systemd
    #[arg(long, global = true)]
    pub systemd_cgroup: bool,
    /// How cgroups are made
    #[arg(long, global = true, value_enum, default_value_t = CgroupManager::Cgroupfs)]
    pub cgroup_manager: CgroupManager,
    /// Whether to go on without cgroups that may not be written: `auto` is for users other than root
    #[arg(long, value_name = "VALUE", default_value = "auto", value_parser = ["true", "false", "auto"])]
    pub rootless: String,
    /// Accepted for engines; only `checkpoint` would use it
    #[arg(long, value_name = "PATH", hide = true)]
    pub criu: Option<PathBuf>,
    // Before the command: `create` and `run` have crun's option of this name.
    /// The node's configuration: trust, limits, cache [default: /etc/megarun/config.toml; before it,
    /// a user's ~/.config/megarun/config.toml]
    #[arg(long = "config", value_name = "FILE")]
    pub node_config: Option<PathBuf>,
    /// Print the version and what it was built with
    #[arg(short = 'v', short_alias = 'V', long)]
    pub version: bool,
    /// Print a short help, as crun does
    #[arg(long, global = true, hide = true, action = clap::ArgAction::HelpShort)]
    usage: Option<bool>,
}

/// How cgroups are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CgroupManager {
    /// Through the cgroup file systems
    Cgroupfs,
    /// Through systemd, as transient scopes
    Systemd,
    /// Not at all
    Disabled,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a container that waits for `start`
    Create(CreateArgs),
    /// Start a container that was created
    Start(Id),
    /// Print a container's state as JSON
    State(Id),
    /// Send a signal to a container
    Kill(KillArgs),
    /// Remove a container that has stopped
    Delete(DeleteArgs),
    /// Make a container, start it, and remove it when it has ended
    Run(RunArgs),
    /// Run another program of the megabinary in a container
    #[command(after_help = "Example: megarun exec --tool grep web -- -c error /var/log/app.log")]
    Exec(ExecArgs),
    /// List the containers
    List(ListArgs),
    /// List the processes of a container
    #[command(after_help = "\
A virtual kernel is one process of the host, so without --virtual the list has the container's own
and one for each exec. With it: the host's process, and in it each guest's pid, parent, state,
processor time, program and arguments.")]
    Ps(PsArgs),
    /// Freeze a container's processes
    Pause(Id),
    /// Let a frozen container go on
    Resume(Id),
    /// Change a container's limits
    Update(UpdateArgs),
    /// Write a config.json to start from
    Spec(SpecArgs),
    /// Print what this runtime supports as JSON
    Features,
    /// Print what a container uses, once or again and again
    Events(EventsArgs),
    /// Save a running container: not supported
    #[command(hide = true)]
    Checkpoint(Unsupported),
    /// Go on with a saved container: not supported
    #[command(hide = true)]
    Restore(Unsupported),
}

/// A container's id.
#[derive(Debug, Args)]
pub struct Id {
    /// The container
    #[arg(value_name = "ID")]
    pub id: String,
}

/// How to make a container.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// Directory with config.json and the root file system
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    pub bundle: PathBuf,
    /// Name of the file in the bundle to read instead of config.json
    #[arg(short = 'f', long = "config", value_name = "FILE")]
    pub spec_file: Option<PathBuf>,
    /// Socket that takes the terminal's master side
    #[arg(long, value_name = "SOCKET")]
    pub console_socket: Option<PathBuf>,
    /// File to write the process's pid to
    #[arg(long, value_name = "FILE")]
    pub pid_file: Option<PathBuf>,
    /// Give the process this many descriptors, from 3 up
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=1024))]
    pub preserve_fds: u32,
    /// Accepted for engines; the session's keyring is never reachable for a guest
    #[arg(long)]
    pub no_new_keyring: bool,
    /// Change the root without pivot_root, where the host runs from an initial RAM disk
    #[arg(long)]
    pub no_pivot: bool,
    /// Accepted for engines; this runtime makes no subreaper
    #[arg(long)]
    pub no_subreaper: bool,
    /// The container's id
    #[arg(value_name = "ID")]
    pub id: String,
}

/// How to send a signal.
#[derive(Debug, Args)]
pub struct KillArgs {
    /// To every process of the container
    #[arg(short, long)]
    pub all: bool,
    /// The id is a regular expression: to each container whose id has a match
    #[arg(short, long)]
    pub regex: bool,
    /// The container
    #[arg(value_name = "ID")]
    pub id: String,
    /// Name or number
    #[arg(value_name = "SIGNAL", default_value = "TERM")]
    pub signal: String,
}

/// How to remove a container.
#[derive(Debug, Args)]
pub struct DeleteArgs {
    /// Kill it first; fine if it does not exist
    #[arg(short, long)]
    pub force: bool,
    /// The id is a regular expression: remove each container whose id has a match
    #[arg(short, long)]
    pub regex: bool,
    /// The container
    #[arg(value_name = "ID")]
    pub id: String,
}

/// How to run a container.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Return when it has started
    #[arg(short, long)]
    pub detach: bool,
    /// Do not remove it when it has ended
    #[arg(long)]
    pub keep: bool,
    /// How to make it
    #[command(flatten)]
    pub create: CreateArgs,
}

/// How to run another program.
#[derive(Debug, Args)]
pub struct ExecArgs {
    /// File with the process as JSON
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["tool", "cwd", "env", "user", "additional_gids", "cap", "apparmor", "process_label", "args"])]
    pub process: Option<PathBuf>,
    /// Run the agent tool of this name
    #[arg(long, value_name = "NAME")]
    pub tool: Option<String>,
    /// Working directory
    #[arg(long, value_name = "DIR")]
    pub cwd: Option<PathBuf>,
    /// Set a variable
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub env: Vec<String>,
    /// User and group in numbers
    #[arg(short, long, value_name = "UID[:GID]", value_parser = crate::lifecycle::exec::parse_user)]
    pub user: Option<(u32, Option<u32>)>,
    /// A further group
    #[arg(short = 'g', long, value_name = "GID")]
    pub additional_gids: Vec<u32>,
    /// A further capability
    #[arg(short, long, value_name = "CAPABILITY")]
    pub cap: Vec<String>,
    /// AppArmor profile
    #[arg(long, value_name = "PROFILE")]
    pub apparmor: Option<String>,
    /// SELinux label
    #[arg(long, value_name = "LABEL")]
    pub process_label: Option<String>,
    /// Accepted for engines; a guest never gains privileges
    #[arg(long)]
    pub no_new_privs: bool,
    /// A cgroup below the container's, of these controllers or of all
    #[arg(long, value_name = "[CONTROLLERS:]PATH")]
    pub cgroup: Vec<String>,
    /// Also in a paused container: it runs when that is resumed
    #[arg(long)]
    pub ignore_paused: bool,
    /// Give it a terminal
    #[arg(short, long)]
    pub tty: bool,
    /// Return when it runs
    #[arg(short, long)]
    pub detach: bool,
    /// Socket that takes the terminal's master side
    #[arg(long, value_name = "SOCKET")]
    pub console_socket: Option<PathBuf>,
    /// File to write the process's pid to
    #[arg(long, value_name = "FILE")]
    pub pid_file: Option<PathBuf>,
    /// Give the process this many descriptors, from 3 up
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=1024))]
    pub preserve_fds: u32,
    /// The container
    #[arg(value_name = "ID")]
    pub id: String,
    /// The program and its arguments; with --tool, its arguments
    #[arg(
        value_name = "ARGS",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub args: Vec<String>,
}

/// How to list containers.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Form of the list
    #[arg(short, long, value_enum, default_value_t = ListFormat::Table)]
    pub format: ListFormat,
    /// Only the ids
    #[arg(short, long)]
    pub quiet: bool,
}

/// How to list processes.
#[derive(Debug, Args)]
pub struct PsArgs {
    /// Form of the list
    #[arg(short, long, value_enum, default_value_t = ListFormat::Table)]
    pub format: ListFormat,
    /// The guests' processes, as the virtual kernels number them, instead of the host's
    #[arg(long)]
    pub r#virtual: bool,
    /// The container
    #[arg(value_name = "ID")]
    pub id: String,
    /// Options of the host's ps for the table [default: -ef]
    #[arg(
        value_name = "OPTIONS",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub options: Vec<String>,
}

/// Form of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    /// For people
    Table,
    /// For programs
    Json,
}

/// What to print about a container.
#[derive(Debug, Args)]
pub struct EventsArgs {
    /// Print what it uses now, and no more
    #[arg(long)]
    pub stats: bool,
    /// Time between two reports
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = interval)]
    pub interval: std::time::Duration,
    /// The container
    #[arg(value_name = "ID")]
    pub id: String,
}

/// A time in seconds or with the unit `ms`, `s` or `m`.
fn interval(text: &str) -> Result<std::time::Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "ms" => 1,
        "" | "s" => 1000,
        "m" => 60_000,
        _ => 0,
    };
    match digits.parse::<u64>().ok().and_then(|n| n.checked_mul(unit)) {
        Some(milliseconds @ 1..) => Ok(std::time::Duration::from_millis(milliseconds)),
        _ => Err(format!("`{text}` is not a time such as 5s or 500ms")),
    }
}

/// The arguments of a command that this runtime does not have.
#[derive(Debug, Args)]
pub struct Unsupported {
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

/// Where to write a config.json.
#[derive(Debug, Args)]
pub struct SpecArgs {
    /// The bundle's directory
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    pub bundle: PathBuf,
    /// Another file to write
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// For a user other than root: a user namespace, and no cgroups
    #[arg(long)]
    pub rootless: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(["megarun"].into_iter().chain(line.split_whitespace()))
    }

    #[test]
    fn what_engines_say_is_understood() {
        for line in [
            "--log-format=json --log F --systemd-cgroup create --bundle U --pid-file P --console-socket S --preserve-fds 2 ID",
            "--cgroup-manager disabled create --bundle U --pid-file P ID",
            "start ID",
            "delete --force ID",
            "kill ID 15",
            "kill --all ID 9",
            "--log-format=json --log F exec --pid-file P --process F --detach --tty --console-socket S ID",
            "--root R/NS --log B/log.json --log-format json create --bundle B --pid-file P ID",
            "--root R exec --process F --console-socket S --detach --pid-file P ID",
            "ps --format json ID",
            "ps --virtual -f json ID",
            "update --resources - ID",
            "update --resources=F ID",
            "update --memory 64m --memory-swap -1 --cpu-quota 5000 --pids-limit -1 ID",
            "--rootless auto --criu /sbin/criu state ID",
            "run --keep --no-subreaper --no-new-keyring ID",
            "exec -g 5 -c CAP_CHOWN --apparmor unconfined --no-new-privs ID ls",
            "events --stats ID",
            "events --interval 500ms ID",
            "checkpoint --image-path P --work-path W --leave-running ID",
            "restore --image-path P --bundle B -d ID",
            "spec --rootless -f F",
            "--version",
            "pause ID",
            "resume ID",
            "--root R state ID",
        ] {
            assert!(parse(line).is_ok(), "{line}: {}", parse(line).unwrap_err());
        }
    }

    #[test]
    fn a_programs_own_options_are_its_own() {
        let cli = parse("exec ID ls --all -t -- x").unwrap();
        let Some(Command::Exec(exec)) = cli.command else {
            panic!()
        };
        assert_eq!(exec.args, ["ls", "--all", "-t", "--", "x"]);
        assert!(!exec.tty);
        let cli = parse("exec --tool grep ID -- -c x").unwrap();
        let Some(Command::Exec(exec)) = cli.command else {
            panic!()
        };
        assert_eq!(exec.args, ["-c", "x"]);
    }

    #[test]
    fn nonsense_is_refused() {
        for line in [
            "create",
            "create a b",
            "kill",
            "exec --process F --tool T ID",
            "list -f xml",
            "update ID",
            "update --memory -5 ID",
            "update --memory 5x ID",
            "update --memory 99999999999t ID",
            "update -r F --memory 5m ID",
            "events --interval 0s ID",
            "events --interval 5h ID",
            "nope",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
