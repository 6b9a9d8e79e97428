//! Running programs of this host: no shell, a deadline, and nothing left behind at the deadline.
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "running programs, with a deadline")]

use std::{
    io::{self, Read, Write},
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group};

use super::{Exec, Output};
use crate::base::Limits;

/// How long we listen to a pipe that somebody else still holds open after the program has ended: a daemon that it started.
const ECHO: Duration = Duration::from_millis(200);

/// This host's programs.
#[derive(Clone, Copy, Debug, Default)]
pub struct LiveExec;

impl Exec for LiveExec {
    /// The program gets its own process group, and at the deadline all of the group is killed. Of each output, 16 MiB
    /// ([`Limits::file`]) are kept; the rest is read and dropped, so that the program doesn't block.
    fn run(&self, argv: &[&str], stdin: &[u8], env: &[(&str, Option<&str>)], seconds: u64) -> io::Result<Output> {
        let (program, arguments) =
            argv.split_first().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no program named"))?;
        let mut command = Command::new(program);
        command.args(arguments).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        for (name, value) in env {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let deadline = Instant::now() + Duration::from_secs(seconds);
        let mut child = command.spawn()?;

        if let Some(mut pipe) = child.stdin.take() {
            let stdin = stdin.to_vec();
            // A program need not read all of its input, or any: a broken pipe is its own business.
            thread::spawn(move || pipe.write_all(&stdin));
        }
        let stdout = child.stdout.take().map(Listener::start);
        let stderr = child.stderr.take().map(Listener::start);
        let Some(status) = wait(&mut child, deadline)? else {
            kill_group(&child);
            child.wait()?;
            return Err(io::Error::new(io::ErrorKind::TimedOut, format!("`{program}` did not end within {seconds} s")));
        };
        let echo = deadline.min(Instant::now() + ECHO);
        let heard = |listener: Option<Listener>| listener.map(|l| l.heard(echo)).unwrap_or_default();
        Ok(Output { status: status.code(), stdout: heard(stdout), stderr: heard(stderr) })
    }
}

/// Waits until the deadline; `None` when it passed. There is no wait with a deadline in POSIX: this asks at growing intervals, the
/// first after a tenth of a millisecond.
fn wait(child: &mut Child, deadline: Instant) -> io::Result<Option<std::process::ExitStatus>> {
    let mut pause = Duration::from_micros(100);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        let Some(left) = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) else {
            return Ok(None);
        };
        thread::sleep(pause.min(left));
        pause = (pause * 2).min(Duration::from_millis(10));
    }
}

fn kill_group(child: &Child) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // It ended by itself in the meantime, if there is no such group.
        let _ = kill_process_group(group, Signal::KILL);
    }
}

/// A thread that reads one pipe to its end.
struct Listener {
    heard: Arc<Mutex<Vec<u8>>>,
    done: mpsc::Receiver<()>,
}

impl Listener {
    fn start(mut pipe: impl Read + Send + 'static) -> Listener {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (sender, done) = mpsc::channel();
        let into = heard.clone();
        thread::spawn(move || {
            let limit = usize::try_from(Limits::DEFAULT.file).unwrap_or(usize::MAX);
            let mut chunk = vec![0; 64 << 10];
            loop {
                match pipe.read(&mut chunk) {
                    Ok(0) => break,
                    Ok(n) => {
                        let mut into = into.lock().unwrap_or_else(PoisonError::into_inner);
                        let room = limit.saturating_sub(into.len()).min(n);
                        into.extend_from_slice(&chunk[..room]);
                    }
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(_) => break,
                }
            }
            // Nobody waits any more after the deadline.
            let _ = sender.send(());
        });
        Listener { heard, done }
    }

    /// What came until the pipe's end, or until `until`.
    fn heard(self, until: Instant) -> Vec<u8> {
        // Either the end or the deadline: what was heard is what there is.
        let _ = self.done.recv_timeout(until.saturating_duration_since(Instant::now()));
        std::mem::take(&mut *self.heard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(argv: &[&str], stdin: &[u8], env: &[(&str, Option<&str>)], seconds: u64) -> io::Result<Output> {
        LiveExec.run(argv, stdin, env, seconds)
    }

    #[test]
    fn gives_input_and_takes_both_outputs() {
        let output = run(&["sh", "-c", "cat; echo oops >&2; exit 3"], b"hello", &[], 10).expect("runs");
        assert_eq!(output, Output { status: Some(3), stdout: b"hello".to_vec(), stderr: b"oops\n".to_vec() });
    }

    #[test]
    fn no_shell_reads_the_arguments() {
        let output = run(&["printf", "%s", "$(id) `id` ; *"], b"", &[], 10).expect("runs");
        assert_eq!(output.stdout, b"$(id) `id` ; *");
    }

    #[test]
    fn sets_and_removes_variables() {
        let script = ["sh", "-c", "echo ${A-unset} ${HOME-unset}"];
        let output = run(&script, b"", &[("A", Some("1")), ("HOME", None)], 10).expect("runs");
        assert_eq!(output.stdout, b"1 unset\n");
    }

    #[test]
    fn says_what_is_missing() {
        assert_eq!(run(&["/no/such/program"], b"", &[], 1).expect_err("runs").kind(), io::ErrorKind::NotFound);
        assert_eq!(run(&[], b"", &[], 1).expect_err("runs").kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn large_outputs_do_not_block_and_are_bounded() {
        let output = run(&["sh", "-c", "head -c 300000 /dev/zero; head -c 20000000 /dev/zero >&2"], b"", &[], 30).expect("runs");
        assert_eq!((output.status, output.stdout.len(), output.stderr.len()), (Some(0), 300_000, 16 << 20));
    }

    #[test]
    fn input_that_nobody_reads_does_not_block() {
        let output = run(&["true"], &vec![0; 1 << 20], &[], 10).expect("runs");
        assert_eq!(output.status, Some(0));
    }

    #[test]
    fn a_signal_is_no_status() {
        assert_eq!(run(&["sh", "-c", "kill -9 $$"], b"", &[], 10).expect("runs").status, None);
    }

    #[test]
    fn the_deadline_kills_the_children_too() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("pid");
        let script = format!("sleep 60 & echo $! > {}; sleep 60", file.display());
        let start = Instant::now();
        let error = run(&["sh", "-c", &script], b"", &[], 1).expect_err("ends in time");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(start.elapsed() < Duration::from_secs(30));
        let grandchild: i32 = std::fs::read_to_string(file).expect("a pid").trim().parse().expect("a number");
        // It is gone, or a zombie that nobody has reaped yet; on a busy machine the signal may still be on its way.
        let state = || std::fs::read_to_string(format!("/proc/{grandchild}/stat")).unwrap_or_default();
        let is_dead = |state: &str| state.is_empty() || state.contains(") Z ");
        let patience = Instant::now() + Duration::from_secs(10);
        while !is_dead(&state()) && Instant::now() < patience {
            thread::sleep(Duration::from_millis(10));
        }
        assert!(is_dead(&state()), "{}", state());
    }

    #[test]
    fn a_daemon_that_holds_the_pipe_does_not_hold_us() {
        let start = Instant::now();
        let output = run(&["sh", "-c", "echo started; sleep 60 &"], b"", &[], 30).expect("runs");
        assert_eq!(output.stdout, b"started\n");
        assert!(start.elapsed() < Duration::from_secs(30));
    }
}
