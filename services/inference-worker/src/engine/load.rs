//! Loading a model. The engine blocks while it loads, and warms up only on a runtime with several
//! threads: so it gets a thread and a runtime of its own.

use mistralrs::{
    AutoDeviceMapParams, DeviceMapSetting, EmbeddingModelBuilder, GgufModelBuilder,
    MemoryGpuConfig, Model, ModelDType, PagedAttentionConfig, PagedAttentionMetaBuilder,
    TextModelBuilder, paged_attn_supported,
};

use super::files::Source;
use crate::config::{DeviceChoice, Dtype, Kind, ModelConfig};

/// What is to be loaded, and where to.
#[derive(Clone)]
pub(crate) struct Order {
    pub(crate) source: Source,
    pub(crate) config: ModelConfig,
    pub(crate) device: DeviceChoice,
}

/// Loads, on a thread of its own.
pub(crate) async fn load(order: Order) -> Result<Model, String> {
    let loading = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|error| format!("no runtime to load it on: {error}"))?;
        let loaded = runtime.block_on(build(order));
        loaded.map_err(|error| format!("it cannot be loaded: {error:#}"))
    });
    loading
        .await
        .unwrap_or_else(|error| Err(format!("the engine panicked while loading it: {error}")))
}

async fn build(order: Order) -> Result<Model, Box<dyn std::error::Error + Send + Sync>> {
    let model = match (order.config.kind, &order.source.gguf) {
        (Kind::Embedding, _) => Box::pin(embedding(order).build()).await?,
        (Kind::Chat, Some(file)) => {
            let file = file.clone();
            Box::pin(gguf(order, file)?.build()).await?
        }
        (Kind::Chat, None) => Box::pin(text(order)?.build()).await?,
    };
    Ok(model)
}

fn text(order: Order) -> Result<TextModelBuilder, Box<dyn std::error::Error + Send + Sync>> {
    let Order {
        source,
        config,
        device,
    } = order;
    let mut builder = TextModelBuilder::new(source.from)
        .with_dtype(dtype(config.dtype, device))
        .with_max_num_seqs(config.batch(device));
    if let Some(isq) = source.isq {
        builder = builder.with_isq(isq);
    }
    match config.chat_template {
        Some(file) if is_jinja(&file) => {
            builder = builder.with_jinja_explicit(file.display().to_string());
        }
        Some(file) => builder = builder.with_chat_template(file.display()),
        None => {}
    }
    if device.may_use_gpu() {
        builder = builder.with_device_mapping(mapping(config.context.0, config.max_batch.0));
        return Ok(match paged(config.context.0)? {
            Some(paged) => builder.with_paged_attn(paged),
            None => builder.with_prefix_cache_n(None),
        });
    }
    // Where attention is not paged, the cache of prefixes counts a token that the model never saw.
    Ok(builder.with_force_cpu().with_prefix_cache_n(None))
}

fn gguf(
    order: Order,
    file: String,
) -> Result<GgufModelBuilder, Box<dyn std::error::Error + Send + Sync>> {
    let Order {
        source,
        config,
        device,
    } = order;
    let mut builder =
        GgufModelBuilder::new(source.from, vec![file]).with_max_num_seqs(config.batch(device));
    match config.chat_template {
        Some(file) if is_jinja(&file) => {
            builder = builder.with_jinja_explicit(file.display().to_string());
        }
        Some(file) => builder = builder.with_chat_template(file.display()),
        None => {}
    }
    if device.may_use_gpu() {
        builder = builder.with_device_mapping(mapping(config.context.0, config.max_batch.0));
        return Ok(match paged(config.context.0)? {
            Some(paged) => builder.with_paged_attn(paged),
            None => builder.with_prefix_cache_n(None),
        });
    }
    Ok(builder.with_force_cpu().with_prefix_cache_n(None))
}

fn embedding(order: Order) -> EmbeddingModelBuilder {
    let Order {
        source,
        config,
        device,
    } = order;
    let mut builder = EmbeddingModelBuilder::new(source.from)
        .with_dtype(dtype(config.dtype, device))
        .with_max_num_seqs(config.batch(device));
    if let Some(isq) = source.isq {
        builder = builder.with_isq(isq);
    }
    if device.may_use_gpu() {
        builder
    } else {
        builder.with_force_cpu()
    }
}

/// A GPU sets memory aside for the context; nothing pages attention on a CPU.
fn paged(
    context: usize,
) -> Result<Option<PagedAttentionConfig>, Box<dyn std::error::Error + Send + Sync>> {
    if !paged_attn_supported() {
        return Ok(None);
    }
    let paged = PagedAttentionMetaBuilder::default()
        .with_gpu_memory(MemoryGpuConfig::ContextSize(context))
        .build()?;
    Ok(Some(paged))
}

fn mapping(context: usize, batch: usize) -> DeviceMapSetting {
    DeviceMapSetting::Auto(AutoDeviceMapParams::Text {
        max_seq_len: context,
        max_batch_size: batch,
    })
}

fn dtype(dtype: Dtype, device: DeviceChoice) -> ModelDType {
    match dtype {
        Dtype::Auto if device.may_use_gpu() => ModelDType::Auto,
        // Half precision is emulated on most CPUs, and slow.
        Dtype::Auto | Dtype::F32 => ModelDType::F32,
        Dtype::F16 => ModelDType::F16,
        Dtype::Bf16 => ModelDType::BF16,
    }
}

fn is_jinja(file: &std::path::Path) -> bool {
    file.extension().is_some_and(|ending| ending == "jinja")
}
