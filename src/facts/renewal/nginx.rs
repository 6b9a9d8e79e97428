//! What an nginx (or a server of its grammar: OpenResty, Tengine, NJet) is told.
//!
//! [`Instance::directives`] is the configuration as nginx sees it, with every `include` replaced by what it names. What that means for
//! a request is for [`crate::nginx`].

mod pair;

use std::ops::Range;

use crate::base::{At, Fingerprint, TreePath};
pub use pair::{Key, KeyState, Leaves, Pair, PemFile, PemState};

/// The servers of this family here.
#[derive(Clone, Debug, Default)]
pub struct Nginx {
    /// Each running one; where none runs, each configuration in a usual place.
    pub instances: Vec<Instance>,
}

/// One server: its configuration, and what else it left.
#[derive(Clone, Debug)]
pub struct Instance {
    /// The program's name: `nginx`, `openresty`, `njet`.
    pub program: String,
    /// The main configuration file. `include`, `ssl_certificate` and the like count from its directory.
    pub conf: TreePath,
    /// The directory that `root`, `alias` and logs count from; `None` when it is compiled in and not known here.
    pub prefix: Option<TreePath>,
    /// The running master.
    pub master: Option<Master>,
    /// The files read, the main one first; a file that is included twice is there once.
    pub files: Vec<ConfFile>,
    /// The configuration, includes in place.
    pub directives: Vec<Directive>,
    /// What can't be read as nginx's grammar, or not at all: nginx would not start with it.
    pub defects: Vec<Defect>,
    /// What was not read for want of permission, or beyond a bound of this program: nginx itself may well read it.
    pub unread: Vec<Defect>,
    /// Every certificate that is named, with its key.
    pub pairs: Vec<Pair>,
    /// The newest lines of the error log that say `[emerg]`, oldest first.
    pub emergencies: Vec<LogLine>,
    /// What is known of directories that challenges are served from.
    pub directories: Vec<Directory>,
}

/// A running master process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Master {
    /// Its number.
    pub pid: u32,
    /// The program, for `-t`.
    pub exe: Option<TreePath>,
    /// The arguments that name its configuration: `-c`, `-p`, `-g` with their values.
    pub arguments: Vec<String>,
    /// When its youngest worker started; a reload starts new ones.
    pub youngest_worker: Option<At>,
}

/// A file of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfFile {
    /// As it was named.
    pub path: TreePath,
    /// Where links lead: what a patch changes.
    pub real: TreePath,
    /// The SHA-256 of what was read.
    pub read: Fingerprint,
    /// What was read.
    pub bytes: Vec<u8>,
}

/// A simple directive, or one with a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directive {
    /// Its name, then its arguments.
    pub words: Vec<Word>,
    /// Index into [`Instance::files`].
    pub file: usize,
    /// Line of its name, from 1.
    pub line: u32,
    /// From its name to its `;` or `}`, both included.
    pub span: Range<usize>,
    /// What stands in its braces.
    pub block: Option<Block>,
}

/// What stands between braces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The bytes between them.
    pub inner: Range<usize>,
    /// The directives; none for a block of another language (`content_by_lua_block`).
    pub directives: Vec<Directive>,
}

/// One word, without its quotes and escapes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// Its text; bytes that are no UTF-8 are replaced by U+FFFD.
    pub text: String,
    /// Where it stands, with its quotes.
    pub span: Range<usize>,
}

/// A place that stops nginx.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defect {
    /// The file.
    pub path: TreePath,
    /// Line, from 1; `None` for a file that can't be read.
    pub line: Option<u32>,
    /// What, in nginx's words where it has some.
    pub what: String,
}

/// A line of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// The log.
    pub path: TreePath,
    /// Line, from 1, in what was read: the whole file, or its end.
    pub line: u32,
    /// When, in the log's own time zone, which nginx does not write: `2026/11/22 00:28:50`.
    pub time: String,
    /// When that was, where the time of the file tells how far that zone is off.
    pub at: Option<At>,
    /// The process that wrote it.
    pub pid: Option<u32>,
    /// From the level on.
    pub text: String,
}

/// A directory on the way to a challenge's file, and whether nginx's workers may pass it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    /// The directory that a configuration names.
    pub path: TreePath,
    /// Where links lead.
    pub real: TreePath,
    /// Whether it is there.
    pub exists: bool,
    /// The first directory on the way that the workers' user may not enter, with its permission bits; they can't read below it.
    pub closed: Option<(TreePath, u32)>,
}

impl Directive {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.words.first().map_or("", |w| &w.text)
    }

    /// Its arguments.
    pub fn arguments(&self) -> impl Iterator<Item = &str> {
        self.words.iter().skip(1).map(|w| w.text.as_str())
    }

    /// Its n-th argument, from 0.
    #[must_use]
    pub fn argument(&self, n: usize) -> Option<&str> {
        self.words.get(n + 1).map(|w| w.text.as_str())
    }

    /// What stands in its braces; nothing for a simple one.
    #[must_use]
    pub fn children(&self) -> &[Directive] {
        self.block.as_ref().map_or(&[], |b| &b.directives)
    }

    /// Its children of this name.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Directive> {
        named(self.children(), name)
    }
}

/// Those of these directives that have this name.
pub fn named<'a>(directives: &'a [Directive], name: &'a str) -> impl Iterator<Item = &'a Directive> {
    directives.iter().filter(move |d| d.name() == name)
}

impl Instance {
    /// Whether one of its files is among these.
    #[must_use]
    pub fn reads(&self, paths: &[TreePath]) -> bool {
        self.files.iter().any(|f| paths.contains(&f.path) || paths.contains(&f.real))
    }

    /// One of which nothing was read yet.
    #[must_use]
    pub fn new(program: &str, conf: TreePath, prefix: Option<TreePath>) -> Self {
        Instance {
            program: program.to_owned(),
            conf,
            prefix,
            master: None,
            files: Vec::new(),
            directives: Vec::new(),
            defects: Vec::new(),
            unread: Vec::new(),
            pairs: Vec::new(),
            emergencies: Vec::new(),
            directories: Vec::new(),
        }
    }

    /// Whether the configuration can be read to its end: only then it can be said what it does.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.defects.is_empty() && self.unread.is_empty() && !self.files.is_empty()
    }

    /// Where a directive stands.
    #[must_use]
    pub fn path_of(&self, directive: &Directive) -> &TreePath {
        self.files.get(directive.file).map_or(&self.conf, |f| &f.path)
    }

    /// A path that counts from the directory of the main file: of a certificate, or an include.
    #[must_use]
    pub fn from_conf(&self, path: &str) -> TreePath {
        self.conf.parent().join(path)
    }

    /// A path that counts from the prefix: of `root`, or a log. `None` where the prefix is not known.
    #[must_use]
    pub fn from_prefix(&self, path: &str) -> Option<TreePath> {
        if path.starts_with('/') { Some(TreePath::new(path)) } else { self.prefix.as_ref().map(|p| p.join(path)) }
    }

    /// The command that asks this server whether it accepts its configuration.
    #[must_use]
    pub fn test_command(&self) -> Vec<String> {
        let exe = self.master.as_ref().and_then(|m| m.exe.as_ref()).map_or_else(|| self.program.clone(), ToString::to_string);
        let mut argv = vec![exe.strip_suffix(" (deleted)").map_or(exe.clone(), str::to_owned), "-t".to_owned()];
        match &self.master {
            Some(master) => argv.extend(master.arguments.iter().cloned()),
            None => argv.extend(["-c".to_owned(), self.conf.to_string()]),
        }
        argv
    }
}
