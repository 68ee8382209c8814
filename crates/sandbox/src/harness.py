# Runs within bubblewrap: says hello, reads one order, runs the code, answers, ends. Once the code runs,
# nothing here is to be trusted any more; the executor treats the answer as the code's own word.
import _thread, ast, base64, errno, json, linecache, math, os, resource, stat, sys, traceback

VERSION, BASE = 1, 64 << 20  # BASE: address space of the interpreter itself, measured at 20 to 45 MiB
DEPTH = 64


class TooMuch(Exception):
    pass


def send(to, message):
    body = json.dumps(message).encode()
    rest = b"NXS" + bytes([VERSION]) + len(body).to_bytes(4, "little") + body
    while rest:
        rest = rest[os.write(to, rest) :]


def receive(source):
    def exactly(count):
        parts = []
        while count:
            part = os.read(source, min(count, 1 << 20))
            if not part:
                os._exit(0)  # the executor is gone
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    head = exactly(8)
    if head[:4] != b"NXS" + bytes([VERSION]):
        os._exit(3)
    return json.loads(exactly(int.from_bytes(head[4:], "little")))


def clean(text):
    return text.encode("utf-8", "backslashreplace").decode()


class Encoder:
    """A value as JSON; what JSON cannot say is an object with $type."""

    def __init__(self, room):
        self.room, self.open = room, set()

    def charge(self, count):
        self.room -= count
        if self.room < 0:
            raise TooMuch

    def encode(self, value, depth=0):
        self.charge(2)
        kind = type(value)
        if value is None or kind is bool:
            return value
        if kind is int:
            return self.integer(value)
        if kind is float:
            return value if math.isfinite(value) else {"$type": "float", "$repr": repr(value)}
        if kind is str:
            self.charge(len(value))
            return clean(value)
        if kind in (bytes, bytearray):
            self.charge(len(value) * 4 // 3)
            return {"$type": "bytes", "$base64": base64.b64encode(value).decode()}
        if kind in (list, tuple, set, frozenset, dict):
            if id(value) in self.open:
                return {"$type": "cycle"}
            if depth >= DEPTH:
                return {"$type": "deep"}
            self.open.add(id(value))
            try:
                return self.container(kind, value, depth + 1)
            finally:
                self.open.discard(id(value))
        return self.other(kind, value)

    def integer(self, value):
        if -(2**63) <= value < 2**63:
            self.charge(20)
            return value
        if value.bit_length() > 14000:  # Python itself writes no more than 4300 digits
            return {"$type": "int", "$bits": value.bit_length()}
        text = str(value)
        self.charge(len(text))
        return {"$type": "int", "$repr": text}

    def container(self, kind, value, depth):
        if kind is dict:
            pairs = list(value.items())
            if all(type(k) is str and not k.startswith("$") for k, _ in pairs):
                return {self.encode(k, depth): self.encode(v, depth) for k, v in pairs}
            items = [[self.encode(k, depth), self.encode(v, depth)] for k, v in pairs]
            return {"$type": "dict", "$items": items}
        items = [self.encode(item, depth) for item in value]
        return items if kind in (list, tuple) else {"$type": "set", "$items": items}

    def other(self, kind, value):
        text = clean(repr(value))[:500]
        self.charge(len(text))
        return {"$type": clean(kind.__name__)[:100], "$repr": text}


def failed(kind, message, trace=""):
    return {"error": {"kind": kind, "message": clean(message)[:8000], "traceback": clean(trace)[-12000:]}}


def exception(error):
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename != "<code>":
        frames = frames.tb_next
    trace = "".join(traceback.format_exception(type(error), error, frames))
    return failed("exception", traceback.format_exception_only(type(error), error)[-1].strip(), trace)


def run(code, room):
    linecache.cache["<code>"] = (len(code), None, code.splitlines(True), "<code>")
    try:
        tree = ast.parse(code, "<code>")
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        body = compile(tree, "<code>", "exec")
        tail = last and compile(ast.Expression(last.value), "<code>", "eval")
    except (SyntaxError, ValueError, RecursionError) as error:
        return failed("syntax", traceback.format_exception_only(type(error), error)[-1].strip())
    except MemoryError:
        return failed("syntax", "the code is nested too deeply")
    try:
        scope = {"__name__": "__main__"}
        exec(body, scope)
        value = eval(tail, scope) if tail else None
        return {"value": Encoder(room).encode(value)}
    except MemoryError:
        return failed("memory_limit", "it wanted more memory than it may have")
    except TooMuch:
        return failed("output_limit", f"its result is larger than {room} bytes as JSON")
    except SystemExit as error:
        if error.code in (None, 0):
            return {"value": None}
        return exception(error)
    except BaseException as error:
        return exception(error)


def collect(given, limits):
    files, room, left_out = [], limits["file_bytes"], False
    for name in sorted(os.listdir(".")):
        try:
            at = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            left_out = True
            continue
        try:
            found = os.fstat(at)
            if stat.S_ISDIR(found.st_mode):
                continue
            plain = stat.S_ISREG(found.st_mode) and found.st_size <= room and len(files) < limits["files"]
            data = os.read(at, found.st_size) if plain else b""
            if not plain or len(data) != found.st_size:
                left_out = True
            elif given.get(name) != data:
                room -= len(data)
                files.append({"name": clean(name), "data": base64.b64encode(data).decode()})
        except (OSError, MemoryError):
            left_out = True
        finally:
            os.close(at)
    return files, left_out


def lower(which, value):
    soft, hard = resource.getrlimit(which)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (value, value))


def is_open(number):
    try:
        os.fstat(number)
        return True
    except OSError:
        return False


def filtered():
    try:
        os.close(os.memfd_create("probe"))
        return False
    except OSError as error:
        return error.errno in (errno.EPERM, errno.ENOSYS)


def main():
    os.chdir(sys.argv[1])
    found = set(os.environ) - {"PWD", "LC_CTYPE"}
    send(0, {
        "backend": "python-full",
        "environment": len(found),
        "descriptors": sum(is_open(number) for number in range(3, 256)),
        "seccomp": filtered(),
        "landlock": "unused",
    })
    order = receive(0)
    limits = order["limits"]
    channel = os.dup(0)
    nothing = os.open("/dev/null", os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    sys.stdout.reconfigure(errors="backslashreplace")
    sys.argv[:] = [""]
    given = {file["name"]: base64.b64decode(file["data"]) for file in order["files"]}
    for name, data in given.items():
        with open(name, "xb") as file:
            file.write(data)
    sys.setrecursionlimit(limits["recursion"])
    _thread.stack_size(1 << 20)  # the usual eight megabytes are address space that the limit counts
    lower(resource.RLIMIT_CPU, limits["time_ms"] // 1000 + 2)
    lower(resource.RLIMIT_AS, BASE + limits["memory"])
    outcome = run(order["code"], limits["value"])
    files, left_out = collect(given, limits)
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu = int((used.ru_utime + used.ru_stime) * 1e6)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BaseException:
            pass
    send(channel, {"outcome": outcome, "files": files, "files_left_out": left_out, "cpu_us": cpu})
    os._exit(0)


main()
