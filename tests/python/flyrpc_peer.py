"""A peer of FlyRPC, written from its wire: `flyrpc_peer.py client PORT`, or `flyrpc_peer.py server`, which prints its port.

A packet is `flag u8, seq u16, code, 00, length, payload`, in big endian. Each side numbers its own requests from 1; a response
has the flag 80 and the number of its request, and its code is empty or an error.
"""

import json
import socket
import struct
import sys
import threading

RESPONSE, WANTS_RESPONSE = 0x80, 0x40


class Error(Exception):
    """An error of the peer: a code."""


class Peer:
    """One end of a connection. Each request is handled in a thread of its own, as the reference does."""

    def __init__(self, connection, handlers):
        self.connection = connection
        self.stream = connection.makefile("rb")
        self.handlers = handlers
        self.lock = threading.Lock()
        self.seq = 0
        self.open = {}
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        try:
            while True:
                self.receive()
        except (EOFError, OSError):
            pass

    def read(self, count):
        data = self.stream.read(count)
        if len(data) < count:
            raise EOFError
        return data

    def receive(self):
        flag, seq = struct.unpack(">BH", self.read(3))
        code = b""
        while (byte := self.read(1)) != b"\0":
            code += byte
        length = int.from_bytes(self.read(1 << (flag & 3)), "big")
        payload = self.read(length)
        if flag & RESPONSE:
            waiting = self.open.pop(seq)
            waiting.answer = (code.decode(), payload)
            waiting.done.set()
        else:
            threading.Thread(target=self.serve, args=(flag, seq, code.decode(), payload), daemon=True).start()

    def serve(self, flag, seq, code, payload):
        try:
            handler = self.handlers.get(code)
            if handler is None:
                raise Error("NOT_FOUND")
            answer = handler(self, payload)
        except Error as error:
            self.write(RESPONSE, seq, str(error), b"")
        else:
            if flag & WANTS_RESPONSE:
                self.write(RESPONSE, seq, "", answer or b"")

    def write(self, flag, seq, code, payload):
        width, form = next(
            (width, form)
            for width, form, limit in ((0, ">B", 1 << 8), (1, ">H", 1 << 16), (2, ">I", 1 << 32))
            if len(payload) < limit
        )
        head = struct.pack(">BH", flag | width, seq) + code.encode() + b"\0" + struct.pack(form, len(payload))
        with self.lock:
            self.connection.sendall(head + payload)

    def begin(self, code, payload):
        """Asks, and returns what waits for the response. Before it is sent, so that no answer is too quick."""
        waiting = Waiting()
        with self.lock:
            self.seq = (self.seq + 1) % 65536
            seq = self.seq
            self.open[seq] = waiting
        self.write(WANTS_RESPONSE, seq, code, payload)
        return waiting

    def call(self, code, payload=b""):
        return self.begin(code, payload).wait()


class Waiting:
    def __init__(self):
        self.done = threading.Event()
        self.answer = None

    def wait(self):
        assert self.done.wait(60), "no response"
        code, payload = self.answer
        if code:
            raise Error(code)
        return payload


def fails(peer, code, payload=b""):
    try:
        peer.call(code, payload)
    except Error as error:
        return str(error)
    raise AssertionError(f"{code} did not fail")


def dumps(value):
    return json.dumps(value).encode()


def double(_, payload):
    return dumps({"n": 2 * json.loads(payload)["n"]})


def run_client(port):
    told = []
    handlers = {"double": double, "told": lambda _, payload: told.append(payload)}
    peer = Peer(socket.create_connection(("127.0.0.1", port)), handlers)
    calls = [peer.begin("add", dumps({"a": n, "b": 1})) for n in range(200)]
    for n, call in enumerate(calls):
        assert json.loads(call.wait()) == {"sum": n + 1}
    notes = [peer.begin("note_ind", str(n).encode()) for n in range(200)]
    assert all(note.wait() == b"" for note in notes)
    assert peer.call("upper", "grüße".encode()).decode() == "GRÜßE"
    for size in (0, 255, 256, 65_535, 65_536):
        assert peer.call("echo", b"\xff" * size) == b"\xff" * size
    assert json.loads(peer.call("call-back", dumps({"n": 21}))) == {"n": 42}
    assert told == [b"hello"]
    assert fails(peer, "fail", b"E_FOO") == "E_FOO"
    assert fails(peer, "panic") == "HANDLER_PANIC"
    assert fails(peer, "no-such-code") == "NOT_FOUND"
    assert fails(peer, "") == "NOT_FOUND"
    assert fails(peer, "add", b"{") == "INVALID_ARGUMENT"
    # Its numbers wrap.
    peer.seq = 65_530
    for n in range(20):
        assert json.loads(peer.call("add", dumps({"a": n, "b": 1}))) == {"sum": n + 1}
    assert 0 < peer.seq < 20
    print("all is as expected")


def run_server():
    def add(_, payload):
        request = json.loads(payload)
        return dumps({"sum": request.get("a", 0) + request.get("b", 0)})

    def fail(_, payload):
        raise Error(payload.decode())

    def call_back(peer, payload):
        doubled = peer.call("double", payload)
        peer.begin("told", b"hello")
        return doubled

    handlers = {"add": add, "fail": fail, "call-back": call_back, "save": lambda *_: None}
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    while True:
        Peer(listener.accept()[0], handlers)


if __name__ == "__main__":
    if sys.argv[1] == "client":
        run_client(int(sys.argv[2]))
    else:
        run_server()
