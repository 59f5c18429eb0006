//! Initial images laid by the host (`runtime-spec/megabinary.md`, "Images").
//!
//! An entry point copies its program's initial data into memory, which for 8 MiB costs
//! milliseconds and as much memory again. A host that has the data as a file maps it copy on
//! write instead and tells the entry point so by the image switch.
//!
//! Images are built when the code is compiled, from the signed section's segments and the signed
//! data, never by running guest code ([`append`]). They lie behind the compiled code in the same
//! cache entry ([`crate::artifact`]), so whoever may write one may write the other: only the
//! cache's owner. A program without an image, or an artifact without images, is only slower.

mod build;
mod file;

pub use build::{ImageError, append};
pub use file::{Damaged, Image, Images, OpenError};

/// Names the form of images in an artifact, and the rules for which programs have one.
pub const IMAGES_ID: &str = "images-1";

/// A piece of a program's initial memory, in whole pages of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Where it begins in the program's memory, in bytes.
    pub address: u32,
    /// Its length in bytes, more than 0.
    pub len: u32,
    /// Where its content begins in the artifact, in bytes.
    pub offset: u64,
}
