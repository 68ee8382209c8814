//! Cases 1 to 15 and 38: processor, memory, processes and output.

use nexus_sandbox::{
    Done,
    ErrorKind::{Crashed, Exception, MemoryLimit, OutputLimit, Syntax, TimeLimit},
    protocol::Probe,
};

use crate::case::{Case, Expect, On};

const HELD: &str = "held = []\nwhile True: held.append(str(len(held)) + 'x')";

fn case(number: u8, name: &'static str, monty: On, python: On) -> Case {
    Case {
        number,
        name,
        monty,
        python,
    }
}

fn is(code: &str, kind: nexus_sandbox::ErrorKind) -> On {
    On::new(code, Expect::Kind(kind))
}

pub fn processes() -> Vec<Case> {
    vec![
        case(
            1,
            "fork bomb",
            is("import os\nwhile True: os.fork()", Exception).probes(&[Probe::Fork]),
            is("import os\nwhile True: os.fork()", Exception),
        ),
        case(
            2,
            "threads",
            is("import threading", Exception).probes(&[Probe::Thread]),
            On::new(THREADS, Expect::Holds(few_threads)),
        ),
        case(
            7,
            "SIGTERM ignored",
            is("import signal", Exception),
            is(DEAF, TimeLimit),
        ),
        case(
            8,
            "double-fork daemon",
            is("import os\nos.setsid()", Exception).probes(&[Probe::Fork]),
            is(
                "import os\nif os.fork() == 0:\n  os.setsid()\n  if os.fork() == 0:\n    while True: pass",
                Exception,
            ),
        ),
    ]
}

const THREADS: &str = "
import threading
threading.stack_size(32768)
gate, made = threading.Event(), 0
try:
    while made < 500:
        threading.Thread(target=gate.wait, daemon=True).start()
        made += 1
except RuntimeError:
    pass
gate.set()
made";

fn few_threads(done: &Done) -> bool {
    // 32 are granted, with four of reserve; too few would be as wrong as too many.
    done.result
        .as_ref()
        .ok()
        .and_then(serde_json::Value::as_u64)
        .is_some_and(|n| (16..=36).contains(&n))
}

const DEAF: &str = "
import signal
for number in range(1, 65):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
while True: pass";

pub fn time_and_memory() -> Vec<Case> {
    let many = "held = {}\nfor i in range(10 ** 7): held[i * (2 ** 61 - 1)] = i";
    vec![
        case(
            3,
            "memory",
            is("x = 'a' * (1 << 40)", MemoryLimit),
            is("x = bytearray(1 << 40)", MemoryLimit),
        ),
        case(
            4,
            "many small allocations",
            On::new(HELD, Expect::Holds(told_by_interpreter)),
            is(HELD, MemoryLimit),
        ),
        case(
            5,
            "while True",
            is("while True: pass", TimeLimit),
            is("while True: pass", TimeLimit),
        ),
        case(
            6,
            "sleep past the deadline",
            is("import time\ntime.sleep(3600)", Exception),
            is("import time\ntime.sleep(3600)", TimeLimit),
        ),
        case(
            9,
            "recursion",
            is("def f(n): return f(n + 1)\nf(0)", Exception),
            is("def f(n): return f(n + 1)\nf(0)", Exception),
        ),
        case(
            10,
            "deep-nested source",
            is(&nested("(", "1", ")", 100_000), Syntax),
            is(&nested("(", "1", ")", 100_000), Syntax),
        ),
        case(
            11,
            "10**10**8",
            is("10 ** 10 ** 8", MemoryLimit),
            On::new("10 ** 10 ** 8", Expect::Either(MemoryLimit, TimeLimit)),
        ),
        case(
            12,
            "regex that backtracks",
            On::new(
                "import re\nre.match(r'(a|a)+\\1$', 'a' * 64 + 'b')",
                Expect::Either(Exception, TimeLimit),
            ),
            is("import re\nre.match(r'(a+)+$', 'a' * 64 + 'b')", TimeLimit),
        ),
        case(
            13,
            "giant format width",
            is("f'{1:>1000000000000}'", MemoryLimit),
            is("f'{1:>1000000000000}'", MemoryLimit),
        ),
        case(
            38,
            "hash-collision dict",
            On::new(many, Expect::Either(TimeLimit, MemoryLimit)),
            quick(many),
        ),
    ]
}

/// Quadratic work is ended by the clock, whatever memory it holds by then.
fn quick(code: &str) -> On {
    is(code, TimeLimit)
}

/// By the interpreter or its allocator, who say so: not by the kernel's limit behind them.
fn told_by_interpreter(done: &Done) -> bool {
    let Err(failure) = &done.result else {
        return false;
    };
    let said = failure.message.contains("memory limit exceeded");
    failure.kind == MemoryLimit && (said || done.stderr.text.contains("exceeds the memory limit"))
}

fn nested(open: &str, middle: &str, close: &str, depth: usize) -> String {
    [open.repeat(depth), middle.to_owned(), close.repeat(depth)].concat()
}

/// Further ways to nest. A parser may refuse them or crash; it may not hang or hurt anybody.
pub fn nestings() -> Vec<String> {
    let n = 20_000;
    let mut all = vec![
        nested("[", "", "]", n),
        nested("{1:", "1", "}", n),
        nested("-", "1", "", n),
        nested("not ", "1", "", n),
        nested("lambda: ", "1", "", n),
        nested("f(", "1", ")", n),
        nested("a", "", ".x", n),
        nested("1", "", "+1", n),
        nested("1 if 1 else ", "1", "", n),
        nested("(yield ", "1", ")", n),
    ];
    all.push(
        (0..200)
            .map(|depth| format!("{}if 1:\n", " ".repeat(depth)))
            .collect::<String>()
            + &" ".repeat(200)
            + "1",
    );
    all
}

/// How a nesting may end.
pub fn nesting_is_contained(done: &Done) -> bool {
    matches!(
        done.kind(),
        None | Some(Syntax | Exception | Crashed | MemoryLimit)
    )
}

pub fn output() -> Vec<Case> {
    let bytes =
        "import sys\nsys.stderr.buffer.write(b'\\xff\\xfe\\x00\\x1b[2J\\xe2\\x80\\xaeok\\n')\n1";
    vec![
        case(
            14,
            "endless output",
            is(
                "while True:\n  try: print('x' * 100)\n  except Exception: pass",
                OutputLimit,
            ),
            is("while True: print('x' * 100)", OutputLimit),
        ),
        case(
            15,
            "hostile characters",
            On::new(
                "print('\\x00\\x1b[2J\\u202eok')\n1",
                Expect::Holds(output_is_harmless),
            ),
            On::new(bytes, Expect::Holds(output_is_harmless)),
        ),
    ]
}

fn output_is_harmless(done: &Done) -> bool {
    let text = format!("{}{}", done.stdout.text, done.stderr.text);
    let plain = text
        .chars()
        .all(|c| c == '\n' || nexus_sandbox::text::is_plain(c));
    plain && text.contains("ok") && text.contains("\\u{202e}") && text.contains("\\u{1b}[2J")
}
