/** Who is called what: honest miners, D9 (another model behind the name) and D10 (coarser weights), alone and among liars. */
import { expect, test } from 'vitest';
import { comparedAsks } from '../../../../validator-cron/canary/ask.ts';
import { referees, REFEREES } from '../../../../validator-cron/canary/referees.ts';
import { MOST_ASKS, session, type Asker } from '../../../../validator-cron/canary/session.ts';
import { sessionsOf, SUSPECTS } from '../../../cheats/canaries.ts';
import { runs } from '../../../cheats/models.ts';
import { Random } from '../../../sim/random.ts';
import { ALICE, anAgent, anInstance, BOB } from '../made.ts';

test.for([
  { who: 'honest', sessions: 50, swapped: 0 },
  { who: 'other_model', sessions: 50, swapped: 50 },
  { who: 'coarser_weights', sessions: 50, swapped: 50 },
] as const)('$who: $swapped of $sessions are called swapped', async ({ who, sessions, swapped }) => {
  const figures = await sessionsOf(SUSPECTS[who], sessions, 100);
  expect(figures).toMatchObject({ sessions, swapped });
});

const asks = Array.from({ length: REFEREES }, (_, duel) => comparedAsks(MOST_ASKS, (at) => new Random(duel * 100 + at).hex(64)));
const three = ['one', 'two', 'three'].map((entity) => ({ entity, instance: anInstance({ instance: entity }) }));
const model = (name: string) => runs({ name, noise: 0 }, new Random(1));
const among =
  (suspect: string, of: Record<string, string | null>): Asker =>
  async (who, ask) => {
    const name = who === 'suspect' ? suspect : of[who.entity];
    return name == null ? null : model(name)(ask);
  };

test.for<{ what: string; suspect: string; of: Record<string, string | null>; end: string; duels: number }>([
  {
    what: 'a first referee that lies is found out by the second',
    suspect: 'm',
    of: { one: 'x', two: 'm', three: 'm' },
    end: 'unconfirmed',
    duels: 2,
  },
  { what: 'two liars are found out by the third', suspect: 'm', of: { one: 'x', two: 'y', three: 'm' }, end: 'unconfirmed', duels: 3 },
  { what: 'three others confirm', suspect: 'x', of: { one: 'm', two: 'm', three: 'm' }, end: 'swapped', duels: 3 },
  { what: 'a referee that is silent settles nothing', suspect: 'x', of: { one: null }, end: 'silent', duels: 1 },
  {
    what: 'a cheat whose second referee is silent is not confirmed',
    suspect: 'x',
    of: { one: 'm', two: null },
    end: 'unconfirmed',
    duels: 2,
  },
])('$what', async ({ suspect, of, end, duels }) => {
  const done = await session(among(suspect, of), three, asks);
  expect([done.end, done.duels.length]).toEqual([end, duels]);
});

test('with two others only nobody is called swapped, with none nobody is asked', async () => {
  expect((await session(among('x', { one: 'm', two: 'm' }), three.slice(0, 2), asks)).end).toBe('unconfirmed');
  expect(await session(among('x', {}), [], asks)).toEqual({ end: 'silent', duels: [] });
});

test('a suspect that always says another likely word ends undecided, not for ever', async () => {
  let asked = 0;
  const asker: Asker = async () => {
    asked += 1;
    return [
      {
        text: asked % 2 === 0 ? 'a' : 'b',
        chance: -693,
        top: [
          { text: 'a', chance: -693 },
          { text: 'b', chance: -693 },
        ],
      },
    ];
  };
  expect((await session(asker, three, asks)).end).toBe('undecided');
  expect(asked).toBe(2 * MOST_ASKS);
});

test('referees are of other entities, of the same version, one of each, drawn by the beacon', () => {
  const suspect = { instance: anInstance(), hotkey: ALICE };
  const others = Array.from({ length: 6 }, (_, i) =>
    anAgent(`agt_${i}`, `${BOB}${i}`, [anInstance({ instance: `ins_o${i}` }), anInstance({ instance: `ins_p${i}` })]),
  );
  const agents = [
    anAgent('agt_self', ALICE, [suspect.instance]),
    anAgent('agt_twin', 'twin', [anInstance({ instance: 'ins_twin' })]),
    anAgent('agt_old', 'old', [anInstance({ instance: 'ins_old', version: 'b'.repeat(64) })]),
    ...others,
  ];
  const entityOf = (hotkey: string) => (hotkey === 'twin' ? ALICE : hotkey);
  const drawn = (beacon: string) => referees(agents, suspect, { beacon, entityOf });
  expect(drawn('00')).toHaveLength(REFEREES);
  expect(new Set(drawn('00').map((r) => r.entity)).size).toBe(REFEREES);
  expect(drawn('00').every((r) => r.entity.startsWith(BOB))).toBe(true);
  expect(referees(agents.toReversed(), suspect, { beacon: '00', entityOf })).toEqual(drawn('00'));
  const beacons = Array.from({ length: 40 }, (_, i) => drawn(String(i))[0]?.entity);
  expect(new Set(beacons).size).toBe(6);
});
