//! The proof that challenges are served, whatever serves them: a random file in the webroot, fetched over loopback with the name's `Host`
//! header, compared, and removed.

use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};

use super::Host;
use crate::{
    base::TreePath,
    facts::{
        Renewal,
        renewal::{HttpAnswer, HttpChallenge, Listener, Proof},
    },
    host::{TreeMut, clock},
};

/// Looks after a reload: old workers may take a connection or two until they are told to end.
pub(super) const LOOKS: usize = 25;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(200);

/// Proves each of these challenges, once for each socket that it may come to.
pub(super) fn prove(
    host: &Host<'_>,
    tree: &dyn TreeMut,
    renewal: &Renewal,
    wanted: &[&HttpChallenge],
    looks: usize,
) -> Vec<Proof> {
    let mut proofs = Vec::new();
    for challenge in wanted {
        let mut listeners: Vec<_> = renewal.processes.on_port(challenge.port).map(Listener::reachable).collect();
        listeners.sort();
        listeners.dedup();
        let outcome = match listeners.is_empty() {
            true => Err(format!("nothing listens on port {}", challenge.port)),
            false => with_file(tree, &challenge.webroot, |path, body| {
                listeners.iter().try_for_each(|address| {
                    let mut last = String::new();
                    for look in 0..looks.max(1) {
                        if look > 0 {
                            clock::pause(PAUSE);
                        }
                        match host.dial.fetch((*address, challenge.port), &challenge.name, path, host.timeout) {
                            Ok(answer) if answer.status == 200 && answer.body == body => return Ok(()),
                            Ok(answer) => last = shown(&answer),
                            Err(e) => last = format!("no answer: {e}"),
                        }
                    }
                    Err(format!("http://{}{path} on {address}, port {}, gives {last}", challenge.name, challenge.port))
                })
            }),
        };
        proofs.push(Proof { challenge: (*challenge).clone(), outcome });
    }
    proofs
}

/// Lends the path and the content of a file that lies in the webroot meanwhile.
fn with_file(tree: &dyn TreeMut, webroot: &TreePath, then: impl FnOnce(&str, &[u8]) -> Result<(), String>) -> Result<(), String> {
    let mut random = [0; 32];
    SystemRandom::new().fill(&mut random).map_err(|_| "the system gives no random numbers".to_owned())?;
    let hex: String = random.iter().map(|b| format!("{b:02x}")).collect();
    let (name, body) = hex.split_at(32);
    let real = tree.resolve(webroot).map_err(|e| format!("{webroot}: {e}"))?;
    // Certbot makes what is missing of it too, with these permissions (plugins/webroot.py, `_create_challenge_dirs`).
    let directory = tree.resolve(&real.path.join(".well-known/acme-challenge")).map_err(|e| format!("{webroot}: {e}"))?;
    tree.make_directory(&directory.path, 0o755).map_err(|e| format!("can't make {}: {e}", directory.path))?;
    let file = directory.path.join(format!("certdoctor-{name}"));
    tree.write(&file, body.as_bytes(), Some(0o644)).map_err(|e| format!("can't write {file}: {e}"))?;
    let outcome = then(&format!("/.well-known/acme-challenge/certdoctor-{name}"), body.as_bytes());
    tree.remove(&file).map_err(|e| format!("can't remove {file}: {e}"))?;
    outcome
}

fn shown(answer: &HttpAnswer) -> String {
    match (answer.status, answer.header("location")) {
        (200, _) => "200 with another body".to_owned(),
        (status, Some(to)) => format!("status {status} to {}", to.escape_debug()),
        (status, None) => format!("status {status}"),
    }
}
