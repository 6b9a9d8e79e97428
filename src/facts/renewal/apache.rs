//! As much of Apache as certbot's own server can collide with.

use crate::base::TreePath;

/// An Apache that is installed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Apache {
    /// Where its configuration listens on port 80: file, line.
    pub on_80: Vec<(TreePath, u32)>,
}
