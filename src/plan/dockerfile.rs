//! The fix as a Dockerfile instruction, and where in a Dockerfile it belongs.
//!
//! Values in, values out: [`snippet()`] makes the `RUN` for a family of images, [`patch()`] puts it into the stage where it takes effect. The
//! script is POSIX sh (dash, busybox ash), asks nothing of the network, and fails the build when an anchor is still trusted after it.
//! Absent on purpose: here-documents in what is put in (Docker's older builder and buildah before 1.33 refuse `RUN <<EOF`), and every switch that turns
//! a verification off.

mod anchor;
mod family;
mod insert;
mod patch;
mod place;
mod snippet;

pub use anchor::{Anchor, certdata_file_name};
pub use family::{Family, default_user};
pub use patch::{Decision, Patch, Patched, patch};
pub use snippet::{Layout, Snippet, shell_script, snippet};

use crate::base::Fingerprint;

/// Why no instruction can be given, and what to do instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DockerfileError {
    /// No anchor was asked for.
    #[error("no anchor to remove; name one with --anchor, or look at a tree that holds one with --root")]
    NoAnchor,
    /// The tree does not hold the anchor.
    #[error("no store of this tree holds the certificate {0}")]
    AbsentAnchor(Fingerprint),
    /// An administrator put the anchor there; its path.
    #[error("{0} was put there by an administrator and may be a corporate CA; change the instruction that brings it in")]
    LocalAnchor(String),
    /// The Dockerfile has no `FROM`.
    #[error("no FROM in this Dockerfile; give a Dockerfile, or ask for the snippet alone with --base IMAGE")]
    NoStage,
    /// `--stage` names none; the names that exist.
    #[error("no stage `{0}` in this Dockerfile; it has {1}")]
    UnknownStage(String, String),
    /// The base image depends on variables without value; the text, the variables.
    #[error(
        "the base image `{0}` depends on {1}, which has no default; give it with --build-arg, or name the family with --family"
    )]
    UnresolvedBase(String, String),
    /// An image that the table does not know.
    #[error(
        "can't tell which distribution the image `{0}` is made of; name it with --family debian or --family alpine, or give its tree with --root"
    )]
    UnknownImage(String),
    /// The file ends within an instruction, so that anything put after it would become part of it; the line.
    #[error("the instruction in line {0} has no end (a here-document or a continuation is open); mend that first")]
    OpenEnd(u32),
    /// A family without a recipe; what to do instead.
    #[error("{0}: {1}")]
    Unsupported(Family, &'static str),
    /// A name that can't stand in a script as it is.
    #[error("the name `{0}` holds characters that need quoting in a shell; deselect it by hand in /etc/ca-certificates.conf")]
    OddName(String),
    /// The shell of the stage is none that reads the script.
    #[error("SHELL {0} is in force where the instruction belongs; put a SHELL [\"/bin/sh\", \"-c\"] before it")]
    ForeignShell(String),
    /// The store is copied from an image that is no stage of this file; the line of the COPY.
    #[error(
        "line {0} copies the store from the image `{1}`; give that image a stage of its own (FROM {1} AS trust), copy from there, and run this again"
    )]
    CopiedFromImage(u32, String),
    /// The store is copied from the build context; the line, the file.
    #[error("line {0} copies the store from the build context; cut the anchor out of `{1}` there")]
    CopiedFromContext(u32, String),
    /// The store is written from the Dockerfile itself; the line.
    #[error("line {0} writes the store from a here-document; cut the anchor out of the lines that follow it")]
    CopiedFromHeredoc(u32),
    /// Another run took the same bundle through stages of ours for other anchors; the line.
    #[error(
        "line {0} removes other anchors from the same bundle, and the two would undo each other; name all anchors in one run"
    )]
    OtherAnchors(u32),
    /// A stage is named by its number, which a new stage before it would change; the line.
    #[error(
        "line {0} names a stage by its number, and a new stage is needed before it; give the stage a name (FROM … AS name) first"
    )]
    NumberedStage(u32),
}
