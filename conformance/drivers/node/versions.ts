/** The clients of each version, by its number in control.proto. */

import type { PlayedClient } from "./driver.js";
import { CONFORMANCE, ConformanceClient } from "./gen/conformance.js";
import * as changed from "./gen/changed/conformance.js";
import * as renamed from "./gen/renamed/conformance.js";

export const CLIENTS: Readonly<Record<number, PlayedClient>> = {
  0: { protocol: CONFORMANCE, client: ConformanceClient },
  1: { protocol: renamed.CONFORMANCE, client: renamed.ConformanceClient, description: renamed.CONFORMANCE_DESCRIPTION },
  2: { protocol: changed.CONFORMANCE, client: changed.ConformanceClient, description: changed.CONFORMANCE_DESCRIPTION },
};
