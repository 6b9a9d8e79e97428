//! placeholder
pub fn explore() {}
