/** How many messages may be within each other, the outermost included; the entry of a map is one too. */
export const MAX_DEPTH = 100;
