//! The settings of the TLS port.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, ValueEnum};

use super::certificate::CertificateFiles;

/// The TLS port and its certificate.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(next_help_heading = "TLS")]
pub struct TlsArgs {
    /// Address for RTMPS and HTTPS, serving all that the other ports serve, such as 0.0.0.0:443; "off" for none
    #[arg(long, env, default_value = "off", value_parser = parse_addr)]
    pub tls_addr: TlsAddr,

    /// Address for HLS alone over TLS with HTTP/2, to which the page and the API send clients that come over TLS, such as
    /// 0.0.0.0:8444; "off" for none
    #[arg(long, env, default_value = "off", value_parser = parse_addr)]
    pub hls_tls_addr: TlsAddr,

    /// File with the certificate chain, PEM, the server's certificate first; read again when it changes
    /// [default: none]
    #[arg(long, env)]
    pub tls_cert: Option<PathBuf>,

    /// File with the certificate's private key, PEM: PKCS#8, SEC1 or PKCS#1 [default: none]
    #[arg(long, env)]
    pub tls_key: Option<PathBuf>,

    /// Oldest version of TLS that is accepted
    #[arg(long, env, value_enum, default_value_t = TlsMin::V1_2)]
    pub tls_min: TlsMin,
}

/// The address of a TLS port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsAddr {
    /// There is no such port.
    Off,
    /// There.
    At(SocketAddr),
}

/// A version of TLS. There is none below 1.2 to choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TlsMin {
    /// TLS 1.2.
    #[value(name = "1.2")]
    V1_2,
    /// TLS 1.3.
    #[value(name = "1.3")]
    V1_3,
}

impl TlsArgs {
    /// Reads the files once, and names what is wrong.
    pub fn checked(self) -> Result<Self, String> {
        if self.address().or(self.hls_address()).is_some() {
            self.require_files()?.load().map_err(|error| error.to_string())?;
        }
        Ok(self)
    }

    /// Returns the address of the port for everything, unless it is off.
    pub fn address(&self) -> Option<SocketAddr> {
        self.tls_addr.address()
    }

    /// Returns the address of the port for HLS alone, unless it is off.
    pub fn hls_address(&self) -> Option<SocketAddr> {
        self.hls_tls_addr.address()
    }

    /// Returns the files, if both are set.
    pub fn files(&self) -> Option<CertificateFiles> {
        self.require_files().ok()
    }

    fn require_files(&self) -> Result<CertificateFiles, String> {
        let setting = if self.address().is_some() { "TLS_ADDR" } else { "HLS_TLS_ADDR" };
        let file = |name, path: &Option<PathBuf>| path.clone().ok_or(format!("{setting} needs {name}"));
        Ok(CertificateFiles {
            certificate: file("TLS_CERT", &self.tls_cert)?,
            key: file("TLS_KEY", &self.tls_key)?,
        })
    }
}

impl TlsAddr {
    fn address(self) -> Option<SocketAddr> {
        match self {
            Self::Off => None,
            Self::At(address) => Some(address),
        }
    }
}

fn parse_addr(text: &str) -> Result<TlsAddr, String> {
    match text {
        "off" => Ok(TlsAddr::Off),
        _ => text.parse().map(TlsAddr::At).map_err(|_| "it is neither ADDRESS:PORT nor \"off\"".to_owned()),
    }
}
