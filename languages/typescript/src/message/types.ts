/** A value of JSON. */
export type JsonValue = null | boolean | number | string | JsonValue[] | JsonObject;

/** An object of JSON. */
export interface JsonObject {
  [key: string]: JsonValue;
}

/**
 * What may be given where a message is sent: every field may be left out, in messages inside of it too. What is left out is zero,
 * empty or absent.
 *
 * A oneof is given whole, and so are bytes and values of JSON.
 */
export type Init<T> = [JsonValue] extends [T]
  ? T
  : T extends Uint8Array | bigint | string | number | boolean | null | undefined
    ? T
    : T extends ReadonlyMap<infer K, infer V>
      ? ReadonlyMap<K, Init<V>>
      : T extends readonly (infer E)[]
        ? readonly Init<E>[]
        : T extends JsonObject
          ? T
          : "$unknown" extends keyof T
            ? { readonly [F in keyof T]?: Init<T[F]> | undefined }
            : T extends { case: infer C; value: infer V }
              ? { readonly case: C; readonly value: Init<V> }
              : T;

/** A type of message: what a protocol knows of each, and what a codec needs. */
export interface MessageType<T> {
  /** The full name, such as `chat.ConnectReq`. */
  readonly name: string;
  /**
   * Encodes a message in protobuf.
   *
   * @throws EncodeError for a value that its field cannot hold.
   */
  encode(message: Init<T>): Uint8Array;
  /**
   * Decodes a message from protobuf, which may take `max` bytes in memory, or any number.
   *
   * @throws DecodeError for bytes that are no such message, and TooLargeError for one that would take more.
   */
  decode(bytes: Uint8Array, max?: number): T;
}
