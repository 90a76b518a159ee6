use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use stillpoint_core::{Error, ErrorKind, Result};

/// How long to wait for a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// An HTTP client that trusts the certificates in this file, or else the system's.
///
/// It follows no redirects and asks no proxy: a token is shown to none but the endpoint it is for.
/// How long to wait
/// is each call's own: the client's would run while a body is sent, too.
pub(crate) fn client(ca_file: Option<&Path>) -> Result<reqwest::Client> {
    let roots = match ca_file {
        Some(path) => from_file(path)?,
        None => of_the_system(),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| internal("no version of TLS", error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(config)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT)
        .user_agent(concat!("stillpoint/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| internal("no HTTP client", error))
}

fn from_file(path: &Path) -> Result<RootCertStore> {
    let wrong = |what: &str| {
        let what = format!("`{}` {what}", path.display());
        Error::new(ErrorKind::Invalid, what).advise("Let `cacert` name a file of PEM certificates")
    };
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(path)
        .map_err(|error| wrong("cannot be read").because(error))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| wrong("is damaged").because(error))?;
        roots
            .add(certificate)
            .map_err(|error| wrong("has a bad certificate").because(error))?;
    }
    if roots.is_empty() {
        return Err(wrong("has no certificate"));
    }
    Ok(roots)
}

/// None at all is no error here: a cloud on plain HTTP needs none, and any other refuses.
fn of_the_system() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in found.errors {
        tracing::warn!(%error, "some certificates of the system cannot be read");
    }
    roots.add_parsable_certificates(found.certs);
    roots
}

fn internal(what: &str, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Internal, what).because(error)
}
