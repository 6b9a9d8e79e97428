//! Client profiles: one file is one family; a profile says which anchors a client reads, and how it judges.

use crate::{
    facts::Facts,
    path::{Anchors, Question, Verdict},
};

/// One client (a range of versions that behave alike).
pub struct Profile {
    /// The identifier for `--client`: `openssl-1.0.2`, `gnutls-3.6.13`, `java-17`.
    pub id: &'static str,
    /// The family: `openssl`, `gnutls`, `go`.
    pub family: &'static str,
    /// The versions that the profile covers, in words: `1.0.2b to 1.0.2u`.
    pub versions: &'static str,
    /// A name for people: `OpenSSL 1.0.2`.
    pub title: &'static str,
    /// Where the model comes from: source files, measurements.
    pub source: &'static str,
    /// Whether real binaries were asked and agreed (`docs/clients.md` says which).
    pub measured: bool,
    /// Whether the client accepts an anchor whose validity has passed.
    pub ignores_anchor_dates: bool,
    /// Which anchors it reads on this host.
    pub reads: fn(&Facts) -> Reading,
    /// Its verdict.
    pub judge: fn(&Question<'_>) -> Verdict,
}

impl std::fmt::Debug for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.id)
    }
}

/// What a client reads as its trust store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The anchors.
    pub anchors: Anchors,
    /// The places, for people: `/etc/ssl/certs/ca-certificates.crt`.
    pub from: Vec<String>,
    /// Why a place could not be used: `OpenSSL refuses the whole file: …`.
    pub refused: Vec<(String, String)>,
    /// The model can't say what this client reads here (a compiled-in list): why.
    pub unknown: Option<String>,
}
