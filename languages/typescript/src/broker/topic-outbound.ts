/** What a client sends by a connection that it shares: all of it goes to its topic. */

import type { ClientOutbound } from "../client/client-connection.js";
import type { Completion, Exchange } from "../connection/exchange.js";
import type { KeyedBody } from "../connection/keyed-body.js";
import type { CallOptions, SendOptions } from "../connection/options.js";
import type { Outbound, OutboundHost } from "../connection/outbound.js";
import type { Status } from "../errors.js";
import type { Member } from "../protocol.js";
import type { MsgId } from "../session/index.js";

export class TopicOutbound implements ClientOutbound {
  readonly host: OutboundHost;
  readonly #all: Outbound;
  /** Why nothing is sent any more. */
  closed: Status | undefined;

  /** @param topic Where messages go that name no topic. */
  constructor(all: Outbound, topic: string, callTimeoutMs: number) {
    this.#all = all;
    const { host } = all;
    this.host = {
      driver: host.driver,
      get bodies() {
        return host.bodies;
      },
      answerOf: (member) => host.answerOf(member),
      isOpenFor: (isLogin) => host.isOpenFor(isLogin),
      writeTimeoutMs: host.writeTimeoutMs,
      callTimeoutMs,
      topic,
    };
  }

  async send(member: Member, message: unknown, options: SendOptions, isLogin: boolean): Promise<void> {
    await this.#all.send(member, message, this.#at(options), isLogin);
  }

  async call(member: Member, request: unknown, options: CallOptions, isLogin: boolean): Promise<unknown> {
    return this.#all.call(member, request, this.#at(options), isLogin);
  }

  encode(member: Member, message: unknown, options: CallOptions): KeyedBody {
    return this.#all.encode(member, message, this.#at(options));
  }

  beginCall(member: Member, body: KeyedBody, options: CallOptions, isLogin: boolean, exchange: Exchange, begun?: (id: MsgId) => void): void {
    if (this.closed !== undefined) exchange.fail(this.closed);
    else this.#all.beginCall(member, body, this.#at(options), isLogin, exchange, begun);
  }

  decode(member: Member, event: Completion): unknown {
    return this.#all.decode(member, event);
  }

  read(answer: Member, event: { readonly body: Uint8Array; readonly compressed: boolean }): unknown {
    return this.#all.read(answer, event);
  }

  #at<O extends CallOptions>(options: O): O {
    if (this.closed !== undefined) throw this.closed;
    return { ...options, topic: options.topic ?? this.host.topic };
  }
}
