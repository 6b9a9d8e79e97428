//! CD751.

use super::{
    super::Case,
    support::{self, Served},
};
use crate::{
    facts::{
        Renewal,
        renewal::{
            Lineage,
            nginx::{Instance, Pair},
        },
    },
    finding::{Evidence, Finding, Severity},
    x509::Certificate,
};

rule! {
    /// **What it means.** The certificate was renewed on disk, and the server goes on serving the one that it loaded before: nobody told it to
    /// load its files again. This is what is left after `certbot certonly` or a changed authenticator, which bring no deploy hook.
    ///
    /// **How it is found.** One handshake with each name on loopback: the served leaf is not the newest of the file that the server is told to
    /// read. Without a handshake it is certain where the file is younger than every worker of nginx; the other way round proves nothing, since a worker
    /// that was started again after a crash keeps the old certificate.
    ///
    /// **What to do.** `nginx -t && nginx -s reload`, and a deploy hook, so that the next renewal does it.
    ///
    /// **Sources.** nginx.org/en/docs/control.html; certbot's documentation of `--deploy-hook`; measured with certbot 2.1 and nginx 1.22.1.
    "CD751" "not-reloaded" Warning "the served certificate is older than the file"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let Some(renewal) = support::renewal(case) else { return };
    let mut told: Vec<(&'static str, String)> = Vec::new();
    let all = support::served(renewal);
    for served in &all {
        let lineage = support::lineage_after(renewal, served.name, served.leaf);
        let Some(lineage) = lineage.filter(|l| !told.contains(&support::key(l))) else { continue };
        let Some(disk) = lineage.leaf() else { continue };
        // A file of another place is CD755's.
        let reads_it =
            served.nginx.is_none_or(|(_, pair, _)| support::lineage_of(renewal, pair).is_some_and(|l| l.path == lineage.path));
        if reads_it {
            told.push(support::key(lineage));
            out.push(seen(case, renewal, served, lineage, disk));
        }
    }
    for (instance, pair, directive) in support::written_after_load(renewal) {
        let Some(lineage) = support::lineage_of(renewal, pair).filter(|l| !told.contains(&support::key(l))) else { continue };
        // A handshake that showed the newest certificate says more than times do.
        let shown = |s: &Served<'_>| Some(s.leaf) == pair.certificate.leaf();
        if all.iter().any(shown) {
            continue;
        }
        told.push(support::key(lineage));
        let message = format!("{} was written after nginx loaded it: it serves the certificate before", pair.certificate.path);
        let mut finding = finding(lineage, message, Some((instance, pair)));
        finding.evidence.insert(0, support::place(instance, directive));
        out.push(finding);
    }
}

fn seen(case: &Case<'_>, renewal: &Renewal, served: &Served<'_>, lineage: &Lineage, disk: &Certificate) -> Finding {
    let expired = served.leaf.is_expired(case.at);
    let what = if expired { "expired certificate" } else { "certificate before" };
    let message =
        format!("port {} still serves the {what} for {}; the newest lies in {}", served.port, served.name, lineage.path);
    let mut finding = finding(lineage, message, served.nginx.map(|(i, p, _)| (i, p)));
    if expired {
        finding.severity = Severity::Error;
    }
    if let Some((instance, _, directive)) = served.nginx {
        finding.evidence.insert(0, support::place(instance, directive));
    } else if let Some(process) = renewal.processes.on_port(served.port).find_map(|l| renewal.processes.holder(l)) {
        finding.facts.push(("the process is", format!("{} (pid {})", process.program(), process.pid)));
        finding.remedies.insert(
            0,
            support::by_hand(
                format!("have {} load its certificate again", process.program()),
                process.unit.as_ref().map(|u| format!("systemctl reload-or-restart {}", support::shell(u))),
            ),
        );
    }
    finding.facts.insert(0, ("served", support::told(served.leaf)));
    finding.facts.insert(1, ("on disk", support::told(disk)));
    let verify = format!(
        "echo | openssl s_client -connect {} -servername {} 2>/dev/null | openssl x509 -noout -serial -enddate",
        std::net::SocketAddr::new(served.address, served.port),
        support::shell(served.name)
    );
    finding.remedies.push(support::by_hand("look at what is served then", Some(verify)));
    finding
}

fn finding(lineage: &Lineage, message: String, nginx: Option<(&Instance, &Pair)>) -> Finding {
    let mut finding = Finding::new(&CHECK, &lineage.name, message);
    finding.lineages = vec![support::key(lineage)];
    finding.evidence.push(Evidence::file(&lineage.path, None, "the newest certificate"));
    if let Some((instance, pair)) = nginx {
        if let (Some(worker), Some(leaves)) =
            (instance.master.as_ref().and_then(|m| m.youngest_worker), pair.certificate.leaves())
        {
            finding.facts.push(("youngest worker", format!("started {worker}, the file was written {}", leaves.modified)));
        }
        finding.remedies.push(support::reload(instance));
    }
    finding
}

#[cfg(test)]
mod tests {
    use super::{super::super::testing::*, *};
    use crate::{
        base::{At, Fingerprint},
        facts::{
            Presented,
            renewal::{
                Answer, Ask, Probe,
                nginx::{Leaves, Master, PemFile, PemState},
            },
        },
    };

    const CONF: &str = "server {\n listen 443 ssl; server_name a.test; ssl_certificate /etc/letsencrypt/live/a.test/fullchain.pem; ssl_certificate_key /k;\n}";

    /// An nginx whose worker started at 1000, with the file as `disk` at this second, serving `served`.
    fn world(disk: &[Certificate], modified: i64, served: Option<&Certificate>) -> World {
        let mut instance = nginx(CONF);
        instance.master =
            Some(Master { pid: 7, exe: Some("/usr/sbin/nginx".into()), arguments: Vec::new(), youngest_worker: Some(At(1000)) });
        let start = instance.servers()[0].inherited("ssl_certificate")[0].span.start;
        let path = crate::base::TreePath::from("/etc/letsencrypt/live/a.test/fullchain.pem");
        let leaves = Leaves { chain: disk.to_vec(), refused: None, read: Fingerprint::of(b""), modified: At(modified) };
        let certificate = PemFile { path: path.clone(), real: path, state: PemState::Read(leaves) };
        instance.pairs.push(Pair { file: 0, start, certificate, key: None });
        World::at("2026-11-22").lineage("a.test", disk.to_vec()).renewal(|r| {
            r.nginx.instances.push(instance);
            if let Some(leaf) = served {
                let ask =
                    Ask::Handshake { address: [127, 0, 0, 1].into(), port: 443, sni: Some("a.test".into()), alpn: Vec::new() };
                let presented = Presented { certificates: vec![leaf.clone()], ..Presented::default() };
                r.probes.push(Probe { ask, answer: Answer::Handshake(Box::new(Ok(presented))) });
            }
        })
    }

    #[test]
    fn catches_an_older_certificate_that_is_served() {
        let old = issue(&["a.test"], "2026-08-01", "2026-11-01");
        let new = issue(&["a.test"], "2026-11-01", "2027-01-30");
        let finding = world(&new, 900, Some(&old[0])).one(&CHECK);
        assert_eq!(finding.severity, Severity::Error);
        assert_eq!(finding.remedies[0].command.as_deref(), Some("/usr/sbin/nginx -t && /usr/sbin/nginx -s reload"));
        assert_eq!(finding.evidence[0].line, Some(3));
        // Times alone, where no handshake could be made.
        let finding = world(&new, 2000, None).one(&CHECK);
        assert!(finding.message.contains("was written after nginx loaded it"), "{}", finding.message);
    }

    #[test]
    fn a_newer_wildcard_hides_nothing() {
        let old = issue(&["a.x.test"], "2026-08-01", "2026-11-01");
        let new = issue(&["a.x.test"], "2026-11-01", "2027-01-30");
        let wildcard = issue(&["*.x.test"], "2026-11-20", "2027-02-18");
        let ask = Ask::Handshake { address: [127, 0, 0, 1].into(), port: 443, sni: Some("a.x.test".into()), alpn: Vec::new() };
        let presented = Presented { certificates: vec![old[0].clone()], ..Presented::default() };
        let world = World::at("2026-11-22").lineage("x.test", wildcard).lineage("a.x.test", new);
        let answer = Answer::Handshake(Box::new(Ok(presented)));
        let finding = world.renewal(|r| r.probes.push(Probe { ask, answer })).one(&CHECK);
        assert_eq!((finding.severity, finding.lineages), (Severity::Error, vec![("certbot", "a.x.test".to_owned())]));
    }

    #[test]
    fn is_silent_when_the_newest_is_served() {
        let new = issue(&["a.test"], "2026-11-01", "2027-01-30");
        world(&new, 900, Some(&new[0])).silent(&CHECK);
        world(&new, 2000, Some(&new[0])).silent(&CHECK);
        world(&new, 900, None).silent(&CHECK);
    }
}
