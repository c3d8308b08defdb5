/**
 * Many clients in one connection to a broker. A bundle that does not import it has nothing of it.
 *
 * @module
 */

export { BrokerConnection, type BrokerOptions } from "./broker-connection.js";
