/**
 * Metadata of messages, answers and errors, as a part of a session: without it a message carries its deadline alone.
 *
 * @module
 */

import { Status } from "../errors.js";
import type { Member } from "../protocol.js";
import type { Frame } from "../wire/decoder.js";
import { META } from "../wire/header.js";
import type { Metadata } from "../wire/messages.js";
import { readMetadata, writeMetadata } from "../wire/metadata.js";
import { MAX_ERROR_METADATA, NOTHING, prefix, readPayload, type MetadataFormat } from "../wire/payload.js";
import { MAX_LONG_TEXT, readText } from "../wire/text.js";
import type { Inbound } from "./exchange.js";
import type { SendOptions } from "./session.js";
import type { State } from "./state.js";

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** What a session needs for metadata. */
export interface SessionMetadata extends MetadataFormat {
  /** The metadata of a message: what its sender gives, and what the session adds. */
  of(s: State, member: Member, options: SendOptions | undefined, deadlineMs: number | undefined): Metadata | undefined;
  /** What stands before the body of an answer. Throws {@link MessageFault} for what cannot be sent. */
  ofAnswer(s: State, call: Inbound, metadata: Metadata | undefined): Uint8Array;
  /** What stands before the text of an error. */
  ofStatus(status: Status): Uint8Array;
  /** An error with metadata. Throws {@link MessageFault}. */
  readError(s: State, frame: Frame): Status;
}

/** Metadata. */
export const metadata: SessionMetadata = { read: readMetadata, write: writeMetadata, of, ofAnswer, ofStatus, readError };

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

function ofAnswer(s: State, call: Inbound, metadata: Metadata | undefined): Uint8Array {
  const timed = call.timed && !call.member.responseStream ? { ...metadata, responseTimeUs: Math.round(s.limits.unixTime() * 1000) } : metadata;
  return timed ? prefix(timed, undefined, s.parts) : NOTHING;
}

function readError(s: State, frame: Frame): Status {
  const { metadata = {}, body } = frame.flags & META ? readPayload(frame, s.limits.maxBody, s.parts) : { body: frame.payload };
  const [code, message] = readText(body, MAX_LONG_TEXT);
  const { headers = new Map<string, string>(), details = [] } = metadata;
  return new Status(code, message, { headers, details });
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
