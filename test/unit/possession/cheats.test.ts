import { expect, test } from 'vitest';
import { CHEATS, HONEST, playFiles } from '../../cheats/files.ts';
import { makeAgent, makeJudge } from '../../cheats/stage.ts';

/** Each draws other leaves. */
const CHALLENGES = 20;

test.each(CHEATS.map((cheat) => [cheat.name, cheat] as const))('%s: caught every time', (_, cheat) => {
  const [agent, judge] = [makeAgent(1), makeJudge()];
  for (let nth = 0; nth < CHALLENGES; nth++) {
    const { transcript, bytes } = playFiles(agent, nth, cheat);
    expect(judge(transcript, bytes)).toMatchObject({ kind: 'fs', reason: expect.stringMatching(/^(wrong_bytes|malformed)$/) });
  }
});

test('who has the files passes every time', () => {
  const [agent, judge] = [makeAgent(1), makeJudge()];
  for (let nth = 0; nth < CHALLENGES; nth++) {
    const { transcript, bytes } = playFiles(agent, nth, HONEST);
    expect(judge(transcript, bytes)).toMatchObject({ reason: 'proven', elapsed_ms: 260 });
  }
});

test('who says that there are no files is judged like one who sends none; a version that knows no challenges is not', () => {
  const [agent, judge] = [makeAgent(1), makeJudge()];
  const { transcript } = playFiles(agent, 0, HONEST);
  const declined = { ...transcript, opening: null, end: 'declined' as const, declined: 'none here' };
  expect(judge(declined, null)).toMatchObject({ reason: 'no_opening' });
  expect(judge({ ...declined, sent_at: 0 }, null)).toMatchObject({ reason: 'unproven' });
});
