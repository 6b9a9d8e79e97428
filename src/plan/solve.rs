//! Which edits take which anchors out of which stores: reads the tree, changes nothing.
//!
//! Each anchor is taken out on the tree as the edits before it leave it, and the refresh is planned on the tree as all of them leave
//! it, so that the planned state can be judged before a byte is written. A second run on the changed tree plans nothing.

use super::{Advice, Expectation, NeedsYes, Plan, Refresh, Refused, Removal, advice::advise};
use crate::{
    base::{At, Fingerprint, TreePath},
    edit::{Applicability, Edit, Step},
    facts::{Anchor, Content, Origin, Role, SourceOwner, Store},
    host::{Remembered, Tree, overlay::Overlay},
    store::{Distrust, Kind},
    x509::Certificate,
};

/// What is asked for.
pub struct Request<'a> {
    /// The tree that the stores were read from.
    pub tree: &'a dyn Tree,
    /// The stores as they are.
    pub stores: &'a [Store],
    /// The kinds of stores.
    pub kinds: &'a [&'a Kind],
    /// The anchors to take out.
    pub distrust: &'a [Wanted],
    /// How.
    pub options: Options,
    /// Given the anchors that would be gone: the named targets that would lose their only valid path.
    pub endangers: &'a dyn Fn(&[Certificate]) -> Vec<String>,
    /// The time, for the backup's name.
    pub at: At,
}

/// An anchor that is to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Which.
    pub certificate: Certificate,
    /// The codes of the findings that want it.
    pub because: Vec<&'static str>,
    /// Only from the store of this kind; `None` for every store.
    pub store: Option<&'static str>,
}

/// The knobs of `fix`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Comment a section out instead of cutting it.
    pub comment_out: bool,
    /// Do what endangers a target or takes other anchors along.
    pub force: bool,
    /// Anchors that an administrator installed and that may go: names or SHA-256 fingerprints.
    pub yes: Vec<String>,
}

/// Plans. What can't be had without harm is refused for that anchor or that store, and the rest is planned without it.
#[must_use]
pub fn solve(request: &Request<'_>) -> Plan {
    // One look for all rounds: what changes meanwhile fails the steps' preconditions.
    let tree = Remembered::whole(request.tree);
    let request = &Request { tree: &tree, options: request.options.clone(), ..*request };
    let mut barred: Vec<Barred> = Vec::new();
    loop {
        let mut plan = Plan { id: identifier(request.at), ..Plan::default() };
        select(request, &mut plan, &barred);
        let more = refresh(request, &mut plan);
        // Each round bars at least one pair that was planned, so there are no more rounds than pairs.
        if more.is_empty() {
            plan.refusals.extend(barred.into_iter().flat_map(|b| b.reasons));
            advise(request.stores, &mut plan);
            return plan;
        }
        barred.extend(more);
    }
}

/// What is left out, since its outcome would not be what was asked for.
struct Barred {
    store: &'static str,
    location: TreePath,
    /// One anchor; `None` for all of the store.
    certificate: Option<Certificate>,
    reasons: Vec<Refused>,
}

/// Plans the source edits of everything that is wanted.
fn select(request: &Request<'_>, plan: &mut Plan, barred: &[Barred]) {
    let mut gone: Vec<Certificate> = Vec::new();
    for wanted in request.distrust {
        let is_barred = |store: &Store| {
            let here = |b: &Barred| b.store == store.kind && b.location == store.location;
            barred.iter().any(|b| here(b) && b.certificate.as_ref().is_none_or(|c| *c == wanted.certificate))
        };
        let holders: Vec<&Store> = request
            .stores
            .iter()
            .filter(|s| wanted.store.is_none_or(|kind| kind == s.kind) && holds(s, &wanted.certificate) && !is_barred(s))
            .collect();
        if holders.is_empty() {
            continue;
        }
        let mut with_this = gone.clone();
        with_this.push(wanted.certificate.clone());
        let endangered = (request.endangers)(&with_this);
        if !endangered.is_empty() && !request.options.force {
            plan.refusals.push(Refused {
                subject: wanted.certificate.label(),
                why: format!("without it no valid path to {} is left", endangered.join(", ")),
                instead: "add the root of the replacement path first, or say --force".to_owned(),
            });
            continue;
        }
        let before = plan.remove.len();
        for store in holders {
            distrust_in(request, plan, store, wanted);
        }
        if plan.remove.len() > before {
            gone = with_this;
        }
    }
}

/// Plans the source edits of one anchor in one store.
fn distrust_in(request: &Request<'_>, plan: &mut Plan, store: &Store, wanted: &Wanted) {
    let certificate = &wanted.certificate;
    let Some(kind) = kind_of(request, store) else {
        plan.refusals.push(Refused {
            subject: certificate.label(),
            why: format!("no edit is known for {}", store.title),
            instead: format!("take it out of {} by hand", store.location),
        });
        return;
    };
    // The facts of the tree as the edits so far leave it, so that two edits of one file add up.
    let overlay = Overlay::new(request.tree, &plan.steps);
    let current = if plan.steps.is_empty() { None } else { (kind.load)(&overlay) };
    let store = current.as_ref().unwrap_or(store);
    let options = Distrust { comment_out: request.options.comment_out };
    let mut steps = match (kind.distrust)(&overlay, store, certificate, &options) {
        Ok(steps) => steps,
        Err(refusal) => {
            plan.refusals.push(Refused { subject: certificate.label(), why: refusal.why, instead: refusal.instead });
            return;
        }
    };
    if let Some(by_hand) = steps.iter().find(|s| s.applicability == Applicability::Manual) {
        plan.refusals.push(Refused {
            subject: certificate.label(),
            why: format!("{} keeps it where no tool should change it", store.title),
            instead: by_hand.summary.clone(),
        });
        return;
    }
    let local = store
        .sources
        .iter()
        .find(|s| s.owner == SourceOwner::Local && s.file.certificates().any(|(_, c)| c == certificate))
        .map(|s| s.file.path.clone());
    let asks = steps.iter().find(|s| s.applicability == Applicability::Ask).and_then(|s| s.edit.path()).cloned();
    if let Some(path) = local.or(asks)
        && !is_confirmed(&request.options.yes, certificate, path.name())
    {
        plan.needs_yes.push(NeedsYes { certificate: certificate.clone(), store: store.kind, path });
        return;
    }
    for step in &mut steps {
        if step.because.is_empty() {
            step.because.clone_from(&wanted.because);
        }
    }
    plan.remove.push(Removal { certificate: certificate.clone(), store: store.kind, location: store.location.clone() });
    for step in steps {
        merge(&mut plan.steps, step);
    }
}

/// Plans the refresh of every store that an anchor leaves, and judges the state after it: what speaks against the plan.
fn refresh(request: &Request<'_>, plan: &mut Plan) -> Vec<Barred> {
    let touched: Vec<&Store> =
        request.stores.iter().filter(|s| plan.remove.iter().any(|r| r.store == s.kind && r.location == s.location)).collect();
    let mut kinds: Vec<&Kind> = Vec::new();
    let mut planned: Vec<Store> = Vec::new();
    for store in &touched {
        let Some(kind) = kind_of(request, store) else { continue };
        if kinds.iter().any(|k| k.id == kind.id) {
            continue;
        }
        kinds.push(kind);
        match outputs(request, plan, kind) {
            Ok(outputs) => {
                plan.refreshes.extend(refresh_of(kind, store, outputs.fresh, &outputs.steps));
                planned.extend(outputs.store);
                for step in in_safe_order(outputs.steps) {
                    merge(&mut plan.steps, step);
                }
            }
            Err(error) => {
                let reasons = vec![Refused {
                    subject: store.title.clone(),
                    why: format!("its outputs can't be planned: {error}"),
                    instead: "put that right first".to_owned(),
                }];
                return vec![Barred { store: store.kind, location: store.location.clone(), certificate: None, reasons }];
            }
        }
    }
    if kinds.len() > 1 {
        // What one kind generates may lie in what another reads.
        let overlay = Overlay::new(request.tree, &plan.steps);
        planned = kinds.iter().filter_map(|kind| (kind.load)(&overlay)).collect();
    }
    let barred = judge_collateral(request, plan, &touched, &planned);
    plan.expectation = Expectation::of(&planned);
    barred
}

/// A planned refresh.
struct Outputs {
    steps: Vec<Step>,
    /// Whether stale links must be remade.
    fresh: bool,
    /// The store after it.
    store: Option<Store>,
}

/// The generated edits of a plain refresh, or of a fresh one where a plain one would leave an anchor behind: Debian's tool maps a
/// blank, comma or parenthesis in a name when it adds a link and not when it removes one.
fn outputs(request: &Request<'_>, plan: &Plan, kind: &Kind) -> std::io::Result<Outputs> {
    let sources = Overlay::new(request.tree, &plan.steps);
    let plain = (kind.refresh)(&sources, false)?;
    let after = Overlay::new(&sources, &plain);
    let store = (kind.load)(&after);
    let is_left = |store: &Store| plan.remove.iter().any(|r| r.store == kind.id && holds(store, &r.certificate));
    if !store.as_ref().is_some_and(is_left) {
        return Ok(Outputs { steps: plain, fresh: false, store });
    }
    let fresh = (kind.refresh)(&sources, true)?;
    let store = (kind.load)(&Overlay::new(&sources, &fresh));
    Ok(Outputs { steps: fresh, fresh: true, store })
}

fn refresh_of(kind: &Kind, store: &Store, fresh: bool, steps: &[Step]) -> Option<Refresh> {
    let argv = (kind.refresh_command)(fresh)?;
    let mut files = Vec::new();
    for file in store.bundle.iter().chain(&store.derived) {
        files.push(file.path.clone());
        if file.real != file.path {
            files.push(file.real.clone());
        }
    }
    let directories = store.directory.iter().map(|d| d.real.clone()).collect();
    let outputs = steps.iter().filter_map(|s| s.edit.path()).cloned().collect();
    Some(Refresh { store: kind.id, argv, outputs, files, directories })
}

/// What the plan would change besides what was asked for, and what it would leave: a refresh repairs every drift between sources and
/// outputs, and touches no file that it did not make.
fn judge_collateral(request: &Request<'_>, plan: &mut Plan, touched: &[&Store], planned: &[Store]) -> Vec<Barred> {
    let mut barred = Vec::new();
    for before in touched {
        let Some(after) = planned.iter().find(|s| s.kind == before.kind && s.location == before.location) else { continue };
        let (had, has) = (before.anchors(), after.anchors());
        let leaves = |plan: &Plan, c: &Certificate| {
            plan.remove.iter().any(|r| r.store == before.kind && r.location == before.location && r.certificate == *c)
        };
        let stays: Vec<&Anchor> = has.iter().filter(|a| leaves(plan, &a.certificate)).collect();
        for anchor in stays {
            let label = anchor.certificate.label();
            match anchor.origins.iter().find(|o| o.role != Role::Derived) {
                Some(origin) => barred.push(Barred {
                    store: before.kind,
                    location: before.location.clone(),
                    certificate: Some(anchor.certificate.clone()),
                    reasons: vec![left_behind(label, origin)],
                }),
                None => plan.advice.extend(anchor.origins.first().map(|origin| Advice {
                    text: format!("{} holds {label} too, and only the refresh of a running system changes it", origin.path),
                    command: None,
                })),
            }
        }
        let only_derived: Vec<Fingerprint> = had
            .iter()
            .filter(|a| a.origins.iter().all(|o| o.role == Role::Derived))
            .map(|a| a.certificate.fingerprint())
            .collect();
        plan.remove.retain(|r| !(r.store == before.kind && only_derived.contains(&r.certificate.fingerprint())));

        let mut reasons = taken_along(before, after, &|c| leaves(plan, c));
        reasons.extend(brought_in(before, after));
        if request.options.force {
            plan.advice.extend(reasons.drain(..).map(|r| Advice { text: format!("{}: {}", r.subject, r.why), command: None }));
        }
        // No --force puts a private key where everybody reads.
        reasons.extend(leaked_key(before, after));
        if !reasons.is_empty() {
            barred.push(Barred { store: before.kind, location: before.location.clone(), certificate: None, reasons });
        }
    }
    barred
}

/// An anchor that the refresh would leave where it is.
fn left_behind(subject: String, origin: &Origin) -> Refused {
    match origin.role {
        // A bundle is made anew by every refresh that finds its configuration in order.
        Role::Bundle => Refused {
            subject,
            why: format!("the refresh would leave it in {}: its configuration is not in order", origin.path),
            instead: "certdoctor scan says what is wrong with it; mend that first, then run this again".to_owned(),
        },
        _ => Refused {
            subject,
            why: format!("it would still be trusted through {}, which no refresh touches", origin.path),
            instead: "remove that file by hand, then run this again".to_owned(),
        },
    }
}

/// The anchors that the refresh would take out of a part of the store though nobody asked for it: they stand in an output and are
/// selected by no source. The parts are compared one by one, since clients read one or the other.
fn taken_along(before: &Store, after: &Store, leaves: &dyn Fn(&Certificate) -> bool) -> Vec<Refused> {
    let mut refused: Vec<Refused> = Vec::new();
    for role in [Role::Bundle, Role::HashLink] {
        let (had, has) = (part(before, role), part(after, role));
        for (certificate, path) in had.iter().filter(|(c, _)| !leaves(c) && !has.iter().any(|(h, _)| h == c)) {
            let subject = certificate.label();
            if refused.iter().all(|r| r.subject != subject) {
                refused.push(Refused {
                    subject,
                    why: format!("the refresh would take it along: it stands in {path}, and no source that is selected holds it"),
                    instead: "select it in the configuration or install it as a local anchor first, or say --force".to_owned(),
                });
            }
        }
    }
    refused
}

/// The anchors that no part of the store holds yet and the refresh would bring in.
fn brought_in(before: &Store, after: &Store) -> Vec<Refused> {
    let outputs = |store: &Store| [part(store, Role::Bundle), part(store, Role::HashLink)].concat();
    let had = outputs(before);
    let mut refused: Vec<Refused> = Vec::new();
    for (certificate, _) in outputs(after).iter().filter(|(c, _)| !had.iter().any(|(h, _)| h == c)) {
        let subject = certificate.label();
        if refused.iter().all(|r| r.subject != subject) {
            refused.push(Refused {
                subject,
                why: "the refresh would make it trusted, which it is not now".to_owned(),
                instead: "run the refresh by itself first if that is wanted, or say --force".to_owned(),
            });
        }
    }
    refused
}

/// A private key among the sources that the refresh would copy into the bundle, which everybody may read.
fn leaked_key(before: &Store, after: &Store) -> Option<Refused> {
    let holds_key = |store: &Store| store.bundle.iter().flat_map(|b| b.entries.iter()).any(|e| e.content == Content::PrivateKey);
    if holds_key(before) || !holds_key(after) {
        return None;
    }
    let is_key_file = |s: &&crate::facts::Source| s.file.entries.iter().any(|e| e.content == Content::PrivateKey);
    let place = before.sources.iter().find(is_key_file).map_or_else(|| before.title.clone(), |s| s.file.path.to_string());
    Some(Refused {
        subject: place,
        why: "it holds a private key, which the refresh would copy into the bundle that everybody may read".to_owned(),
        instead: "take the key out of that file first; the key is to be replaced if it was ever copied".to_owned(),
    })
}

/// The certificates of one part of a store, each with a place.
fn part(store: &Store, role: Role) -> Vec<(Certificate, TreePath)> {
    let place = |a: &Anchor| a.origins.iter().find(|o| o.role == role).map(|o| (a.certificate.clone(), o.path.clone()));
    store.anchors().iter().filter_map(place).collect()
}

/// Adds a step; a second edit of one path becomes one with the first one's precondition.
fn merge(steps: &mut Vec<Step>, step: Step) {
    let same = steps.iter_mut().find(|s| s.edit.path().is_some() && s.edit.path() == step.edit.path());
    let Some(known) = same else {
        steps.push(step);
        return;
    };
    if let (Edit::Write { mode: Some(before), .. }, Edit::Write { mode, .. }) = (&known.edit, &step.edit)
        && mode.is_none()
    {
        let kept = *before;
        known.edit = step.edit;
        if let Edit::Write { mode, .. } = &mut known.edit {
            *mode = Some(kept);
        }
    } else {
        known.edit = step.edit;
    }
    for code in step.because {
        if !known.because.contains(&code) {
            known.because.push(code);
        }
    }
    if known.summary != step.summary {
        known.summary = format!("{}; {}", known.summary, step.summary);
    }
    known.applicability = known.applicability.max(step.applicability);
    known.generated &= step.generated;
}

/// Files, then links, then removals: a lookup by hash that runs meanwhile never misses a certificate that stays.
fn in_safe_order(mut steps: Vec<Step>) -> Vec<Step> {
    steps.sort_by_key(|s| match s.edit {
        Edit::Write { .. } => 0,
        Edit::Link { .. } => 1,
        Edit::Move { .. } | Edit::Remove { .. } => 2,
        Edit::Run { .. } => 3,
    });
    steps
}

fn holds(store: &Store, certificate: &Certificate) -> bool {
    store.anchors().iter().any(|a| a.certificate == *certificate)
}

fn kind_of<'a>(request: &Request<'a>, store: &Store) -> Option<&'a Kind> {
    request.kinds.iter().copied().find(|k| k.id == store.kind)
}

/// Whether the yes names this anchor: by its label, its file's name or its fingerprint (whole, or at least 16 digits of it).
fn is_confirmed(yes: &[String], certificate: &Certificate, file: &[u8]) -> bool {
    yes.iter().any(|word| {
        let digits: String = word.chars().filter(|c| *c != ':').collect::<String>().to_ascii_lowercase();
        word.eq_ignore_ascii_case(&certificate.label())
            || word.as_bytes() == file
            || Fingerprint::parse(word) == Some(certificate.fingerprint())
            || (digits.len() >= 16 && certificate.fingerprint().to_string().starts_with(&digits))
    })
}

/// `20200530T104838Z`.
pub(super) fn identifier(at: At) -> String {
    at.to_string().chars().filter(|c| c.is_ascii_alphanumeric()).collect()
}

#[cfg(test)]
mod tests {
    use std::{fs, io, path::Path, sync::Arc};

    use super::*;
    use crate::{
        edit::Precondition,
        facts::{CertFile, Content, DirectoryEntry, Entry, FileState, HashDirectory, Selection, Source, Upkeep},
        host::dir::DirTree,
        plan::{ApplyOptions, Deviation, apply, compare},
        store::Refusal,
    };

    /// The smallest store with everything: `/conf` names sources, `/src` holds them (DER), `/bundle` is made of them, and `/certs` may
    /// hold files that nobody made.
    static TOY: Kind = Kind {
        id: "toy",
        title: "toy",
        about: "",
        load: |tree| load(tree).ok(),
        distrust,
        refresh: |tree, _| {
            let wanted = sources(tree)?.iter().filter(|s| s.1).flat_map(|s| s.2.der().to_vec()).collect::<Vec<u8>>();
            let (old, _) = tree.read(&"/bundle".into(), 1 << 20).map_err(io::Error::other)?;
            if old == wanted {
                return Ok(Vec::new());
            }
            Ok(vec![step("/bundle", &old, wanted, true, Applicability::Auto)])
        },
        refresh_command: |_| Some(vec!["make"]),
    };

    fn step(path: &str, old: &[u8], bytes: Vec<u8>, generated: bool, applicability: Applicability) -> Step {
        Step {
            edit: Edit::Write { path: path.into(), bytes, mode: None },
            precondition: Precondition::Content(Fingerprint::of(old)),
            because: Vec::new(),
            applicability,
            summary: format!("write {path}"),
            generated,
        }
    }

    /// Each source: its name, whether it is wanted, what it is.
    fn sources(tree: &dyn Tree) -> io::Result<Vec<(String, bool, Certificate)>> {
        let (conf, _) = tree.read(&"/conf".into(), 1 << 20).map_err(io::Error::other)?;
        let text = String::from_utf8(conf).map_err(io::Error::other)?;
        text.lines()
            .map(|line| {
                let name = line.trim_start_matches('!');
                let (der, _) = tree.read(&TreePath::from("/src").join(name), 1 << 20).map_err(io::Error::other)?;
                Ok((name.to_owned(), name == line, Certificate::parse(&der).map_err(io::Error::other)?))
            })
            .collect()
    }

    fn file(tree: &dyn Tree, path: &TreePath) -> io::Result<CertFile> {
        let (bytes, resolved) = tree.read(path, 1 << 20).map_err(io::Error::other)?;
        let mut entries = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let certificate = Certificate::parse(&bytes[at..]).map_err(io::Error::other)?;
            let block = at..at + certificate.der().len();
            at = block.end;
            let content = Content::Certificate(certificate);
            entries.push(Entry { line: 1, section: block.clone(), block, label: None, content });
        }
        let len = bytes.len() as u64;
        let state = FileState::Read { digest: None, len, mode: 0o644, modified: At(0) };
        let (links, real) = (resolved.links.into(), resolved.path);
        Ok(CertFile { path: path.clone(), links, real, state, entries: Arc::from(entries), quirks: Default::default() })
    }

    fn load(tree: &dyn Tree) -> io::Result<Store> {
        let mut list = Vec::new();
        for (name, wanted, _) in sources(tree)? {
            list.push(Source {
                owner: if name.starts_with("local") { SourceOwner::Local } else { SourceOwner::Package },
                selection: if wanted { Selection::Enabled } else { Selection::Deselected },
                line: None,
                file: file(tree, &TreePath::from("/src").join(&name))?,
                name: name.into_bytes(),
            });
        }
        let certs = TreePath::from("/certs");
        let entries = tree.names_nofollow(&certs)?.into_iter().map(|name| {
            let file = file(tree, &certs.join(&name))?;
            Ok(DirectoryEntry { name, hash: None, link: None, file })
        });
        Ok(Store {
            kind: "toy",
            title: "toy".to_owned(),
            location: "/conf".into(),
            upkeep: Upkeep::Generated { by: "make" },
            configuration: None,
            sources: list,
            bundle: Some(file(tree, &"/bundle".into())?),
            directory: Some(HashDirectory {
                path: certs.clone(),
                real: certs.clone(),
                state: Ok(()),
                entries: entries.collect::<io::Result<_>>()?,
            }),
            derived: Vec::new(),
            unread: None,
            leftovers: Vec::new(),
            seen: Default::default(),
        })
    }

    fn distrust(tree: &dyn Tree, _: &Store, certificate: &Certificate, _: &Distrust) -> Result<Vec<Step>, Refusal> {
        let refusal = |e: io::Error| Refusal { why: e.to_string(), instead: "mend it".to_owned() };
        let (conf, _) = tree.read(&"/conf".into(), 1 << 20).map_err(|e| refusal(io::Error::other(e)))?;
        let mut new = Vec::new();
        for (name, wanted, found) in sources(tree).map_err(refusal)? {
            let mark = if wanted && found != *certificate { "" } else { "!" };
            new.extend_from_slice(format!("{mark}{name}\n").as_bytes());
        }
        let same = new == conf;
        Ok(if same { Vec::new() } else { vec![step("/conf", &conf, new, false, Applicability::Auto)] })
    }

    fn certificate(name: &str) -> Certificate {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/bundles/single").join(name);
        let pem = fs::read_to_string(path).expect("a fixture");
        let body: String = pem.lines().filter(|l| !l.starts_with('-')).collect();
        let der = base64_simd::STANDARD.decode_to_vec(body).expect("base64");
        Certificate::parse(&der).expect("a certificate")
    }

    const NAMES: [(&str, &str); 4] = [
        ("addtrust", "AddTrust_External_Root.crt"),
        ("dst", "DST_Root_CA_X3.crt"),
        ("isrg", "ISRG_Root_X1.crt"),
        ("local-baltimore", "Baltimore_CyberTrust_Root.crt"),
    ];

    fn toy() -> (tempfile::TempDir, DirTree) {
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir(dir.path().join("src")).expect("made");
        fs::create_dir(dir.path().join("certs")).expect("made");
        let mut bundle = Vec::new();
        for (name, fixture) in NAMES {
            let der = certificate(fixture).der().to_vec();
            fs::write(dir.path().join("src").join(name), &der).expect("written");
            bundle.extend(der);
        }
        fs::write(dir.path().join("conf"), NAMES.map(|(name, _)| format!("{name}\n")).concat()).expect("written");
        fs::write(dir.path().join("bundle"), bundle).expect("written");
        let tree = DirTree::new(dir.path()).expect("a tree");
        (dir, tree)
    }

    fn solve_for(tree: &DirTree, wanted: &[&str], options: Options, endangers: &dyn Fn(&[Certificate]) -> Vec<String>) -> Plan {
        let distrust: Vec<Wanted> =
            wanted.iter().map(|name| Wanted { certificate: certificate(name), because: vec!["CD101"], store: None }).collect();
        let stores: Vec<Store> = load(tree).into_iter().collect();
        solve(&Request { tree, stores: &stores, kinds: &[&TOY], distrust: &distrust, options, endangers, at: At(1_590_969_600) })
    }

    fn labels(plan: &Plan) -> Vec<String> {
        plan.remove.iter().map(|r| r.certificate.label()).collect()
    }

    const NOBODY: &dyn Fn(&[Certificate]) -> Vec<String> = &|_| Vec::new();

    #[test]
    fn two_anchors_make_one_edit_and_a_second_run_makes_none() {
        let (_dir, tree) = toy();
        let before: Vec<Store> = load(&tree).into_iter().collect();
        let wanted = ["AddTrust_External_Root.crt", "DST_Root_CA_X3.crt"];
        let plan = solve_for(&tree, &wanted, Options::default(), NOBODY);
        assert_eq!(labels(&plan), ["AddTrust External CA Root", "DST Root CA X3"]);
        assert_eq!(
            plan.steps.iter().map(|s| s.edit.path().map(ToString::to_string)).collect::<Vec<_>>(),
            [Some("/conf".to_owned()), Some("/bundle".to_owned())]
        );
        assert_eq!((plan.steps[0].because.as_slice(), plan.id.as_str()), (&["CD101"][..], "20200601T000000Z"));
        assert_eq!(plan.refreshes[0].argv, ["make"]);

        let applied = apply(&tree, None, &plan, &ApplyOptions::new(At(0), false)).expect("applied");
        assert_eq!(tree.read(&"/conf".into(), 100).expect("read").0, b"!addtrust\n!dst\nisrg\nlocal-baltimore\n");
        let after: Vec<Store> = load(&tree).into_iter().collect();
        assert_eq!(plan.expectation.check(&after, &plan.remove), Ok(()));
        assert_eq!(compare(&before, &after, &plan.remove), Ok(()));
        let some = [plan.remove[0].clone()];
        assert!(matches!(
            compare(&before, &after, &some).expect_err("two are gone")[..],
            [Deviation::Count { expected: Some(3), found: Some(2), .. }, Deviation::Lost { .. }]
        ));
        let back = compare(&after, &before, &plan.remove).expect_err("they are there");
        assert!(back.iter().filter(|d| matches!(d, Deviation::StillTrusted { .. })).count() == 2, "{back:?}");
        assert_eq!(compare(&before, &[], &plan.remove), Err(vec![Deviation::StoreGone { store: "/conf".into() }]));

        drop(applied);
        let again = solve_for(&tree, &wanted, Options::default(), NOBODY);
        assert!(again.is_empty() && again.remove.is_empty() && again.refusals.is_empty(), "{again:?}");
    }

    #[test]
    fn a_local_anchor_needs_a_yes_by_name() {
        let (_dir, tree) = toy();
        let wanted = ["Baltimore_CyberTrust_Root.crt"];
        let plan = solve_for(&tree, &wanted, Options::default(), NOBODY);
        assert!(plan.is_empty());
        assert_eq!((plan.needs_yes.len(), plan.needs_yes[0].path.to_string()), (1, "/src/local-baltimore".to_owned()));
        let print = certificate(wanted[0]).fingerprint();
        for yes in ["baltimore cybertrust root", "local-baltimore", &print.to_string().to_uppercase(), &print.short()] {
            let plan = solve_for(&tree, &wanted, Options { yes: vec![yes.to_owned()], ..Options::default() }, NOBODY);
            assert_eq!((plan.steps.len(), plan.needs_yes.len()), (2, 0), "{yes}");
        }
        for no in ["baltimore", "DST Root CA X3", "16af57a9", ""] {
            let plan = solve_for(&tree, &wanted, Options { yes: vec![no.to_owned()], ..Options::default() }, NOBODY);
            assert!(plan.is_empty(), "{no}");
        }
    }

    #[test]
    fn the_only_path_of_a_target_is_kept() {
        let (_dir, tree) = toy();
        let dst = certificate("DST_Root_CA_X3.crt");
        let endangers = |gone: &[Certificate]| if gone.contains(&dst) { vec!["example.org:443".to_owned()] } else { Vec::new() };
        let wanted = ["DST_Root_CA_X3.crt", "AddTrust_External_Root.crt"];
        let plan = solve_for(&tree, &wanted, Options::default(), &endangers);
        assert_eq!(labels(&plan), ["AddTrust External CA Root"]);
        assert_eq!(plan.refusals[0].why, "without it no valid path to example.org:443 is left");
        let forced = solve_for(&tree, &wanted, Options { force: true, ..Options::default() }, &endangers);
        assert_eq!((forced.remove.len(), forced.refusals.len()), (2, 0));
    }

    #[test]
    fn what_no_refresh_reaches_is_refused_and_the_rest_is_done() {
        let (dir, tree) = toy();
        fs::write(dir.path().join("certs/foreign.pem"), certificate("DST_Root_CA_X3.crt").der()).expect("written");
        let wanted = ["DST_Root_CA_X3.crt", "AddTrust_External_Root.crt"];
        let plan = solve_for(&tree, &wanted, Options::default(), NOBODY);
        assert_eq!(labels(&plan), ["AddTrust External CA Root"]);
        assert_eq!(plan.refusals.len(), 1);
        assert_eq!(plan.refusals[0].why, "it would still be trusted through /certs/foreign.pem, which no refresh touches");
        let Edit::Write { bytes, .. } = &plan.steps[0].edit else { panic!("{plan:?}") };
        assert_eq!(bytes, b"!addtrust\ndst\nisrg\nlocal-baltimore\n");
    }

    #[test]
    fn an_anchor_that_only_the_bundle_holds_is_not_lost_unasked() {
        let (dir, tree) = toy();
        let mut bundle = fs::read(dir.path().join("bundle")).expect("read");
        bundle.extend(certificate("GlobalSign_Root_CA.crt").der());
        fs::write(dir.path().join("bundle"), bundle).expect("written");
        let wanted = ["DST_Root_CA_X3.crt"];
        let plan = solve_for(&tree, &wanted, Options::default(), NOBODY);
        assert!(plan.is_empty());
        assert_eq!(plan.refusals[0].subject, "GlobalSign Root CA");
        let forced = solve_for(&tree, &wanted, Options { force: true, ..Options::default() }, NOBODY);
        assert_eq!((labels(&forced), forced.refusals.len()), (vec!["DST Root CA X3".to_owned()], 0));
    }
}
