//! Reads one PDF from standard input and writes its text to standard output.

fn main() -> std::io::Result<()> {
    nexus_web::page::pdf_worker()
}
