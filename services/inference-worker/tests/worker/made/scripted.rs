//! A model that says what a script says.

use std::path::Path;

use anyhow::Result;
use serde_json::json;

use super::tokens::{END, END_OF_TEXT, START, Tokens};
use super::weights::{Weight, Weights, write_json, write_weights};

/// A piece of a script: a token of its own, or a single byte.
enum Piece {
    Text(&'static str),
    Byte(u8),
}
use Piece::{Byte, Text};

/// What is said, and from which piece it begins again.
const SCRIPTS: &[(&[Piece], Option<usize>)] = &[
    (
        &[
            Text("Hello"),
            Text(" from"),
            Text(" the"),
            Text(" scripted"),
            Text(" model."),
        ],
        None,
    ),
    (
        &[
            Text("{\"name\": \"get_weather\", "),
            Text("\"arguments\": "),
            Text("{\"place\": \"Paris\", "),
            Text("\"unit\": \"C\"}}"),
        ],
        None,
    ),
    (
        &[Text("It"), Text(" is"), Text(" 25"), Text(" degrees!")],
        None,
    ),
    // For ever.
    (&[Text("tick "), Text("tock ")], Some(0)),
    // The last character in two tokens.
    (&[Text("caf"), Byte(0xc3), Byte(0xa9)], None),
    // A tool call that never ends: the engine waits for its end before it says anything.
    (&[Text("<tool_call>{"), Text("\"a\" ")], Some(1)),
];

const TEMPLATE: &str = "{%- for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}\
    {%- if m.content %}{{ m.content }}{% endif %}\
    {%- for call in m.tool_calls or [] %}{{ call.function.name }}{{ call.function.arguments.place }}{%- endfor %}\
    {{ '<|im_end|>\n' }}{%- endfor %}\
    {%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}\
    {%- set last = messages[-1] %}\
    {%- if last.role == 'tool' %}{{ '<|s2|>' }}\
    {%- elif 'BUFFER' in last.content %}{{ '<|s5|>' }}\
    {%- elif tools %}{{ '<|s1|>' }}\
    {%- elif 'LOOP' in last.content %}{{ '<|s3|>' }}\
    {%- elif 'CAFE' in last.content %}{{ '<|s4|>' }}\
    {%- else %}{{ '<|s0|>' }}{%- endif %}{%- endif %}";

/// Writes the model into a folder.
pub(crate) fn scripted(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut tokens = Tokens::of_bytes();
    let scripts: Vec<Vec<u32>> = SCRIPTS
        .iter()
        .map(|(pieces, _)| {
            let id = |piece: &Piece| match piece {
                Text(text) => tokens.add(text),
                Byte(byte) => u32::from(*byte),
            };
            pieces.iter().map(id).collect()
        })
        .collect();
    let bos = tokens.add_special(END_OF_TEXT);
    tokens.add_special(START);
    let eos = tokens.add_special(END);
    let starts: Vec<u32> = (0..SCRIPTS.len())
        .map(|script| tokens.add_special(&format!("<|s{script}|>")))
        .collect();
    let count = usize::try_from(tokens.count())?;
    let mut next = vec![eos; count];
    for ((ids, start), (_, again)) in scripts.iter().zip(starts).zip(SCRIPTS) {
        let last = again.map_or(eos, |at| ids[at]);
        let mut before = start;
        for &id in ids.iter().chain([&last]) {
            next[usize::try_from(before)?] = id;
            before = id;
        }
    }
    write_weights(folder, &weights(&next))?;
    let hidden = hidden(count);
    write_json(folder, "tokenizer.json", &tokens.json())?;
    write_json(
        folder,
        "config.json",
        &json!({"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
            "hidden_size": hidden, "intermediate_size": 32, "vocab_size": count,
            "num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 1,
            "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "max_position_embeddings": 4096,
            "tie_word_embeddings": false, "torch_dtype": "float32", "bos_token_id": bos,
            "eos_token_id": eos}),
    )?;
    write_json(
        folder,
        "generation_config.json",
        &json!({"eos_token_id": [eos]}),
    )?;
    write_json(
        folder,
        "tokenizer_config.json",
        &json!({"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": null, "eos_token": END,
            "unk_token": null, "chat_template": TEMPLATE}),
    )
}

fn hidden(count: usize) -> usize {
    count.div_ceil(16) * 16
}

/// Token `t` is the t-th direction, and the head points from it to the one that follows.
fn weights(next: &[u32]) -> Weights {
    let (count, hidden) = (next.len(), hidden(next.len()));
    let head = hidden / 4;
    let follows = next
        .iter()
        .enumerate()
        .map(|(token, &next)| (next as usize, token));
    let zero = |rows, columns| Weight::constant(&[rows, columns], 0.0);
    let ones = || Weight::constant(&[hidden], 1.0);
    let layer = "model.layers.0.";
    [
        (
            "model.embed_tokens.weight".to_owned(),
            Weight::ones_at(count, hidden, (0..count).map(|t| (t, t))),
        ),
        (
            "lm_head.weight".to_owned(),
            Weight::ones_at(count, hidden, follows),
        ),
        ("model.norm.weight".to_owned(), ones()),
        (format!("{layer}input_layernorm.weight"), ones()),
        (format!("{layer}post_attention_layernorm.weight"), ones()),
        (
            format!("{layer}self_attn.q_proj.weight"),
            zero(hidden, hidden),
        ),
        (
            format!("{layer}self_attn.k_proj.weight"),
            zero(head, hidden),
        ),
        (
            format!("{layer}self_attn.v_proj.weight"),
            zero(head, hidden),
        ),
        (
            format!("{layer}self_attn.o_proj.weight"),
            zero(hidden, hidden),
        ),
        (format!("{layer}mlp.gate_proj.weight"), zero(32, hidden)),
        (format!("{layer}mlp.up_proj.weight"), zero(32, hidden)),
        (format!("{layer}mlp.down_proj.weight"), zero(hidden, 32)),
    ]
    .into()
}
