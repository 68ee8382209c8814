//! Cases 16 to 26, 30, 32 and 37: files, the network and other processes.

use std::fs;

use nexus_sandbox::{
    Done,
    ErrorKind::{Crashed, Exception, MemoryLimit},
    protocol::Probe,
};
use serde_json::{Value, json};

use crate::case::{Case, Expect, On};

fn case(number: u8, name: &'static str, monty: On, python: On) -> Case {
    Case {
        number,
        name,
        monty,
        python,
    }
}

fn fails(code: &str) -> On {
    On::new(code, Expect::Kind(Exception))
}

/// `tried(f, ...)` gives what was possible; an operating system error is a refusal.
fn all_refused(code: &str) -> On {
    let tried = "
import os
def tried(*attempts):
    found = []
    for number, attempt in enumerate(attempts):
        try:
            found.append([number, str(attempt())])
        except OSError:
            pass
    return found
";
    On::new(format!("{tried}\n{code}"), Expect::Gives(json!([])))
}

pub fn files() -> Vec<Case> {
    vec![
        case(
            16,
            "/etc/shadow",
            fails("open('/etc/shadow').read()").probes(&[Probe::OpenFile]),
            all_refused(
                "tried(lambda: open('/etc/shadow').read(), lambda: open('/etc/passwd').read())",
            ),
        ),
        case(
            17,
            "/proc of others",
            fails("open('/proc/1/environ').read()"),
            all_refused(
                "tried(*[lambda p=p: os.listdir(p) for p in ('/proc', '/proc/1/root', '/sys', '/root')])",
            ),
        ),
        case(
            18,
            "secrets in the environment",
            On::new(
                "import os\n[os.getenv('NEXUS_CANARY'), len(os.environ)]",
                Expect::Gives(json!([null, 0])),
            )
            .outside(no_canary),
            On::new(
                "import os\nsorted(set(os.environ) - {'PWD', 'LC_CTYPE'})",
                Expect::Gives(json!([])),
            )
            .outside(no_canary),
        ),
        case(
            19,
            "symlink and ..",
            On::new(ESCAPES, Expect::Gives(json!([]))),
            On::new(SYMLINK, Expect::Holds(nothing_came_out)),
        ),
        case(
            20,
            "race on artefacts",
            On::Never(
                "its files are a map in memory: there are no links, and no second thread to race with",
            ),
            On::new(RACE, Expect::Holds(only_own_bytes)),
        ),
        case(
            21,
            "zip bomb, tar traversal",
            fails("import zipfile"),
            On::new(ARCHIVES, Expect::Gives(json!(["OSError", "OSError"]))),
        ),
        case(
            22,
            "sparse file of a terabyte",
            On::new(
                "open('x', 'wb').write(b'x' * (1 << 40))",
                Expect::Kind(MemoryLimit),
            ),
            all_refused(
                "f = open('x', 'wb')\ntried(lambda: os.truncate('x', 1 << 40), lambda: (f.seek(1 << 40), f.write(b'x'), f.flush()))",
            ),
        ),
        case(
            23,
            "inodes and descriptors",
            fails("for i in range(100000): open(f'f{i}', 'w')"),
            On::new(EXHAUST, Expect::Holds(few_files)),
        ),
    ]
}

const ESCAPES: &str = "
from pathlib import Path
found = []
for name in ['../x', '/etc/hosts', '/work/../x', 'a/b', '/work/a/b', '..', '/work/..', '/', 'a\\x00b', '~/x']:
    try:
        Path(name).write_text('x')
        found.append(name)
    except (OSError, ValueError):
        pass
found";

const SYMLINK: &str = "
import os
os.symlink('/etc/passwd', 'link'); os.symlink('../../etc', 'up'); os.mkdir('folder')
open('folder/../kept', 'w').write('kept')
refused = 0
for name in ('link', 'up/passwd', '../../etc/passwd'):
    try: open(name).read()
    except OSError: refused += 1
refused";

fn nothing_came_out(done: &Done) -> bool {
    let names: Vec<_> = done.files.iter().map(|file| file.name.as_str()).collect();
    done.result == Ok(json!(3)) && names == ["kept"] && done.files_left_out
}

const RACE: &str = "
import os, threading
open('mine', 'w').write('mine')
os.symlink('/usr/lib/os-release', 'link')
def race():
    while True:
        try:
            os.link('mine', 'a'); os.rename('a', 'artefact'); os.symlink('/usr/lib/os-release', 'b'); os.rename('b', 'artefact')
        except OSError: pass
for _ in range(4): threading.Thread(target=race, daemon=True).start()
1";

fn only_own_bytes(done: &Done) -> bool {
    done.result == Ok(json!(1)) && done.files.iter().all(|file| file.data == b"mine")
}

const ARCHIVES: &str = "
import io, os, tarfile, zipfile
kinds = []
with zipfile.ZipFile('bomb', 'w', zipfile.ZIP_DEFLATED) as z:
    with z.open('big', 'w', force_zip64=True) as f:
        for _ in range(200): f.write(bytes(1 << 20))
try: zipfile.ZipFile('bomb').extractall()
except OSError: kinds.append('OSError')
os.unlink('bomb')
try: os.unlink('big')
except OSError: pass
with tarfile.open('t', 'w') as t:
    entry = tarfile.TarInfo('../../../x'); entry.size = 1
    t.addfile(entry, io.BytesIO(b'x'))
try: tarfile.open('t').extractall()
except OSError: kinds.append('OSError')
kinds";

const EXHAUST: &str = "
import os
made = opened = 0
try:
    for i in range(20000):
        os.close(os.open(f'f{i}', os.O_CREAT | os.O_WRONLY)); made += 1
except OSError: pass
held = []
try:
    while True: held.append(os.open('f0', os.O_RDONLY))
except OSError: pass
opened = len(held)
for at in held: os.close(at)
[made, opened]";

fn few_files(done: &Done) -> bool {
    let counts = done
        .result
        .as_ref()
        .ok()
        .and_then(Value::as_array)
        .map(|all| all.iter().filter_map(Value::as_u64).collect::<Vec<_>>());
    matches!(counts.as_deref(), Some([made, opened]) if *made < 5000 && *opened < 130 && *opened > 10)
}

fn no_canary(process: u32) -> Result<(), String> {
    // A process that nobody may look into, not even its user, tells nobody anything.
    let Ok(found) = fs::read(format!("/proc/{process}/environ")) else {
        return Ok(());
    };
    let text = String::from_utf8_lossy(&found).into_owned();
    let fine = text
        .split('\0')
        .all(|v| v.is_empty() || v.starts_with("PWD=") || v.starts_with("LC_CTYPE="));
    if fine {
        Ok(())
    } else {
        Err(format!("the environment of process {process} holds {text}"))
    }
}

pub fn outside_world() -> Vec<Case> {
    let none = |code: &str| fails(code);
    vec![
        case(
            24,
            "TCP, UDP, DNS, IPv6, link-local",
            none("import socket").probes(&[Probe::Socket]),
            all_refused(NETWORK),
        ),
        case(
            25,
            "abstract unix, vsock, netlink, raw",
            none("import socket").probes(&[Probe::Socket]),
            all_refused(FAMILIES),
        ),
        case(
            26,
            "inherited descriptors",
            none("import os\nos.fstat(3)").outside(few_descriptors),
            On::new(DESCRIPTORS, Expect::Gives(json!([]))).outside(few_descriptors),
        ),
        case(
            30,
            "/dev/kmsg, /dev/kvm",
            none("open('/dev/kmsg')").probes(&[Probe::OpenFile]),
            all_refused(
                "tried(*[lambda p=p: open(p) for p in ('/dev/kmsg', '/dev/kvm', '/dev/mem', '/dev/tty', '/dev/fuse')])",
            ),
        ),
        case(
            32,
            "__subclasses__, ctypes",
            none("().__class__.__base__.__subclasses__()"),
            all_refused(SUBCLASSES),
        ),
        case(
            37,
            "core dump",
            // Nothing in it can fault at will: its limit is looked at.
            On::new("1", Expect::Gives(json!(1))).outside(no_core),
            On::new("import ctypes\nctypes.string_at(0)", Expect::Kind(Crashed)).outside(no_core),
        ),
    ]
}

const NETWORK: &str = "
import socket
def to(family, kind, address):
    def attempt():
        s = socket.socket(family, kind); s.settimeout(1); s.connect(address); return address
    return attempt
tried(
    to(socket.AF_INET, socket.SOCK_STREAM, ('127.0.0.1', 22)), to(socket.AF_INET, socket.SOCK_DGRAM, ('127.0.0.1', 53)),
    to(socket.AF_INET6, socket.SOCK_STREAM, ('::1', 22)), to(socket.AF_INET, socket.SOCK_STREAM, ('169.254.169.254', 80)),
    lambda: socket.getaddrinfo('example.com', 80), lambda: socket.create_connection(('127.0.0.1', 80), 1))";

const FAMILIES: &str = "
import socket
def abstract():
    s = socket.socket(socket.AF_UNIX); s.bind('\\0nexus'); return 'bound'
tried(abstract, *[lambda f=f, k=k: socket.socket(f, k) for f in (1, 2, 10, 16, 17, 29, 31, 38, 40, 44) for k in (1, 2, 3, 5)])";

const DESCRIPTORS: &str = "
import os, stat
strange = []
for number in range(1024):
    try: mode = os.fstat(number).st_mode
    except OSError: continue
    if number > 3 or not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stat.S_ISCHR(mode)): strange.append(number)
strange";

const SUBCLASSES: &str = "
import ctypes
wrap = [c for c in ().__class__.__base__.__subclasses__() if c.__name__ == '_wrap_close'][0]
system = wrap.__init__.__globals__['system']
def shell():
    status = system('id')
    if status in (-1, 127, 127 << 8): raise OSError
    return status
libc = ctypes.CDLL(None, use_errno=True)
def native():
    if libc.system(b'id') in (-1, 127 << 8): raise OSError
    return 'ran'
tried(shell, native, lambda: wrap.__init__.__globals__['popen']('id').read() or (_ for _ in ()).throw(OSError()))";

fn few_descriptors(process: u32) -> Result<(), String> {
    let Ok(open) = fs::read_dir(format!("/proc/{process}/fd")) else {
        return Ok(());
    };
    let strange: Vec<_> = open
        .flatten()
        .filter(|e| e.file_name().to_str().is_some_and(|n| n.parse::<u32>().is_ok_and(|n| n > 2)))
        .filter_map(|e| fs::read_link(e.path()).ok())
        // bubblewrap's first process listens for the end of its child.
        .filter(|target| !target.to_string_lossy().starts_with("anon_inode:[eventfd]"))
        .filter(|target| !target.to_string_lossy().starts_with("anon_inode:[signalfd]"))
        // An interpreter that is still starting reads its own library; nothing of ours is there.
        .filter(|target| !target.starts_with("/usr/lib"))
        .collect();
    if strange.is_empty() {
        Ok(())
    } else {
        Err(format!("process {process} inherited {strange:?}"))
    }
}

fn no_core(process: u32) -> Result<(), String> {
    let limits =
        fs::read_to_string(format!("/proc/{process}/limits")).map_err(|e| e.to_string())?;
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap_or_default();
    // One byte: see `lockdown::be_private`.
    let words: Vec<_> = line.split_whitespace().collect();
    if matches!(words.as_slice(), [.., "1", "1", "bytes"]) {
        Ok(())
    } else {
        Err(format!("{process}: {line}"))
    }
}
