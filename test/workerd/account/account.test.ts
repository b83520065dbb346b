/** The Account object and its API in workerd: real rows, real alarms; Postgres is played behind `fetch`. */
import { abortAllDurableObjects, evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { expect, test, vi } from 'vitest';
import { accountIdOf } from '../../../functions/gate/ids.ts';
import { FREE } from '../../../functions/prices/now.ts';
import { accountStub } from '../../../functions/stubs.ts';
import { alarmUntil, ask, Developer, env, openAsk, postgres, rows, sentCalls, settlement, statements, withKey } from './stage.ts';

// ── registration and keys ──

test('registers once, is idempotent for the same handle, and a handle does not change', async () => {
  const developer = new Developer();
  const account = await developer.register('first');
  expect(account).toBe(await accountIdOf(developer.hotkey, env));
  postgres(({ query }) => (query.startsWith('insert') ? rows([]) : rows([[account, developer.hotkey, 'first', '2026-01-01 00:00:00+00']])));
  expect(await developer.ask('POST', '/accounts', { handle: 'first' })).toMatchObject({
    status: 201,
    json: { account_id: account, handle: 'first', hotkey: developer.hotkey },
  });
  expect(await developer.ask('POST', '/accounts', { handle: 'other' })).toMatchObject({ status: 409, json: { code: 'name_taken' } });
  expect(await developer.ask('GET', '/accounts/me')).toMatchObject({ status: 200, json: { handle: 'first' } });
});

test.each([['A'], ['ab'], ['a-b'], ['ä'.repeat(5)], ['a'.repeat(25)]])('the handle %s is refused', async (handle) => {
  expect(await new Developer().ask('POST', '/accounts', { handle })).toMatchObject({ status: 400, json: { param: 'handle' } });
});

test('a database that does not answer refuses a registration, and a repeat mends it', async () => {
  const developer = new Developer();
  postgres(() => new Response('down', { status: 503 }));
  expect(await developer.ask('POST', '/accounts', { handle: 'later' })).toMatchObject({ status: 503, json: { code: 'unavailable' } });
  postgres(() => undefined);
  expect(await developer.ask('POST', '/accounts', { handle: 'later' })).toMatchObject({ status: 201 });
});

test('a hotkey without an account may only register, and its object leaves nothing behind', async () => {
  const developer = new Developer();
  expect(await developer.ask('GET', '/accounts/me')).toMatchObject({ status: 403, json: { code: 'insufficient_scope' } });
  const stub = accountStub(env, await accountIdOf(developer.hotkey, env));
  await runInDurableObject(stub, async (_, state) => {
    const kinds = state.storage.sql.exec<{ kind: string }>('SELECT kind FROM rows').toArray();
    expect(kinds).toEqual([{ kind: 'nonce' }]);
    expect(await state.storage.getAlarm()).toBeGreaterThan(Date.now());
  });
});

test('a made-up key touches no object; an unregistered object writes nothing', async () => {
  expect(await ask('GET', '/keys', '', withKey(`rip_${'0'.repeat(48)}_${'0'.repeat(57)}`))).toMatchObject({
    status: 401,
    json: { code: 'invalid_api_key' },
  });
  const stub = accountStub(env, 'acc_never');
  const claim = { account: 'acc_never', key: 'key_x', proof: 'x' };
  const facts = { requestBytes: 0, maxTokens: 0, timeoutMs: 1, images: 0, steps: 0 };
  const nothing = {
    call: crypto.randomUUID(),
    claim,
    chute: null,
    version: 'v',
    terms: FREE,
    facts,
    extensible: false,
    agents: [],
    deadlineMs: 1,
  };
  expect(await stub.open(nothing)).toEqual({
    ok: false,
    code: 'invalid_api_key',
  });
  await runInDurableObject(stub, async (_, state) => {
    expect(state.storage.sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'rows'").toArray()).toEqual([]);
    expect(await state.storage.getAlarm()).toBeNull();
  });
});

test('keys: made, listed without the secret, used, revoked at once, and told to Postgres', async () => {
  const developer = new Developer();
  const account = await developer.register();
  const key = await developer.key();
  const list = await ask('GET', '/keys', '', withKey(key));
  expect(list).toMatchObject({ status: 200, json: { items: [{ name: 'test', scopes: ['invoke', 'read', 'keys'], expires_at: null }] } });
  expect(JSON.stringify(list.json)).not.toContain(key.slice(53));
  expect((await accountStub(env, account).open(await openAsk(key))).ok).toBe(true);
  await runDurableObjectAlarm(accountStub(env, account));
  expect(statements.some((s) => s.query.startsWith('insert into "keys"'))).toBe(true);
  const id = (list.json['items'] as { key_id: string }[])[0]?.key_id ?? '';
  expect(await ask('DELETE', `/keys/${id}`, '', withKey(key))).toMatchObject({ status: 204 });
  expect(await ask('GET', '/keys', '', withKey(key))).toMatchObject({ status: 401 });
  expect(await accountStub(env, account).open(await openAsk(key))).toEqual({ ok: false, code: 'invalid_api_key' });
  expect(await developer.ask('DELETE', `/keys/${id}`)).toMatchObject({ status: 404 });
});

test('a key without the scope is refused, an expiry in the past too', async () => {
  const developer = new Developer();
  await developer.register();
  const key = await developer.key({ scopes: ['invoke'] });
  expect(await ask('GET', '/keys', '', withKey(key))).toMatchObject({ status: 403, json: { code: 'insufficient_scope' } });
  expect(await developer.ask('POST', '/keys', { name: 'x', expires_at: '2020-01-01T00:00:00Z' })).toMatchObject({
    status: 400,
    json: { param: 'expires_at' },
  });
  expect(await developer.ask('POST', '/keys', { name: 'x', scopes: ['root'] })).toMatchObject({ status: 400 });
});

test('a captured signed request is refused: again, as something else, and after an eviction', async () => {
  const developer = new Developer();
  const account = await developer.register();
  const body = { name: 'captured' };
  const captured = developer.headers('POST', '/keys', JSON.stringify(body));
  expect(await developer.ask('POST', '/keys', body, captured)).toMatchObject({ status: 201 });
  expect(await developer.ask('POST', '/keys', body, captured)).toMatchObject({ status: 409, json: { code: 'nonce_used' } });
  await evictDurableObject(accountStub(env, account));
  expect(await developer.ask('POST', '/keys', body, captured)).toMatchObject({ status: 409, json: { code: 'nonce_used' } });
  expect(await developer.ask('POST', '/keys', { name: 'other' }, captured)).toMatchObject({
    status: 401,
    json: { code: 'invalid_signature' },
  });
  expect(await developer.ask('POST', '/accounts', body, captured)).toMatchObject({ status: 401 });
  const stale = developer.headers('GET', '/keys', '', { at: Date.now() - 31_000 });
  expect(await developer.ask('GET', '/keys', undefined, stale)).toMatchObject({ status: 401 });
});

// ── calls ──

test('a call from hold to story, and another tenant does not see it', async () => {
  const developer = new Developer();
  const account = await developer.register();
  const key = await developer.key();
  const call = await openAsk(key);
  const stub = accountStub(env, account);
  expect(await stub.open(call)).toMatchObject({ ok: true, hold: 0n });
  expect(await stub.open(call)).toMatchObject({ ok: false, code: 'duplicate_call' });
  expect(await ask('GET', `/calls/${call.call}`, '', withKey(key))).toMatchObject({ json: { state: 'running', attempts: [] } });
  expect(await stub.settle([settlement(call), settlement(call)])).toEqual([`${call.call}/0`, `${call.call}/0`]);
  expect(await ask('GET', `/calls/${call.call}`, '', withKey(key))).toMatchObject({
    status: 200,
    json: {
      call_id: call.call,
      state: 'completed',
      chute_id: 'cht_1',
      cost_nanousd: '0',
      attempts: [{ attempt: 0, miner_hotkey: '5M', instance_id: 'ins_1', outcome: 'completed', bytes: 12, tokens_in: 1, tokens_out: 2 }],
    },
  });
  const stranger = new Developer();
  await stranger.register();
  const foreign = await stranger.key();
  expect(await ask('GET', `/calls/${call.call}`, '', withKey(foreign))).toMatchObject({ status: 404, json: { code: 'call_not_found' } });
  expect(await ask('GET', '/calls', '', withKey(foreign))).toMatchObject({ json: { items: [] } });
  expect(await ask('GET', '/calls', '', withKey(key))).toMatchObject({ json: { items: [{ call_id: call.call }] } });
});

test('a closed call reaches Postgres once, after an eviction and while it was down', async () => {
  const developer = new Developer();
  const account = await developer.register();
  const key = await developer.key();
  const stub = accountStub(env, account);
  const call = await openAsk(key);
  await stub.open(call);
  await evictDurableObject(stub);
  await stub.settle([settlement(call)]);
  postgres(() => new Response('down', { status: 503 }));
  await alarmUntil(stub, () => sentCalls().length > 0);
  postgres(() => undefined);
  await evictDurableObject(stub);
  await alarmUntil(stub, () => sentCalls().length > 1);
  expect(sentCalls().at(-1)).toMatchObject([{ callId: call.call, costNanousd: '0', attempts: [{ attempt: 0 }] }]);
  await evictDurableObject(stub);
  const before = sentCalls().length;
  await stub.settle([settlement(call)]);
  await runDurableObjectAlarm(stub);
  expect(sentCalls()).toHaveLength(before);
});

test('an alarm that is later than what is due by the rows is brought forward by an object that starts again', async () => {
  const developer = new Developer();
  const account = await developer.register();
  const stub = accountStub(env, account);
  const call = await openAsk(await developer.key());
  await stub.open(call);
  await stub.settle([settlement(call)]);
  // Later than anything the call will ever need.
  const late = Date.now() + 48 * 3_600_000;
  await runInDurableObject(stub, (_, state) => state.storage.setAlarm(late));
  await evictDurableObject(stub);
  await runInDurableObject(stub, async (_, state) => expect((await state.storage.getAlarm()) ?? 0).toBeLessThan(late));
});

test('what was answered survives a crash', async () => {
  const developer = new Developer();
  const account = await developer.register();
  const key = await developer.key();
  const [open, settled] = [await openAsk(key), await openAsk(key)];
  for (const call of [open, settled]) await accountStub(env, account).open(call);
  await accountStub(env, account).settle([settlement(settled)]);
  await abortAllDurableObjects();
  expect(await ask('GET', `/calls/${open.call}`, '', withKey(key))).toMatchObject({ json: { state: 'running' } });
  expect(await ask('GET', `/calls/${settled.call}`, '', withKey(key))).toMatchObject({ json: { state: 'completed' } });
  expect(await accountStub(env, account).open(open)).toMatchObject({ ok: false, code: 'duplicate_call' });
});

test('a call that Postgres refuses is set aside and the others arrive', async () => {
  const developer = new Developer();
  const account = await developer.register();
  const key = await developer.key();
  const stub = accountStub(env, account);
  const calls = await Promise.all([0, 1, 2].map(() => openAsk(key)));
  for (const call of calls) await stub.open(call);
  await stub.settle(calls.map((call) => settlement(call)));
  const bad = calls[1]?.call ?? '';
  postgres(({ params }) =>
    String(params[0]).includes(bad) ? Response.json({ message: 'invalid input', code: '22P02' }, { status: 400 }) : undefined,
  );
  await alarmUntil(stub, () =>
    sentCalls().some((batch) => batch.some((row) => row.callId === calls[2]?.call) && !batch.some((row) => row.callId === bad)),
  );
  await runInDurableObject(stub, (_, state) => {
    expect(state.storage.sql.exec("SELECT 1 FROM rows WHERE kind = 'poison'").toArray()).toHaveLength(1);
  });
});

test('the deadline inquiry of an agent that never had the call frees the hold', async () => {
  const developer = new Developer();
  const account = await developer.register();
  const key = await developer.key();
  const stub = accountStub(env, account);
  const call = await openAsk(key, { deadlineMs: 1, agents: ['agt_nobody'] });
  await stub.open(call);
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 11_000 });
  try {
    await runDurableObjectAlarm(stub);
  } finally {
    vi.useRealTimers();
  }
  expect(await ask('GET', `/calls/${call.call}`, '', withKey(key))).toMatchObject({ json: { state: 'failed', code: 'timeout' } });
});
