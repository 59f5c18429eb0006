//! Whole processes: guests written for one question each, compiled here, run by a kernel on a
//! root directory of their own.

mod ends;
mod executing;
mod guest;
mod isolation;
mod killing;

use guest::{Box, Guest};
