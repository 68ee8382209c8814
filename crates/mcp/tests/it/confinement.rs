//! What a confined server may ask of the kernel, and how much of the machine it may take.

use std::sync::Arc;

use nexus_mcp::{Bubblewrap, Confinement, Fleet, MemoryPins, Parts, Sandbox, Server};
use serde_json::{Value, json};

use crate::support::{FAKE, config, failed, fake, fleet_of, ready, said};

fn confined(sandbox: Sandbox) -> Server {
    let mut server = fake("runs");
    let mut sandbox = sandbox;
    sandbox.read.push(FAKE.into());
    server.sandbox = Confinement::On(sandbox);
    server
}

/// What `code` puts into `said`, run by a confined server.
async fn runs(sandbox: Sandbox, code: &str) -> String {
    let fleet = fleet_of(confined(sandbox)).await;
    ready(&fleet).await;
    let answer = said(&fleet, "run", json!({"code": code})).await;
    fleet.shutdown().await;
    answer
}

/// Numbers on x86-64 and on ARM64; from 424 on they are the same everywhere.
const CALLS: &str = r"
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
x86 = os.uname().machine == 'x86_64'
calls = {
    'ptrace': (101, 117), 'bpf': (321, 280), 'mount': (165, 40), 'umount2': (166, 39),
    'pivot_root': (155, 41), 'chroot': (161, 51), 'unshare': (272, 97), 'setns': (308, 268),
    'kexec_load': (246, 104), 'kexec_file_load': (320, 294), 'reboot': (169, 142),
    'init_module': (175, 105), 'finit_module': (313, 273), 'delete_module': (176, 106),
    'keyctl': (250, 219), 'add_key': (248, 217), 'request_key': (249, 218),
    'userfaultfd': (323, 282), 'perf_event_open': (298, 241), 'personality': (135, 92),
    'process_vm_readv': (310, 270), 'process_vm_writev': (311, 271), 'kcmp': (312, 272),
    'name_to_handle_at': (303, 264), 'open_by_handle_at': (304, 265), 'fanotify_init': (300, 262),
    'memfd_create': (319, 279), 'execveat': (322, 281), 'syslog': (103, 116), 'acct': (163, 89),
    'swapon': (167, 224), 'quotactl': (179, 60), 'sethostname': (170, 161), 'semget': (64, 190),
    'io_uring_setup': (425, 425), 'io_uring_enter': (426, 426), 'open_tree': (428, 428),
    'move_mount': (429, 429), 'fsopen': (430, 430), 'clone3': (435, 435), 'pidfd_getfd': (438, 438),
    'mount_setattr': (442, 442),
}
possible = []
for name, numbers in calls.items():
    # -1 is an answer of every filter and kernel; which one is told by the reason.
    if libc.syscall(numbers[0 if x86 else 1], -1, 0, 0, 0, 0, 0) != -1 or ctypes.get_errno() != 38:
        possible.append(name)
for name, space in {'user': 0x10000000, 'mount': 0x20000, 'pid': 0x20000000, 'net': 0x40000000}.items():
    child = libc.syscall(56 if x86 else 220, space | 17, 0, 0, 0, 0, 0)
    if child == 0:
        os._exit(0)
    if child != -1 or ctypes.get_errno() != 38:
        possible.append('clone with a namespace: ' + name)
said = possible
";

#[tokio::test]
async fn calls_that_ordinary_programs_do_not_make_do_not_exist() {
    assert_eq!(runs(Sandbox::default(), CALLS).await, "[]");
    let open = Sandbox {
        network: true,
        ..Sandbox::default()
    };
    assert_eq!(runs(open, CALLS).await, "[]");
}

#[tokio::test]
async fn sockets_are_those_of_the_network_that_is_let_in() {
    let code = r"
import socket
said = []
for name in ('AF_INET', 'AF_INET6', 'AF_PACKET', 'AF_VSOCK', 'AF_ALG', 'AF_UNIX'):
    kind = socket.SOCK_SEQPACKET if name == 'AF_ALG' else socket.SOCK_DGRAM
    try: socket.socket(getattr(socket, name), kind).close(); said.append(name)
    except OSError: pass
";
    assert_eq!(runs(Sandbox::default(), code).await, "['AF_UNIX']");
    let open = Sandbox {
        network: true,
        ..Sandbox::default()
    };
    assert_eq!(runs(open, code).await, "['AF_INET', 'AF_INET6', 'AF_UNIX']");
}

#[tokio::test]
async fn the_limits_are_those_of_the_configuration() {
    let sandbox = Sandbox {
        tasks: 50,
        memory_bytes: 300 << 20,
        open_files: 64,
        file_bytes: 1 << 20,
        ..Sandbox::default()
    };
    let code = r"
import json, mmap, resource
said = {}
for name in ('NPROC', 'DATA', 'NOFILE', 'FSIZE', 'CORE', 'MEMLOCK', 'MSGQUEUE'):
    soft, hard = resource.getrlimit(getattr(resource, 'RLIMIT_' + name, 12))
    assert soft == hard, name
    said[name] = hard
def reason(action):
    try: action()
    except (OSError, MemoryError) as error: return getattr(error, 'strerror', None) or 'no memory'
held = []
said['memory'] = reason(lambda: bytearray(400 << 20))
said['little memory'] = reason(lambda: bytearray(100 << 20))
said['shared memory'] = reason(lambda: mmap.mmap(-1, 4096))
said['a device of it'] = reason(lambda: open('/dev/zero', 'r+b'))
with open('/tmp/shared', 'w+b') as file:
    file.truncate(4096)
    said['a shared file'] = reason(lambda: mmap.mmap(file.fileno(), 4096))
said['files'] = reason(lambda: held.extend(open('/dev/null') for _ in range(100)))
held.clear()
said['file'] = reason(lambda: open('/tmp/large', 'wb').write(bytes(2 << 20)))
said = json.dumps(said)
";
    let seen: Value = serde_json::from_str(&runs(sandbox, code).await).unwrap();
    assert_eq!(
        seen,
        // A core limit of 1 is obeyed where 0 is not: where cores are piped to a program.
        json!({
            "NPROC": 50, "DATA": 300 << 20, "NOFILE": 64, "FSIZE": 1 << 20, "CORE": 1,
            "MEMLOCK": 0, "MSGQUEUE": 0, "memory": "no memory", "little memory": null,
            "shared memory": "Function not implemented", "a shared file": null,
            "a device of it": "No such file or directory",
            "files": "Too many open files", "file": "File too large",
        })
    );
}

#[tokio::test]
async fn its_tmp_holds_so_many_files_and_no_more() {
    let code = r"
said = 0
try:
    while said < 100_000:
        open(f'/tmp/{said}', 'w').close(); said += 1
except OSError: pass
";
    let made: u32 = runs(Sandbox::default(), code).await.parse().unwrap();
    assert!((4000..5000).contains(&made), "{made}");
}

/// Threads, processes, its own server, names, children in node with workers: all that a filter too
/// narrow would break.
const BUSY: &str = r#"
import asyncio, concurrent.futures, multiprocessing, os, socket, subprocess, tempfile, threading
with concurrent.futures.ThreadPoolExecutor(20) as pool:
    total = sum(pool.map(lambda n: n * n, range(100)))
async def echo():
    async def back(reader, writer):
        writer.write(await reader.readline()); await writer.drain(); writer.close()
    server = await asyncio.start_server(back, '127.0.0.1', 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b'echo\n')
    line = await reader.readline()
    writer.close(); server.close()
    child = await asyncio.create_subprocess_exec('echo', 'child', stdout=subprocess.PIPE)
    return line + (await child.communicate())[0]
lines = asyncio.run(echo())
socket.getaddrinfo('localhost', 80)
with tempfile.TemporaryDirectory() as folder:
    os.rename(tempfile.mkstemp(dir=folder)[1], folder + '/moved')
script = '''
const { Worker } = require('worker_threads'), { execFileSync } = require('child_process')
const server = require('net').createServer(it => it.end('from net')).listen(0, '127.0.0.1', async () => {
  let heard = ''
  const worker = new Worker("require('worker_threads').parentPort.postMessage(6 * 7)", { eval: true })
  const answer = await new Promise(done => worker.on('message', done))
  for await (const part of require('net').connect(server.address().port, '127.0.0.1')) heard += part
  require('fs').writeFileSync('/tmp/note', 'kept')
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1000 })
  const hash = require('crypto').createHash('sha256').update(Buffer.alloc(50 << 20)).digest('hex').length
  console.log(answer, heard, execFileSync('cat', ['/tmp/note']) + '', memory.buffer.byteLength, hash)
  server.close()
})
'''
node = subprocess.run(['node', '-e', script], capture_output=True, text=True, timeout=60)
said = f'{total} {lines} {node.stdout.strip()} {node.stderr.strip()}'
"#;

#[tokio::test]
async fn ordinary_programs_with_threads_children_and_sockets_work() {
    let open = Sandbox {
        network: true,
        ..Sandbox::default()
    };
    assert_eq!(
        runs(open, BUSY).await.trim(),
        "328350 b'echo\\nchild\\n' 42 from net kept 65536 64"
    );
}

#[tokio::test]
async fn without_the_program_that_confines_only_what_is_not_confined_starts() {
    let launcher = Bubblewrap::of_system(Err("`nexus-sandbox` is nowhere".to_owned()));
    let fleet = Fleet::new(Parts {
        launcher: Arc::new(launcher),
        pins: Arc::new(MemoryPins::default()),
        environment: Arc::new(|_| None),
        sampler: None,
    });
    fleet
        .apply(&config(confined(Sandbox::default())))
        .await
        .unwrap();
    let reason = failed(&fleet).await;
    assert!(
        reason.contains("`nexus-sandbox` is nowhere") && reason.contains("`sandbox: off`"),
        "{reason}"
    );
    fleet.apply(&config(fake("good"))).await.unwrap();
    ready(&fleet).await;
    fleet.shutdown().await;
}
