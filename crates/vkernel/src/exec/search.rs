//! The search in `PATH`, as `execvp` does it.

use super::ExecError;
use crate::errno::Errno;

/// Where a program is searched when the environment has no `PATH`.
pub const DEFAULT_PATH: &[u8] = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Tries `name` in each directory of `path_variable`, or as it is when it has a slash.
///
/// What is not there is passed over; what is there but denied is passed over as well and, if
/// nothing better comes, reported rather than "not found".
pub fn search<T>(
    name: &[u8],
    path_variable: Option<&[u8]>,
    mut attempt: impl FnMut(&[u8]) -> Result<T, ExecError>,
) -> Result<T, ExecError> {
    if name.contains(&b'/') {
        return attempt(name);
    }
    let not_found = || ExecError::NotFound {
        name: String::from_utf8_lossy(name).into_owned(),
    };
    if name.is_empty() {
        return Err(not_found());
    }
    let mut denied = None;
    for directory in path_variable
        .unwrap_or(DEFAULT_PATH)
        .split(|byte| *byte == b':')
    {
        let mut path = directory.to_vec();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        match attempt(&path) {
            Ok(found) => return Ok(found),
            Err(error) if error.errno() == Errno::NOENT => {}
            Err(error) if error.errno() == Errno::ACCES => {
                denied.get_or_insert(error);
            }
            Err(error) => return Err(error),
        }
    }
    Err(denied.unwrap_or_else(not_found))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a search in which only the listed paths give something, and returns what was tried.
    fn tried(
        name: &str,
        path: Option<&str>,
        outcomes: &[(&str, Errno)],
    ) -> (Result<(), u8>, String) {
        let mut tried = Vec::new();
        let result = search(name.as_bytes(), path.map(str::as_bytes), |path| {
            let path = String::from_utf8(path.to_vec()).unwrap();
            tried.push(path.clone());
            match outcomes.iter().find(|(at, _)| *at == path) {
                None => Err(ExecError::open(path, Errno::NOENT)),
                Some((_, Errno::AGAIN)) => Ok(()),
                Some((_, errno)) => Err(ExecError::open(path, *errno)),
            }
        });
        (result.map_err(|error| error.exit_status()), tried.join(" "))
    }

    #[test]
    fn directories_are_tried_in_order() {
        const FOUND: Errno = Errno::AGAIN;
        assert_eq!(
            tried("ls", Some("/a:/b:/c"), &[("/b/ls", FOUND)]),
            (Ok(()), "/a/ls /b/ls".into())
        );
        assert_eq!(tried("ls", Some("/a"), &[]), (Err(127), "/a/ls".into()));
        assert_eq!(tried("./ls", Some("/a"), &[]), (Err(127), "./ls".into()));
        assert_eq!(tried("", Some("/a"), &[]), (Err(127), "".into()));
        // An empty element is the working directory.
        assert_eq!(tried("ls", Some(":/a"), &[]), (Err(127), "ls /a/ls".into()));
        assert_eq!(tried("ls", None, &[("/usr/bin/ls", FOUND)]).0, Ok(()));
    }

    #[test]
    fn what_is_denied_is_remembered_and_what_is_broken_ends_the_search() {
        const FOUND: Errno = Errno::AGAIN;
        let denied = [("/a/ls", Errno::ACCES)];
        assert_eq!(
            tried("ls", Some("/a:/b"), &denied),
            (Err(126), "/a/ls /b/ls".into())
        );
        let then_found = [("/a/ls", Errno::ACCES), ("/b/ls", FOUND)];
        assert_eq!(tried("ls", Some("/a:/b"), &then_found).0, Ok(()));
        assert_eq!(
            tried("ls", Some("/a:/b"), &[("/a/ls", Errno::LOOP)]),
            (Err(126), "/a/ls".into())
        );
        assert_eq!(
            tried("ls", Some("/a:/b"), &[("/a/ls", Errno::NOTDIR)]).0,
            Err(127)
        );
    }
}
