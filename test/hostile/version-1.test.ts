/** An agent of the oldest version served: all it hears passes the schemas of its time, and it works as it did. */
import { expect, test } from 'vitest';
import { until } from '../harness/until.ts';
import { challengeReplySchema1, downSchema1, offerSchema1 } from '../harness/version-1.ts';
import { RawAgent, end, json, newHotkey } from './raw-agent.ts';
import { client, deploy, edge } from './stage.ts';

test('an agent that speaks version 1 only is let in, runs a chute with fields of version 2, and serves a call', async () => {
  const hotkey = newHotkey();
  const body = JSON.stringify({ hotkey: hotkey.ss58, name: 'raw' });
  challengeReplySchema1.parse(await (await fetch(`${edge.api}/agents/challenge`, { method: 'POST', body })).json());
  const it = await deploy({ scale_up_after: 1, idle_after: 600, memory_mb: 128, disk_gb: 1 });
  const offer = await until('it is on the board', async () => {
    const { items } = (await (await fetch(`${edge.api}/market`)).json()) as { items: { chute: string }[] };
    return items.find((o) => o.chute === it.chute);
  });
  expect(offerSchema1.parse(offer)).toMatchObject({ version: it.version, owner: expect.any(String) });

  const agent = await RawAgent.login(edge.api, hotkey, 'raw', [1]);
  agent.hello();
  const welcome = await agent.told('welcome');
  expect(welcome).toMatchObject({ servedUntil: Date.parse('2027-07-01'), newest: expect.any(String) });
  agent.say({ type: 'claim', ref: 'a', chute: it.chute, version: it.version });
  const { instance } = await agent.told('grant', (m) => m.ref === 'a');
  agent.say({ type: 'report', report: { instance, chute: it.chute, version: it.version, state: 'live', detail: '' } });
  const called = fetch(`${edge.api}/call/${it.chute}/x`, { headers: { authorization: `Bearer ${edge.key}` } });
  const { stream, open } = await agent.opened();
  agent.frames(json(stream), end(stream, open.attempt, 0));
  expect((await called).status).toBe(200);

  // A second instance is not needed, and it is told so in a word it knows.
  agent.say({ type: 'claim', ref: 'b', chute: it.chute, version: it.version });
  expect(await agent.told('refusal', (m) => m.ref === 'b')).toMatchObject({ code: 'no_need' });
  for (const raw of agent.raws) downSchema1.parse(JSON.parse(raw));
  agent.close();
  await client.deleteChute(it.chute);
});
