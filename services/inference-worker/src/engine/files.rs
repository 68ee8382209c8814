//! Where a model is, and whether it is there. Looked at before the engine is asked: what the
//! engine does not find in the file system it looks for on the hub.

use std::path::{Path, PathBuf};

use candle_core::quantized::gguf_file;
use mistralrs::{IsqType, parse_isq_value};
use serde_json::Value;

use crate::config::{Format, Kind, ModelConfig};
use crate::error::Error;

/// What the engine is to load.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Source {
    /// A folder, or an id on the hub.
    pub(crate) from: String,
    /// The file of a GGUF model.
    pub(crate) gguf: Option<String>,
    /// Quantise while loading.
    pub(crate) isq: Option<IsqType>,
    /// The folder on this machine.
    folder: Option<PathBuf>,
}

impl Source {
    /// Finds a model's files, and what the configuration says about them.
    ///
    /// # Errors
    /// What is missing or contradicts itself.
    pub(crate) fn find(name: &str, config: &ModelConfig) -> Result<Self, Error> {
        let wrong = |reason: String| Error::model(name, reason);
        if let Some(template) = config
            .chat_template
            .as_deref()
            .filter(|file| !file.is_file())
        {
            let template = template.display();
            return Err(wrong(format!(
                "`chat_template`: there is no file {template}"
            )));
        }
        let mut source = match (&config.path, &config.hub) {
            (Some(path), None) => Self::local(path, config),
            (None, Some(hub)) => Self::of_hub(hub, config),
            _ => Err("exactly one of `path` and `hub` says where it is".to_owned()),
        }
        .map_err(wrong)?;
        if let Some(isq) = &config.isq {
            if source.gguf.is_some() {
                return Err(wrong("`isq`: a GGUF file is quantised already".to_owned()));
            }
            let isq =
                parse_isq_value(isq, None).map_err(|error| wrong(format!("`isq`: {error}")))?;
            source.isq = Some(isq);
        }
        if source.gguf.is_some() && config.kind == Kind::Embedding {
            return Err(wrong(
                "embedding models are read from safetensors only".to_owned(),
            ));
        }
        Ok(source)
    }

    fn local(path: &Path, config: &ModelConfig) -> Result<Self, String> {
        let path = path
            .canonicalize()
            .map_err(|error| format!("`path`: {}: {error}", path.display()))?;
        let is_gguf = path.extension().is_some_and(|ending| ending == "gguf");
        let (folder, file) = if path.is_file() {
            let file = path.file_name().and_then(|name| name.to_str());
            (path.parent().unwrap_or(&path), file.map(str::to_owned))
        } else {
            (path.as_path(), config.file.clone())
        };
        let gguf = match config.format {
            Format::Gguf => Some(file.ok_or("`file` names the *.gguf file in `path`")?),
            Format::Auto if is_gguf || file.is_some() => file,
            Format::Auto | Format::Safetensors => None,
        };
        match &gguf {
            Some(file) => must_be(folder, file)?,
            None => {
                for file in ["config.json", "tokenizer.json"] {
                    must_be(folder, file)?;
                }
                must_have_weights(folder)?;
            }
        }
        Ok(Self {
            from: folder.display().to_string(),
            gguf,
            isq: None,
            folder: Some(folder.to_owned()),
        })
    }

    fn of_hub(hub: &str, config: &ModelConfig) -> Result<Self, String> {
        let gguf = match config.format {
            Format::Safetensors => None,
            Format::Gguf | Format::Auto => config.file.clone(),
        };
        if config.format == Format::Gguf && gguf.is_none() {
            return Err("`file` names the *.gguf file on the hub".to_owned());
        }
        Ok(Self {
            from: hub.to_owned(),
            gguf,
            isq: None,
            folder: None,
        })
    }

    /// The token that ends an answer, where the files of this machine tell.
    pub(crate) fn eos(&self) -> Option<u32> {
        let folder = self.folder.as_deref()?;
        if let Some(file) = &self.gguf {
            let mut file = std::fs::File::open(folder.join(file)).ok()?;
            let content = gguf_file::Content::read(&mut file).ok()?;
            return content
                .metadata
                .get("tokenizer.ggml.eos_token_id")?
                .to_u32()
                .ok();
        }
        ["generation_config.json", "config.json"]
            .iter()
            .find_map(|file| {
                let text = std::fs::read_to_string(folder.join(file)).ok()?;
                let config: Value = serde_json::from_str(&text).ok()?;
                let eos = config.get("eos_token_id")?;
                let first = eos.as_array().and_then(|all| all.first()).unwrap_or(eos);
                u32::try_from(first.as_u64()?).ok()
            })
    }
}

fn must_be(folder: &Path, file: &str) -> Result<(), String> {
    if folder.join(file).is_file() {
        return Ok(());
    }
    Err(format!("there is no {file} in {}", folder.display()))
}

fn must_have_weights(folder: &Path) -> Result<(), String> {
    let files = std::fs::read_dir(folder).map_err(|error| error.to_string())?;
    let is_weights = |file: std::fs::DirEntry| {
        let path = file.path();
        path.extension()
            .is_some_and(|ending| ending == "safetensors")
    };
    if files.filter_map(Result::ok).any(is_weights) {
        return Ok(());
    }
    Err(format!("there is no *.safetensors in {}", folder.display()))
}
