//! Taking up a changed `providers.yaml` while calls are running.
//!
//! The file is looked at rather than watched: a mounted `ConfigMap` is a link that is put elsewhere,
//! which notices of the file system miss. A call that has begun ends with the provider it began with.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use metrics::counter;
use nexus_service_kit::{ConfigSource, Deps};
use tokio::sync::watch;

use crate::announce;
use crate::error::Error;
use crate::provider::Reach;
use crate::registry::Registry;
use crate::registry::file::{ProvidersFile, Text, usual};

/// The providers there are now.
#[derive(Clone)]
pub struct Current(watch::Receiver<Arc<Registry>>);

impl Current {
    /// The providers, for as long as they are held.
    #[must_use]
    pub fn get(&self) -> Arc<Registry> {
        Arc::clone(&self.0.borrow())
    }

    /// Waits until they are others than when this was last called; for ever when nobody looks any more.
    pub async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// The providers of a file, and what looks whether it changes.
pub struct Reload {
    read: Box<dyn Fn() -> Result<Text, Error> + Send + Sync>,
    /// The last text that was looked at, taken up or not.
    seen: Text,
    current: watch::Sender<Arc<Registry>>,
    reach: Option<Reach>,
}

impl Reload {
    /// The providers as `read` says, with their keys from the environment, of a node that has `reach`.
    ///
    /// # Errors
    /// [`Error`] when they cannot be used: there are no earlier ones to go on with.
    pub fn new(
        read: impl Fn() -> Result<Text, Error> + Send + Sync + 'static,
        reach: Option<Reach>,
    ) -> Result<(Self, Current), Error> {
        let seen = read()?;
        let (current, shown) = watch::channel(Arc::new(built(&seen, reach.as_ref())?));
        let read = Box::new(read);
        let reload = Self {
            read,
            seen,
            current,
            reach,
        };
        Ok((reload, Current(shown)))
    }

    /// The providers of this file; without a path those of the usual one, as soon as there is one, else
    /// the built-in ones.
    ///
    /// # Errors
    /// As [`Reload::new`].
    pub fn of_file(path: Option<PathBuf>, reach: Option<Reach>) -> Result<(Self, Current), Error> {
        // Once there was a file, that it is gone is a fault, not a wish for the demo model.
        let known = OnceLock::new();
        let read = move || {
            if known.get().is_none()
                && let Some(path) = path.clone().or_else(usual)
            {
                known.get_or_init(|| path);
            }
            Text::read(known.get().map(PathBuf::as_path))
        };
        Self::new(read, reach)
    }

    /// Looks at the file, and takes it up if it is another one and can be used. If not, it is told
    /// once, with line and reason, and the earlier providers stay.
    pub fn look(&mut self) {
        let text = match (self.read)() {
            Ok(text) if text == self.seen => return,
            Ok(text) => text,
            // Not there for a moment, or for good: told once, as if it were a text of its own.
            Err(error) => {
                let unreadable = Text::unreadable(&error);
                if unreadable != self.seen {
                    refused(&error);
                }
                self.seen = unreadable;
                return;
            }
        };
        match built(&text, self.reach.as_ref()) {
            Ok(registry) => {
                tracing::info!(file = text.name, "the providers were read anew");
                counter!("nexus_provider_reloads_total", "outcome" => "taken").increment(1);
                announce::log(&registry);
                self.current.send_replace(Arc::new(registry));
            }
            Err(error) => refused(&error),
        }
        self.seen = text;
    }

    /// Looks again and again.
    pub async fn keep(mut self, deps: Deps, every: Duration) {
        loop {
            let pause = tokio::time::sleep(every);
            if deps.shutdown.run_until_cancelled(pause).await.is_none() {
                return;
            }
            self.look();
        }
    }
}

fn built(text: &Text, reach: Option<&Reach>) -> Result<Registry, Error> {
    let file = ProvidersFile::parse(&text.yaml, &text.name)?;
    Registry::reaching(&file, &ConfigSource::env_secret, reach)
}

fn refused(error: &Error) {
    tracing::warn!(%error, "the changed providers cannot be used; the earlier ones stay");
    counter!("nexus_provider_reloads_total", "outcome" => "refused").increment(1);
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::{Current, Reload};
    use crate::error::Error;
    use crate::registry::file::Text;

    const FIRST: &str = "providers: {one: {type: demo}}";

    /// A file of which the second value changes the text; without one it cannot be read.
    fn reload() -> (Reload, Current, Arc<Mutex<Option<&'static str>>>) {
        let file = Arc::new(Mutex::new(Some(FIRST)));
        let read = Arc::clone(&file);
        let read = move || {
            let yaml = read.lock().unwrap().ok_or_else(|| Error::Unreadable {
                path: "providers.yaml".to_owned(),
                source: std::io::Error::other("away"),
            })?;
            Ok(Text {
                name: "providers.yaml".to_owned(),
                yaml: yaml.to_owned(),
            })
        };
        let (reload, current) = Reload::new(read, None).unwrap();
        (reload, current, file)
    }

    fn names(current: &Current) -> Vec<String> {
        let registry = current.get();
        registry.all().map(|one| one.name.to_string()).collect()
    }

    #[test]
    fn a_change_is_taken_up_and_who_holds_the_earlier_one_keeps_it() {
        let (mut reload, current, file) = reload();
        let held = current.get();
        *file.lock().unwrap() = Some("providers: {two: {type: demo}}");
        reload.look();
        assert_eq!(names(&current), ["two"]);
        assert!(held.find(Some("one")).is_ok());
    }

    #[test]
    fn what_cannot_be_used_changes_nothing() {
        let (mut reload, current, file) = reload();
        for broken in [
            Some("providers: {one: {type: domo}}"),
            Some("]"),
            Some(""),
            None,
        ] {
            *file.lock().unwrap() = broken;
            reload.look();
            assert_eq!(names(&current), ["one"], "{broken:?}");
        }
        assert!(!current.0.has_changed().unwrap());
        // Mended to what it was: nothing that anybody would notice.
        *file.lock().unwrap() = Some(FIRST);
        reload.look();
        assert_eq!(names(&current), ["one"]);
    }

    #[test]
    fn what_cannot_be_used_at_first_is_an_error() {
        let read = || {
            Ok(Text {
                name: "p.yaml".to_owned(),
                yaml: "providers:\n  a: {type: domo}".to_owned(),
            })
        };
        let wrong = Reload::new(read, None);
        let Err(error) = wrong else { panic!() };
        assert!(error.to_string().contains("did you mean `demo`"), "{error}");
    }
}
