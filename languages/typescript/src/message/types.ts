/**
 * What may be given where a message is sent: every field may be left out, in messages inside of it too. What is left out is zero,
 * empty or absent.
 *
 * A oneof and bytes are given whole.
 */
export type Init<T> = T extends Uint8Array | bigint | string | number | boolean | null | undefined
  ? T
  : T extends Map<infer K, infer V>
    ? Map<K, Init<V>>
    : T extends readonly (infer E)[]
      ? readonly Init<E>[]
      : T extends { case: infer C; value: infer V }
        ? { case: C; value: Init<V> }
        : { [F in keyof T]?: Init<T[F]> | undefined };

/** A type of message: what a protocol knows of each, and what a codec needs. */
export interface MessageType<T> {
  /** The full name, such as `chat.ConnectReq`. */
  readonly name: string;
  /**
   * Encodes a message in protobuf.
   *
   * @throws {@link EncodeError} for a value that its field cannot hold.
   */
  encode(message: Init<T>): Uint8Array;
  /**
   * Decodes a message from protobuf.
   *
   * @throws {@link DecodeError} for bytes that are no such message.
   */
  decode(bytes: Uint8Array): T;
}
