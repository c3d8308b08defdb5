// The client side of MSIP over a WebSocket, by hand, as far as the chat of examples/proto/chat.proto needs it
// (docs/protocol.md; the numbers below are its own). It has no build step and needs nothing but a WebSocket.
"use strict";

const MAGIC = 0x4d534950;
const HEADER_LEN = 24;
const TYPE = { HELLO: 1, PUBLISH: 4, EVENT: 5, ACK: 6, ERROR: 7, PING: 8, PONG: 9, CLOSE: 10, CREDIT: 11 };
const FLAG = { ACK_REQUIRED: 1, META: 16 };
const KIND = { EVENT: 1, COMMAND: 2, STATE: 3 };

// What a page accepts of one frame. The server is told in HELLO.
const MAX_BODY = 64 * 1024;
// A WebSocket message is at most so long; a longer frame is cut into several.
const MAX_MESSAGE = 64 * 1024;
const KEEPALIVE_MS = 10_000;

// --- protobuf, as far as it goes: varints, fixed64 and what has a length ---

function varint(number) {
  const bytes = [];
  while (number > 127) {
    bytes.push((number % 128) | 128);
    number = Math.floor(number / 128);
  }
  return [...bytes, number];
}

// A field: its value is a number, a text, or bytes.
function field(number, value) {
  if (typeof value === "number") return [...varint(number * 8), ...varint(value)];
  const bytes = typeof value === "string" ? new TextEncoder().encode(value) : value;
  return [...varint(number * 8 + 2), ...varint(bytes.length), ...bytes];
}

function fixed64(number, value) {
  const bytes = new DataView(new ArrayBuffer(8));
  bytes.setBigUint64(0, value, true);
  return [...varint(number * 8 + 1), ...new Uint8Array(bytes.buffer)];
}

// The fields of a message: [number, value] each, the value a number or bytes. Fields of other types are passed over.
function fields(bytes) {
  const found = [];
  let at = 0;
  const read = () => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      if (at >= bytes.length || factor > 2 ** 49) throw new Error("a message that is cut off");
      const byte = bytes[at++];
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  };
  const take = (len) => {
    if (len > bytes.length - at) throw new Error("a message that is cut off");
    at += len;
    return bytes.subarray(at - len, at);
  };
  while (at < bytes.length) {
    const key = read();
    const number = Math.floor(key / 8);
    switch (key % 8) {
      case 0: found.push([number, read()]); break;
      case 1: take(8); break;
      case 2: found.push([number, take(read())]); break;
      case 5: take(4); break;
      default: throw new Error("a message with a field of no known type");
    }
  }
  return found;
}

const text = (bytes) => new TextDecoder().decode(bytes);
const texts = (message, number) => fields(message).filter(([n]) => n === number).map(([, value]) => text(value));
const firstText = (message, number) => texts(message, number)[0] ?? "";

// --- a session of the chat ---

// Connects, and calls these when something happens: onReady(), onMessage(user, text), onJoined(user), onLeft(user),
// onEnd(reason). One connection is one session: it is not resumed.
class ChatClient {
  constructor(url, fingerprint, handlers) {
    this.handlers = handlers;
    this.received = new Uint8Array(0);
    // The connecting side's ids: HELLO has 1.
    this.lastId = 1n;
    this.calls = new Map();
    // What may be sent, and what was handled and not granted again yet.
    this.credit = { items: 1024, bytes: 1 << 20 };
    this.handled = { items: 0, bytes: 0 };
    this.reason = "the connection was lost";
    this.heardAt = Date.now();
    this.socket = new WebSocket(url, "msip.1");
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => this.hello(fingerprint);
    this.socket.onmessage = ({ data }) => this.receive(data);
    this.socket.onclose = () => this.end();
    this.timer = setInterval(() => this.checkLife(), KEEPALIVE_MS / 2);
  }

  // Enters the room. The promise has { motd, users }.
  enter(user) {
    return this.call(1, field(1, user)).then((answer) => ({ motd: firstText(answer, 1), users: texts(answer, 2) }));
  }

  // Says something; false where the server has not kept up, and it was not sent.
  say(line) {
    const payload = [0, 0, ...field(2, field(2, line))];
    if (this.credit.items < 1 || this.credit.bytes < 1) return false;
    this.credit.items -= 1;
    this.credit.bytes -= payload.length;
    this.send(TYPE.PUBLISH, 0, KIND.EVENT, 2, this.nextId(), payload);
    return true;
  }

  // Who is in the room: [{ user, active }].
  who() {
    return this.call(4, []).then((answer) => fields(answer).filter(([n]) => n === 1).map(([, person]) => ({
      user: firstText(person, 1),
      active: fields(person).some(([n, value]) => n === 2 && value === 1),
    })));
  }

  close() {
    if (this.socket.readyState === 1) {
      this.send(TYPE.CLOSE, 0, KIND.STATE, 0, 0n, new TextEncoder().encode("CANCELLED: done"));
    }
    this.reason = "closed";
    this.socket.close(1000);
  }

  nextId() {
    this.lastId += 1n;
    return this.lastId;
  }

  // A call: a request of this variant. The promise has the answer's message.
  call(variant, message) {
    const id = this.nextId();
    return new Promise((answered, failed) => {
      this.calls.set(id, { answered, failed });
      this.send(TYPE.PUBLISH, FLAG.ACK_REQUIRED, KIND.COMMAND, variant, id, [0, 0, ...field(variant, message)]);
    });
  }

  hello(fingerprint) {
    const random = crypto.getRandomValues(new Uint8Array(24));
    // A session's id is never 0.
    random[0] |= 1;
    const hello = [
      ...field(1, "chat"), ...fixed64(2, fingerprint), ...field(3, [1]), ...field(5, KEEPALIVE_MS),
      ...field(6, MAX_BODY), ...field(8, "chat-web"), ...field(10, random.subarray(8)),
    ];
    this.send(TYPE.HELLO, 0, KIND.STATE, 0, 1n, [...random.subarray(0, 8), ...hello]);
  }

  send(type, flags, kind, variant, id, payload) {
    const frame = new Uint8Array(HEADER_LEN + payload.length);
    const header = new DataView(frame.buffer);
    header.setUint32(0, MAGIC);
    header.setUint8(4, 1);
    header.setUint8(5, flags);
    header.setUint16(6, type);
    header.setUint16(8, kind);
    header.setUint16(10, variant);
    header.setUint32(12, payload.length);
    header.setBigUint64(16, id);
    frame.set(payload, HEADER_LEN);
    for (let at = 0; at < frame.length; at += MAX_MESSAGE) {
      this.socket.send(frame.subarray(at, at + MAX_MESSAGE));
    }
  }

  // A message of the WebSocket: some bytes of the stream, which may hold many frames, or a part of one.
  receive(data) {
    this.heardAt = Date.now();
    const part = new Uint8Array(data);
    const bytes = new Uint8Array(this.received.length + part.length);
    bytes.set(this.received);
    bytes.set(part, this.received.length);
    let at = 0;
    try {
      while (bytes.length - at >= HEADER_LEN) {
        const header = new DataView(bytes.buffer, at, HEADER_LEN);
        const len = header.getUint32(12);
        if (header.getUint32(0) !== MAGIC || header.getUint8(4) !== 1) throw new Error("a server that does not speak MSIP");
        // Besides the body: metadata, a topic, and their lengths; or a ping.
        if (len > MAX_BODY + 16 * 1024) throw new Error("a frame that is too long");
        if (bytes.length - at < HEADER_LEN + len) break;
        at += HEADER_LEN;
        this.frame({
          flags: header.getUint8(5), type: header.getUint16(6), variant: header.getUint16(10), id: header.getBigUint64(16),
        }, bytes.subarray(at, at + len));
        at += len;
      }
    } catch (error) {
      this.reason = error.message;
      this.socket.close(1000);
      return;
    }
    this.received = bytes.slice(at);
  }

  frame({ flags, type, variant, id }, payload) {
    const call = this.calls.get(id);
    switch (type) {
      case TYPE.PING:
        this.send(TYPE.PONG, 0, KIND.STATE, 0, id, payload);
        break;
      case TYPE.ACK:
        if (id === 1n) this.handlers.onReady();
        else if (call) {
          this.calls.delete(id);
          const body = flags & FLAG.META ? payload.subarray(2 + new DataView(payload.buffer, payload.byteOffset).getUint16(0)) : payload;
          call.answered(this.message(body, variant));
        }
        break;
      case TYPE.ERROR:
        if (call) {
          this.calls.delete(id);
          call.failed(new Error(text(payload)));
        } else this.reason = text(payload);
        break;
      case TYPE.CLOSE:
        this.reason = text(payload);
        this.close();
        break;
      case TYPE.CREDIT:
        if (id === 0n) {
          const granted = new DataView(payload.buffer, payload.byteOffset, payload.length);
          this.credit.items += granted.getUint32(0);
          this.credit.bytes += granted.getUint32(4);
        }
        break;
      case TYPE.EVENT:
        this.event(flags, variant, id, payload);
        break;
    }
  }

  // The message of this variant in an envelope.
  message(body, variant) {
    const found = fields(body).find(([number]) => number === variant);
    if (!found) throw new Error("a body without its message");
    return found[1];
  }

  event(flags, variant, id, payload) {
    const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
    let at = flags & FLAG.META ? 2 + view.getUint16(0) : 0;
    at += 2 + view.getUint16(at);
    const body = payload.subarray(at);
    if (flags & FLAG.ACK_REQUIRED) {
      if (variant === 5) {
        // Is anyone there? Whoever looks at the page.
        const active = typeof document === "undefined" || document.hasFocus();
        this.send(TYPE.ACK, 0, KIND.STATE, 3, id, field(3, active ? field(1, 1) : []));
      } else {
        this.send(TYPE.ERROR, 0, KIND.STATE, 0, id, new TextEncoder().encode("UNIMPLEMENTED: not in a browser"));
      }
      return;
    }
    const message = this.message(body, variant);
    if (variant === 2) this.handlers.onMessage(firstText(message, 1), firstText(message, 2));
    if (variant === 3) this.handlers.onJoined(firstText(message, 1));
    if (variant === 4) this.handlers.onLeft(firstText(message, 1));
    this.grant(payload.length);
  }

  // Half of the window was handled: the server may send as much again.
  grant(len) {
    this.handled.items += 1;
    this.handled.bytes += len;
    if (this.handled.items < 512 && this.handled.bytes < 512 * 1024) return;
    const credit = new DataView(new ArrayBuffer(8));
    credit.setUint32(0, this.handled.items);
    credit.setUint32(4, this.handled.bytes);
    this.send(TYPE.CREDIT, 0, KIND.STATE, 0, 0n, new Uint8Array(credit.buffer));
    this.handled = { items: 0, bytes: 0 };
  }

  // The server pings; a timer of a page in the background may be late, and then it has heard of it meanwhile.
  checkLife() {
    if (Date.now() - this.heardAt < 3 * KEEPALIVE_MS) return;
    this.reason = "the server has been silent";
    this.socket.close(1000);
    this.end();
  }

  end() {
    if (this.timer === null) return;
    clearInterval(this.timer);
    this.timer = null;
    for (const { failed } of this.calls.values()) failed(new Error(this.reason));
    this.calls.clear();
    this.handlers.onEnd(this.reason);
  }
}

// --- the page ---

function startPage() {
  const { url, fingerprint } = document.body.dataset;
  const log = document.getElementById("log");
  const show = (line) => {
    const shown = document.createElement("div");
    // Never as HTML: others have written it.
    shown.textContent = line;
    log.append(shown);
    log.scrollTop = log.scrollHeight;
  };
  const form = document.getElementById("form");
  const input = document.getElementById("input");
  let client = null;
  let entered = false;
  const enter = (name) => {
    client = new ChatClient(url, BigInt(fingerprint), {
      onReady: () => client.enter(name).then(({ motd, users }) => {
        entered = true;
        input.placeholder = "say something, or /who";
        show(`* ${motd}`);
        show(`* in the room: ${users.join(", ")}`);
        const say = new URLSearchParams(location.search).get("say");
        if (say) speak(say);
      }, (error) => show(`! ${error.message}`)),
      onMessage: (user, line) => show(`<${user}> ${line}`),
      onJoined: (user) => show(`* ${user} entered`),
      onLeft: (user) => show(`* ${user} left`),
      onEnd: (reason) => {
        show(`! ${reason}; reload the page to come back`);
        client = null;
      },
    });
  };
  const speak = (line) => {
    if (line === "/who") {
      client.who().then(
        (people) => show(`* in the room: ${people.map(({ user, active }) => user + (active ? "" : " (away)")).join(", ")}`),
        (error) => show(`! ${error.message}`),
      );
    } else if (client.say(line)) show(`> ${line}`);
    else show("! the server is busy: it was not sent");
  };
  form.onsubmit = (event) => {
    event.preventDefault();
    const line = input.value.trim();
    if (!line) return;
    input.value = "";
    if (client && entered) speak(line);
    else if (!client) enter(line);
  };
  window.onpagehide = () => client?.close();
  // ?name=ada enters at once.
  const name = new URLSearchParams(location.search).get("name");
  if (name) enter(name);
}

if (typeof document !== "undefined") startPage();
