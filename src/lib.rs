//! certdoctor: finds the dead root that breaks TLS on this host, patches the store, and proves the fix with a handshake.
//!
//! The layers and their rules are told in `docs/ARCHITECTURE.md`: gather (I/O) → facts → judge (pure) → findings → plan (pure) → render
//! or apply → gather again.
#![forbid(unsafe_code)]

pub mod base;
pub mod check;
pub mod cli;
pub mod client;
pub mod command;
pub mod edit;
pub mod facts;
pub mod finding;
pub mod format;
pub mod gather;
pub mod host;
pub mod judge;
pub mod nginx;
pub mod path;
pub mod plan;
pub mod policy;
pub mod program;
pub mod render;
pub mod renewal;
pub mod report;
pub mod store;
pub mod x509;
