/**
 * The comparison of schemas, for clients that want to know what differs where a server has another version. A bundle that does not import it
 * has nothing of it.
 *
 * @module
 */

export type { Direction } from "./description.js";
export type { Difference, Place } from "./difference.js";
export type { OnDifference } from "./peer-schemas.js";
export { SchemaComparison, type ComparisonOptions } from "./schema-comparison.js";
export { SchemaDifference } from "./schema-difference.js";
