/** A client of the core alone. */

import { StreamingClient, droppable, urls, type ClientOptions, type Transport } from "msip";

import { CONFORMANCE, ConformanceClient, type ConformanceClientHandler } from "./gen/conformance.js";

/**
 * What `msip gen` writes with `--typescript-opt without=resumption`, `without=metadata` and `without=topics`. The last part, `urls`, is
 * there: the runner gives settings by them.
 */
export class CoreClient extends ConformanceClient {
  static override connect(endpoint: string | Transport, options: ClientOptions<ConformanceClientHandler>): Promise<CoreClient> {
    return StreamingClient.open(CoreClient, CONFORMANCE, endpoint, options, { droppable, urls });
  }
}
