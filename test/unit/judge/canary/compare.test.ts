import { expect, test } from 'vitest';
import { compare } from '../../../../validator-cron/canary/compare.ts';
import { readStream, type Token } from '../../../../validator-cron/canary/reply.ts';

const said = (text: string, chance = -100, top: [string, number][] = [[text, chance]]): Token => ({
  text,
  chance,
  top: top.map(([of, as]) => ({ text: of, chance: as })),
});

test.for<{ what: string; suspect: Token[]; referee: Token[]; places: boolean[] | null }>([
  { what: 'the same', suspect: [said('a'), said('b')], referee: [said('a'), said('b')], places: [false, false] },
  { what: 'chances within the tolerance', suspect: [said('a', -100)], referee: [said('a', -299)], places: [false] },
  { what: 'a chance beyond it', suspect: [said('a', -100)], referee: [said('a', -301)], places: [true] },
  { what: 'both too faint to be told apart', suspect: [said('a', -20_000)], referee: [said('a', -13_000)], places: [false] },
  {
    what: 'two likely tokens of which each says one; nothing after it counts',
    suspect: [
      said('a', -690, [
        ['a', -690],
        ['b', -700],
      ]),
      said('x'),
    ],
    referee: [
      said('b', -690, [
        ['b', -690],
        ['a', -700],
      ]),
      said('y'),
    ],
    places: [false],
  },
  {
    what: 'a token that the other holds for unlikely',
    suspect: [
      said('a', -100, [
        ['a', -100],
        ['c', -3_000],
      ]),
    ],
    referee: [
      said('b', -100, [
        ['b', -100],
        ['c', -3_000],
      ]),
    ],
    places: [true],
  },
  {
    what: 'the same token, and another that was likeliest',
    suspect: [
      said('a', -2_000, [
        ['z', -150],
        ['a', -2_000],
      ]),
    ],
    referee: [
      said('a', -2_000, [
        ['b', -150],
        ['a', -2_000],
      ]),
    ],
    places: [true],
  },
  { what: 'a suspect that stops early', suspect: [said('a')], referee: [said('a'), said('b')], places: [false, true] },
  { what: 'a suspect that tells no chances', suspect: [], referee: [said('a'), said('b')], places: [true, true] },
  { what: 'fewer named than were asked for', suspect: [said('a', -100, [])], referee: [said('a')], places: [true] },
  { what: 'a referee that tells none', suspect: [said('a')], referee: [], places: null },
])('$what', ({ suspect, referee, places }) => {
  expect(compare(suspect, referee)).toEqual(places);
});

const event = (logprobs: unknown) => `data: ${JSON.stringify({ choices: [{ delta: { content: 'x' }, logprobs }] })}\n\n`;
const token = (logprob: unknown, top: unknown = []) => ({ content: [{ token: 'x', logprob, top_logprobs: top }] });

test.for<[string, string, Token[]]>([
  ['a chance in thousandths', event(token(-0.6931, [{ token: 'y', logprob: -1.5 }])), [said('x', -693, [['y', -1_500]])]],
  ['no list of others', event({ content: [{ token: 'x', logprob: -1 }] }), [said('x', -1_000, [])]],
  ['the faintest has a floor', event(token(-9_999_999)), [said('x', -1_000_000, [])]],
  ['what is surer than sure is none', event(token(0.5)), []],
  ['no number', event(token('much')), []],
  ['not a list', event({ content: 'x' }), []],
])('chances of a stream: %s', ([, body, tokens]) => {
  expect(readStream(body)).toMatchObject({ wellFormed: true, deltas: 1, said: tokens });
});

test('a stream tells so many tokens and no more', () => {
  const flood = event({ content: Array.from({ length: 1_000 }, () => ({ token: 'x', logprob: -1 })) });
  expect(readStream(flood.repeat(2)).said).toHaveLength(1_024);
});
