//! Programs of others that the tests run, as `tools` installs them, and a download server.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

pub(crate) const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");

/// Returns the folder of the Python programs, installed if necessary.
fn programs() -> &'static Path {
    static PROGRAMS: OnceLock<PathBuf> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        let output = Command::new(Path::new(REPOSITORY).join("tests/adoption/tools")).output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        String::from_utf8(output.stdout).unwrap().trim().into()
    })
}

/// Returns a Python program, such as `pre-commit`.
pub(crate) fn program(name: &str) -> Command {
    Command::new(programs().join(name))
}

/// Returns all that a program printed.
pub(crate) fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Returns a `PATH` with the muslin of this build first.
pub(crate) fn path_with_muslin() -> String {
    let muslin = Path::new(env!("CARGO_BIN_EXE_muslin")).parent().unwrap();
    format!("{}:{}", muslin.display(), std::env::var("PATH").unwrap())
}

/// Fails unless a file has the form of a schema that check-jsonschema brings along.
pub(crate) fn ensure_schema(schema: &str, file: &Path) {
    let output = program("check-jsonschema").args(["--builtin-schema", schema]).arg(file).output().unwrap();
    assert!(output.status.success(), "{}: {}", file.display(), text(&output));
}

/// A server of the files in a folder by HTTPS, with a certificate of its own, until it is dropped.
pub(crate) struct Downloads {
    process: Child,
    pub(crate) url: String,
    /// The file of the certificate, for `CURL_CA_BUNDLE`.
    pub(crate) authority: PathBuf,
}

const SERVER: &str = "
import http.server, ssl, sys
server = http.server.HTTPServer(('127.0.0.1', 0), http.server.SimpleHTTPRequestHandler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()
";

// === impl Downloads ===

impl Downloads {
    /// Serves `folder`; `keys` is another folder, for the certificate.
    pub(crate) fn start(folder: &Path, keys: &Path) -> Self {
        let (authority, key) = (keys.join("certificate.pem"), keys.join("key.pem"));
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        fs::write(&authority, made.cert.pem()).unwrap();
        fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let mut process = program("python")
            .args(["-c", SERVER])
            .args([&authority, &key])
            .current_dir(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut port = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut port).unwrap();
        Self { process, url: format!("https://127.0.0.1:{}", port.trim()), authority }
    }
}

impl Drop for Downloads {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Makes an archive as `scripts/release` does, with the muslin of this build, and returns its SHA-256.
pub(crate) fn release(folder: &Path, version: &str) -> String {
    let script = fs::read_to_string(Path::new(REPOSITORY).join("scripts/release")).unwrap();
    for line in ["name=muslin-$version-$machine-linux", "sha256sum \"$name.tar.gz\" >\"$name.tar.gz.sha256\""] {
        assert!(script.contains(line), "scripts/release names its archives in another way than this test");
    }
    let make = "
        set -eu
        name=muslin-$2-$(uname -m)-linux
        mkdir -p \"staged/$name/bin\"
        ln -s \"$1\" \"staged/$name/bin/muslin\"
        tar --create --directory staged \"$name\" | gzip --no-name >\"$name.tar.gz\"
        rm -r staged
        sha256sum \"$name.tar.gz\" | tee \"$name.tar.gz.sha256\"";
    let output = Command::new("bash")
        .args(["-c", make, "release", env!("CARGO_BIN_EXE_muslin"), version])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    String::from_utf8(output.stdout).unwrap().split_whitespace().next().unwrap().to_owned()
}
