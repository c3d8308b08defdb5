/** Calls of the peer that have streams. */

import type { Status } from "../errors.js";
import type { Member } from "../protocol.js";
import { canSendItem, endAnswers, sendAnswerItem, sessionStreams, type Request, type RequestEnd, type RequestItem, type Session, type SessionStreams } from "../session/index.js";
import { now } from "./driver.js";
import type { InboundHost } from "./inbound.js";
import { IncomingRequests } from "./incoming-requests.js";
import { ItemPump, type Items } from "./item-pump.js";

/** The requests of a call, as they come. */
export interface RequestQueue {
  push(item: RequestItem): void;
  /** All have come. */
  end(): void;
  /** Its caller has given up. */
  fail(error: Status): void;
  /** Nobody reads on. */
  close(): void;
}

/** A call whose answers are sent. */
export interface AnswerTarget {
  readonly session: Session;
  isOver(): boolean;
  /** Ends the call, by the function that is given. */
  end(respond: typeof endAnswers): void;
  fail(error: unknown): void;
}

/** What a connection needs for calls with streams: a value, so that a client whose schema has none is made without it. */
export interface Streams {
  readonly session: SessionStreams;
  /** Takes an item of a stream of requests, or its end. */
  onRequests(host: InboundHost, event: RequestItem | RequestEnd, requests: RequestQueue | undefined): void;
  /** What the handler reads, where the call has a stream of requests. */
  requestsOf(host: InboundHost, request: Request): RequestQueue | undefined;
  /** Begins to send what a handler has returned. */
  answerAll(host: InboundHost, request: Request, answers: unknown, target: AnswerTarget): ItemPump;
}

/** Streams, for a connection whose protocol has calls with them. */
export const streams: Streams = {
  session: sessionStreams,
  onRequests({ driver }, event, requests) {
    if (event.type === "requestEnd") requests?.end();
    else if (requests === undefined) driver.session.finished(event, now());
    else requests.push(event);
  },

  requestsOf(host, request) {
    const { member } = request;
    if (member.requestStream !== true) return undefined;
    const { driver } = host;
    const { session } = driver;
    const requests = new IncomingRequests<unknown>({
      decode: (body, compressed) => host.bodies.decode(member, body, compressed),
      finished: (item) => {
        if (driver.session !== session) return;
        session.finished(item, now());
        driver.scheduleFlush();
      },
    });
    if (request.body.length > 0) requests.pushBody(request.body, request.compressed);
    if (!request.streaming) requests.end();
    return requests;
  },

  answerAll(host, { id, member }, answers, target) {
    const answer = host.answerOf(member);
    const pump = new ItemPump(answers as Items, {
      send: (item) => sendOne(host, id, answer, item, target),
      end: () => target.end(endAnswers),
      fail: (error) => target.fail(error),
    });
    pump.run();
    return pump;
  },
};

function sendOne(host: InboundHost, id: bigint, answer: Member, item: unknown, target: AnswerTarget): () => boolean {
  const body = host.bodies.encode(answer, item);
  return () => {
    const { session } = target;
    if (target.isOver()) return true;
    if (!canSendItem(session, id, body.bytes.length)) return false;
    sendAnswerItem(session, id, body.bytes, body.compressed);
    host.driver.scheduleFlush();
    return true;
  };
}
