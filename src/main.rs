//! The thin binary: arguments in, one run, output out, and the only exit.
#![expect(clippy::disallowed_methods, reason = "NO_COLOR decides about this terminal")]

mod runtime;

use std::{
    io::{self, IsTerminal as _, Write as _},
    process::ExitCode,
};

use certdoctor::{
    command::{self, Machine},
    host::{Env, LiveDial, LiveExec, clock, interrupt, stdin, terminal},
};

fn main() -> ExitCode {
    interrupt::watch();
    let line: Vec<std::ffi::OsString> = std::env::args_os().collect();
    let stdin = || stdin::read(certdoctor::base::Limits::DEFAULT.file);
    let machine = Machine {
        now: clock::now(),
        env: Env::snapshot(),
        exec: &LiveExec,
        dial: &LiveDial::default(),
        stdin: &stdin,
        width: terminal::width(),
    };
    // https://no-color.org: any value that is not empty.
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
    let outcome = command::run_line(&machine, &line, io::stdout().is_terminal() && !no_color);
    let written = io::stdout().lock().write_all(&outcome.out).and_then(|()| io::stdout().lock().flush());
    let _ = io::stderr().lock().write_all(outcome.err.as_bytes());
    match written {
        // A reader that has seen enough is no failure.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => ExitCode::from(2),
        _ => ExitCode::from(interrupt::status().unwrap_or(outcome.status)),
    }
}
