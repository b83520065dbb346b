/** Which places the operator wants TAO's price to be read from: `name=https://host/path#keys.to.the.price`, comma separated. Pure. */

export const MOST_FEEDS = 5;

export interface Feed {
  name: string;
  url: string;
  /** Keys of objects and indexes of arrays. */
  path: readonly string[];
}

/** Why one is left out. */
export type FeedFault = 'name' | 'name_twice' | 'url' | 'path' | 'too_many';

export interface Feeds {
  feeds: Feed[];
  /** `at`: its place in the list, from 1; what it says may hold a key, and is not shown. */
  faults: { at: number; fault: FeedFault }[];
}

const NAME = /^[a-z0-9][a-z0-9._-]{0,31}$/;
const MOST_CHARS = 500;
const MOST_STEPS = 10;
const LOOPBACK = new Set(['127.0.0.1', '[::1]', 'localhost']);

/** `local`: plain HTTP to this machine is taken, too, for tests. */
export function feedsOf(text: string, local: boolean): Feeds {
  const came: Feeds = { feeds: [], faults: [] };
  if (text.trim() === '') return came;
  for (const [i, spec] of text.split(',').entries()) {
    const feed = feedOf(spec.trim(), local);
    const fault = typeof feed === 'string' ? feed : faultAmong(feed, came.feeds);
    if (fault !== null) came.faults.push({ at: i + 1, fault });
    else came.feeds.push(feed as Feed);
  }
  return came;
}

function feedOf(spec: string, local: boolean): Feed | FeedFault {
  const [, name, url = '', path = ''] = /^([^=]*)=([^#]*)(?:#(.*))?$/.exec(spec) ?? [];
  if (name === undefined || !NAME.test(name)) return 'name';
  if (!isFeedUrl(url, local)) return 'url';
  const steps = path.split('.');
  return steps.includes('') || steps.length > MOST_STEPS ? 'path' : { name, url, path: steps };
}

function faultAmong({ name }: Feed, others: readonly Feed[]): FeedFault | null {
  if (others.some((other) => other.name === name)) return 'name_twice';
  return others.length === MOST_FEEDS ? 'too_many' : null;
}

function isFeedUrl(text: string, local: boolean): boolean {
  if (text.length > MOST_CHARS || !URL.canParse(text)) return false;
  const url = new URL(text);
  if (url.username !== '' || url.password !== '') return false;
  return url.protocol === 'https:' || (local && url.protocol === 'http:' && LOOPBACK.has(url.hostname));
}
