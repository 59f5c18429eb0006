//! `/proc/vkernel`: processes for programs that can open a file and import nothing more
//! (`runtime-spec/vkernel-abi.md`, "By a file").
//!
//! One write, of at most [`MAX_REQUEST`] bytes, is one request, the read after it the answer. The calls are those of the module,
//! with the same rights.

use super::request::{Action, Open, Request};
use super::{exec, fds, system, wait};
use crate::errno::Errno;
use crate::exec::ExecTarget;
use crate::kernel::Attributes;
use crate::process::{Fail, HostResult, ProcState};
use crate::rights::HostCall;
use crate::signal::SigSet;
use crate::table::Group;

/// The longest request in bytes: what arguments and environment may be, and room for the rest.
pub const MAX_REQUEST: usize = (2 << 20) + (64 << 10);

/// The most descriptor actions of one request.
const MAX_ACTIONS: u32 = 4096;

/// Performs a request and gives the answer: a line with the error number and the results.
pub fn perform(proc: &mut ProcState, request: &[u8]) -> HostResult<Vec<u8>> {
    proc.locating = false;
    let outcome = answer(proc, request);
    let text = match outcome {
        // The answer comes with the call that is waited for.
        Ok(_) if proc.locating => String::new(),
        Ok(results) => {
            let words: Vec<String> = results.iter().map(u32::to_string).collect();
            format!("0 {}\n", words.join(" "))
        }
        Err(Fail::Errno(errno)) => format!("{}\n", errno.raw()),
        Err(other) => return Err(other),
    };
    Ok(text.into_bytes())
}

fn answer(proc: &mut ProcState, request: &[u8]) -> HostResult<Vec<u32>> {
    let mut fields = Fields(request);
    match fields.text()? {
        b"spawn" => {
            exec::may(proc, HostCall::VkSpawn)?;
            let (request, actions, attributes) = spawn_request(&mut fields)?;
            Ok(vec![exec::spawn_child(proc, request, actions, attributes)?])
        }
        b"wait" => {
            proc.require(HostCall::VkWait)?;
            let (which, options) = (fields.signed()?, fields.number()?);
            let news = wait::wait_child(proc, which, options)?;
            Ok(vec![news.pid, news.status])
        }
        b"kill" => {
            proc.require(HostCall::VkKill)?;
            let (target, signal) = (fields.signed()?, fields.signed()?);
            wait::send(proc, target, signal)?;
            Ok(Vec::new())
        }
        b"pipe" => {
            proc.require(HostCall::VkPipe)?;
            let (read, write) = fds::make_pipe(proc, fields.number()?)?;
            Ok(vec![read, write])
        }
        b"cloexec" => {
            proc.require(HostCall::VkFcntl)?;
            let (fd, closing) = (fields.number()?, fields.number()?);
            proc.fds.get_mut(fd)?.set_close_on_exec(closing != 0);
            Ok(Vec::new())
        }
        b"close" => {
            proc.require(HostCall::FdClose)?;
            proc.fds.remove(fields.number()?)?;
            Ok(Vec::new())
        }
        b"locate" => {
            proc.locating = true;
            Ok(Vec::new())
        }
        b"getpid" => {
            proc.require(HostCall::VkGetPid)?;
            Ok(vec![proc.pid])
        }
        b"getppid" => {
            proc.require(HostCall::VkGetPpid)?;
            Ok(vec![system(proc)?.processes().parent(proc.pid)])
        }
        _ => Err(Errno::INVAL.into()),
    }
}

/// The answer to a `locate`: the call it waited for asks about descriptor `fd`.
pub fn located(proc: &mut ProcState, fd: u32) {
    proc.locating = false;
    proc.answer = format!("0 {fd}\n").into_bytes();
}

fn spawn_request(fields: &mut Fields<'_>) -> Result<(Request, Vec<Action>, Attributes), Errno> {
    let (kind, name) = (fields.text()?, fields.text()?.to_vec());
    let search_path = Some(fields.text()?.to_vec()).filter(|path| !path.is_empty());
    let target = match kind {
        b"path" => ExecTarget::Path(name),
        b"search" => ExecTarget::Search(name),
        b"tool" => ExecTarget::Tool(String::from_utf8(name).map_err(|_| Errno::NOENT)?),
        _ => return Err(Errno::INVAL),
    };
    let group = match (fields.text()?, fields.number()?) {
        (b"inherit", _) => Group::Inherit,
        (b"session", _) => Group::Session,
        (b"group", 0) => Group::Own,
        (b"group", group) => Group::Of(group),
        _ => return Err(Errno::INVAL),
    };
    let count = fields.number()?;
    if count > MAX_ACTIONS {
        return Err(Errno::TOOBIG);
    }
    let actions = (0..count)
        .map(|_| action(fields))
        .collect::<Result<_, _>>()?;
    let arguments = fields.number()?;
    let mut argv = Vec::new();
    for _ in 0..arguments {
        argv.push(fields.text()?.to_vec());
    }
    if argv.is_empty() {
        return Err(Errno::INVAL);
    }
    let mut env = Vec::new();
    while !fields.0.is_empty() {
        env.push(fields.text()?.to_vec());
    }
    let request = Request {
        target,
        argv,
        env,
        search_path,
    };
    let attributes = Attributes {
        group,
        mask: None,
        defaults: SigSet::EMPTY,
        foreground: false,
    };
    Ok((request, actions, attributes))
}

fn action(fields: &mut Fields<'_>) -> Result<Action, Errno> {
    Ok(match fields.text()? {
        b"close" => Action::Close(fields.number()?),
        b"dup2" => Action::Dup2(fields.number()?, fields.number()?),
        b"open" => {
            let (fd, path) = (fields.number()?, fields.text()?.to_vec());
            Action::Open(fd, path, Open::new(fields.number()?, fields.number()?)?)
        }
        b"chdir" => Action::Chdir(fields.text()?.to_vec()),
        b"closerange" => Action::CloseRange(fields.number()?, fields.number()?),
        _ => return Err(Errno::INVAL),
    })
}

/// Texts that each end with NUL.
struct Fields<'r>(&'r [u8]);

impl<'r> Fields<'r> {
    fn text(&mut self) -> Result<&'r [u8], Errno> {
        let end = self.0.iter().position(|byte| *byte == 0);
        let end = end.ok_or(Errno::INVAL)?;
        let text = &self.0[..end];
        self.0 = &self.0[end + 1..];
        Ok(text)
    }

    fn parsed<T: std::str::FromStr>(&mut self) -> Result<T, Errno> {
        let text = std::str::from_utf8(self.text()?).map_err(|_| Errno::INVAL)?;
        text.parse().map_err(|_| Errno::INVAL)
    }

    fn number(&mut self) -> Result<u32, Errno> {
        self.parsed()
    }

    fn signed(&mut self) -> Result<i32, Errno> {
        self.parsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<(Request, Vec<Action>, Attributes), Errno> {
        spawn_request(&mut Fields(text.replace('|', "\0").as_bytes()))
    }

    #[test]
    fn a_request_is_read_field_by_field() {
        let (request, actions, attributes) = parse(
            "search|ls|/bin|group|0|3|dup2|3|1|close|4|open|0|/dev/null|1|0|2|ls|-l|A=1|B=2|",
        )
        .unwrap();
        assert_eq!(request.target, ExecTarget::Search(b"ls".to_vec()));
        assert_eq!(request.argv, [&b"ls"[..], b"-l"]);
        assert_eq!(request.env, [b"A=1", b"B=2"]);
        assert_eq!(request.search_path, Some(b"/bin".to_vec()));
        let open = Open::new(1, 0).unwrap();
        assert_eq!(
            actions,
            [
                Action::Dup2(3, 1),
                Action::Close(4),
                Action::Open(0, b"/dev/null".to_vec(), open)
            ]
        );
        assert_eq!(attributes.group, Group::Own);
    }

    #[test]
    fn what_is_cut_short_or_unknown_is_refused() {
        let whole = "path|/bin/ls||inherit|0|1|dup2|3|1|1|ls|";
        assert!(parse(whole).is_ok());
        for cut in 1..whole.len() - 1 {
            assert!(parse(&whole[..cut]).is_err(), "{}", &whole[..cut]);
        }
        for wrong in [
            "digest|x||inherit|0|0|1|x|",
            "path|x||elsewhere|0|0|1|x|",
            "path|x||inherit|0|5000|1|x|",
            "path|x||inherit|0|0|0|",
            "path|x||inherit|0|1|fork|1|1|x|",
            "path|x||inherit|0|0|4294967295|x|",
            "path|x||inherit|-1|0|1|x|",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
