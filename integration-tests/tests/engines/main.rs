//! Containers as engines lead them: podman with conmon, and containerd with its shim, with the
//! runtime under test, beside crun where a comparison says something.

#![allow(clippy::unwrap_used, reason = "a test ends where it must not go on")]

mod command_line;
mod containerd;
mod docker;
mod images;
mod podman_exec;
mod podman_life;
mod podman_pods;
mod podman_process;
mod podman_rootless;
mod podman_run;
mod podman_shell;
mod refusals;
