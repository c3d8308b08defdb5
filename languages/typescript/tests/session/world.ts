/**
 * Two sessions in a simulated world: its time, its network and its programs follow from a seed.
 *
 * Bytes are cut anywhere and delayed, connections are lost with what is under way, servers forget sessions, and handlers answer
 * late, early, or not at all. {@link World.check} says what has to hold all the same.
 */

import assert from "node:assert/strict";

import type { Member } from "../../src/protocol.js";
import { Accepting, ClientSession, ServerSession, Status, canSendItem, endAnswers, sendAnswerItem, sendItem, everyPart, type Event, type Message, type MsgId, type RequestItem, type AnswerItem, type Session, type Settings } from "../../src/session/index.js";
import { BOTH, CALL, LOG, NOTE, ORDER, PROTOCOL, STATE, UPLOAD, URGENT_CALL, URGENT_NOTE, WATCH, bytes, text } from "./pair.js";

/** Numbers that follow from a seed (mulberry32). */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  oneIn(count: number): boolean {
    return this.below(count) === 0;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }
}

/** What one side has sent, by the text of its body. */
interface Sent {
  readonly member: Member;
  readonly id: MsgId;
  cancelled: boolean;
  outcomes: string[];
  /** Its peer has certainly not handled it. */
  repeatable: boolean;
  /** Items of answers that came. */
  items: number;
  /** Items of requests that are still to be sent. */
  toSend: number;
}

/** A call that this side handles. */
interface Handling {
  readonly id: MsgId;
  readonly member: Member;
  readonly text: string;
  items: number;
  toSend: number;
  requestsEnded: boolean;
  cancelled: boolean;
}

/** One side, and the program on it. */
class Side {
  session!: Session;
  readonly sent = new Map<string, Sent>();
  readonly byId = new Map<MsgId, string>();
  /** What the peer's messages were, in the order in which they came. */
  readonly heard: { text: string; member: Member }[] = [];
  /** The requests that came, by their text. */
  readonly handled = new Map<string, number>();
  readonly handling = new Map<MsgId, Handling>();
  readonly unfinished: (Message | RequestItem | AnswerItem)[] = [];
  readonly unacknowledged: MsgId[] = [];
  closedBy: Status | undefined;
  #count = 0;

  constructor(
    readonly name: string,
    readonly world: World,
  ) {}

  /** Does one thing that a program may do. */
  act(): void {
    const { random, now } = this.world;
    const { session } = this;
    if (!session || session.phase === "idle" || session.phase === "over") return;
    switch (random.below(10)) {
      case 0:
      case 1:
        return this.open(random.pick([CALL, CALL, URGENT_CALL, WATCH, UPLOAD, BOTH]));
      case 2:
      case 3:
        return this.open(random.pick([NOTE, NOTE, ORDER, ORDER, URGENT_NOTE, STATE, LOG]));
      case 4:
        return this.sendItems();
      case 5: {
        if (!random.oneIn(6)) return;
        const open = [...this.sent.values()].filter((sent) => sent.outcomes.length === 0 && !sent.cancelled && sent.member.answer);
        if (open.length === 0) return;
        const sent = random.pick(open);
        sent.cancelled = true;
        session.cancel(sent.id, now);
        return;
      }
      default:
        return this.finishSomething();
    }
  }

  open(member: Member): void {
    const { random, now } = this.world;
    const name = `${this.name}${this.#count++}`;
    const size = random.oneIn(20) ? random.below(100_000) : 0;
    const body = bytes(name + " ".repeat(size));
    if (!this.session.canSend(member, body.length)) return;
    const timeoutMs = random.oneIn(10) ? 1 + random.below(2000) : undefined;
    const options = timeoutMs === undefined ? {} : { timeoutMs };
    const id = member.answer ? this.session.call(member, body, now, options) : this.session.send(member, body, now, options);
    const sent = { member, id, cancelled: false, outcomes: [], repeatable: false, items: 0, toSend: member.requestStream ? random.below(60) : -1 };
    this.sent.set(name, sent);
    if (member.answer || member === ORDER) this.byId.set(id, name);
  }

  sendItems(): void {
    const { random } = this.world;
    for (const sent of this.sent.values()) {
      if (sent.toSend < 0 || sent.outcomes.length > 0 || sent.cancelled || random.oneIn(3)) continue;
      for (let n = random.below(30); n > 0 && sent.toSend >= 0 && canSendItem(this.session, sent.id, 5); n--) {
        sent.toSend--;
        sendItem(this.session, sent.id, bytes(sent.toSend < 0 ? "" : "item"), sent.toSend < 0);
      }
    }
    for (const call of this.handling.values()) {
      for (let n = random.below(30); n > 0 && call.toSend > 0 && canSendItem(this.session, call.id, 5); n--) {
        call.toSend--;
        sendAnswerItem(this.session, call.id, bytes(String(call.items++)));
      }
    }
  }

  /** A handler goes on, or ends. */
  finishSomething(): void {
    const { random, now } = this.world;
    const { session } = this;
    for (let n = random.below(20); n > 0 && this.unfinished.length > 0; n--) session.finished(this.unfinished.shift()!, now);
    for (let n = random.below(4); n > 0 && this.unacknowledged.length > 0; n--) {
      const id = this.unacknowledged.shift()!;
      if (random.oneIn(10)) session.fail(id, new Status("ABORTED", "refused"));
      else session.acknowledge(id);
    }
    for (const call of this.handling.values()) {
      if (call.cancelled) session.fail(call.id, new Status("CANCELLED", "stopped"));
      else if (random.oneIn(2)) continue;
      else if (random.oneIn(12)) session.fail(call.id, new Status("NOT_FOUND", "no"));
      else if (call.member.requestStream && !call.requestsEnded && !random.oneIn(30)) continue;
      else if (call.toSend > 0) continue;
      else if (call.member.responseStream) endAnswers(session, call.id);
      else session.answer(call.id, bytes(call.text));
      this.handling.delete(call.id);
    }
  }

  /** What happened. */
  note(event: Event): void {
    const { random } = this.world;
    switch (event.type) {
      case "request": {
        const name = text(event.body).trimEnd();
        this.handled.set(name, (this.handled.get(name) ?? 0) + 1);
        const toSend = event.member.responseStream ? random.below(60) : 0;
        this.handling.set(event.id, { id: event.id, member: event.member, text: name, items: 0, toSend, requestsEnded: !event.streaming, cancelled: false });
        return;
      }
      case "requestItem":
        this.unfinished.push(event);
        return;
      case "requestEnd": {
        const call = this.handling.get(event.id);
        if (call) call.requestsEnded = true;
        return;
      }
      case "cancelled": {
        const call = this.handling.get(event.id);
        if (call) call.cancelled = true;
        return;
      }
      case "message":
        this.heard.push({ text: text(event.body).trimEnd(), member: event.member });
        this.unfinished.push(event);
        if (event.delivery) this.unacknowledged.push(event.id);
        return;
      case "answerItem": {
        this.unfinished.push(event);
        const sent = this.sentBy(event.id);
        if (sent && !sent.cancelled) assert.equal(text(event.body), String(sent.items++), "items come in order");
        return;
      }
      case "answer":
        assert.equal(text(event.body), this.byId.get(event.id), "an answer belongs to its call");
        this.outcome(event.id, "answer");
        return;
      case "answerEnd":
        this.outcome(event.id, "end");
        return;
      case "acknowledged":
        this.outcome(event.id, "acknowledged");
        return;
      case "failed": {
        this.outcome(event.id, event.status.code);
        const sent = this.sentBy(event.id);
        if (sent) sent.repeatable = event.repeatable;
        return;
      }
      case "draining":
        this.closedBy ??= event.status;
        return;
      case "closed":
        // A connection that is lost in the handshake is no fault.
        if (!event.status.message.endsWith("in the handshake")) this.closedBy ??= event.status;
    }
  }

  sentBy(id: MsgId): Sent | undefined {
    return this.sent.get(this.byId.get(id) ?? "");
  }

  outcome(id: MsgId, outcome: string): void {
    const sent = this.sentBy(id);
    if (!sent) return;
    assert(!sent.cancelled, "no outcome of what was given up");
    sent.outcomes.push(outcome);
    assert.equal(sent.outcomes.length, 1, "one outcome of each exchange");
  }

  /** All that is handled is finished with. */
  finishAll(): void {
    for (const event of this.unfinished.splice(0)) this.session.finished(event, this.world.now);
    for (const id of this.unacknowledged.splice(0)) this.session.acknowledge(id);
    for (const call of this.handling.values()) {
      if (call.member.responseStream && !call.cancelled) endAnswers(this.session, call.id);
      else if (call.cancelled) this.session.fail(call.id, new Status("CANCELLED", "stopped"));
      else this.session.answer(call.id, bytes(call.text));
    }
    this.handling.clear();
    for (const sent of this.sent.values()) {
      if (sent.toSend >= 0 && sent.outcomes.length === 0 && !sent.cancelled) {
        sent.toSend = -1;
        sendItem(this.session, sent.id, bytes(""), true);
      }
    }
  }
}

/** A world, and all that has happened in it. */
export class World {
  now = 1000;
  readonly random: Random;
  readonly client = new Side("c", this);
  readonly server = new Side("s", this);
  readonly #toServer: Uint8Array[] = [];
  readonly #toClient: Uint8Array[] = [];
  #accepting: Accepting | undefined;
  isConnected = false;
  readonly #settings: Settings;
  resumed = 0;
  lost = 0;

  constructor(
    readonly seed: number,
    settings: Settings = {},
  ) {
    this.random = new Random(seed);
    const random = (length: number): Uint8Array => Uint8Array.from({ length }, () => 1 + this.random.below(255));
    this.#settings = { ...settings, random, unixTime: () => this.now };
    this.client.session = new ClientSession(PROTOCOL, this.#settings, everyPart);
  }

  connect(): void {
    (this.client.session as ClientSession).begin(this.now);
    this.#accepting = new Accepting(this.now);
    this.isConnected = true;
  }

  /** The connection is lost: each side notices, and what is under way does not arrive. */
  cut(): void {
    this.isConnected = false;
    this.#accepting = undefined;
    this.#toServer.length = this.#toClient.length = 0;
    this.client.session.lost(this.now);
    // The server may notice only when the client is back.
    if (this.server.session && !this.random.oneIn(3)) this.server.session.lost(this.now);
    this.note();
  }

  /** The server forgets the session, as if it had been started again. */
  forget(): void {
    if (this.isConnected) this.cut();
    if (this.server.session) this.#leave();
  }

  #leave(): void {
    this.server.session = undefined as unknown as Session;
    this.server.handling.clear();
    this.server.unfinished.length = this.server.unacknowledged.length = 0;
    for (const sent of this.server.sent.values()) if (sent.outcomes.length === 0) sent.cancelled = true;
    this.lost++;
  }

  step(): void {
    const { random } = this;
    this.now += random.oneIn(50) ? random.below(3000) : random.below(10);
    for (const side of [this.client, this.server]) {
      const due = side.session?.timeout();
      if (due !== undefined && due <= this.now) side.session.handleTimeout(this.now);
      this.note();
      for (let n = random.below(4); n > 0; n--) {
        side.act();
        this.note();
      }
    }
    this.move();
    this.note();
  }

  /** Some bytes are written, and some arrive. */
  move(): void {
    if (!this.isConnected) return;
    const { random } = this;
    this.#write(this.client.session, this.#toServer);
    if (!this.#accepting && this.server.session) this.#write(this.server.session, this.#toClient);
    for (let n = random.below(5); n > 0; n--) {
      const toServer = this.#arrive(this.#toServer);
      if (toServer) this.#atServer(toServer);
      const toClient = this.#arrive(this.#toClient);
      if (toClient) this.client.session.receive(toClient, this.now);
    }
    if (this.client.session.isFinished || (!this.#accepting && this.server.session?.isFinished)) this.cut();
  }

  #write(session: Session, pipe: Uint8Array[]): void {
    while (pipe.length < 4) {
      const written = session.transmit();
      if (written.length === 0) return;
      assert(written.length <= 65_536);
      pipe.push(written.slice());
    }
  }

  #arrive(pipe: Uint8Array[]): Uint8Array | undefined {
    const first = pipe.shift();
    if (!first || first.length < 2 || this.random.oneIn(2)) return first;
    const cut = this.random.oneIn(2) ? this.random.below(30) : this.random.below(first.length);
    pipe.unshift(first.subarray(cut));
    return first.slice(0, cut);
  }

  #atServer(data: Uint8Array): void {
    const accepting = this.#accepting;
    if (!accepting) {
      this.server.session?.receive(data, this.now);
      return;
    }
    const hello = accepting.receive(data);
    if (!hello) return;
    this.#accepting = undefined;
    const before = this.server.session as ServerSession | undefined;
    if (before && (before.phase === "open" || before.phase === "suspended") && (hello.awaited?.length || this.client.session.connection > 0)) {
      before.resume(hello, { codec: 1 }, this.now);
      this.resumed++;
      return;
    }
    if (before) {
      this.note();
      this.#leave();
    }
    this.server.session = ServerSession.accept(PROTOCOL, this.#settings, hello, { codec: 1 }, this.now);
  }

  note(): void {
    for (const side of [this.client, this.server]) {
      for (let event = side.session?.poll(); event; event = side.session.poll()) side.note(event);
    }
  }

  /** Lets everything come to its end, and checks that it has. */
  finish(): void {
    if (!this.isConnected) this.connect();
    for (let round = 0; round < 4000; round++) {
      if (!this.isConnected) this.connect();
      this.now += 20;
      for (const side of [this.client, this.server]) {
        const due = side.session?.timeout();
        if (due !== undefined && due <= this.now) side.session.handleTimeout(this.now);
        if (side.session) side.finishAll();
      }
      this.move();
      this.note();
      if (round > 100 && this.isIdle) break;
    }
    this.check();
  }

  get isIdle(): boolean {
    return [this.client, this.server].every(({ session: { s } }) => s.calls.size + (s.inboundCalls?.open.size ?? 0) + (s.deliveries?.inbound.size ?? 0) === 0 && !s.isWaiting && s.outgoing.isEmpty && !s.droppable?.size);
  }

  /** What has to hold in the end. */
  check(): void {
    for (const [side, peer] of [
      [this.client, this.server],
      [this.server, this.client],
    ] as const) {
      assert.equal(side.closedBy, undefined, `${side.name}: no fault: ${side.closedBy?.message}`);
      const { s } = side.session;
      assert(this.isIdle, `${side.name}: nothing is left: ${s.calls.size} ${s.inboundCalls?.open.size} ${s.isWaiting} ${s.outgoing.cost}`);
      assert.equal(s.openCalls, 0);
      assert.equal(s.abandoned, 0);
      assert.equal(s.inboundCalls?.orphans, 0);
      assert.equal(s.inboundCalls?.bytes, 0);
      assert.equal(s.deliveries?.keptCost, 0);
      assert(s.resumption?.hasPlace(s, s.limits.bufferDisconnected - 88), "no capacity is lost");
      assert.equal(s.outgoing.cost + s.outgoing.owed + s.outgoing.provoked, 0);
      const times = new Map<string, number>();
      const last = new Map<Member, number>();
      for (const { text: name, member } of peer.heard) {
        times.set(name, (times.get(name) ?? 0) + 1);
        const number = Number(name.slice(1));
        if (member !== STATE && member !== LOG) {
          assert(number > (last.get(member) ?? -1), `${name} in order`);
          last.set(member, number);
        }
      }
      for (const [name, sent] of side.sent) {
        const handled = (peer.handled.get(name) ?? 0) + (times.get(name) ?? 0);
        assert(handled <= 1, `${name} is handled once, not ${handled} times`);
        if (sent.member.answer || sent.member === ORDER) {
          assert.equal(sent.outcomes.length, sent.cancelled ? 0 : 1, `${name}: an outcome: ${sent.member.name} ${sent.outcomes.join()}`);
        }
        const [outcome] = sent.outcomes;
        if (outcome === "acknowledged" || outcome === "answer" || outcome === "end") assert.equal(handled, 1, `${name} was handled`);
        if (sent.repeatable) assert.equal(handled, 0, `${name} may be repeated`);
      }
    }
  }
}
