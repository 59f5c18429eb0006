//! Whole processes: guests written for one question each, compiled here, run by a kernel on a
//! root directory of their own.

mod children;
mod crowds;
mod ends;
mod exceptions;
mod executing;
mod guest;
mod isolation;
mod killing;
mod signalling;

use guest::{Box, Guest};
