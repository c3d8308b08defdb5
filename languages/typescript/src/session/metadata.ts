/**
 * Metadata of messages, answers and errors, as a part of a session: without it a message carries its deadline alone.
 *
 * @module
 */

import type { Status } from "../errors.js";
import type { Member } from "../protocol.js";
import type { Metadata } from "../wire/messages.js";
import { readMetadata, writeMetadata } from "../wire/metadata.js";
import { MAX_ERROR_METADATA, NOTHING, prefix, type MetadataFormat } from "../wire/payload.js";
import type { SendOptions } from "./session.js";
import type { State } from "./state.js";

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** What a session needs for metadata. */
export interface SessionMetadata extends MetadataFormat {
  /** The metadata of a message: what its sender gives, and what the session adds. */
  of(s: State, member: Member, options: SendOptions | undefined, deadlineMs: number | undefined): Metadata | undefined;
  /** What stands before the text of an error. */
  ofStatus(status: Status): Uint8Array;
}

/** Metadata. */
export const metadata: SessionMetadata = { read: readMetadata, write: writeMetadata, of, ofStatus };

/** The same for a server: a client cannot assert an identity. */
export const metadataOfClients: SessionMetadata = { ...metadata, read: readWithoutIdentity };

function readWithoutIdentity(bytes: Uint8Array): Metadata {
  const read: Writable<Metadata> = readMetadata(bytes);
  delete read.identity;
  return read;
}

function of(s: State, member: Member, options: SendOptions | undefined, deadlineMs: number | undefined): Metadata | undefined {
  const given = options?.metadata;
  const idempotent = member.idempotent && options?.topic ? true : given?.idempotent;
  const key = options?.topic ? options.key : undefined;
  if (!given && deadlineMs === undefined && !idempotent && !key) {
    return undefined;
  }
  const all: Writable<Metadata> = { ...given };
  if (given && Object.keys(given).some((name) => name !== "key")) {
    all.requestTimeUs ??= Math.round(s.limits.unixTime() * 1000);
  }
  if (deadlineMs !== undefined) {
    all.deadlineMs = deadlineMs;
  }
  if (idempotent) {
    all.idempotent = true;
  }
  if (key) {
    all.key ??= key;
  }
  return all;
}

function ofStatus({ headers, details }: Status): Uint8Array {
  if (headers.size > 0 || details.length > 0) {
    try {
      return prefix({ headers, details }, undefined, { metadata }, MAX_ERROR_METADATA);
    } catch {
      // What cannot be sent is left out: the text says enough.
    }
  }
  return NOTHING;
}
