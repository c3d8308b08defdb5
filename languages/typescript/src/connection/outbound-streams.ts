/** Calls of this side that have streams. */

import type { ClientOutbound } from "../client/client-connection.js";
import type { Member } from "../protocol.js";
import { canSendItem, sendItem, type AnswerItem, type MsgId } from "../session/index.js";
import { now } from "./driver.js";
import { Exchange, OneAnswer, type Completion } from "./exchange.js";
import { ItemPump, type Items } from "./item-pump.js";
import type { CallOptions } from "./options.js";
import { ResponseStream } from "./response-stream.js";

const NOTHING = { bytes: new Uint8Array(0), compressed: false };

/** Makes a call that has a stream of answers. */
export function callStream(outbound: ClientOutbound, member: Member, request: unknown, options: CallOptions, isLogin: boolean): ResponseStream<unknown> {
  const exchange = answersOf(outbound, member, options);
  try {
    outbound.beginCall(member, outbound.encode(member, request, options), options, isLogin, exchange);
  } catch (error) {
    exchange.fail(error);
  }
  return exchange.stream;
}

/** Makes a call that has a stream of requests. */
export function sendStream(outbound: ClientOutbound, member: Member, requests: Items, options: CallOptions, isLogin: boolean): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const exchange = new OneAnswer(options, (event) => resolve(outbound.decode(member, event)), reject);
    begin(outbound, member, requests, options, isLogin, exchange);
  });
}

/** Makes a call that has streams both ways. */
export function callBoth(outbound: ClientOutbound, member: Member, requests: Items, options: CallOptions, isLogin: boolean): ResponseStream<unknown> {
  const exchange = answersOf(outbound, member, options);
  begin(outbound, member, requests, options, isLogin, exchange);
  return exchange.stream;
}

/** Begins a call, and its stream of requests when it was begun. */
function begin(outbound: ClientOutbound, member: Member, requests: Items, options: CallOptions, isLogin: boolean, exchange: Exchange): void {
  const { driver } = outbound.host;
  outbound.beginCall(member, NOTHING, options, isLogin, exchange, (id) => {
    const pump = new ItemPump(requests, {
      send: (item) => sendOne(outbound, id, member, item),
      end: () => {
        sendItem(driver.session, id, NOTHING.bytes, true);
        driver.scheduleFlush();
      },
      fail: (error) => exchange.cancel(error),
    });
    exchange.pump = pump;
    pump.run();
  });
}

function sendOne({ host }: ClientOutbound, id: MsgId, member: Member, item: unknown): () => boolean {
  const { driver, bodies } = host;
  const body = bodies.encode(member, item);
  return () => {
    if (!canSendItem(driver.session, id, body.bytes.length)) return false;
    sendItem(driver.session, id, body.bytes, false, body.compressed);
    driver.scheduleFlush();
    return true;
  };
}

function answersOf(outbound: ClientOutbound, member: Member, options: CallOptions): Answers {
  const { driver } = outbound.host;
  const answer = outbound.host.answerOf(member);
  return new Answers(options, {
    decode: (item) => outbound.read(answer, item),
    finished: (item) => {
      driver.session.finished(item, now());
      driver.scheduleFlush();
    },
  });
}

class Answers extends Exchange {
  readonly stream: ResponseStream<unknown>;

  constructor(options: CallOptions, source: { decode(item: AnswerItem): unknown; finished(item: AnswerItem): void }) {
    super(options);
    this.stream = new ResponseStream<unknown>({
      ...source,
      cancel: () => this.cancel(undefined),
    });
  }

  override complete(event: Completion): void {
    if (!this.settle()) return;
    this.stream.end(undefined, "metadata" in event ? this.tellHeaders(event.metadata) : undefined);
  }

  override item(event: AnswerItem): void {
    this.stream.push(event);
  }

  protected override failed(error: unknown): void {
    this.stream.end(error);
  }
}
