//! Where an answer sends on to.

use reqwest::StatusCode;
use reqwest::header::HeaderValue;
use url::Url;

use crate::error::Error;
use crate::guard::Target;
use crate::text::shown;

/// Whether a request carries something that not everybody on the way should see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carries {
    /// A plain question.
    Nothing,
    /// Headers or a body of the caller.
    Something,
}

/// The URL an answer sends on to, not yet checked; nothing when it is no redirect.
pub(crate) fn next(
    from: &Target,
    status: StatusCode,
    location: Option<&HeaderValue>,
    carries: Carries,
) -> Result<Option<Url>, Error> {
    // 300 and 304 send nobody on.
    if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let wrong = |reason: String| Error::Redirect {
        url: shown(from.url().as_str()),
        reason,
    };
    let location = location.ok_or_else(|| wrong("a redirect that does not say where to".into()))?;
    // Locations outside ASCII are against the rules and nevertheless sent; they are UTF-8 then.
    let location = std::str::from_utf8(location.as_bytes())
        .map_err(|_not_text| wrong("a redirect to something that is no text".into()))?;
    let mut url = from
        .url()
        .join(location)
        .map_err(|error| wrong(format!("a redirect to `{}`: {error}", shown(location))))?;
    url.set_fragment(None);
    if url == *from.url() {
        return Err(wrong("a redirect to itself".into()));
    }
    if carries == Carries::Something && from.url().scheme() == "https" && url.scheme() != "https" {
        return Err(wrong("a redirect from https to http".into()));
    }
    Ok(Some(url))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::Reach;

    fn to(from: &str, location: &str, carries: Carries) -> Result<String, &'static str> {
        let from = Reach::default().check_url(from).unwrap();
        let location = HeaderValue::from_str(location).unwrap();
        let next = next(&from, StatusCode::FOUND, Some(&location), carries);
        next.map(|url| url.unwrap().into())
            .map_err(|error| error.code())
    }

    #[test]
    fn what_a_request_carries_stays_encrypted() {
        let (safe, plain) = ("https://a.example.org/", "http://a.example.org/x");
        assert_eq!(to(safe, plain, Carries::Something), Err("redirect"));
        assert_eq!(to(safe, plain, Carries::Nothing).as_deref(), Ok(plain));
        assert_eq!(to(plain, safe, Carries::Something).as_deref(), Ok(safe));
        let here = to(safe, "/b?c#d", Carries::Something);
        assert_eq!(here.as_deref(), Ok("https://a.example.org/b?c"));
    }

    #[test]
    fn other_statuses_send_nobody_on() {
        let from = Reach::default()
            .check_url("https://a.example.org/")
            .unwrap();
        let location = HeaderValue::from_static("/b");
        for status in [200, 201, 300, 304, 305, 306, 404] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(
                next(&from, status, Some(&location), Carries::Nothing).unwrap(),
                None
            );
        }
    }
}
