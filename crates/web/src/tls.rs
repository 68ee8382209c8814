//! TLS, said explicitly: the system's roots and aws-lc-rs, whatever the process has installed.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};

use crate::error::Error;

/// Read once for each client that lasts: reading the system's roots takes milliseconds.
pub(crate) fn client_config() -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore::empty();
    // Without any root every https page fails with a reason; http pages need none.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Setup(format!("TLS cannot be set up: {error}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
