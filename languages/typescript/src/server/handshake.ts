/** The handshake of a connection that was accepted: its HELLO, within its time. */

import { now } from "../connection/driver.js";
import { ConnectError, Status } from "../errors.js";
import { Accepting, type ReceivedHello, type Settings } from "../session/index.js";
import type { ByteStream } from "../transport/transport.js";

/** What may come after a HELLO before it is answered: nothing that a client should send. */
const MAX_EARLY = 64 * 1024;

/** A connection that has said HELLO. */
export interface Greeted {
  readonly hello: ReceivedHello;
  /** Aborted where the client has gone, or the time is up. */
  readonly signal: AbortSignal;
  /** Refuses it. */
  refuse(status: Status): void;
  /** It is taken on: the stream belongs to whoever calls this, and nothing of the handshake is left. */
  accept(): void;
}

/**
 * Waits for the HELLO. What is wrong with it is answered here.
 *
 * @param onOver Called once, when the handshake has ended in whatever way.
 */
export function greet(stream: ByteStream, settings: Settings, onGreeted: (greeted: Greeted) => void, onOver: () => void): void {
  const accepting = new Accepting(now(), settings);
  const gone = new AbortController();
  let early = 0;
  let isOver = false;
  let hello: ReceivedHello | undefined;
  const end = (): void => {
    if (isOver) return;
    isOver = true;
    clearTimeout(timer);
    gone.abort(new Status("UNAVAILABLE", "the handshake is over"));
    onOver();
  };
  const refuse = (status: Status): void => {
    if (isOver) return;
    end();
    stream.write(accepting.refuse(status));
    stream.end();
  };
  const timer = setTimeout(() => {
    if (hello === undefined) {
      end();
      stream.destroy();
    } else refuse(new Status("UNAVAILABLE", "the handshake has taken too long"));
  }, Math.max(0, accepting.deadline - now()));
  stream.start({
    onData: (bytes) => {
      if (isOver) return;
      if (hello !== undefined) {
        early += bytes.length;
        if (early > MAX_EARLY) {
          end();
          stream.destroy();
        }
        return;
      }
      try {
        hello = accepting.receive(bytes);
      } catch (error) {
        refuse(error instanceof Status ? error : new ConnectError("INTERNAL", String(error)));
        return;
      }
      if (hello === undefined) return;
      onGreeted({
        hello,
        signal: gone.signal,
        refuse,
        accept: () => {
          isOver = true;
          clearTimeout(timer);
          onOver();
        },
      });
    },
    onDrain: () => {},
    onEnd: end,
  });
}
