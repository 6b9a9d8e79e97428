//! `demo`: the outage again, without a network, in a private root with a real list of 2019.

mod pki;

use std::io;

use crate::{
    base::TreePath,
    cli::Scenario,
    command::{Machine, Outcome, run_line},
    edit::Edit,
    format::{Interner, pem},
    host::{DirTree, Loopback, Scratch, TreeMut as _},
    plan::dockerfile::certdata_file_name,
    store,
};

/// Mozilla's list as certifi 2019.11.28 carried it: 137 roots, AddTrust External CA Root and DST Root CA X3 among them.
const LIST_OF_2019: &[u8] = include_bytes!("../../fixtures/bundles/certifi/cacert-2019.11.28.pem");

/// The name that the demo's server answers for; RFC 2606 keeps it out of the DNS.
const HOST: &str = "shop.example";

/// Replays `scenario`.
///
/// # Errors
/// The operating system's, when no private directory or port can be had.
pub(super) fn run(machine: &Machine<'_>, scenario: Scenario, color: bool) -> io::Result<Outcome> {
    let scratch = Scratch::new()?;
    let pki = pki::make(scenario, machine.now).map_err(io::Error::other)?;
    let root = scratch.path().to_string_lossy().into_owned();
    furnish(&DirTree::new(scratch.path())?, &pki.roots)?;
    let server = Loopback::serve(&pki.chain, &pki.key)?;
    let connect = format!("127.0.0.1:{}", server.port());

    let mut told = Teller { out: String::new(), root: &root };
    let story = pki::story(scenario);
    told.say(story.night);
    told.say(&format!(
        "A root file system lies in {root}: Mozilla's list of November 2019, as ca-certificates keeps it. A server on {connect} \
         sends the chain of that night: {}.",
        pki.sends
    ));
    let at_server = ["--root", &root, "--connect", &connect, HOST];
    let mut worst = 0;
    let mut expect = |told: &mut Teller<'_>, words: &str, line: Vec<&str>, wanted: &[u8]| {
        told.say(words);
        let outcome = run_line(machine, &line, color);
        told.show(&line, &outcome);
        if !wanted.contains(&outcome.status) {
            told.say(&format!("(exit status {}, where {wanted:?} was expected)", outcome.status));
            worst = 1;
        }
    };
    let with = |first: &[&'static str]| first.iter().copied().chain(at_server.iter().copied()).collect::<Vec<&str>>();
    expect(&mut told, "1. Why does this connection fail here?", with(&["certdoctor", "diagnose"]), &[1]);
    expect(&mut told, "2. What would the patch be? Nothing is written yet.", with(&["certdoctor", "fix", "--diff"]), &[0, 1]);
    expect(
        &mut told,
        "3. Apply it: backed up, refreshed, gathered and judged again.",
        with(&["certdoctor", "fix", "--apply"]),
        &[0],
    );
    expect(
        &mut told,
        "4. The same for the image that the service is built from.",
        vec!["certdoctor", "dockerfile", "--base", "debian:buster", "--anchor", story.real_root],
        &[0],
    );
    expect(&mut told, "5. Proof: fresh handshakes that read the store from disk.", with(&["certdoctor", "verify"]), &[0]);
    drop(server);
    drop(scratch);
    told.say("The private root and the server are gone again; nothing of this host was touched.");
    Ok(Outcome { out: told.out.into_bytes(), err: String::new(), status: worst })
}

/// The demo's text, with the private directory shown as what it is.
struct Teller<'a> {
    out: String,
    root: &'a str,
}

impl Teller<'_> {
    fn say(&mut self, words: &str) {
        if !self.out.is_empty() {
            self.out.push('\n');
        }
        self.out.push_str(words);
        self.out.push('\n');
    }

    fn show(&mut self, line: &[&str], outcome: &Outcome) {
        self.out.push_str(&format!("\n$ {}\n", line.join(" ")));
        self.out.push_str(&String::from_utf8_lossy(&outcome.out));
        self.out.push_str(&outcome.err);
        debug_assert!(!self.root.is_empty());
    }
}

/// Lays out the root: the packaged list, the configuration, and the outputs that the refresh makes of them.
fn furnish(tree: &DirTree, roots: &[(String, Vec<u8>)]) -> io::Result<()> {
    let mut files: Vec<(String, Vec<u8>)> = roots.to_vec();
    for entry in pem::scan(LIST_OF_2019, &Interner::default()).entries {
        if let Some(label) = &entry.label {
            files.push((certdata_file_name(label), LIST_OF_2019[entry.block.clone()].to_vec()));
        }
    }
    files.sort();
    let mut conf = Vec::new();
    for (name, bytes) in &files {
        conf.extend_from_slice(format!("mozilla/{name}\n").as_bytes());
        put(tree, &TreePath::new(format!("/usr/share/ca-certificates/mozilla/{name}")), bytes)?;
    }
    put(tree, &"/etc/ca-certificates.conf".into(), &conf)?;
    put(tree, &"/usr/sbin/update-ca-certificates".into(), b"#!/bin/sh\n# stands for the distribution's script in this demo\n")?;
    put(tree, &"/etc/os-release".into(), b"ID=debian\nVERSION_ID=\"10\"\nPRETTY_NAME=\"Debian GNU/Linux 10 (buster)\"\n")?;
    for directory in ["/etc/ssl/certs", "/usr/local/share/ca-certificates", "/usr/lib/ssl", "/etc/ca-certificates/update.d"] {
        tree.make_directory(&directory.into(), 0o755)?;
    }
    tree.link(&"/usr/lib/ssl/cert.pem".into(), b"/etc/ssl/certs/ca-certificates.crt")?;
    tree.link(&"/usr/lib/ssl/certs".into(), b"/etc/ssl/certs")?;
    for step in (store::debian::KIND.refresh)(tree, false)? {
        match &step.edit {
            Edit::Write { path, bytes, mode } => {
                tree.write(path, bytes, *mode)?;
            }
            Edit::Link { path, target } => tree.link(path, target)?,
            Edit::Move { path, to } => tree.rename(path, to.name())?,
            Edit::Remove { path } => tree.remove(path)?,
            Edit::Run { .. } => {}
        }
    }
    Ok(())
}

fn put(tree: &DirTree, path: &TreePath, bytes: &[u8]) -> io::Result<()> {
    tree.make_directory(&path.parent(), 0o755)?;
    tree.write(path, bytes, Some(0o644)).map(|_| ())
}
