//! A real shell inside the container: dash, whose subshells are true forks and whose commands are
//! executions by digest.

mod make;
mod scripts;
mod suite;
mod terminal;
mod tickets;
