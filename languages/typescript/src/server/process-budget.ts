/** The memory that the servers of a process share. */

import { Budget } from "../session/index.js";
import { SERVER } from "../settings/server.js";

/** Of all who keep the default. */
let ofProcess: Budget | undefined;

/** The budget that all share who keep the default; one of its own for any other limit. */
export function budgetOf(max: number): Budget {
  return max === SERVER["max_memory"]?.standard ? (ofProcess ??= new Budget(max)) : new Budget(max);
}
