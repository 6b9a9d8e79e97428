//! What the public addresses of the names answered (`--public`).

use std::net::{IpAddr, Ipv4Addr};

use crate::{
    facts::{
        ConnectFailure, Presented, Renewal,
        renewal::{Answer, Ask, Lineage},
    },
    x509::Certificate,
};

/// One address of one name.
pub(in crate::check::renewal) struct Seen<'a> {
    pub name: &'a str,
    pub address: IpAddr,
    /// Whether it is one of this host's own.
    pub is_here: bool,
    pub presented: Option<&'a Presented>,
    pub failure: Option<&'a ConnectFailure>,
}

/// Every address that was asked.
pub(in crate::check::renewal) fn seen(renewal: &Renewal) -> impl Iterator<Item = Seen<'_>> {
    renewal.public.iter().flat_map(move |public| {
        public.addresses.iter().flatten().filter_map(move |(address, is_here)| {
            let outcome = outcome(renewal, *address, &public.name)?;
            let (presented, failure) = (outcome.as_ref().ok(), outcome.as_ref().err());
            Some(Seen { name: &public.name, address: *address, is_here: *is_here, presented, failure })
        })
    })
}

/// What loopback presents for this name.
pub(in crate::check::renewal) fn on_loopback<'a>(renewal: &'a Renewal, name: &str) -> Option<&'a Certificate> {
    outcome(renewal, Ipv4Addr::LOCALHOST.into(), name)?.as_ref().ok()?.certificates.first()
}

fn outcome<'a>(renewal: &'a Renewal, address: IpAddr, name: &str) -> Option<&'a Result<Presented, ConnectFailure>> {
    let ask = Ask::Handshake { address, port: 443, sni: Some(name.to_owned()), alpn: Vec::new() };
    match renewal.answer(&ask)? {
        Answer::Handshake(outcome) => Some(outcome),
        Answer::Fetch(_) => None,
    }
}

impl Seen<'_> {
    /// Whether what is presented there lies on this host.
    pub(in crate::check::renewal) fn is_kept(&self, renewal: &Renewal) -> bool {
        let leaf = self.presented.and_then(|p| p.certificates.first());
        leaf.is_some_and(|leaf| renewal.lineages.iter().any(|l| l.leaf() == Some(leaf)))
    }

    /// The lineages that carry the name.
    pub(in crate::check::renewal) fn lineages(&self, renewal: &Renewal) -> Vec<(&'static str, String)> {
        let carries = |l: &&Lineage| l.names().iter().any(|n| n.eq_ignore_ascii_case(self.name));
        renewal.lineages.iter().filter(carries).map(|l| (l.manager, l.name.clone())).collect()
    }
}

#[cfg(test)]
pub(in crate::check::renewal) mod testing {
    use super::*;
    use crate::{
        check::testing::*,
        facts::renewal::{Listener, Probe, PublicName},
    };

    /// A host that keeps and presents a certificate for `a.test`, whose public address answers so.
    pub(in crate::check::renewal) fn seen_at(
        address: [u8; 4],
        outcome: Result<Presented, ConnectFailure>,
        is_here: bool,
    ) -> World {
        let address = IpAddr::from(address);
        World::at("2026-11-22").storage(|storage| storage.sites.push(site("a.test"))).renewal(|renewal| {
            let own = renewal.lineages[0].chain.clone();
            let probe = |address, outcome| Probe {
                ask: Ask::Handshake { address, port: 443, sni: Some("a.test".into()), alpn: Vec::new() },
                answer: Answer::Handshake(Box::new(outcome)),
            };
            renewal.probes.push(probe(address, outcome));
            renewal.probes.push(probe(IpAddr::from([127, 0, 0, 1]), Ok(Presented { certificates: own, ..Presented::default() })));
            renewal.public.push(PublicName { name: "a.test".into(), addresses: Ok(vec![(address, is_here)]) });
            renewal.processes.listeners.push(Listener { address: IpAddr::from([0, 0, 0, 0]), port: 443, pids: Vec::new() });
        })
    }

    /// A certificate as ACM issues it.
    pub(in crate::check::renewal) fn amazon(host: &str) -> String {
        use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        for (kind, value) in
            [(DnType::CountryName, "US"), (DnType::OrganizationName, "Amazon"), (DnType::CommonName, "Amazon RSA 2048 M03")]
        {
            ca.distinguished_name.push(kind, value);
        }
        let ca = Issuer::new(ca, KeyPair::generate().expect("a key"));
        let mut leaf = CertificateParams::new(vec![host.to_owned()]).expect("a name");
        (leaf.not_before, leaf.not_after) = (date_time_ymd(2026, 10, 1), date_time_ymd(2027, 4, 1));
        leaf.signed_by(&KeyPair::generate().expect("a key"), &ca).expect("a certificate").pem()
    }
}
