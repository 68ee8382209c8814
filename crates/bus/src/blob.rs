//! Blobs: what is too large for an envelope, kept beside the bus whichever it is.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use object_store::local::LocalFileSystem;
use object_store::path::Path as BlobPath;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use sha2::{Digest, Sha256};

use crate::group::{Action, GroupReader, GroupSettler, LeaseToken, Leased, Settlement};
use crate::{BusError, Group, Outgoing, Record};

/// The field that stands in for `payload`: `sha256:<hex>:<bytes>`.
pub const PAYLOAD_REF: &str = "payload_ref";

/// A store of blobs, addressed by the SHA-256 of their content, so that storing twice is harmless.
#[derive(Clone)]
pub struct Blobs {
    store: Arc<dyn ObjectStore>,
    inline_limit: usize,
}

impl Blobs {
    /// Blobs in a local folder, made when missing.
    ///
    /// # Errors
    /// [`BusError::File`] when the folder cannot be made or used.
    pub fn local(folder: &Path, inline_limit: usize) -> Result<Self, BusError> {
        let bad = |reason: String| BusError::File {
            path: folder.display().to_string(),
            reason,
        };
        std::fs::create_dir_all(folder).map_err(|error| bad(error.to_string()))?;
        let store = LocalFileSystem::new_with_prefix(folder).map_err(|e| bad(e.to_string()))?;
        Ok(Self {
            store: Arc::new(store),
            inline_limit,
        })
    }

    /// Stores bytes; returns their key.
    ///
    /// # Errors
    /// [`BusError::Full`] when they cannot be written.
    pub async fn put(&self, data: Bytes) -> Result<String, BusError> {
        let key = hex::encode(Sha256::digest(&data));
        self.store
            .put(&path_of(&key), PutPayload::from_bytes(data))
            .await
            .map_err(|error| BusError::Full {
                reason: format!("blob store: {error}"),
            })?;
        Ok(key)
    }

    /// The bytes under a key.
    ///
    /// # Errors
    /// [`BusError::MissingBlob`] when there are none, [`BusError::Unreachable`] when the store
    /// does not answer.
    pub async fn get(&self, key: &str) -> Result<Bytes, BusError> {
        let failed = |error: object_store::Error| match error {
            object_store::Error::NotFound { .. } => BusError::MissingBlob {
                key: key.to_owned(),
            },
            other => BusError::Unreachable {
                address: "blobs".to_owned(),
                reason: other.to_string(),
            },
        };
        let found = self.store.get(&path_of(key)).await.map_err(failed)?;
        found.bytes().await.map_err(failed)
    }

    /// Replaces large payloads by references.
    pub(crate) async fn check_in_all(&self, batch: &mut [Outgoing]) -> Result<(), BusError> {
        for outgoing in batch {
            self.check_in(&mut outgoing.record).await?;
        }
        Ok(())
    }

    /// Replaces a payload by a reference to it where it is large: above `bus.inline_limit`. What goes
    /// through channels is seen to by the bus.
    ///
    /// # Errors
    /// [`BusError::Full`] when it cannot be stored.
    pub async fn check_in(&self, record: &mut Record) -> Result<(), BusError> {
        if !self.is_large(record) {
            return Ok(());
        }
        if let Some(payload) = record.remove("payload") {
            let size = payload.len();
            let key = self.put(payload).await?;
            record.set(PAYLOAD_REF, format!("sha256:{key}:{size}"));
        }
        Ok(())
    }

    /// What a settlement stores: outgoing records, and the delivery itself when it is buried.
    async fn check_in_settlement(&self, settlement: &mut Settlement) -> Result<(), BusError> {
        self.check_in_all(&mut settlement.publish).await?;
        if matches!(settlement.action, Action::Dead { .. }) {
            self.check_in(&mut settlement.leased.entry.record).await?;
        }
        Ok(())
    }

    fn is_large(&self, record: &Record) -> bool {
        record
            .get("payload")
            .is_some_and(|payload| payload.len() > self.inline_limit)
    }

    fn stores_large(&self, settlement: &Settlement) -> bool {
        let buried = matches!(settlement.action, Action::Dead { .. })
            && self.is_large(&settlement.leased.entry.record);
        buried
            || settlement
                .publish
                .iter()
                .any(|outgoing| self.is_large(&outgoing.record))
    }

    /// Replaces a reference by the payload it stands for.
    ///
    /// # Errors
    /// [`BusError::MissingBlob`] when there is none, [`BusError::Unreachable`] when the store does not
    /// answer.
    pub async fn check_out(&self, record: &mut Record) -> Result<(), BusError> {
        let Some(reference) = record.text(PAYLOAD_REF) else {
            return Ok(());
        };
        let key = reference.split(':').nth(1).unwrap_or_default().to_owned();
        if key.len() != 64 || !key.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(BusError::MissingBlob { key });
        }
        let payload = self.get(&key).await?;
        record.remove(PAYLOAD_REF);
        record.set("payload", payload);
        Ok(())
    }

    /// A group whose deliveries carry their payloads and whose outgoing records may be large.
    pub(crate) fn wrap(&self, group: Group) -> Group {
        let reader = ResolvingReader {
            inner: group.reader,
            blobs: self.clone(),
        };
        let settler = ReferencingSettler {
            inner: group.settler,
            blobs: self.clone(),
        };
        Group {
            reader: Box::new(reader),
            settler: Arc::new(settler),
        }
    }
}

fn path_of(key: &str) -> BlobPath {
    BlobPath::from(format!("{}/{key}", key.get(..2).unwrap_or("00")))
}

struct ResolvingReader {
    inner: Box<dyn GroupReader>,
    blobs: Blobs,
}

#[async_trait]
impl GroupReader for ResolvingReader {
    async fn next(&mut self, max: usize, wait: Duration) -> Result<Vec<Leased>, BusError> {
        let mut batch = self.inner.next(max, wait).await?;
        for leased in &mut batch {
            // What cannot be fetched keeps its reference: the handler finds no payload and the
            // delivery is rejected or retried there, with the reason at hand.
            if let Err(error) = self.blobs.check_out(&mut leased.entry.record).await {
                tracing::warn!(entry = %leased.entry.id, %error, "payload by reference not found");
            }
        }
        Ok(batch)
    }
}

struct ReferencingSettler {
    inner: Arc<dyn GroupSettler>,
    blobs: Blobs,
}

#[async_trait]
impl GroupSettler for ReferencingSettler {
    async fn settle(&self, batch: &[Settlement]) -> Vec<Result<(), BusError>> {
        if !batch
            .iter()
            .any(|settlement| self.blobs.stores_large(settlement))
        {
            return self.inner.settle(batch).await;
        }
        let mut batch = batch.to_vec();
        for settlement in &mut batch {
            if let Err(error) = self.blobs.check_in_settlement(settlement).await {
                return batch.iter().map(|_| Err(error.clone())).collect();
            }
        }
        self.inner.settle(&batch).await
    }

    async fn extend(&self, tokens: &[LeaseToken]) -> Result<Vec<LeaseToken>, BusError> {
        self.inner.extend(tokens).await
    }
}
