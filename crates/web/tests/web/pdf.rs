//! PDFs are read in a process of their own, which does not outlive its limits.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use async_compression::tokio::write::ZlibEncoder;
use nexus_web::page::{Kind, PageLimits, PdfWorker, Reader};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::time::Instant;

use crate::pages::fetched;

fn worker(program: &str, arguments: &[&str], time: Duration) -> Reader {
    let arguments = arguments.iter().map(Into::into).collect();
    let worker = PdfWorker::new(PathBuf::from(program), arguments, time);
    Reader::new(PageLimits::default(), Some(worker))
}

fn reader() -> Reader {
    worker(
        env!("CARGO_BIN_EXE_nexus-web-pdf"),
        &[],
        Duration::from_secs(20),
    )
}

/// A PDF of one page with this content stream.
fn pdf(content: &[u8], filter: &str) -> Vec<u8> {
    let objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_vec(),
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R \
          /Resources << /Font << /F1 5 0 R >> >> >>"
            .to_vec(),
        [
            format!("<< /Length {} {filter} >>\nstream\n", content.len()).as_bytes(),
            content,
            b"\nendstream",
        ]
        .concat(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"
            .to_vec(),
    ];
    let mut pdf = b"%PDF-1.4\n".to_vec();
    let mut table = String::from("0000000000 65535 f \n");
    for (number, object) in (1..).zip(&objects) {
        writeln!(table, "{:010} 00000 n ", pdf.len()).unwrap();
        pdf.extend(format!("{number} 0 obj\n").bytes());
        pdf.extend_from_slice(object);
        pdf.extend(b"\nendobj\n");
    }
    let start = pdf.len();
    pdf.extend(
        format!(
            "xref\n0 6\n{table}trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n"
        )
        .bytes(),
    );
    pdf
}

#[tokio::test]
async fn the_words_of_a_pdf_are_read() {
    let words = b"BT /F1 24 Tf 72 720 Td (Minutes of the bridge board) Tj ET";
    // The type a server gives does not matter when the document says what it is.
    for content_type in ["application/pdf", "application/octet-stream"] {
        let page = reader()
            .read(fetched(content_type, pdf(words, "")))
            .await
            .unwrap();
        assert_eq!(page.kind, Kind::Pdf);
        assert!(
            page.markdown.contains("Minutes of the bridge board"),
            "{page:?}"
        );
        assert!(page.markdown.starts_with("[page 1]"), "{page:?}");
    }
}

#[tokio::test]
async fn what_is_no_pdf_is_told_and_does_no_harm() {
    let whole = pdf(b"BT /F1 24 Tf (x) Tj ET", "");
    let empty = pdf(b"", "");
    for bytes in [
        &b"%PDF-1.7"[..],
        b"%PDF-\xff\xff\xff",
        &whole[..whole.len() / 2],
        &empty,
    ] {
        let error = reader()
            .read(fetched("application/pdf", bytes.to_vec()))
            .await
            .unwrap_err();
        assert_eq!(error.code(), "unreadable", "{error}");
    }
}

#[tokio::test]
async fn a_pdf_that_unpacks_without_end_ends_with_its_worker() {
    // One gigabyte of blanks, which the worker may not hold: after the first one, each megabyte is
    // packed into the same bytes.
    let mut encoder = ZlibEncoder::new(Vec::new());
    let piece = vec![b' '; 1024 * 1024];
    let mut ends = Vec::new();
    for _ in 0..2 {
        encoder.write_all(&piece).await.unwrap();
        encoder.flush().await.unwrap();
        ends.push(encoder.get_ref().len());
    }
    let mut packed = encoder.get_ref().clone();
    packed.extend(packed[ends[0]..ends[1]].repeat(1022));
    let bomb = pdf(&packed, "/Filter /FlateDecode");
    assert!(bomb.len() < 2_000_000);
    let error = reader()
        .read(fetched("application/pdf", bomb))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("too complex"), "{error}");
}

#[tokio::test]
async fn a_worker_that_does_not_end_is_killed() {
    let begin = Instant::now();
    let stuck = worker("/bin/sleep", &["60"], Duration::from_millis(300));
    let error = stuck
        .read(fetched("application/pdf", "%PDF-1.4"))
        .await
        .unwrap_err();
    assert_eq!(error.code(), "unreadable");
    assert!(begin.elapsed() < Duration::from_secs(20));
    let missing = worker("/nowhere/at/all", &[], Duration::from_secs(1));
    let error = missing
        .read(fetched("application/pdf", "%PDF-1.4"))
        .await
        .unwrap_err();
    assert_eq!(error.code(), "setup");
}

#[tokio::test]
async fn a_worker_inherits_no_environment_and_its_output_is_bounded() {
    let shell = |script: &'static str| worker("/bin/sh", &["-c", script], Duration::from_secs(20));
    let page = shell("cat >/dev/null; echo got:$PATH:$HOME:$CARGO_MANIFEST_DIR")
        .read(fetched("", "%PDF-1"))
        .await
        .unwrap();
    assert!(
        !page.markdown.contains("cargo") && !page.markdown.contains("root"),
        "{page:?}"
    );
    let flood = shell("cat >/dev/null; exec yes flood")
        .read(fetched("", "%PDF-1"))
        .await;
    assert_eq!(flood.unwrap_err().code(), "unreadable");
}

#[tokio::test]
async fn the_process_that_reads_can_open_nothing() {
    let mut worker = Command::new(env!("CARGO_BIN_EXE_nexus-web-pdf"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let limits = Path::new("/proc")
        .join(worker.id().unwrap().to_string())
        .join("limits");
    // It waits for a PDF, limited.
    let limited = async {
        loop {
            let text = std::fs::read_to_string(&limits).unwrap();
            let is = |name: &str, most: &str| {
                let line = text.lines().find(|line| line.starts_with(name));
                line.unwrap().split_whitespace().any(|word| word == most)
            };
            if is("Max processes", "0") {
                return is("Max open files", "3");
            }
            tokio::task::yield_now().await;
        }
    };
    let limited = tokio::time::timeout(Duration::from_secs(20), limited).await;
    worker.kill().await.unwrap();
    assert!(limited.unwrap());
}
