//! The server side of a TLS outage: one file is one certificate manager, or one server that presents what a manager keeps.
//!
//! A manager's file reads what lies on disk into [`crate::facts::renewal`], and says what is to be asked of this host's servers. What
//! it all means is for the checks CD7nn.
//!
//! Absent on purpose: issuing anything, and any write.

mod apache;
mod certbot;
mod certmagic;
mod doc;
mod lego;
mod nginx;
mod njet;
mod processes;
mod proof;
mod public;
mod schedule;
mod tls_alpn;

use std::collections::BTreeSet;

pub use doc::markdown;

use crate::{
    base::{At, TreePath},
    facts::{
        Renewal, Target, TargetSource,
        renewal::{Answer, Ask, HttpChallenge, Probe, Proof},
    },
    host::{Dial, Exec, Hello, Tree, TreeMut, in_order},
};

/// Every manager, sorted by identifier.
pub const ALL: &[&Manager] = &[&certbot::MANAGER, &certmagic::MANAGER, &lego::MANAGER, &nginx::MANAGER, &njet::MANAGER];

/// One manager or server.
pub struct Manager {
    /// Its identifier: `certbot`.
    pub id: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// What is read, in one paragraph for `docs/managers.md`.
    pub about: &'static str,
    /// Reads what it keeps. Never fails: what can't be read is a fact.
    pub gather: fn(&Host<'_>, &mut Renewal),
    /// What is to be asked of servers, once everything on disk has been read.
    pub asks: fn(&Renewal) -> Vec<Ask>,
    /// After files were changed: whether what it reads is still in order (`nginx -t`), in its own words if not.
    pub accepts: fn(&Host<'_>, &dyn Exec, &[TreePath]) -> Result<(), String>,
    /// After files were changed or put back: has what runs load them, and says whether anything had to.
    pub reload: fn(&dyn Exec, &Renewal, &[TreePath]) -> Result<bool, String>,
}

/// What a manager's reader is lent.
#[derive(Clone, Copy)]
pub struct Host<'a> {
    /// The tree that is looked at: `/`, or `--root`.
    pub tree: &'a dyn Tree,
    /// Talking to servers.
    pub dial: &'a dyn Dial,
    /// Whether this host is looked at, not a root: only then processes and servers are its.
    pub live: bool,
    /// Whether the public addresses of the names are asked too.
    pub public: bool,
    /// The instant of judgement.
    pub at: At,
    /// What the machine's clock says, for the times of files.
    pub now: At,
    /// Seconds for each question.
    pub timeout: u64,
    /// How many questions at once.
    pub jobs: usize,
}

/// Reads everything, then asks.
#[must_use]
pub fn gather(host: &Host<'_>) -> Renewal {
    let mut renewal = Renewal::default();
    if host.live {
        renewal.processes = processes::read(host.tree);
    }
    renewal.schedule = schedule::read(host, &renewal.processes);
    renewal.apache = apache::read(host.tree);
    for manager in ALL {
        (manager.gather)(host, &mut renewal);
    }
    if host.live {
        if host.public {
            renewal.public = public::names(host, &renewal);
        }
        let mut asks: BTreeSet<Ask> = ALL.iter().flat_map(|manager| (manager.asks)(&renewal)).collect();
        asks.extend(tls_alpn::asks(&renewal));
        asks.extend(public::asks(&renewal));
        let asks: Vec<Ask> = asks.into_iter().collect();
        renewal.probes = in_order(&asks, host.jobs, |ask| Probe { ask: ask.clone(), answer: answer(host, ask) });
    }
    renewal
}

/// Proves that the challenges' files are served by what runs now: each is written, fetched, compared and removed.
#[must_use]
pub fn self_test(host: &Host<'_>, tree: &dyn TreeMut, renewal: &Renewal) -> Vec<Proof> {
    let wanted: Vec<&HttpChallenge> = renewal.challenges.iter().collect();
    proof::prove(host, tree, renewal, &wanted, 1)
}

/// After files were changed and accepted: has the servers that run load them, and proves what they were changed for.
///
/// # Errors
/// What is not as it was meant.
pub fn prove(
    host: &Host<'_>,
    tree: &dyn TreeMut,
    exec: &dyn Exec,
    renewal: &Renewal,
    changed: &[TreePath],
) -> Result<(), String> {
    let reloaded = reload(exec, renewal, changed)?;
    // A manager that was told another webroot needs the proof too.
    let wanted: Vec<&HttpChallenge> = renewal.challenges.iter().filter(|c| reloaded || changed.contains(&c.said.0)).collect();
    proof::prove(host, tree, renewal, &wanted, proof::LOOKS).into_iter().try_for_each(|proof| proof.outcome)
}

/// Has the servers load the files that were changed, or put back; says whether one had to.
///
/// # Errors
/// What a server says.
pub fn reload(exec: &dyn Exec, renewal: &Renewal, changed: &[TreePath]) -> Result<bool, String> {
    ALL.iter().try_fold(false, |any, manager| Ok((manager.reload)(exec, renewal, changed)? || any))
}

fn answer(host: &Host<'_>, ask: &Ask) -> Answer {
    match ask {
        Ask::Handshake { address, port, sni, alpn } => {
            let target = Target {
                text: format!("{address}:{port}"),
                source: TargetSource::Server { host: address.to_string(), port: *port, starttls: None },
                host: sni.clone(),
            };
            // What is asked with a protocol is not asked when another hello follows.
            let once = !alpn.is_empty();
            let hello =
                Hello { servername: Some(sni.clone()), alpn: alpn.clone(), once, timeout: host.timeout, ..Hello::default() };
            Answer::Handshake(Box::new(host.dial.observe(&target, &hello)))
        }
        Ask::Fetch { address, port, host: name, path } => {
            Answer::Fetch(host.dial.fetch((*address, *port), name, path, host.timeout))
        }
    }
}
