//! A Dockerfile, as far as the trust of its image is concerned.

use crate::base::{At, Fingerprint, TreePath};

/// What was found out about one Dockerfile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dockerfile {
    /// Where it lies, below the root of the report.
    pub path: TreePath,
    /// How a person named it.
    pub name: String,
    /// The anchors asked about: name, SHA-256, end of validity.
    pub anchors: Vec<(String, Fingerprint, Option<At>)>,
    /// The line (from 1) after which the instruction that takes them out is missing, or where an old one stands; `None` when the
    /// Dockerfile needs none.
    pub wanting: Option<u32>,
    /// What a person should look at.
    pub warnings: Vec<String>,
}
