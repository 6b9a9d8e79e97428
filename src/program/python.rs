//! Python's `ssl.create_default_context`, as its own clients (`urllib`, `http.client`) use it.

use serde_json::json;

use super::{Answer, Ask, Found, NO_STORE, Program, either, says, told, version_after};
use crate::host::Exec;

/// The `python3` command.
pub static PROGRAM: Program = Program { id: "python3", title: "Python ssl", find, ask };

/// Prints the versions; `-I` in all runs keeps a stray `ssl.py` of the working directory out.
const VERSIONS: &str = "import ssl, sys; print('python %d.%d.%d' % sys.version_info[:3], 'with', ssl.OPENSSL_VERSION)";

/// One handshake. An error in loading the store is a refusal: nothing is trusted. `SSLCertVerificationError` is there since 3.7; before,
/// the name's fault has a class of its own and the chain's is told by its text.
const SCRIPT: &str = r#"
import json, socket, ssl, sys
a = json.loads(sys.argv[1])
def say(verdict, code, text):
    print(json.dumps({"verdict": verdict, "code": code, "text": text}))
    sys.exit(0)
try:
    context = ssl.create_default_context(**a["store"])
except OSError as e:
    say("refused", type(e).__name__, str(e))
try:
    raw = socket.create_connection((a["host"], a["port"]), a["seconds"])
except OSError as e:
    say("unasked", None, str(e))
try:
    context.wrap_socket(raw, server_hostname=a["name"])
except getattr(ssl, "SSLCertVerificationError", ssl.CertificateError) as e:
    code = getattr(e, "verify_code", None)
    say("refused", None if code is None else str(code), getattr(e, "verify_message", str(e)))
except (OSError, ValueError) as e:
    say("refused" if "CERTIFICATE_VERIFY_FAILED" in str(e) else "unasked", None, str(e))
say("trusted", None, "")
"#;

fn find(exec: &dyn Exec) -> Option<Found> {
    let said = says(exec, &["python3", "-I", "-c", VERSIONS])?;
    let version = version_after(&said, "python ")?.to_owned();
    let library = said.split_once(" with ")?.1.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    Some(Found { command: "python3", profile_id: Some(format!("python-{version}")), version, library: Some(library) })
}

fn ask(exec: &dyn Exec, found: &Found, ask: &Ask) -> Answer {
    either(try_ask(exec, found, ask))
}

fn try_ask(exec: &dyn Exec, found: &Found, ask: &Ask) -> Result<Answer, Answer> {
    ask.needs_usual_servername()?;
    ask.needs_no_starttls()?;
    let store = match ask.files() {
        None => json!({}),
        // With nothing named at all it would load its defaults.
        Some((None, directory)) => json!({ "capath": directory.unwrap_or(NO_STORE) }),
        Some((file, directory)) => json!({ "cafile": file, "capath": directory }),
    };
    let (host, port) = &ask.connect;
    let question = json!({ "host": host, "port": port, "name": ask.host, "seconds": ask.seconds, "store": store }).to_string();
    let output = ask.run(exec, &[found.command, "-I", "-c", SCRIPT, &question], "", &[])?;
    Ok(told(&output))
}
