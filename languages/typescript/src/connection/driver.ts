/**
 * Drives a session: bytes from a stream go in, what the session has to write goes out, and its timers run. What happens is passed on.
 *
 * A driver outlives its streams: a session that lost its connection goes on with the next one.
 */

import type { ByteStream } from "../transport/transport.js";
import type { Event, Session } from "../session/index.js";

/** A timer that comes later than this has been held up with everything else: what has arrived meanwhile is read first. */
const LATE_MS = 10;

/** One that comes so late was suspended with the whole process, or page: other events have their turn for a while. */
const SUSPENDED_MS = 500;
const CATCH_UP_MS = 50;

/** Who hears what a session says. */
export interface DriverSink {
  onEvent(event: Event): void;
  /** Time has passed, or something else has changed: look at your own deadlines, and say when the next one is. */
  onTick(now: number): number;
  /** The stream has ended. */
  onStreamEnd(error: Error | undefined): void;
}

/** The clock of all sessions: milliseconds, which never go back. */
export function now(): number {
  return performance.now();
}

export class Driver {
  session: Session;
  readonly #sink: DriverSink;
  readonly #writeTimeoutMs: number;
  #stream: ByteStream | undefined;
  #isWritable = false;
  #isPaused = false;
  #isEnding = false;
  /** When the stream was last seen to take bytes, and how many it held. */
  #stalled: { since: number; buffered: number } | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #timerAt = Infinity;
  #isFlushScheduled = false;
  #isPolling = false;
  #isStopped = false;
  /** What ended the last stream, where that was an error. */
  lostBy: Error | undefined;

  constructor(session: Session, sink: DriverSink, writeTimeoutMs: number) {
    this.session = session;
    this.#sink = sink;
    this.#writeTimeoutMs = writeTimeoutMs;
  }

  get stream(): ByteStream | undefined {
    return this.#stream;
  }

  /** Goes on with this stream. */
  attach(stream: ByteStream): void {
    this.#stream?.destroy();
    this.#stream = stream;
    this.#isPaused = this.#isEnding = false;
    this.#writable();
    stream.start({
      onData: (bytes) => {
        if (this.#stream === stream) this.#receive(bytes);
      },
      onDrain: () => {
        if (this.#stream !== stream) return;
        this.#writable();
        this.flush();
      },
      onEnd: (error) => {
        if (this.#stream === stream) this.lose(error);
      },
    });
    this.scheduleFlush();
  }

  #writable(): void {
    this.#isWritable = true;
    this.#stalled = undefined;
  }

  /**
   * The stream is over, or is given up.
   *
   * @param end What becomes of it, while the session still has it.
   */
  lose(error?: Error, end: (stream: ByteStream) => void = (stream) => stream.destroy()): void {
    const stream = this.#stream;
    if (stream === undefined) return;
    this.#stream = undefined;
    end(stream);
    this.lostBy = error;
    this.session.lost(now());
    this.#poll();
    this.#sink.onStreamEnd(error);
    this.schedule();
  }

  /** What the session has to say goes out once the program has had its turn, so that calls that are made together go out together. */
  scheduleFlush(): void {
    if (this.#isFlushScheduled) return;
    this.#isFlushScheduled = true;
    queueMicrotask(() => {
      this.#isFlushScheduled = false;
      this.flush();
    });
  }

  /** Writes what the stream takes, and looks what has happened. */
  flush(): void {
    this.#poll();
    this.#write();
    this.schedule();
  }

  /** Sets the timer to what is due next. */
  schedule(): void {
    if (this.#isStopped) return;
    const at = Math.min(this.session.timeout() ?? Infinity, this.#stalled === undefined ? Infinity : this.#stalled.since + this.#writeTimeoutMs, this.#sink.onTick(now()));
    // One that comes too early does no harm, and setting it anew at each message would.
    if (this.#timer !== undefined && this.#timerAt <= at) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#timerAt = at;
    // What a tick leads to may end the session.
    if (at === Infinity || this.#isStopped) return;
    this.#timer = setTimeout(() => this.#fired(at), Math.min(Math.max(0, Math.ceil(at - now())), 2 ** 31 - 1));
  }

  /** Ends: no timer and no stream is left. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#isStopped = true;
    const stream = this.#stream;
    this.#stream = undefined;
    stream?.destroy();
  }

  #fired(at: number): void {
    const late = now() - at;
    if (late > LATE_MS && this.#stream !== undefined) {
      this.#timerAt = -Infinity;
      this.#timer = setTimeout(() => this.#timeOut(), late > SUSPENDED_MS ? CATCH_UP_MS : 0);
    } else this.#timeOut();
  }

  #timeOut(): void {
    this.#timer = undefined;
    this.#timerAt = Infinity;
    const stalled = this.#stalled;
    const stream = this.#stream;
    if (stream !== undefined && stalled !== undefined && now() >= stalled.since + this.#writeTimeoutMs) {
      if (stream.buffered >= stalled.buffered) {
        this.lose(new Error(`the peer has read nothing for ${this.#writeTimeoutMs} ms`));
        return;
      }
      this.#stalled = { since: now(), buffered: stream.buffered };
    }
    this.#handleTimeout();
    this.flush();
  }

  #handleTimeout(): void {
    const due = this.session.timeout();
    if (due !== undefined && due <= now()) this.session.handleTimeout(now());
  }

  #receive(bytes: Uint8Array): void {
    const session = this.session;
    session.receive(bytes, now());
    // Pings go out by what comes, too: timers of a hidden page are late.
    this.#handleTimeout();
    this.flush();
  }

  #poll(): void {
    // Who hears of an event may send, which asks for the next one.
    if (this.#isPolling) return;
    this.#isPolling = true;
    try {
      for (let event = this.session.poll(); event !== undefined; event = this.session.poll()) this.#sink.onEvent(event);
    } finally {
      this.#isPolling = false;
    }
  }

  #write(): void {
    const stream = this.#stream;
    if (stream === undefined || this.#isEnding) return;
    while (this.#isWritable) {
      const bytes = this.session.transmit();
      if (bytes.length === 0) break;
      this.#isWritable = stream.write(bytes);
      if (this.#stream !== stream) return;
    }
    if (!this.#isWritable) this.#stalled ??= { since: now(), buffered: stream.buffered };
    else if (this.session.isFinished) {
      this.#isEnding = true;
      stream.end();
    }
    if (this.session.isPaused !== this.#isPaused) {
      this.#isPaused = !this.#isPaused;
      if (this.#isPaused) stream.pause();
      else stream.resume();
    }
  }
}
