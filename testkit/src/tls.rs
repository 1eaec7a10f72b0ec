//! Certificates of an authority of the test's own, and connections over TLS.

use std::{
    error::Error,
    fmt, fs,
    io::{Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, PKCS_ECDSA_P256_SHA256,
    PKCS_RSA_SHA256, SignatureAlgorithm,
};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tempfile::TempDir;

use crate::socket::dial;

/// The host that certificates of [`TestAuthority`] are for, besides 127.0.0.1.
pub const HOST: &str = "localhost";

/// The kind of a certificate's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// ECDSA with P-256, as certificates have today.
    Ecdsa,
    /// RSA with 2048 bits, whose signatures take four times as long.
    Rsa,
}

/// An authority, with the files of the certificate that it signed last.
pub struct TestAuthority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: TempDir,
}

impl TestAuthority {
    /// Makes an authority, and a first certificate.
    pub fn new() -> Self {
        Self::with_key(KeyKind::Ecdsa)
    }

    /// Like [`new`](Self::new), with a key of this kind in the certificate.
    pub fn with_key(kind: KeyKind) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names are good names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "an authority of tests");
        let issuer = CertifiedIssuer::self_signed(params, key(KeyKind::Ecdsa)).expect("it signs itself");
        let directory = tempfile::tempdir().expect("a directory for certificates");
        let authority = Self { issuer, directory };
        fs::write(authority.certificate_of_authority(), authority.issuer.pem()).expect("it can be written");
        authority.sign("the first", kind);
        authority
    }

    /// Signs a new certificate, named `name` besides its hosts, and writes it and its key in place of the last ones.
    pub fn sign(&self, name: &str, kind: KeyKind) {
        let hosts = vec![HOST.to_owned(), Ipv4Addr::LOCALHOST.to_string()];
        let mut params = CertificateParams::new(hosts).expect("the hosts are names");
        params.distinguished_name.push(DnType::CommonName, name);
        let key = key(kind);
        let certificate = params.signed_by(&key, &self.issuer).expect("the authority signs it");
        self.replace(&self.key(), &key.serialize_pem());
        self.replace(&self.certificate(), &certificate.pem());
    }

    /// Returns the file for clients that verify the server.
    pub fn certificate_of_authority(&self) -> PathBuf {
        self.directory.path().join("authority.pem")
    }

    /// Returns the file for TLS_CERT.
    pub fn certificate(&self) -> PathBuf {
        self.directory.path().join("certificate.pem")
    }

    /// Returns the file for TLS_KEY.
    pub fn key(&self) -> PathBuf {
        self.directory.path().join("key.pem")
    }

    /// Returns the flags of a server that speaks TLS with this certificate.
    pub fn flags(&self) -> Vec<String> {
        let file = |path: PathBuf| path.display().to_string();
        let flags = [
            "--tls-addr",
            "127.0.0.1:0",
            "--tls-cert",
            &file(self.certificate()),
            "--tls-key",
            &file(self.key()),
        ];
        flags.map(ToOwned::to_owned).to_vec()
    }

    /// Writes a file in one step: the server never sees a half of it.
    pub fn replace(&self, path: &Path, text: &str) {
        let new = self.directory.path().join("new");
        fs::write(&new, text).and_then(|()| fs::rename(&new, path)).expect("the file can be replaced");
    }

    /// Makes a handshake that verifies the server. Returns the connection, and a socket to speak over it in plain: what
    /// the tests have for plain ports is of use here as well.
    pub fn dial(&self, server: SocketAddr) -> TcpStream {
        self.dial_over(dial(server))
    }

    /// Like [`dial`](Self::dial), over a socket that is connected.
    pub fn dial_over(&self, socket: TcpStream) -> TcpStream {
        let connection = self.shake_hands(&socket, &[]);
        bridge(connection, socket)
    }

    /// Like [`dial`](Self::dial), to a server that agrees to HTTP/2.
    pub fn dial_http_2(&self, server: SocketAddr) -> TcpStream {
        let socket = dial(server);
        let connection = self.shake_hands(&socket, &[b"h2"]);
        assert_eq!(connection.alpn_protocol(), Some(&b"h2"[..]), "the server agrees to it");
        bridge(connection, socket)
    }

    /// Makes a handshake. Returns the certificate that the server shows, in DER.
    pub fn certificate_shown(&self, server: SocketAddr) -> Vec<u8> {
        let connection = self.shake_hands(&dial(server), &[]);
        let shown = connection.peer_certificates().and_then(<[_]>::first);
        shown.expect("the server shows a certificate").to_vec()
    }

    /// Returns the settings of a server of the test's own with this certificate.
    pub fn server_config(&self) -> Arc<ServerConfig> {
        let chain = CertificateDer::pem_file_iter(self.certificate()).expect("the certificate can be read");
        let chain = chain.collect::<Result<Vec<_>, _>>().expect("it is PEM");
        let key = PrivateKeyDer::from_pem_file(self.key()).expect("the key can be read");
        let config = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
        let config = config.expect("versions are known").with_no_client_auth();
        Arc::new(config.with_single_cert(chain, key).expect("they belong together"))
    }

    /// The client offers `protocols`.
    fn shake_hands(&self, mut socket: &TcpStream, protocols: &[&[u8]]) -> ClientConnection {
        let config = client_config(&self.certificate_of_authority()).expect("the authority is one");
        let mut config = ClientConfig::clone(&config);
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let config = Arc::new(config);
        let host = ServerName::try_from(HOST).expect("a name");
        let mut connection = ClientConnection::new(config, host).expect("a client");
        while connection.is_handshaking() {
            connection.complete_io(&mut socket).expect("the handshake succeeds");
        }
        connection
    }
}

/// Returns the settings of a client that trusts the authority whose certificate is in `file`, and no other.
pub fn client_config(file: &Path) -> Result<Arc<ClientConfig>, Box<dyn Error>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(file)?)?;
    let config = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

impl fmt::Debug for TestAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestAuthority").field("directory", &self.directory).finish_non_exhaustive()
    }
}

impl Default for TestAuthority {
    fn default() -> Self {
        Self::new()
    }
}

fn key(kind: KeyKind) -> KeyPair {
    let algorithm: &'static SignatureAlgorithm = match kind {
        KeyKind::Ecdsa => &PKCS_ECDSA_P256_SHA256,
        KeyKind::Rsa => &PKCS_RSA_SHA256,
    };
    KeyPair::generate_for(algorithm).expect("a key can be made")
}

/// Copies between a TLS connection and a plain one, whose other end is returned. It ends when one side does.
fn bridge(connection: ClientConnection, socket: TcpStream) -> TcpStream {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let near = dial(listener.local_addr().expect("a listener has an address"));
    let (far, _) = listener.accept().expect("the other end");
    far.set_nodelay(true).expect("TCP_NODELAY can be set");
    // Both wait for as long as the test does.
    socket.set_read_timeout(None).expect("a timeout can be set");
    let connection = Arc::new(Mutex::new(connection));
    let clone = |socket: &TcpStream| socket.try_clone().expect("it can be cloned");
    let (up_connection, up_far, up_socket) = (connection.clone(), clone(&far), clone(&socket));
    thread::spawn(move || {
        let _ = copy_up(&up_connection, up_far, &up_socket);
        let _ = up_socket.shutdown(Shutdown::Write);
    });
    thread::spawn(move || {
        let _ = copy_down(&connection, socket, &far);
        let _ = far.shutdown(Shutdown::Both);
    });
    near
}

/// Bytes from the test to the server.
fn copy_up(
    connection: &Mutex<ClientConnection>,
    mut from: TcpStream,
    mut to: &TcpStream,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let size_bytes = from.read(&mut buffer)?;
        let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
        match size_bytes {
            0 => connection.send_close_notify(),
            _ => connection.writer().write_all(&buffer[..size_bytes])?,
        }
        while connection.wants_write() {
            connection.write_tls(&mut to)?;
        }
        if size_bytes == 0 {
            return Ok(());
        }
    }
}

/// Copies the server's bytes to the test. The connection is not held while either is waited for.
fn copy_down(
    connection: &Mutex<ClientConnection>,
    mut from: TcpStream,
    mut to: &TcpStream,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let size_bytes = from.read(&mut buffer)?;
        let mut plaintext = Vec::new();
        let is_ended = {
            let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            let mut received = &buffer[..size_bytes];
            let mut is_ended = size_bytes == 0;
            while !received.is_empty() {
                connection.read_tls(&mut received)?;
                let state = connection.process_new_packets().map_err(std::io::Error::other)?;
                let filled = plaintext.len();
                plaintext.resize(filled + state.plaintext_bytes_to_read(), 0);
                connection.reader().read_exact(&mut plaintext[filled..])?;
                is_ended |= state.peer_has_closed();
            }
            is_ended
        };
        to.write_all(&plaintext)?;
        if is_ended {
            return Ok(());
        }
    }
}
