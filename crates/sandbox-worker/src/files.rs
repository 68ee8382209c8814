//! The files of one call: a map in memory behind `open()` and `pathlib`. There is one folder, `/work`, which
//! is also where relative names lead; no other folder, no link, no file of the machine.

use std::collections::{BTreeMap, BTreeSet};

use monty_types::{
    ExcType, ExtFunctionResult, FileMode, MontyDate, MontyDateTime, MontyException,
    MontyFileHandle, MontyObject, MontyTimeZone, OsFunctionCall, RenameCallArgs, dir_stat,
    file_stat,
};
use nexus_sandbox::{
    Limits,
    protocol::{FileData, check_name},
};
use time::{OffsetDateTime, UtcOffset};

use crate::interpreter::exception;

const FOLDER: &str = "/work";

type Answer = Result<MontyObject, MontyException>;

/// The files, and which of them the code made or changed.
#[derive(Debug)]
pub(crate) struct Files {
    files: BTreeMap<String, Vec<u8>>,
    changed: BTreeSet<String>,
    most: usize,
    room: u64,
    now_ms: Option<i64>,
}

/// Where a path leads.
enum Place {
    Folder,
    File(String),
    Nowhere,
}

fn place(path: &str) -> Place {
    let inner = path
        .strip_prefix(FOLDER)
        .filter(|rest| rest.is_empty() || rest.starts_with('/'));
    let bare = match inner {
        Some(rest) => rest.strip_prefix('/').unwrap_or(rest),
        None => path,
    };
    let bare = bare.strip_prefix("./").unwrap_or(bare);
    match bare {
        "" | "." => Place::Folder,
        name if check_name(name).is_ok() => Place::File(name.to_owned()),
        _ => Place::Nowhere,
    }
}

/// Where in a file is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Write {
    /// Over what was there.
    Over,
    /// Behind it.
    Behind,
}

impl Files {
    pub(crate) fn new(given: Vec<FileData>, limits: &Limits, now_ms: Option<i64>) -> Self {
        // Given files and new ones together may be twice what either may.
        Self {
            most: limits.files as usize * 2,
            room: limits.file_bytes * 2,
            files: given.into_iter().map(|f| (f.name, f.data)).collect(),
            changed: BTreeSet::new(),
            now_ms,
        }
    }

    /// What the code made or changed, and whether the limits left something out.
    pub(crate) fn into_changed(mut self, limits: &Limits) -> (Vec<FileData>, bool) {
        let mut out = Vec::new();
        let (mut room, mut left_out) = (limits.file_bytes, false);
        for name in self.changed {
            let Some(data) = self.files.remove(&name) else {
                continue;
            };
            if data.len() as u64 > room || out.len() >= limits.files as usize {
                left_out = true;
                continue;
            }
            room -= data.len() as u64;
            out.push(FileData { name, data });
        }
        (out, left_out)
    }

    /// Answers one system call of the interpreter.
    pub(crate) fn answer(&mut self, call: OsFunctionCall) -> ExtFunctionResult {
        match self.perform(call) {
            Ok(value) => ExtFunctionResult::Return(value),
            Err(error) => ExtFunctionResult::Error(error),
        }
    }

    fn perform(&mut self, call: OsFunctionCall) -> Answer {
        match call {
            OsFunctionCall::Exists(p) => Ok(MontyObject::Bool(self.is_file(&p) || is_folder(&p))),
            OsFunctionCall::IsFile(p) => Ok(MontyObject::Bool(self.is_file(&p))),
            OsFunctionCall::IsDir(p) => Ok(MontyObject::Bool(is_folder(&p))),
            OsFunctionCall::IsSymlink(_) => Ok(MontyObject::Bool(false)),
            OsFunctionCall::ReadText(p) => self.read_text(&p),
            OsFunctionCall::ReadBytes(p) => {
                self.find(&p).map(|data| MontyObject::Bytes(data.clone()))
            }
            OsFunctionCall::Stat(p) if is_folder(&p) => Ok(dir_stat(0o755, 0.0)),
            OsFunctionCall::Stat(p) => self
                .find(&p)
                .map(|data| file_stat(0o644, i64::try_from(data.len()).unwrap_or(i64::MAX), 0.0)),
            OsFunctionCall::Iterdir(p) if is_folder(&p) => Ok(self.list()),
            OsFunctionCall::Resolve(p) | OsFunctionCall::Absolute(p) => absolute(&p),
            OsFunctionCall::WriteText(a) => self.write(
                &a.path,
                a.data.as_bytes(),
                Write::Over,
                a.data.chars().count(),
            ),
            OsFunctionCall::AppendText(a) => self.write(
                &a.path,
                a.data.as_bytes(),
                Write::Behind,
                a.data.chars().count(),
            ),
            OsFunctionCall::WriteBytes(a) => {
                self.write(&a.path, &a.data, Write::Over, a.data.len())
            }
            OsFunctionCall::AppendBytes(a) => {
                self.write(&a.path, &a.data, Write::Behind, a.data.len())
            }
            OsFunctionCall::Open(a) => self.open(&a.path, a.mode),
            OsFunctionCall::Unlink(p) => self.remove(&p).map(|_data| MontyObject::None),
            OsFunctionCall::Rename(a) => self.rename(&a),
            OsFunctionCall::Mkdir(a) if is_folder(&a.path) && a.exist_ok => Ok(MontyObject::None),
            OsFunctionCall::Mkdir(_) | OsFunctionCall::Rmdir(_) | OsFunctionCall::Iterdir(_) => {
                Err(exception(
                    ExcType::PermissionError,
                    "there is one folder, /work, and no other",
                ))
            }
            OsFunctionCall::Getenv(a) => Ok(a.default),
            OsFunctionCall::GetEnviron => Ok(MontyObject::dict(Vec::new())),
            OsFunctionCall::DateToday => self.today(),
            OsFunctionCall::DateTimeNow(zone) => self.now(zone),
        }
    }

    fn is_file(&self, path: &str) -> bool {
        matches!(place(path), Place::File(name) if self.files.contains_key(&name))
    }

    fn find(&self, path: &str) -> Result<&Vec<u8>, MontyException> {
        self.files.get(&named(path)?).ok_or_else(|| missing(path))
    }

    fn read_text(&self, path: &str) -> Answer {
        let data = self.find(path)?.clone();
        let wrong = |e: &std::string::FromUtf8Error| {
            exception(
                ExcType::UnicodeDecodeError,
                &format!("'utf-8' codec can't decode the file: {e}"),
            )
        };
        String::from_utf8(data)
            .map(MontyObject::String)
            .map_err(|e| wrong(&e))
    }

    fn list(&self) -> MontyObject {
        MontyObject::List(
            self.files
                .keys()
                .map(|name| MontyObject::Path(format!("{FOLDER}/{name}")))
                .collect(),
        )
    }

    fn write(&mut self, path: &str, data: &[u8], how: Write, count: usize) -> Answer {
        let append = how == Write::Behind;
        let name = named(path)?;
        let is = self.files.get(&name).map(Vec::len);
        let after = data.len() + if append { is.unwrap_or(0) } else { 0 };
        let others: u64 = self
            .files
            .iter()
            .filter(|(n, _)| **n != name)
            .map(|(_, d)| d.len() as u64)
            .sum();
        if others + after as u64 > self.room || (is.is_none() && self.files.len() >= self.most) {
            return Err(exception(
                ExcType::OSError,
                "[Errno 28] No space left: the files have reached their limit",
            ));
        }
        let file = self.files.entry(name.clone()).or_default();
        if !append {
            file.clear();
        }
        file.extend_from_slice(data);
        self.changed.insert(name);
        Ok(MontyObject::Int(i64::try_from(count).unwrap_or(i64::MAX)))
    }

    fn open(&mut self, path: &str, mode: FileMode) -> Answer {
        if mode.truncate() {
            self.write(path, b"", Write::Over, 0)?;
        } else if mode.create() {
            self.write(path, b"", Write::Behind, 0)?;
        } else {
            self.find(path)?;
        }
        Ok(MontyObject::FileHandle(MontyFileHandle {
            path: path.to_owned(),
            mode,
            position: 0,
        }))
    }

    fn remove(&mut self, path: &str) -> Result<Vec<u8>, MontyException> {
        let name = named(path)?;
        self.changed.remove(&name);
        self.files.remove(&name).ok_or_else(|| missing(path))
    }

    fn rename(&mut self, call: &RenameCallArgs) -> Answer {
        let to = named(&call.dst)?;
        let data = self.remove(&call.src)?;
        self.files.insert(to.clone(), data);
        self.changed.insert(to);
        Ok(MontyObject::Path(call.dst.as_str().to_owned()))
    }

    fn clock(&self) -> Result<OffsetDateTime, MontyException> {
        self.now_ms
            .and_then(|ms| {
                OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000).ok()
            })
            .ok_or_else(|| exception(ExcType::RuntimeError, "this call was given no clock"))
    }

    fn today(&self) -> Answer {
        let day = self.clock()?;
        Ok(MontyObject::Date(MontyDate {
            year: day.year(),
            month: day.month().into(),
            day: day.day(),
        }))
    }

    fn now(&self, zone: Option<MontyTimeZone>) -> Answer {
        let offset = zone.as_ref().map_or(0, |zone| zone.offset_seconds);
        let offset = UtcOffset::from_whole_seconds(offset).unwrap_or(UtcOffset::UTC);
        let now = self.clock()?.to_offset(offset);
        Ok(MontyObject::DateTime(MontyDateTime {
            year: now.year(),
            month: now.month().into(),
            day: now.day(),
            hour: now.hour(),
            minute: now.minute(),
            second: now.second(),
            microsecond: now.microsecond(),
            offset_seconds: zone.as_ref().map(|zone| zone.offset_seconds),
            timezone_name: zone.and_then(|zone| zone.name),
        }))
    }
}

fn is_folder(path: &str) -> bool {
    matches!(place(path), Place::Folder)
}

fn absolute(path: &str) -> Answer {
    match place(path) {
        Place::Folder => Ok(MontyObject::Path(FOLDER.to_owned())),
        Place::File(name) => Ok(MontyObject::Path(format!("{FOLDER}/{name}"))),
        Place::Nowhere => Err(nowhere()),
    }
}

fn named(path: &str) -> Result<String, MontyException> {
    match place(path) {
        Place::File(name) => Ok(name),
        Place::Folder => Err(exception(
            ExcType::IsADirectoryError,
            "[Errno 21] Is a directory",
        )),
        Place::Nowhere => Err(nowhere()),
    }
}

fn nowhere() -> MontyException {
    exception(
        ExcType::PermissionError,
        "[Errno 13] There are only the files of /work, by bare names",
    )
}

fn missing(path: &str) -> MontyException {
    exception(
        ExcType::FileNotFoundError,
        &format!("[Errno 2] No such file or directory: '{path}'"),
    )
}
