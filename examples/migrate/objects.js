import { createReadStream } from 'node:fs';

/**
 * The objects of a JSON file, one after the other, so that a file of any size can be read: of one that holds an object a
 * line, of an array, or of the array that the file's own object has as `member`.
 */
export async function* objectsOf(path, member) {
  const open = []; // the brackets that are open, outside the object that is being read
  let [depth, text, key, inString, escaped, string] = [0, '', '', false, false, ''];
  const isWanted = () => (open[0] === '{' ? open.length === 2 && open[1] === '[' && key === member : true);
  for await (const chunk of createReadStream(path, 'utf8')) {
    let start = 0;
    for (let at = 0; at < chunk.length; at += 1) {
      const char = chunk[at];
      if (inString) {
        if (escaped) escaped = false;
        else if (char === '\\') escaped = true;
        else if (char === '"') inString = false;
        if (inString && depth === 0) string += char;
      } else if (char === '"') [inString, string] = [true, ''];
      else if (char === ':' && open.length === 1) key = string;
      else if (char === '{' || char === '[') {
        if (depth > 0) depth += 1;
        else if (char === '{' && (open.length > 0 || member === undefined) && isWanted()) [depth, start] = [1, at];
        else open.push(char);
      } else if (char === '}' || char === ']') {
        if (depth === 0) open.pop();
        else if ((depth -= 1) === 0) {
          yield JSON.parse(text + chunk.slice(start, at + 1));
          text = '';
        }
      }
    }
    if (depth > 0) text += chunk.slice(start);
  }
}

/** Writes a line of the file that `users import` reads. Members that are undefined are left out. */
export async function writeUser(user) {
  const name = user.display_name || user.email?.split('@')[0];
  if (process.stdout.write(`${JSON.stringify({ ...user, display_name: name })}\n`)) return;
  await new Promise((resolve) => process.stdout.once('drain', resolve));
}
