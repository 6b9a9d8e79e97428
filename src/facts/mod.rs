//! What was gathered: values, with the place where each was seen.
//!
//! Absent on purpose: opinions. A dead link, a corrupt file, an endpoint that does not answer are facts here; [`crate::check`] says
//! what they mean.

mod dockerfile;
mod endpoint;
mod environment;
pub mod renewal;
mod store;

pub use dockerfile::Dockerfile;
pub use endpoint::{ConnectFailure, Endpoint, Presented, Protocol, Staple, StartTls, Target, TargetSource};
pub use environment::{Clock, Environment, Override, Redirect};
pub use renewal::Renewal;
pub use store::{
    Anchor, CertFile, ConfLine, ConfLineKind, Configuration, Content, DirectoryEntry, Entry, FileState, HashDirectory, Links,
    Origin, Quirk, Role, Seen, Selection, Source, SourceOwner, Store, Upkeep,
};

/// Everything that one run gathered.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The stores found, in the order of [`crate::store::ALL`].
    pub stores: Vec<Store>,
    /// What `--CAfile` and `--CApath` named: when present, it replaces the host's stores for every client.
    pub given: Option<Redirect>,
    /// The targets, in the order asked for.
    pub endpoints: Vec<Endpoint>,
    /// Variables that redirect trust, and what they point to.
    pub environment: Environment,
    /// The server side, where `renewal` was asked for.
    pub renewal: Option<Renewal>,
    /// The Dockerfile, where `dockerfile` was asked about one.
    pub dockerfile: Option<Dockerfile>,
    /// What the clock says, and what speaks against it.
    pub clock: Clock,
    /// Places that could not be looked at, and why: shown at the end of every report.
    pub not_checked: Vec<(String, String)>,
}

impl Facts {
    /// Nothing seen yet, at this time.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Facts {
            stores: Vec::new(),
            given: None,
            endpoints: Vec::new(),
            environment: Environment::default(),
            renewal: None,
            dockerfile: None,
            clock,
            not_checked: Vec::new(),
        }
    }
}
