//! Which edits take which anchors out of which stores: reads the tree, changes nothing.
//!
//! Each anchor is taken out on the tree as the edits before it leave it, and the refresh is planned on the tree as all of them leave
//! it, so that the planned state can be judged before a byte is written. A second run on the changed tree plans nothing.

use super::{Advice, Expectation, NeedsYes, Plan, Refresh, Refused, Removal};
use crate::{
    base::{At, Fingerprint, TreePath},
    edit::{Applicability, Edit, Step},
    facts::{Anchor, Role, SourceOwner, Store, Upkeep},
    host::{Tree, overlay::Overlay},
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
    let mut barred: Vec<Barred> = Vec::new();
    loop {
        let mut plan = Plan { id: identifier(request.at), ..Plan::default() };
        select(request, &mut plan, &barred);
        let more = refresh(request, &mut plan);
        // Each round bars at least one pair that was planned, so there are no more rounds than pairs.
        if more.is_empty() {
            plan.refusals.extend(barred.into_iter().flat_map(|b| b.reasons));
            advise(request, &mut plan);
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
    let current = (kind.load)(&overlay);
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
    for store in &touched {
        let Some(kind) = kind_of(request, store) else { continue };
        if kinds.iter().any(|k| k.id == kind.id) {
            continue;
        }
        kinds.push(kind);
        match outputs(request, plan, kind) {
            Ok((steps, fresh)) => {
                for step in in_safe_order(steps) {
                    merge(&mut plan.steps, step);
                }
                plan.refreshes.extend(refresh_of(kind, store, fresh));
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
    let overlay = Overlay::new(request.tree, &plan.steps);
    let planned: Vec<Store> = kinds.iter().filter_map(|kind| (kind.load)(&overlay)).collect();
    let barred = judge_collateral(request, plan, &touched, &planned);
    plan.expectation = Expectation::of(&planned);
    barred
}

/// The generated edits of a plain refresh, or of a fresh one where a plain one would leave an anchor behind: Debian's tool maps a
/// blank, comma or parenthesis in a name when it adds a link and not when it removes one.
fn outputs(request: &Request<'_>, plan: &Plan, kind: &Kind) -> std::io::Result<(Vec<Step>, bool)> {
    let sources = Overlay::new(request.tree, &plan.steps);
    let plain = (kind.refresh)(&sources, false)?;
    let after = Overlay::new(&sources, &plain);
    let is_left =
        (kind.load)(&after).is_some_and(|store| plan.remove.iter().any(|r| r.store == kind.id && holds(&store, &r.certificate)));
    if !is_left {
        return Ok((plain, false));
    }
    let fresh = (kind.refresh)(&sources, true)?;
    Ok((fresh, true))
}

fn refresh_of(kind: &Kind, store: &Store, fresh: bool) -> Option<Refresh> {
    let argv = (kind.refresh_command)(fresh)?;
    let mut files = Vec::new();
    for file in store.bundle.iter().chain(&store.derived) {
        files.push(file.path.clone());
        if file.real != file.path {
            files.push(file.real.clone());
        }
    }
    let directories = store.directory.iter().map(|d| d.real.clone()).collect();
    Some(Refresh { store: kind.id, argv: Some(argv), files, directories })
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
                    reasons: vec![Refused {
                        subject: label,
                        why: format!("it would still be trusted through {}, which no refresh touches", origin.path),
                        instead: "remove that file by hand, then run this again".to_owned(),
                    }],
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

        let reasons: Vec<Refused> = had
            .iter()
            .filter(|a| !leaves(plan, &a.certificate) && !has.iter().any(|h| h.certificate == a.certificate))
            .filter_map(|anchor| {
                let origin = anchor.origins.first()?;
                Some(Refused {
                    subject: anchor.certificate.label(),
                    why: format!("the refresh would take it along: it stands in {} and in no source", origin.path),
                    instead: "install it as a local anchor first, or say --force".to_owned(),
                })
            })
            .collect();
        if !reasons.is_empty() && !request.options.force {
            barred.push(Barred { store: before.kind, location: before.location.clone(), certificate: None, reasons });
        }
        plan.advice.extend(has.iter().filter(|h| !had.iter().any(|a| a.certificate == h.certificate)).map(|anchor| {
            let label = anchor.certificate.label();
            Advice {
                text: format!("the refresh will also add {label}, which the sources name and the outputs lack"),
                command: None,
            }
        }));
    }
    barred
}

fn advise(request: &Request<'_>, plan: &mut Plan) {
    let mut first = Vec::new();
    for store in request.stores.iter().filter(|s| plan.remove.iter().any(|r| r.store == s.kind && r.location == s.location)) {
        if let Some(command) = package_upgrade(store) {
            first.push(Advice {
                text: format!("an upgrade of the package may do the same for {}, and lasts; try it first", store.title),
                command: Some(command.to_owned()),
            });
        }
        if let Upkeep::Owned { by } = &store.upkeep {
            first.push(Advice {
                text: format!("{} is replaced as a whole by {by}: the edit lasts until then", store.location),
                command: None,
            });
        }
        let Some(configuration) = store
            .configuration
            .as_ref()
            .filter(|c| store.kind == "alpine" && plan.steps.iter().any(|s| s.edit.path() == Some(&c.path)))
        else {
            continue;
        };
        first.push(Advice {
            text: format!(
                "once {} is edited, apk parks each new list of the package beside it as .apk-new, and new roots are not enabled until it is merged",
                configuration.path
            ),
            command: Some(format!("diff -u {0} {0}.apk-new", configuration.path)),
        });
        if let Some(parked) = &configuration.parked {
            first.push(Advice {
                text: format!("{parked} is parked already: merge it, keeping what is deselected, before the refresh"),
                command: Some(merge_command(&configuration.path, parked)),
            });
        }
    }
    first.append(&mut plan.advice);
    plan.advice = first;
}

/// Takes the package's new list over, with a `!` before every name that the edited one deselects. Written into the old file, so that
/// its mode and owner stay.
fn merge_command(list: &TreePath, parked: &TreePath) -> String {
    format!(
        "awk 'NR==FNR {{ if (sub(/^!/, \"\")) off[$0]; next }} {{ print (($0 in off) ? \"!\" : \"\") $0 }}' {list} {parked} > {list}.merged \
         && cat {list}.merged > {list} && rm {list}.merged {parked} && update-ca-certificates"
    )
}

/// How the distribution itself would bring the newer list.
fn package_upgrade(store: &Store) -> Option<&'static str> {
    match store.kind {
        "debian" => Some("apt-get update && apt-get install --only-upgrade ca-certificates"),
        "alpine" => Some("apk update && apk upgrade ca-certificates ca-certificates-bundle"),
        _ => None,
    }
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
        Edit::Remove { .. } => 2,
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
fn identifier(at: At) -> String {
    at.to_string().chars().filter(|c| c.is_ascii_alphanumeric()).collect()
}
