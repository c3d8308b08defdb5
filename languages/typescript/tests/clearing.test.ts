/** STATEs that are cleared: by clients, by peers and by broadcasts, with a key and without. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Client, Status, clears, deliveries, droppable, inboundMessages, metadata, resumption, topics, urls, type ClearedState, type ClientHandler, type Context, type Member, type Protocol, type SendOptions } from "../src/index.js";
import { keyText } from "../src/message/index.js";
import { transport } from "../src/node/index.js";
import { Kind, Shape } from "../src/protocol.js";
import { Broadcast, Peer, Server, type ServerHandler } from "../src/server/index.js";
import { Recorder } from "./lab.js";

/** A message in protobuf as text, in hex: field 1, the key, is `0a…`. */
const hex = {
  name: "test.Hex",
  encode: (message: string) => Uint8Array.from(Buffer.from(message, "hex")),
  decode: (bytes: Uint8Array) => Buffer.from(bytes).toString("hex"),
};

const state = (name: string, number: number, more: Partial<Member> = {}): Member => {
  const key = (encoded: Uint8Array): string => keyText(encoded, 1);
  return { name, number, message: hex, kind: Kind.STATE, shape: Shape.ONE_WAY, handler: `on${name}`, key, ...more };
};
const gauge = state("gauge", 1);
const saved = state("saved", 2, { shape: Shape.ACKNOWLEDGED });
const alone = state("alone", 3, { key: undefined as never });
const event = state("event", 4, { kind: Kind.EVENT, shape: Shape.ACKNOWLEDGED });
const MEMBERS = [gauge, saved, alone, event];
const GAUGES: Protocol = { name: "gauges", fingerprint: 7n, clientToServer: MEMBERS, serverToClient: MEMBERS };

class GaugesClient extends Client {
  static connect(url: string, handler: ClientHandler<GaugesClient> = {}): Promise<GaugesClient> {
    return Client.open(GaugesClient, GAUGES, transport(url), { handler }, { inboundMessages, deliveries, droppable, metadata, resumption, topics, urls });
  }
  say(member: Member, message: string, options?: SendOptions): Promise<void> {
    return this.send(member, message, options);
  }
}

class GaugesPeer extends Peer {
  say(member: Member, message: string, options?: SendOptions): Promise<void> {
    return this.send(member, message, options);
  }
}

class GaugesBroadcast extends Broadcast {
  say(member: Member, message: string): number {
    return this.sendAll(member, message);
  }
}

class GaugesServer extends Server<GaugesPeer> {
  static listen(handler: ServerHandler<GaugesPeer>): Promise<GaugesServer> {
    return Server.open(GaugesServer, GaugesPeer, GAUGES, "tcp://127.0.0.1:0", handler);
  }
  everyone(): GaugesBroadcast {
    return this.broadcast(GaugesBroadcast);
  }
}

/** A handler that records what it hears. */
function recording(heard: Recorder<string>): Record<string, unknown> {
  const methods: Record<string, unknown> = {};
  for (const { handler, name } of MEMBERS) methods[handler as string] = (message: string) => heard.record(`${name} ${message}`);
  methods["onStateCleared"] = ({ member, value }: ClearedState, _: Context<unknown>) => heard.record(`${member} ${String(value)} cleared`);
  return methods;
}

/** `0a036f696c` is oil, `1007` a field that is no key. */
const OIL = "0a036f696c";

test("what clears a STATE says which, by its key alone", async () => {
  const [atServer, atClient] = [new Recorder<string>(), new Recorder<string>()];
  const server = await GaugesServer.listen(recording(atServer) as ServerHandler<GaugesPeer>);
  const client = await GaugesClient.connect(server.urls[0] ?? "", recording(atClient));
  await client.say(gauge, `${OIL}1007`);
  await client.say(gauge, `1007${OIL}`, { clears });
  await client.say(saved, `0a0367617310070a036f696c`, { clears });
  await client.say(gauge, "1007", { clears });
  await client.say(alone, "1007", { clears });
  assert.deepEqual(await atServer.until(5), [`gauge ${OIL}1007`, `gauge ${OIL} cleared`, `saved ${OIL} cleared`, "gauge  cleared", "alone  cleared"]);
  const [peer] = server.peers;
  assert.ok(peer);
  await peer.say(saved, OIL, { clears });
  assert.equal(server.everyone().clearing().say(gauge, `${OIL}1007`), 1);
  assert.equal(server.everyone().say(gauge, OIL), 1);
  assert.deepEqual(await atClient.until(3), [`saved ${OIL} cleared`, `gauge ${OIL} cleared`, `gauge ${OIL}`]);
  await client.close();
  await server.close();
});

test("what is no STATE cannot be cleared", async () => {
  const server = await GaugesServer.listen({});
  const client = await GaugesClient.connect(server.urls[0] ?? "");
  const isRefused = { name: "Status", code: "INVALID_ARGUMENT", message: "event is no STATE: it cannot be cleared" };
  await assert.rejects(client.say(event, OIL, { clears }), isRefused);
  assert.throws(() => server.everyone().clearing().say(event, OIL), isRefused);
  // Whoever has no method for it has none of its values either.
  await client.say(saved, OIL, { clears });
  await client.close();
  await server.close();
});

test("a handler may refuse what is cleared, and what is cleared has to be of its member", async () => {
  const refusing = { onStateCleared: () => Promise.reject(new Status("FAILED_PRECONDITION", "oil stays")) };
  const server = await GaugesServer.listen(refusing);
  const client = await GaugesClient.connect(server.urls[0] ?? "");
  await assert.rejects(client.say(saved, OIL, { clears }), { code: "FAILED_PRECONDITION" });
  const ofAnother = (): ReturnType<typeof clears> => clears(gauge, OIL);
  await assert.rejects(client.say(saved, OIL, { clears: ofAnother }), { code: "INVALID_ARGUMENT", message: /another member/ });
  await client.close();
  await server.close();
});
