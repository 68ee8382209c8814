//! From a document to text a model can read.

mod charset;
mod clean;
mod depth;
mod html;
mod kind;
mod pdf;
mod reader;
mod references;
mod style;

use serde::{Deserialize, Serialize};
use url::Url;

pub use self::kind::Kind;
pub use self::pdf::{PdfWorker, pdf_worker};
pub use self::reader::Reader;

use crate::error::Error;
use crate::fetch::Fetched;
use crate::text::{head, shown, visible};

/// A document as text.
///
/// All of it was written by strangers: it is material, and never an instruction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// Where it was.
    pub url: String,
    /// Its title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Who wrote it, as the page says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub byline: Option<String>,
    /// When it was published, as the page says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published: Option<String>,
    /// Its language, as the page says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// What it was.
    pub kind: Kind,
    /// The text: Markdown where the page was HTML, and as it came otherwise. `[3]` is the third of
    /// `links`; `[image: …]` is an image by its description. It holds no link or image that a
    /// reader would load by itself.
    pub markdown: String,
    /// Where the links of the text lead.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub links: Vec<Link>,
    /// Whether there is more than is here.
    pub truncated: bool,
}

/// Where a link of a page leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The number it has in the text.
    pub number: usize,
    /// Its words.
    pub text: String,
    /// An http or https URL.
    pub url: String,
}

/// How much of a document is made into text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageLimits {
    /// The text, in bytes.
    pub text_bytes: usize,
    /// Links that are listed.
    pub links: usize,
    /// Nodes of an HTML tree; what comes after them is left out.
    pub nodes: usize,
    /// How long making text may take.
    pub time: std::time::Duration,
}

impl Default for PageLimits {
    fn default() -> Self {
        Self {
            text_bytes: 60_000,
            links: 200,
            nodes: 40_000,
            time: std::time::Duration::from_secs(5),
        }
    }
}

/// Longest title, byline and words of a link, in characters.
const LINE_CHARS: usize = 300;

/// Makes text of everything but a PDF. `stop` is asked now and then whether to give up.
///
/// # Errors
///
/// [`Error::Unreadable`] and, for a PDF, [`Error::ContentType`].
pub fn read(
    document: &Fetched,
    limits: &PageLimits,
    stop: &dyn Fn() -> bool,
) -> Result<Page, Error> {
    let kind = Kind::of(document);
    match kind {
        Kind::Html => html::read(document, limits, stop),
        Kind::Pdf => Err(Error::ContentType {
            url: shown(document.url.as_str()),
            found: "application/pdf".to_owned(),
        }),
        Kind::Binary => Err(Error::ContentType {
            url: shown(document.url.as_str()),
            found: shown(document.content_type.essence()),
        }),
        Kind::Text | Kind::Markdown | Kind::Json | Kind::Csv | Kind::Xml | Kind::Feed => {
            let text = charset::decode(&document.body, &document.content_type, kind);
            Ok(plain(&document.url, kind, &text, limits))
        }
    }
}

/// A page that is its text.
fn plain(url: &Url, kind: Kind, text: &str, limits: &PageLimits) -> Page {
    let visible = visible(&text.replace("\r\n", "\n"));
    let text = head(visible.trim_end(), limits.text_bytes);
    Page {
        url: url.to_string(),
        title: None,
        byline: None,
        published: None,
        language: None,
        kind,
        truncated: text.len() < visible.trim_end().len(),
        markdown: text.to_owned(),
        links: Vec::new(),
    }
}

fn unreadable(url: &Url, reason: &str) -> Error {
    Error::Unreadable {
        url: shown(url.as_str()),
        reason: shown(reason),
    }
}
