//! A memory as it would be kept, and which others are the same. Pure.

use nexus_contracts::settings::Privacy;
use nexus_contracts::{OrgId, Timestamp, UserId, derive_id};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::Remember;
use crate::chunk::Chunk;
use crate::model::Kind;
use crate::rows::{Draft, plain};

/// As it would be kept, and the ids of all that are the same.
pub(super) fn draft(
    org: OrgId,
    user: UserId,
    remember: &Remember,
    at: Timestamp,
) -> (Draft, [Uuid; 4]) {
    let text = plain(&remember.text).trim().to_owned();
    let normalised = normalised(&text);
    // Before there was one for each privacy, there was this one.
    let oldest = derive_id([
        b"memory".as_slice(),
        org.0.as_bytes(),
        user.0.as_bytes(),
        normalised.as_bytes(),
    ]);
    let id = |privacy: Privacy| {
        let parts = [oldest.as_bytes().as_slice(), privacy.as_str().as_bytes()];
        derive_id(parts)
    };
    let [open, sensitive, strict] = [Privacy::Open, Privacy::Sensitive, Privacy::LocalOnly].map(id);
    let chunk = Chunk {
        range: 0..text.len(),
        context: String::new(),
    };
    let draft = Draft {
        id: id(remember.privacy),
        kind: Kind::Memory,
        owner: Some(user),
        collection: String::new(),
        title: String::new(),
        source: String::new(),
        content_type: "text/plain".to_owned(),
        sha256: hex::encode(Sha256::digest(text.as_bytes())),
        untrusted: remember.untrusted,
        privacy: remember.privacy,
        run: remember.run,
        conversation: remember.conversation,
        text,
        chunks: vec![chunk],
        at,
    };
    (draft, [oldest, open, sensitive, strict])
}

/// What makes two memories the same.
fn normalised(text: &str) -> String {
    let lower = text.to_lowercase();
    let words: Vec<&str> = lower.split_whitespace().collect();
    words.join(" ").trim_end_matches(['.', '!', ' ']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_blanks_and_the_end_make_no_difference_and_signs_do() {
        assert_eq!(normalised(" Likes\n  TEA. "), normalised("likes tea!"));
        assert_ne!(normalised("Writes C++"), normalised("Writes C#"));
        assert_ne!(normalised("Likes tea?"), normalised("Likes tea"));
    }
}
