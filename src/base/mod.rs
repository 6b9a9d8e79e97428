//! Plain values that every layer shares.
//!
//! Absent on purpose: any reading of a clock, a file or the environment. An [`At`] is always handed in.

mod at;
mod bytes;
mod fingerprint;
mod limits;
mod shell;
mod tree_path;

pub use at::{At, AtError};
pub use bytes::{order, same};
pub use fingerprint::{ContentDigest, Fingerprint};
pub use limits::Limits;
pub use shell::shell;
pub use tree_path::{NameSet, PathMap, PathSet, TreePath};
