//! A Dockerfile, patched.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use super::{
    Anchor, DockerfileError, Family, default_user,
    insert::{self, Block},
    place::{self, Foundation, Place},
    snippet::{self, Snippet, TRUST},
};
use crate::{
    base::Fingerprint,
    format::dockerfile::{Base, Defect, Dockerfile, Kind, Stage},
};

/// What a Dockerfile is to be changed for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patch {
    /// What is to be removed.
    pub anchors: Vec<Anchor>,
    /// `--stage`: by name or number; the last stage when absent.
    pub stage: Option<String>,
    /// `--family`: what the base image is made of, where its name does not say it.
    pub family: Option<Family>,
    /// `--build-arg`.
    pub build_arguments: BTreeMap<String, String>,
    /// See [`Snippet::upgrade`].
    pub upgrade: bool,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patched {
    /// The new file; the old one when there is nothing to do.
    pub text: Vec<u8>,
    /// In short.
    pub decision: Decision,
    /// The line of the given text, from 1, after which the instruction goes or at which an older one stands; `None` when there is
    /// nothing to do.
    pub line: Option<u32>,
    /// What was decided, and why, in order.
    pub notes: Vec<String>,
    /// What a person should look at.
    pub warnings: Vec<String>,
}

/// What was done with a Dockerfile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Decision {
    /// It has the instruction for these anchors already.
    AlreadyDone,
    /// The instruction was put in.
    Inserted,
    /// No stage that the result consists of has a trust store.
    NoStore,
    /// An older form of the instruction was replaced.
    Replaced,
}

/// Puts the instruction into the stage where it takes effect.
///
/// # Errors
/// [`DockerfileError`], each with what to do instead.
pub fn patch(text: &[u8], request: &Patch) -> Result<Patched, DockerfileError> {
    if request.anchors.is_empty() {
        return Err(DockerfileError::NoAnchor);
    }
    let original = Dockerfile::parse(text);
    let wanted: BTreeSet<Fingerprint> = request.anchors.iter().map(|a| a.fingerprint).collect();
    let mut report = Report::default();
    report.defects(&original)?;

    // Blocks for (some of) these anchors are taken out and made anew; blocks that remove others too stay, and count.
    let within = reach(text, &original, request)?;
    let (own, others): (Vec<Block>, Vec<Block>) = insert::blocks(&original)
        .into_iter()
        .filter(|block| within.iter().any(|items| items.contains(&block.first)))
        .partition(|block| block.anchors.is_subset(&wanted));
    let covered: BTreeSet<Fingerprint> = others.iter().flat_map(|block| block.anchors.clone()).collect();
    let anchors: Vec<Anchor> = request.anchors.iter().filter(|a| !covered.contains(&a.fingerprint)).cloned().collect();
    if anchors.is_empty() {
        report.notes.push("the Dockerfile removes these anchors already, together with others".to_owned());
        return Ok(report.finish(text.to_vec(), Decision::AlreadyDone));
    }
    let spans: Vec<Range<usize>> = own.iter().map(|block| block.span.clone()).collect();
    let clean = insert::without(text, &spans);
    let file = Dockerfile::parse(&clean);
    let Some(insertions) = plan(&clean, &file, request, anchors, &mut report)? else {
        return Ok(report.finish(text.to_vec(), Decision::NoStore));
    };
    if let ([block], [(place, new)]) = (&own[..], &insertions[..])
        && stands(text, block, new, &clean, *place, &file)
    {
        return Ok(report.finish(text.to_vec(), Decision::AlreadyDone));
    }
    let new = insert::with(&clean, &insertions, if file.crlf { "\r\n" } else { "\n" });
    // A block at the end of a file without final newline comes back with one; that alone is no difference.
    let decision = if trim_end(&new) == trim_end(text) {
        return Ok(report.finish(text.to_vec(), Decision::AlreadyDone));
    } else if own.is_empty() {
        Decision::Inserted
    } else {
        Decision::Replaced
    };
    let offset = match own.first() {
        Some(block) => block.span.start + 1,
        None => insertions.iter().map(|(place, _)| *place).max().unwrap_or_default(),
    };
    let before = text.get(..offset).unwrap_or(text);
    let ends = before.iter().filter(|byte| **byte == b'\n').count();
    let line = ends + usize::from(before.last().is_some_and(|last| *last != b'\n'));
    Ok(Patched { line: u32::try_from(line).ok(), ..report.finish(new, decision) })
}

/// Whether `block` is what would be put in, at the right place or with nothing but blocks for other anchors between.
fn stands(text: &[u8], block: &Block, new: &str, clean: &[u8], place: usize, file: &Dockerfile) -> bool {
    let at = block.span.start;
    let between = insert::blocks(file).into_iter().filter(|other| place <= other.span.start && other.span.end <= at);
    let filled: usize = between.map(|other| other.span.len()).sum();
    let complete = clean.get(..place).is_some_and(|before| before.last().is_none_or(|last| *last == b'\n'));
    complete && place + filled == at && trim_end(&text[block.span.clone()]) == trim_end(new.as_bytes())
}

/// Notes and warnings on the way.
#[derive(Default)]
struct Report {
    notes: Vec<String>,
    warnings: Vec<String>,
}

impl Report {
    fn finish(self, text: Vec<u8>, decision: Decision) -> Patched {
        Patched { text, decision, line: None, notes: self.notes, warnings: self.warnings }
    }

    fn defects(&mut self, file: &Dockerfile) -> Result<(), DockerfileError> {
        for defect in &file.defects {
            self.warnings.push(match defect {
                Defect::DanglingContinuation(line) | Defect::UnterminatedHeredoc(line, _) => {
                    return Err(DockerfileError::OpenEnd(*line));
                }
                Defect::EmptyContinuation(line) => {
                    format!("line {line}: a blank line within a continued instruction; builders will refuse it")
                }
                Defect::InvalidEscape(line) => format!("line {line}: escape is neither `\\` nor a backtick; builders refuse it"),
            });
        }
        Ok(())
    }
}

/// The stage where the change belongs, its image, and the family.
struct Site {
    stage: usize,
    foundation: Foundation,
    family: Family,
}

/// Finds the stage whose store the target ends up with; `None` when there is no store.
fn site(
    text: &[u8],
    file: &Dockerfile,
    stages: &[Stage],
    request: &Patch,
    report: &mut Report,
) -> Result<Option<Site>, DockerfileError> {
    let mut target = target(stages, request)?;
    loop {
        let foundation = match (place::foundation(text, file, stages, target), request.family) {
            (Err(DockerfileError::UnresolvedBase(image, _)), Some(_)) => Foundation { family: None, image, guessed: None },
            (foundation, _) => foundation?,
        };
        // `--family` may be meant for the stage that the store is copied from; an image without shell gets none by it.
        let family = match foundation.family {
            bare @ Some(Family::Busybox | Family::Distroless | Family::Scratch) => bare,
            known => request.family.or(known),
        };
        let family = family.ok_or_else(|| DockerfileError::UnknownImage(foundation.image.clone()))?;
        if !matches!(family, Family::Busybox | Family::Distroless | Family::Scratch) {
            return Ok(Some(Site { stage: target, foundation, family }));
        }
        match place::copied_from(text, file, stages, target)? {
            Some(from) => {
                report.notes.push(format!(
                    "the store of {} is copied from {}, so the change belongs there",
                    title(stages, target),
                    title(stages, from)
                ));
                target = from;
            }
            None if family == Family::Distroless => return Ok(Some(Site { stage: target, foundation, family })),
            None => {
                report
                    .notes
                    .push(format!("{} is made of {family} and nothing copies a trust store into it", title(stages, target)));
                return Ok(None);
            }
        }
    }
}

/// The stage that was asked for. Our own stages don't count in numbers, so that the same command means the same after a patch.
fn target(stages: &[Stage], request: &Patch) -> Result<usize, DockerfileError> {
    let Some(wanted) = &request.stage else { return stages.len().checked_sub(1).ok_or(DockerfileError::NoStage) };
    let theirs: Vec<usize> = (0..stages.len()).filter(|number| !is_ours(&stages[*number])).collect();
    let by_name = stages.iter().rposition(|s| s.name.as_deref() == Some(&wanted.to_ascii_lowercase()));
    let by_number = || theirs.get(wanted.parse::<usize>().ok()?).copied();
    by_name.or_else(by_number).ok_or_else(|| {
        let name = |(number, at): (usize, &usize)| stages[*at].name.clone().unwrap_or_else(|| number.to_string());
        let names: Vec<String> = theirs.iter().enumerate().map(name).collect();
        DockerfileError::UnknownStage(wanted.clone(), names.join(", "))
    })
}

fn is_ours(stage: &Stage) -> bool {
    stage.name.as_deref().is_some_and(|name| name.starts_with(TRUST))
}

/// The items that belong to the stages in question, for finding blocks of earlier runs: the target's, those of the stage that its store
/// comes from, and our own stages directly before them.
fn reach(text: &[u8], file: &Dockerfile, request: &Patch) -> Result<Vec<Range<usize>>, DockerfileError> {
    let stages = file.stages(&request.build_arguments);
    let mut numbers: BTreeSet<usize> = place::chain(&stages, target(&stages, request)?).into_iter().collect();
    if let Some(site) = site(text, file, &stages, request, &mut Report::default())? {
        numbers.extend(place::chain(&stages, site.stage));
    }
    for number in numbers.clone() {
        numbers.extend((0..number).rev().take_while(|before| is_ours(&stages[*before])));
    }
    Ok(numbers.into_iter().map(|number| stages[number].from..stages[number].body.end).collect())
}

/// What goes in, and where (byte positions, in order).
fn plan(
    text: &[u8],
    file: &Dockerfile,
    request: &Patch,
    anchors: Vec<Anchor>,
    report: &mut Report,
) -> Result<Option<Vec<(usize, String)>>, DockerfileError> {
    let stages = file.stages(&request.build_arguments);
    let Some(site) = site(text, file, &stages, request, report)? else { return Ok(None) };
    let mut snippet = Snippet {
        family: site.family,
        anchors,
        upgrade: request.upgrade,
        cut_bundles: false,
        layout: insert::layout(text, file),
    };
    if is_ours(&stages[site.stage]) {
        return Err(DockerfileError::OtherAnchors(file.items[stages[site.stage].from].line));
    }
    tell_of_image(&site, request, report);
    if site.family == Family::Distroless {
        return through_trust_stage(file, &stages, &site, &snippet, report).map(Some);
    }
    let place = place::place(text, file, &stages, site.stage)?;
    snippet.cut_bundles = place.copied;
    let end = file.items[place.after].span.end;
    report.notes.push(format!("{}, {}", title(&stages, place.stage), place.reason));
    if place.stage != site.stage {
        report.notes.push(format!("{} inherits it", title(&stages, site.stage)));
    }
    for (at, item) in file.items.iter().enumerate() {
        if let Kind::Instruction(i) = &item.kind
            && i.keyword == "ONBUILD"
            && stages[place.stage].body.contains(&at)
        {
            report.notes.push(format!("line {}: ONBUILD acts in images built on this one; it is left alone", item.line));
        }
    }
    let new = as_root(&snippet, &place, snippet::snippet(&snippet)?, report);
    Ok(Some(vec![(end, new)]))
}

/// Puts the bundle of an image without shell through a stage with one.
fn through_trust_stage(
    file: &Dockerfile,
    stages: &[Stage],
    site: &Site,
    snippet: &Snippet,
    report: &mut Report,
) -> Result<Vec<(usize, String)>, DockerfileError> {
    let root = place::chain(stages, site.stage).last().copied().unwrap_or(site.stage);
    let numbered = file.instructions().find_map(|(_, item, i)| {
        let number: usize = i.flag("from")?.parse().ok()?;
        (number >= root).then_some(item.line)
    });
    if let Some(line) = numbered {
        return Err(DockerfileError::NumberedStage(line));
    }
    // An image that the build needs anyway, with a shell in it; else a small one.
    let carrier = stages.iter().take(root).find_map(|stage| match &stage.base {
        Base::Image(image) if Family::of_image(image).is_some_and(|f| f.advice().is_none()) && default_user(image).is_none() => {
            Some(stage.written.as_str())
        }
        _ => None,
    });
    let carrier = carrier.unwrap_or("debian:stable-slim");
    let from = &file.items[stages[root].from];
    report.notes.push(format!(
        "{} has no shell: its bundle goes through a stage of {carrier} and is copied back after line {}",
        title(stages, root),
        from.line
    ));
    report.warnings.push(
        "rebuilding on a newer base image is better than carrying a copy of its bundle; Java's cacerts is not changed".to_owned(),
    );
    let stage = &stages[root];
    let platform = match &from.kind {
        Kind::Instruction(i) => i.flag("platform").map(|p| format!("--platform={p} ")).unwrap_or_default(),
        _ => String::new(),
    };
    // Another stage may go through stages of ours already.
    let taken = |suffix: &String| stages.iter().any(|s| s.name.as_deref() == Some(&format!("{TRUST}trust{suffix}")));
    let mut suffixes = (1..).map(|n| if n == 1 { String::new() } else { format!("-{n}") });
    let suffix = suffixes.find(|suffix| !taken(suffix)).unwrap_or_default();
    let before = snippet::trust_stages(snippet, &format!("{platform}{}", stage.written), carrier, &suffix)?;
    Ok(vec![(from.span.start, before), (from.span.end, snippet::from_trust(snippet, &suffix))])
}

/// What a person should know of the image.
fn tell_of_image(site: &Site, request: &Patch, report: &mut Report) {
    let Foundation { image, guessed, .. } = &site.foundation;
    report.notes.push(format!("the image {image} is taken for {}", site.family));
    if let Some((tool, line)) = guessed
        && request.family.is_none()
    {
        report.warnings.push(format!("the name {image} says nothing; {} was concluded from {tool} in line {line}", site.family));
    }
    let by_name = Family::of_image(image);
    if let (Some(given), Some(by_name)) = (request.family, by_name)
        && given != by_name
    {
        report.warnings.push(format!("--family says {given}, but the name {image} looks like {by_name}"));
    }
    if image.contains('@') {
        report.warnings.push(format!("{image} is pinned by digest: no rebuild ever brings a newer store"));
    }
}

/// Around instructions that need root, where another user is in force.
fn as_root(snippet: &Snippet, place: &Place, text: String, report: &mut Report) -> String {
    let Some(user) = &place.user else { return text };
    let newline = if snippet.layout.crlf { "\r\n" } else { "\n" };
    let keyword = if snippet.layout.lower_case { "user" } else { "USER" };
    report.notes.push(format!("the user there is {user}: USER root before and USER {user} after the instruction"));
    // Inside the marks, so that a later run finds them.
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    let root = format!("{keyword} root{newline}");
    let back = format!("{keyword} {user}{newline}");
    let comments = lines.iter().take_while(|line| line.starts_with('#')).count();
    lines.insert(comments, &root);
    lines.insert(lines.len() - 1, &back);
    lines.concat()
}

fn title(stages: &[Stage], number: usize) -> String {
    match stages.get(number).and_then(|s| s.name.as_ref()) {
        Some(name) => format!("stage `{name}`"),
        None if stages.len() == 1 => "the only stage".to_owned(),
        None => format!("stage {number}"),
    }
}

fn trim_end(text: &[u8]) -> &[u8] {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    text.strip_suffix(b"\r").unwrap_or(text)
}
