//! Where a server is, and how the way to it is encrypted.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::task::JoinSet;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::DatabaseError;
use crate::{StoreError, StoreUrl};

/// A server as its URL describes it.
///
/// `sslmode` means what it means to libpq: `disable`, `prefer` (the default) and `require` encrypt
/// or not, and believe any certificate; `verify-ca` and `verify-full`, which are one here, check it
/// and the host's name against `sslrootcert` or the system's roots.
#[derive(Clone)]
pub(crate) struct Address {
    pub(super) config: Config,
    pub(super) tls: MakeRustlsConnect,
}

impl Address {
    /// Reads a URL.
    pub(super) fn of(url: &str) -> Result<Self, StoreError> {
        let (plain, trust) = without_trust(url);
        let bad = |reason: String| StoreError::PostgresUrl {
            url: StoreUrl::Postgres(url.to_owned()).to_string(),
            reason,
        };
        let config: Result<Config, tokio_postgres::Error> = plain.parse();
        let mut config = config.map_err(|error| bad(DatabaseError::of(error).to_string()))?;
        if trust != Trust::Anyone {
            config.ssl_mode(SslMode::Require);
        }
        Ok(Self {
            config,
            tls: MakeRustlsConnect::new(client(&trust).map_err(bad)?),
        })
    }

    /// Adds a setting of the session.
    pub(super) fn set(mut self, name: &str, value: &str) -> Self {
        let value = value.replace('\\', "\\\\").replace(' ', "\\ ");
        let before = self.config.get_options().unwrap_or_default();
        let options = format!("{before} -c {name}={value}");
        self.config.options(options.trim_start());
        self
    }

    /// One connection.
    pub(super) async fn connect(&self) -> Result<Connected, StoreError> {
        let (client, connection) = self.config.connect(self.tls.clone()).await?;
        let mut works = JoinSet::new();
        works.spawn(async move {
            // Whoever asks through it hears of it too.
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to PostgreSQL ended");
            }
        });
        Ok(Connected {
            client,
            _works: works,
        })
    }
}

/// One connection, which ends when this is dropped.
pub(super) struct Connected {
    pub(super) client: Client,
    _works: JoinSet<()>,
}

/// Which certificates of a server are believed.
#[derive(Debug, PartialEq, Eq)]
enum Trust {
    /// All.
    Anyone,
    /// Those with one of these roots, or of the system's, and the name of the host.
    Verified(Option<String>),
}

/// The URL without what tokio-postgres does not read.
fn without_trust(url: &str) -> (String, Trust) {
    let Some((head, options)) = url.split_once('?') else {
        return (url.to_owned(), Trust::Anyone);
    };
    let (mut verifies, mut roots, mut left) = (false, None, Vec::new());
    for option in options.split('&') {
        match option.split_once('=') {
            Some(("sslmode", "verify-ca" | "verify-full")) => verifies = true,
            Some(("sslrootcert", file)) => roots = Some(file.replace("%2F", "/")),
            _ => left.push(option),
        }
    }
    let left = left.join("&");
    let url = if left.is_empty() {
        head.to_owned()
    } else {
        format!("{head}?{left}")
    };
    let trust = match verifies {
        true => Trust::Verified(roots),
        false => Trust::Anyone,
    };
    (url, trust)
}

fn client(trust: &Trust) -> Result<ClientConfig, String> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match trust {
        Trust::Verified(roots) => builder.with_root_certificates(trusted(roots.as_deref())?),
        Trust::Anyone => {
            let anyone = Arc::new(Anyone(provider));
            builder.dangerous().with_custom_certificate_verifier(anyone)
        }
    };
    Ok(builder.with_no_client_auth())
}

fn trusted(roots: Option<&str>) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    let Some(file) = roots else {
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return Ok(store);
    };
    let bad = |error: &dyn std::fmt::Display| format!("sslrootcert `{file}`: {error}");
    let certificates = CertificateDer::pem_file_iter(file).map_err(|error| bad(&error))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| bad(&error))?;
        store.add(certificate).map_err(|error| bad(&error))?;
    }
    Ok(store)
}

/// Believes every certificate, as libpq does unless it is told to verify: the way is encrypted, and
/// who is at its other end is the network's matter.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verification_is_read_and_the_rest_is_left() {
        let url = "postgres://u:p@h/db?sslmode=verify-full&sslrootcert=%2Fetc%2Fca.pem&port=7";
        let (left, trust) = without_trust(url);
        assert_eq!(left, "postgres://u:p@h/db?port=7");
        assert_eq!(trust, Trust::Verified(Some("/etc/ca.pem".to_owned())));
        let plain = "postgres://u@h/db?sslmode=disable";
        assert_eq!(without_trust(plain), (plain.to_owned(), Trust::Anyone));
    }

    #[test]
    fn settings_of_the_session_add_up() {
        let address = Address::of("postgres://u@h/db?options=-c%20a%3D1").unwrap();
        let address = address.set("b", "repeatable read");
        let options = address.config.get_options().unwrap();
        assert_eq!(options, r"-c a=1 -c b=repeatable\ read");
    }

    #[test]
    fn a_url_that_cannot_be_used_says_why_without_its_password() {
        for url in [
            "postgres://u:secret@h:port/db",
            "postgres://u:secret@h/db?sslmode=verify-full&sslrootcert=/no/such/file",
            "postgres://u:secret@h/db?nonsense=1",
        ] {
            let error = Address::of(url).err().unwrap().to_string();
            assert!(
                !error.contains("secret") && error.contains("u:***@h"),
                "{error}"
            );
        }
    }
}
