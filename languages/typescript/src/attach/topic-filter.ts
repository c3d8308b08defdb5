/** The topics that a service serves. */

import { SettingError } from "../settings/values.js";

/**
 * Checks the name of a topic, in which a level `+` stands for any one.
 *
 * @throws {@link SettingError} where no protocol can be spoken there.
 */
export function checkTopicFilter(topic: string): void {
  if (topic === "") throw new SettingError("a service needs a topic: tcp://broker.example.org:9000/room1");
  for (const level of topic.split("/")) {
    if (level.startsWith("$")) throw new SettingError(`topic \`${topic}\`: the level \`${level}\` is the broker's`);
    if (level === "#") throw new SettingError(`topic \`${topic}\`: \`#\` stands for any number of levels: a service says how many there are, by a \`+\` for each`);
    if (/[+#]/.test(level) && level !== "+") throw new SettingError(`topic \`${topic}\`: \`${level}\` is no level: \`+\` is a level of its own`);
  }
}
