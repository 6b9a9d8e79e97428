//! An NJet for the checks' tests, read as it is read from a tree.

use super::*;
use crate::{
    facts::renewal::njet::USUAL,
    host::{LiveDial, NodeKind, memory::MemoryTree},
    renewal::Host,
};

/// A server whose certificate NJet's manager keeps.
pub(in crate::check) const HTTPS: &str = "server { listen 50010 ssl; server_name a.test; ssl_certificate server.crt; ssl_certificate_key server.key; ssl_certificate_management acme; }";

/// The manager's file for validation by TLS-ALPN.
pub(in crate::check) const TLS_TOML: &str = "[copilot]\nprogName=\"sbin/cert-manager\"\ncopilotType=\"cert\"\n[acme]\nchallengeType=\"tls\"\n\
    tlsChallengeServerAddress=\":10443\"\n[mqtt]\nmqttServerAddress=\"127.0.0.1:1883\"\n";

/// The same for validation on port 80.
pub(in crate::check) const HTTP_TOML: &str = "[copilot]\nprogName=\"sbin/cert-manager\"\ncopilotType=\"cert\"\n[acme]\nchallengeType=\"http\"\n\
    proxyHttpChallengeServerIp=\"127.0.0.1\"\n[mqtt]\nmqttServerAddress=\"127.0.0.1:1883\"\n";

const CONF: &str = "/usr/local/njet/conf/njet.conf";
const TOML: &str = "/usr/local/njet/conf/cert.toml";

/// An NJet with this in its `http` and `stream` blocks, this file of its manager, and a certificate for `a.test`.
pub(in crate::check) fn njet(http: &str, stream: &str, toml: &str) -> World {
    let conf = format!(
        "helper broker modules/njt_helper_broker_module.so conf/mqtt.conf;\n\
         helper cert modules/njt_helper_go_copilot_module.so conf/cert.toml;\n\
         events {{}}\nhttp {{\n{http}\n}}\nstream {{\n{stream}\n}}\n"
    );
    njet_of(conf.as_bytes(), toml.as_bytes())
}

fn njet_of(conf: &[u8], toml: &[u8]) -> World {
    let tree = MemoryTree::new();
    for path in USUAL {
        tree.put(format!("/usr/local/njet/{path}").as_str(), NodeKind::File(0), 0o755, Vec::new());
    }
    tree.file(CONF, conf);
    tree.file(TOML, toml);
    let mut world = World::at("2026-11-22");
    let dial = LiveDial::default();
    let (at, now) = (world.at, world.at);
    let host = Host { tree: &tree, dial: &dial, live: false, public: false, at, now, timeout: 1, jobs: 1 };
    world.facts.renewal = Some(crate::renewal::gather(&host));
    world.renewal(|r| {
        let chain = issue(&["a.test"], "2026-11-01", "2027-01-30");
        let path = TreePath::from("/usr/local/njet/.lego/certificates/a.test.crt");
        r.lineages.push(Lineage { manager: "njet", name: "a.test".into(), path, chain });
    })
}

/// The same after the first patch of a finding; `toml` is what the manager's file was.
pub(in crate::check) fn njet_patched(world: &World, toml: &str, finding: &Finding) -> World {
    let changes = finding.remedies.iter().find_map(|r| if let Intent::Patch(changes) = &r.intent { Some(changes) } else { None });
    let renewal = world.facts.renewal.as_ref().expect("facts");
    let mut files = [(CONF, renewal.nginx.instances[0].files[0].bytes.clone()), (TOML, toml.as_bytes().to_vec())];
    let mut changes: Vec<&Change> = changes.expect("a patch").iter().collect();
    let start = |c: &&Change| if let Change::Splice { at, .. } = c { (at.start, at.end) } else { panic!("{c:?}") };
    changes.sort_by_key(|c| std::cmp::Reverse(start(c)));
    for change in changes {
        let Change::Splice { path, at, with, .. } = change else { panic!("{change:?}") };
        let file = files.iter_mut().find(|(name, _)| *path == TreePath::from(*name)).expect("a file of it");
        file.1.splice(at.clone(), with.clone());
    }
    njet_of(&files[0].1, &files[1].1)
}
