//! Node's `tls.connect`.

use serde_json::json;

use super::{Answer, Ask, Found, Program, either, says, told};
use crate::host::Exec;

/// The `node` command.
pub static PROGRAM: Program = Program { id: "node", title: "Node.js", find, ask };

/// One handshake. `authorizationError` is set when the certificate is what the handshake failed of; any other error is of the connection.
const SCRIPT: &str = r"
const tls = require('tls'), a = JSON.parse(process.argv[process.argv.length - 1]);
let told = false;
function say(verdict, code, text) {
  if (!told) console.log(JSON.stringify({ verdict: verdict, code: code, text: text }));
  told = true;
  socket.destroy();
}
const socket = tls.connect({
  host: a.host, port: a.port, servername: a.servername, rejectUnauthorized: true,
  checkServerIdentity: (host, certificate) => tls.checkServerIdentity(a.name, certificate)
}, () => say('trusted', null, ''));
socket.on('error', e => socket.authorizationError
  ? say('refused', e.code || String(socket.authorizationError), e.message) : say('unasked', null, e.message));
socket.on('close', () => say('unasked', null, 'the connection was closed'));
socket.setTimeout(a.seconds * 1000, () => say('unasked', null, 'no answer in time'));
";

fn find(exec: &dyn Exec) -> Option<Found> {
    let said = says(exec, &["node", "-p", "process.versions.node + ' ' + process.versions.openssl"])?;
    let (version, library) = said.trim().split_once(' ')?;
    if !version.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    Some(Found {
        command: "node",
        version: version.to_owned(),
        library: Some(format!("OpenSSL {}", library.trim())),
        profile_id: Some(format!("node-{version}")),
    })
}

fn ask(exec: &dyn Exec, found: &Found, ask: &Ask) -> Answer {
    either(try_ask(exec, found, ask))
}

fn try_ask(exec: &dyn Exec, found: &Found, ask: &Ask) -> Result<Answer, Answer> {
    ask.needs_no_starttls()?;
    let mut argv = vec![found.command];
    if ask.files().is_some() {
        // The roots that are built in give way to OpenSSL's default places, which the variables name: unlike the option `ca`, this
        // takes a hash directory too. The verdicts are the same.
        argv.push("--use-openssl-ca");
    }
    let (host, port) = &ask.connect;
    // An empty name sends none.
    let servername = ask.servername.as_deref().unwrap_or_default();
    let question =
        json!({ "host": host, "port": port, "name": ask.host, "servername": servername, "seconds": ask.seconds }).to_string();
    argv.extend(["-e", SCRIPT, "--", &question]);
    let output = ask.run(exec, &argv, "", &ask.store_variables())?;
    Ok(told(&output))
}
