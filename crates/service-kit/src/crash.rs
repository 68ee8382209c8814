//! Points of the code at which a test makes a process die, fail, dawdle or stutter.

#[cfg(feature = "failpoints")]
mod points;

#[cfg(feature = "failpoints")]
pub(crate) use points::routes;
#[cfg(feature = "failpoints")]
pub use points::{Told, at, no_bus, no_store, performed};

/// A point of the code, in an async function, at which a test can make the process die or dawdle;
/// with `fail => …` also fail in this way, with `twice => …` also do this once more.
///
/// Without the feature `failpoints` it is nothing, and what it says is not even compiled. With it,
/// `PUT /failpoints/<point>` on the admin port says what happens there, in the words of the crate
/// `fail`, such as `1*return(abort)` or `3*off->1*return(delay:500)`:
///
/// | `return(…)` | what happens |
/// |---|---|
/// | `abort` | the process ends on the spot, as by `kill -9` |
/// | `delay:<ms>` | it waits |
/// | `error` | `fail` |
/// | `twice` | `twice` |
///
/// `GET /failpoints` says how often each was performed, so that no test passes because nothing
/// happened.
#[cfg(feature = "failpoints")]
#[macro_export]
macro_rules! crash_point {
    ($point:expr $(, fail => $fail:expr)? $(, twice => $twice:expr)? $(,)?) => {
        match $crate::crash::at($point).await {
            $($crate::crash::Told::Fail => {
                $crate::crash::performed($point, "error");
                $fail
            })?
            $($crate::crash::Told::Twice => {
                $crate::crash::performed($point, "twice");
                $twice
            })?
            _ => {}
        }
    };
}

/// A point of the code at which a test can make the process die, fail, dawdle or stutter. Nothing
/// in this build, which lacks the feature `failpoints`.
#[cfg(not(feature = "failpoints"))]
#[macro_export]
macro_rules! crash_point {
    ($point:expr $(, fail => $fail:expr)? $(, twice => $twice:expr)? $(,)?) => {};
}
