//! Gateways that run beside the router, on the same upstream.

use anyhow::{Context, Result, ensure};
use clap::Args;

use super::bare::Address;

/// Where they are. `peers/gateways/run` starts them and says all of this.
#[derive(Args)]
pub(crate) struct PeerOptions {
    /// A gateway to measure too, by name and address up to and with the version; repeatable.
    #[arg(long, value_name = "NAME=URL")]
    peer: Vec<String>,
    /// A header it wants; repeatable.
    #[arg(long, value_name = "NAME=HEADER: VALUE")]
    peer_header: Vec<String>,
    /// What it calls the model [default: mock].
    #[arg(long, value_name = "NAME=MODEL")]
    peer_model: Vec<String>,
}

impl PeerOptions {
    /// All of them, by name.
    pub(super) fn addresses(&self) -> Result<Vec<(String, Address)>> {
        let mut peers = Vec::new();
        for text in &self.peer {
            let (name, url) = split(text, '=')?;
            let address = Address::upstream(url.trim_end_matches('/'));
            peers.push((name.to_owned(), address));
        }
        for text in &self.peer_header {
            let (name, header) = split(text, '=')?;
            let (header, value) = split(header, ':')?;
            let header = (header.trim().to_owned(), value.trim().to_owned());
            of(&mut peers, name)?.headers.push(header);
        }
        for text in &self.peer_model {
            let (name, model) = split(text, '=')?;
            of(&mut peers, name)?.model = model.to_owned();
        }
        Ok(peers)
    }
}

fn split(text: &str, at: char) -> Result<(&str, &str)> {
    let (name, value) = text
        .split_once(at)
        .with_context(|| format!("`{text}` has no `{at}`"))?;
    ensure!(!name.is_empty(), "`{text}` names nobody");
    Ok((name, value))
}

fn of<'a>(peers: &'a mut [(String, Address)], name: &str) -> Result<&'a mut Address> {
    let found = peers.iter_mut().find(|(known, _)| known == name);
    let (_, address) = found.with_context(|| format!("there is no --peer {name}"))?;
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(headers: &[&str]) -> PeerOptions {
        PeerOptions {
            peer: vec!["a=http://127.0.0.1:1/v1/".to_owned()],
            peer_header: headers.iter().map(|text| (*text).to_owned()).collect(),
            peer_model: vec!["a=x::y".to_owned()],
        }
    }

    #[test]
    fn a_peer_has_an_address_headers_and_a_model() -> Result<()> {
        let peers = options(&["a=x-host: http://127.0.0.1:2/v1"]).addresses()?;
        let [(name, address)] = peers.as_slice() else {
            panic!("one peer");
        };
        assert_eq!((name.as_str(), address.model.as_str()), ("a", "x::y"));
        assert_eq!(address.base_url, "http://127.0.0.1:1/v1");
        let header = ("x-host".to_owned(), "http://127.0.0.1:2/v1".to_owned());
        assert_eq!(address.headers, [header]);
        assert!(options(&["b=x: y"]).addresses().is_err());
        Ok(())
    }
}
