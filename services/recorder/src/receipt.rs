//! Receipts: whoever tells of conversations repeats it until everybody who keeps them confirms.

use std::collections::BTreeMap;

use nexus_contracts::events::ReceiptRecorded;
use nexus_contracts::{
    ContractError, Envelope, Extra, MessageId, Metadata, OrgId, Timestamp, derive_id,
};

use crate::NAME;

/// One receipt for each organisation, with the position of the first message it is about: that one
/// carries it.
///
/// # Errors
/// When a receipt cannot be written.
pub fn receipts<'a>(
    kept: impl IntoIterator<Item = (usize, OrgId, &'a MessageId)>,
    at: Timestamp,
) -> Result<Vec<(usize, Envelope)>, ContractError> {
    let mut by_org: BTreeMap<OrgId, (usize, Vec<MessageId>)> = BTreeMap::new();
    for (position, org, id) in kept {
        let of_org = by_org.entry(org).or_insert((position, Vec::new()));
        of_org.1.push(id.clone());
    }
    let receipts = by_org.into_iter();
    let receipts = receipts.map(|(org, (carrier, ids))| Ok((carrier, receipt(org, ids, at)?)));
    receipts.collect()
}

/// The same messages give the same receipt.
fn receipt(org: OrgId, ids: Vec<MessageId>, at: Timestamp) -> Result<Envelope, ContractError> {
    let about = ids.iter().map(|id| id.as_str().as_bytes());
    let id = derive_id(
        [b"receipt".as_slice(), NAME.as_bytes()]
            .into_iter()
            .chain(about),
    );
    let event = ReceiptRecorded {
        ids,
        by: NAME.to_owned(),
        extra: Extra::new(),
    };
    let metadata = Metadata {
        org_id: Some(org),
        ..Metadata::default()
    };
    Ok(Envelope::new(MessageId::from(id), at, &event)?.with_metadata(metadata))
}
