/** A transport of tests. */

import type { ByteStream, Transport } from "../src/index.js";
import { transport } from "../src/node/index.js";
import { Recorder } from "./lab.js";

/** A transport whose streams can be cut, held, and refused. */
export class Cuttable implements Transport {
  readonly #inner: Transport;
  readonly addresses: readonly string[];
  readonly settings: ReadonlyMap<string, string>;
  readonly opened = new Recorder<ByteStream>();
  /** Where no attempt gets through. */
  isBlocked = false;
  /** Where nothing that is written arrives. */
  isStalled = false;
  /** How many bytes have come. */
  received = 0;

  constructor(url: string) {
    this.#inner = transport(url);
    this.addresses = this.#inner.addresses;
    this.settings = this.#inner.settings;
  }

  async connect(address: string, signal: AbortSignal): Promise<ByteStream> {
    if (this.isBlocked) throw new Error("blocked by the test");
    const stream = await this.#inner.connect(address, signal);
    const write = stream.write.bind(stream);
    let buffered = 0;
    stream.write = (bytes) => {
      if (!this.isStalled) return write(bytes);
      buffered += bytes.length;
      return false;
    };
    const start = stream.start.bind(stream);
    stream.start = (sink) => {
      const onData = sink.onData.bind(sink);
      sink.onData = (bytes) => {
        this.received += bytes.length;
        onData(bytes);
      };
      start(sink);
    };
    Object.defineProperty(stream, "buffered", { get: () => buffered });
    this.opened.record(stream);
    return stream;
  }

  /** Breaks the connection, as a cable that is pulled and a system that says so. */
  cut(): void {
    this.opened.all.at(-1)?.end();
  }
}
