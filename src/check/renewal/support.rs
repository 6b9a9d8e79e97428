//! What the checks of the server side share.

pub(super) mod public;
