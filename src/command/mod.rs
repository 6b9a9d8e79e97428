//! One file is one subcommand; each composes gathering, judging, planning and rendering.
//!
//! A command never prints and never exits: it hands back an [`Outcome`], and `main` writes it.

pub mod ansible_module;
mod demo;
mod diagnose;
mod dockerfile;
mod explain;
mod fix;
mod generate;
mod list;
mod naming;
mod renewal;
mod scan;
mod session;
pub mod target;
mod undo;
mod verify;

use std::ffi::OsString;

use clap::ValueEnum as _;

use crate::{
    base::At,
    cli::{Cli, Command, Format},
    host::{Dial, Env, Exec},
    render,
};

pub use session::{Failure, Session};

/// What this machine lends to a command.
pub struct Machine<'a> {
    /// The instant now.
    pub now: At,
    /// The environment at the start.
    pub env: Env,
    /// Running programs.
    pub exec: &'a dyn Exec,
    /// Talking to servers.
    pub dial: &'a dyn Dial,
    /// What standard input holds, for the commands that read it; asked for at most once.
    pub stdin: &'a (dyn Fn() -> std::io::Result<Vec<u8>> + Sync),
    /// The columns of the terminal that the report goes to; `None` when it goes to none, and then no line is broken.
    pub width: Option<usize>,
}

/// What a command has to say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// For standard output.
    pub out: Vec<u8>,
    /// For standard error.
    pub err: String,
    /// The exit status: 0, 1, 2 or 3 (see `docs/`, and `certdoctor --help`).
    pub status: u8,
}

impl Outcome {
    /// Text and nothing to complain about.
    #[must_use]
    pub fn text(out: impl Into<Vec<u8>>) -> Self {
        Outcome { out: out.into(), err: String::new(), status: 0 }
    }

    /// The tool could not do what was asked: what, and what to do.
    #[must_use]
    pub fn error(message: impl std::fmt::Display) -> Self {
        Outcome { out: Vec::new(), err: format!("error: {message}\n"), status: 2 }
    }
}

/// Runs one command. `color` is the decision for `--color auto`.
#[must_use]
pub fn run(machine: &Machine<'_>, cli: Cli, color: bool) -> Outcome {
    let color = match cli.global.color {
        crate::cli::Color::Auto => color,
        crate::cli::Color::Always => true,
        crate::cli::Color::Never => false,
    };
    let global = cli.global;
    let has_the_form = matches!(cli.command, Command::Inspect { .. });
    if global.format == Format::SClient && !has_the_form {
        return failed(global.format, "--format s_client is for inspect only; write --format human or json");
    }
    let prints_text = matches!(cli.command, Command::Demo { .. } | Command::Explain { .. } | Command::Generate { .. });
    if prints_text && global.format != Format::Human {
        return failed(global.format, "this command prints text only: leave --format out");
    }
    let has_no_report = match &cli.command {
        Command::Dockerfile(args) => args.file.is_none(),
        command => matches!(command, Command::List { .. } | Command::Undo { .. }),
    };
    if has_no_report && !matches!(global.format, Format::Human | Format::Json) {
        return failed(global.format, "this command has no report: write --format human or json");
    }
    let writes = match &cli.command {
        Command::Fix { fix, .. } => fix.apply,
        Command::Renewal { renewal, .. } => renewal.apply,
        Command::Undo { .. } => true,
        _ => false,
    };
    if writes && global.image.is_some() {
        let how = match &cli.command {
            Command::Renewal { .. } => "renewal --diff prints what its build is to change",
            _ => "certdoctor dockerfile prints the RUN line, and patches a Dockerfile",
        };
        return failed(global.format, &format!("an image is changed by building it anew: {how}"));
    }
    use diagnose::Besides;
    let session = |connection: crate::cli::Connection| Session::open(machine, global.clone(), connection, color);
    let result = match cli.command {
        Command::Inspect { targets, connection, showcerts, compare } => {
            let besides = Besides { showcerts, compare, ..Besides::default() };
            session(connection).and_then(|s| diagnose::run(&s, "inspect", &targets, besides))
        }
        Command::Diagnose { targets, horizon, connection } => {
            let besides = Besides { horizon, ..Besides::default() };
            session(connection).and_then(|s| diagnose::run(&s, "diagnose", &targets, besides))
        }
        Command::Scan { within } => session(Default::default()).and_then(|s| scan::run(&s, within)),
        Command::Fix { targets, connection, fix } => session(connection).and_then(|s| fix::run(&s, &targets, &fix)),
        Command::Renewal { names, renewal: args } => session(Default::default()).and_then(|s| renewal::run(&s, &names, &args)),
        Command::Undo { id, list, backup_dir, force } => session(Default::default())
            .and_then(|s| undo::run(&s, &undo::Request { id: id.as_deref(), list, backup_dir: backup_dir.as_deref(), force })),
        Command::Dockerfile(args) => session(Default::default()).and_then(|s| dockerfile::run(&s, &args)),
        Command::Verify { targets, connection } => session(connection).and_then(|s| verify::run(&s, &targets)),
        Command::Explain { code } => explain::run(code.as_deref()),
        Command::List { what } => Ok(list::run(what, global.format)),
        Command::Demo { scenario } => demo::run(machine, scenario, color).map_err(Failure::from),
        Command::Generate { what } => Ok(generate::run(&what)),
    };
    result.unwrap_or_else(|failure| failed(global.format, &failure.0))
}

/// The tool could not do what was asked, in a form's own words: who reads a machine's form reads no standard error.
fn failed(format: Format, why: &str) -> Outcome {
    let out = match format {
        Format::Ansible => render::configuration::ansible_failure(why),
        Format::Nagios => render::nagios::unknown(why),
        Format::Salt => render::configuration::salt_failure(why),
        _ => return Outcome::error(why),
    };
    let status = if format == Format::Nagios { 3 } else { 2 };
    Outcome { out: out.into_bytes(), status, ..Outcome::error(why) }
}

/// The form that is asked for on a line that can't be parsed.
fn format_in(words: &[OsString]) -> Format {
    let words: Vec<&str> = words.iter().map_while(|word| word.to_str()).take_while(|word| *word != "--").collect();
    let follows = words.windows(2).filter(|pair| pair[0] == "--format").map(|pair| pair[1]);
    let named = follows.chain(words.iter().filter_map(|word| word.strip_prefix("--format="))).last();
    named.and_then(|name| Format::from_str(name, false).ok()).unwrap_or(Format::Human)
}

/// Parses a command line and runs it: what a person would have typed.
#[must_use]
pub fn run_line<T: AsRef<std::ffi::OsStr>>(machine: &Machine<'_>, line: &[T], color: bool) -> Outcome {
    if let Some(outcome) = ansible_module::run(machine, line) {
        return outcome;
    }
    let words: Vec<OsString> = line.iter().map(|word| OsString::from(word.as_ref())).collect();
    match Cli::of(&words) {
        Ok(cli) => run(machine, cli, color),
        Err(error) => {
            let rendered = error.render();
            let plain = rendered.to_string();
            let text = if color { rendered.ansi().to_string() } else { plain.clone() };
            // Help and version are answers, not errors.
            if !error.use_stderr() {
                return Outcome::text(text);
            }
            // What is wrong stands before the usage.
            let why: Vec<&str> = plain.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
            let why = why.join(" ");
            Outcome { err: text, ..failed(format_in(&words), why.strip_prefix("error: ").unwrap_or(&why)) }
        }
    }
}
