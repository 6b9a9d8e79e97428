//! From findings to steps, and from steps to a changed tree and back.

pub mod dockerfile;
