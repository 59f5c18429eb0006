//! Where a node keeps what it needs: root's places, and those of a user who runs containers.
//!
//! A user's are those of the XDG Base Directory Specification, as with other runtimes.

use std::path::{Path, PathBuf};

/// The environment's variables that hold absolute paths, by name.
type Variables<'a> = &'a dyn Fn(&str) -> Option<PathBuf>;

/// The places of one user.
pub struct Places<'a> {
    /// What says where they are; none for root of the host.
    user: Option<Variables<'a>>,
}

impl Places<'_> {
    /// Of whoever runs this.
    #[must_use]
    pub fn own() -> Places<'static> {
        fn variable(name: &str) -> Option<PathBuf> {
            // A relative one is to be ignored.
            std::env::var_os(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        }
        let user = !crate::identity::is_host_root();
        Places {
            user: user.then_some(&variable),
        }
    }

    /// The user's directory of `variable`, or the one below home that it stands for.
    fn of_user(&self, variable: &str, below_home: Option<&str>) -> Option<PathBuf> {
        let user = self.user?;
        let home = || Some(user("HOME")?.join(below_home?));
        Some(user(variable).or_else(home)?.join("megarun"))
    }

    /// The containers' state, unless `--root` says otherwise.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        let own = self.of_user("XDG_RUNTIME_DIR", None);
        own.unwrap_or_else(|| "/run/megarun".into())
    }

    /// Compiled code, unless the configuration says otherwise.
    #[must_use]
    pub fn cache(&self) -> PathBuf {
        let own = self.of_user("XDG_CACHE_HOME", Some(".cache"));
        own.unwrap_or_else(|| "/var/cache/megarun".into())
    }

    /// Directories of trusted keys, unless the configuration says otherwise.
    #[must_use]
    pub fn trust(&self) -> Vec<PathBuf> {
        let own = self.configuration().map(|folder| folder.join("trust"));
        [PathBuf::from("/etc/megarun/trust")]
            .into_iter()
            .chain(own)
            .collect()
    }

    /// The configurations, unless `--config` names one; the first that is there counts.
    #[must_use]
    pub fn configurations(&self) -> Vec<PathBuf> {
        let own = self
            .configuration()
            .map(|folder| folder.join("config.toml"));
        own.into_iter()
            .chain([Path::new("/etc/megarun/config.toml").into()])
            .collect()
    }

    fn configuration(&self) -> Option<PathBuf> {
        self.of_user("XDG_CONFIG_HOME", Some(".config"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(places: &Places<'_>) -> Vec<PathBuf> {
        let mut all = vec![places.state(), places.cache()];
        all.extend(places.trust());
        all.extend(places.configurations());
        all
    }

    fn paths(paths: &[&str]) -> Vec<PathBuf> {
        paths.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn roots_are_the_machines() {
        let expected = paths(&[
            "/run/megarun",
            "/var/cache/megarun",
            "/etc/megarun/trust",
            "/etc/megarun/config.toml",
        ]);
        assert_eq!(all(&Places { user: None }), expected);
    }

    #[test]
    fn a_users_are_below_home_or_where_the_variables_say() {
        let home = |name: &str| (name == "HOME").then(|| PathBuf::from("/home/u"));
        let expected = paths(&[
            "/run/megarun",
            "/home/u/.cache/megarun",
            "/etc/megarun/trust",
            "/home/u/.config/megarun/trust",
            "/home/u/.config/megarun/config.toml",
            "/etc/megarun/config.toml",
        ]);
        assert_eq!(all(&Places { user: Some(&home) }), expected);
        let said = |name: &str| Some(PathBuf::from("/said").join(name));
        let expected = paths(&[
            "/said/XDG_RUNTIME_DIR/megarun",
            "/said/XDG_CACHE_HOME/megarun",
            "/etc/megarun/trust",
            "/said/XDG_CONFIG_HOME/megarun/trust",
            "/said/XDG_CONFIG_HOME/megarun/config.toml",
            "/etc/megarun/config.toml",
        ]);
        assert_eq!(all(&Places { user: Some(&said) }), expected);
    }
}
