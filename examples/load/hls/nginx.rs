//! nginx as the floor of HLS: the same playlist and segments as files, sent by the kernel (`sendfile`).

use std::{
    error::Error,
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;
use tokio::net::TcpStream;

const LOOKS: u32 = 100;
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// A running nginx of one process, for its CPU; it is killed when this is dropped.
pub struct Nginx {
    process: Child,
    pub address: SocketAddr,
    directory: TempDir,
}

impl Nginx {
    pub async fn start() -> Result<Self, Box<dyn Error>> {
        Self::start_by(Command::new("nginx")).await
    }

    /// Starts one with this niceness.
    pub async fn start_nice(niceness: &str) -> Result<Self, Box<dyn Error>> {
        let mut nice = Command::new("nice");
        nice.args(["-n", niceness, "nginx"]);
        Self::start_by(nice).await
    }

    async fn start_by(mut command: Command) -> Result<Self, Box<dyn Error>> {
        let directory = tempfile::tempdir()?;
        fs::create_dir(directory.path().join("www"))?;
        // A port that was free a moment ago.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let settings = directory.path().join("nginx.conf");
        fs::write(&settings, configuration(directory.path(), address))?;
        let process = command.arg("-c").arg(&settings).stderr(Stdio::null()).spawn()?;
        let nginx = Self { process, address, directory };
        for _ in 0..LOOKS {
            if TcpStream::connect(address).await.is_ok() {
                return Ok(nginx);
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
        Err("nginx did not start".into())
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The directory of the files that it serves.
    pub fn files(&self) -> PathBuf {
        self.directory.path().join("www")
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn configuration(directory: &Path, address: SocketAddr) -> String {
    let directory = directory.display();
    format!(
        "daemon off;
master_process off;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
events {{ worker_connections 16384; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    types {{ application/vnd.apple.mpegurl m3u8; video/mp2t ts; video/mp4 m4s mp4; }}
    server {{ listen {address} backlog=4096; root {directory}/www; }}
}}
"
    )
}
