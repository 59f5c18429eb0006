//! The container's processes as the host's ps(1) shows them.

use std::io::ErrorKind;
use std::process::Command;

use super::CommandError;
use crate::failure::Failure;

/// What ps prints with these options, as far as it is about these processes.
pub fn table(pids: &[i32], options: &[String]) -> Result<String, CommandError> {
    let mut command = Command::new("ps");
    match options {
        [] => command.arg("-ef"),
        options => command.args(options),
    };
    let output = match command.output() {
        Ok(output) => output,
        // Hosts made for containers alone may have none.
        Err(error) if error.kind() == ErrorKind::NotFound && options.is_empty() => {
            return Ok(plain(pids));
        }
        Err(error) => return Err(Failure::new("running the host's ps", error).into()),
    };
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let first = said.trim().lines().next().unwrap_or_default();
        let reason = format!("ps {}: {first}", options.join(" "));
        return Err(CommandError::Refused(reason));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    of_these(&text, pids).ok_or_else(|| {
        let options = options.join(" ");
        CommandError::Refused(format!("ps {options}: the table has no column PID"))
    })
}

fn plain(pids: &[i32]) -> String {
    let lines = pids.iter().map(|pid| format!("{pid}\n"));
    format!("PID\n{}", lines.collect::<String>())
}

/// The head, and the lines of these processes.
fn of_these(table: &str, pids: &[i32]) -> Option<String> {
    let (head, rest) = table.split_once('\n')?;
    let column = head.split_whitespace().position(|name| name == "PID")?;
    let is = |line: &&str| {
        let pid = line.split_whitespace().nth(column);
        let pid = pid.and_then(|pid| pid.parse().ok());
        pid.is_some_and(|pid| pids.contains(&pid))
    };
    let lines = rest.lines().filter(is).map(|line| format!("{line}\n"));
    Some(format!("{head}\n{}", lines.collect::<String>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_chosen_by_the_pid_alone() {
        let table = "UID  PID PPID CMD\nroot   7    1 sh 8\nroot   8    7 x\nroot  70    7 y\n";
        let of = |pids: &[i32]| of_these(table, pids).unwrap();
        assert_eq!(of(&[7]), "UID  PID PPID CMD\nroot   7    1 sh 8\n");
        assert_eq!(of(&[]), "UID  PID PPID CMD\n");
        assert_eq!(of(&[8, 70]).lines().count(), 3);
        assert_eq!(of_these("CMD\nsh\n", &[7]), None);
        assert_eq!(plain(&[7, 8]), "PID\n7\n8\n");
    }
}
