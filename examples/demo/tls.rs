//! `--tls`: a TLS port, with a certificate that is made for this run.

use std::ffi::OsString;

use synctv_testkit::tls::TestAuthority;

/// The flag, which the server does not know.
const FLAG: &str = "--tls";

/// The port, unless TLS_ADDR or `--tls-addr` names one.
const ADDRESS: &str = "0.0.0.0:8443";

/// Takes the flag out of the arguments. If it was there, adds those of a TLS port, and returns what signed its certificate:
/// the files are there for as long as the value is.
pub fn with_certificate(arguments: impl Iterator<Item = OsString>) -> (Vec<OsString>, Option<TestAuthority>) {
    let (flags, mut arguments): (Vec<_>, Vec<_>) = arguments.partition(|argument| argument == FLAG);
    if flags.is_empty() {
        return (arguments, None);
    }
    let authority = TestAuthority::new();
    let is_named = |name: &str| arguments.iter().any(|argument| argument.to_string_lossy().starts_with(name));
    if !is_named("--tls-addr") && std::env::var_os("TLS_ADDR").is_none() {
        arguments.extend(["--tls-addr", ADDRESS].map(OsString::from));
    }
    arguments.extend(["--tls-cert".into(), authority.certificate().into()]);
    arguments.extend(["--tls-key".into(), authority.key().into()]);
    (arguments, Some(authority))
}

/// Returns the commands for clients that trust the authority.
pub fn commands(authority: &TestAuthority, port: u16, app: &str, room: &str) -> String {
    let file = authority.certificate_of_authority();
    let file = file.display();
    format!(
        "TLS with a certificate for localhost; browsers warn of it.\n\
         Open   https://localhost:{port}/watch/{room}\n\
         Push   ffmpeg -re -i clip.mp4 -c:v libx264 -tune zerolatency -g 30 -c:a aac -f flv \\\n       \
         -tls_verify 1 -ca_file {file} rtmps://localhost:{port}/{app}/my-room\n\
         Watch  ffplay -tls_verify 1 -ca_file {file} https://localhost:{port}/{room}.flv\n\
         Ask    curl --cacert {file} https://localhost:{port}/api/v1/streams\n\
         Look   openssl s_client -connect localhost:{port} -CAfile {file} </dev/null\n"
    )
}
