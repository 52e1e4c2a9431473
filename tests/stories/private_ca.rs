//! A log behind TLS with a private CA: read with `ca_file`, and refused without it.

use std::path::Path;
use std::process::Command;

use crate::own_log::OwnRekor2;
use crate::peers::{Process, free_port, must, shared};
use crate::watched::{Key, Watched, write};

/// Serves a folder over TLS.
const SERVER: &str = "
import functools, http.server, ssl, sys
folder, port, chain, key = sys.argv[1:]
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
server = http.server.ThreadingHTTPServer(('127.0.0.1', int(port)), handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(chain, key)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
";

fn openssl(folder: &Path, arguments: &str) {
    must(Command::new("openssl").args(arguments.split(' ')).current_dir(folder));
}

#[test]
fn a_log_behind_a_private_ca_is_read_with_its_file_and_refused_without() {
    let Some(shared) = shared("a_log_behind_a_private_ca_is_read_with_its_file_and_refused_without") else { return };
    let log = OwnRekor2::start(&shared);
    let mut watched = Watched::new(&shared);
    let folder = watched.path().to_owned();
    let new = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2";
    openssl(&folder, &format!("{new} -subj /CN=ca -keyout ca.key -out ca.pem"));
    let leaf = "-addext basicConstraints=critical,CA:FALSE -addext subjectAltName=IP:127.0.0.1";
    openssl(&folder, &format!("{new} -subj /CN=log {leaf} -CA ca.pem -CAkey ca.key -keyout log.key -out log.pem"));
    let port = free_port();
    let mut server = Command::new("python3");
    server.args(["-c", SERVER]).arg(&log.storage).arg(port.to_string()).args(["log.pem", "log.key"]);
    let _server = Process::start(server.current_dir(&folder), &folder.join("tls.log")).ready(port);

    let others = Key::new();
    write(&log, &(0..300).map(|n| others.entry(&format!("entry {n}"))).collect::<Vec<_>>());
    watched.log_lines = "ca_file = \"ca.pem\"\n".to_owned();
    watched.configure(&format!("https://127.0.0.1:{port}"));
    watched.trust();
    let (code, report) = watched.once();
    assert_eq!((code, watched.verified()), (0, log.size()), "{report}");
    assert!(log.size() >= 300);
    watched.log_lines.clear();
    watched.configure(&format!("https://127.0.0.1:{port}"));
    let (code, report) = watched.once();
    assert_eq!(code, 3, "{report}");
    let error = report["logs"][0]["error"].as_str().unwrap_or_default().to_owned();
    assert!(error.contains("certificate"), "{report}");
    println!("a private CA: {} leaves verified over TLS; without it: {error}", log.size());
}
