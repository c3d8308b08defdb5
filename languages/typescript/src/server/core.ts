/** What a generated server stands on: one that listens, or one that is attached to a broker. */

import type { Member } from "../protocol.js";
import type { PeerConnection } from "./peer-connection.js";

/** A generated peer. */
export type PeerClass<P> = new (connection: PeerConnection) => P;

/** What serves. */
export interface Core {
  /** Where clients connect to. */
  readonly urls: readonly string[];
  /** What its sessions hold in memory, in bytes, with those of others that share its limit. */
  readonly memory: number;
  /** Resolves when it has stopped. */
  readonly closed: Promise<void>;
  /** The clients that are there now. */
  peers(): readonly unknown[];
  /** Sends a message, or what clears it, to all clients but this one; returns how many messages were taken. */
  broadcast(member: Member, message: unknown, isCleared: boolean, except: PeerConnection | undefined): number;
  /** Stops; returns how many calls were cut off. */
  close(): Promise<number>;
}
