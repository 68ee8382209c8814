use std::{ffi::OsString, path::PathBuf};

/// The command line. It comes from the executor, so it is short and unforgiving.
#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) role: String,
    /// The process that must still be there.
    pub(crate) parent: Option<u32>,
    pub(crate) own_user: bool,
    pub(crate) calls: String,
    pub(crate) tasks: Option<u64>,
    pub(crate) memory: Option<u64>,
    pub(crate) descriptors: Option<u64>,
    pub(crate) file: Option<u64>,
    /// Folders in memory and their bytes.
    pub(crate) folders: Vec<(PathBuf, u64)>,
    /// What follows `--`.
    pub(crate) command: Vec<OsString>,
}

impl Options {
    pub(crate) fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Self, String> {
        let mut rest = arguments;
        let mut all = Self {
            role: word(&mut rest)?,
            ..Self::default()
        };
        while let Some(next) = rest.next() {
            match next.to_str() {
                Some("--parent") => all.parent = Some(number(&mut rest)?),
                Some("--own-user") => all.own_user = true,
                Some("--calls") => all.calls = word(&mut rest)?,
                Some("--tasks") => all.tasks = Some(number(&mut rest)?),
                Some("--memory") => all.memory = Some(number(&mut rest)?),
                Some("--descriptors") => all.descriptors = Some(number(&mut rest)?),
                Some("--file") => all.file = Some(number(&mut rest)?),
                Some("--folder") => {
                    let path = rest.next().ok_or("--folder without a path")?;
                    all.folders.push((path.into(), number(&mut rest)?));
                }
                Some("--") => {
                    all.command = rest.by_ref().collect();
                }
                _ => return Err(format!("unknown argument {}", next.display())),
            }
        }
        Ok(all)
    }
}

fn word(rest: &mut impl Iterator<Item = OsString>) -> Result<String, String> {
    let word = rest.next().ok_or("an argument is missing")?;
    word.into_string()
        .map_err(|word| format!("{} is not text", word.display()))
}

fn number<N: std::str::FromStr>(rest: &mut impl Iterator<Item = OsString>) -> Result<N, String> {
    let word = word(rest)?;
    word.parse()
        .map_err(|_not_one| format!("{word:?} is not a number"))
}
