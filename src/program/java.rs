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
    let (host, port) = &ask.connect;
    let (source, port, seconds) = (major(&found.version).to_string(), port.to_string(), ask.seconds.to_string());
    let servername = ask.servername.as_deref().unwrap_or_default();
    let (kind, (file, directory)) = match ask.files() {
        None => ("system", (None, None)),
        Some(files) => ("files", files),
    };
    let argv = [
        found.command,
        "--source",
        &source,
        "/dev/stdin",
        host,
        &port,
        &ask.host,
        servername,
        &seconds,
        kind,
        file.unwrap_or_default(),
        directory.unwrap_or_default(),
    ];
    let output = ask.run(exec, &argv, SOURCE, &[])?;
    if String::from_utf8_lossy(&output.stderr).contains("jdk.compiler") {
        return Err(Answer::not_asked("this Java has no compiler; a JDK is needed to run a source file"));
    }
    Ok(told(&output))
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
