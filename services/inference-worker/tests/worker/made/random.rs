//! Models with weights from a seed.

use std::fs::File;
use std::path::Path;

use anyhow::Result;
use candle_core::quantized::gguf_file::{Value as Entry, write};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use serde_json::{Value, json};

use super::tokens::{END, END_OF_TEXT, START, TokenKind, Tokens};
use super::weights::{Dice, Weight, Weights, write_json, write_weights};

const HIDDEN: usize = 64;
const INNER: usize = 128;
const LAYERS: usize = 2;
const HEADS: usize = 4;
const KEY_HEADS: usize = 2;
const HEAD: usize = 16;
/// Most tokens of question and answer together.
pub(crate) const CONTEXT: usize = 2048;

const TEMPLATE: &str = "{%- for t in tools or [] %}{{ t | tojson }}{{ '\n' }}{%- endfor %}\
    {%- for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}\
    {%- if m.content %}{{ m.content }}{%- endif %}{{ '<|im_end|>\n' }}{%- endfor %}\
    {%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{%- endif %}";

struct Words {
    tokens: Tokens,
    bos: u32,
    eos: u32,
}

fn words() -> Words {
    let mut tokens = Tokens::of_bytes();
    let bos = tokens.add_special(END_OF_TEXT);
    tokens.add_special(START);
    let eos = tokens.add_special(END);
    tokens.add_marked("<tool_call>", TokenKind::Defined);
    tokens.add_marked("</tool_call>", TokenKind::Defined);
    Words { tokens, bos, eos }
}

fn weights(count: usize, seed: u64, norms: Norms) -> Weights {
    let mut dice = Dice(seed);
    let ones = |count| Weight::constant(&[count], 1.0);
    let mut all = Weights::from([
        (
            "model.embed_tokens.weight".to_owned(),
            dice.weight(&[count, HIDDEN]),
        ),
        ("lm_head.weight".to_owned(), dice.weight(&[count, HIDDEN])),
        ("model.norm.weight".to_owned(), ones(HIDDEN)),
    ]);
    for layer in 0..LAYERS {
        let name = |part: &str| format!("model.layers.{layer}.{part}.weight");
        let shapes = [
            ("self_attn.q_proj", [HEADS * HEAD, HIDDEN]),
            ("self_attn.k_proj", [KEY_HEADS * HEAD, HIDDEN]),
            ("self_attn.v_proj", [KEY_HEADS * HEAD, HIDDEN]),
            ("self_attn.o_proj", [HIDDEN, HEADS * HEAD]),
            ("mlp.gate_proj", [INNER, HIDDEN]),
            ("mlp.up_proj", [INNER, HIDDEN]),
            ("mlp.down_proj", [HIDDEN, INNER]),
        ];
        all.extend(shapes.map(|(part, shape)| (name(part), dice.weight(&shape))));
        all.insert(name("input_layernorm"), ones(HIDDEN));
        all.insert(name("post_attention_layernorm"), ones(HIDDEN));
        if matches!(norms, Norms::OfHeads) {
            all.insert(name("self_attn.q_norm"), ones(HEAD));
            all.insert(name("self_attn.k_norm"), ones(HEAD));
        }
    }
    all
}

#[derive(Clone, Copy)]
enum Norms {
    None,
    OfHeads,
}

/// A chat model in a folder, of the Llama family.
pub(crate) fn random(folder: &Path) -> Result<()> {
    let words = words();
    let about = json!({"architectures": ["LlamaForCausalLM"], "model_type": "llama"});
    write_folder(folder, &words, about)?;
    let count = usize::try_from(words.tokens.count())?;
    write_weights(folder, &weights(count, 1, Norms::None))
}

/// A model of vectors in a folder, as sentence-transformers lays it out.
pub(crate) fn random_embedding(folder: &Path) -> Result<()> {
    let words = words();
    let about = json!({"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3",
        "head_dim": HEAD, "max_window_layers": LAYERS, "use_sliding_window": false,
        "sliding_window": null, "attention_bias": false});
    write_folder(folder, &words, about)?;
    let count = usize::try_from(words.tokens.count())?;
    let plain = weights(count, 2, Norms::OfHeads)
        .into_iter()
        .filter_map(|(name, weight)| Some((name.strip_prefix("model.")?.to_owned(), weight)));
    write_weights(folder, &plain.collect())?;
    let module = |at: usize, path: &str, kind: &str| {
        json!({"idx": at, "name": at.to_string(), "path": path,
            "type": format!("sentence_transformers.models.{kind}")})
    };
    let modules = json!([
        module(0, "", "Transformer"),
        module(1, "1_Pooling", "Pooling"),
        module(2, "2_Normalize", "Normalize")
    ]);
    write_json(folder, "modules.json", &modules)?;
    let pooling = folder.join("1_Pooling");
    std::fs::create_dir_all(&pooling)?;
    let mut how = json!({"word_embedding_dimension": HIDDEN, "include_prompt": true});
    for mode in [
        "cls_token",
        "mean_tokens",
        "max_tokens",
        "mean_sqrt_len_tokens",
        "weightedmean_tokens",
        "lasttoken",
    ] {
        how[format!("pooling_mode_{mode}")] = json!(mode == "lasttoken");
    }
    write_json(&pooling, "config.json", &how)
}

fn write_folder(folder: &Path, words: &Words, about: Value) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut config = json!({"hidden_act": "silu", "hidden_size": HIDDEN,
        "intermediate_size": INNER, "vocab_size": words.tokens.count(),
        "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
        "num_key_value_heads": KEY_HEADS, "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
        "max_position_embeddings": CONTEXT, "tie_word_embeddings": false,
        "torch_dtype": "float32", "bos_token_id": words.bos, "eos_token_id": words.eos});
    if let (Value::Object(config), Value::Object(about)) = (&mut config, about) {
        config.extend(about);
    }
    write_json(folder, "config.json", &config)?;
    write_json(folder, "tokenizer.json", &words.tokens.json())?;
    write_json(
        folder,
        "generation_config.json",
        &json!({"bos_token_id": words.bos, "eos_token_id": [words.eos, words.bos],
            "do_sample": true, "temperature": 0.7}),
    )?;
    write_json(
        folder,
        "tokenizer_config.json",
        &json!({"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": null, "eos_token": END,
            "pad_token": END_OF_TEXT, "unk_token": null, "add_bos_token": false,
            "model_max_length": CONTEXT, "chat_template": TEMPLATE}),
    )
}

/// The same chat model as one GGUF file.
pub(crate) fn random_gguf(file: &Path) -> Result<()> {
    let words = words();
    let count = usize::try_from(words.tokens.count())?;
    let number = |number: usize| u32::try_from(number).map(Entry::U32);
    let text = |text: &str| Entry::String(text.to_owned());
    let list = words.tokens.list();
    let kinds = list.iter().map(|(_, kind)| Entry::I32(*kind as i32));
    let about = [
        ("general.architecture", text("llama")),
        ("general.name", text("tiny")),
        ("llama.context_length", number(CONTEXT)?),
        ("llama.embedding_length", number(HIDDEN)?),
        ("llama.block_count", number(LAYERS)?),
        ("llama.feed_forward_length", number(INNER)?),
        ("llama.attention.head_count", number(HEADS)?),
        ("llama.attention.head_count_kv", number(KEY_HEADS)?),
        ("llama.attention.layer_norm_rms_epsilon", Entry::F32(1e-6)),
        ("llama.rope.dimension_count", number(HEAD)?),
        ("llama.rope.freq_base", Entry::F32(10000.0)),
        ("llama.vocab_size", number(count)?),
        ("tokenizer.ggml.model", text("gpt2")),
        ("tokenizer.ggml.pre", text("default")),
        (
            "tokenizer.ggml.tokens",
            Entry::Array(list.iter().map(|(word, _)| text(word)).collect()),
        ),
        ("tokenizer.ggml.token_type", Entry::Array(kinds.collect())),
        // The format wants at least one; its result is a token there is.
        ("tokenizer.ggml.merges", Entry::Array(Vec::new())),
        ("tokenizer.ggml.eos_token_id", Entry::U32(words.eos)),
        ("tokenizer.ggml.bos_token_id", Entry::U32(words.bos)),
        ("tokenizer.chat_template", text(TEMPLATE)),
    ];
    let mut tensors = Vec::new();
    for (name, weight) in weights(count, 1, Norms::None) {
        let weight = match name.as_str() {
            name if name.contains("q_proj") => turned(&weight, HEADS),
            name if name.contains("k_proj") => turned(&weight, KEY_HEADS),
            _ => weight,
        };
        let tensor = Tensor::from_vec(weight.numbers, weight.shape, &Device::Cpu)?;
        tensors.push((
            gguf_name(&name),
            QTensor::quantize(&tensor, GgmlDType::F32)?,
        ));
    }
    let about: Vec<_> = about.iter().map(|(key, value)| (*key, value)).collect();
    let tensors: Vec<_> = tensors
        .iter()
        .map(|(name, tensor)| (name.as_str(), tensor))
        .collect();
    Ok(write(&mut File::create(file)?, &about, &tensors)?)
}

fn gguf_name(name: &str) -> String {
    let mut name = name.to_owned();
    for (theirs, ours) in [
        ("model.layers.", "blk."),
        ("self_attn.q_proj", "attn_q"),
        ("self_attn.k_proj", "attn_k"),
        ("self_attn.v_proj", "attn_v"),
        ("self_attn.o_proj", "attn_output"),
        ("mlp.gate_proj", "ffn_gate"),
        ("mlp.up_proj", "ffn_up"),
        ("mlp.down_proj", "ffn_down"),
        ("input_layernorm", "attn_norm"),
        ("post_attention_layernorm", "ffn_norm"),
        ("model.embed_tokens", "token_embd"),
        ("model.norm", "output_norm"),
        ("lm_head", "output"),
    ] {
        name = name.replace(theirs, ours);
    }
    name
}

/// Rows in the order GGUF wants them for rotary positions: the halves of each head interleaved.
fn turned(weight: &Weight, heads: usize) -> Weight {
    let [rows, columns] = weight.shape[..] else {
        panic!("a matrix");
    };
    let half = rows / heads / 2;
    let row = |at: usize| &weight.numbers[at * columns..(at + 1) * columns];
    let mut numbers = Vec::with_capacity(weight.numbers.len());
    for head in 0..heads {
        for place in 0..half {
            for side in 0..2 {
                numbers.extend_from_slice(row((head * 2 + side) * half + place));
            }
        }
    }
    Weight {
        shape: weight.shape.clone(),
        numbers,
    }
}
