//! Texts into vectors over HTTP: one attempt, not streamed.

use nexus_contracts::tokens;
use reqwest::Response;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use tokio::time::timeout;

use super::OverHttp;
use crate::assembler::{MAX_STREAM_BYTES, WireError};
use crate::provider::dialect::Vectors;
use crate::provider::embed::{EmbedRequest, Embedded, check_numbers};
use crate::provider::{FailureClass, ProviderFailure};

impl OverHttp {
    pub(super) async fn vectors(
        &self,
        request: &EmbedRequest,
    ) -> Result<Embedded, ProviderFailure> {
        let Some(vectors) = self.dialect.vectors() else {
            let what = "it has no interface that turns texts into vectors";
            return Err(self.failure(FailureClass::Unsupported, what));
        };
        let mut all = Embedded::default();
        let made = self.parts(request, vectors, &mut all).await;
        let used = all.usage;
        // Once more over all parts: they must be of one length.
        let checked =
            made.and_then(|()| all.checked(request.input.len()).map_err(self.unreadable()));
        checked.map_err(|failure| ProviderFailure { used, ..failure })
    }

    /// Asks for one batch after the other, and adds what comes to `all`.
    async fn parts(
        &self,
        request: &EmbedRequest,
        vectors: &dyn Vectors,
        all: &mut Embedded,
    ) -> Result<(), ProviderFailure> {
        for texts in batches(&request.input, vectors) {
            let call = vectors.call(request, texts);
            let call = call.map_err(|why| self.failure(FailureClass::BadRequest, why))?;
            let post = self
                .client
                .post(self.request(&call.path)?)
                .header(CONTENT_TYPE, "application/json")
                .header(ACCEPT, "application/json")
                .body(call.body.to_string());
            let response = self.send(post, self.keys.next()).await?;
            let body = self.whole(response).await?;
            let mut part = vectors.read(&body).map_err(self.unreadable())?;
            all.usage = all.usage.plus(std::mem::take(&mut part.usage));
            all.append(part.checked(texts.len()).map_err(self.unreadable())?);
            // Only now it is known how long they are: before the rest is paid for.
            let fit = check_numbers(request.input.len(), all.length());
            fit.map_err(|why| self.failure(FailureClass::BadRequest, why))?;
        }
        Ok(())
    }

    fn unreadable(&self) -> impl Fn(WireError) -> ProviderFailure {
        |error| ProviderFailure::of_wire(&self.name, &error)
    }

    /// The body of an answer.
    async fn whole(&self, mut response: Response) -> Result<Vec<u8>, ProviderFailure> {
        let patience = self.timeouts.idle;
        let mut body = Vec::new();
        loop {
            match timeout(patience, response.chunk()).await {
                Ok(Ok(Some(bytes))) => body.extend_from_slice(&bytes),
                Ok(Ok(None)) => return Ok(body),
                Ok(Err(error)) => return Err(self.broken(error)),
                Err(_elapsed) => return Err(self.silent("part of the answer", patience)),
            }
            if body.len() > MAX_STREAM_BYTES {
                let what = format!("more than {MAX_STREAM_BYTES} bytes");
                let error = WireError::NoVectors(what);
                return Err(ProviderFailure::of_wire(&self.name, &error));
            }
        }
    }
}

/// The texts, in as few requests as this language allows.
fn batches<'a>(
    mut texts: &'a [String],
    vectors: &dyn Vectors,
) -> impl Iterator<Item = &'a [String]> {
    let (most, most_tokens) = (vectors.at_once(), vectors.tokens_at_once());
    std::iter::from_fn(move || {
        let mut sum: u64 = 0;
        let fits = |text: &&String| {
            sum = sum.saturating_add(tokens::of_text(text));
            sum <= most_tokens
        };
        let count = texts.iter().take(most).take_while(fits).count().max(1);
        let (batch, rest) = texts.split_at_checked(count)?;
        texts = rest;
        Some(batch)
    })
}

#[cfg(test)]
mod tests {
    use super::batches;
    use crate::assembler::WireError;
    use crate::provider::dialect::{Call, Vectors};
    use crate::provider::embed::{EmbedRequest, Embedded};

    /// Takes three texts of ten tokens in all.
    struct Small;

    impl Vectors for Small {
        fn at_once(&self) -> usize {
            3
        }

        fn tokens_at_once(&self) -> u64 {
            10
        }

        fn call(&self, _: &EmbedRequest, _: &[String]) -> Result<Call, String> {
            Err("nobody calls".to_owned())
        }

        fn read(&self, _: &[u8]) -> Result<Embedded, WireError> {
            Ok(Embedded::default())
        }
    }

    #[test]
    fn no_request_has_more_texts_or_tokens_than_are_taken() {
        let long = "word ".repeat(100);
        let texts = ["a", "b", "c", "d", &long, &long, "e"].map(str::to_owned);
        let sizes: Vec<usize> = batches(&texts, &Small).map(<[String]>::len).collect();
        assert_eq!(sizes, [3, 1, 1, 1, 1]);
        let all: Vec<&String> = batches(&texts, &Small).flatten().collect();
        assert!(all.into_iter().eq(&texts), "none is lost, in their order");
        assert_eq!(batches(&[], &Small).count(), 0);
    }
}
