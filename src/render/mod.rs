//! One file is one output format; each is a function from the report to text.

pub mod s_client;
