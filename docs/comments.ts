/** The doc comments of a source file, by what they stand above: `helloSchema`, `helloSchema.instances`, `CLOSE.done`, `x.'busy'`. */

/** Reads top-level `const`s and what lies directly in them; enough for files that are data. */
export function commentsOf(source: string): Map<string, string> {
  const found = new Map<string, string>();
  let within = '';
  let comment = '';
  for (const line of joinComments(source).split('\n')) {
    const text = /^\s*\/\*\* (.*) \*\/$/.exec(line)?.[1];
    if (text !== undefined) {
      comment = text;
      continue;
    }
    const declared = /^(?:export )?const (\w+)/.exec(line)?.[1];
    const field = /^ {2,}(\w+): /.exec(line)?.[1] ?? /^ {2,}'(\w+)',?$/.exec(line)?.[1];
    if (declared !== undefined) within = declared;
    const name = declared ?? (field === undefined || within === '' ? undefined : `${within}.${field}`);
    if (name !== undefined && comment !== '' && !found.has(name)) found.set(name, comment);
    comment = '';
  }
  return found;
}

/** Every comment on one line. */
function joinComments(source: string): string {
  return source.replaceAll(/\/\*\*\n([\s\S]*?)\n\s*\*\//g, (_, body: string) => {
    const lines = body.split('\n').map((line) => line.replace(/^\s*\* ?/, '').trim());
    return `/** ${lines.join(' ')} */`;
  });
}
