/**
 * Clients of the core alone: what `msip gen` writes with `--typescript-opt without=resumption`, `without=metadata` and `without=topics`. The
 * parts `urls`, `inboundMessages` and `inboundCalls` are there: the runner gives settings by URLs, and servers send
 * and call.
 */

import { Client, StreamingClient, deliveries, droppable, inboundCalls, inboundMessages, urls, type ClientOptions, type Transport } from "msip";

import type { PlayedClient } from "./driver.js";
import { CONFORMANCE, ConformanceClient, type ConformanceClientHandler } from "./gen/conformance.js";
import * as changed from "./gen/changed/conformance.js";
import * as renamed from "./gen/renamed/conformance.js";

class CoreClient extends ConformanceClient {
  static override connect(endpoint: string | Transport, options: ClientOptions<ConformanceClientHandler>): Promise<CoreClient> {
    return StreamingClient.open(CoreClient, CONFORMANCE, endpoint, options, { inboundMessages, inboundCalls, deliveries, droppable, urls });
  }
}

class RenamedClient extends renamed.ConformanceClient {
  static override connect(endpoint: string | Transport, options: ClientOptions<renamed.ConformanceClientHandler>): Promise<RenamedClient> {
    return Client.open(RenamedClient, renamed.CONFORMANCE, endpoint, options, { inboundMessages, inboundCalls, droppable, urls });
  }
}

class ChangedClient extends changed.ConformanceClient {
  static override connect(endpoint: string | Transport, options: ClientOptions<changed.ConformanceClientHandler>): Promise<ChangedClient> {
    return Client.open(ChangedClient, changed.CONFORMANCE, endpoint, options, { inboundMessages, inboundCalls, droppable, urls });
  }
}

/** By the number of the version in control.proto. */
export const CORE_CLIENTS: Readonly<Record<number, PlayedClient>> = {
  0: { protocol: CONFORMANCE, client: CoreClient },
  1: { protocol: renamed.CONFORMANCE, client: RenamedClient, description: renamed.CONFORMANCE_DESCRIPTION },
  2: { protocol: changed.CONFORMANCE, client: ChangedClient, description: changed.CONFORMANCE_DESCRIPTION },
};
