/** URLs and settings. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { messagePack } from "../src/codec/index.js";
import { urls } from "../src/client/urls.js";
import { Backoff } from "../src/client/backoff.js";
import { gzip } from "../src/node/index.js";
import { SERVER } from "../src/settings/server.js";
import { CLIENT, resolveSettings } from "../src/settings/settings.js";
import { hostAndPort, isLoopback, parseUrl } from "../src/settings/url.js";

function client(url: string, options: Record<string, unknown> = {}): Record<string, unknown> {
  return resolveSettings(CLIENT, parseUrl(url).settings, options);
}

test("a URL is taken apart", () => {
  const url = parseUrl("tcp://10.0.0.7:7400,[::1]:7401?ping_interval=5s&topic=fleet%2F7");
  assert.deepEqual([url.scheme, url.authorities, url.path], ["tcp", ["10.0.0.7:7400", "[::1]:7401"], ""]);
  assert.equal(url.settings.get("topic"), "fleet/7");
  assert.equal(parseUrl("tcp://host:7400/fleet/7").settings.get("topic"), "fleet/7", "a path is short for a topic");
  const socket = parseUrl("ws://host:7400/chat?codec=json");
  assert.deepEqual([socket.path, socket.settings.has("topic")], ["/chat", false]);
  assert.deepEqual(hostAndPort("[::1]:7401"), { host: "::1", port: 7401 });
});

test("a URL that cannot be used says why", () => {
  for (const [url, text] of [
    ["127.0.0.1:7400", /is no URL of a service/],
    ["tcp://ada:secret@host:7400", /must not hold a user or a password/],
    ["tcp://host:7400?ping_interval", /expected ping_interval=value/],
    ["tcp://host:7400?codec=json&codec=json", /is given twice/],
    ["tcp://host:7400?topic=%e2", /is not percent-escaped text/],
    ["tcp://host:7400/a?topic=b", /give one of them/],
  ] as const) {
    assert.throws(() => parseUrl(url), text, url);
  }
  assert.throws(() => hostAndPort("host"), /expected host:port/);
  assert.throws(() => hostAndPort("host:70000"), /expected host:port/);
});

test("a setting of the URL wins over code, and what is set nowhere has its default", () => {
  const settings = client("tcp://host:1?ping_interval=250ms&max_body=16MiB&insecure=true", { pingIntervalMs: 1, callTimeoutMs: 5 });
  assert.equal(settings["pingIntervalMs"], 250);
  assert.equal(settings["maxBody"], 16 * 2 ** 20);
  assert.equal(settings["insecure"], true);
  assert.equal(settings["callTimeoutMs"], 5);
  assert.equal(settings["connectTimeoutMs"], 10_000);
  assert.equal(client("tcp://host:1?drain_timeout=5min")["drainTimeoutMs"], 300_000);
});

test("settings that cannot be used are errors that name them", () => {
  for (const [setting, text] of [
    ["ping_intervall=5s", /unknown setting `ping_intervall`: expected one of .*ping_interval/],
    ["ping_interval=5", /setting `ping_interval`: expected a time such as 250ms/],
    ["ping_interval=5d", /setting `ping_interval`: expected a time/],
    ["ping_interval=2h", /setting `ping_interval`: 2h is out of range/],
    ["max_body=1", /setting `max_body`: 1 is out of range/],
    ["codec=xml", /setting `codec`: expected protobuf or json or msgpack, found `xml`/],
    ["insecure=yes", /setting `insecure`: expected true or false/],
    ["token=abc", /must not hold a secret/],
    ["channel=log:quic://host:1", /setting `channel`: TypeScript's clients and servers do not have it/],
    ["toString=1", /unknown setting `toString`/],
    ["session_expiry=1s", /unknown setting `session_expiry`/],
  ] as const) {
    assert.throws(() => client(`tcp://host:1?${setting}`), { name: "SettingError", message: text }, setting);
  }
  assert.throws(() => client("tcp://host:1", { pingIntervalMs: Number.NaN }), /setting `pingIntervalMs`: NaN is out of range/);
  assert.throws(() => client("tcp://host:1", { insecure: "yes" }), /setting `insecure`/);
  assert.equal(resolveSettings(SERVER, parseUrl("tcp://host:1?session_expiry=1s").settings, {})["sessionExpiryMs"], 1000);
});

test("a codec or a compression that a URL names has to be given in code", () => {
  const url = (settings: string): ReadonlyMap<string, string> => parseUrl(`tcp://host:1?${settings}`).settings;
  assert.throws(() => urls.choose(url("codec=json"), {}), { name: "SettingError", message: /`json` has to be given in code too/ });
  assert.equal(urls.choose(url("codec=protobuf"), { codec: messagePack({ clientToServer: [], serverToClient: [] }) }).codec.name, "protobuf");
  assert.equal(urls.choose(url(""), { codec: messagePack({ clientToServer: [], serverToClient: [] }) }).codec.name, "msgpack");
  assert.throws(() => urls.choose(url("compress=gzip"), {}), /`gzip` has to be given in code too/);
  assert.equal(urls.choose(url("compress=none"), { compress: gzip }).compression, undefined);
  assert.equal(urls.choose(url("compress=gzip"), { compress: gzip }).compression, gzip);
});

test("what stays on this machine is known by its host", () => {
  for (const host of ["127.0.0.1", "127.8.9.1", "::1", "localhost", "::ffff:127.0.0.1"]) assert.ok(isLoopback(host), host);
  for (const host of ["10.0.0.1", "127.0.0.1.example.org", "localhost.example.org", "::2"]) assert.ok(!isLoopback(host), host);
});

test("the wait doubles up to its limit, and starts over after a good connection", () => {
  const backoff = new Backoff(50, 10_000);
  const longest = Array.from({ length: 10 }, () => backoff.next(1));
  assert.deepEqual(longest, [50, 100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
  backoff.connectedFor(9_000);
  assert.equal(backoff.next(1), 10_000, "a short connection changes nothing");
  backoff.connectedFor(10_000);
  assert.equal(backoff.next(1), 50);
  assert.equal(backoff.next(0), 0, "the jitter is full");
});
