//! Receipts: whoever publishes until it is confirmed stops when it gets one.

use std::collections::BTreeMap;

use nexus_bus::Outgoing;
use nexus_contracts::events::{Event, ReceiptRecorded};
use nexus_contracts::{
    ContractError, Envelope, Extra, MessageId, Metadata, OrgId, Timestamp, derive_id,
};
use nexus_service_kit::outgoing;

use crate::NAME;

/// One receipt per organisation, by the id of the first message it is about: that one carries it.
pub fn receipts<'a>(
    stored: impl IntoIterator<Item = (OrgId, &'a MessageId)>,
    now: Timestamp,
) -> BTreeMap<MessageId, Vec<Outgoing>> {
    let mut kept: BTreeMap<OrgId, Vec<MessageId>> = BTreeMap::new();
    for (org, id) in stored {
        kept.entry(org).or_default().push(id.clone());
    }
    let mut receipts = BTreeMap::new();
    for (org, ids) in kept {
        let Some(carrier) = ids.first().cloned() else {
            continue;
        };
        match receipt(org, ids, now) {
            Ok(envelope) => {
                receipts.insert(carrier, vec![outgoing(ReceiptRecorded::CHANNEL, &envelope)]);
            }
            Err(error) => tracing::error!(%error, "a receipt could not be written"),
        }
    }
    receipts
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
