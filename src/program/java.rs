//! Java's JSSE with the PKIX trust manager, by the source launcher of a JDK (JEP 330).

use super::{Answer, Ask, Found, Program, either, numbers, says, told};
use crate::host::Exec;

/// The `java` command.
pub static PROGRAM: Program = Program { id: "java", title: "Java (JSSE)", find, ask };

/// One handshake; the source stands beside this file.
const SOURCE: &str = include_str!("Handshake.java");

fn find(exec: &dyn Exec) -> Option<Found> {
    // `-version` writes on standard error: `openjdk version "17.0.15" 2025-04-15`, before 9 `"1.8.0_402"`.
    let said = says(exec, &["java", "-version"])?;
    let version = said.split_once("version \"")?.1.split('"').next()?.to_owned();
    let major = major(&version);
    Some(Found {
        command: "java",
        profile_id: Some(format!("java-{major}")),
        library: Some(format!("JSSE of Java {version}")),
        version,
    })
}

fn major(version: &str) -> u32 {
    match numbers(version) {
        (1, minor, _) => minor,
        (major, ..) => major,
    }
}

fn ask(exec: &dyn Exec, found: &Found, ask: &Ask) -> Answer {
    either(try_ask(exec, found, ask))
}

fn try_ask(exec: &dyn Exec, found: &Found, ask: &Ask) -> Result<Answer, Answer> {
    ask.needs_no_starttls()?;
    if major(&found.version) < 11 {
        return Err(Answer::not_asked("java runs a source file since 11 only"));
    }
    if ask.servername.as_ref().is_some_and(|name| *name != ask.host) {
        // `X509TrustManagerImpl.checkIdentity` is content with either.
        return Err(Answer::not_asked(
            "it accepts a certificate for the name in SNI too, so the name to verify must be the same",
        ));
    }
    let (host, port) = &ask.connect;
    let (source, port, seconds) = (major(&found.version).to_string(), port.to_string(), ask.seconds.to_string());
    let servername = ask.servername.as_deref().unwrap_or_default();
    let (kind, (file, directory)) = match ask.files() {
        None => ("system", (None, None)),
        Some(files) => ("files", files),
    };
    let file_of_source = SourceFile::write(exec, ask)?;
    let argv = [
        found.command,
        "--source",
        &source,
        &file_of_source.path,
        host,
        &port,
        &ask.host,
        servername,
        &seconds,
        kind,
        file.unwrap_or_default(),
        directory.unwrap_or_default(),
    ];
    let output = ask.run(exec, &argv, "", &[])?;
    if String::from_utf8_lossy(&output.stderr).contains("jdk.compiler") {
        return Err(Answer::not_asked("this Java has no compiler; a JDK is needed to run a source file"));
    }
    Ok(told(&output))
}

/// The source in a temporary file, for the launcher wants one that it can seek in. The room has no files of its own: `mktemp` and `tee`
/// make it, and `rm` removes it whatever happens in between.
struct SourceFile<'a> {
    exec: &'a dyn Exec,
    path: String,
}

impl<'a> SourceFile<'a> {
    fn write(exec: &'a dyn Exec, ask: &Ask) -> Result<Self, Answer> {
        let made = ask.run(exec, &["mktemp"], "", &[])?;
        let path = String::from_utf8_lossy(&made.stdout).trim().to_owned();
        if made.status != Some(0) || !path.starts_with('/') {
            return Err(Answer::not_asked("mktemp makes no file for the source to run"));
        }
        let file = SourceFile { exec, path };
        let written = ask.run(exec, &["tee", &file.path], SOURCE, &[])?;
        if written.status == Some(0) { Ok(file) } else { Err(Answer::not_asked("the source to run can't be written")) }
    }
}

impl Drop for SourceFile<'_> {
    fn drop(&mut self) {
        // If it can't be removed now, it is one file of three kilobytes in the temporary directory.
        let _ = says(self.exec, &["rm", "-f", "--", &self.path]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_both_ways_of_counting() {
        assert_eq!(major("1.8.0_402"), 8);
        assert_eq!(major("17.0.15"), 17);
        assert_eq!(major("25"), 25);
        assert_eq!(major("26-ea"), 26);
    }
}
