//! What is served against what lies on disk.

use std::net::IpAddr;

use crate::{
    facts::{
        Renewal,
        renewal::{
            Answer, Ask, Lineage,
            nginx::{Directive, Instance, Pair},
        },
    },
    nginx::Model,
    x509::Certificate,
};

use super::{all_pairs, covers, in_force, names, pairs};

/// One handshake of this host's own servers, for a name.
pub(in crate::check::renewal) struct Served<'a> {
    pub(in crate::check::renewal) address: IpAddr,
    pub(in crate::check::renewal) port: u16,
    pub(in crate::check::renewal) name: &'a str,
    pub(in crate::check::renewal) leaf: &'a Certificate,
    /// The nginx that answers there, the pair and the directive that it should answer with.
    pub(in crate::check::renewal) nginx: Option<(&'a Instance, &'a Pair, &'a Directive)>,
}

/// Every handshake with a name that showed a certificate.
pub(in crate::check::renewal) fn served(renewal: &Renewal) -> Vec<Served<'_>> {
    let mut all = Vec::new();
    let models: Vec<(&Instance, Model<'_>)> = in_force(renewal).map(|instance| (instance, Model::new(instance))).collect();
    for probe in &renewal.probes {
        let Ask::Handshake { address, port, sni: Some(name), alpn } = &probe.ask else { continue };
        // What answers at a public address that is another host's is not served by this one.
        if renewal.is_elsewhere(*address) {
            continue;
        }
        let (Answer::Handshake(outcome), true) = (&probe.answer, alpn.is_empty()) else { continue };
        let (address, port) = (*address, *port);
        let Some(leaf) = outcome.as_ref().as_ref().ok().and_then(|p| p.certificates.first()) else { continue };
        let holder =
            renewal.processes.listeners.iter().find(|l| l.port == port && (l.address == address || l.address.is_unspecified()));
        let holder = holder.and_then(|l| renewal.processes.holder(l)).map(|p| p.pid);
        let is_holder = |i: &Instance| i.master.as_ref().is_some_and(|m| Some(m.pid) == holder || holder.is_none());
        let here = models.iter().find(|(i, _)| is_holder(i));
        // With an RSA and an ECDSA pair, it is the one of the served kind.
        let nginx = here.and_then(|(instance, model)| {
            let server = model.select(address, port, name)?.server;
            let pairs = pairs(instance, server);
            let kind = |c: &Certificate| std::mem::discriminant(&c.public_key().algorithm);
            let of_kind = pairs.iter().find(|(p, ..)| p.certificate.leaf().is_some_and(|c| kind(c) == kind(leaf)));
            let (pair, directive, _) = of_kind.or_else(|| pairs.first())?;
            Some((*instance, *pair, *directive))
        });
        all.push(Served { address, port, name, leaf, nginx });
    }
    all
}

/// A pair that was written after nginx loaded it: no worker is younger than the file. A server without worker processes says nothing.
pub(in crate::check::renewal) fn written_after_load(renewal: &Renewal) -> Vec<(&Instance, &Pair, &Directive)> {
    let late = |instance: &Instance, pair: &Pair| {
        let worker = instance.master.as_ref().and_then(|m| m.youngest_worker);
        let written = pair.certificate.leaves().map(|l| l.modified);
        // Starts are known to a second.
        matches!((worker, written), (Some(worker), Some(written)) if worker.0 + 1 < written.0)
    };
    all_pairs(renewal).into_iter().filter(|(i, _, p, ..)| late(i, p)).map(|(i, _, p, d, _)| (i, p, d)).collect()
}

/// The lineage of which an earlier certificate is served: the newest one for the same names. That another one covers the name too, as a
/// wildcard does, says nothing.
pub(in crate::check::renewal) fn lineage_after<'a>(
    renewal: &'a Renewal,
    name: &str,
    served: &Certificate,
) -> Option<&'a Lineage> {
    let follows = |l: &&Lineage| l.leaf().is_some_and(|leaf| succeeds(leaf, served)) && covers(&l.names(), name);
    let fits = renewal.lineages.iter().filter(follows);
    fits.max_by_key(|l| l.leaf().and_then(|c| c.validity().not_after))
}

/// Whether `newer` is a later certificate for the same names.
pub(in crate::check::renewal) fn succeeds(newer: &Certificate, older: &Certificate) -> bool {
    let set = |c: &Certificate| {
        let mut names = names(c);
        names.sort();
        names
    };
    newer != older && newer.validity().not_after > older.validity().not_after && set(newer) == set(older)
}
