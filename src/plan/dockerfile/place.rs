//! Where in a Dockerfile the instruction takes effect.

use super::{DockerfileError, Family, default_user, insert};
use crate::format::dockerfile::{Base, Dockerfile, Instruction, Kind, Stage};

/// A place for the instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The stage.
    pub(super) stage: usize,
    /// The item after which it goes.
    pub(super) after: usize,
    /// The user in force there, where that is not root.
    pub(super) user: Option<String>,
    /// Whether the store (or a part of it) was copied from another stage.
    pub(super) copied: bool,
    /// Why here, for people.
    pub(super) reason: String,
}

/// What a stage's own files are made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Foundation {
    /// The family, where it is known.
    pub(super) family: Option<Family>,
    /// The image or `scratch`, variables replaced.
    pub(super) image: String,
    /// Set when the family was guessed from a package manager: what was seen, and the line.
    pub(super) guessed: Option<(&'static str, u32)>,
}

/// The stages that `target` consists of, itself first, the one with the image last.
pub(super) fn chain(stages: &[Stage], target: usize) -> Vec<usize> {
    let mut chain = vec![target];
    let mut at = target;
    while let Some(Stage { base: Base::Stage(below), .. }) = stages.get(at) {
        chain.push(*below);
        at = *below;
    }
    chain
}

/// The image under `target`, and its family: by its name, else by the package manager that the stages call.
///
/// # Errors
/// [`DockerfileError::UnresolvedBase`] when variables are missing and no package manager gives the family away.
pub(super) fn foundation(text: &[u8], file: &Dockerfile, stages: &[Stage], target: usize) -> Result<Foundation, DockerfileError> {
    let chain = chain(stages, target);
    let root = chain.last().and_then(|at| stages.get(*at)).ok_or(DockerfileError::NoStage)?;
    let guessed = chain.iter().rev().find_map(|stage| guess(text, file, &stages[*stage]));
    match &root.base {
        Base::Scratch | Base::Stage(_) => {
            Ok(Foundation { family: Some(Family::Scratch), image: "scratch".to_owned(), guessed: None })
        }
        Base::Image(image) => match Family::of_image(image) {
            Some(family) => Ok(Foundation { family: Some(family), image: image.clone(), guessed: None }),
            None => Ok(Foundation {
                family: guessed.map(|(family, ..)| family),
                image: image.clone(),
                guessed: guessed.map(|(_, tool, line)| (tool, line)),
            }),
        },
        Base::Unresolved(_, missing) => match guessed {
            Some((family, tool, line)) => {
                Ok(Foundation { family: Some(family), image: root.written.clone(), guessed: Some((tool, line)) })
            }
            None => Err(DockerfileError::UnresolvedBase(root.written.clone(), missing.join(", "))),
        },
    }
}

/// The family whose package manager a stage calls.
fn guess(text: &[u8], file: &Dockerfile, stage: &Stage) -> Option<(Family, &'static str, u32)> {
    file.items[stage.body.clone()].iter().find_map(|item| {
        let Kind::Instruction(instruction) = &item.kind else { return None };
        if instruction.keyword != "RUN" {
            return None;
        }
        let script = script(text, instruction);
        let words = command_words(&script);
        let tools = [
            ("apk", Family::Alpine),
            ("apt-get", Family::Debian),
            ("dnf", Family::RedHat),
            ("microdnf", Family::RedHat),
            ("pacman", Family::Arch),
            ("yum", Family::RedHat),
            ("zypper", Family::Suse),
        ];
        let found = tools.into_iter().find(|(tool, _)| words.contains(tool))?;
        Some((found.1, found.0, item.line))
    })
}

/// Where the instruction goes for `target`: after the last instruction that may bring the store in or change it, in whichever of the
/// target's stages that is; else directly after the `FROM` of the image. So it comes before anything that drops root, and before what
/// talks to the network.
pub(super) fn place(text: &[u8], file: &Dockerfile, stages: &[Stage], target: usize) -> Result<Place, DockerfileError> {
    let chain = chain(stages, target);
    let copied = |stage: &Stage| {
        instructions(file, stage).any(|(_, i)| i.flag("from").is_some() && touches_store(text, i).is_some() && i.keyword != "RUN")
    };
    let copied = chain.iter().any(|stage| copied(&stages[*stage]));
    // Our own instructions for other anchors don't count: else two of them would swap places with every run.
    let ours = insert::blocks(file);
    let last = chain.iter().find_map(|number| {
        let changing = |(at, i): (usize, &Instruction)| {
            let counts = !ours.iter().any(|block| block.items.contains(&at));
            touches_store(text, i).filter(|_| counts).map(|why| (*number, at, why))
        };
        instructions(file, &stages[*number]).filter_map(changing).last()
    });
    let (stage, after, reason) = match last {
        Some((stage, after, why)) => (stage, after, format!("after line {}, which {why}", file.items[after].line)),
        None => {
            let stage = chain.last().copied().unwrap_or(target);
            let after = stages[stage].from;
            (
                stage,
                after,
                format!("after line {}, the FROM of the image: nothing later changes its store", file.items[after].line),
            )
        }
    };
    if let Some(shell) = file.shell_before(stages, stage, after + 1) {
        let program = shell.first().map_or("", |p| p.rsplit('/').next().unwrap_or(p));
        if !matches!(program, "ash" | "bash" | "busybox" | "dash" | "ksh" | "sh" | "zsh") {
            return Err(DockerfileError::ForeignShell(format!("{shell:?}")));
        }
    }
    Ok(Place { stage, after, user: user_at(stages, stage, after + 1).filter(|user| !is_root(user)), copied, reason })
}

/// The stage that the store of `target` is copied from, for targets that have none of their own; `None` when nothing brings one.
pub(super) fn copied_from(
    text: &[u8],
    file: &Dockerfile,
    stages: &[Stage],
    target: usize,
) -> Result<Option<usize>, DockerfileError> {
    for number in chain(stages, target) {
        let copies = instructions(file, &stages[number]).filter(|(_, i)| matches!(i.keyword.as_str(), "ADD" | "COPY"));
        let Some((at, copy)) = copies.filter(|(_, i)| touches_store(text, i).is_some()).last() else { continue };
        let line = file.items[at].line;
        return match copy.flag("from") {
            Some(reference) => match Stage::find(&stages[..number], reference) {
                Some(from) => Ok(Some(from)),
                None => Err(DockerfileError::CopiedFromImage(line, reference.to_owned())),
            },
            None if !copy.heredocs.is_empty() => Err(DockerfileError::CopiedFromHeredoc(line)),
            None => Err(DockerfileError::CopiedFromContext(line, copy.words().first().cloned().unwrap_or_default())),
        };
    }
    Ok(None)
}

/// The instructions of a stage after its `FROM`.
fn instructions<'a>(file: &'a Dockerfile, stage: &Stage) -> impl Iterator<Item = (usize, &'a Instruction)> {
    stage.body.clone().filter_map(|at| match &file.items[at].kind {
        Kind::Instruction(instruction) => Some((at, instruction)),
        _ => None,
    })
}

/// How an instruction may bring a trust store in or change it; `None` when it does not look so. `ONBUILD` acts in other builds only.
fn touches_store(text: &[u8], instruction: &Instruction) -> Option<&'static str> {
    match instruction.keyword.as_str() {
        "RUN" => {
            let script = script(text, instruction);
            let words = command_words(&script);
            let any = |wanted: &[&str]| words.iter().any(|word| wanted.contains(word));
            let installs = (any(&["apt", "apt-get", "aptitude"])
                && any(&["build-dep", "dist-upgrade", "full-upgrade", "install", "safe-upgrade", "upgrade"]))
                || (any(&["apk"]) && any(&["add", "fix", "upgrade"]))
                || (any(&["dpkg"]) && any(&["--install", "-i"]));
            if script.contains("ca-certificates") || script.contains("/etc/ssl") {
                Some("changes the trust store")
            } else {
                installs.then_some("installs packages")
            }
        }
        "ADD" | "COPY" => {
            let words = instruction.words();
            let (target, sources) = words.split_last()?;
            let bare = target.trim_end_matches('/');
            let store = ["/etc/ssl", "/etc/ca-certificates", "/usr/share/ca-certificates", "/usr/local/share/ca-certificates"];
            let brings = store.iter().any(|path| bare.starts_with(path))
                // A whole tree over the root, or over a directory above a store: `COPY --from=rootfs / /`, `ADD rootfs.tar.gz /`
                || (bare.is_empty() && (sources.iter().any(|s| whole_tree(s)) || sources.is_empty()))
                || bare == "/etc"
                || (sources.iter().any(|s| s.contains("/ssl/cert") || s.contains("ca-certificates")) && target.starts_with('/'));
            brings.then_some("copies files into the trust store")
        }
        _ => None,
    }
}

/// What a `RUN` may run: its words, and its here-documents.
fn script(text: &[u8], run: &Instruction) -> String {
    let mut script = run.words().join(" ");
    for heredoc in &run.heredocs {
        script.push('\n');
        script.push_str(&String::from_utf8_lossy(&text[heredoc.body.clone()]));
    }
    script
}

/// Whether the source of a copy to `/` may be a root file system.
fn whole_tree(source: &str) -> bool {
    let name = source.trim_end_matches(['/', '.']);
    name.is_empty() || name.contains("root") || name.contains(".tar") || name.ends_with(".tgz") || source.ends_with('/')
}

/// Words as they may name commands and their verbs.
fn command_words(script: &str) -> Vec<&str> {
    let part = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    script.split(|c| !part(c)).map(|word| word.rsplit('/').next().unwrap_or(word)).filter(|word| !word.is_empty()).collect()
}

/// The user in force before item `at` of a stage: from the stage, from those below, from what is known of the image; `None` is taken
/// for root, as it is in images that say nothing.
fn user_at(stages: &[Stage], stage: usize, at: usize) -> Option<String> {
    let here = stages.get(stage)?;
    match (here.user_before(at), &here.base) {
        (Some(user), _) => Some(user.to_owned()),
        (None, Base::Stage(below)) => user_at(stages, *below, stages.get(*below)?.body.end),
        (None, Base::Image(image)) => default_user(image).map(str::to_owned),
        (None, Base::Scratch | Base::Unresolved(..)) => None,
    }
}

/// Whether `USER` names root. A variable may name anybody.
fn is_root(user: &str) -> bool {
    let name = user.trim_matches(['"', '\'']).split(':').next().unwrap_or_default();
    matches!(name, "root" | "0")
}
