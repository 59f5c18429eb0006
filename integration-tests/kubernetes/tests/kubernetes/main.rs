//! Pods under containerd's CRI with the runtime handler `megarun`.

mod ends;
mod execs;
mod leftovers;
mod life;
mod native;
mod refusals;
mod resources;
mod streams;
