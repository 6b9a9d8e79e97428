//! The server side: which certificates this host keeps, who renews them, who serves them, and what the loopback answers.
//!
//! Each manager's own facts are a file here, filled by the file of the same name in [`crate::renewal`].

mod apache;
pub mod certbot;
pub mod certmagic;
pub mod config;
pub mod lego;
mod log;
pub mod nginx;
pub mod njet;
mod probe;
mod process;
mod public;
pub mod schedule;

pub use apache::Apache;
pub use certbot::Certbot;
pub use certmagic::CertMagic;
pub use config::{Config, Fault, Section, Setting, Value};
pub use lego::Lego;
pub use log::{Event, EventKind, Log};
pub use nginx::Nginx;
pub use njet::Njet;
pub use probe::{ACME_TLS, AlpnEnd, Answer, Ask, HttpAnswer, Probe};
pub use process::{BoundFile, Listener, Process, Processes, reachable};
pub use public::PublicName;
pub use schedule::Schedule;

use std::net::IpAddr;

use crate::{
    base::TreePath,
    x509::{Certificate, GeneralName},
};

/// Everything that `renewal` gathered.
#[derive(Clone, Debug, Default)]
pub struct Renewal {
    /// The certificates that a manager of this host keeps, in the order of [`crate::renewal::ALL`], then by name.
    pub lineages: Vec<Lineage>,
    /// Where managers say that they put the files of http-01 challenges.
    pub challenges: Vec<HttpChallenge>,
    /// The servers of nginx's family.
    pub nginx: Nginx,
    /// Apache, where it is installed.
    pub apache: Apache,
    /// What runs and listens here; nothing for an unpacked root.
    pub processes: Processes,
    /// What was asked over the network, and what answered.
    pub probes: Vec<Probe>,
    /// Where the names lead; nothing unless that was asked for.
    pub public: Vec<PublicName>,
    /// What CertMagic keeps.
    pub certmagic: CertMagic,
    /// What lego keeps, and what runs it.
    pub lego: Lego,
    /// What NJet's certificate manager is told.
    pub njet: Njet,
    /// What certbot keeps.
    pub certbot: Certbot,
    /// What runs the managers.
    pub schedule: Schedule,
    /// What certbot logged.
    pub log: Log,
}

/// One certificate that is renewed again and again under one name (certbot's word; a site in CertMagic, a domain in lego).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lineage {
    /// The manager's identifier in [`crate::renewal::ALL`].
    pub manager: &'static str,
    /// Its name there.
    pub name: String,
    /// Where its newest certificate lies, as a server would be told: `/etc/letsencrypt/live/N/fullchain.pem`.
    pub path: TreePath,
    /// What lies there, the leaf first; empty when nothing can be read.
    pub chain: Vec<Certificate>,
}

/// A name that is validated by a file which a web server of this host must serve (http-01, RFC 8555, section 8.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpChallenge {
    /// The lineage: manager and name.
    pub lineage: (&'static str, String),
    /// The name that is validated.
    pub name: String,
    /// The port to which the certificate authority's requests come here: 80, but for a manager that was told another (`http01_port`).
    pub port: u16,
    /// The directory below which `/.well-known/acme-challenge/TOKEN` is put.
    pub webroot: TreePath,
    /// The file that says so, and its line.
    pub said: (TreePath, Option<u32>),
}

/// What came of fetching a file from a challenge's webroot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Whose.
    pub challenge: HttpChallenge,
    /// Why the file did not come.
    pub outcome: Result<(), String>,
}

impl Lineage {
    /// The names that its leaf carries: DNS names as written, and addresses.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let name = |name: &GeneralName| match name {
            GeneralName::Dns(name) => Some(name.clone()),
            GeneralName::Ip(bytes) => match bytes.len() {
                4 => <[u8; 4]>::try_from(bytes.as_slice()).ok().map(|ip| IpAddr::from(ip).to_string()),
                _ => <[u8; 16]>::try_from(bytes.as_slice()).ok().map(|ip| IpAddr::from(ip).to_string()),
            },
            _ => None,
        };
        self.leaf().and_then(Certificate::subject_alt_name).unwrap_or_default().iter().filter_map(name).collect()
    }

    /// The leaf on disk.
    #[must_use]
    pub fn leaf(&self) -> Option<&Certificate> {
        self.chain.first()
    }
}

impl Renewal {
    /// The lineage of this manager and name.
    #[must_use]
    pub fn lineage(&self, manager: &str, name: &str) -> Option<&Lineage> {
        self.lineages.iter().find(|l| l.manager == manager && l.name == name)
    }

    /// The lineage whose certificate lies at this path.
    #[must_use]
    pub fn lineage_at(&self, path: &TreePath) -> Option<&Lineage> {
        self.lineages.iter().find(|l| l.path == *path)
    }

    /// The lineages whose manager may answer the CA by TLS-ALPN on port 443: CertMagic's, but for those of Caddy's own CA, and NJet's where it
    /// is told so.
    pub fn by_tls_alpn(&self) -> impl Iterator<Item = &Lineage> {
        self.lineages.iter().filter(|lineage| match lineage.manager {
            "certmagic" => {
                let mut sites = self.certmagic.storages.iter().flat_map(|s| &s.sites);
                sites.any(|site| site.certificate.path == lineage.path && site.ca != "local")
            }
            "njet" => self.njet.installed.iter().any(|njet| {
                let told = njet.cert_manager().and_then(|c| c.setting("acme", "challengeType"));
                lineage.path.starts_with(&njet.prefix) && told.is_some_and(|s| s.text == "tls")
            }),
            _ => false,
        })
    }

    /// Whether an address is one to which a name leads, and another host's.
    #[must_use]
    pub fn is_elsewhere(&self, address: std::net::IpAddr) -> bool {
        self.public.iter().flat_map(|p| p.addresses.iter().flatten()).any(|(known, is_here)| *known == address && !is_here)
    }

    /// The answer to a question; `None` when it was not asked.
    #[must_use]
    pub fn answer(&self, ask: &Ask) -> Option<&Answer> {
        self.probes.iter().find(|p| p.ask == *ask).map(|p| &p.answer)
    }
}
